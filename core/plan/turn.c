/* The graph of an undo: that of its run, each dependency the other way round. */
#include "core/base/base.h"
#include "core/plan/arena.h"
#include "core/plan/graph.h"

#include <string.h>

/* Lays out what each step waits for, one after the other: after the turn that is who
 * waits for it. */
static int
lay_out_dependents(const struct graph *g, uint32_t **ret_dependents, uint32_t **ret_first)
{
	size_t n = 0;
	uint32_t *dependents, *first;

	for (uint32_t i = 0; i < g->n_steps; i++)
		n += g->steps[i].n_after;
	dependents = arena_array(g->own, n + 1, sizeof(*dependents));
	first = arena_array(g->own, g->n_steps + 1, sizeof(*first));
	if (!dependents || !first)
		return E_NOMEM;
	n = 0;
	for (uint32_t i = 0; i < g->n_steps; i++) {
		const struct step *s = &g->steps[i];

		first[i] = (uint32_t)n;
		if (s->n_after)
			memcpy(dependents + n, s->after, s->n_after * sizeof(*dependents));
		n += s->n_after;
	}
	first[g->n_steps] = (uint32_t)n;
	*ret_dependents = dependents;
	*ret_first = first;
	return 0;
}

int
graph_turn(struct graph *g)
{
	uint32_t *dependents, *first, *topo = arena_array(g->own, g->n_steps + 1, sizeof(*topo));
	int rc = topo ? lay_out_dependents(g, &dependents, &first) : E_NOMEM;

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < g->n_steps; i++) {
		g->steps[i].after = g->dependents + g->dep_first[i];
		g->steps[i].n_after = g->dep_first[i + 1] - g->dep_first[i];
		topo[i] = g->topo[g->n_steps - 1 - i];
	}
	g->dependents = dependents;
	g->dep_first = first;
	g->topo = topo;
	return 0;
}

static const char *const way_names[] = {
	[WAY_RUN] = "run", [WAY_UNDO] = "undo", [WAY_FAILBACK] = "failback"};

const char *
way_name(int way)
{
	return way >= 0 && (size_t)way < COUNT_OF(way_names) ? way_names[way] : NULL;
}

int
way_parse(const char *name)
{
	for (size_t i = 0; name && i < COUNT_OF(way_names); i++)
		if (!strcmp(name, way_names[i]))
			return (int)i;
	return -1;
}
