#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/vec.h"
#include "core/plan/order.h"

#include <stdlib.h>
#include <string.h>

void
edges_release(struct edges *e)
{
	free(e->first);
	free(e->to);
	*e = (struct edges){0};
}

int
edges_init(struct edges *e, uint32_t n)
{
	*e = (struct edges){.n = n};
	e->first = calloc((size_t)n + 1, sizeof(*e->first));
	return e->first ? 0 : E_NOMEM;
}

int
edges_add(struct edges *e, uint32_t node, uint32_t to)
{
	uint32_t len = e->first[node + 1] ? e->first[node + 1] : e->first[node];

	if (len == UINT32_MAX || vec_reserve(&e->to, (size_t)len + 1, &e->cap) < 0)
		return E_NOMEM;
	e->to[len] = to;
	e->first[node + 1] = len + 1;
	return 0;
}

void
edges_end(struct edges *e, uint32_t node)
{
	if (!e->first[node + 1])
		e->first[node + 1] = e->first[node];
}

enum colour { WHITE, GREY, BLACK };

struct walk { /* depth first, without recursion: plans may be one long chain */
	const struct edges *e;
	uint8_t *colour;
	uint32_t *stack, *next; /* the path; of each node the next edge to follow */
	uint32_t depth, done;
	uint32_t *topo;
};

static void
push(struct walk *w, uint32_t node)
{
	w->colour[node] = GREY;
	w->next[node] = w->e->first[node];
	w->stack[w->depth++] = node;
}

static void
walk_from(struct walk *w, uint32_t root,
	  void (*cycle)(void *ctx, const uint32_t *node, uint32_t n), void *ctx)
{
	push(w, root);
	while (w->depth) {
		uint32_t node = w->stack[w->depth - 1], to, start;

		if (w->next[node] == w->e->first[node + 1]) {
			w->colour[node] = BLACK;
			w->topo[w->done++] = node;
			w->depth--;
			continue;
		}
		to = w->e->to[w->next[node]++];
		if (w->colour[to] == WHITE) {
			push(w, to);
		} else if (w->colour[to] == GREY) {
			for (start = w->depth - 1; w->stack[start] != to; start--)
				;
			cycle(ctx, w->stack + start, w->depth - start);
		}
	}
}

int
order_topo(const struct edges *after, uint32_t *topo,
	   void (*cycle)(void *ctx, const uint32_t *node, uint32_t n), void *ctx)
{
	size_t n = after->n ? after->n : 1;
	struct walk w = {.e = after, .topo = topo, .colour = calloc(n, 1),
			 .stack = calloc(n, sizeof(*w.stack)), .next = calloc(n, sizeof(*w.next))};
	int rc = w.colour && w.stack && w.next ? 0 : E_NOMEM;

	for (uint32_t i = 0; rc == 0 && i < after->n; i++)
		if (w.colour[i] == WHITE)
			walk_from(&w, i, cycle, ctx);
	free(w.colour);
	free(w.stack);
	free(w.next);
	return rc;
}

void
order_close(const struct edges *after, const uint32_t *topo, bool *keep)
{
	for (uint32_t i = after->n; i-- > 0;) {
		uint32_t node = topo[i];

		for (uint32_t e = after->first[node]; keep[node] && e < after->first[node + 1]; e++)
			keep[after->to[e]] = true;
	}
}

static int
by_number(const void *va, const void *vb)
{
	const uint32_t *a = va, *b = vb;

	return *a < *b ? -1 : *a > *b;
}

/* Most lists ascend already, as they are written. */
static void
sort_list(uint32_t *item, uint32_t n)
{
	uint32_t i = 1;

	while (i < n && item[i - 1] < item[i])
		i++;
	if (i < n)
		qsort(item, n, sizeof(*item), by_number);
}

struct reduction {
	const struct edges *after;
	const bool *keep;
	uint32_t *start, *len; /* of each node: its list in to */
	uint32_t *to;
	size_t n_to, cap;
	uint32_t *mark;        /* node + 1 of the list it was last put into */
};

static int
reduce_add(struct reduction *x, uint32_t node, uint32_t to)
{
	if (x->mark[to] == node + 1)
		return 0;
	x->mark[to] = node + 1;
	if (vec_reserve(&x->to, x->n_to + 1, &x->cap) < 0)
		return E_NOMEM;
	x->to[x->n_to++] = to;
	return 0;
}

static int
reduce_node(struct reduction *x, uint32_t node)
{
	const struct edges *after = x->after;
	int rc = 0;

	x->start[node] = (uint32_t)x->n_to;
	for (uint32_t e = after->first[node]; rc == 0 && e < after->first[node + 1]; e++) {
		uint32_t to = after->to[e];

		if (x->keep[to])
			rc = reduce_add(x, node, to);
		for (uint32_t k = 0; rc == 0 && !x->keep[to] && k < x->len[to]; k++)
			rc = reduce_add(x, node, x->to[x->start[to] + k]);
	}
	x->len[node] = (uint32_t)x->n_to - x->start[node];
	return rc;
}

