/* durations.h -- how long steps took in earlier runs, to say which to start first.
 *
 * A run writes what its steps took as its last event but one (run.took), so that a new
 * run reads that event alone of each of its forerunners, however many undo records they
 * have.  It is a hint for the order: what cannot be read is passed over.
 */
#ifndef CORE_RUN_DURATIONS_H
#define CORE_RUN_DURATIONS_H

#include "core/engine/run_state.h"
#include "core/store/store.h"

/* The event {plan, runbook, from, to, way, rehearsal, ms: {STEP: …}} with each step's last
 * attempt that ended ok; NULL when there was none. */
json_t *durations_event(const struct run_state *state);

/* Expected duration of each step: the median of its last ones, in runs of the same plan,
 * runbook and direction (rehearsals among themselves); else the plan's (takes); else 1.
 * *ret is to be freed; NULL when all are alike.  E_NOMEM, or the store's failure. */
int durations_expected(struct store *store, const struct graph *graph, int64_t **ret,
		       struct error *err);

/* The same as an array in the order of the graph's steps, for run.started; and back.
 * E_CORRUPT: json is no such array of n numbers. */
json_t *durations_to_json(const int64_t *ms, uint32_t n);
int durations_from_json(const json_t *json, uint32_t n, int64_t **ret, struct error *err);

#endif
