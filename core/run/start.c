/* How a run begins and is taken up again: its locks, its first event. */
#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/run/durations.h"
#include "core/run/orchestra.h"
#include "core/run/plan_lock.h"
#include "core/run/signed.h"
#include "core/run/undo.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the first event ------------------------------------------------------ */

static void
add_origin(json_t *event)
{
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	run_sign(event);
	json_object_set_new(event, "host", json_string_lossy(host));
	json_object_set_new(event, "pid", json_integer(getpid()));
	json_object_set_new(event, "version", json_string(PACKAGE_VERSION));
}

static json_t *
names_to_json(const char *const *names, size_t n)
{
	json_t *all = json_array();

	for (size_t i = 0; all && i < n; i++)
		json_array_append_new(all, json_string(names[i]));
	return all;
}

static json_t *
started_event(const struct run *run)
{
	const struct loaded *l = run->l;
	const struct graph *g = l->graph;
	json_t *event = event_new("run.started", NULL);

	if (!event)
		return NULL;
	add_origin(event);
	json_object_set_new(event, "format", json_integer(JOURNAL_FORMAT));
	json_object_set_new(event, "run", json_string(l->run));
	if (json_object_size(run->signers))
		json_object_set(event, "signers", run->signers);
	if (l->first) { /* an undo or a failback, which has the rest from its origin */
		json_object_update_missing(event, l->first);
		return event;
	}
	json_object_set_new(event, "plan", json_string(g->plan));
	json_object_set_new(event, "runbook", json_string(g->runbook));
	json_object_set_new(event, "from", json_string(g->from));
	json_object_set_new(event, "to", json_string(g->to));
	json_object_set_new(event, "mode", json_string(mode_name(g->mode)));
	json_object_set_new(event, "only", names_to_json(run->options->only, run->options->n_only));
	if (run->options->n_beside) {
		json_object_set_new(event, "beside", names_to_json(run->options->beside,
								   run->options->n_beside));
		json_object_set_new(event, "reason", json_string(run->options->reason));
	}
	json_object_set_new(event, "jobs", json_integer(run->settings->jobs));
	json_object_set_new(event, "plugins", schemas_to_json(l->schemas));
	if (run->expected_ms)
		json_object_set_new(event, "expected_ms",
				    durations_to_json(run->expected_ms, g->n_steps));
	if (run->options->previewed)
		json_object_set(event, "previewed", (json_t *)(uintptr_t)run->options->previewed);
	if (run->options->rehearsal)
		json_object_set(event, "rehearsal", (json_t *)(uintptr_t)run->options->rehearsal);
	json_object_set_new(event, "text", plan_text_to_json(&l->text));
	return event;
}

static json_t *
resumed_event(void)
{
	json_t *event = event_new("run.resumed", NULL);

	if (event)
		add_origin(event);
	return event;
}

/* --- locks ---------------------------------------------------------------- */

void
run_release_locks(struct run *run)
{
	plan_lock_release(run->plan_fd);
	run_lock_release(&run->origin_lock);
	run_lock_release(&run->lock);
}

static int
take_locks(struct run *run, int64_t wait_ms, int64_t started_ms, struct error *err)
{
	const struct loaded *l = run->l;
	const char *state_dir = run->settings->state_dir;
	int rc = settings_share(run->settings, err);

	if (rc == 0)
		rc = run_lock_take(&run->lock, state_dir, l->run, wait_ms, err);
	return rc < 0 ? rc : plan_lock_take(state_dir, l->graph->plan, l->run, started_ms,
					    &run->plan_fd, err);
}

/* An undo holds the lock of the run that it undoes, too, waits until that one's last worker
 * is gone, and ends it: nobody goes on with what is being undone. */
static int
take_origin(struct run *run, struct store *store, struct error *err)
{
	struct loaded *l = run->l;
	int rc;

	if (l->graph->way == WAY_RUN)
		return 0;
	rc = l->source ? 0 : undo_open_source(l, run->settings, store, err);
	if (l->graph->way == WAY_FAILBACK) /* its origin has ended: nobody goes on with it */
		return rc;
	if (rc == 0)
		rc = run_lock_take(&run->origin_lock, run->settings->state_dir,
				   undo_source_run(l->source)->run, WORKERS_WAIT_MS, err);
	if (rc == 0)
		rc = attempts_note_lost(run, undo_source_run(l->source), &run->origin_lock, err);
	return rc < 0 ? rc : undo_end_origin(l, store, err);
}

