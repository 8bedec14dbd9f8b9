/* room.h -- one visit to a chat room as a client: XEP-0045, its history by XEP-0313.
 *
 * room_visit blocks as libstrophe does, so it runs aside (aside.h) and knows no host. */
#ifndef GROUPCHAT_ROOM_H
#define GROUPCHAT_ROOM_H

#include <resite/plugin.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROOM_SAMPLE_MAX 250 /* what servers give in one answer */
#define ROOM_WORDS_MAX 600

struct room_message {
	char *id, *body; /* body "": it had none */
};

struct room_visit {
	/* Asked. */
	const char *jid, *password, *address, *ca_file, *room, *nick;
	uint16_t port;
	bool plaintext;         /* also without TLS */
	unsigned sample;        /* messages wanted, at most ROOM_SAMPLE_MAX */
	int64_t patience_ms;    /* for all of it */
	atomic_bool stop;       /* set by the caller to end it soon */
	/* Answered. */
	bool done;              /* all was seen; else words says how far it came */
	int rc;                 /* enum resite_rc for a visit that is not done */
	char words[ROOM_WORDS_MAX];
	char log[300];          /* libstrophe's last complaint */
	bool archived;          /* the messages are from the archive, else the room's own history */
	bool has_count;
	uint64_t count;         /* of all messages in the archive, as the server says */
	struct room_message messages[ROOM_SAMPLE_MAX];
	size_t n;
	/* Inner. */
	int stage;              /* enum stage of room.c */
	bool ended;
};

void room_visit(void *arg); /* a struct room_visit */
void room_release(struct room_visit *v);

#endif
