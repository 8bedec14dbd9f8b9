#include "core/base/base.h"
#include "core/base/vec.h"
#include "core/engine/words.h"
#include "core/plan/mode.h"
#include "tests/golden/vrun.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void
broke(struct vrun *v, const char *what, const struct error *why)
{
	if (!v->broken.code)
		error_set(&v->broken, E_CORRUPT, "at %" PRId64 " ms, event %zu: %s: %s",
			  v->now_ms - VRUN_EPOCH_MS, v->n_journal, what, why->text);
}

int
vrun_init(struct vrun *v, const struct graph *graph, const struct run_config *config)
{
	*v = (struct vrun){.graph = graph, .config = *config, .now_ms = VRUN_EPOCH_MS};
	v->state = run_state_new(graph, config);
	v->shadow = run_state_new(graph, config);
	return v->state && v->shadow ? 0 : E_NOMEM;
}

void
vrun_release(struct vrun *v)
{
	run_state_free(v->state);
	run_state_free(v->shadow);
	for (size_t i = 0; i < v->n_journal; i++)
		json_decref(v->journal[i].event);
	free(v->journal);
	free(v->taken);
}

static void
say(struct vrun *v, const char *fmt, ...)
{
	va_list ap;

	if (!v->schedule)
		return;
	strbuf_addf(v->schedule, "%" PRId64 " ", v->now_ms - VRUN_EPOCH_MS);
	va_start(ap, fmt);
	strbuf_vaddf(v->schedule, fmt, ap);
	va_end(ap);
	strbuf_addch(v->schedule, '\n');
}

/* --- equality ------------------------------------------------------------ */

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
	if (a->put_back != b->put_back || a->already != b->already ||
	    a->n_conflicts != b->n_conflicts || !same_json(a->conflicts, b->conflicts))
		return "what was put back";
	if (!same_text(a->passed, b->passed))
		return "why it was passed over";
	if (!same_text(a->now, b->now) || !same_text(a->text, b->text))
		return "texts";
	if (!same_text(a->checkpoint, b->checkpoint) ||
	    !same_text(a->checkpoint_data, b->checkpoint_data))
		return "checkpoint";
	if (!same_json(a->outputs, b->outputs) || !same_json(a->losses, b->losses) ||
	    !same_json(a->approved, b->approved))
		return "outputs, losses or approvals";
	if (!same_said(&a->said, &b->said))
		return "last word";
	return NULL;
}

static const char *
steps_differ(const struct run_state *a, const struct run_state *b, uint32_t i)
{
	if (sched_state(a->sched, i) != sched_state(b->sched, i))
		return "state";
	if (sched_is_out(a->sched, i) != sched_is_out(b->sched, i))
		return "mode";
	if (sched_attempts(a->sched, i) != sched_attempts(b->sched, i))
		return "attempts";
	if (sched_approvals(a->sched, i) != sched_approvals(b->sched, i))
		return "approvals";
	return facts_differ(&a->facts[i], &b->facts[i]);
}

static const char *
runs_differ(const struct run_state *a, const struct run_state *b)
{
	if (sched_phase(a->sched) != sched_phase(b->sched) ||
	    sched_stopping(a->sched) != sched_stopping(b->sched))
		return "phase";
	if (sched_wake_ms(a->sched) != sched_wake_ms(b->sched))
		return "the next time to wake up";
	if (a->started_ms != b->started_ms || a->last_ms != b->last_ms)
		return "times";
	if (a->ended != b->ended || !same_text(a->outcome, b->outcome))
		return "end";
	if (a->mode != b->mode)
		return "mode";
	if (a->hold != b->hold || (a->hold && !same_said(&a->hold_said, &b->hold_said)))
		return "hold";
	for (int st = STEP_WAITING; st <= STEP_FAILED; st++)
		if (sched_count(a->sched, (enum step_state)st) !=
		    sched_count(b->sched, (enum step_state)st))
			return step_state_name((enum step_state)st);
	return NULL;
}

bool
vrun_same_state(const struct run_state *a, const struct run_state *b, struct error *err)
{
	const char *what = runs_differ(a, b);

	if (what) {
		error_set(err, E_CORRUPT, "the run's %s", what);
		return false;
	}
	for (uint32_t i = 0; i < a->graph->n_steps; i++) {
		what = steps_differ(a, b, i);
		if (!what)
			continue;
		error_set(err, E_CORRUPT, "step %s: %s (%s and %s)", a->graph->steps[i].name, what,
			  step_state_name(sched_state(a->sched, i)),
			  step_state_name(sched_state(b->sched, i)));
		return false;
	}
	return true;
}

/* --- the journal --------------------------------------------------------- */

