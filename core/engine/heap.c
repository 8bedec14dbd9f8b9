#include "core/base/base.h"
#include "core/engine/heap.h"

static bool
before(const struct heap *h, uint32_t a, uint32_t b)
{
	return h->key[a] > h->key[b] || (h->key[a] == h->key[b] && a < b);
}

static void
swap(struct heap *h, uint32_t i, uint32_t j)
{
	uint32_t t = h->item[i];

	h->item[i] = h->item[j];
	h->item[j] = t;
}

static void
sift_up(struct heap *h, uint32_t i)
{
	for (; i > 0 && before(h, h->item[i], h->item[(i - 1) / 2]); i = (i - 1) / 2)
		swap(h, i, (i - 1) / 2);
}

static void
sift_down(struct heap *h, uint32_t i)
{
	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= h->len)
			return;
		if (child + 1 < h->len && before(h, h->item[child + 1], h->item[child]))
			child++;
		if (!before(h, h->item[child], h->item[i]))
			return;
		swap(h, i, child);
		i = child;
	}
}

void
heap_push(struct heap *h, uint32_t number)
{
	h->item[h->len] = number;
	sift_up(h, h->len++);
}

static void
remove_at(struct heap *h, uint32_t i)
{
	h->item[i] = h->item[--h->len];
	if (i < h->len) {
		sift_down(h, i);
		sift_up(h, i);
	}
}

uint32_t
heap_pop(struct heap *h)
{
	uint32_t first;

	assert(h->len > 0);
	first = h->item[0];
	remove_at(h, 0);
	return first;
}

bool
heap_remove(struct heap *h, uint32_t number)
{
	for (uint32_t i = 0; i < h->len; i++)
		if (h->item[i] == number) {
			remove_at(h, i);
			return true;
		}
	return false;
}
