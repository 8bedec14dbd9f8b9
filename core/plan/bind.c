/* graph_bind: one runbook, one direction, one mode, to a graph. */
#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/vec.h"
#include "core/plan/bind.h"

#include <stdlib.h>
#include <string.h>

/* Leaving steps out may join many to many; past this it must be said in the plan. */
#define EDGES_EXTRA_MAX 4000000

const char *
bind_word(struct binder *b, const char *s)
{
	uint32_t i = s ? strmap_get(&b->words, s) : STRMAP_NONE;
	const char *copy;

	if (!s || i != STRMAP_NONE)
		return s ? b->word[i] : NULL;
	copy = arena_strdup(b->own, s);
	if (!copy || vec_reserve(&b->word, b->n_words + 1, &b->words_cap) < 0 ||
	    strmap_put(&b->words, copy, (uint32_t)b->n_words) < 0) {
		b->nomem = true;
		return copy;
	}
	b->word[b->n_words++] = copy;
	return copy;
}

struct place
bind_place(struct binder *b, struct place at)
{
	if (at.file != b->last.file) {
		b->last = at;
		b->last_word = bind_word(b, at.file);
	}
	return (struct place){b->last_word, at.line};
}

/* --- the request --- */

static struct place
plan_top(const struct binder *b)
{
	return (struct place){plan_text_place(b->plan->text, 1).file, 0};
}

static const struct plan_site *
find_site(struct binder *b, const char *name, const char *which)
{
	const struct plan_site *site = name ? plan_site(b->plan, name) : NULL;
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;

	if (site)
		return site;
	if (!name) {
		reader_error_at(&b->r, plan_top(b), "%s: no site is given, and a run goes from one "
				"site to another (the plan has %zu)", which, b->plan->n_sites);
		return NULL;
	}
	suggest_init(&suggest, name);
	for (size_t i = 0; i < b->plan->n_sites; i++)
		suggest_offer(&suggest, b->plan->sites[i].name);
	reader_error_at(&b->r, plan_top(b), "%s: the plan has no site '%s'%s",
			which, name, suggest_text(&suggest, text));
	return NULL;
}

static bool
find_runbook(struct binder *b)
{
	const char *name = b->req->runbook ? b->req->runbook : "";
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;

	b->runbook = plan_runbook(b->plan, name);
	if (b->runbook)
		return true;
	suggest_init(&suggest, name);
	for (size_t i = 0; i < b->plan->n_runbooks; i++)
		suggest_offer(&suggest, b->plan->runbooks[i].name);
	reader_error_at(&b->r, plan_top(b), "there is no runbook '%s'%s", name,
			suggest_text(&suggest, text));
	return false;
}

static bool
read_request(struct binder *b)
{
	const struct bind_request *req = b->req;
	struct place top = plan_top(b);

	if (!find_runbook(b))
		return false;
	b->subst = (struct subst){.plan = b->plan, .run_id = req->run_id ? req->run_id : "none",
				  .from = find_site(b, req->from, "from"),
				  .to = find_site(b, req->to, "to")};
	if (!mode_name(req->mode))
		reader_error_at(&b->r, top, "mode %d is not known", req->mode);
	else if (b->subst.from && b->subst.from == b->subst.to)
		reader_error_at(&b->r, top, "from and to are the same site '%s'", req->from);
	else if (b->subst.from && b->subst.to) {
		b->r.outer = (struct scope){"runbook", b->runbook->name};
		return true;
	}
	return false;
}

/* --- plugins and actions --- */

static void
offer_plugin(void *suggest, const char *name)
{
	suggest_offer(suggest, name);
}

static void
missing_plugin(struct binder *b, const struct plan_step *step, int rc, const struct error *err)
{
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;

	if (rc != E_NOTFOUND) {
		reader_error_at(&b->r, step->at, "plugin '%s' cannot be used: %s", step->plugin,
				err->text);
		return;
	}
	suggest_init(&suggest, step->plugin);
	suggest_offer(&suggest, schema_builtin()->name);
	if (b->schemas->list)
		b->schemas->list(b->schemas->ctx, offer_plugin, &suggest);
	reader_error_at(&b->r, step->at, "there is no plugin '%s'%s", step->plugin,
			suggest_text(&suggest, text));
}

