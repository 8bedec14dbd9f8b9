/* files.h -- folders of the certificate's own: copied, removed. */
#ifndef CORE_CERTIFY_FILES_H
#define CORE_CERTIFY_FILES_H

#include "core/base/error.h"
#include "core/base/strbuf.h"

/* Removes a file, or a folder with all that is in it; one that is not there is fine. */
int files_remove(const char *path, struct error *err);

/* Copies the files of folder from, without its folders and sockets, to the new folder to.  A
 * missing from leaves an empty one. */
int files_copy_dir(const char *from, const char *to, struct error *err);

#endif
