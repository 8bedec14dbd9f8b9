/* file.h -- files that are written whole. */
#ifndef CORE_BASE_FILE_H
#define CORE_BASE_FILE_H

#include "core/base/error.h"
#include "core/base/strbuf.h"

#include <sys/types.h>

/* Writes all of data, in several calls where the system takes less; 0, or -1 with errno. */
int file_write_all(int fd, const void *data, size_t len);

/* Puts text in the place of the file at path, or of none: there is never half a file of that name,
 * and its bytes are on the disk before the name is theirs.  mode is what open(2) would get; the
 * umask is taken off.  A symbolic link is replaced; what is no regular file, as /dev/stdout, is
 * E_INVALID.  On failure what stood there stands, and nothing is left beside it. */
int file_replace(const char *path, mode_t mode, const struct strbuf *text, struct error *err);

#endif