static const struct bound_plugin *
add_plugin(struct binder *b, const struct plan_step *step, const char *name)
{
	struct bound_plugin plugin = {.name = bind_word(b, name)};
	struct error err = {0};
	int rc = 0;

	if (!strcmp(name, schema_builtin()->name))
		plugin.schema = schema_builtin();
	else
		rc = b->schemas->find(b->schemas->ctx, name, &plugin.schema, &err);
	if (rc < 0) {
		plugin.schema = NULL;
		missing_plugin(b, step, rc, &err);
	}
	if (b->nomem || vec_reserve(&b->plugin, b->n_plugins + 1, &b->plugins_cap) < 0 ||
	    strmap_put(&b->plugin_map, plugin.name, (uint32_t)b->n_plugins) < 0) {
		b->nomem = true;
		return NULL;
	}
	b->plugin[b->n_plugins] = plugin;
	return &b->plugin[b->n_plugins++];
}

/* NULL: no memory. */
static const struct bound_plugin *
find_plugin(struct binder *b, const struct plan_step *step, const char *name)
{
	/* Steps side by side often use the same one. */
	uint32_t i = b->n_plugins && !strcmp(b->plugin[b->last_plugin].name, name) ?
		     b->last_plugin : strmap_get(&b->plugin_map, name);

	if (i == STRMAP_NONE)
		return add_plugin(b, step, name);
	b->last_plugin = i;
	return &b->plugin[i];
}

static void
find_action(struct binder *b, struct written *w)
{
	const struct plan_step *step = w->step;
	const struct bound_plugin *plugin =
		step->plugin ? find_plugin(b, step, step->plugin) : NULL;
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;

	if (!plugin || !plugin->schema)
		return;
	w->plugin = (uint32_t)(plugin - b->plugin);
	w->action = schema_action(plugin->schema, step->action);
	if (w->action)
		return;
	suggest_init(&suggest, step->action);
	for (size_t k = 0; k < plugin->schema->n_actions; k++)
		suggest_offer(&suggest, plugin->schema->actions[k].name);
	reader_error_at(&b->r, step->at, "plugin '%s' has no action '%s'%s", step->plugin,
			step->action, suggest_text(&suggest, text));
}

/* --- the steps of the graph --- */

static void
bind_limits(struct binder *b)
{
	struct graph_limit *limits =
		arena_array(b->own, b->plan->n_limits + 1, sizeof(*limits));

	b->nomem |= !limits;
	for (size_t i = 0; limits && i < b->plan->n_limits; i++)
		limits[i] = (struct graph_limit){bind_word(b, b->plan->limits[i].name),
						 (uint32_t)b->plan->limits[i].max};
	b->g->limits = limits;
	b->g->n_limits = (uint32_t)b->plan->n_limits;
}

static uint32_t
find_limit(struct binder *b, const config_setting_t *at)
{
	const char *name = setting_string(at);
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;

	suggest_init(&suggest, name);
	for (uint32_t i = 0; i < b->g->n_limits; i++) {
		if (!strcmp(b->g->limits[i].name, name))
			return i;
		suggest_offer(&suggest, b->g->limits[i].name);
	}
	reader_error(&b->r, at, "'limits': there is no limit '%s'%s", name,
		     suggest_text(&suggest, text));
	return UINT32_MAX;
}

static uint32_t
add_limit(uint32_t *index, uint32_t n, uint32_t limit)
{
	uint32_t k = 0;

	while (k < n && index[k] != limit)
		k++;
	index[k] = limit;
	return k == n ? n + 1 : n;
}

