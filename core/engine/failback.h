/* failback.h -- what the failback of a run does with each step.  Pure.
 *
 * A failback is a run of its own: the runbook of its origin in the other direction, in mode
 * planned.  A step whose namesake in the origin has written undo records puts back what
 * they say; every other step is carried out as in any run of that direction.  Which ones
 * are put back is decided once and is in the first event from then on.
 */
#ifndef CORE_ENGINE_FAILBACK_H
#define CORE_ENGINE_FAILBACK_H

#include "core/engine/run_state.h"

/* Whether there is a way back from run, whose state is origin.  E_REFUSED says why not and
 * what to type. */
int failback_permits(const struct run_state *origin, const char *run, struct error *err);

/* The steps to put back: [{step, records}], in the plan's order.  E_NOMEM. */
int failback_decide(const struct run_state *origin, json_t **ret, struct error *err);

/* Makes the failback's graph of that of the turned direction.  agreed: a person knows that
 * what has diverged is left as it is.  A step that this direction has not is none of it. */
void failback_bind(struct graph *graph, const json_t *decided, bool agreed);

#endif
