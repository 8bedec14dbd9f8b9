/* A growing run of bytes.  A failed allocation is remembered: add as much as you like,
 * look at failed once. */
#ifndef CONTACTS_BUF_H
#define CONTACTS_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *p;     /* NULL until the first byte */
	size_t len;
	size_t cap;
	bool failed; /* memory was short: the content is not whole */
};

/* Room for more bytes after len, or NULL. */
char *buf_room(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *text);
/* Forgets the content, keeps the memory. */
void buf_clear(struct buf *b);
void buf_release(struct buf *b);

#endif