/* Takes the reference.  A misfit leaves everything as it was. */
static bool
record(struct vrun *v, json_t *event, struct error *err)
{
	struct error why = {0};

	if (run_state_apply(v->state, event, v->now_ms, err) < 0 ||
	    vec_reserve(&v->journal, v->n_journal + 1, &v->journal_cap) < 0) {
		json_decref(event);
		return false;
	}
	v->journal[v->n_journal++] = (struct vevent){v->now_ms, event};
	if (run_state_apply(v->shadow, event, v->now_ms, &why) < 0)
		broke(v, "the journal cannot be folded", &why);
	else if (!vrun_same_state(v->state, v->shadow, &why))
		broke(v, "the fold differs from the live state", &why);
	return true;
}

/* An event of the orchestrator itself: it must fit. */
static void
must_record(struct vrun *v, json_t *event)
{
	struct error err = {E_NOMEM, "out of memory"};

	if (!event || !record(v, event, &err))
		broke(v, "an event of the run's own does not fit", &err);
}

struct run_state *
vrun_fold(struct vrun *v, size_t n)
{
	struct run_state *fold = run_state_new(v->graph, &v->config);
	struct error why = {E_NOMEM, "out of memory"};

	for (size_t i = 0; fold && i < n; i++)
		if (run_state_apply(fold, v->journal[i].event, v->journal[i].time_ms, &why) < 0) {
			run_state_free(fold);
			fold = NULL;
		}
	if (!fold)
		broke(v, "the journal cannot be folded from scratch", &why);
	return fold;
}

/* --- one turn: take_commands and look_for_end of core/run/run.c ---------- */

static void
open_attempt(struct vrun *v, const struct sched_command *c)
{
	json_t *event = event_new("attempt.started", v->graph->steps[c->step].name);

	json_object_set_new(event, "attempt", json_integer(c->attempt));
	json_object_set_new(event, "intent", json_string(decide_intent(v->graph, c->step)));
	must_record(v, event);
}

static void
open_gate(struct vrun *v, uint32_t step)
{
	const struct step *s = &v->graph->steps[step];
	json_t *params = json_parse(s->params, strlen(s->params), NULL);
	json_t *event = event_new("gate.opened", s->name);

	json_object_set_new(event, "text", json_string(json_str_or(params, "question", "")));
	json_decref(params);
	must_record(v, event);
}

static void
pass_step(struct vrun *v, uint32_t step)
{
	json_t *event = event_new("step.passed", v->graph->steps[step].name);
	char text[ERROR_MAX];
	const char *why = decide_why_passed(v->state, step, text);

	if (why)
		json_object_set_new(event, "why", json_string(why));
	must_record(v, event);
}

static void
take(struct vrun *v, const struct sched_command *c)
{
	const char *name = v->graph->steps[c->step].name;

	if (vec_reserve(&v->taken, v->n_taken + 1, &v->taken_cap) == 0)
		v->taken[v->n_taken++] = *c;
	if (v->on_command)
		v->on_command(v->ctx, c);
	switch (c->kind) {
	case COMMAND_START:
		say(v, "start %s %" PRIu32 " timeout=%" PRId64, name, c->attempt, c->timeout_ms);
		open_attempt(v, c);
		break;
	case COMMAND_GATE:
		say(v, "gate %s", name);
		open_gate(v, c->step);
		break;
	case COMMAND_PASS:
		say(v, "pass %s", name);
		pass_step(v, c->step);
		break;
	}
}

/* A resume at this point would take the very commands that were taken. */
static void
compare_commands(struct vrun *v, struct run_state *fold)
{
	struct error why = {0};
	struct sched_command c;
	size_t n = 0;

	sched_time(fold->sched, v->now_ms);
	for (; sched_next(fold->sched, &c); n++) {
		const struct sched_command *t = n < v->n_taken ? &v->taken[n] : NULL;

		if (t && c.kind == t->kind && c.step == t->step && c.attempt == t->attempt &&
		    c.timeout_ms == t->timeout_ms)
			continue;
		error_set(&why, E_CORRUPT, "it takes %s, the live run took %s",
			  v->graph->steps[c.step].name,
			  t ? v->graph->steps[t->step].name : "nothing more");
		broke(v, "a fold decides otherwise", &why);
		return;
	}
	if (n == v->n_taken)
		return;
	error_set(&why, E_CORRUPT, "it takes %zu commands, the live run took %zu", n, v->n_taken);
	broke(v, "a fold decides otherwise", &why);
}

static void
say_end(struct vrun *v, const char *kind, const char *key, const char *value)
{
	json_t *event = event_new(kind, NULL);

	json_object_set_new(event, key, json_string(value));
	say(v, "%s: %s", strchr(kind, '.') + 1, value);
	must_record(v, event);
}

