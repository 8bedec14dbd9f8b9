/* Writing the steps of a runbook out: items of for_each, runbooks inside runbooks. */
#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/vec.h"
#include "core/plan/bind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNITS_MAX 1000000 /* steps of a graph: more is a mistake that multiplies itself */
#define CALL_DEPTH_MAX 20

/* prefix + name + "[item]", in the graph's memory; NULL without memory. */
static const char *
make_name(struct binder *b, const char *prefix, const char *name, const char *item)
{
	size_t n_prefix = strlen(prefix), n_name = strlen(name), n_item = item ? strlen(item) : 0;
	char *text = arena_alloc(b->own, n_prefix + n_name + n_item + 3), *p = text;

	b->nomem |= !text;
	if (!text)
		return NULL;
	memcpy(p, prefix, n_prefix);
	memcpy(p += n_prefix, name, n_name);
	p += n_name;
	if (item) {
		*p++ = '[';
		memcpy(p, item, n_item);
		p[n_item] = ']';
	}
	return text;
}

static void
name_twice(struct binder *b, uint32_t unit, uint32_t other)
{
	struct place first = bind_written(b, other)->step->at;

	bind_scope_written(b, b->unit[unit].written);
	reader_error_at(&b->r, bind_written(b, unit)->step->at,
			"another step has this name (%s:%u)", first.file, first.line);
}

/* false: no memory, or there are too many. */
static bool
add_unit(struct binder *b, uint32_t written, struct unit unit)
{
	uint32_t i = (uint32_t)b->n_units;
	int rc;

	if (b->n_units == UNITS_MAX) {
		bind_scope_written(b, written);
		reader_error_at(&b->r, b->written[written].step->at, "with this step the runbook has "
				"more than %d steps", UNITS_MAX);
		b->n_units++; /* once is enough */
	}
	if (b->n_units > UNITS_MAX)
		return false;
	if (vec_reserve(&b->unit, b->n_units + 1, &b->units_cap) < 0) {
		b->nomem = true;
		return false;
	}
	unit.written = written;
	b->unit[b->n_units++] = unit;
	rc = unit.name ? strmap_put(&b->step_map, unit.name, i) : 1;
	b->nomem |= rc < 0;
	if (rc == 0)
		name_twice(b, i, strmap_get(&b->step_map, unit.name));
	return !b->nomem;
}

static bool
add_written(struct binder *b, const struct call *call, const struct plan_step *step,
	    uint32_t *ret)
{
	struct written w = {.step = step, .call = call, .unit = (uint32_t)b->n_units};

	if (step->name)
		w.name = make_name(b, call->prefix, step->name, NULL);
	if (b->nomem || vec_reserve(&b->written, b->n_written + 1, &b->written_cap) < 0) {
		b->nomem = true;
		return false;
	}
	*ret = (uint32_t)b->n_written;
	b->written[b->n_written++] = w;
	return true;
}

static void unroll_runbook(struct binder *b, const struct call *call);

/* "edge -> inner (plan.conf:12) -> edge (plan.conf:20)" */
static void
does_itself(struct binder *b, const struct written *w, const struct plan_runbook *runbook)
{
	const struct call *chain[CALL_DEPTH_MAX + 1];
	struct strbuf text = STRBUF_INIT;
	const struct call *call = w->call;
	size_t n = 0;

	for (; call->runbook != runbook; call = call->up)
		chain[n++] = call;
	strbuf_addstr(&text, runbook->name);
	while (n > 0) {
		struct place at = b->written[chain[--n]->by].step->at;

		strbuf_addf(&text, " -> %s (%s:%u)", chain[n]->runbook->name, at.file, at.line);
	}
	strbuf_addf(&text, " -> %s (%s:%u)", runbook->name, w->step->at.file, w->step->at.line);
	b->nomem |= text.failed;
	if (!text.failed)
		reader_error_at(&b->r, w->step->at, "the runbook would do itself: %s", text.buf);
	strbuf_release(&text);
}

static const struct plan_runbook *
find_called(struct binder *b, const struct written *w)
{
	const struct plan_runbook *runbook = plan_runbook(b->plan, w->step->action);
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;
	size_t depth = 0;

	if (!runbook) {
		suggest_init(&suggest, w->step->action);
		for (size_t i = 0; i < b->plan->n_runbooks; i++)
			suggest_offer(&suggest, b->plan->runbooks[i].name);
		reader_error_at(&b->r, w->step->at, "there is no runbook '%s'%s", w->step->action,
				suggest_text(&suggest, text));
		return NULL;
	}
	for (const struct call *c = w->call; c; c = c->up, depth++) {
		if (c->runbook != runbook)
			continue;
		does_itself(b, w, runbook);
		return NULL;
	}
	if (depth <= CALL_DEPTH_MAX)
		return runbook;
	reader_error_at(&b->r, w->step->at, "runbooks do runbooks more than %d deep", CALL_DEPTH_MAX);
	return NULL;
}