/* Its own, and those of the steps that do its runbook. */
static void
step_limits(struct binder *b, struct written *w)
{
	const config_setting_t *limits = w->step->limits;
	const struct written *by = w->call->up ? &b->written[w->call->by] : NULL;
	unsigned own = limits ? setting_count(limits) : 0;
	size_t max = own + (by ? by->n_limits : 0);
	uint32_t *index = max ? arena_array(b->own, max, sizeof(*index)) : NULL, n = 0;

	b->nomem |= max && !index;
	for (unsigned i = 0; index && i < own; i++) {
		uint32_t limit = find_limit(b, setting_item(limits, i));
		uint32_t more = limit == UINT32_MAX ? n : add_limit(index, n, limit);

		if (limit != UINT32_MAX && more == n)
			reader_error(&b->r, limits, "'limits': '%s' is there twice",
				     b->g->limits[limit].name);
		n = more;
	}
	for (uint32_t i = 0; index && by && i < by->n_limits; i++)
		n = add_limit(index, n, by->limits[i]);
	w->limits = index;
	w->n_limits = n;
}

/* What is the same for all items of a step. */
static void
look_up(struct binder *b, uint32_t written)
{
	struct written *w = &b->written[written];

	if (w->looked_up)
		return;
	w->looked_up = true;
	if (w->call->up)
		look_up(b, w->call->by); /* its limits are handed down */
	bind_scope_written(b, written);
	step_limits(b, w);
	if (!w->step->is_call)
		find_action(b, w);
}

static void
look_up_all(struct binder *b)
{
	for (uint32_t i = 0; !b->nomem && i < b->n_units; i++)
		if (b->keep[i])
			look_up(b, b->unit[i].written);
}

static int64_t
step_timeout(const struct plan_step *s, const struct schema_action *action, bool builtin)
{
	if (s->timeout_ms >= 0)
		return s->timeout_ms;
	if (action->timeout_ms || builtin)
		return action->timeout_ms;
	return STEP_TIMEOUT_DEFAULT_MS;
}

static void
check_meaning(struct binder *b, const struct plan_step *s, const struct step *step)
{
	if (step->readonly && (s->expect_max >= 0 || s->expect_percent >= 0))
		reader_warn_at(&b->r, s->at, "'expect' has no effect: %s.%s changes nothing",
			       step->plugin, step->action->name);
	else if (!(step->action->has & SCHEMA_HAS_PROBE) &&
		 (s->expect_max >= 0 || s->expect_percent >= 0))
		reader_error_at(&b->r, s->at, "'expect' cannot be kept: %s.%s has no probe that counts "
				"the changes", step->plugin, step->action->name);
	if (b->g->mode == RESITE_REHEARSAL && s->rehearse == REHEARSE_RUN && !step->builtin &&
	    !step->readonly && !(step->action->flags & RESITE_ACT_REVERSIBLE))
		reader_warn_at(&b->r, s->at, "rehearse = \"run\": what %s.%s does cannot be put back, so "
			       "a rehearsal will list what it has left", step->plugin,
			       step->action->name);
}

/* What a join and a step that does something have in common. */
static void
bind_step_head(struct binder *b, uint32_t unit, const struct bound_plugin *plugin,
	       const struct schema_action *action, struct step *ret)
{
	const struct unit *u = &b->unit[unit];

	ret->name = u->name;
	ret->item = u->is_numbered ? u->item : NULL;
	ret->plugin = plugin->name;
	ret->action = action;
	ret->workload = bind_word(b, bind_workload(b, unit));
	ret->modes = (uint8_t)bind_modes(b, unit);
	ret->at = bind_place(b, bind_written(b, unit)->step->at);
	ret->builtin = plugin->schema->builtin;
	ret->readonly = action->flags & RESITE_ACT_READONLY;
}

static void
bind_join(struct binder *b, uint32_t unit, struct step *ret)
{
	const struct plan_step *s = bind_written(b, unit)->step;
	const struct bound_plugin *core = find_plugin(b, s, schema_builtin()->name);

	if (!core)
		return;
	bind_step_head(b, unit, core, schema_action(core->schema, "none"), ret);
	ret->join = true;
	ret->params = "{}";
	ret->retry = s->retry;
	ret->expect_max = ret->expect_percent = -1;
}

