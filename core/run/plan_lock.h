/* plan_lock.h -- one run of a plan at a time.
 *
 * STATE/PLAN.plan is locked (flock) by the orchestrator of a run of the plan of that
 * name, for as long as it lives, and says who it is.  A plan is its `name` in one
 * state directory.  Beyond that a new run is refused while an older one of the same
 * runbook is unfinished, though nobody works on it: it is to be gone on with, or given
 * up, or a person says that the new one is to start beside it.
 */
#ifndef CORE_RUN_PLAN_LOCK_H
#define CORE_RUN_PLAN_LOCK_H

#include "core/run/run.h"

/* E_BUSY names the run, its process and host, its age and what to type. */
int plan_lock_take(const char *state_dir, const char *plan, const char *run,
		   int64_t started_ms, int *ret_fd, struct error *err);
void plan_lock_release(int fd); /* -1 is fine */

/* E_REFUSED: there is an unfinished run of the graph's runbook that options->beside does
 * not name (rehearsals hold up rehearsals alone).  E_BUSY: processes of an unfinished
 * run of the plan are still alive.  E_INVALID: a run is named that is none of these. */
int plan_lock_unfinished(const char *state_dir, struct store *store, const struct graph *graph,
			 const struct run_options *options, struct error *err);

#endif
