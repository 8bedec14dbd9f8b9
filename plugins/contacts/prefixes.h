/* Prefixes of namespaces that elements around users define: they are in force in what is kept of the
 * users as it was written, so they go with it. */
#ifndef CONTACTS_PREFIXES_H
#define CONTACTS_PREFIXES_H

#include "plugins/contacts/bytes.h"
#include "plugins/contacts/model.h"

/* Adds the xmlns:PREFIX="..." of a tag to a list of strings, each ends with a NUL. */
void prefixes_add(struct buf *list, struct slice tag);
/* Adds them to a user of whom something is kept, as attributes of her element. */
int prefixes_put(const struct buf *list, struct model_user *u, struct fault *f);

#endif
