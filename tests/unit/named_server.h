/* named_server.h -- real name servers for tests: private directory, free port, 127.0.0.1. */
#ifndef TESTS_UNIT_NAMED_SERVER_H
#define TESTS_UNIT_NAMED_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#define ZONE "contoso.example"

struct named_server {
	char dir[64];  /* private; removed by named_stop */
	char at[32];   /* "127.0.0.1:PORT" */
	int port;
	pid_t pid;
	bool deaf;     /* a secondary that does not listen to NOTIFY */
	bool closed;   /* refuses zone transfers */
	int primary_port; /* 0: a primary */
	int zones;        /* further zones: z0.example, z1.example, … */
	const char *keytab; /* of its service principal, for GSS-TSIG; updates need a ticket then */
	int forward_port; /* a resolver that asks this port of 127.0.0.1, and caches */
};

/* Starts a server with what was set in s (the rest of it zero). */
void named_start(struct named_server *s);

/* Is there a named to test with? */
bool named_installed(void);
/* Starts a primary for contoso.example; its keys have these texts (algorithm:name:secret).
 * More records may be given as master-file text. */
#define KEY_256 "hmac-sha256:upd:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
#define KEY_1 "hmac-sha1:upd1:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
#define KEY_384 "hmac-sha384:upd384:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
#define KEY_512 "hmac-sha512:upd512:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
void named_start_primary(struct named_server *s, const char *more_records, int notify_port);
/* The same, but nobody may transfer its zone. */
void named_start_closed(struct named_server *s);
void named_start_secondary(struct named_server *s, int port, int primary_port, bool deaf);
/* Zone transfers that it has begun to send. */
int named_transfers(const struct named_server *s);
/* Ends the server by its pid; its directory stays. */
void named_halt(struct named_server *s);
/* Starts it again; a secondary then transfers the zone at once. */
void named_resume(struct named_server *s);
void named_stop(struct named_server *s);
/* A port of 127.0.0.1 that is free for UDP and TCP. */
int free_port(void);
/* Runs dig +short at a server; the answer's lines are joined by one space each. */
const char *dig(const struct named_server *s, const char *name, const char *type);
/* Runs nsupdate with KEY_256 and these lines. */
void nsupdate(const struct named_server *s, const char *lines);

#endif
