#include "core/base/base.h"
#include "core/base/vec.h"
#include "core/certify/cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of every how many cases one goes wrong a second time. */
#define SECOND_EVERY 4

static const char *const place_names[N_FAULT_PLACES] = {
	[FAULT_WRITE] = "write", [FAULT_SYNC] = "sync", [FAULT_TELL] = "tell",
	[FAULT_ANSWER] = "answer", [FAULT_EFFECT] = "effect",
};

#define AT(place) (1u << FAULT_##place)

static const struct {
	const char *name, *meaning;
	unsigned places; /* where it fits */
} acts[N_FAULT_ACTS] = {
	[FAULT_NONE] = {"none", "nothing", 0},
	[FAULT_KILL_BEFORE] = {"kill-before", "who does it is killed before",
			       AT(WRITE) | AT(SYNC) | AT(TELL) | AT(ANSWER) | AT(EFFECT)},
	[FAULT_KILL_TORN] = {"kill-torn", "who does it is killed when half of it is done",
			     AT(WRITE) | AT(TELL) | AT(ANSWER)},
	[FAULT_KILL_AFTER] = {"kill-after", "who does it is killed after",
			      AT(WRITE) | AT(SYNC) | AT(TELL) | AT(ANSWER) | AT(EFFECT)},
	[FAULT_POWER] = {"power", "power cut before; what was not synced is lost",
			 AT(WRITE) | AT(SYNC) | AT(TELL) | AT(ANSWER) | AT(EFFECT)},
	[FAULT_POWER_SOME] = {"power-some", "power cut after; some sectors that were not synced "
			      "are on disk", AT(WRITE) | AT(SYNC) | AT(TELL) | AT(EFFECT)},
	[FAULT_POWER_AFTER] = {"power-after", "power cut after; what was not synced is lost",
			       AT(SYNC) | AT(TELL) | AT(EFFECT)},
	[FAULT_NURSERY_BEFORE] = {"nursery-before", "the plugin's process is killed before",
				  AT(EFFECT)},
	[FAULT_NURSERY_AFTER] = {"nursery-after", "the plugin's process is killed after",
				 AT(EFFECT)},
	[FAULT_OWNER_BEFORE] = {"owner-before", "the orchestrator is killed before", AT(EFFECT)},
	[FAULT_OWNER_AFTER] = {"owner-after", "the orchestrator is killed after", AT(EFFECT)},
	[FAULT_ENOSPC] = {"enospc", "no space left, half of it is written",
			  AT(WRITE) | AT(SYNC) | AT(EFFECT)},
	[FAULT_EIO] = {"eio", "input/output errors from then on",
		       AT(WRITE) | AT(SYNC) | AT(EFFECT)},
	[FAULT_EIO_ONCE] = {"eio-once", "one input/output error", AT(WRITE) | AT(SYNC) | AT(EFFECT)},
	[FAULT_SHORT] = {"short", "half of it is written, which is told", AT(WRITE)},
	[FAULT_EIO_AFTER] = {"eio-after", "it is done, but reported as failed", AT(EFFECT)},
};

const char *
fault_place_name(enum fault_place place)
{
	return place_names[place];
}

const char *
fault_act_name(enum fault_act act)
{
	return acts[act].name;
}

const char *
fault_act_meaning(enum fault_act act)
{
	return acts[act].meaning;
}

bool
fault_fits(enum fault_place place, enum fault_act act)
{
	return acts[act].places & 1u << place;
}

uint64_t
case_random(uint64_t *seed)
{
	/* splitmix64 */
	uint64_t x = *seed += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* --- text ---------------------------------------------------------------- */

void
case_format(const struct fault_case *c, char text[CASE_TEXT_MAX])
{
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < c->n && len < CASE_TEXT_MAX; i++)
		len += (size_t)snprintf(text + len, CASE_TEXT_MAX - len,
					"%s%" PRIu32 ".%s.%" PRIu32 ".%s", i ? "+" : "",
					c->point[i].launch, place_names[c->point[i].place],
					c->point[i].at, acts[c->point[i].act].name);
}

static int
parse_point(const char *text, size_t len, struct point *ret)
{
	char word[CASE_TEXT_MAX], place[16], act[24];
	int end = -1;

	if (len >= sizeof(word))
		return E_INVALID;
	memcpy(word, text, len);
	word[len] = '\0';
	if (sscanf(word, "%" SCNu32 ".%15[a-z].%" SCNu32 ".%23[a-z-]%n", &ret->launch, place,
		   &ret->at, act, &end) != 4 || end != (int)len || !ret->launch || !ret->at)
		return E_INVALID;
	for (int p = 0; p < N_FAULT_PLACES; p++)
		for (int a = 1; a < N_FAULT_ACTS; a++)
			if (!strcmp(place, place_names[p]) && !strcmp(act, acts[a].name) &&
			    fault_fits((enum fault_place)p, (enum fault_act)a)) {
				ret->place = (enum fault_place)p;
				ret->act = (enum fault_act)a;
				return 0;
			}
	return E_INVALID;
}

