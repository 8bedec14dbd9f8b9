/* Names, edges and order of a runbook's steps, and which of them stay. */
#include "core/base/base.h"
#include "core/base/error.h"
#include "core/plan/bind.h"

#include <stdlib.h>
#include <string.h>

#define CYCLES_MAX 20      /* told; more are the same mistake */
#define CYCLE_NAMES_MAX 40 /* written out of one cycle */

void
bind_scope(struct binder *b, uint32_t step)
{
	const char *name = b->runbook->steps[step].name;

	b->current = step;
	b->r.inner = (struct scope){"step", name ? name : "without a name"};
}

static void
map_steps(struct binder *b)
{
	for (uint32_t i = 0; i < b->runbook->n_steps; i++) {
		const struct plan_step *step = &b->runbook->steps[i];
		int rc = step->name ? strmap_put(&b->step_map, step->name, i) : 1;

		b->nomem |= rc < 0;
		if (rc == 0) {
			const struct plan_step *first =
				&b->runbook->steps[strmap_get(&b->step_map, step->name)];

			bind_scope(b, i);
			reader_error_at(&b->r, step->at, "another step has this name (%s:%u)",
					first->at.file, first->at.line);
		}
	}
}

static void
unknown_step(struct binder *b, const config_setting_t *at, const char *name)
{
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;

	suggest_init(&suggest, name);
	for (uint32_t i = 0; i < b->runbook->n_steps; i++)
		if (b->runbook->steps[i].name)
			suggest_offer(&suggest, b->runbook->steps[i].name);
	reader_error(&b->r, at, "'after': there is no step '%s'%s", name,
		     suggest_text(&suggest, text));
}

static void
add_edge(struct binder *b, uint32_t step, const config_setting_t *at, uint32_t *mark)
{
	const char *name = setting_string(at);
	uint32_t to = strmap_get(&b->step_map, name);

	if (to == STRMAP_NONE) {
		unknown_step(b, at, name);
	} else if (to == step) {
		reader_error(&b->r, at, "'after': it names itself");
	} else if (mark[to] == step + 1) {
		reader_error(&b->r, at, "'after': '%s' is there twice", name);
	} else {
		mark[to] = step + 1;
		b->nomem |= edges_add(&b->after, step, to) < 0;
	}
}

static void
read_edges(struct binder *b)
{
	uint32_t n = (uint32_t)b->runbook->n_steps;
	uint32_t *mark = calloc((size_t)n + 1, sizeof(*mark));

	b->nomem |= !mark || edges_init(&b->after, n) < 0;
	for (uint32_t i = 0; !b->nomem && i < n; i++) {
		const config_setting_t *after = b->runbook->steps[i].after;

		bind_scope(b, i);
		for (unsigned k = 0; after && k < setting_count(after); k++)
			add_edge(b, i, setting_item(after, k), mark);
		edges_end(&b->after, i);
	}
	free(mark);
}

struct cycles {
	struct binder *b;
	unsigned n;
};

/* "a (plan.conf:4) -> b (plan.conf:9) -> a" from the step with the lowest number
 * on, so that the same cycle always reads the same. */
static void
tell_cycle(void *ctx, const uint32_t *node, uint32_t n)
{
	struct cycles *cycles = ctx;
	const struct plan_step *steps = cycles->b->runbook->steps;
	struct strbuf text = STRBUF_INIT;
	uint32_t first = 0;

	if (cycles->n++ >= CYCLES_MAX)
		return;
	for (uint32_t i = 1; i < n; i++)
		if (node[i] < node[first])
			first = i;
	for (uint32_t i = 0; i < n; i++) {
		const struct plan_step *s = &steps[node[(first + i) % n]];

		if (i < CYCLE_NAMES_MAX)
			strbuf_addf(&text, "%s (%s:%u) -> ", s->name, s->at.file, s->at.line);
		else if (i == CYCLE_NAMES_MAX)
			strbuf_addf(&text, "... %u more ... -> ", n - CYCLE_NAMES_MAX);
	}
	strbuf_addstr(&text, steps[node[first]].name);
	bind_scope(cycles->b, node[first]);
	reader_error_at(&cycles->b->r, steps[node[first]].at,
			"a cycle, each waits for the next: %s", text.buf);
	strbuf_release(&text);
}

