#include "core/base/base.h"
#include "core/plan/graph.h"
#include "core/run/earlier.h"
#include "core/run/load.h"
#include "core/run/lock.h"

#include <string.h>

struct earlier {
	const struct settings *settings;
	struct store *store;
	const char *origin;
	int way;         /* of the new run */
	struct error *err;
	json_t *covered; /* step -> the undo that has put it back */
};

static int
refuse_second(const struct earlier *e, const char *run, int way)
{
	int pid = run_lock_owner(e->settings->state_dir, run);

	if (pid)
		return error_set(e->err, E_REFUSED, "the %s of run %s is under way: run %s (process %d), "
				 "resite status %s shows it", way_name(way), e->origin, run, pid, run);
	return error_set(e->err, E_REFUSED, "the %s of run %s was begun by run %s and is not done: "
			 "resite resume %s", way_name(way), e->origin, run, run);
}

/* A step that a person has skipped in that undo was not put back by it. */
static int
note_covered(struct earlier *e, const char *run)
{
	struct loaded l = LOADED_INIT;
	int rc = load_run(&l, e->settings, e->store, run, false, e->err);

	for (uint32_t i = 0; rc == 0 && i < l.graph->n_steps; i++)
		if (l.graph->steps[i].records && sched_state(l.state->sched, i) == STEP_DONE)
			json_object_set_new(e->covered, l.graph->steps[i].name, json_string(run));
	loaded_release(&l);
	return rc;
}

/* A failback that went to its end has been everywhere, whatever it left alone; an undo may
 * have been of some steps, and those that it left alone may be tried again. */
static int
take_ended(struct earlier *e, const char *run, const json_t *first, const char *outcome)
{
	bool done = !strcmp(outcome, "done");

	if (way_parse(json_str_or(first, "way", "")) == WAY_UNDO)
		return done ? note_covered(e, run) : 0;
	if (e->way != WAY_FAILBACK || (!done && strcmp(outcome, "conflicts")))
		return 0;
	return error_set(e->err, E_REFUSED, "run %s was turned round already, by run %s (resite status "
			 "%s)", e->origin, run, run);
}

static int
look_at_run(void *ctx, const char *run, int64_t last_seq)
{
	struct earlier *e = ctx;
	json_t *first = journal_event(e->store, run, 1), *last = NULL;
	int rc = 0, way = way_parse(json_str_or(first, "way", "run"));

	if (way != WAY_RUN && !strcmp(json_str_or(first, "origin", ""), e->origin)) {
		last = journal_event(e->store, run, last_seq);
		if (strcmp(json_str_or(last, "kind", ""), "run.ended"))
			rc = refuse_second(e, run, way);
		else
			rc = take_ended(e, run, first, json_str_or(last, "outcome", ""));
	}
	json_decref(first);
	json_decref(last);
	return rc;
}

/* What an undo with nothing left over has put back is not there to be put back again. */
static int
refuse_covered(const struct earlier *e, const json_t *decided)
{
	const char *by = NULL;
	const json_t *one;
	size_t i;

	json_array_foreach(decided, i, one) {
		const char *step = json_str_or(one, "step", "");

		if (!json_int_or(one, "records", 0))
			continue;
		by = json_str_or(e->covered, step, NULL);
		if (!by)
			return 0;
	}
	if (!by)
		return 0;
	return error_set(e->err, E_REFUSED, "run %s was undone already, by run %s: nothing is left to "
			 "put back (resite status %s)", e->origin, by, by);
}

int
earlier_check(const struct settings *settings, struct store *store, const char *origin, int way,
	      const json_t *decided, struct error *err)
{
	struct earlier e = {.settings = settings, .store = store, .origin = origin, .way = way,
			    .err = err, .covered = json_object()};
	int rc = e.covered ? store_list(store, look_at_run, &e, err)
			   : error_set(err, E_NOMEM, "out of memory");

	if (rc == 0)
		rc = refuse_covered(&e, decided);
	json_decref(e.covered);
	return rc;
}
