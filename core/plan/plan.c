#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/vec.h"
#include "core/plan/arena.h"
#include "core/plan/lost.h"
#include "core/plan/plan.h"
#include "core/plan/read.h"
#include "core/plan/step.h"
#include "core/plan/subst.h"
#include "core/plan/value.h"

#include <stdlib.h>
#include <string.h>

struct loading {
	struct plan *plan;
	bool has_format, nomem;
};

static void
values_release(struct plan_values *values)
{
	free(values->item);
	strmap_release(&values->map);
}

void
plan_free(struct plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->n_sites; i++)
		values_release(&plan->sites[i].values);
	for (size_t i = 0; i < plan->n_runbooks; i++)
		free(plan->runbooks[i].steps);
	values_release(&plan->vars);
	free(plan->sites);
	free(plan->secrets);
	free(plan->limits);
	free(plan->runbooks);
	arena_free(plan->own);
	config_destroy(&plan->config);
	free(plan);
}

/* --- values of sites and variables --- */

/* Reads a group of values; false: out of memory. */
static bool
read_values(const struct reader *r, const config_setting_t *group, struct plan_values *values)
{
	unsigned n = (unsigned)config_setting_length(group);

	for (unsigned i = 0; i < n; i++) {
		const config_setting_t *s = config_setting_get_elem(group, i);
		struct plan_value value = {config_setting_name(s), s, reader_place(r, s)};

		if (!reader_is_name(r, s, "value", value.name))
			continue;
		reader_is_value(r, s);
		if (vec_reserve(&values->item, values->len + 1, &values->cap) < 0 ||
		    strmap_put(&values->map, value.name, (uint32_t)values->len) < 0)
			return false;
		values->item[values->len++] = value;
	}
	return true;
}

const struct plan_value *
plan_value(const struct plan_values *values, const char *name)
{
	uint32_t i = strmap_get(&values->map, name);

	return i == STRMAP_NONE ? NULL : &values->item[i];
}

/* --- the parts of a plan --- */

static void
read_format(const struct reader *r, const config_setting_t *s, void *into)
{
	int64_t n;

	((struct loading *)into)->has_format = true;
	if (reader_int(r, s, 1, INT32_MAX, &n) && n != PLAN_FORMAT)
		reader_error(r, s, "format %" PRId64 " is not known to this version, only %d",
			     n, PLAN_FORMAT);
}

static void
read_plan_name(const struct reader *r, const config_setting_t *s, void *into)
{
	const char *name;

	if (reader_string(r, s, &name) && reader_is_name(r, s, "plan", name))
		((struct loading *)into)->plan->name = name;
}

/* Calls one for every named group in the group s. */
static void
read_members(const struct reader *r, const config_setting_t *s, const char *what, void *into,
	     void (*one)(struct reader *, const config_setting_t *, struct loading *))
{
	unsigned n;

	if (!reader_is_group(r, s))
		return;
	n = (unsigned)config_setting_length(s);
	for (unsigned i = 0; i < n; i++) {
		const config_setting_t *m = config_setting_get_elem(s, i);
		struct reader inner = *r;

		if (!reader_is_name(r, m, what, config_setting_name(m)))
			continue;
		inner.outer = (struct scope){what, config_setting_name(m)};
		one(&inner, m, into);
	}
}

static void
read_site(struct reader *r, const config_setting_t *s, struct loading *l)
{
	struct plan *p = l->plan;
	struct plan_site site = {.name = config_setting_name(s), .at = reader_place(r, s)};

	if (!reader_is_group(r, s))
		return;
	if (!read_values(r, s, &site.values) ||
	    vec_reserve(&p->sites, p->n_sites + 1, &p->sites_cap) < 0) {
		values_release(&site.values);
		l->nomem = true;
		return;
	}
	p->sites[p->n_sites++] = site;
}

static void
read_sites(const struct reader *r, const config_setting_t *s, void *into)
{
	read_members(r, s, "site", into, read_site);
}

static void
read_vars(const struct reader *r, const config_setting_t *s, void *into)
{
	struct loading *l = into;

	if (reader_is_group(r, s) && !read_values(r, s, &l->plan->vars))
		l->nomem = true;
}

