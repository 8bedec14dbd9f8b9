#include "core/base/base.h"
#include "tests/sim/sim.h"
#include "core/engine/sched_parts.h"

#include <string.h>

/* The scheduler's own numbers; where a ready step is listed may differ. */
static const char *
nodes_differ(const struct node *a, const struct node *b)
{
	if (a->state != b->state)
		return "state";
	if (a->blockers != b->blockers)
		return "dependencies";
	if (a->attempts != b->attempts || a->tries != b->tries)
		return "attempts and tries";
	if (a->flags != b->flags || a->passed_over != b->passed_over)
		return "whether it is of the mode";
	if (a->stops != b->stops)
		return "whether it stops the run";
	return a->needs != b->needs ? "approvals" : NULL;
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool
same_json(json_t *a, json_t *b)
{
	return a == b || (a && b && json_equal(a, b));
}

static bool
same_said(const struct said *a, const struct said *b)
{
	return a->kind == b->kind && a->at_ms == b->at_ms && same_text(a->actor, b->actor) &&
	       same_text(a->reason, b->reason);
}

static const char *
facts_differ(const struct step_facts *a, const struct step_facts *b)
{
	if (a->started_ms != b->started_ms || a->ended_ms != b->ended_ms)
		return "times";
	if (a->changes != b->changes || a->total != b->total || a->probed != b->probed)
		return "what the probe told";
	if (a->intent != b->intent || a->in_doubt != b->in_doubt)
		return "intent and doubt";
	if (a->undo_records != b->undo_records)
		return "undo records";
	if (!a->previewed != !b->previewed)
		return "whether it is bound to a preview";
	if (!same_text(a->now, b->now) || !same_text(a->text, b->text) ||
	    !same_text(a->checkpoint, b->checkpoint) ||
	    !same_text(a->checkpoint_data, b->checkpoint_data))
		return "texts";
	if (!same_json(a->outputs, b->outputs) || !same_json(a->losses, b->losses) ||
	    !same_json(a->approved, b->approved))
		return "outputs, losses or approvals";
	if (!same_said(&a->said, &b->said))
		return "last word";
	return NULL;
}

static const char *
runs_differ(const struct run_state *a, const struct run_state *b)
{
	const struct sched *x = a->sched, *y = b->sched;

	if (x->told_to_stop != y->told_to_stop || x->stoppers != y->stoppers || x->running != y->running)
		return "phase";
	for (uint32_t k = 0; k < x->n_limits; k++)
		if (x->limit[k].used != y->limit[k].used)
			return "places of a limit";
	if (memcmp(x->count, y->count, sizeof(x->count)) != 0)
		return "counts of steps";
	if (a->started_ms != b->started_ms || a->last_ms != b->last_ms ||
	    a->ended != b->ended || !same_text(a->outcome, b->outcome))
		return "times or end";
	if (a->mode != b->mode)
		return "mode";
	if (a->hold != b->hold || (a->hold && !same_said(&a->hold_said, &b->hold_said)))
		return "hold";
	return NULL;
}

/* Whether any step's numbers differ.  No branch in the loop: this is asked at each commit. */
static bool
some_node_differs(const struct sched *x, const struct sched *y)
{
	uint32_t d = 0;

	for (uint32_t i = 0; i < x->n_steps; i++) {
		const struct node *a = &x->node[i], *b = &y->node[i];

		d |= (a->blockers ^ b->blockers) | (a->attempts ^ b->attempts) |
		     (a->tries ^ b->tries) | (uint32_t)(a->needs ^ b->needs) |
		     (uint32_t)(a->state ^ b->state) | (uint32_t)(a->stops ^ b->stops) |
		     (uint32_t)(a->flags ^ b->flags) |
		     (uint32_t)(a->passed_over ^ b->passed_over);
	}
	for (uint32_t k = 0; k < x->sleeping.len; k++) {
		uint32_t i = x->sleeping.item[k];

		d |= x->wake_key[i] != y->wake_key[i];
	}
	return d;
}

const char *
sim_differs(const struct sim *s, uint32_t touched, uint32_t *ret_step)
{
	const struct run_state *a = s->live, *b = s->durable;
	const char *what = runs_differ(a, b);

	if (!what && some_node_differs(a->sched, b->sched)) {
		what = "time to wake";
		for (uint32_t i = 0; i < s->c->n_steps; i++) {
			const char *how = nodes_differ(&a->sched->node[i], &b->sched->node[i]);

			*ret_step = how ? i : *ret_step;
			what = how ? how : what;
		}
	}
	for (; !what && touched; touched &= touched - 1) {
		*ret_step = (uint32_t)__builtin_ctz(touched);
		what = facts_differ(&a->facts[*ret_step], &b->facts[*ret_step]);
	}
	return what;
}

/* --- the JSON form ------------------------------------------------------- */

static void
put_probed(json_t *j, const struct run_event *e)
{
	json_object_set_new(j, "told", json_boolean(e->told));
	json_object_set_new(j, "changes", json_integer((json_int_t)e->changes));
	json_object_set_new(j, "total", json_integer((json_int_t)e->total));
	json_object_set_new(j, "now", json_string(e->text));
	json_object_set_new(j, "decision", json_string(e->apply ? "apply" : "look"));
}

static void
put_ended(json_t *j, const struct run_event *e)
{
	json_object_set_new(j, "outcome",
			    json_string(sched_outcome_name((enum sched_outcome)e->outcome)));
	json_object_set_new(j, "why", json_string(e->text));
	if (e->retry_after_ms)
		json_object_set_new(j, "retry_after_ms", json_integer(e->retry_after_ms));
}

json_t *
sim_json(const struct sim *s, const struct run_event *e)
{
	json_t *j = event_new(run_event_name(e->kind), run_event_of_step(e->kind) ?
			      s->built.step[e->step].name : NULL);

	if (run_event_of_attempt(e->kind))
		json_object_set_new(j, "attempt", json_integer(e->attempt));
	switch (e->kind) {
	case EVENT_RUN_STARTED:
		if (e->value)
			json_object_set(j, "previewed", e->value);
		break;
	case EVENT_RUN_ENDED: json_object_set_new(j, "outcome", json_string(e->text)); break;
	case EVENT_ATTEMPT_STARTED:
		json_object_set_new(j, "intent", json_string(e->apply ? "apply" : "probe"));
		break;
	case EVENT_ATTEMPT_PROBED: put_probed(j, e); break;
	case EVENT_ATTEMPT_UNDO:
		json_object_set_new(j, "n", json_integer((json_int_t)e->records));
		break;
	case EVENT_ATTEMPT_CHECKPOINT:
		json_object_set_new(j, "name", json_string(e->name));
		json_object_set_new(j, "data", json_string(e->data));
		break;
	case EVENT_ATTEMPT_OUTPUT:
		json_object_set_new(j, "name", json_string(e->name));
		json_object_set(j, "value", e->value);
		break;
	case EVENT_ATTEMPT_ENDED: put_ended(j, e); break;
	case EVENT_GATE_OPENED: json_object_set_new(j, "text", json_string(e->text)); break;
	default:
		if (e->actor)
			json_object_set_new(j, "actor", json_string(e->actor));
		if (e->reason)
			json_object_set_new(j, "reason", json_string(e->reason));
		if (e->mode)
			json_object_set_new(j, "mode", json_string(mode_name(e->mode)));
		if (e->now)
			json_object_set_new(j, "now", json_true());
		break;
	}
	return j;
}