/* So many items of one for_each may be wrong before the others are left unread. */
#define BAD_ITEMS_MAX 5

static void
bind_step(struct binder *b, uint32_t unit, struct step *ret)
{
	const struct written *w = bind_written(b, unit);
	const struct plan_step *s = w->step;
	const struct bound_plugin *plugin;

	bind_scope(b, unit);
	if (!w->action)
		return;
	plugin = &b->plugin[w->plugin];
	bind_ifs(b, unit, ret);
	if (ret->pass_why)
		bind_params_unused(b, w); /* its values may not even be there */
	else
		bind_params(b, w, &ret->deferred);
	bind_scope(b, unit);
	if (!ret->pass_why && plugin->schema->builtin && !strcmp(w->action->name, "approve"))
		bind_approve(b, s);
	if (b->nomem || !s->name)
		return;
	bind_step_head(b, unit, plugin, w->action, ret);
	ret->limits = w->limits;
	ret->n_limits = w->n_limits;
	ret->params = arena_strndup(b->own, b->json.buf, b->json.len);
	b->nomem |= !ret->params;
	ret->timeout_ms = step_timeout(s, w->action, ret->builtin);
	ret->takes_ms = s->takes_ms;
	ret->retry = s->retry;
	ret->expect_max = s->expect_max;
	ret->expect_percent = s->expect_percent;
	ret->on_failure = s->on_failure;
	ret->rehearse = s->rehearse;
	ret->tolerates_loss = s->tolerates_loss;
	ret->point_of_no_return = s->point_of_no_return;
	check_meaning(b, s, ret);
}

/* The items of a for_each are likely to be wrong all alike. */
static void
bind_item(struct binder *b, uint32_t unit, struct step *ret)
{
	uint32_t each = bind_each_of(b, unit);
	struct written *w = each == UNIT_NONE ? NULL : &b->written[each];
	size_t errors = b->d->errors;

	if (w && w->bad_items == BAD_ITEMS_MAX)
		return;
	bind_step(b, unit, ret);
	if (w && b->d->errors > errors && ++w->bad_items == BAD_ITEMS_MAX) {
		bind_scope_written(b, each);
		reader_error_at(&b->r, w->step->at, "%d of its steps are wrong; the others are "
				"looked at when these are right", BAD_ITEMS_MAX);
	}
}

static uint32_t
count_kept(const struct binder *b, uint32_t first, uint32_t n)
{
	uint32_t kept = 0;

	for (uint32_t i = first; i < first + n; i++)
		kept += b->keep[i];
	return kept;
}

static void
bind_steps(struct binder *b)
{
	uint32_t n = (uint32_t)b->n_units;

	b->g->steps = arena_array(b->own, (size_t)count_kept(b, 0, n) + 1, sizeof(*b->g->steps));
	b->nomem |= !b->g->steps;
	for (uint32_t i = 0; !b->nomem && i < n; i++) {
		struct step *step = &b->g->steps[b->g->n_steps];

		if (!b->keep[i])
			continue;
		b->g->n_steps++;
		if (b->unit[i].is_join)
			bind_join(b, i, step);
		else
			bind_item(b, i, step);
		step->members = count_kept(b, i + 1, b->unit[i].members);
	}
	b->r.inner = (struct scope){NULL, NULL};
	b->r.outer.name = b->runbook->name;
	b->r.d = b->d;
}

/* --- edges of the graph --- */

static const uint32_t *
keep_array(struct binder *b, const uint32_t *array, size_t n)
{
	uint32_t *copy = arena_array(b->own, n ? n : 1, sizeof(*copy));

	b->nomem |= !copy;
	if (copy && n)
		memcpy(copy, array, n * sizeof(*copy));
	return copy;
}

static void
never_cycle(void *ctx, const uint32_t *node, uint32_t n)
{
	(void)ctx, (void)node, (void)n;
}

