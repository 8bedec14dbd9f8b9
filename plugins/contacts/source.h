/* Where an import's documents come from: a vault set, or a file or folder in any format. */
#ifndef CONTACTS_SOURCE_H
#define CONTACTS_SOURCE_H

#include "plugins/contacts/contacts.h"
#include "plugins/contacts/open.h"

/* What tells a source from an altered one without reading it. */
struct source_stamp {
	uint64_t dev, ino, size;    /* of the file or folder; of a set all are 0 */
	int64_t mtime_ns, ctime_ns;
	uint8_t users[32];          /* digest of who is wanted and who is not */
};

struct source {
	struct call *call;
	struct vault_set *set; /* NULL: a file or folder */
	bool borrowed;         /* the set is somebody else's */
	struct source_stamp stamp;
	struct contacts_in in;
	const char *path;      /* of it */
	bool one_file;         /* it is no folder */
	struct users only;     /* these users alone; empty: all */
	struct users without;  /* and not these */
	char id[96];           /* the same id: the same documents in the same order, as far as that is
				* known without reading */
	int64_t made_ms;       /* wall clock: what is newer than this is lost */
	enum names names;      /* how an export of Lync writes names, once it is known */
	/* Known after a pass. */
	uint64_t total;        /* documents; of a whole set known before */
	uint64_t missing;      /* users of only who have no list here */
	char missing_names[300];
	char digest[65];       /* of what was read; of a set known before */
	/* Inner. */
	bool *found;           /* for each of only, in a pass */
};

/* One reading of all documents, in order. */
struct source_pass {
	document_each *each;   /* NULL: they are counted alone */
	/* NULL: all are wanted; the others are counted, and not made. */
	bool (*wants)(const void *arg, uint64_t index);
	void *arg;             /* of both */
	bool first;            /* says what it is, and that it goes on */
};

/* The parameters that name a source. */
struct source_params {
	const char *source, *format, *vault, *name, *set;
};

/* Opens the source that the step names and proves it: digests of a set, its site and age.
 * proven: a set that was opened so before, or NULL; it stays the caller's, and it is proven that
 * its files are still the same.  0, or < 0 with call->f filled; source_release in both cases. */
int source_open(struct source *s, struct call *c, struct vault_set *proven);
void source_release(struct source *s);
/* The same by other parameters; no site, age or users are asked for. */
int source_open_as(struct source *s, struct call *c, const struct source_params *params);
/* Reads the source once.  An export is read whole, so what is malformed is found; a set whose
 * manifest counted others is refused at the end. */
int source_read(struct source *s, const struct source_pass *pass);
/* Is the stamp of all that is read?  Not of a folder, nor of files that include others. */
bool source_is_one_file(const struct source *s);
/* Hands out all users as the model has them, in the source's order.  native: with user->native. */
int source_users(struct source *s, bool native,
		 int (*user)(void *arg, const struct model_user *u, struct fault *f), void *arg,
		 struct read_stats *ret);
/* What a reader has left out or merged, to the log. */
void source_remarks(struct call *c, const struct read_stats *stats);
/* "set 2026... of site primary", or the file. */
void source_name(const struct source *s, char out[200]);

#endif
