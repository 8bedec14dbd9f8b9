/* undo.h -- what the undo of a run does with each of its steps.  Pure.
 *
 * An undo is a run of its own.  What it does with each step is decided once, from the state
 * of the run that it undoes (its origin), and is in its first event from then on.
 */
#ifndef CORE_ENGINE_UNDO_H
#define CORE_ENGINE_UNDO_H

#include "core/engine/run_state.h"

struct undo_choice {
	const char *const *only; /* n_only steps; NULL: all */
	size_t n_only;
	bool past_no_return;     /* also steps at or after a point of no return that was passed */
};

/* For each step, in the plan's order, {step, records: N}: it is reverted, N undo records are
 * there; or {step, why}: it is passed over, why says to people why.  E_NOTFOUND: `only`
 * names a step that the run has not; E_REFUSED: a point of no return, or nothing to undo. */
int undo_decide(const struct run_state *origin, const struct undo_choice *choice, json_t **ret,
		struct error *err);

/* Makes the undo's graph of the origin's: turned round, each step with what was decided
 * (see undo_decide).  E_CORRUPT: that is of another graph; E_NOMEM. */
int undo_bind(struct graph *graph, const json_t *decided, struct error *err);

/* Objects that were neither put back nor as before, of all steps. */
uint64_t undo_conflicts(const struct run_state *state);

#endif