/* No other unfinished run is in the way; the one that an undo undoes is none. */
static int
check_others(struct run *run, struct store *store, struct error *err)
{
	const struct loaded *l = run->l, *origin = l->source ? undo_source_run(l->source) : NULL;
	struct run_options options = *run->options;
	const char **beside = calloc(options.n_beside + 1, sizeof(*beside));
	int rc;

	if (!beside)
		return error_set(err, E_NOMEM, "out of memory");
	for (size_t i = 0; i < options.n_beside; i++)
		beside[i] = options.beside[i];
	if (origin && !origin->state->ended)
		beside[options.n_beside++] = origin->run;
	options.beside = beside;
	rc = plan_lock_unfinished(run->settings->state_dir, store, l->graph, &options, err);
	free(beside);
	return rc;
}

/* --- start and resume ----------------------------------------------------- */

/* Nothing has begun. */
static int
give_up(struct run *run, int rc)
{
	json_decref(run->signers);
	free(run->lost);
	free(run->expected_ms);
	run_release_locks(run);
	return rc;
}

/* An undo has its state already. */
static int
make_state(struct run *run, struct store *store, struct error *err)
{
	struct loaded *l = run->l;
	int rc = l->state ? 0 : durations_expected(store, l->graph, &run->expected_ms, err);

	if (rc < 0 || l->state)
		return rc;
	l->state = run_state_new(l->graph, &(struct run_config){.jobs = run->settings->jobs,
								.weight_ms = run->expected_ms});
	return l->state ? 0 : error_set(err, E_NOMEM, "out of memory");
}

int
run_start(struct loaded *l, const struct settings *settings, struct store *store,
	  const struct run_options *options, const struct run_observer *observer, int *ret_exit,
	  struct error *err)
{
	struct run run = {.l = l, .settings = settings, .options = options, .observer = observer,
			  .lock = RUN_LOCK_INIT, .origin_lock = RUN_LOCK_INIT, .plan_fd = -1};
	int rc = take_locks(&run, 0, clock_wall_ms(), err);
	json_t *first;

	if (rc == 0)
		rc = check_others(&run, store, err);
	if (rc == 0) {
		run.signers = signers_read(l->graph, err);
		rc = run.signers ? 0 : E_INVALID;
	}
	if (rc == 0)
		rc = take_origin(&run, store, err);
	if (rc == 0)
		rc = make_state(&run, store, err);
	if (rc < 0)
		return give_up(&run, rc);
	first = started_event(&run);
	free(run.expected_ms);
	run.expected_ms = NULL;
	rc = run_orchestrate(&run, store, NULL, first, ret_exit, err);
	json_decref(first);
	return rc;
}

int
run_resume(struct loaded *l, const struct settings *settings, struct store *store,
	   const struct run_options *options, const struct run_observer *observer, int *ret_exit,
	   struct error *err)
{
	struct run run = {.l = l, .settings = settings, .options = options, .observer = observer,
			  .lock = RUN_LOCK_INIT, .origin_lock = RUN_LOCK_INIT, .plan_fd = -1};
	json_t *first;
	int rc;

	if (l->state->ended)
		return error_set(err, E_REFUSED, "run %s has ended (%s): there is nothing to resume",
				 l->run, l->state->outcome);
	if (l->state->rehearsal)
		return error_set(err, E_REFUSED, "run %s is a rehearsal: it is not gone on with, it is "
				 "put back and compared: resite rehearse --finish %s", l->run, l->run);
	rc = take_locks(&run, WORKERS_WAIT_MS, l->state->started_ms, err);
	if (rc == 0)
		rc = attempts_note_lost(&run, l, &run.lock, err);
	if (rc == 0)
		rc = take_origin(&run, store, err);
	if (rc < 0)
		return give_up(&run, rc);
	first = resumed_event();
	rc = run_orchestrate(&run, store, &l->end, first, ret_exit, err);
	json_decref(first);
	return rc;
}