int
case_parse(const char *text, struct fault_case *ret, struct error *err)
{
	struct fault_case c = {0};
	const char *at = text;

	for (;;) {
		size_t len = strcspn(at, "+");

		if (c.n == CASE_POINTS_MAX || parse_point(at, len, &c.point[c.n]) < 0)
			return error_set(err, E_INVALID, "'%s' is no case: LAUNCH.PLACE.NUMBER.FAULT is, "
					 "such as 1.write.17.kill-torn, or two of them with a + "
					 "between", text);
		c.n++;
		if (!at[len])
			break;
		at += len + 1;
	}
	*ret = c;
	return 0;
}

/* --- choice -------------------------------------------------------------- */

static uint32_t
below(uint64_t *seed, uint64_t n)
{
	return n ? (uint32_t)(case_random(seed) % n) : 0;
}

static void
shuffle(struct fault_case *item, size_t n, uint64_t *seed)
{
	for (size_t i = n; i > 1; i--) {
		size_t k = below(seed, i);
		struct fault_case was = item[i - 1];

		item[i - 1] = item[k];
		item[k] = was;
	}
}

/* What a failed sync has lost shows when the power fails later; other faults get a second one
 * now and then.  It is early in the next launch, which may have little left to do. */
static void
add_second(struct fault_case *c, const struct case_counts *counts, uint64_t *seed)
{
	bool lost = c->point[0].place == FAULT_SYNC &&
		    (c->point[0].act == FAULT_EIO || c->point[0].act == FAULT_EIO_ONCE ||
		     c->point[0].act == FAULT_ENOSPC);
	struct point *p = &c->point[1];

	if (!lost && below(seed, SECOND_EVERY))
		return;
	p->launch = c->point[0].launch + 1;
	do {
		p->place = (enum fault_place)below(seed, N_FAULT_PLACES);
		p->act = (enum fault_act)(1 + below(seed, N_FAULT_ACTS - 1));
		if (lost)
			p->act = below(seed, 2) ? FAULT_POWER : FAULT_POWER_SOME;
	} while (!fault_fits(p->place, p->act));
	p->at = 1 + below(seed, counts->at[CASE_LAUNCHES - 1][p->place]);
	c->n = 2;
}

/* All cases of one kind: one launch, one place, one act. */
static int
add_kind(struct case_list *list, const struct case_counts *counts, struct point point,
	 uint64_t *seed)
{
	uint32_t n = counts->at[point.launch - 1][point.place];

	if (vec_reserve(&list->item, list->len + n, &list->cap) < 0)
		return E_NOMEM;
	for (point.at = 1; point.at <= n; point.at++) {
		struct fault_case *c = &list->item[list->len++];

		*c = (struct fault_case){.n = 1, .point = {point}};
		add_second(c, counts, seed);
	}
	shuffle(list->item + list->len - n, n, seed);
	return 0;
}

/* Takes one case of each kind in turn until there are max. */
static void
choose(struct case_list *list, const size_t *start, size_t n_kinds, size_t max,
       struct fault_case *chosen)
{
	size_t n = 0;

	for (size_t round = 0; n < max; round++)
		for (size_t k = 0; k < n_kinds && n < max; k++)
			if (start[k] + round < start[k + 1])
				chosen[n++] = list->item[start[k] + round];
	memcpy(list->item, chosen, n * sizeof(*chosen));
	list->len = n;
}

int
cases_make(const struct case_counts *counts, size_t max, uint64_t seed, struct case_list *list,
	   struct error *err)
{
	size_t start[CASE_LAUNCHES * N_FAULT_PLACES * N_FAULT_ACTS + 1] = {0}, n = 0;
	struct fault_case *chosen;
	int rc = 0;

	for (uint32_t launch = 1; launch <= CASE_LAUNCHES; launch++)
		for (int p = 0; p < N_FAULT_PLACES; p++)
			for (int a = 1; rc == 0 && a < N_FAULT_ACTS; a++) {
				struct point point = {.launch = launch, .place = (enum fault_place)p,
						      .act = (enum fault_act)a};

				if (!fault_fits(point.place, point.act))
					continue;
				rc = add_kind(list, counts, point, &seed);
				start[++n] = list->len;
			}
	chosen = rc == 0 ? calloc(list->len + 1, sizeof(*chosen)) : NULL;
	if (!chosen)
		return error_set(err, E_NOMEM, "out of memory");
	if (max && max < list->len)
		choose(list, start, n, max, chosen);
	free(chosen);
	shuffle(list->item, list->len, &seed);
	return 0;
}
