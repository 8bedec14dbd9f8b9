/* In which order changes are sent: what must be in one message stands together, and the
 * zones take turns. */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>
#include <string.h>

bool
change_same_owner(const struct change *a, const struct change *b)
{
	return a->zone == b->zone && a->will->owner_len == b->will->owner_len &&
	       !memcmp(a->will->owner, b->will->owner, a->will->owner_len);
}

static int
by_zone(const void *va, const void *vb)
{
	const struct change *a = va, *b = vb;

	if (a->zone != b->zone)
		return a->zone < b->zone ? -1 : 1;
	return rrset_order(a->will, b->will);
}

/* Where an alias takes the place of data, or the other way round, both must go in one
 * message, and neither may insist on the other not being there. */
static void
mark_swaps(struct change *changes, size_t n)
{
	for (size_t from = 0, to; from < n; from = to) {
		bool adds = false, removes = false, alias = false;

		for (to = from; to < n && change_same_owner(&changes[from], &changes[to]); to++) {
			adds |= changes[to].will->n > 0;
			removes |= changes[to].will->n == 0;
			alias |= changes[to].will->type == LDNS_RR_TYPE_CNAME;
		}
		for (size_t i = from; i < to; i++)
			changes[i].beside = adds && removes && alias;
	}
}

/* The messages of the zones go in turns, so that the server can work at several at once. */
static bool
take_turns(const struct step *s, struct change *changes, size_t n, size_t max_names)
{
	struct change *sorted = malloc(n * sizeof(*sorted));
	size_t *next = calloc(s->n_zones + 1, sizeof(*next)), out = 0;

	if (!sorted || !next) {
		free(sorted);
		free(next);
		return false;
	}
	memcpy(sorted, changes, n * sizeof(*sorted));
	for (size_t z = 1; z < s->n_zones; z++)
		next[z] = next[z - 1] + s->zones[z - 1].n_changes;
	for (size_t z = 0; out < n; z = (z + 1) % s->n_zones) {
		size_t k = 0;

		while (next[z] < n && sorted[next[z]].zone == &s->zones[z] &&
		       (k < max_names || sorted[next[z]].beside)) {
			changes[out++] = sorted[next[z]++];
			k++;
		}
	}
	free(sorted);
	free(next);
	return true;
}

bool
order_changes(struct step *s, struct change *changes, size_t n, size_t max_names)
{
	for (size_t i = 0; i < s->n_zones; i++)
		s->zones[i].n_changes = s->zones[i].n_done = 0;
	for (size_t i = 0; i < n; i++)
		changes[i].zone->n_changes++;
	rrset_sort(changes, n, sizeof(*changes), by_zone);
	mark_swaps(changes, n);
	return s->n_zones < 2 || take_turns(s, changes, n, max_names);
}
