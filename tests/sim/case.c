#include "core/base/base.h"
#include "tests/sim/case.h"
#include "core/engine/sched.h"
#include "tests/golden/fake.h"
#include "tests/sim/chance.h"

#include <string.h>

const struct case_fate case_good_fate = {
	.probe_ms = 10, .work_ms = 90, .outcome = OUTCOME_OK, .told = true, .changes = 1, .total = 8,
};

const char *
case_step_name(uint32_t i)
{
	static const char *const names[CASE_STEPS] = {
		"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l",
		"m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x",
	};

	return names[i];
}

const char *
case_actor(uint32_t i)
{
	static const char *const names[CASE_ACTORS] = {"ann", "bob", "cat"};

	return names[i];
}

/* --- drawing ------------------------------------------------------------- */

enum shape { SHAPE_WIDE, SHAPE_CHAINS, SHAPE_LAYERS, SHAPE_DIAMOND, SHAPE_ANY, N_SHAPES };

/* What a case is like: one is calm, another one is a bad night. */
struct character {
	uint32_t shape, width; /* width: steps side by side */
	uint32_t edges;        /* SHAPE_ANY: one in so many */
	uint32_t limited;      /* one step in so many takes a limit */
	uint32_t faults;       /* one attempt in so many goes wrong; 0: none */
	uint32_t specials;     /* one step in so many is no t.do */
	bool modal;            /* there are steps of one mode only */
};

static uint32_t
low_bits(uint32_t n)
{
	return n >= 32 ? UINT32_MAX : (1u << n) - 1;
}

static uint32_t
draw_after(struct chance *r, const struct character *ch, uint32_t i)
{
	uint32_t layer = i / ch->width, start = layer * ch->width;

	switch (ch->shape) {
	case SHAPE_CHAINS:
		return i < ch->width ? 0 : 1u << (i - ch->width);
	case SHAPE_LAYERS:
		return layer ? low_bits(start) & ~low_bits(start - ch->width) &
				       (uint32_t)(chance_next(r) | 1u << (start - 1)) : 0;
	case SHAPE_DIAMOND: /* one, many, one, many, … */
		start = i - i % (ch->width + 1);
		return i == 0 ? 0 : i == start ? low_bits(start) & ~low_bits(start - ch->width) :
					  1u << start;
	case SHAPE_ANY: {
		uint32_t after = 0;

		for (uint32_t k = 0; k < i; k++)
			after |= (uint32_t)chance_one_in(r, ch->edges) << k;
		return after;
	}
	default: /* SHAPE_WIDE */
		return i > 3 && chance_one_in(r, 8) ? 1u << chance_below(r, i) : 0;
	}
}

static uint8_t
draw_outcome(struct chance *r)
{
	static const uint8_t bad[] = {
		OUTCOME_TRANSIENT, OUTCOME_TRANSIENT, OUTCOME_CONFLICT, OUTCOME_REFUSED,
		OUTCOME_INVALID,   OUTCOME_BUG,       OUTCOME_UNKNOWN,  OUTCOME_UNKNOWN,
		OUTCOME_CANCELLED,
	};

	return bad[chance_below(r, COUNT_OF(bad))];
}

static struct case_fate
draw_fate(struct chance *r, const struct character *ch)
{
	uint64_t x = chance_next(r);
	struct case_fate f = case_good_fate;

	f.probe_ms = 1 + (x & 127);
	f.work_ms = 1 + (x >> 7 & 1023);
	f.changes = x >> 17 & 7;
	f.told = x >> 20 & 7;
	f.total = x >> 33 & 31 ? 8 : 0;
	f.undo = x >> 23 & 7 ? 0 : 1 + (x >> 26 & 3);
	f.notes = !(x >> 28 & 15);
	f.moved = !(x >> 38 & 7);
	if (!ch->faults || !chance_one_in(r, ch->faults))
		return f;
	f.outcome = draw_outcome(r);
	x = chance_next(r);
	f.retry_after_ms = x & 3 ? 0 : (uint16_t)(x >> 2 & 511);
	f.early = !(x >> 11 & 3);
	f.silent = !(x >> 13 & 15);
	f.told = x >> 17 & 1;
	return f;
}

static uint8_t
draw_kind(struct chance *r, const struct character *ch)
{
	static const uint8_t special[] = {KIND_BLIND, KIND_BLIND, KIND_BLIND, KIND_LOOK,
					  KIND_LOOK,  KIND_JOIN,  KIND_JOIN,  KIND_GATE};

	return chance_one_in(r, ch->specials) ? special[chance_below(r, COUNT_OF(special))] :
						KIND_DO;
}

