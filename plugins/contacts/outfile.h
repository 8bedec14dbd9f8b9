/* A file, or a folder of files, that is there whole or not at all. */
#ifndef CONTACTS_OUTFILE_H
#define CONTACTS_OUTFILE_H

#include "plugins/contacts/buf.h"
#include "plugins/contacts/fault.h"

#include <stdint.h>

struct outfile {
	char path[4000], aside[4100]; /* aside: where it is written, beside its place */
	struct buf held;              /* not yet written */
	int fd;                       /* -1: none is open */
	bool folder;
};

/* A new file beside path. */
int outfile_open(struct outfile *o, const char *path, struct fault *f);
/* A new folder beside path; then outfile_member before each of its files. */
int outfile_open_folder(struct outfile *o, const char *path, struct fault *f);
int outfile_member(struct outfile *o, const char *name, struct fault *f);
int outfile_write(struct outfile *o, const void *data, size_t len, struct fault *f);
/* Makes it durable, then puts it in its place.  A folder that holds something is not replaced. */
int outfile_commit(struct outfile *o, struct fault *f);
/* What was not committed is removed. */
void outfile_release(struct outfile *o);

#endif