static void
read_secret_file(const struct reader *r, const config_setting_t *s, void *into)
{
	struct plan_secret *secret = into;

	reader_string(r, s, &secret->file);
	secret->file_at = s;
}

static void
read_secret_env(const struct reader *r, const config_setting_t *s, void *into)
{
	reader_string(r, s, &((struct plan_secret *)into)->env);
}

static const struct key secret_keys[] = {
	{"file", read_secret_file}, {"env", read_secret_env}, {NULL, NULL}};

static void
read_secret(struct reader *r, const config_setting_t *s, struct loading *l)
{
	struct plan *p = l->plan;
	struct plan_secret secret = {.name = config_setting_name(s), .at = reader_place(r, s)};

	if (!config_setting_is_group(s)) {
		reader_error(r, s, "write { file = \"PATH\"; } or { env = \"VARIABLE\"; }: "
			     "a plan never holds the value itself");
		return;
	}
	reader_group(r, s, secret_keys, &secret);
	if (!secret.file == !secret.env) {
		reader_error(r, s, "it needs one of 'file' and 'env'");
		return;
	}
	if ((secret.file && !*secret.file) || (secret.env && !*secret.env))
		reader_error(r, s, "an empty name");
	if (vec_reserve(&p->secrets, p->n_secrets + 1, &p->secrets_cap) < 0)
		l->nomem = true;
	else
		p->secrets[p->n_secrets++] = secret;
}

static void
read_secrets(const struct reader *r, const config_setting_t *s, void *into)
{
	read_members(r, s, "secret", into, read_secret);
}

static void
read_limit(struct reader *r, const config_setting_t *s, struct loading *l)
{
	struct plan *p = l->plan;
	struct plan_limit limit = {.name = config_setting_name(s), .max = 1,
				   .at = reader_place(r, s)};

	reader_int(r, s, 1, 1000000, &limit.max);
	if (vec_reserve(&p->limits, p->n_limits + 1, &p->limits_cap) < 0)
		l->nomem = true;
	else
		p->limits[p->n_limits++] = limit;
}

static void
read_limits(const struct reader *r, const config_setting_t *s, void *into)
{
	read_members(r, s, "limit", into, read_limit);
}

struct runbook_reading {
	struct loading *l;
	struct plan_runbook *runbook;
};

static void
read_rto(const struct reader *r, const config_setting_t *s, void *into)
{
	reader_duration(r, s, &((struct runbook_reading *)into)->runbook->rto_ms);
}

static void
read_steps(const struct reader *r, const config_setting_t *s, void *into)
{
	struct runbook_reading *reading = into;
	struct plan_runbook *b = reading->runbook;
	struct reader inner = *r;
	unsigned n;

	if (!config_setting_is_list(s)) {
		reader_error(r, s, "'steps' must be a list: ( { name = ... }, { ... } )");
		return;
	}
	n = (unsigned)config_setting_length(s);
	b->steps = calloc(n ? n : 1, sizeof(*b->steps));
	if (!b->steps) {
		reading->l->nomem = true;
		return;
	}
	for (b->n_steps = 0; b->n_steps < n; b->n_steps++)
		if (!plan_step_read(&inner, config_setting_get_elem(s, (unsigned)b->n_steps),
				    b->n_steps, reading->l->plan->own, &b->steps[b->n_steps]))
			reading->l->nomem = true;
	if (!n)
		reader_error(r, s, "it has no steps");
}

static const struct key runbook_keys[] = {
	{"rto", read_rto}, {"steps", read_steps}, {NULL, NULL}};

static void
read_runbook(struct reader *r, const config_setting_t *s, struct loading *l)
{
	struct plan *p = l->plan;
	struct plan_runbook runbook = {.name = config_setting_name(s), .at = reader_place(r, s)};
	struct runbook_reading reading = {l, &runbook};

	if (!reader_is_group(r, s))
		return;
	reader_group(r, s, runbook_keys, &reading);
	if (!config_setting_get_member(s, "steps"))
		reader_error(r, s, "it has no 'steps'");
	if (vec_reserve(&p->runbooks, p->n_runbooks + 1, &p->runbooks_cap) < 0) {
		free(runbook.steps);
		l->nomem = true;
	} else {
		p->runbooks[p->n_runbooks++] = runbook;
	}
}

