#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/vec.h"
#include "core/engine/decide.h"
#include "core/run/durations.h"
#include "core/run/hear.h"
#include "core/run/orchestra.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- events -------------------------------------------------------------- */

int64_t
run_now_ms(const struct run *run)
{
	return run->wall0_ms + (clock_mono_ms() - run->mono0_ms);
}

void
run_log(struct run *run, uint32_t step, int level, const char *fmt, ...)
{
	struct strbuf text = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(&text, fmt, ap);
	va_end(ap);
	redact_text(&run->secrets, &text);
	run->observer->log(run->observer->ctx, run->l->state, step, level, text.buf);
	strbuf_release(&text);
}

void
run_halt(struct run *run, const struct error *why)
{
	if (run->halted)
		return;
	run->halted = true;
	run->why = *why;
	run->exit_status = why->code == E_FENCED ? EXIT_FENCED : EXIT_FAILED;
	attempts_cancel_all(run, "the journal cannot be written");
	attempts_refuse_asks(run);
}

/* Applies and queues event (borrowed); key NULL: it has no member as text.  Failure
 * leaves state and journal as they were when the event does not fit. */
static int
record_text(struct run *run, json_t *event, const char *key, const char *value, size_t len,
	    struct error *err)
{
	int64_t now_ms = run_now_ms(run);
	int rc = run_state_apply(run->l->state, event, now_ms, err);

	if (rc == 0)
		rc = key ? journal_add_text(run->journal, now_ms, event, key, value, len, err) :
			   journal_add(run->journal, now_ms, event, err);
	if (rc == 0 && vec_reserve(&run->shown, run->n_shown + 1, &run->shown_cap) < 0)
		rc = error_set(err, E_NOMEM, "out of memory");
	if (rc == 0)
		run->shown[run->n_shown++] = json_incref(event);
	return rc;
}

int
run_try_record(struct run *run, json_t *event, struct error *err)
{
	return record_text(run, event, NULL, NULL, 0, err);
}

void
run_record_text(struct run *run, json_t *event, const char *key, const char *value, size_t len)
{
	struct error err = {E_NOMEM, "out of memory"};

	if (!run->halted && (!event || record_text(run, event, key, value, len, &err) < 0))
		run_halt(run, &err);
	json_decref(event);
}

void
run_record(struct run *run, json_t *event)
{
	run_record_text(run, event, NULL, NULL, 0);
}

void
run_effect(struct run *run, struct effect effect)
{
	if (vec_reserve(&run->effect, run->n_effects + 1, &run->effects_cap) < 0)
		run_halt(run, &(struct error){E_NOMEM, "out of memory"});
	else
		run->effect[run->n_effects++] = effect;
}

/* --- one turn of the loop ------------------------------------------------ */

static void
open_gate(struct run *run, uint32_t step)
{
	struct loaded *l = run->l;
	json_t *event = event_new("gate.opened", l->graph->steps[step].name);
	struct strbuf text = STRBUF_INIT;
	struct error err = {0};
	json_t *params = NULL;
	const char *question = err.text;

	/* An output that is missing is told in place of the question: a person will see. */
	if (graph_step_params(l->graph, step, run_state_output, l->state, &text, &err) == 0) {
		params = json_parse(text.buf, text.len, NULL);
		question = json_str_or(params, "question", "");
	}
	if (event)
		json_object_set_new(event, "text", json_string_lossy(question));
	json_decref(params);
	strbuf_release(&text);
	run_record(run, event);
}

static void
pass_step(struct run *run, uint32_t step)
{
	json_t *event = event_new("step.passed", run->l->graph->steps[step].name);
	char text[ERROR_MAX];
	const char *why = decide_why_passed(run->l->state, step, text);

	if (event && why)
		json_object_set_new(event, "why", json_string(why));
	run_record(run, event);
}

static void
take_commands(struct run *run)
{
	struct sched_command c;

	sched_time(run->l->state->sched, run_now_ms(run));
	while (!run->halted && sched_next(run->l->state->sched, &c)) {
		switch (c.kind) {
		case COMMAND_START:
			attempt_open(run, &c);
			break;
		case COMMAND_GATE:
			open_gate(run, c.step);
			break;
		case COMMAND_PASS:
			pass_step(run, c.step);
			break;
		}
	}
}