/* The runbook that the step does, for this item of it; NULL: none (said), or nomem. */
static const struct call *
make_call(struct binder *b, uint32_t written, const struct unit *unit, bool echo)
{
	const struct written *w = &b->written[written];
	const struct plan_runbook *runbook;
	struct call *call = arena_alloc(b->own, sizeof(*call));

	b->nomem |= !call;
	if (!call || !unit->name)
		return NULL;
	bind_scope_written(b, written);
	b->r.d = echo ? &b->mute : b->r.d;
	runbook = find_called(b, w);
	if (!runbook)
		return NULL;
	if (!echo)
		bind_check_args(b, w->step, runbook);
	*call = (struct call){.runbook = runbook, .up = w->call, .by = written,
			      .prefix = make_name(b, unit->name, "/", NULL),
			      .caller = w->call->locals, .each = w->call->each,
			      .echo = w->call->echo || echo};
	if (call->each == UNIT_NONE && w->step->for_each)
		call->each = written;
	call->caller.item = unit->item;
	call->locals = (struct locals){.call = call, .args = w->step->with, .up = &call->caller};
	return call;
}

/* One unit, or, for a step that does a runbook, a join and the runbook's steps. */
static void
unroll_one(struct binder *b, uint32_t written, struct unit unit, bool echo)
{
	uint32_t at = (uint32_t)b->n_units;
	const struct call *call;

	unit.is_join = b->written[written].step->is_call;
	if (!add_unit(b, written, unit) || !unit.is_join)
		return;
	call = make_call(b, written, &unit, echo);
	if (call && !b->nomem)
		unroll_runbook(b, call);
	b->unit[at].members = (uint32_t)b->n_units - at - 1;
}

static void
unroll_items(struct binder *b, uint32_t written, const struct items *items)
{
	const struct written *w = &b->written[written];
	const struct plan_step *step = w->step;
	const char *prefix = w->call->prefix;
	char number[16];

	for (uint32_t i = 0; !b->nomem && i < items->n && b->n_units <= UNITS_MAX; i++) {
		struct unit unit = {.item = items->text[i], .is_numbered = items->by_number};

		snprintf(number, sizeof(number), "%" PRIu32, i + 1);
		if (step->name)
			unit.name = make_name(b, prefix, step->name,
					      items->by_number ? number : unit.item);
		unroll_one(b, written, unit, i > 0);
	}
}

static void
unroll_each(struct binder *b, uint32_t written)
{
	struct unit join = {.name = b->written[written].name, .is_join = true};
	uint32_t at = (uint32_t)b->n_units;
	struct items items = {0};

	if (!add_unit(b, written, join))
		return;
	bind_scope_written(b, written);
	if (bind_items(b, b->written[written].call, b->written[written].step, &items))
		unroll_items(b, written, &items);
	free(items.text);
	b->unit[at].members = (uint32_t)b->n_units - at - 1;
}

static void
unroll_runbook(struct binder *b, const struct call *call)
{
	const struct plan_runbook *runbook = call->runbook;

	if (vec_reserve(&b->written, b->n_written + runbook->n_steps, &b->written_cap) < 0 ||
	    vec_reserve(&b->unit, b->n_units + runbook->n_steps, &b->units_cap) < 0)
		b->nomem = true;
	for (size_t i = 0; !b->nomem && i < runbook->n_steps && b->n_units <= UNITS_MAX; i++) {
		const struct plan_step *step = &runbook->steps[i];
		uint32_t written = 0;

		if (!add_written(b, call, step, &written))
			return;
		if (step->for_each)
			unroll_each(b, written);
		else
			unroll_one(b, written, (struct unit){.name = b->written[written].name},
				   false);
	}
}

void
bind_unroll(struct binder *b)
{
	b->root = arena_alloc(b->own, sizeof(*b->root));
	b->nomem |= !b->root;
	if (b->nomem)
		return;
	*b->root = (struct call){.runbook = b->runbook, .prefix = "", .each = UNIT_NONE};
	b->root->locals.call = b->root;
	unroll_runbook(b, b->root);
	if (b->n_units > UNITS_MAX)
		b->n_units = UNITS_MAX;
	b->r.d = b->d;
}

/* --- names ----------------------------------------------------------------- */

uint32_t
bind_find(struct binder *b, const struct call *call, const char *name)
{
	struct strbuf full = STRBUF_INIT;
	uint32_t unit;

	if (!*call->prefix)
		return strmap_get(&b->step_map, name);
	strbuf_addstr(&full, call->prefix);
	strbuf_addstr(&full, name);
	b->nomem |= full.failed;
	unit = full.failed ? UNIT_NONE : strmap_get(&b->step_map, full.buf);
	strbuf_release(&full);
	return unit;
}

void
bind_offer_steps(const struct binder *b, const struct call *call, struct suggest *suggest)
{
	size_t n = strlen(call->prefix);

	for (uint32_t i = 0; i < b->n_units; i++)
		if (b->unit[i].name && !strncmp(b->unit[i].name, call->prefix, n))
			suggest_offer(suggest, b->unit[i].name + n);
}
