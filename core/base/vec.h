/* vec.h -- growth of an array; the only thing about arrays that repeats.
 *
 *	struct { struct thing *item; size_t len, cap; } things = {0};
 *	if (vec_reserve(&things.item, things.len + 1, &things.cap) < 0) ...
 *	things.item[things.len++] = t;
 *
 * The array is freed with free(things.item).
 */
#ifndef CORE_BASE_VEC_H
#define CORE_BASE_VEC_H

#include "core/base/base.h"

/* Makes *(void **)array hold at least need items of `size` bytes; capacities
 * double.  0, or E_NOMEM with everything unchanged. */
int vec_grow(void *array, size_t size, size_t need, size_t *cap);

/* Mostly there is room: asking must cost nothing. */
static inline int
vec_room(void *array, size_t size, size_t need, size_t *cap)
{
	return need <= *cap ? 0 : vec_grow(array, size, need, cap);
}

#define vec_reserve(array, need, cap) \
	vec_room((void *)(array), sizeof(**(array)), (need), (cap))

#endif
