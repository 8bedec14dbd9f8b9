#include "core/base/base.h"
#include "core/base/strbuf.h"
#include "core/engine/undo.h"
#include "core/plan/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what a step has done ------------------------------------------------ */

/* Whether it was carried out, or may have been. */
static bool
has_acted(const struct run_state *st, uint32_t i)
{
	const struct step_facts *f = &st->facts[i];
	enum step_state now = sched_state(st->sched, i);

	return now == STEP_DONE || now == STEP_BY_HAND || f->undo_records || f->in_doubt || f->intent;
}

static bool
is_open(enum step_state now)
{
	return now == STEP_WAITING || now == STEP_READY || now == STEP_GATE;
}

/* Why a step that has written no undo record is passed over. */
static const char *
why_passed(const struct run_state *st, uint32_t i)
{
	const struct step *s = &st->graph->steps[i];
	const struct step_facts *f = &st->facts[i];
	enum step_state now = sched_state(st->sched, i);

	if (f->passed && !s->builtin)
		return "was passed over by the run";
	if (sched_is_out(st->sched, i))
		return "was not in the run's mode";
	if (s->builtin)
		return "no action: nothing to put back";
	if (s->readonly || !(s->action->has & SCHEMA_HAS_APPLY))
		return "only reads";
	if (now == STEP_BY_HAND)
		return "was done by hand: put it back by hand";
	if (now == STEP_SKIPPED && !f->in_doubt)
		return "was skipped";
	if (is_open(now) && !f->started_ms)
		return "was never started";
	if (f->probed && !f->changes && !f->in_doubt)
		return "changed nothing";
	if (s->action->flags & RESITE_ACT_CARRIES)
		return "moves data: nothing to put back; what it brought stays there";
	if (s->action->flags & RESITE_ACT_NOTIFY)
		return "was seen by people: it cannot be unsent";
	if (now != STEP_DONE && !has_acted(st, i))
		return "changed nothing";
	return "wrote no undo record: if it changed something, put it back by hand";
}

/* --- points of no return ------------------------------------------------- */

/* For each step the point of no return, passed, that it is or comes after; GRAPH_NO_STEP:
 * none.  To be freed; NULL without memory. */
static uint32_t *
points_passed(const struct run_state *st)
{
	const struct graph *g = st->graph;
	uint32_t *point = calloc(g->n_steps + 1, sizeof(*point));

	for (uint32_t k = 0; point && k < g->n_steps; k++) {
		uint32_t i = g->topo[k];
		const struct step *s = &g->steps[i];

		point[i] = s->point_of_no_return && has_acted(st, i) ? i : GRAPH_NO_STEP;
		for (uint32_t a = 0; a < s->n_after && point[i] == GRAPH_NO_STEP; a++)
			point[i] = point[s->after[a]];
	}
	return point;
}

/* --- the choice ---------------------------------------------------------- */

struct deciding {
	const struct run_state *origin;
	const struct undo_choice *choice;
	const uint32_t *point;
	uint32_t past;         /* the first step past a point of no return; or GRAPH_NO_STEP */
	uint32_t n_reverted;
	struct strbuf before;  /* the names of those that are not past one */
	json_t *list;
};

static bool
is_chosen(const struct undo_choice *c, const char *name)
{
	for (size_t i = 0; i < c->n_only; i++) {
		size_t len = strlen(c->only[i]);

		/* A step stands for its parts, too: pools[x], web/dns. */
		if (!strncmp(c->only[i], name, len) && strchr("[/", name[len]))
			return true;
	}
	return !c->only || !c->n_only;
}

static int
check_names(const struct run_state *st, const struct undo_choice *c, struct error *err)
{
	for (size_t i = 0; c->only && i < c->n_only; i++)
		if (!json_object_get(st->index, c->only[i]))
			return error_set(err, E_NOTFOUND, "the run has no step '%s' (--only takes names "
					 "of steps here; resite status shows them)", c->only[i]);
	return 0;
}

