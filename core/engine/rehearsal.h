/* rehearsal.h -- a rehearsal: a run that is put back and compared with what was before.  Pure.
 *
 * Its first event has, in the member `rehearsal`,
 *	made       when the probes before it were run
 *	approvals  "passed" (nobody is asked) or "asked"
 *	faults     the seed of --faults; absent: none
 *	before     {STEP: {now, fingerprint, changes, total}} of each step whose probe told
 * It ends only when what it has changed was put back and the probes were run again.
 */
#ifndef CORE_ENGINE_REHEARSAL_H
#define CORE_ENGINE_REHEARSAL_H

#include "core/engine/run_state.h"

/* The member `rehearsal` from before (of preview_to_json).  NULL without memory. */
json_t *rehearsal_new(const json_t *before, const char *made, bool ask_people, uint64_t faults);

/* Whether a rehearsal of graph can be compared with before.  E_REFUSED: err names the step
 * that it would run and whose probe has failed. */
int rehearsal_check(const struct graph *graph, const json_t *before, struct error *err);

/* Whether the probes after it have all been run.  E_REFUSED: they were interrupted. */
int rehearsal_check_after(const json_t *after, struct error *err);

/* Changes the graph of a rehearsal as its first event says: approvals are passed over.
 * rehearsal NULL: nothing to do. */
void rehearsal_bind(struct graph *graph, const json_t *rehearsal);

/* Whether a step may have changed something: it was started, and a rehearsal runs it. */
bool rehearsal_has_run(const struct run_state *state, uint32_t step);

/* How it ends: "residue" when something was left, else "rehearsed", or "failed" when not
 * every step went through. */
const char *rehearsal_outcome(const struct run_state *state, bool residue);

#endif