static void
draw_step(struct chance *r, const struct character *ch, struct sim_case *c, uint32_t i)
{
	static const uint8_t policies[] = {ON_FAILURE_ASK, ON_FAILURE_ASK, ON_FAILURE_ASK,
					   ON_FAILURE_ASK, ON_FAILURE_CONTINUE,
					   ON_FAILURE_CONTINUE, ON_FAILURE_CONTINUE,
					   ON_FAILURE_STOP};
	static const uint8_t rehearsals[] = {REHEARSE_PROBE, REHEARSE_RUN, REHEARSE_SKIP,
					     REHEARSE_RUN};
	uint64_t x = chance_next(r);
	struct case_step *s = &c->step[i];

	s->kind = draw_kind(r, ch);
	s->tries = (uint8_t)(1 + (x & 3));
	s->on_failure = policies[x >> 30 & 7];
	s->rehearse = rehearsals[x >> 4 & 3];
	s->needs = x >> 6 & 1 ? 1 : (uint8_t)(1 + (x >> 7 & 15) % CASE_ACTORS);
	s->expect_max = x >> 11 & 7 || s->kind != KIND_DO ? -1 : 5;
	s->expect_percent = x >> 14 & 7 || s->kind != KIND_DO ? -1 : 60;
	s->backoff_ms = (uint16_t)(100 * (x >> 17 & 3));
	s->max_backoff_ms = x >> 19 & 1 ? 0 : 350;
	s->timeout_ms = x >> 20 & 7 ? 2000 : 500;
	s->weight_ms = (uint16_t)(1 + (x >> 23 & 127));
	s->limits = 0;
	for (uint32_t k = 0; k < c->n_limits && s->kind <= KIND_LOOK; k++)
		s->limits |= (uint8_t)(chance_one_in(r, ch->limited) << k);
	s->modes = MODE_BIT(RESITE_DISASTER) | MODE_BIT(RESITE_PLANNED) |
		   MODE_BIT(RESITE_REHEARSAL);
	if (ch->modal && !(x >> 33 & 3))
		s->modes = MODE_BIT(x >> 35 & 1 ? RESITE_DISASTER : RESITE_PLANNED);
	s->after = draw_after(r, ch, i);
	for (uint32_t k = 0; k < CASE_FATES; k++)
		s->fate[k] = draw_fate(r, ch);
}

static void
draw_acts(struct chance *r, struct sim_case *c)
{
	static const uint8_t often[] = {ACT_APPROVE, ACT_RETRY, ACT_SKIP, ACT_BY_HAND, ACT_MODE};

	uint16_t at = 0;

	c->n_acts = (uint8_t)(chance_one_in(r, 3) ? 0 : chance_below(r, CASE_ACTS + 1));
	for (uint32_t i = 0; i < c->n_acts; i++) {
		/* Often several in a row: what one breaks, the next one shows. */
		if (!chance_one_in(r, 3))
			at += (uint16_t)chance_below(r, c->n_steps + 2u);
		c->act[i] = (struct case_act){
			.at = at,
			.wait_ms = (uint16_t)(chance_one_in(r, 2) ? 0 : chance_below(r, 300)),
			.kind = chance_one_in(r, 6) ? often[chance_below(r, COUNT_OF(often))] :
						      (uint8_t)chance_below(r, ACT_KINDS),
			.step = (uint8_t)chance_below(r, c->n_steps),
			.actor = (uint8_t)chance_below(r, CASE_ACTORS),
			.aimed = !chance_one_in(r, 4),
		};
	}
}

void
case_draw(struct sim_case *c, uint64_t seed, uint32_t max_steps)
{
	static const uint8_t modes[] = {RESITE_PLANNED, RESITE_DISASTER, RESITE_REHEARSAL};
	static const uint8_t faults[] = {0, 24, 12, 6, 3};
	struct chance r = {seed * 0x2545f4914f6cdd1du};
	struct character ch;
	uint32_t least = max_steps - max_steps / 5;

	c->n_steps = (uint8_t)(chance_one_in(&r, 16) ? 1 + chance_below(&r, max_steps) :
				       least + chance_below(&r, max_steps - least + 1));
	ch = (struct character){
		.shape = chance_below(&r, N_SHAPES), .width = 1 + chance_below(&r, 6),
		.edges = 2 + chance_below(&r, c->n_steps), .limited = 1 + chance_below(&r, 5),
		.faults = faults[chance_below(&r, COUNT_OF(faults))],
		.specials = 2 + chance_below(&r, 5),
	};
	c->n_limits = (uint8_t)chance_below(&r, CASE_LIMITS + 1);
	for (uint32_t i = 0; i < CASE_LIMITS; i++)
		c->limit[i] = (uint8_t)(1 + chance_below(&r, 3));
	c->jobs = (uint8_t)(1 + chance_below(&r, chance_one_in(&r, 2) ? 3 : 10));
	c->mode = modes[chance_below(&r, COUNT_OF(modes))];
	ch.modal = c->mode == RESITE_PLANNED && chance_one_in(&r, 3);
	c->help = (uint8_t)chance_below(&r, 4);
	c->waits = !chance_one_in(&r, 4);
	c->batch = chance_one_in(&r, 4);
	c->json = chance_one_in(&r, 16);
	c->bound = chance_one_in(&r, 16) ? (uint32_t)chance_next(&r) : 0;
	c->deadline_ms = chance_one_in(&r, 32) ? 1000 : 0;
	for (uint32_t i = 0; i < c->n_steps; i++)
		draw_step(&r, &ch, c, i);
	draw_acts(&r, c);
}

