#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/run/earlier.h"
#include "core/run/lock.h"
#include "core/run/run.h"
#include "core/run/undo.h"
#include "core/run/undo_source.h"

#include <stdlib.h>
#include <string.h>

/* --- what may be undone --------------------------------------------------- */

/* An undo has put back, and a failback mostly, too: neither has records to go by. */
static int
refuse_way(const struct loaded *origin, struct error *err)
{
	const struct graph *g = origin->graph;
	bool undo = g->way == WAY_UNDO;

	return error_set(err, E_REFUSED, "run %s is %s itself (of run %s): what it has put back is "
			 "brought about again by running the runbook again (resite run PLAN %s --from %s "
			 "--to %s)", origin->run, undo ? "an undo" : "a failback",
			 json_str_or(origin->first, "origin", "?"), g->runbook,
			 undo ? g->from : g->to, undo ? g->to : g->from);
}

static int
check_origin(const struct settings *settings, const struct loaded *origin,
	     const struct undo_request *req, struct error *err)
{
	int pid = run_lock_owner(settings->state_dir, req->origin);

	if (origin->graph->way != WAY_RUN)
		return refuse_way(origin, err);
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
		rc = earlier_check(settings, store, req->origin, WAY_UNDO, decided, err);
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
		error_prefix(err, "the run that it goes by");
	return rc;
}

int
undo_end_origin(const struct loaded *l, struct store *store, struct error *err)
{
	const struct loaded *origin = undo_source_run(l->source);
	struct journal *journal;
	json_t *event;
	int rc;

	/* A rehearsal is ended by who compares, not here: it is not over before that. */
	if (origin->state->ended || origin->state->rehearsal)
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
