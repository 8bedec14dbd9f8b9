#include "core/base/base.h"
#include "core/engine/approval.h"
#include "core/engine/decide.h"
#include "core/engine/rehearsal.h"

#include <string.h>

static json_t *
told_steps(const json_t *before)
{
	static const char *const keys[] = {"now", "fingerprint", "changes", "total"};
	json_t *told = json_object(), *step;
	size_t i;

	json_array_foreach (json_object_get(before, "steps"), i, step) {
		json_t *one = json_object();

		for (size_t k = 0; one && k < COUNT_OF(keys); k++)
			json_object_set(one, keys[k], json_object_get(step, keys[k]));
		if (!strcmp(json_str_or(step, "kind", ""), "probed"))
			json_object_set(told, json_str_or(step, "name", "?"), one);
		json_decref(one);
	}
	return told;
}

json_t *
rehearsal_new(const json_t *before, const char *made, bool ask_people, uint64_t faults)
{
	json_t *r = json_pack("{s:s, s:s, s:o}", "made", made, "approvals",
			      ask_people ? "asked" : "passed", "before", told_steps(before));

	if (r && faults)
		json_object_set_new(r, "faults", json_integer((json_int_t)faults));
	return r;
}

/* A probe that was cut off has told nothing. */
static bool
was_cut(const json_t *step)
{
	return !strcmp(json_str_or(step, "kind", ""), "probed") && !json_object_get(step, "fingerprint");
}

int
rehearsal_check_after(const json_t *after, struct error *err)
{
	const json_t *step;
	size_t i;

	json_array_foreach (json_object_get(after, "steps"), i, step)
		if (was_cut(step))
			return error_set(err, E_REFUSED, "the probes were interrupted");
	return 0;
}

int
rehearsal_check(const struct graph *graph, const json_t *before, struct error *err)
{
	const json_t *steps = json_object_get(before, "steps");

	for (uint32_t i = 0; i < graph->n_steps; i++) {
		const json_t *step = json_array_get(steps, i);
		const char *kind = json_str_or(step, "kind", "");

		if (was_cut(step))
			return error_set(err, E_REFUSED, "the probes were interrupted: nothing was "
					 "changed");
		if (!strcmp(kind, "failed") && decide_may_apply(graph, i))
			return error_set(err, E_REFUSED, "the probe of step %s failed before anything "
					 "was done, so there is nothing to compare with (%s): mend that, or "
					 "let the rehearsal leave the step alone: rehearse = \"skip\"",
					 graph->steps[i].name, json_str_or(step, "error", "?"));
	}
	return 0;
}

void
rehearsal_bind(struct graph *graph, const json_t *rehearsal)
{
	if (!rehearsal || strcmp(json_str_or(rehearsal, "approvals", ""), "passed"))
		return;
	for (uint32_t i = 0; i < graph->n_steps; i++)
		if (approval_is_gate(&graph->steps[i]) && !graph->steps[i].pass_why)
			graph->steps[i].pass_why = "nobody is asked in a rehearsal (--wait asks)";
}

bool
rehearsal_has_run(const struct run_state *state, uint32_t step)
{
	return decide_may_apply(state->graph, step) && sched_attempts(state->sched, step) > 0;
}

const char *
rehearsal_outcome(const struct run_state *state, bool residue)
{
	if (residue)
		return "residue";
	return sched_phase(state->sched) == RUN_DONE && !strcmp(decide_outcome(state), "done")
		? "rehearsed" : "failed";
}
