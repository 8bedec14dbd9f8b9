#include "core/base/base.h"
#include "core/run/earlier.h"
#include "core/run/failback.h"
#include "core/run/undo_source.h"

#include <string.h>

/* The first event: what the origin's says, the other way round. */
static json_t *
first_event(const struct loaded *origin, const struct failback_request *req, uint32_t jobs,
	    json_t *decided)
{
	static const char *const same[] = {"plan", "runbook", "only", "plugins", "text"};
	json_t *first = event_new("run.started", NULL);

	for (size_t i = 0; first && i < COUNT_OF(same); i++)
		json_object_set(first, same[i], json_object_get(origin->first, same[i]));
	if (!first)
		return NULL;
	json_object_set(first, "from", json_object_get(origin->first, "to"));
	json_object_set(first, "to", json_object_get(origin->first, "from"));
	json_object_set_new(first, "mode", json_string(mode_name(RESITE_PLANNED)));
	json_object_set_new(first, "jobs", json_integer(jobs));
	json_object_set_new(first, "way", json_string(way_name(WAY_FAILBACK)));
	json_object_set_new(first, "origin", json_string(origin->run));
	json_object_set(first, "failback", decided);
	if (req->diverged)
		json_object_set_new(first, "diverged", json_string(req->diverged));
	if (req->reason)
		json_object_set_new(first, "reason", json_string_lossy(req->reason));
	return first;
}

static int
load_turned(struct loaded *l, const struct settings *settings, const struct loaded *origin,
	    const struct failback_request *req, json_t *decided, struct error *err)
{
	json_t *first = first_event(origin, req, settings->jobs, decided);
	int rc;

	if (!l->run)
		l->run = strdup(req->origin);
	rc = first && l->run ? load_first(l, settings, first, err)
			     : error_set(err, E_NOMEM, "out of memory");
	if (rc == E_INVALID)
		error_prefix(err, "the way back");
	json_decref(first);
	return rc;
}

int
failback_load(struct loaded *l, const struct settings *settings, struct store *store,
	      const struct failback_request *req, struct error *err)
{
	struct undo_source *source = NULL;
	const struct loaded *origin;
	json_t *decided = NULL;
	int rc = undo_source_open(settings, store, req->origin, &source, err);

	if (rc < 0)
		return rc;
	origin = undo_source_run(source);
	rc = failback_permits(origin->state, origin->run, err);
	if (rc == 0)
		rc = failback_decide(origin->state, &decided, err);
	if (rc == 0)
		rc = earlier_check(settings, store, req->origin, WAY_FAILBACK, decided, err);
	if (rc == 0)
		rc = load_turned(l, settings, origin, req, decided, err);
	if (rc == 0)
		l->source = source;
	else
		undo_source_free(source);
	json_decref(decided);
	return rc;
}
