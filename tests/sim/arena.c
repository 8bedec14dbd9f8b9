#include "core/base/base.h"
#include "tests/sim/arena.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES (1 << 20)
#define ALIGN 16

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
char *__wrap_strdup(const char *s);

static struct {
	_Alignas(ALIGN) char bytes[ARENA_BYTES];
	size_t used;
	bool on, useless, full;
} arena;

void
arena_init(void)
{
#ifdef __SANITIZE_ADDRESS__
	arena.useless = true;
#endif
	arena.useless |= getenv("RESITE_UNDER_VALGRIND") != NULL;
	if (!arena.useless)
		json_set_alloc_funcs(__wrap_malloc, __wrap_free);
}

void
arena_on(void)
{
	arena.on = !arena.useless;
	arena.full = arena.useless;
	arena.used = 0;
}

bool
arena_had_room(void)
{
	return !arena.full;
}

void
arena_off(void)
{
	arena.on = false;
}

static bool
is_ours(const void *p)
{
	return (const char *)p >= arena.bytes && (const char *)p < arena.bytes + ARENA_BYTES;
}

void *
__wrap_malloc(size_t n)
{
	size_t need = (n + ALIGN - 1) / ALIGN * ALIGN;
	void *p;

	if (!arena.on || need > ARENA_BYTES - arena.used) {
		arena.full = true;
		return __real_malloc(n);
	}
	p = arena.bytes + arena.used;
	arena.used += need;
	return p;
}

void *
__wrap_calloc(size_t n, size_t size)
{
	void *p;

	if (!arena.on || n > ARENA_BYTES / (size ? size : 1)) {
		arena.full = true;
		return __real_calloc(n, size);
	}
	p = __wrap_malloc(n * size);
	return p ? memset(p, 0, n * size) : NULL;
}

/* Of a block of the arena nobody knows the size: what follows it is copied, too. */
void *
__wrap_realloc(void *p, size_t n)
{
	size_t have = is_ours(p) ? (size_t)(arena.bytes + arena.used - (char *)p) : 0;
	void *bigger;

	if (p && !is_ours(p))
		return __real_realloc(p, n);
	bigger = __wrap_malloc(n);
	return bigger && p ? memcpy(bigger, p, have < n ? have : n) : bigger;
}

void
__wrap_free(void *p)
{
	if (!is_ours(p))
		__real_free(p);
}

char *
__wrap_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = __wrap_malloc(n);

	return copy ? memcpy(copy, s, n) : NULL;
}
