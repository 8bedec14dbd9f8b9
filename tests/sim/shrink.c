/* Delta debugging over the case itself: each kind of cut is tried until none helps. */
#include "core/base/base.h"
#include "tests/sim/shrink.h"

#include <string.h>

struct shrinking {
	struct sim *s;
	struct sim_case *best;  /* it breaks the rule */
	struct sim_case trial;  /* a copy that a cut is made in */
	const char *rule;
	uint64_t tries;
};

/* Keeps the trial when it breaks the rule, too. */
static bool
keep(struct shrinking *h)
{
	uint64_t cover[COVERS] = {0};
	bool same;

	if (!memcmp(&h->trial, h->best, sizeof(h->trial)))
		return false;
	sim_play(h->s, &h->trial, cover, NULL);
	same = h->s->broken && !strcmp(h->s->broken, h->rule);
	sim_release(h->s);
	h->tries++;
	if (same)
		*h->best = h->trial;
	return same;
}

static bool
drop_steps(struct shrinking *h)
{
	bool smaller = false;

	for (uint32_t i = h->best->n_steps; i-- > 0 && h->best->n_steps > 1;) {
		h->trial = *h->best;
		case_drop_step(&h->trial, i);
		smaller |= keep(h);
	}
	return smaller;
}

static bool
drop_acts(struct shrinking *h)
{
	bool smaller = false;

	for (uint32_t i = h->best->n_acts; i-- > 0;) {
		h->trial = *h->best;
		case_drop_act(&h->trial, i);
		smaller |= keep(h);
	}
	return smaller;
}

static bool
drop_edges(struct shrinking *h)
{
	bool smaller = false;

	for (uint32_t i = 0; i < h->best->n_steps; i++)
		for (uint32_t k = 0; k < i; k++) {
			h->trial = *h->best;
			h->trial.step[i].after &= ~(1u << k);
			smaller |= keep(h);
		}
	return smaller;
}

static bool
drop_limits(struct shrinking *h)
{
	bool smaller = false;

	for (uint32_t k = h->best->n_limits; k-- > 0;)
		for (uint32_t i = 0; i < h->best->n_steps; i++) {
			h->trial = *h->best;
			h->trial.step[i].limits &= (uint8_t)~(1u << k);
			smaller |= keep(h);
		}
	h->trial = *h->best;
	for (uint32_t i = h->trial.n_limits; i-- > 0;) {
		uint8_t used = 0;

		for (uint32_t k = 0; k < h->trial.n_steps; k++)
			used |= h->trial.step[k].limits;
		if (used >> i)
			break;
		h->trial.n_limits--;
	}
	return keep(h) || smaller;
}

static bool
calm_fates(struct shrinking *h)
{
	bool smaller = false;

	for (uint32_t i = 0; i < h->best->n_steps; i++)
		for (uint32_t k = 0; k < CASE_FATES; k++) {
			struct case_fate calm = h->best->step[i].fate[k];

			h->trial = *h->best;
			h->trial.step[i].fate[k] = case_good_fate;
			if (keep(h)) {
				smaller = true;
				continue;
			}
			calm.silent = calm.notes = calm.early = calm.moved = false;
			calm.retry_after_ms = calm.undo = 0;
			calm.probe_ms = case_good_fate.probe_ms;
			calm.work_ms = case_good_fate.work_ms;
			h->trial.step[i].fate[k] = calm;
			smaller |= keep(h);
		}
	return smaller;
}

/* A step as the most ordinary one, property by property. */
static void
calm_step(struct case_step *s, uint32_t property)
{
	switch (property) {
	case 0: s->kind = KIND_DO; break;
	case 1: s->tries = 1; break;
	case 2: s->on_failure = ON_FAILURE_ASK; break;
	case 3: s->rehearse = REHEARSE_RUN; break;
	case 4: s->needs = 1; break;
	case 5: s->expect_max = s->expect_percent = -1; break;
	case 6: s->backoff_ms = 0; break;
	case 7: s->max_backoff_ms = 0; break;
	case 8: s->timeout_ms = 2000; break;
	case 9: s->weight_ms = 1; break;
	case 10: s->modes = MODE_BIT(RESITE_PLANNED) | MODE_BIT(RESITE_DISASTER) |
			    MODE_BIT(RESITE_REHEARSAL); break;
	}
}

static bool
calm_steps(struct shrinking *h)
{
	bool smaller = false;

	for (uint32_t i = 0; i < h->best->n_steps; i++)
		for (uint32_t p = 0; p < 11; p++) {
			h->trial = *h->best;
			calm_step(&h->trial.step[i], p);
			smaller |= keep(h);
		}
	return smaller;
}

static void
calm_run(struct sim_case *c, uint32_t property)
{
	switch (property) {
	case 0: c->mode = RESITE_PLANNED; break;
	case 1: c->waits = true; break;
	case 2: c->batch = false; break;
	case 3: c->json = false; break;
	case 4: c->deadline_ms = 0; break;
	case 5: c->help = 0; break;
	case 6: c->jobs = 8; break;
	case 7: c->jobs = 1; break;
	case 8: c->bound = 0; break;
	}
}

static bool
calm_whole(struct shrinking *h)
{
	bool smaller = false;

	for (uint32_t p = 0; p < 9; p++) {
		if (p == 7 && h->best->jobs == 8)
			continue;
		h->trial = *h->best;
		calm_run(&h->trial, p);
		smaller |= keep(h);
	}
	return smaller;
}

/* Acts as early as they may be, at the first person's word. */
static bool
calm_acts(struct shrinking *h)
{
	bool smaller = false;

	for (uint32_t i = 0; i < h->best->n_acts; i++) {
		struct case_act *a = &h->trial.act[i];

		h->trial = *h->best;
		a->at /= 2;
		smaller |= keep(h);
		h->trial = *h->best;
		a->at = (uint16_t)(a->at ? a->at - 1 : 0);
		smaller |= keep(h);
		h->trial = *h->best;
		a->wait_ms = a->actor = 0;
		smaller |= keep(h);
	}
	return smaller;
}

uint64_t
shrink(struct sim *s, struct sim_case *c)
{
	static bool (*const cuts[])(struct shrinking *) = {
		drop_steps, drop_acts, drop_edges, drop_limits, calm_whole,
		calm_fates, calm_steps, calm_acts,
	};
	uint64_t cover[COVERS] = {0};
	struct shrinking h = {.s = s, .best = c};
	bool smaller = true;

	sim_play(s, c, cover, NULL);
	h.rule = s->broken;
	sim_release(s);
	while (smaller && h.tries < 20000) {
		smaller = false;
		for (size_t i = 0; i < COUNT_OF(cuts); i++)
			smaller |= cuts[i](&h);
	}
	return h.tries;
}
