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
	return (struct place){bind_word(b, at.file), at.line};
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
find_plugin(struct binder *b, const struct plan_step *step)
{
	uint32_t i = strmap_get(&b->plugin_map, step->plugin);
	struct bound_plugin plugin = {0};
	struct error err = {0};
	int rc = 0;

	if (i != STRMAP_NONE)
		return &b->plugin[i];
	if (!strcmp(step->plugin, schema_builtin()->name))
		plugin.schema = schema_builtin();
	else
		rc = b->schemas->find(b->schemas->ctx, step->plugin, &plugin.schema, &err);
	if (rc < 0) {
		plugin.schema = NULL;
		missing_plugin(b, step, rc, &err);
	}
	plugin.name = bind_word(b, step->plugin);
	if (b->nomem || vec_reserve(&b->plugin, b->n_plugins + 1, &b->plugins_cap) < 0 ||
	    strmap_put(&b->plugin_map, plugin.name, (uint32_t)b->n_plugins) < 0) {
		b->nomem = true;
		return NULL;
	}
	b->plugin[b->n_plugins] = plugin;
	return &b->plugin[b->n_plugins++];
}

static void
find_action(struct binder *b, uint32_t i)
{
	const struct plan_step *step = &b->runbook->steps[i];
	const struct bound_plugin *plugin = step->plugin ? find_plugin(b, step) : NULL;
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;

	if (!plugin || !plugin->schema)
		return;
	b->action[i] = schema_action(plugin->schema, step->action);
	if (b->action[i])
		return;
	suggest_init(&suggest, step->action);
	for (size_t k = 0; k < plugin->schema->n_actions; k++)
		suggest_offer(&suggest, plugin->schema->actions[k].name);
	reader_error_at(&b->r, step->at, "plugin '%s' has no action '%s'%s", step->plugin,
			step->action, suggest_text(&suggest, text));
}

static void
find_actions(struct binder *b)
{
	b->action = calloc(b->runbook->n_steps + 1, sizeof(*b->action));
	b->nomem |= !b->action;
	for (uint32_t i = 0; !b->nomem && i < b->runbook->n_steps; i++) {
		bind_scope(b, i);
		if (b->keep[i])
			find_action(b, i);
	}
}

/* --- references to outputs --- */

static void
unknown_output(struct binder *b, const config_setting_t *at, const struct schema_action *action,
	       const char *step, const char *output)
{
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;

	suggest_init(&suggest, output);
	for (size_t i = 0; i < action->n_outputs; i++)
		suggest_offer(&suggest, action->outputs[i]);
	reader_error(&b->r, at, "step '%s' has no output '%s'%s", step, output,
		     suggest_text(&suggest, text));
}

static void
unknown_source(struct binder *b, const config_setting_t *at, const char *name)
{
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;

	suggest_init(&suggest, name);
	for (uint32_t i = 0; i < b->runbook->n_steps; i++)
		if (b->runbook->steps[i].name)
			suggest_offer(&suggest, b->runbook->steps[i].name);
	reader_error(&b->r, at, "there is no step '%s'%s", name, suggest_text(&suggest, text));
}

static bool
use_output(void *ctx, const config_setting_t *at, const char *name, const char *output)
{
	struct binder *b = ctx;
	uint32_t i = strmap_get(&b->step_map, name);

	if (i == STRMAP_NONE) {
		unknown_source(b, at, name);
		return false;
	}
	if (!b->keep[i]) {
		reader_error(&b->r, at, "step '%s', whose output is used here, is left out in mode "
			     "%s", name, mode_name(b->req->mode));
		return false;
	}
	if (!bind_goes_with(b, b->current, i)) {
		reader_error(&b->r, at, "step '%s', whose output is used here, is not done in every "
			     "mode in which this step is", name);
		return false;
	}
	if (b->action[i] && !schema_has_output(b->action[i], output)) {
		unknown_output(b, at, b->action[i], name, output);
		return false;
	}
	if (vec_reserve(&b->refs, b->n_refs + 1, &b->refs_cap) < 0) {
		b->nomem = true;
		return false;
	}
	b->refs[b->n_refs++] = (struct output_ref){b->current, i, reader_place(&b->r, at)};
	return true;
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

static void
step_limits(struct binder *b, const config_setting_t *limits, struct step *ret)
{
	unsigned n = limits ? setting_count(limits) : 0;
	uint32_t *index = n ? arena_array(b->own, n, sizeof(*index)) : NULL;

	b->nomem |= n && !index;
	for (unsigned i = 0; index && i < n; i++) {
		uint32_t limit = find_limit(b, setting_item(limits, i)), k = 0;

		while (k < ret->n_limits && index[k] != limit)
			k++;
		if (limit == UINT32_MAX)
			continue;
		if (k < ret->n_limits)
			reader_error(&b->r, limits, "'limits': '%s' is there twice",
				     b->g->limits[limit].name);
		else
			index[ret->n_limits++] = limit;
	}
	ret->limits = index;
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
}

static void
bind_step(struct binder *b, uint32_t i, struct step *ret)
{
	const struct plan_step *s = &b->runbook->steps[i];
	const struct schema_action *action = b->action[i];
	const struct bound_plugin *plugin;
	bool deferred;

	bind_scope(b, i);
	step_limits(b, s->limits, ret);
	if (!action)
		return;
	plugin = find_plugin(b, s);
	bind_params(b, s, action, &deferred);
	if (plugin->schema->builtin && !strcmp(action->name, "approve"))
		bind_approve(b, s);
	if (b->nomem || !s->name)
		return;
	ret->name = arena_strdup(b->own, s->name);
	ret->params = arena_strndup(b->own, b->json.buf, b->json.len);
	b->nomem |= !ret->name || !ret->params;
	ret->plugin = plugin->name;
	ret->action = action;
	ret->workload = bind_word(b, s->workload);
	ret->at = bind_place(b, s->at);
	ret->builtin = plugin->schema->builtin;
	ret->readonly = action->flags & RESITE_ACT_READONLY;
	ret->timeout_ms = step_timeout(s, action, ret->builtin);
	ret->retry = s->retry;
	ret->modes = (uint8_t)s->modes;
	ret->expect_max = s->expect_max;
	ret->expect_percent = s->expect_percent;
	ret->on_failure = s->on_failure;
	ret->rehearse = s->rehearse;
	ret->deferred = deferred;
	ret->tolerates_loss = s->tolerates_loss;
	ret->point_of_no_return = s->point_of_no_return;
	check_meaning(b, s, ret);
}

static void
bind_steps(struct binder *b)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < b->runbook->n_steps; i++)
		kept += b->keep[i];
	b->g->steps = arena_array(b->own, (size_t)kept + 1, sizeof(*b->g->steps));
	b->nomem |= !b->g->steps;
	for (uint32_t i = 0; !b->nomem && i < b->runbook->n_steps; i++)
		if (b->keep[i])
			bind_step(b, i, &b->g->steps[b->g->n_steps++]);
	b->r.inner = (struct scope){NULL, NULL};
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
	b->subst.step_ref = use_output;
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
	find_actions(b);
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
	free(b->action);
	free(b->refs);
	free(b->secret_used);
	edges_release(&b->after);
	strbuf_release(&b->json);
}

int
graph_bind(const struct plan *plan, const struct bind_request *req,
	   const struct schema_source *schemas, struct diags *d, struct graph **ret)
{
	struct binder b = {.plan = plan, .req = req, .schemas = schemas,
			   .r = {.text = plan->text, .d = d}, .own = arena_new(),
			   .json = STRBUF_INIT};
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
