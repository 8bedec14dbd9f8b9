#include "core/base/base.h"
#include "core/engine/failback.h"

#include <string.h>

static int
refuse_way(const struct graph *g, const char *run, struct error *err)
{
	return error_set(err, E_REFUSED, "run %s is %s itself: run the runbook again instead (resite "
			 "run PLAN %s --from %s --to %s)", run,
			 g->way == WAY_UNDO ? "an undo" : "a failback", g->runbook, g->to, g->from);
}

int
failback_permits(const struct run_state *origin, const char *run, struct error *err)
{
	const struct graph *g = origin->graph;

	if (g->way != WAY_RUN)
		return refuse_way(g, run, err);
	if (g->mode == RESITE_REHEARSAL)
		return error_set(err, E_REFUSED, "run %s is a rehearsal: nothing has moved to the "
				 "other site, so there is no way back to go", run);
	if (!origin->ended)
		return error_set(err, E_REFUSED, "run %s is not done: resite resume %s finishes it, "
				 "resite undo %s takes it back", run, run, run);
	if (strcmp(origin->outcome, "done"))
		return error_set(err, E_REFUSED, "run %s has ended as %s, not as done: resite undo %s "
				 "puts back what it has changed", run, origin->outcome, run);
	return 0;
}

int
failback_decide(const struct run_state *origin, json_t **ret, struct error *err)
{
	const struct graph *g = origin->graph;
	json_t *list = json_array();
	int rc = list ? 0 : -1;

	for (uint32_t i = 0; i < g->n_steps && rc == 0; i++) {
		uint64_t n = origin->facts[i].undo_records;

		/* What carries data carries today's data back. */
		if (n && !(g->steps[i].action->flags & RESITE_ACT_CARRIES))
			rc = json_array_append_new(list, json_pack("{s:s, s:I}", "step",
					g->steps[i].name, "records", (json_int_t)n));
	}
	if (rc == 0)
		*ret = list;
	else
		json_decref(list);
	return rc < 0 ? error_set(err, E_NOMEM, "out of memory") : 0;
}

void
failback_bind(struct graph *g, const json_t *decided, bool agreed)
{
	const json_t *one;
	size_t i;

	g->way = WAY_FAILBACK;
	g->diverged_agreed = agreed;
	json_array_foreach(decided, i, one) {
		uint32_t step = graph_find_step(g, json_str_or(one, "step", ""));

		if (step == GRAPH_NO_STEP)
			continue;
		g->steps[step].records = (uint64_t)json_int_or(one, "records", 0);
		/* What was done in one mode is put back in any. */
		g->steps[step].modes |= MODE_BIT(RESITE_PLANNED) | MODE_BIT(RESITE_DISASTER);
	}
}