static void
show_events(struct run *run)
{
	for (size_t i = 0; i < run->n_shown; i++) {
		run->observer->event(run->observer->ctx, run->l->state, run->shown[i]);
		json_decref(run->shown[i]);
	}
	run->n_shown = 0;
}

/* Makes what was queued durable, then does what waited for it. */
void
run_commit(struct run *run)
{
	struct error err = {0};
	struct effect *effects;
	size_t n;

	if (run->halted)
		return;
	if (journal_flush(run->journal, &err) < 0) {
		run_halt(run, &err);
		return;
	}
	show_events(run);
	/* Carrying out may queue new effects: they belong to the next commit. */
	effects = run->effect;
	n = run->n_effects;
	run->effect = NULL;
	run->n_effects = run->effects_cap = 0;
	for (size_t i = 0; i < n; i++)
		attempt_carry_out(run, &effects[i]);
	free(effects);
}

static void
finish(struct run *run, int exit_status, json_t *event)
{
	run_record(run, event);
	run_commit(run);
	if (!run->halted)
		run->exit_status = exit_status;
	run->over = true;
}

static json_t *
pause_event(const char *kind, const char *why)
{
	json_t *event = event_new(kind, NULL);

	if (event)
		json_object_set_new(event, "why", json_string(why));
	return event;
}

/* A rehearsal is not over before it was put back and compared (run/rehearse.h). */
static void
finish_done(struct run *run)
{
	const char *outcome = decide_outcome(run->l->state);
	json_t *event, *took = durations_event(run->l->state);

	if (took)
		run_record(run, took);
	if (run->l->state->rehearsal)
		event = pause_event("run.paused", "every step is through; next, what was changed is "
				    "put back");
	else
		event = event_new("run.ended", NULL);
	if (event && !run->l->state->rehearsal)
		json_object_set_new(event, "outcome", json_string(outcome));
	finish(run, strcmp(outcome, "done") ? EXIT_FAILED : EXIT_DONE, event);
}

/* Waits for a person's word; that it does is told once. */
static void
stay(struct run *run, const char *why)
{
	if (run->paused_said)
		return;
	run->paused_said = true;
	run_record(run, pause_event("run.paused", why));
	run_commit(run);
}

/* Nothing runs and nothing is ready: a person is wanted. */
static void
pause_run(struct run *run)
{
	const struct sched *s = run->l->state->sched;
	const char *why = sched_count(s, STEP_ASK) ? "a step has failed" : "an approval is wanted";

	if (run->options->wait_for_person && run->control)
		stay(run, why);
	else
		finish(run, EXIT_PAUSED, pause_event("run.paused", why));
}

/* Nothing runs, and nothing may start. */
static void
rest(struct run *run)
{
	const struct run_state *state = run->l->state;
	const char *why = run_state_why_held(state);

	if (state->hold == HOLD_PAUSE)
		stay(run, why);
	else
		finish(run, state->hold == HOLD_NONE ? EXIT_FAILED : EXIT_PAUSED,
		       pause_event("run.stopped", why));
}

static void
look_for_end(struct run *run)
{
	if (run->halted)
		attempts_forget_unstarted(run);
	if (run->n_live || run->over)
		return;
	if (run->halted) {
		run->over = true;
		return;
	}
	switch (sched_phase(run->l->state->sched)) {
	case RUN_ACTIVE:
		run->paused_said = false;
		break;
	case RUN_DONE:
		finish_done(run);
		break;
	case RUN_PAUSED:
		pause_run(run);
		break;
	case RUN_STOPPED:
		rest(run);
		break;
	}
}

static void
on_wake(uv_timer_t *timer)
{
	(void)timer; /* the turn that follows does the work */
}

static void
arm_wake(struct run *run)
{
	int64_t at = sched_wake_ms(run->l->state->sched), now = run_now_ms(run);

	if (at == INT64_MAX)
		uv_timer_stop(&run->wake);
	else
		uv_timer_start(&run->wake, on_wake, at > now ? (uint64_t)(at - now) : 0, 0);
}

static void
turn(struct run *run)
{
	do {
		take_commands(run);
		run_commit(run);
		/* A start that failed at once has queued its end. */
	} while (!run->halted && (journal_pending(run->journal) || run->n_effects));
	look_for_end(run);
	if (run->over)
		uv_stop(&run->loop);
	else
		arm_wake(run);
}

