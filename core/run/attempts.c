/* Attempts of a run: how they begin, what is said to them, how they end. */
#include "core/base/base.h"
#include "core/base/log.h"
#include "core/base/vec.h"
#include "core/engine/decide.h"
#include "core/run/clean.h"
#include "core/run/faults.h"
#include "core/run/orchestra.h"

#include <stdlib.h>
#include <string.h>

static const struct step *
step_of(const struct live *a)
{
	return &a->run->l->graph->steps[a->step];
}

static struct step_facts *
facts_of(const struct live *a)
{
	return &a->run->l->state->facts[a->step];
}

json_t *
attempt_event(const struct live *a, const char *kind)
{
	json_t *event = event_new(kind, step_of(a)->name);

	if (event)
		json_object_set_new(event, "attempt", json_integer(a->n));
	return event;
}

static bool
may_apply(const struct live *a)
{
	return decide_may_apply(a->run->l->graph, a->step);
}

/* --- opening ------------------------------------------------------------- */

void
attempt_open(struct run *run, const struct sched_command *command)
{
	struct live *a = calloc(1, sizeof(*a));
	json_t *event;

	if (!a) {
		run_halt(run, &(struct error){E_NOMEM, "out of memory"});
		return;
	}
	*a = (struct live){.run = run, .step = command->step, .n = command->attempt};
	run->live[command->step] = a;
	run->n_live++;
	event = attempt_event(a, "attempt.started");
	if (event)
		json_object_set_new(event, "intent",
				    json_string(decide_intent(run->l->graph, a->step)));
	run_record(run, event);
	run_effect(run, (struct effect){.kind = EFFECT_START, .step = a->step, .n = a->n,
					.timeout_ms = command->timeout_ms});
}

static unsigned
phases_of(const struct live *a)
{
	if (may_apply(a) || step_of(a)->readonly)
		return PHASES_STEP;
	return PHASES_PREVIEW;
}

/* 0: it carries the step out. */
static int
revert_way(const struct live *a)
{
	if (!step_of(a)->records)
		return 0;
	return !strcmp(json_str_or(a->run->l->first, "diverged", ""), "restore") ? RESITE_FORCE
										   : RESITE_PUT_BACK;
}

static int
write_spec(const struct live *a, int64_t timeout_ms, struct strbuf *line, struct error *err)
{
	struct loaded *l = a->run->l;
	struct strbuf text = STRBUF_INIT;
	json_t *params = NULL;
	struct step_source from = undo_source_of(l, a->step);
	char why[ERROR_MAX];
	int rc = graph_step_ifs(l->graph, a->step, run_state_output, l->state, why, err);

	if (rc >= 0)
		rc = graph_step_params(from.graph, from.step, run_state_output,
				       (struct run_state *)(uintptr_t)from.state, &text, err);
	if (rc == 0) {
		params = json_parse(text.buf, text.len, err);
		rc = params ? 0 : E_INVALID;
	}
	if (rc == 0)
		protocol_write_attempt(line, &(struct attempt_spec){
			.run = l->run,
			.step = step_of(a)->name,
			.action = step_of(a)->action->name,
			.attempt = (int)a->n,
			.mode = l->state->mode,
			.timeout_ms = timeout_ms,
			.params = params,
			.phases = phases_of(a),
			.revert = revert_way(a),
			.judge = l->graph->way == WAY_FAILBACK,
			.n_records = step_of(a)->records,
			.hold = may_apply(a) && step_of(a)->action->has & SCHEMA_HAS_PROBE,
			.checkpoint = facts_of(a)->checkpoint,
			.checkpoint_data = facts_of(a)->checkpoint_data,
		});
	if (rc == 0 && line->failed)
		rc = error_set(err, E_NOMEM, "out of memory");
	json_decref(params);
	strbuf_release(&text);
	return rc;
}

static const struct attempt_events attempt_events;

static void over(struct live *a, enum sched_outcome outcome, json_t *event);

/* The attempt could not be made: nothing has run. */
static void
never_started(struct live *a, const struct error *why)
{
	enum sched_outcome outcome = why->code == E_INVALID ? OUTCOME_INVALID : OUTCOME_TRANSIENT;
	json_t *event = attempt_event(a, "attempt.ended");

	if (event) {
		json_object_set_new(event, "phase", json_string(phase_name(PHASE_NONE)));
		json_object_set_new(event, "text", json_string_lossy(why->text));
	}
	over(a, outcome, event);
}

