#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/run/lock.h"
#include "core/run/run.h"
#include "core/run/undo.h"
#include "core/run/undo_source.h"

#include <stdlib.h>
#include <string.h>

/* --- other undos of the same run ------------------------------------------ */

struct earlier {
	const struct undo_request *req;
	const struct settings *settings;
	struct store *store;
	struct error *err;
	json_t *covered; /* step -> the undo that has put it back */
};

#define SEEN_ENOUGH 1 /* made negative: the answer that ends a read */

static int
keep_event(void *ctx, int64_t seq, const char *text, size_t len)
{
	json_t **event = ctx;

	(void)seq;
	*event = json_parse(text, len, NULL);
	return -SEEN_ENOUGH;
}

static json_t *
event_at(struct store *store, const char *run, int64_t seq)
{
	json_t *event = NULL;

	store_read(store, run, seq, keep_event, &event, NULL);
	return event;
}

static int
refuse_second(struct earlier *e, const char *run)
{
	int pid = run_lock_owner(e->settings->state_dir, run);

	if (pid)
		return error_set(e->err, E_REFUSED, "run %s is being undone by run %s (process %d): "
				 "resite status %s shows it", e->req->origin, run, pid, run);
	return error_set(e->err, E_REFUSED, "the undo of run %s was begun by run %s and is not done: "
			 "resite resume %s", e->req->origin, run, run);
}

static void
note_covered(struct earlier *e, const char *run, const json_t *first)
{
	const json_t *steps = json_object_get(first, "undo"), *one;
	size_t i;

	json_array_foreach(steps, i, one)
		if (json_int_or(one, "records", 0))
			json_object_set_new(e->covered, json_str_or(one, "step", ""), json_string(run));
}

static int
look_at_run(void *ctx, const char *run, int64_t last_seq)
{
	struct earlier *e = ctx;
	json_t *first = event_at(e->store, run, 1), *last = NULL;
	const char *outcome;
	int rc = 0;

	if (!strcmp(json_str_or(first, "way", ""), "undo") &&
	    !strcmp(json_str_or(first, "origin", ""), e->req->origin)) {
		last = event_at(e->store, run, last_seq);
		outcome = json_str_or(last, "outcome", "");
		if (strcmp(json_str_or(last, "kind", ""), "run.ended"))
			rc = refuse_second(e, run);
		else if (!strcmp(outcome, "done"))
			note_covered(e, run, first);
	}
	json_decref(first);
	json_decref(last);
	return rc;
}

/* What an undo with nothing left over has put back is not there to be undone again. */
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
	return error_set(e->err, E_REFUSED, "run %s was undone already, by run %s: nothing is left to "
			 "put back (resite status %s)", e->req->origin, by, by);
}

static int
check_earlier(const struct settings *settings, struct store *store,
	      const struct undo_request *req, const json_t *decided, struct error *err)
{
	struct earlier e = {.req = req, .settings = settings, .store = store, .err = err,
			    .covered = json_object()};
	int rc = e.covered ? store_list(store, look_at_run, &e, err)
			   : error_set(err, E_NOMEM, "out of memory");

	if (rc == 0)
		rc = refuse_covered(&e, decided);
	json_decref(e.covered);
	return rc;
}

/* --- what may be undone --------------------------------------------------- */

static int
check_origin(const struct settings *settings, const struct loaded *origin,
	     const struct undo_request *req, struct error *err)
{
	int pid = run_lock_owner(settings->state_dir, req->origin);

	if (origin->graph->way == WAY_UNDO)
		return error_set(err, E_REFUSED, "run %s is an undo itself (of run %s): what it has put "
				 "back is brought about again by running the runbook again (resite run "
				 "PLAN %s --from %s --to %s)", req->origin,
				 json_str_or(origin->first, "origin", "?"), origin->graph->runbook,
				 origin->graph->from, origin->graph->to);
	if (pid && !req->look)
		return error_set(err, E_REFUSED, "run %s is under way (process %d): end it first with "
				 "resite stop %s --reason '...', and undo it when resite status %s no "
				 "longer says running", req->origin, pid, req->origin, req->origin);
	return 0;
}

/* The first event of the undo: what its origin's says, and what it does with each step. */
static json_t *
first_event(const struct loaded *origin, const struct undo_request *req, uint32_t jobs,
	    json_t *decided)
{
	static const char *const same[] = {"plan", "runbook", "from", "to", "mode", "only", "plugins",
					   "text"};
	json_t *first = event_new("run.started", NULL);

	for (size_t i = 0; first && i < COUNT_OF(same); i++)
		json_object_set(first, same[i], json_object_get(origin->first, same[i]));
	if (!first)
		return NULL;
	json_object_set_new(first, "jobs", json_integer(jobs));
	json_object_set_new(first, "way", json_string(way_name(WAY_UNDO)));
	json_object_set_new(first, "origin", json_string(origin->run));
	json_object_set(first, "undo", decided);
	json_object_set_new(first, "diverged", json_string(req->restore ? "restore" : "leave"));
	if (req->choice.past_no_return)
		json_object_set_new(first, "past_no_return", json_true());
	if (req->reason)
		json_object_set_new(first, "reason", json_string_lossy(req->reason));
	return first;
}

int
undo_load(struct loaded *l, const struct settings *settings, struct store *store,
	  const struct undo_request *req, struct error *err)
{
	struct undo_choice choice = req->choice;
	struct undo_source *source = NULL;
	const struct loaded *origin;
	json_t *decided = NULL, *first = NULL;
	int rc = undo_source_open(settings, store, req->origin, &source, err);

	if (rc < 0)
		return rc;
	origin = undo_source_run(source);
	choice.past_no_return |= req->look;
	rc = check_origin(settings, origin, req, err);
	if (rc == 0)
		rc = undo_decide(origin->state, &choice, &decided, err);
	if (rc == 0 && !req->look)
		rc = check_earlier(settings, store, req, decided, err);
	if (rc == 0 && !l->run)
		l->run = strdup(req->origin);
	if (rc == 0) {
		first = first_event(origin, req, settings->jobs, decided);
		rc = first ? load_first(l, settings, first, err)
			   : error_set(err, E_NOMEM, "out of memory");
	}
	if (rc == 0)
		l->source = source;
	else
		undo_source_free(source);
	json_decref(decided);
	json_decref(first);
	return rc;
}

int
undo_open_source(struct loaded *l, const struct settings *settings, struct store *store,
		 struct error *err)
{
	int rc = undo_source_open(settings, store, json_str_or(l->first, "origin", ""), &l->source,
				  err);

	if (rc < 0)
		error_prefix(err, "the run that is undone");
	return rc;
}

int
undo_end_origin(const struct loaded *l, struct store *store, struct error *err)
{
	const struct loaded *origin = undo_source_run(l->source);
	struct journal *journal;
	json_t *event;
	int rc;

	if (origin->state->ended)
		return 0;
	event = json_pack("{s:s, s:s, s:s}", "kind", "run.ended", "outcome", "undone", "by", l->run);
	if (event)
		run_sign(event);
	journal = journal_new(store, origin->run, origin->end.last_seq, origin->end.last_hash, NULL);
	rc = journal && event ? journal_add(journal, clock_wall_ms(), event, err)
			      : error_set(err, E_NOMEM, "out of memory");
	if (rc == 0)
		rc = journal_flush(journal, err);
	journal_free(journal);
	json_decref(event);
	return rc;
}
