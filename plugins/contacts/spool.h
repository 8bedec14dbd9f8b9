/* Files that nobody else sees and that are gone with the process: for what does not fit in memory. */
#ifndef CONTACTS_SPOOL_H
#define CONTACTS_SPOOL_H

#include "plugins/contacts/formats.h"

/* In TMPDIR, else /var/tmp: contact lists are personal data, and many. */
int spool_open(int *ret_fd, struct fault *f);
/* Appends. */
int spool_write(int fd, const void *data, size_t len, struct fault *f);
/* Hands all of it on, from its begin. */
int spool_copy(int fd, const struct output *to, struct fault *f);
/* Reads exactly len bytes from a place. */
int spool_read(int fd, uint64_t at, void *to, size_t len, struct fault *f);

#endif
