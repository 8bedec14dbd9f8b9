#include "core/base/base.h"
#include "core/engine/approval.h"
#include "core/engine/decide.h"
#include "core/engine/run_state.h"

#include <stdlib.h>
#include <string.h>

struct applying {
	struct run_state *state;
	const struct run_event *event;
	uint32_t step;             /* event->step */
	struct step_facts *facts;  /* of that step, or NULL */
	int64_t time_ms;
	struct error *err;
};

static int
misfit(const struct applying *a, const char *how)
{
	const char *step = a->facts ? a->state->graph->steps[a->step].name : NULL;

	return error_set(a->err, E_CORRUPT, "event %s%s%s does not fit the run: %s",
			 run_event_name(a->event->kind), step ? " of step " : "",
			 step ? step : "", how);
}

/* Replaces *slot by a copy of text (NULL empties it). */
static int
keep(const struct applying *a, char **slot, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		return error_set(a->err, E_NOMEM, "out of memory");
	free(*slot);
	*slot = copy;
	return 0;
}

static int
keep_said(const struct applying *a, struct said *said)
{
	int rc = keep(a, &said->actor, a->event->actor ? a->event->actor : "?");

	said->kind = a->event->kind;
	said->at_ms = a->time_ms;
	return rc < 0 ? rc : keep(a, &said->reason, a->event->reason ? a->event->reason : "");
}

static int
apply_run_started(const struct applying *a)
{
	struct run_state *state = a->state;
	const json_t *steps = json_object_get(a->event->value, "steps");

	if (state->started_ms)
		return misfit(a, "it had started");
	state->started_ms = a->time_ms;
	state->previewed = json_incref(a->event->value);
	state->rehearsal = json_incref(a->event->rehearsal);
	for (uint32_t i = 0; steps && i < state->graph->n_steps; i++)
		state->facts[i].previewed = json_object_get(steps, state->graph->steps[i].name);
	return 0;
}

#define LOST "resite was lost while an attempt was open: its outcome is unknown"

/* Every open attempt was lost with its orchestrator. */
static int
lose_open_attempts(const struct applying *a)
{
	const struct graph *g = a->state->graph;

	for (uint32_t i = 0; i < g->n_steps; i++) {
		struct step_facts *f = &a->state->facts[i];

		if (sched_state(a->state->sched, i) != STEP_RUNNING)
			continue;
		f->in_doubt |= f->intent;
		f->intent = false;
		if (keep(a, &f->text, decide_can_probe(g, i) ? LOST "; a new one finds out" :
			 LOST ", and this action cannot probe; look for yourself, then say "
			 "by-hand, skip or retry") < 0)
			return E_NOMEM;
	}
	sched_lost(a->state->sched);
	return 0;
}

static int
apply_continue(const struct applying *a)
{
	sched_continue(a->state->sched);
	a->state->hold = HOLD_NONE;
	return 0;
}

static int
apply_run_resumed(const struct applying *a)
{
	if (lose_open_attempts(a) < 0)
		return E_NOMEM;
	return apply_continue(a);
}

static int
apply_nothing(const struct applying *a)
{
	(void)a;
	return 0;
}

static int
apply_residue(const struct applying *a)
{
	if (!a->state->rehearsal)
		return misfit(a, "it is no rehearsal");
	json_decref(a->state->residue);
	a->state->residue = json_incref(a->event->value);
	return 0;
}

static int
apply_run_ended(const struct applying *a)
{
	a->state->ended = true;
	return keep(a, &a->state->outcome, a->event->text);
}

/* An attempt to revert begins at the newest record again. */
static void
forget_reverted(struct step_facts *f)
{
	f->earlier = f->put_back;
	f->found = f->already = f->n_conflicts = 0;
	json_decref(f->conflicts);
	f->conflicts = NULL;
}