static void
start(struct live *a, int64_t timeout_ms)
{
	struct strbuf line = STRBUF_INIT;
	struct error err = {0};
	struct nursery *nursery;
	char tag[TAG_MAX];
	int rc;

	tag_write(tag, a->run->lock.scope, a->run->l->run, step_of(a)->name, a->n);
	rc = write_spec(a, timeout_ms, &line, &err);

	if (rc == 0)
		rc = plugins_nursery(a->run->plugins, step_of(a)->plugin, &nursery, &err);
	if (rc == 0)
		rc = attempt_start(nursery, line.buf, line.len, tag, timeout_ms, &attempt_events, a,
				   &a->attempt, &err);
	strbuf_release(&line);
	if (rc < 0)
		never_started(a, &err);
}

void
attempt_carry_out(struct run *run, const struct effect *e)
{
	struct live *a = run->live[e->step];

	/* It may have ended while its event became durable. */
	if (!a || a->n != e->n || (!a->attempt && e->kind != EFFECT_START))
		return;
	switch (e->kind) {
	case EFFECT_START: start(a, e->timeout_ms); break;
	case EFFECT_GO: attempt_go(a->attempt); break;
	case EFFECT_STOP: attempt_stop(a->attempt); break;
	case EFFECT_ACK: attempt_done(a->attempt, e->id, 0, NULL); break;
	}
}

static void
cancel(struct live *a, const char *why)
{
	if (!a || !a->attempt)
		return;
	a->cancelled = true;
	attempt_cancel(a->attempt, why);
}

void
attempts_cancel_all(struct run *run, const char *why)
{
	for (uint32_t i = 0; i < run->l->graph->n_steps; i++)
		cancel(run->live[i], why);
}

void
attempts_cancel_out(struct run *run, const char *why)
{
	for (uint32_t i = 0; i < run->l->graph->n_steps; i++)
		if (sched_is_out(run->l->state->sched, i))
			cancel(run->live[i], why);
}

void
attempt_refuse_ask(struct live *a, int64_t id)
{
	if (a->attempt)
		attempt_done(a->attempt, id, RESITE_ERR_CANCELLED, a->run->why.text);
}

void
attempts_refuse_asks(struct run *run)
{
	for (size_t i = 0; i < run->n_effects; i++) {
		const struct effect *e = &run->effect[i];
		struct live *a = run->live[e->step];

		if (e->kind == EFFECT_ACK && a && a->n == e->n)
			attempt_refuse_ask(a, e->id);
	}
	run->n_effects = 0;
}

/* --- ending ------------------------------------------------------------- */

void
attempt_enter(struct live *a, enum phase phase)
{
	int64_t now_ms = run_now_ms(a->run);

	if (a->phase != PHASE_NONE)
		a->phase_ms[a->phase] += now_ms - a->phase_since_ms;
	a->phase = phase;
	a->phase_since_ms = now_ms;
}

static enum sched_outcome
outcome_of_rc(const struct live *a, int rc)
{
	switch (rc) {
	case RESITE_OK: return OUTCOME_OK;
	case RESITE_PENDING: return OUTCOME_TRANSIENT;
	case RESITE_ERR_TRANSIENT: return OUTCOME_TRANSIENT;
	case RESITE_ERR_CONFLICT: return OUTCOME_CONFLICT;
	case RESITE_ERR_REFUSED: return OUTCOME_REFUSED;
	case RESITE_ERR_INVALID: return OUTCOME_INVALID;
	/* Stopped cleanly without our asking: its time was over. */
	case RESITE_ERR_CANCELLED: return a->cancelled ? OUTCOME_CANCELLED : OUTCOME_TRANSIENT;
	}
	return OUTCOME_BUG;
}

static enum sched_outcome
outcome_of(const struct live *a, const struct attempt_end *end)
{
	switch (end->outcome) {
	case ATTEMPT_CLEAN:
		return a->refused && end->rc == RESITE_OK ? OUTCOME_REFUSED :
							    outcome_of_rc(a, end->rc);
	case ATTEMPT_NOT_STARTED:
		return OUTCOME_TRANSIENT;
	default:
		return OUTCOME_UNKNOWN;
	}
}

