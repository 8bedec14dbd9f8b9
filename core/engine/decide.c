#include "core/base/base.h"
#include "core/engine/decide.h"
#include "core/engine/undo.h"

#include <stdio.h>
#include <string.h>

bool
decide_may_apply(const struct graph *graph, uint32_t step)
{
	const struct step *s = &graph->steps[step];

	return s->action->has & SCHEMA_HAS_APPLY &&
	       (graph->mode != RESITE_REHEARSAL || s->rehearse == REHEARSE_RUN);
}

bool
decide_can_probe(const struct graph *graph, uint32_t step)
{
	const struct step *s = &graph->steps[step];

	/* A revert finds out by itself: it may always be tried again. */
	return s->records || s->readonly || s->action->has & SCHEMA_HAS_PROBE ||
	       !decide_may_apply(graph, step);
}

const char *
decide_intent(const struct graph *graph, uint32_t step)
{
	if (graph->steps[step].records)
		return "revert";
	if (!decide_may_apply(graph, step))
		return "read";
	return graph->steps[step].action->has & SCHEMA_HAS_PROBE ? "probe" : "apply";
}

const char *
decide_why_passed(const struct run_state *state, uint32_t step, char why[ERROR_MAX])
{
	const struct graph *g = state->graph;

	if (g->steps[step].pass_why)
		return g->steps[step].pass_why;
	if (sched_is_out(state->sched, step))
		return "mode";
	return graph_step_ifs(g, step, run_state_output, (void *)(uintptr_t)state, why, NULL) == 0 ?
	       why : NULL;
}

bool
decide_as_previewed(const struct run_state *state, uint32_t step, const struct finding *found,
		    char why[ERROR_MAX])
{
	const json_t *then = state->facts[step].previewed;
	const char *made = json_str_or(state->previewed, "made", "?");

	if (!then)
		return true;
	if (!found->told) {
		snprintf(why, ERROR_MAX, "the preview of %s could tell what is there, this probe "
			 "cannot: nothing was changed", made);
		return false;
	}
	if (found->fingerprint && !strcmp(found->fingerprint, json_str_or(then, "fingerprint", "")))
		return true;
	snprintf(why, ERROR_MAX, "the world has moved since the preview of %s: then %" PRId64 " of "
		 "%" PRId64 " would change (%.200s), now %" PRIu64 " of %" PRIu64 " (%.200s); nothing "
		 "was changed. Object by object: resite preview --against FILE; retry takes the "
		 "world as it is now", made, json_int_or(then, "changes", 0),
		 json_int_or(then, "total", 0), json_str_or(then, "now", ""), found->changes,
		 found->total, found->now ? found->now : "");
	return false;
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
	if (!decide_as_previewed(state, step, found, why))
		return "refused";
	if (!decide_expected(&state->graph->steps[step], found, why))
		return "refused";
	return "apply";
}

const char *
decide_outcome(const struct run_state *state)
{
	if (sched_count(state->sched, STEP_FAILED))
		return "failed";
	return undo_conflicts(state) && !state->graph->diverged_agreed ? "conflicts" : "done";
}

/* changes / total > percent / 100, for any numbers that a plugin may say. */
static bool
above_percent(uint64_t changes, uint64_t total, uint64_t percent)
{
	return changes > total / 100 * percent + total % 100 * percent / 100;
}

bool
decide_expected(const struct step *step, const struct finding *found, char why[ERROR_MAX])
{
	bool percent = step->expect_percent >= 0;

	if (step->expect_max < 0 && !percent)
		return true;
	if (!found->told) {
		snprintf(why, ERROR_MAX, "the plan bounds the changes (expect), and the probe cannot "
			 "tell how many there are: nothing was changed");
		return false;
	}
	if (step->expect_max >= 0 && found->changes > (uint64_t)step->expect_max) {
		snprintf(why, ERROR_MAX, "%" PRIu64 " changes, but the plan expects at most "
			 "%" PRId64 " (expect.max): nothing was changed", found->changes,
			 step->expect_max);
		return false;
	}
	if (percent && !found->total && found->changes) {
		snprintf(why, ERROR_MAX, "%" PRIu64 " changes, of how many objects the probe does "
			 "not say, so expect.percent cannot be judged: nothing was changed",
			 found->changes);
		return false;
	}
	if (percent && above_percent(found->changes, found->total,
				     (uint64_t)step->expect_percent)) {
		snprintf(why, ERROR_MAX, "%" PRIu64 " of %" PRIu64 " objects would change, but the "
			 "plan expects at most %d %% (expect.percent): nothing was changed",
			 found->changes, found->total, (int)step->expect_percent);
		return false;
	}
	return true;
}