static json_t *
decide_step(struct deciding *d, uint32_t i)
{
	const char *name = d->origin->graph->steps[i].name;
	uint64_t records = d->origin->facts[i].undo_records;

	if (!is_chosen(d->choice, name))
		return json_pack("{s:s, s:s}", "step", name, "why", "was not asked for (--only)");
	if (!records)
		return json_pack("{s:s, s:s}", "step", name, "why", why_passed(d->origin, i));
	d->n_reverted++;
	if (d->point[i] == GRAPH_NO_STEP)
		strbuf_addf(&d->before, "%s%s", d->before.len ? "," : "", name);
	else if (d->past == GRAPH_NO_STEP)
		d->past = i;
	return json_pack("{s:s, s:I}", "step", name, "records", (json_int_t)records);
}

static int
refuse_past(const struct deciding *d, struct error *err)
{
	const struct step *steps = d->origin->graph->steps;
	uint32_t point = d->point[d->past];
	char after[256] = "";

	if (point != d->past)
		snprintf(after, sizeof(after), "came after step %.200s, ", steps[point].name);
	return error_set(err, E_REFUSED, "step %s %sa point of no return that was passed: it is put back "
			 "only with --past-no-return --reason '...'%s%s", steps[d->past].name,
			 *after ? after : "is ", d->before.len ? "; the others alone: --only " : "",
			 d->before.len ? d->before.buf : "");
}

static int
decide_all(struct deciding *d, struct error *err)
{
	for (uint32_t i = 0; i < d->origin->graph->n_steps; i++)
		if (json_array_append_new(d->list, decide_step(d, i)) < 0)
			return error_set(err, E_NOMEM, "out of memory");
	if (!d->n_reverted)
		return error_set(err, E_REFUSED, "there is nothing to undo: %s has written an undo "
				 "record", d->choice->n_only ? "none of these steps" : "no step");
	if (d->past != GRAPH_NO_STEP && !d->choice->past_no_return)
		return refuse_past(d, err);
	return 0;
}

int
undo_decide(const struct run_state *origin, const struct undo_choice *choice, json_t **ret,
	    struct error *err)
{
	uint32_t *point = points_passed(origin);
	struct deciding d = {.origin = origin, .choice = choice, .point = point,
			     .past = GRAPH_NO_STEP, .before = STRBUF_INIT, .list = json_array()};
	int rc = check_names(origin, choice, err);

	if (rc == 0)
		rc = point && d.list ? decide_all(&d, err) : error_set(err, E_NOMEM, "out of memory");
	if (rc == 0)
		*ret = json_incref(d.list);
	json_decref(d.list);
	strbuf_release(&d.before);
	free(point);
	return rc;
}

/* --- the graph ----------------------------------------------------------- */

static int
bind_step(struct graph *g, struct step *s, const json_t *one, struct error *err)
{
	const char *why = json_str_or(one, "why", NULL);

	if (strcmp(json_str_or(one, "step", ""), s->name))
		return error_set(err, E_CORRUPT, "the undo knows nothing of step %s", s->name);
	s->records = (uint64_t)json_int_or(one, "records", 0);
	if (s->records)
		return 0;
	s->pass_why = arena_strdup(g->own, why ? why : "nothing to put back");
	return s->pass_why ? 0 : error_set(err, E_NOMEM, "out of memory");
}

int
undo_bind(struct graph *g, const json_t *decided, struct error *err)
{
	int rc = 0;

	if (json_array_size(decided) != g->n_steps)
		return error_set(err, E_CORRUPT, "the undo is of %zu steps, its run has %" PRIu32,
				 json_array_size(decided), g->n_steps);
	for (uint32_t i = 0; i < g->n_steps && rc == 0; i++)
		rc = bind_step(g, &g->steps[i], json_array_get(decided, i), err);
	if (rc < 0)
		return rc;
	g->way = WAY_UNDO;
	return graph_turn(g) < 0 ? error_set(err, E_NOMEM, "out of memory") : 0;
}

uint64_t
undo_conflicts(const struct run_state *st)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < st->graph->n_steps; i++)
		if (sched_state(st->sched, i) == STEP_DONE)
			n += st->facts[i].n_conflicts;
	return n;
}