static int
apply_attempt_started(const struct applying *a)
{
	if (!sched_started(a->state->sched, a->step, a->event->attempt))
		return misfit(a, "the step was not ready for this attempt");
	if (!a->facts->started_ms)
		a->facts->started_ms = a->time_ms;
	a->facts->attempt_ms = a->time_ms;
	a->facts->intent = a->event->apply;
	if (a->event->revert)
		forget_reverted(a->facts);
	return 0;
}

/* What an attempt says counts only while it is the open one. */
static int
is_open(const struct applying *a)
{
	if (sched_state(a->state->sched, a->step) != STEP_RUNNING)
		return misfit(a, "no attempt was open");
	if (sched_attempts(a->state->sched, a->step) != a->event->attempt)
		return misfit(a, "another attempt was open");
	return 0;
}

static int
apply_attempt_probed(const struct applying *a)
{
	const struct run_event *e = a->event;

	a->facts->probed = e->told;
	a->facts->in_doubt &= !e->told;
	a->facts->intent |= e->apply;
	if (e->apply) /* what later probes find is our own doing */
		a->facts->previewed = NULL;
	a->facts->changes = e->changes;
	a->facts->total = e->total;
	json_decref(a->facts->losses);
	a->facts->losses = json_incref(e->value);
	return keep(a, &a->facts->now, e->text);
}

static int
apply_attempt_undo(const struct applying *a)
{
	a->facts->undo_records += a->event->records;
	return 0;
}

static int
apply_attempt_reverted(const struct applying *a)
{
	struct step_facts *f = a->facts;
	size_t n = json_array_size(a->event->value);

	f->put_back += a->event->put_back;
	f->found += a->event->already;
	f->already = f->found > f->earlier ? f->found - f->earlier : 0;
	f->n_conflicts += n;
	if (n && !f->conflicts)
		f->conflicts = json_array();
	for (size_t i = 0; i < n && json_array_size(f->conflicts) < CONFLICTS_KEPT; i++)
		if (json_array_append(f->conflicts, json_array_get(a->event->value, i)) < 0)
			return error_set(a->err, E_NOMEM, "out of memory");
	return 0;
}

static int
apply_attempt_checkpoint(const struct applying *a)
{
	int rc = keep(a, &a->facts->checkpoint, a->event->name);

	return rc < 0 ? rc : keep(a, &a->facts->checkpoint_data, a->event->data);
}

static int
apply_attempt_output(const struct applying *a)
{
	if (!a->facts->outputs)
		a->facts->outputs = json_object();
	if (!a->facts->outputs ||
	    json_object_set(a->facts->outputs, a->event->name, a->event->value) < 0)
		return error_set(a->err, E_NOMEM, "out of memory");
	return 0;
}

static int
apply_attempt_ended(const struct applying *a)
{
	const struct run_event *e = a->event;

	if (e->outcome < 0)
		return misfit(a, "its outcome is not known here");
	if (!sched_ended(a->state->sched, a->step, (enum sched_outcome)e->outcome,
			 e->retry_after_ms, a->time_ms))
		return misfit(a, "no attempt was open");
	a->facts->ended_ms = a->time_ms;
	if (e->outcome == OUTCOME_OK)
		a->facts->took_ms = a->time_ms - a->facts->attempt_ms;
	a->facts->in_doubt |= a->facts->intent && e->outcome == OUTCOME_UNKNOWN;
	a->facts->intent = false;
	return keep(a, &a->facts->text, e->outcome == OUTCOME_OK ? NULL : e->text);
}

static int
apply_gate_opened(const struct applying *a)
{
	if (!sched_gated(a->state->sched, a->step))
		return misfit(a, "the step was not ready");
	a->facts->started_ms = a->time_ms;
	return keep(a, &a->facts->now, a->event->text);
}

static int
apply_step_passed(const struct applying *a)
{
	if (!sched_passed(a->state->sched, a->step))
		return misfit(a, "the step was not ready");
	a->facts->started_ms = a->facts->ended_ms = a->time_ms;
	return keep(a, &a->facts->passed, a->event->text);
}

