/* heap.h -- a binary heap of step numbers in memory that is given to it.
 *
 * Order: the greater key first; among equal keys the lower number, so that
 * the same events always give the same schedule.
 */
#ifndef CORE_ENGINE_HEAP_H
#define CORE_ENGINE_HEAP_H

#include "core/base/base.h"

struct heap {
	uint32_t *item;     /* room for all that can ever be in it; borrowed */
	uint32_t len;       /* items in it */
	const int64_t *key; /* key of each number; borrowed, must not change for members */
};

void heap_push(struct heap *heap, uint32_t number);
/* The first; the heap must not be empty. */
uint32_t heap_pop(struct heap *heap);
/* Takes number out wherever it is; false when it is not a member.  O(n). */
bool heap_remove(struct heap *heap, uint32_t number);

#endif