static void
keep_edges(struct binder *b, const struct edges *after)
{
	uint32_t n = b->g->n_steps, *topo = calloc((size_t)n + 1, sizeof(*topo));
	const uint32_t *to = keep_array(b, after->to, after->first[n]);
	struct edges dependents = {0};

	b->nomem |= !topo || order_topo(after, topo, never_cycle, NULL) < 0 ||
		    order_reverse(after, &dependents) < 0;
	for (uint32_t i = 0; !b->nomem && i < n; i++) {
		b->g->steps[i].after = to + after->first[i];
		b->g->steps[i].n_after = after->first[i + 1] - after->first[i];
	}
	if (!b->nomem) {
		b->g->topo = keep_array(b, topo, n);
		b->g->dep_first = keep_array(b, dependents.first, (size_t)n + 1);
		b->g->dependents = keep_array(b, dependents.to, dependents.first[n]);
	}
	free(topo);
	edges_release(&dependents);
}

static void
bind_edges(struct binder *b)
{
	struct edges after = {0};
	int rc = order_reduce(&b->after, b->topo, b->keep,
			      (size_t)b->after.first[b->after.n] + EDGES_EXTRA_MAX, &after);

	if (rc == E_REFUSED)
		reader_error_at(&b->r, b->runbook->at, "the steps left out in mode %s join too many "
				"steps with too many others: put a step that does core.none "
				"between them", mode_name(b->req->mode));
	else if (rc < 0)
		b->nomem = true;
	else
		keep_edges(b, &after);
	edges_release(&after);
}

/* --- all together --- */

static void
bind_head(struct binder *b)
{
	struct graph *g = b->g;

	g->plan = bind_word(b, b->plan->name ? b->plan->name : "");
	g->runbook = bind_word(b, b->runbook->name);
	g->from = bind_word(b, b->req->from);
	g->to = bind_word(b, b->req->to);
	g->run_id = bind_word(b, b->subst.run_id);
	g->dir = bind_word(b, b->plan->text->dir);
	g->mode = b->req->mode;
	g->rto_ms = b->runbook->rto_ms;
	b->subst.step_ref = bind_use_output;
	b->subst.ctx = b;
}

static void
bind_all(struct binder *b)
{
	size_t errors = b->r.d->errors;

	if (!read_request(b))
		return;
	bind_head(b);
	if (b->req->mode == RESITE_DISASTER)
		bind_lost(b);
	bind_limits(b);
	if (b->nomem || !bind_order(b))
		return;
	look_up_all(b);
	if (!b->nomem)
		bind_steps(b);
	if (b->nomem)
		return;
	bind_secrets(b);
	if (b->is_cyclic)
		return;
	bind_check_refs(b);
	if (!b->nomem && b->r.d->errors == errors)
		bind_edges(b);
}

static void
binder_release(struct binder *b)
{
	strmap_release(&b->words);
	strmap_release(&b->plugin_map);
	strmap_release(&b->step_map);
	free(b->word);
	free(b->plugin);
	free(b->topo);
	free(b->keep);
	free(b->written);
	free(b->unit);
	free(b->waits);
	free(b->refs);
	free(b->secret_used);
	edges_release(&b->after);
	strbuf_release(&b->json);
	strbuf_release(&b->scope);
	diags_release(&b->mute);
}

int
graph_bind(const struct plan *plan, const struct bind_request *req,
	   const struct schema_source *schemas, struct diags *d, struct graph **ret)
{
	struct binder b = {.plan = plan, .req = req, .schemas = schemas,
			   .r = {.text = plan->text, .d = d}, .own = arena_new(),
			   .json = STRBUF_INIT, .scope = STRBUF_INIT, .d = d};
	int rc = E_NOMEM;

	b.g = b.own ? arena_alloc(b.own, sizeof(*b.g)) : NULL;
	b.secret_used = calloc(plan->n_secrets + 1, sizeof(*b.secret_used));
	if (b.g && b.secret_used) {
		b.g->own = b.own;
		bind_all(&b);
		rc = b.nomem || d->failed ? E_NOMEM : d->errors ? E_INVALID : 0;
	}
	binder_release(&b);
	if (rc == 0)
		*ret = b.g;
	else
		arena_free(b.own);
	return rc;
}