static void
on_turn(uv_prepare_t *prepare)
{
	turn(prepare->data);
}

/* --- a run's life -------------------------------------------------------- */

static void
on_plugin_log(void *ctx, const char *plugin, const char *text)
{
	run_log(ctx, SCHED_NONE, LOG_WARN, "plugin %s: %s", plugin, text);
}

static void
init_handles(struct run *run)
{
	uv_prepare_init(&run->loop, &run->turn);
	uv_timer_init(&run->loop, &run->wake);
	uv_signal_init(&run->loop, &run->on_int);
	uv_signal_init(&run->loop, &run->on_term);
	run->turn.data = run->on_int.data = run->on_term.data = run;
	uv_prepare_start(&run->turn, on_turn);
	uv_signal_start(&run->on_int, hear_signal, SIGINT);
	uv_signal_start(&run->on_term, hear_signal, SIGTERM);
}

static int
init(struct run *run, const struct journal_end *end, struct store *store, struct error *err)
{
	struct loaded *l = run->l;

	run->wall0_ms = clock_wall_ms();
	if (run->wall0_ms < l->state->last_ms)
		run->wall0_ms = l->state->last_ms;
	run->mono0_ms = clock_mono_ms();
	run->store = store;
	run->live = calloc(l->graph->n_steps ? l->graph->n_steps : 1, sizeof(struct live *));
	run->journal = journal_new(store, l->run, end ? end->last_seq : 0,
				   end ? end->last_hash : NULL, &run->secrets);
	run->plugins = plugins_new(&run->loop, l->registry, l->graph, run->lock.workers_fd,
				   on_plugin_log, run);
	if (!run->live || !run->journal || !run->plugins)
		return error_set(err, E_NOMEM, "out of memory");
	/* The loss of the terminal, or of a reader of our output, ends no failover. */
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	init_handles(run);
	return 0;
}

static void
close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void
release(struct run *run)
{
	plugins_free(run->plugins);
	control_close(run->control);
	uv_run(&run->loop, UV_RUN_NOWAIT);
	uv_walk(&run->loop, close_handle, NULL);
	while (uv_run(&run->loop, UV_RUN_DEFAULT))
		;
	uv_loop_close(&run->loop);
	for (size_t i = 0; i < run->n_shown; i++)
		json_decref(run->shown[i]);
	free(run->shown);
	free(run->effect);
	free(run->live);
	free(run->lost);
	journal_free(run->journal);
	redact_release(&run->secrets);
	json_decref(run->signers);
	run_release_locks(run);
}

static void
open_control(struct run *run)
{
	struct error err = {0};

	run->control = control_open(&run->loop, run->settings->state_dir, run->l->run, hear_word, run,
				    &err);
	if (!run->control)
		run_log(run, SCHED_NONE, LOG_WARN, "no words from other terminals: %s", err.text);
}

static int
go(struct run *run, json_t *first, int *ret_exit, struct error *err)
{
	int rc = first ? run_try_record(run, first, err) : error_set(err, E_NOMEM, "out of memory");

	if (rc == 0)
		rc = journal_flush(run->journal, err);
	if (rc == 0)
		rc = attempts_end_lost(run, WORKERS_WAIT_MS, err);
	if (rc < 0) {
		uv_prepare_stop(&run->turn);
		return rc;
	}
	if (!run->l->first)
		run->l->first = json_incref(first);
	show_events(run);
	plugins_warm_up(run->plugins);
	open_control(run);
	uv_run(&run->loop, UV_RUN_DEFAULT);
	uv_prepare_stop(&run->turn);
	if (run->halted)
		error_set(err, run->why.code, "%s", run->why.text);
	*ret_exit = run->exit_status;
	return run->halted ? run->why.code : 0;
}

int
run_orchestrate(struct run *run, struct store *store, const struct journal_end *end,
		json_t *first, int *ret_exit, struct error *err)
{
	int rc = uv_loop_init(&run->loop);

	if (rc < 0) {
		run_release_locks(run);
		return error_set(err, E_IO, "the event loop: %s", uv_strerror(rc));
	}
	rc = init(run, end, store, err);
	if (rc == 0)
		rc = go(run, first, ret_exit, err);
	release(run);
	return rc;
}