static void
forget(struct live *a)
{
	a->run->live[a->step] = NULL;
	a->run->n_live--;
	faults_forget(a);
	json_decref(a->losses);
	undo_cursor_release(&a->cursor);
	free(a->refused);
	free(a);
}

/* Records the end and forgets the attempt.  event: attempt.ended without its
 * outcome; the reference is taken. */
static void
over(struct live *a, enum sched_outcome outcome, json_t *event)
{
	struct run *run = a->run;

	if (event)
		json_object_set_new(event, "outcome", json_string(sched_outcome_name(outcome)));
	forget(a);
	run_record(run, event);
}

void
attempts_forget_unstarted(struct run *run)
{
	for (uint32_t i = 0; i < run->l->graph->n_steps; i++)
		if (run->live[i] && !run->live[i]->attempt)
			forget(run->live[i]);
}

static void
set_text(const struct live *a, json_t *event, const char *key, const char *text)
{
	char *clean = text && *text ? clean_text(&a->run->secrets, text) : NULL;

	if (event && clean)
		json_object_set_new(event, key, json_string_lossy(clean));
	free(clean);
}

/* For the report: where the time of a long step went. */
static json_t *
phase_times(struct live *a)
{
	json_t *times = json_object();

	attempt_enter(a, PHASE_NONE);
	for (enum phase p = PHASE_CHECK; p < N_PHASES; p++)
		if (a->phase_ms[p] > 0)
			json_object_set_new(times, phase_name(p), json_integer(a->phase_ms[p]));
	return times;
}

static json_t *
ended_event(struct live *a, const struct attempt_end *end)
{
	json_t *event = attempt_event(a, "attempt.ended"), *times = phase_times(a);

	set_text(a, event, "phase", phase_name(end->phase));
	set_text(a, event, "param", end->param);
	set_text(a, event, "text", a->refused ? a->refused : end->text);
	set_text(a, event, "why", end->why);
	if (event && end->retry_after_ms)
		json_object_set_new(event, "retry_after_ms", json_integer(end->retry_after_ms));
	if (event && end->dropped)
		json_object_set_new(event, "log_dropped", json_integer((json_int_t)end->dropped));
	if (event) {
		json_object_set_new(event, "maxrss_kb", json_integer(end->maxrss_kb));
		json_object_set_new(event, "cpu_us", json_integer(end->cpu_us));
		if (json_object_size(times))
			json_object_set(event, "phase_ms", times);
	}
	json_decref(times);
	return event;
}

static void
on_ended(void *ctx, const struct attempt_end *end)
{
	struct live *a = ctx;

	a->attempt = NULL;
	over(a, outcome_of(a, end), ended_event(a, end));
}

static const struct attempt_events attempt_events = {
	.message = attempt_on_message, .undo = attempt_on_undo, .log = attempt_on_line,
	.ended = on_ended};

/* --- of an earlier orchestrator ---------------------------------------------- */

int
attempts_note_lost(struct run *run, const struct loaded *l, const struct run_lock *lock,
		   struct error *err)
{
	size_t n = run->n_lost + sched_count(l->state->sched, STEP_RUNNING);

	if (vec_reserve(&run->lost, n, &run->lost_cap) < 0)
		return error_set(err, E_NOMEM, "out of memory");
	for (uint32_t i = 0; run->n_lost < n && i < l->graph->n_steps; i++)
		if (sched_state(l->state->sched, i) == STEP_RUNNING)
			tag_write(run->lost[run->n_lost++], lock->scope, l->run,
				  l->graph->steps[i].name, sched_attempts(l->state->sched, i));
	return 0;
}

static bool
is_lost(void *ctx, const char *tag)
{
	const struct run *run = ctx;

	for (size_t i = 0; i < run->n_lost; i++)
		if (!strcmp(run->lost[i], tag))
			return true;
	return false;
}

/* The lock is free, so no worker lives.  But a daemon of theirs may have closed the lock,
 * and there are file systems on which locks do not hold. */
int
attempts_end_lost(struct run *run, int64_t wait_ms, struct error *err)
{
	unsigned left = run->n_lost ? tag_kill(0, is_lost, run, wait_ms) : 0;

	return left ? error_set(err, E_BUSY, "run %s: %u processes of attempts that were lost cannot "
				"be killed and may act: grep -l " TAG_VARIABLE "= /proc/*/environ finds "
				"them", run->l->run, left) : 0;
}
