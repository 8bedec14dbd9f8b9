/* Files named by others: only beneath a directory, and never through a link. */
#ifndef CONTACTS_BENEATH_H
#define CONTACTS_BENEATH_H

#include "plugins/contacts/fault.h"

#include <stdbool.h>

/* A relative path of plain names: no "..", no scheme, no drive, no control characters.  Also what an
 * archive's part may be called. */
bool beneath_is_safe(const char *path);
/* Opens path, which somebody else has written, for reading; a link anywhere in it is refused. */
int beneath_open(int dir_fd, const char *path, int *ret_fd, struct fault *f);

#endif
