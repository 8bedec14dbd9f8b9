#include "core/base/base.h"
#include "core/engine/decide.h"

#include <stdio.h>

bool
decide_may_apply(const struct graph *graph, uint32_t step)
{
	const struct step *s = &graph->steps[step];

	return s->action->has & SCHEMA_HAS_APPLY &&
	       (graph->mode != RESITE_REHEARSAL || s->rehearse == REHEARSE_RUN);
}

const char *
decide_intent(const struct graph *graph, uint32_t step)
{
	if (!decide_may_apply(graph, step))
		return "read";
	return graph->steps[step].action->has & SCHEMA_HAS_PROBE ? "probe" : "apply";
}

const char *
decide_after_probe(const struct run_state *state, uint32_t step, const struct finding *found,
		   char why[ERROR_MAX])
{
	if (!decide_may_apply(state->graph, step))
		return "look";
	if (found->told && !found->changes)
		return "converged";
	if (!found->told && state->facts[step].in_doubt) {
		snprintf(why, ERROR_MAX, "an earlier attempt may have changed something, and this "
			 "probe cannot tell: look for yourself, then say by-hand, skip or retry");
		return "refused";
	}
	if (found->told && !decide_expected(&state->graph->steps[step], found->changes,
					    found->total, why))
		return "refused";
	return "apply";
}

/* changes / total > percent / 100, for any numbers that a plugin may say. */
static bool
above_percent(uint64_t changes, uint64_t total, uint64_t percent)
{
	return changes > total / 100 * percent + total % 100 * percent / 100;
}

bool
decide_expected(const struct step *step, uint64_t changes, uint64_t total, char why[ERROR_MAX])
{
	if (step->expect_max >= 0 && changes > (uint64_t)step->expect_max) {
		snprintf(why, ERROR_MAX, "%" PRIu64 " changes, but the plan expects at most "
			 "%" PRId64 " (expect.max): nothing was changed", changes,
			 step->expect_max);
		return false;
	}
	if (step->expect_percent >= 0 && total &&
	    above_percent(changes, total, (uint64_t)step->expect_percent)) {
		snprintf(why, ERROR_MAX, "%" PRIu64 " of %" PRIu64 " objects would change, but the "
			 "plan expects at most %d %% (expect.percent): nothing was changed",
			 changes, total, (int)step->expect_percent);
		return false;
	}
	return true;
}
