#include "plugins/contacts/buf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

char *
buf_room(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 256;
	char *grown;

	if (b->cap - b->len >= more)
		return b->p + b->len;
	if (more > SIZE_MAX / 4 || b->len > SIZE_MAX / 4) {
		b->failed = true;
		return NULL;
	}
	while (cap < b->len + more)
		cap *= 2;
	grown = realloc(b->p, cap);
	if (!grown) {
		b->failed = true;
		return NULL;
	}
	b->p = grown;
	b->cap = cap;
	return b->p + b->len;
}

void
buf_add(struct buf *b, const void *data, size_t len)
{
	char *to = len ? buf_room(b, len) : NULL;

	if (!to)
		return;
	memcpy(to, data, len);
	b->len += len;
}

void
buf_puts(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

void
buf_release(struct buf *b)
{
	free(b->p);
	*b = (struct buf){0};
}
