/* Resource lists (RFC 4826): writing one from the model, and looking into one. */
#ifndef CONTACTS_LISTS_H
#define CONTACTS_LISTS_H

#include "plugins/contacts/reader.h"

#define LISTS_MEDIA_TYPE "application/resource-lists+xml"
#define LISTS_NAMESPACE "urn:ietf:params:xml:ns:resource-lists"
/* Ours, for what RFC 4826 has no word for: the definition of a distribution group. */
#define LISTS_OWN_NAMESPACE "urn:resite:contacts:1"

/* Appends the user's document to out; out->failed says when memory was short.  The same user gives
 * the same bytes. */
void lists_write(struct buf *out, const struct model_user *u);

/* Reads a user's document into the model; REFUSED as lists_count.  What the model has no word for is
 * in extras by name alone; user->native is the document itself. */
int lists_read(const char *user, const char *document, size_t len, struct model_user *ret,
	       struct read_stats *stats, struct fault *f);

struct lists_counts {
	uint64_t lists;
	uint64_t entries;
};

/* Counts what is in a document; REFUSED when it is not well-formed, has a DOCTYPE, or is not
 * a resource-lists document.  f names the line. */
int lists_count(const char *document, size_t len, struct lists_counts *ret, struct fault *f);

#endif