/* --- making it smaller --------------------------------------------------- */

void
case_drop_step(struct sim_case *c, uint32_t i)
{
	for (uint32_t k = i + 1; k < c->n_steps; k++) {
		uint32_t *after = &c->step[k].after;

		if (*after >> i & 1)
			*after |= c->step[i].after;
		*after = (*after & low_bits(i)) | (*after >> 1 & ~low_bits(i));
		c->step[k - 1] = c->step[k];
	}
	c->bound = (c->bound & low_bits(i)) | (c->bound >> 1 & ~low_bits(i));
	c->n_steps--;
	for (uint32_t k = 0; k < c->n_acts; k++)
		if (c->act[k].step > i || c->act[k].step >= c->n_steps)
			c->act[k].step--;
}

void
case_drop_act(struct sim_case *c, uint32_t i)
{
	c->n_acts--;
	memmove(&c->act[i], &c->act[i + 1], (c->n_acts - i) * sizeof(c->act[0]));
}

/* --- the graph ----------------------------------------------------------- */

static const struct schema_action *
action_of(enum case_kind kind)
{
	switch (kind) {
	case KIND_DO: return &fake_plugin.actions[FAKE_DO];
	case KIND_BLIND: return &fake_plugin.actions[FAKE_BLIND];
	case KIND_LOOK: return &fake_plugin.actions[FAKE_LOOK];
	case KIND_JOIN: return schema_action(schema_builtin(), "none");
	case KIND_GATE: break;
	}
	return schema_action(schema_builtin(), "approve");
}

static void
build_step(const struct sim_case *c, uint32_t i, struct case_graph *g)
{
	static const char *const params[] = {"{\"question\":\"?\",\"needs\":1}",
					     "{\"question\":\"?\",\"needs\":2}",
					     "{\"question\":\"?\",\"needs\":3}"};
	const struct case_step *s = &c->step[i];
	struct step *t = &g->step[i];

	*t = (struct step){
		.name = case_step_name(i), .plugin = s->kind >= KIND_JOIN ? "core" : "t",
		.action = action_of(s->kind), .after = g->after[i], .limits = g->limits[i],
		.params = s->kind == KIND_GATE ? params[s->needs - 1] : "{}",
		.timeout_ms = s->timeout_ms,
		.retry = {s->tries, s->backoff_ms, s->max_backoff_ms},
		.expect_max = s->expect_max, .expect_percent = s->expect_percent,
		.on_failure = s->on_failure, .rehearse = s->rehearse,
		.builtin = s->kind >= KIND_JOIN, .readonly = s->kind == KIND_LOOK,
		.modes = s->modes,
	};
	for (uint32_t k = 0; k < i; k++)
		if (s->after >> k & 1)
			g->after[i][t->n_after++] = k;
	for (uint32_t k = 0; k < c->n_limits; k++)
		if (s->limits >> k & 1)
			g->limits[i][t->n_limits++] = k;
	g->weight_ms[i] = s->weight_ms;
}

void
case_build(const struct sim_case *c, struct case_graph *g)
{
	static const char *const names[CASE_LIMITS] = {"x", "y", "z"};

	g->graph = (struct graph){.plan = "golden", .runbook = "move", .from = "a", .to = "b",
				  .mode = c->mode, .steps = g->step, .n_steps = c->n_steps,
				  .limits = g->limit, .n_limits = c->n_limits};
	for (uint32_t k = 0; k < c->n_limits; k++)
		g->limit[k] = (struct graph_limit){names[k], c->limit[k]};
	for (uint32_t i = 0; i < c->n_steps; i++)
		build_step(c, i, g);
}
