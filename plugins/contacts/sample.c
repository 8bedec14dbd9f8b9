#include "plugins/contacts/sample.h"

#include <stdlib.h>
#include <string.h>

/* An index as a number that has nothing to do with its neighbours' (splitmix64). */
static uint64_t
scatter(uint64_t x)
{
	x = (x + 1) * UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Where a document goes (Vitter's algorithm R); not below want: nowhere. */
static uint64_t
place_of(const struct sample *s, uint64_t index)
{
	return index < s->want ? index : scatter(index) % (index + 1);
}

void
sample_begin(struct sample *s, uint64_t want)
{
	sample_release(s);
	s->want = want;
}

void
sample_release(struct sample *s)
{
	for (size_t i = 0; i < s->n; i++)
		free((char *)(uintptr_t)s->list[i].user);
	free(s->list);
	*s = (struct sample){0};
}

static void
lose(struct sample *s)
{
	sample_release(s);
	s->lost = true;
}

/* Both texts in one block, which user points to. */
static bool
copy(struct document *to, const struct document *from)
{
	size_t len = strlen(from->user) + 1;
	char *text = malloc(len + from->len + 1);

	if (!text)
		return false;
	memcpy(text, from->user, len);
	if (from->len)
		memcpy(text + len, from->body, from->len);
	*to = (struct document){from->index, text, text + len, from->len};
	return true;
}

void
sample_add(struct sample *s, const struct document *d)
{
	if (s->lost)
		return;
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 64;
		struct document *list = reallocarray(s->list, cap, sizeof *list);

		if (!list) {
			lose(s);
			return;
		}
		s->list = list;
		s->cap = cap;
	}
	if (s->bytes + d->len > SAMPLE_MAX_BYTES || !copy(&s->list[s->n], d)) {
		lose(s);
		return;
	}
	s->bytes += d->len;
	s->n++;
}

bool
sample_draws(const struct sample *s, uint64_t index)
{
	return !s->lost && place_of(s, index) < s->want;
}

void
sample_draw(struct sample *s, const struct document *d)
{
	uint64_t place = place_of(s, d->index);
	struct document taken;

	if (place >= s->n) {
		sample_add(s, d);
		return;
	}
	if (s->bytes - s->list[place].len + d->len > SAMPLE_MAX_BYTES || !copy(&taken, d)) {
		lose(s);
		return;
	}
	s->bytes += d->len - s->list[place].len;
	free((char *)(uintptr_t)s->list[place].user);
	s->list[place] = taken;
}

int
sample_each(const struct sample *s, int (*each)(void *arg, const struct document *d, struct fault *f),
	    void *arg, struct fault *f)
{
	for (size_t i = 0; i < s->n; i++)
		if (each(arg, &s->list[i], f) < 0)
			return f->rc;
	return 0;
}
