/* arena.h -- memory that is freed all at once: strings and arrays of one graph. */
#ifndef CORE_PLAN_ARENA_H
#define CORE_PLAN_ARENA_H

#include "core/base/base.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* newest first */
	size_t left;                /* free bytes of the newest */
	size_t bytes;               /* allocated in all, for measurements */
};

struct arena *arena_new(void); /* NULL without memory */
void arena_free(struct arena *a); /* NULL is fine */

/* Zeroed, aligned for any type; NULL without memory. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_array(struct arena *a, size_t n, size_t size);

/* A NUL-terminated copy; s NULL gives NULL, so test for that before. */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t len);

#endif
