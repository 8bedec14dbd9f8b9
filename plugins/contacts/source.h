/* Where an import's documents come from: a vault set, or a file or folder in any format. */
#ifndef CONTACTS_SOURCE_H
#define CONTACTS_SOURCE_H

#include "plugins/contacts/contacts.h"
#include "plugins/contacts/open.h"

struct source {
	struct call *call;
	struct vault_set *set; /* NULL: a file or folder */
	struct contacts_in in;
	const char *path;      /* of it */
	struct users only;     /* these users alone; empty: all */
	struct users without;  /* and not these */
	bool *found;           /* for each of only, while they are counted */
	uint64_t missing;      /* users of only who have no list here; known after source_count */
	char missing_names[300];
	char id[96];           /* the same id: the same documents in the same order */
	int64_t made_ms;       /* wall clock: what is newer than this is lost */
	uint64_t total;        /* documents; known after source_count */
};

/* The parameters that name a source. */
struct source_params {
	const char *source, *format, *vault, *name, *set;
};

/* Opens the source that the step names and proves it: digests of a set, its site and age.
 * 0, or < 0 with call->f filled; source_release in both cases. */
int source_open(struct source *s, struct call *c);
void source_release(struct source *s);
/* The same by other parameters; no site, age or users are asked for. */
int source_open_as(struct source *s, struct call *c, const struct source_params *params);
/* Sets total and, for a file, a digest of it as the id.  An export is read whole for that, so
 * what is malformed is found; a set's manifest knows, and its digests are proven. */
int source_count(struct source *s);
/* Hands out all documents in order; a set whose manifest counted others is refused at the end. */
int source_each(struct source *s, document_each *each, void *arg);
/* Hands out all users as the model has them, in the source's order.  native: with user->native. */
int source_users(struct source *s, bool native,
		 int (*user)(void *arg, const struct model_user *u, struct fault *f), void *arg,
		 struct read_stats *ret);
/* What a reader has left out or merged, to the log. */
void source_remarks(struct call *c, const struct read_stats *stats);
/* "set 2026... of site primary", or the file. */
void source_name(const struct source *s, char out[200]);

#endif