/* The modes that the graph is for. */
static unsigned
wanted_modes(const struct binder *b)
{
	bool both = b->req->may_switch && b->req->mode == RESITE_PLANNED;

	return MODE_BIT(b->req->mode) | (both ? MODE_BIT(RESITE_DISASTER) : 0);
}

static bool
in_mode(const struct binder *b, uint32_t step)
{
	return b->runbook->steps[step].modes & wanted_modes(b);
}

bool
bind_goes_with(const struct binder *b, uint32_t step, uint32_t other)
{
	const struct plan_step *steps = b->runbook->steps;

	return !(steps[step].modes & wanted_modes(b) & ~steps[other].modes);
}

static bool
is_wanted(const struct binder *b, uint32_t step)
{
	const char *workload = b->runbook->steps[step].workload;

	for (size_t k = 0; workload && k < b->req->n_only; k++)
		if (!strcmp(b->req->only[k], workload))
			return true;
	return false;
}

/* Steps of this mode, of the workloads asked for, and what those need. */
static void
choose_steps(struct binder *b)
{
	const struct bind_request *req = b->req;
	uint32_t n = (uint32_t)b->runbook->n_steps;

	for (uint32_t i = 0; i < n; i++)
		b->keep[i] = in_mode(b, i) && (!req->only || is_wanted(b, i));
	if (!req->only)
		return;
	order_close(&b->after, b->topo, b->keep);
	for (uint32_t i = 0; i < n; i++)
		b->keep[i] = b->keep[i] && in_mode(b, i);
}

static void
check_only(struct binder *b)
{
	for (size_t k = 0; b->req->only && k < b->req->n_only; k++) {
		const char *want = b->req->only[k];
		char text[SUGGEST_TEXT_MAX];
		struct suggest suggest;
		bool found = false;

		suggest_init(&suggest, want);
		for (uint32_t i = 0; i < b->runbook->n_steps; i++) {
			const char *workload = b->runbook->steps[i].workload;

			found |= workload && !strcmp(workload, want);
			if (workload)
				suggest_offer(&suggest, workload);
		}
		if (!found)
			reader_error_at(&b->r, b->runbook->at, "no step has the workload '%s'%s",
					want, suggest_text(&suggest, text));
	}
}

static void
check_some_stay(struct binder *b)
{
	for (uint32_t i = 0; i < b->runbook->n_steps; i++)
		if (b->keep[i] && b->runbook->steps[i].modes & MODE_BIT(b->req->mode))
			return;
	if (b->runbook->n_steps)
		reader_error_at(&b->r, b->runbook->at, "no step is left in mode %s%s",
				mode_name(b->req->mode),
				b->req->only ? " with these workloads" : "");
}

bool
bind_order(struct binder *b)
{
	struct cycles cycles = {.b = b};
	size_t n = b->runbook->n_steps + 1;

	map_steps(b);
	read_edges(b);
	b->topo = calloc(n, sizeof(*b->topo));
	b->keep = calloc(n, sizeof(*b->keep));
	if (b->nomem || !b->topo || !b->keep ||
	    order_topo(&b->after, b->topo, tell_cycle, &cycles) < 0) {
		b->nomem = true;
		return false;
	}
	b->r.inner = (struct scope){NULL, NULL};
	if (cycles.n > CYCLES_MAX)
		reader_error_at(&b->r, b->runbook->at, "and %u more cycles", cycles.n - CYCLES_MAX);
	check_only(b);
	b->is_cyclic = cycles.n > 0;
	if (b->is_cyclic) {
		/* Without an order the parameters can still be checked. */
		for (uint32_t i = 0; i + 1 < n; i++)
			b->keep[i] = in_mode(b, i);
		return true;
	}
	choose_steps(b);
	check_some_stay(b);
	return true;
}