static void
read_runbooks(const struct reader *r, const config_setting_t *s, void *into)
{
	read_members(r, s, "runbook", into, read_runbook);
}

static const struct key plan_keys[] = {
	{"format", read_format}, {"name", read_plan_name}, {"sites", read_sites},
	{"vars", read_vars}, {"secrets", read_secrets}, {"limits", read_limits},
	{"runbooks", read_runbooks}, {NULL, NULL}};

static void
check_networks(const struct reader *r, const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_sites; i++) {
		const struct plan_value *v = plan_value(&plan->sites[i].values, "networks");
		struct reader site = *r;

		site.outer = (struct scope){"site", plan->sites[i].name};
		for (unsigned k = 0; v && k < setting_count(v->setting); k++) {
			const config_setting_t *s = setting_item(v->setting, k);
			const char *text = setting_string(s);
			struct cidr cidr;

			if (!text || (!strstr(text, "${") && !cidr_parse(text, &cidr)))
				reader_bad_network(&site, s, text ? text : "?");
		}
	}
}

static void
load(const struct reader *r, struct loading *l)
{
	const config_setting_t *root = config_root_setting(&l->plan->config);
	struct place top = plan_text_place(r->text, 1);

	reader_group(r, root, plan_keys, l);
	top.line = 0;
	if (!l->has_format)
		reader_error_at(r, top, "it has no 'format': write format = %d;", PLAN_FORMAT);
	if (!config_setting_get_member(root, "name"))
		reader_error_at(r, top, "it has no 'name'");
	if (!config_setting_get_member(root, "runbooks"))
		reader_error_at(r, top, "it has no 'runbooks'");
	check_networks(r, l->plan);
	subst_check_values(l->plan, r);
	plan_check_calls(l->plan, r);
}

#ifdef __SANITIZE_ADDRESS__
/* libconfig 1.5 loses the string it is in when it meets a syntax error. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig.so\n";
}
#endif

/* libconfig says "syntax error" and a line: show the line. */
static void
syntax_error(const struct reader *r, const config_t *config)
{
	unsigned line = (unsigned)config_error_line(config);
	const char *p = r->text->flat.buf, *why = config_error_text(config);
	struct place at = plan_text_place(r->text, line ? line : 1);
	int len;

	for (unsigned i = 1; i < line && strchr(p, '\n'); i++)
		p = strchr(p, '\n') + 1;
	p += strspn(p, " \t");
	len = (int)strcspn(p, "\r\n");
	if (len > 60)
		len = 60;
	if (len)
		diags_add(r->d, at.file, at.line, "%s at or before: %.*s", why ? why : "error", len, p);
	else
		diags_add(r->d, at.file, at.line, "%s before %s", why ? why : "error",
			  *p ? "this line" : "the end of the file: is a } or ) missing?");
}

int
plan_load(const struct plan_text *text, struct diags *d, struct plan **ret)
{
	struct loading l = {.plan = calloc(1, sizeof(*l.plan))};
	struct reader r = {.text = text, .d = d};

	if (!l.plan)
		return E_NOMEM;
	config_init(&l.plan->config);
	l.plan->text = text;
	l.plan->own = arena_new();
	if (!l.plan->own) {
		plan_free(l.plan);
		return E_NOMEM;
	}
	if (config_read_string(&l.plan->config, text->flat.buf) != CONFIG_TRUE) {
		syntax_error(&r, &l.plan->config);
		plan_free(l.plan);
		return d->failed ? E_NOMEM : E_INVALID;
	}
	load(&r, &l);
	if (l.nomem || d->failed) {
		plan_free(l.plan);
		return E_NOMEM;
	}
	*ret = l.plan;
	return 0;
}

const struct plan_runbook *
plan_runbook(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->n_runbooks; i++)
		if (!strcmp(plan->runbooks[i].name, name))
			return &plan->runbooks[i];
	return NULL;
}

const struct plan_site *
plan_site(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->n_sites; i++)
		if (!strcmp(plan->sites[i].name, name))
			return &plan->sites[i];
	return NULL;
}

const struct plan_secret *
plan_secret(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->n_secrets; i++)
		if (!strcmp(plan->secrets[i].name, name))
			return &plan->secrets[i];
	return NULL;
}