static int
reduce_collect(const struct reduction *x, uint32_t *number, struct edges *ret)
{
	uint32_t kept = 0, n = x->after->n;
	int rc;

	for (uint32_t i = 0; i < n; i++)
		if (x->keep[i])
			number[i] = kept++;
	rc = edges_init(ret, kept);
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		if (!x->keep[i])
			continue;
		for (uint32_t k = 0; rc == 0 && k < x->len[i]; k++)
			rc = edges_add(ret, number[i], number[x->to[x->start[i] + k]]);
		edges_end(ret, number[i]);
		if (rc == 0)
			sort_list(ret->to + ret->first[number[i]], x->len[i]);
	}
	return rc;
}

static bool
keeps_all(const bool *keep, uint32_t n)
{
	return !memchr(keep, false, n * sizeof(*keep));
}

/* With nothing left out, the edges as they are. */
static int
reduce_none(const struct edges *after, struct edges *ret)
{
	uint32_t n_edges = after->first[after->n];

	if (edges_init(ret, after->n) < 0)
		return E_NOMEM;
	ret->to = malloc((n_edges ? n_edges : 1) * sizeof(*ret->to));
	if (!ret->to) {
		edges_release(ret);
		return E_NOMEM;
	}
	memcpy(ret->first, after->first, ((size_t)after->n + 1) * sizeof(*ret->first));
	if (n_edges)
		memcpy(ret->to, after->to, n_edges * sizeof(*ret->to));
	for (uint32_t i = 0; i < after->n; i++)
		sort_list(ret->to + ret->first[i], ret->first[i + 1] - ret->first[i]);
	return 0;
}

int
order_reduce(const struct edges *after, const uint32_t *topo, const bool *keep,
	     size_t max_edges, struct edges *ret)
{
	size_t n = after->n ? after->n : 1;
	struct reduction x = {.after = after, .keep = keep};
	int rc;

	*ret = (struct edges){0};
	if (keeps_all(keep, after->n))
		return after->first[after->n] > max_edges ? E_REFUSED : reduce_none(after, ret);
	x.start = calloc(n, sizeof(*x.start));
	x.len = calloc(n, sizeof(*x.len));
	x.mark = calloc(n, sizeof(*x.mark));
	rc = x.start && x.len && x.mark ? 0 : E_NOMEM;
	for (uint32_t i = 0; rc == 0 && i < after->n; i++) {
		rc = reduce_node(&x, topo[i]);
		if (rc == 0 && x.n_to > max_edges)
			rc = E_REFUSED;
	}
	if (rc == 0)
		rc = reduce_collect(&x, x.mark, ret); /* mark has done its work */
	free(x.start);
	free(x.len);
	free(x.mark);
	free(x.to);
	if (rc < 0)
		edges_release(ret);
	return rc;
}

int
order_reverse(const struct edges *e, struct edges *ret)
{
	uint32_t n_edges = e->first[e->n], *at;

	if (edges_init(ret, e->n) < 0)
		return E_NOMEM;
	ret->to = calloc(n_edges ? n_edges : 1, sizeof(*ret->to));
	at = calloc((size_t)e->n + 1, sizeof(*at));
	if (!ret->to || !at) {
		free(at);
		edges_release(ret);
		return E_NOMEM;
	}
	for (uint32_t i = 0; i < n_edges; i++)
		ret->first[e->to[i] + 1]++;
	for (uint32_t i = 0; i < e->n; i++)
		ret->first[i + 1] += ret->first[i];
	memcpy(at, ret->first, ((size_t)e->n + 1) * sizeof(*at));
	for (uint32_t i = 0; i < e->n; i++)
		for (uint32_t k = e->first[i]; k < e->first[i + 1]; k++)
			ret->to[at[e->to[k]]++] = i;
	free(at);
	return 0;
}

bool
order_reaches(const struct edges *after, const uint32_t *rank, uint32_t from, uint32_t target,
	      uint32_t *mark, uint32_t stamp, uint32_t *stack)
{
	uint32_t depth = 0;

	for (stack[depth++] = from; depth;) {
		uint32_t node = stack[--depth];

		for (uint32_t e = after->first[node]; e < after->first[node + 1]; e++) {
			uint32_t to = after->to[e];

			if (to == target)
				return true;
			if (mark[to] != stamp && rank[to] > rank[target]) {
				mark[to] = stamp;
				stack[depth++] = to;
			}
		}
	}
	return false;
}
