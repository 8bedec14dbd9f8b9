/* Users of a source on their way into a file or a folder of another format: written, or only
 * compared with what is there. */
#ifndef CONTACTS_PRODUCE_H
#define CONTACTS_PRODUCE_H

#include "plugins/contacts/losses.h"
#include "plugins/contacts/outfile.h"
#include "plugins/contacts/source.h"

#include <nettle/sha2.h>

#define DIGEST_TEXT 65

struct produce {
	/* Set by the caller. */
	struct source *source;
	const struct format *format;
	const char *path;        /* where it goes */
	bool split;              /* a folder with a file for each user */
	bool write;              /* false: compare with what is there */
	/* The answer. */
	uint64_t users, bytes;
	bool same;               /* as what is there; only when not writing */
	char was[100];           /* what is there */
	char digest[DIGEST_TEXT]; /* of what is written, names of files and all */
	struct losses losses;
	struct read_stats stats;
	/* Inner. */
	struct writer writer;
	struct outfile out;
	struct sha256_ctx hash;
	int there_fd;            /* what is compared with, or -1 */
	struct buf there;
};

/* 0, or source->call->f.rc; nothing is left of a failure. */
int produce_run(struct produce *p);
/* The losses, and what the reader has left out, as sentences to the host. */
void produce_tell(struct produce *p);

#endif