/* Approvals that are too old by now do not count any more. */
static void
drop_expired(const struct applying *a)
{
	struct approval_rule rule;
	size_t i = json_array_size(a->facts->approved);

	approval_rule_init(&rule, &a->state->graph->steps[a->step]);
	while (i-- > 0) {
		const json_t *one = json_array_get(a->facts->approved, i);

		if (approval_counts(&rule, json_int_or(one, "at_ms", 0), a->time_ms))
			continue;
		json_array_remove(a->facts->approved, i);
		sched_unapprove(a->state->sched, a->step);
	}
	approval_rule_release(&rule);
}

/* Whoever agrees counts once. */
static int
note_approval(const struct applying *a)
{
	const struct run_event *e = a->event;

	drop_expired(a);
	for (size_t i = 0; i < json_array_size(a->facts->approved); i++)
		if (approval_same_person(json_str_or(json_array_get(a->facts->approved, i), "actor", "?"),
					 e->actor))
			return misfit(a, "the same person has approved twice");
	if (!a->facts->approved)
		a->facts->approved = json_array();
	if (json_array_append_new(a->facts->approved,
				  json_pack("{s:s, s:I}", "actor", e->actor, "at_ms",
					    (json_int_t)(e->made_ms > 0 ? e->made_ms : a->time_ms))) < 0)
		return error_set(a->err, E_NOMEM, "out of memory");
	return 0;
}

static int
apply_approve(const struct applying *a)
{
	enum step_state now = sched_state(a->state->sched, a->step);
	int rc = now == STEP_GATE ? note_approval(a) : misfit(a, step_state_name(now));

	if (rc < 0)
		return rc;
	sched_approve(a->state->sched, a->step);
	a->facts->ended_ms = a->time_ms;
	return keep_said(a, &a->facts->said);
}

/* A person has settled the step, or set it free again. */
static int
apply_step_word(const struct applying *a, bool said)
{
	if (!said)
		return misfit(a, step_state_name(sched_state(a->state->sched, a->step)));
	a->facts->ended_ms = a->time_ms;
	a->facts->in_doubt = false;
	return keep_said(a, &a->facts->said);
}

static int
apply_retry(const struct applying *a)
{
	int rc = apply_step_word(a, sched_retry(a->state->sched, a->step));

	if (rc == 0)
		a->facts->previewed = NULL; /* a person has seen what the world is like now */
	return rc;
}

static int
apply_skip(const struct applying *a)
{
	return apply_step_word(a, sched_skip(a->state->sched, a->step));
}

static int
apply_by_hand(const struct applying *a)
{
	return apply_step_word(a, sched_by_hand(a->state->sched, a->step));
}

static int
hold(const struct applying *a, enum hold with)
{
	sched_stop(a->state->sched);
	a->state->hold = with;
	return keep_said(a, &a->state->hold_said);
}

static int
apply_pause(const struct applying *a)
{
	return hold(a, HOLD_PAUSE);
}

static int
apply_stop(const struct applying *a)
{
	return hold(a, a->event->now ? HOLD_STOP_NOW : HOLD_STOP);
}

/* The site that was to be left in good order is lost. */
static int
apply_mode(const struct applying *a)
{
	struct run_state *state = a->state;
	const struct graph *g = state->graph;

	if (state->mode != RESITE_PLANNED || a->event->mode != RESITE_DISASTER)
		return misfit(a, "only from planned to disaster can a run be switched");
	state->mode = a->event->mode;
	for (uint32_t i = 0; i < g->n_steps; i++)
		sched_set_out(state->sched, i, !(g->steps[i].modes & MODE_BIT(state->mode)));
	sched_refile(state->sched);
	return keep_said(a, &state->mode_said);
}

