/* Any file or folder of contact lists: what it is, told by its content, and its users. */
#ifndef CONTACTS_OPEN_H
#define CONTACTS_OPEN_H

#include "plugins/contacts/formats.h"
#include "sdk/vault/vault.h"

#define FORMAT_AUTO "auto"

/* Where users come from: a file or folder, or a set of the vault. */
struct contacts_in {
	const char *path;              /* borrowed; NULL: set */
	const struct format *format;   /* of the path; of what the set holds of each user */
	struct vault_set *set;         /* borrowed */
};

/* format: a format's name, "auto" or NULL.  What is recognised by its content is REFUSED when the plan
 * names another format: that is a mistake in one of the two. */
int contacts_in_file(struct contacts_in *in, const char *path, const char *format, struct fault *f);
/* A set of the vault, opened and proven. */
int contacts_in_set(struct contacts_in *in, struct vault_set *set, struct fault *f);
/* Hands out all users; may be called again.  Faults name the file. */
int contacts_in_read(const struct contacts_in *in, const struct reader *reader,
		     struct read_stats *ret, struct fault *f);

#endif
