/* One part of an OPC package, which is a zip: the one way in which Lync 2013 exports its users. */
#ifndef CONTACTS_ZIP_H
#define CONTACTS_ZIP_H

#include "plugins/contacts/bytes.h"

#include <stdint.h>

#define ZIP_PART "DocItemSet.xml"
/* XML of contacts shrinks to a tenth or a thirtieth; what grows to more than this is a bomb. */
#define ZIP_MAX_RATIO 300
#define ZIP_MAX_ENTRIES 10000

struct archive;

struct zip {
	const char *path;
	struct archive *archive;  /* at the part, or NULL */
	uint64_t file_bytes, out_bytes;
	struct input input;       /* of the part; valid from zip_open to zip_close */
};

/* Looks at all entries first: an archive with encrypted entries, names that climb out, links, the
 * part twice, or without it, is REFUSED.  path is borrowed. */
int zip_open(struct zip *z, const char *path, struct fault *f);
void zip_close(struct zip *z);

#endif