static void
stay(struct vrun *v, const char *why)
{
	if (!v->paused_said)
		say_end(v, "run.paused", "why", why);
	v->paused_said = true;
}

static void
rest(struct vrun *v)
{
	const char *why = run_state_why_held(v->state);

	if (v->state->hold == HOLD_PAUSE) {
		stay(v, why);
		return;
	}
	v->over = true;
	say_end(v, "run.stopped", "why", why);
}

static void
look_for_end(struct vrun *v)
{
	const struct sched *s = v->state->sched;

	switch (sched_phase(s)) {
	case RUN_ACTIVE:
		break;
	case RUN_DONE:
		v->over = true;
		say_end(v, "run.ended", "outcome", decide_outcome(v->state));
		break;
	case RUN_PAUSED:
		stay(v, sched_count(s, STEP_ASK) ? "a step has failed" : "an approval is wanted");
		break;
	case RUN_STOPPED:
		rest(v);
		break;
	}
}

static void
turn(struct vrun *v)
{
	struct run_state *fold = v->deep ? vrun_fold(v, v->n_journal) : NULL;
	struct sched_command c;

	v->n_taken = 0;
	v->n_before = v->n_journal;
	sched_time(v->state->sched, v->now_ms);
	while (sched_next(v->state->sched, &c))
		take(v, &c);
	if (fold)
		compare_commands(v, fold);
	run_state_free(fold);
	look_for_end(v);
}

void
vrun_start(struct vrun *v, const char *const *only, size_t n_only)
{
	json_t *event = event_new("run.started", NULL), *list = json_array();

	json_object_set_new(event, "runbook", json_string(v->graph->runbook));
	json_object_set_new(event, "from", json_string(v->graph->from));
	json_object_set_new(event, "to", json_string(v->graph->to));
	json_object_set_new(event, "mode", json_string(mode_name(v->graph->mode)));
	for (size_t i = 0; i < n_only; i++)
		json_array_append_new(list, json_string(only[i]));
	json_object_set_new(event, "only", list);
	json_object_set_new(event, "jobs", json_integer(v->config.jobs));
	if (v->previewed)
		json_object_set(event, "previewed", v->previewed);
	must_record(v, event);
	turn(v);
}

void
vrun_until(struct vrun *v, int64_t time_ms)
{
	while (!v->over && sched_wake_ms(v->state->sched) <= time_ms) {
		if (sched_wake_ms(v->state->sched) > v->now_ms)
			v->now_ms = sched_wake_ms(v->state->sched);
		turn(v);
	}
	if (time_ms > v->now_ms)
		v->now_ms = time_ms;
}

bool
vrun_event(struct vrun *v, json_t *event, struct error *err)
{
	if (!record(v, event, err))
		return false;
	if (v->over)
		return true;
	turn(v);
	v->n_before--; /* what a worker says shares the commit of what follows from it */
	return true;
}

bool
vrun_word(struct vrun *v, json_t *event, struct error *err)
{
	char said[ERROR_MAX] = "";

	if (v->over && !v->state->ended) {
		error_set(err, E_NOTFOUND, "the run is not under way");
		json_decref(event);
		return false;
	}
	if (word_judge_json(v->state, event, v->now_ms, said, err) < 0 || *said) {
		if (*said)
			error_set(err, 0, "%s", said);
		json_decref(event);
		return false;
	}
	v->paused_said = false;
	if (!record(v, event, err)) {
		broke(v, "a word that is allowed does not fit", err);
		return false;
	}
	turn(v);
	return true;
}

bool
vrun_resume(struct vrun *v, struct error *err)
{
	struct run_state *fold;

	if (v->state->ended) {
		error_set(err, E_REFUSED, "the run has ended (%s)", v->state->outcome);
		return false;
	}
	fold = vrun_fold(v, v->n_journal);
	if (!fold)
		return false;
	run_state_free(v->state);
	v->state = fold;
	v->over = v->paused_said = false;
	must_record(v, event_new("run.resumed", NULL));
	turn(v);
	return true;
}

bool
vrun_cut(struct vrun *v, struct error *err)
{
	struct run_state *fold = vrun_fold(v, v->n_before), *shadow = vrun_fold(v, v->n_before);

	if (!fold || !shadow) {
		run_state_free(fold);
		run_state_free(shadow);
		return false;
	}
	while (v->n_journal > v->n_before)
		json_decref(v->journal[--v->n_journal].event);
	run_state_free(v->state);
	run_state_free(v->shadow);
	v->state = fold;
	v->shadow = shadow;
	return vrun_resume(v, err);
}
