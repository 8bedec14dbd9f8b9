/* failback.h -- the failback of a run: a run of its own, loaded and ready to start. */
#ifndef CORE_RUN_FAILBACK_H
#define CORE_RUN_FAILBACK_H

#include "core/engine/failback.h"
#include "core/run/load.h"

struct failback_request {
	const char *origin;   /* the run to turn round: a full id */
	const char *diverged; /* "leave", "restore": what a person has said; NULL: nothing */
	const char *reason;   /* or NULL */
};

/* Decides what the failback of a run does and loads it, as load_run would load it later: l
 * has its graph, its first event without what run_start adds, and its source.  l->run is to
 * be set before (not for a look).  E_REFUSED says why not and what to do; the other errors
 * are load_run's. */
int failback_load(struct loaded *l, const struct settings *settings, struct store *store,
		  const struct failback_request *req, struct error *err);

#endif
