/* Where bytes come from, and pieces of text that belong to somebody else. */
#ifndef CONTACTS_BYTES_H
#define CONTACTS_BYTES_H

#include "plugins/contacts/fault.h"

#include <stdbool.h>
#include <stddef.h>

/* Bytes of a file, a part of an archive, or memory. */
struct bytes {
	/* Reads at most cap bytes; *ret_len 0 is the end; < 0 with f filled. */
	int (*read)(void *arg, void *buf, size_t cap, size_t *ret_len, struct fault *f);
	void *arg;
};

/* An input that can be read from its start more than once. */
struct input {
	int (*rewind)(void *arg, struct fault *f);
	struct bytes bytes;
};

/* Text of somebody else's: an attribute's value, say. */
struct slice {
	const char *s;
	size_t len;
};

bool slice_is(struct slice v, const char *text);

struct memory {
	struct slice all;  /* set by the caller */
	struct slice left;
};

/* Both belong to the caller and must outlive the input. */
struct input input_of_memory(struct memory *m);
struct input input_of_fd(int *fd);

/* struct bytes, for memory: arg is a struct slice, whose begin moves on. */
int bytes_from_memory(void *arg, void *buf, size_t cap, size_t *ret_len, struct fault *f);
/* For a file descriptor: arg is an int *. */
int bytes_from_fd(void *arg, void *buf, size_t cap, size_t *ret_len, struct fault *f);

#endif
