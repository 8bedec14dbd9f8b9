/* decide.h -- what an attempt may do: decided here, done elsewhere.  Pure. */
#ifndef CORE_ENGINE_DECIDE_H
#define CORE_ENGINE_DECIDE_H

#include "core/engine/run_state.h"

/* A rehearsal changes something only where the plan says "run". */
bool decide_may_apply(const struct graph *graph, uint32_t step);

/* Whether a new attempt finds out what an unknown one has done; or none can do anything, as
 * of a step that only reads, or that a rehearsal does not run. */
bool decide_can_probe(const struct graph *graph, uint32_t step);

/* What an attempt of step sets out to do, as attempt.started has it: "read",
 * "probe" (and apply only after a decision), "apply", or in an undo "revert". */
const char *decide_intent(const struct graph *graph, uint32_t step);

/* What the probe of an open attempt has said. */
struct finding {
	bool told;               /* false: it cannot tell */
	uint64_t changes, total; /* to make, of how many objects */
	const char *now, *fingerprint; /* what is there; NULL or "": not told */
};

/* What may follow, as attempt.probed has it: "look" (nothing may be changed),
 * "converged" (nothing is left to change: verify alone), "apply", or "refused", and then why
 * says why for people. */
const char *decide_after_probe(const struct run_state *state, uint32_t step,
			       const struct finding *found, char why[ERROR_MAX]);

/* Why a step is passed without being done, for people, in why; NULL: a join point, nobody
 * asks. */
const char *decide_why_passed(const struct run_state *state, uint32_t step,
			      char why[ERROR_MAX]);

/* What a run that is done has come to, as run.ended has it: "done", "failed" or, an undo
 * that left something alone, "conflicts". */
const char *decide_outcome(const struct run_state *state);

/* Whether a step that is bound to a preview finds what that found; if not, why says what
 * has changed. */
bool decide_as_previewed(const struct run_state *state, uint32_t step,
			 const struct finding *found, char why[ERROR_MAX]);

/* Whether a step may apply what the probe found; if not, why says which bound of its
 * `expect` is passed or cannot be judged. */
bool decide_expected(const struct step *step, const struct finding *found,
		     char why[ERROR_MAX]);

#endif
