/* Names, edges and order of a runbook's steps, and which of them stay. */
#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/vec.h"
#include "core/plan/bind.h"

#include <stdlib.h>
#include <string.h>

#define CYCLES_MAX 20      /* told; more are the same mistake */
#define CYCLE_NAMES_MAX 40 /* written out of one cycle */

/* "dns", in a runbook that a step does "move/dns (done by plan.conf:12)". */
static void
write_scope(struct binder *b, const struct call *call, const char *name)
{
	strbuf_reset(&b->scope);
	strbuf_addstr(&b->scope, name ? name : "without a name");
	for (; call->up; call = call->up) {
		struct place at = b->written[call->by].step->at;

		strbuf_addf(&b->scope, " (done by %s:%u)", at.file, at.line);
	}
	b->nomem |= b->scope.failed;
	b->r.outer = (struct scope){"runbook", b->root->runbook->name};
	b->r.inner = (struct scope){"step", b->scope.buf};
}

static void
set_scope(struct binder *b, const struct written *w, const char *name)
{
	if (w->call->up) {
		write_scope(b, w->call, name);
		b->r.outer.name = w->call->runbook->name;
	} else {
		b->r.inner = (struct scope){"step", name ? name : "without a name"};
		b->r.outer.name = b->root->runbook->name;
	}
}

void
bind_scope_written(struct binder *b, uint32_t written)
{
	const struct written *w = &b->written[written];

	b->r.d = w->call->echo ? &b->mute : b->d;
	set_scope(b, w, w->name);
}

void
bind_scope(struct binder *b, uint32_t unit)
{
	const struct written *w = bind_written(b, unit);

	b->current = unit;
	b->r.d = b->d;
	b->locals = w->call->locals;
	b->locals.item = b->unit[unit].item;
	b->subst.locals = &b->locals;
	set_scope(b, w, w->name);
}

void
bind_scope_item(struct binder *b, const char *text)
{
	const struct unit *u = &b->unit[b->current];

	if (u->item)
		set_scope(b, bind_written(b, b->current),
			  text && strstr(text, "${item}") ? u->name : bind_written(b, b->current)->name);
}

const struct written *
bind_written(const struct binder *b, uint32_t unit)
{
	return &b->written[b->unit[unit].written];
}

uint32_t
bind_each_of(const struct binder *b, uint32_t unit)
{
	const struct written *w = bind_written(b, unit);

	if (w->call->each != UNIT_NONE)
		return w->call->each;
	return w->step->for_each ? b->unit[unit].written : UNIT_NONE;
}

const char *
bind_workload(const struct binder *b, uint32_t unit)
{
	const struct written *w = bind_written(b, unit);

	while (!w->step->workload && w->call->up)
		w = &b->written[w->call->by];
	return w->step->workload;
}

unsigned
bind_modes(const struct binder *b, uint32_t unit)
{
	const struct written *w = bind_written(b, unit);
	unsigned modes = w->step->modes;

	while (w->call->up) {
		w = &b->written[w->call->by];
		modes &= w->step->modes;
	}
	return modes;
}

/* --- edges --- */

static void
unknown_step(struct binder *b, const struct call *call, const config_setting_t *at,
	     const char *name)
{
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;

	suggest_init(&suggest, name);
	bind_offer_steps(b, call, &suggest);
	reader_error(&b->r, at, "'after': there is no step '%s'%s", name,
		     suggest_text(&suggest, text));
}

static void
add_wait(struct binder *b, uint32_t written, const config_setting_t *at, uint32_t *mark)
{
	struct written *w = &b->written[written];
	const char *name = setting_string(at);
	uint32_t to = bind_find(b, w->call, name);

	if (to == UNIT_NONE) {
		unknown_step(b, w->call, at, name);
	} else if (b->unit[to].written == written) {
		reader_error(&b->r, at, "'after': it names itself");
	} else if (mark[to] == written + 1) {
		reader_error(&b->r, at, "'after': '%s' is there twice", name);
	} else if (vec_reserve(&b->waits, b->n_waits + 1, &b->waits_cap) < 0) {
		b->nomem = true;
	} else {
		mark[to] = written + 1;
		b->waits[b->n_waits++] = to;
		w->n_waits++;
	}
}

static void
read_waits(struct binder *b)
{
	uint32_t *mark = calloc(b->n_units + 1, sizeof(*mark));

	b->nomem |= !mark;
	for (uint32_t i = 0; !b->nomem && i < b->n_written; i++) {
		const config_setting_t *after = b->written[i].step->after;

		b->written[i].first_wait = (uint32_t)b->n_waits;
		bind_scope_written(b, i);
		for (unsigned k = 0; after && k < setting_count(after); k++)
			add_wait(b, i, setting_item(after, k), mark);
	}
	free(mark);
}

/* A join waits for its parts; a step of a runbook that waits for none of its own, for
 * what the step waits for that does the runbook. */
static void
add_edges(struct binder *b, uint32_t unit)
{
	const struct unit *u = &b->unit[unit];
	const struct written *w = bind_written(b, unit);
	uint32_t k;

	for (k = 1; k <= u->members; k += 1 + b->unit[unit + k].members)
		b->nomem |= edges_add(&b->after, unit, unit + k) < 0;
	if (u->members)
		return;
	while (!w->n_waits && w->call->up)
		w = &b->written[w->call->by];
	for (k = 0; k < w->n_waits; k++)
		b->nomem |= edges_add(&b->after, unit, b->waits[w->first_wait + k]) < 0;
}

static void
read_edges(struct binder *b)
{
	read_waits(b);
	b->nomem |= edges_init(&b->after, (uint32_t)b->n_units) < 0;
	for (uint32_t i = 0; !b->nomem && i < b->n_units; i++) {
		add_edges(b, i);
		edges_end(&b->after, i);
	}
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
	struct binder *b = cycles->b;
	struct strbuf text = STRBUF_INIT;
	uint32_t first = 0;

	if (cycles->n++ >= CYCLES_MAX)
		return;
	for (uint32_t i = 1; i < n; i++)
		if (node[i] < node[first])
			first = i;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t unit = node[(first + i) % n];
		struct place at = bind_written(b, unit)->step->at;

		if (i < CYCLE_NAMES_MAX)
			strbuf_addf(&text, "%s (%s:%u) -> ", b->unit[unit].name, at.file, at.line);
		else if (i == CYCLE_NAMES_MAX)
			strbuf_addf(&text, "... %u more ... -> ", n - CYCLE_NAMES_MAX);
	}
	strbuf_addstr(&text, b->unit[node[first]].name);
	bind_scope(b, node[first]);
	reader_error_at(&b->r, bind_written(b, node[first])->step->at,
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
in_mode(const struct binder *b, uint32_t unit)
{
	return bind_modes(b, unit) & wanted_modes(b);
}

bool
bind_goes_with(const struct binder *b, uint32_t unit, uint32_t other)
{
	return !(bind_modes(b, unit) & wanted_modes(b) & ~bind_modes(b, other));
}

static bool
is_wanted(const struct binder *b, uint32_t unit)
{
	const char *workload = bind_workload(b, unit);

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
	uint32_t n = (uint32_t)b->n_units;

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
		for (uint32_t i = 0; i < b->n_units; i++) {
			const char *workload = bind_workload(b, i);

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
	for (uint32_t i = 0; i < b->n_units; i++)
		if (b->keep[i] && bind_modes(b, i) & MODE_BIT(b->req->mode))
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
	size_t n;

	bind_unroll(b);
	n = b->n_units + 1;
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
