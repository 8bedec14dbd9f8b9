/* order.h -- the order of steps: cycles, topological order, leaving steps out.
 * Pure; knows only numbers.  Private to core/plan. */
#ifndef CORE_PLAN_ORDER_H
#define CORE_PLAN_ORDER_H

#include "core/base/base.h"

struct edges { /* of node i: to[first[i]] up to, not including, to[first[i + 1]] */
	uint32_t n;
	uint32_t *first; /* n + 1 */
	uint32_t *to;
	size_t cap;      /* of to */
};

void edges_release(struct edges *e);

/* Room for n nodes without edges; nodes are then filled in ascending order with
 * edges_add and edges_end.  E_NOMEM. */
int edges_init(struct edges *e, uint32_t n);
int edges_add(struct edges *e, uint32_t node, uint32_t to);
void edges_end(struct edges *e, uint32_t node);

/* Writes all n nodes to topo, each after those it points to, otherwise ascending.
 * Calls cycle for each cycle that the walk closes, with its nodes in the order of
 * their edges; topo has no meaning then.  E_NOMEM. */
int order_topo(const struct edges *after, uint32_t *topo,
	       void (*cycle)(void *ctx, const uint32_t *node, uint32_t n), void *ctx);

/* Marks in keep all that a marked node needs. */
void order_close(const struct edges *after, const uint32_t *topo, bool *keep);

/* Edges among the kept nodes alone, renumbered: what is left out hands its own
 * edges on, so that order stays.  No list of after may have doubles; then none here has, and
 * each ascends.  E_NOMEM; E_REFUSED when that would be more than
 * max_edges. */
int order_reduce(const struct edges *after, const uint32_t *topo, const bool *keep,
		 size_t max_edges, struct edges *ret);

/* The edges turned round.  E_NOMEM. */
int order_reverse(const struct edges *e, struct edges *ret);

/* Can `from` reach `target` by its edges?  rank[i]: index of i in topo.  mark: n
 * zeroed numbers for the caller's use with ascending stamps. */
bool order_reaches(const struct edges *after, const uint32_t *rank, uint32_t from,
		   uint32_t target, uint32_t *mark, uint32_t stamp, uint32_t *stack);

#endif
