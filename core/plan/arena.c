#include "core/base/base.h"
#include "core/plan/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 65536u

struct arena_chunk {
	struct arena_chunk *next;
	alignas(max_align_t) char data[];
};

struct arena *
arena_new(void)
{
	return calloc(1, sizeof(struct arena));
}

void
arena_free(struct arena *a)
{
	struct arena_chunk *c = a ? a->chunks : NULL;

	while (c) {
		struct arena_chunk *next = c->next;

		free(c);
		c = next;
	}
	free(a);
}

/* The unused end of a chunk is data + CHUNK_BYTES - left; a block that is large
 * gets a chunk of its own, put behind the newest so that its rest stays in use. */
static void *
alloc_large(struct arena *a, size_t size)
{
	struct arena_chunk *c = calloc(1, sizeof(*c) + size);

	if (!c)
		return NULL;
	a->bytes += sizeof(*c) + size;
	if (a->chunks) {
		c->next = a->chunks->next;
		a->chunks->next = c;
	} else {
		a->chunks = c;
		a->left = 0;
	}
	return c->data;
}

static void *
alloc_bytes(struct arena *a, size_t size, size_t align)
{
	struct arena_chunk *c;

	a->left -= a->left % align;
	if (size > CHUNK_BYTES / 4)
		return alloc_large(a, size);
	if (size > a->left) {
		c = calloc(1, sizeof(*c) + CHUNK_BYTES);
		if (!c)
			return NULL;
		a->bytes += sizeof(*c) + CHUNK_BYTES;
		c->next = a->chunks;
		a->chunks = c;
		a->left = CHUNK_BYTES;
	}
	a->left -= size;
	return a->chunks->data + (CHUNK_BYTES - a->left - size);
}

void *
arena_alloc(struct arena *a, size_t size)
{
	size_t align = alignof(max_align_t);

	if (size > SIZE_MAX / 2)
		return NULL;
	return alloc_bytes(a, (size + align - 1) / align * align, align);
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
	return size && n > SIZE_MAX / 2 / size ? NULL : arena_alloc(a, n * size);
}

char *
arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *copy = len < SIZE_MAX / 2 ? alloc_bytes(a, len + 1, 1) : NULL;

	if (copy)
		memcpy(copy, s, len);
	return copy;
}

char *
arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_strndup(a, s, strlen(s)) : NULL;
}
