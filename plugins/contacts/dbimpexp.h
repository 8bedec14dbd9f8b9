/* Reads what dbimpexp.exe of Lync 2010 (and OCS 2007) exports, as a stream.
 *
 * HomedResources > HomedResource[UserAtHost] > ContactGroups > ContactGroup[Number,
 * DisplayName, ExternalUri] and Contacts > Contact[Buddy, Groups, DisplayName]; UTF-16LE
 * or UTF-8.  Names are base64 of UTF-8 in the export of a whole pool and plain in some
 * exports of one user: that is decided once for each file.
 */
#ifndef CONTACTS_DBIMPEXP_H
#define CONTACTS_DBIMPEXP_H

#include "plugins/contacts/model.h"

struct dbimpexp_stats {
	uint64_t users;
	uint64_t users_without_contacts;
	uint64_t groups;
	uint64_t distribution_groups; /* among groups: they carry an ExternalUri */
	uint64_t contacts;
	uint64_t self_contacts;       /* left out */
	uint64_t duplicates;          /* merged with the same buddy before */
	uint64_t other_sections;      /* not contacts: left out */
	uint64_t nameless_users;      /* without a usable UserAtHost: left out */
	uint64_t odd_names;           /* not base64 in a file whose names are: kept as they are */
	uint64_t bytes;               /* of the file */
	bool base64;                  /* how names are written in this file */
};

struct dbimpexp_reader {
	/* Called for each user; the user is gone when it returns.  < 0 (with f filled) stops. */
	int (*user)(void *arg, const struct model_user *u, struct fault *f);
	/* May be NULL: each piece of the file as it was read, and the file's size; < 0 stops. */
	int (*piece)(void *arg, const void *data, size_t len, uint64_t size, struct fault *f);
	void *arg;
};

/* Reads the file at path to its end.  A file that is not well-formed, has a DOCTYPE or is no such
 * export is RESITE_ERR_REFUSED with the line; users before that line were handed out. */
int dbimpexp_read(const char *path, const struct dbimpexp_reader *reader,
		  struct dbimpexp_stats *ret, struct fault *f);

#endif