static int (*const apply_kind[EVENT_KINDS])(const struct applying *) = {
	[EVENT_RUN_STARTED] = apply_run_started,
	[EVENT_RUN_RESUMED] = apply_run_resumed,
	[EVENT_RUN_PAUSED] = apply_nothing,
	[EVENT_RUN_STOPPED] = apply_nothing,
	[EVENT_RUN_ENDED] = apply_run_ended,
	[EVENT_ATTEMPT_STARTED] = apply_attempt_started,
	[EVENT_ATTEMPT_PROBED] = apply_attempt_probed,
	[EVENT_ATTEMPT_UNDO] = apply_attempt_undo,
	[EVENT_ATTEMPT_REVERTED] = apply_attempt_reverted,
	[EVENT_ATTEMPT_CHECKPOINT] = apply_attempt_checkpoint,
	[EVENT_ATTEMPT_OUTPUT] = apply_attempt_output,
	[EVENT_ATTEMPT_ENDED] = apply_attempt_ended,
	[EVENT_GATE_OPENED] = apply_gate_opened,
	[EVENT_STEP_PASSED] = apply_step_passed,
	[EVENT_APPROVE] = apply_approve,
	[EVENT_RETRY] = apply_retry,
	[EVENT_SKIP] = apply_skip,
	[EVENT_BY_HAND] = apply_by_hand,
	[EVENT_PAUSE] = apply_pause,
	[EVENT_STOP] = apply_stop,
	[EVENT_CONTINUE] = apply_continue,
	[EVENT_MODE] = apply_mode,
	[EVENT_ABANDON] = apply_nothing,
	[EVENT_REFUSED] = apply_nothing,
	[EVENT_RUN_TOOK] = apply_nothing,
	[EVENT_RESIDUE] = apply_residue,
};

/* Such a word was judged by the state before time went on to it: a wait may have ended
 * since, and the word must fit nevertheless. */
static bool
is_word_to_step(enum event_kind kind)
{
	return kind == EVENT_APPROVE || kind == EVENT_RETRY || kind == EVENT_SKIP ||
	       kind == EVENT_BY_HAND;
}

int
run_state_take(struct run_state *state, const struct run_event *event, int64_t time_ms,
	       struct error *err)
{
	struct applying a = {.state = state, .event = event, .step = event->step,
			     .time_ms = time_ms, .err = err};
	int rc = 0;

	if (run_event_of_step(event->kind))
		a.facts = &state->facts[event->step];
	if (state->ended)
		return misfit(&a, "the run had ended");
	if (!is_word_to_step(event->kind))
		sched_time(state->sched, time_ms);
	if (run_event_of_attempt(event->kind) && event->kind != EVENT_ATTEMPT_STARTED)
		rc = is_open(&a);
	if (rc == 0)
		rc = apply_kind[event->kind](&a);
	sched_time(state->sched, time_ms);
	if (rc == 0 && time_ms > state->last_ms)
		state->last_ms = time_ms;
	return rc;
}

int
run_state_apply(struct run_state *state, const json_t *event, int64_t time_ms, struct error *err)
{
	struct run_event e;
	struct error why;
	const json_t *index = run_state_index(state);
	int rc = index ? run_event_read(event, index, &e, &why) : E_NOMEM;

	if (rc == E_NOMEM)
		return error_set(err, E_NOMEM, "out of memory");
	if (rc == E_INVALID)
		return error_set(err, E_CORRUPT, "%s: the journal is of a newer resite", why.text);
	if (rc < 0)
		return error_set(err, E_CORRUPT, "event %s does not fit the run: %s",
				 json_str_or(event, "kind", "?"), why.text);
	return run_state_take(state, &e, time_ms, err);
}

const char *
run_state_why_held(const struct run_state *state)
{
	switch (state->hold) {
	case HOLD_PAUSE: return "a person paused it";
	case HOLD_STOP:
	case HOLD_STOP_NOW: return "a person stopped it";
	case HOLD_NONE: break;
	}
	return "a step failed whose policy is to stop";
}

const char *
run_state_output(void *ctx, uint32_t step, const char *name)
{
	const struct run_state *state = ctx;

	return json_str_or(state->facts[step].outputs, name, NULL);
}

json_t *
event_new(const char *kind, const char *step)
{
	return step ? json_pack("{s:s, s:s}", "kind", kind, "step", step) :
		      json_pack("{s:s}", "kind", kind);
}
