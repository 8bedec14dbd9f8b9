/* Users in the order of their addresses, though they came in any other: keys and digests in memory,
 * texts in a file. */
#ifndef CONTACTS_SORTED_H
#define CONTACTS_SORTED_H

#include "plugins/contacts/buf.h"
#include "plugins/contacts/fault.h"

#include <stdbool.h>
#include <stdint.h>

#define SORTED_DIGEST 16

struct sorted_user {
	uint64_t key;                  /* offset in keys */
	uint64_t at;                   /* of her texts in the file */
	uint32_t len[2];               /* of the texts */
	uint8_t digest[SORTED_DIGEST]; /* of what is compared */
	uint32_t contacts;
	bool marked;                   /* for whoever compares */
};

struct sorted {
	struct buf keys;               /* each with a NUL; over 4 GiB of them is too much */
	struct sorted_user *users;
	size_t n, cap;
	int fd;                        /* -1: no texts */
	uint64_t bytes;                /* in the file */
};

/* texts: there will be some. */
int sorted_init(struct sorted *s, bool texts, struct fault *f);
void sorted_release(struct sorted *s);
/* ret_user: to set digest in; valid until the next add.  Texts may be NULL. */
int sorted_add(struct sorted *s, const char *key, const char *a, size_t a_len, const char *b,
	       size_t b_len, struct sorted_user **ret_user, struct fault *f);
/* Sorts; a user who is there twice is REFUSED. */
int sorted_finish(struct sorted *s, struct fault *f);
const char *sorted_key(const struct sorted *s, const struct sorted_user *u);
/* Reads both texts of a user, one after the other. */
int sorted_texts(const struct sorted *s, const struct sorted_user *u, struct buf *out,
		 struct fault *f);
/* The user of that key, or NULL; after finish. */
struct sorted_user *sorted_find(const struct sorted *s, const char *key);

#endif
