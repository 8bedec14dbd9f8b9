/* What all readers of contact lists share: users one by one into the model, and what was seen. */
#ifndef CONTACTS_READER_H
#define CONTACTS_READER_H

#include "plugins/contacts/bytes.h"
#include "plugins/contacts/model.h"

/* How names are written in a Lync export: base64 of UTF-8 in that of a whole pool, plain in some of
 * one user.  Decided once for each file. */
enum names { NAMES_UNKNOWN, NAMES_BASE64, NAMES_PLAIN };

struct read_stats {
	uint64_t users;
	uint64_t users_without_contacts;
	uint64_t groups;
	uint64_t distribution_groups; /* among groups: they carry an ExternalUri */
	uint64_t contacts;
	uint64_t self_contacts;       /* left out */
	uint64_t duplicates;          /* merged with the same buddy before */
	uint64_t other_sections;      /* elements of users that are not contacts */
	uint64_t nameless_users;      /* without a usable address: left out */
	uint64_t odd_names;           /* not base64 in a file whose names are: kept as they are */
	uint64_t not_users;           /* what the file holds besides users: left out */
	uint64_t nested;              /* lists inside lists: each is a group of its own */
	uint64_t bytes;               /* read, of the files or parts */
	enum names names;
};

struct reader {
	/* Called for each user; the user is gone when it returns.  < 0 (with f filled) stops. */
	int (*user)(void *arg, const struct model_user *u, struct fault *f);
	/* May be NULL: each piece of the file as it was read; < 0 stops. */
	int (*piece)(void *arg, const void *data, size_t len, struct fault *f);
	void *arg;
	bool native;      /* fill user->native */
	enum names names; /* known from elsewhere; NAMES_UNKNOWN: find out */
};

#endif
