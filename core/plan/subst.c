#include "core/base/base.h"
#include "core/plan/subst.h"

#include <stdio.h>
#include <string.h>

#define SITE_NAME "name"
#define KNOWN "from.X, to.X, site.NAME.X, var.X, secret.X, step.NAME.OUTPUT, item, arg.X, run.id"
#define NESTING_MAX 16
#define REF_MAX 300

struct frame { /* a value that is being expanded */
	const struct plan_value *value;
	const struct frame *up;
};

struct expansion {
	const struct subst *s;
	struct reader r;            /* of the text that is being expanded */
	const config_setting_t *at; /* where that text is written */
	const struct frame *frame;
	bool alone;                 /* the text is one reference and nothing else, all the way */
	struct subst_result *res;
};

static bool expand(struct expansion *x, const char *text);
static bool expand_setting(struct expansion *x, const config_setting_t *setting);

void
subst_result_release(struct subst_result *res)
{
	strbuf_release(&res->text);
	*res = (struct subst_result)SUBST_RESULT_INIT;
}

static bool
refers_to_itself(struct expansion *x, const struct plan_value *value)
{
	const char *names[NESTING_MAX + 1];
	struct strbuf chain = STRBUF_INIT;
	const struct frame *f = x->frame;
	size_t n = 0;

	for (; f && f->value != value; f = f->up)
		names[n++] = f->value->name;
	if (!f && n < NESTING_MAX)
		return false;
	while (n > 0)
		strbuf_addf(&chain, " -> %s", names[--n]);
	if (f)
		reader_error(&x->r, x->at, "it refers to itself: %s%s -> %s", value->name, chain.buf,
			     value->name);
	else
		reader_error(&x->r, x->at, "references are more than %d deep", NESTING_MAX);
	strbuf_release(&chain);
	return true;
}

static void add_escaped(struct strbuf *out, const char *text, size_t len);

/* Puts the value of a site or variable in. */
static bool
add_value(struct expansion *x, const struct plan_value *value, const char *kind, const char *owner)
{
	struct frame frame = {value, x->frame};
	struct expansion inner = *x;

	if (setting_is_list(value->setting)) {
		if (!x->alone) {
			reader_error(&x->r, x->at, "'%s' is a list: it can only stand alone, in a "
				     "parameter that takes several values", value->name);
			return false;
		}
		x->res->list = value->setting;
		x->res->list_locals = NULL;
		return true;
	}
	if (refers_to_itself(x, value))
		return false;
	struct subst plain = *x->s;

	plain.locals = NULL; /* a value means the same wherever it is used */
	inner.s = &plain;
	inner.frame = &frame;
	inner.at = value->setting;
	inner.r.outer = (struct scope){kind, owner ? owner : value->name};
	inner.r.inner = owner ? (struct scope){"value", value->name} : (struct scope){NULL, NULL};
	return expand_setting(&inner, value->setting);
}

static void
no_value(struct expansion *x, const struct plan_values *values, const char *kind,
	 const char *owner, const char *name)
{
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;

	suggest_init(&suggest, name);
	for (size_t i = 0; i < values->len; i++)
		suggest_offer(&suggest, values->item[i].name);
	reader_error(&x->r, x->at, "%s%s%s has no value '%s'%s", kind, *owner ? " " : "", owner, name,
		     suggest_text(&suggest, text));
}

static bool
add_site_value(struct expansion *x, const struct plan_site *site, const char *name)
{
	const struct plan_value *value = plan_value(&site->values, name);

	if (value)
		return add_value(x, value, "site", site->name);
	/* A site has its own name for a value, unless the plan gives it another one. */
	if (!strcmp(name, SITE_NAME)) {
		add_escaped(&x->res->text, site->name, strlen(site->name));
		return true;
	}
	no_value(x, &site->values, "site", site->name, name);
	return false;
}

/* ${from.x} without a direction: is there a site that has x at all? */
static bool
is_anywhere(struct expansion *x, const char *name)
{
	const struct plan *plan = x->s->plan;
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;

	if (!strcmp(name, SITE_NAME))
		return true;
	suggest_init(&suggest, name);
	for (size_t i = 0; i < plan->n_sites; i++) {
		if (plan_value(&plan->sites[i].values, name))
			return true;
		for (size_t k = 0; k < plan->sites[i].values.len; k++)
			suggest_offer(&suggest, plan->sites[i].values.item[k].name);
	}
	reader_error(&x->r, x->at, "no site has a value '%s'%s", name, suggest_text(&suggest, text));
	return false;
}

static bool
add_from(struct expansion *x, char *rest)
{
	return x->s->from ? add_site_value(x, x->s->from, rest) : is_anywhere(x, rest);
}

static bool
add_to(struct expansion *x, char *rest)
{
	return x->s->to ? add_site_value(x, x->s->to, rest) : is_anywhere(x, rest);
}

static bool
add_site(struct expansion *x, char *rest)
{
	const struct plan *plan = x->s->plan;
	const struct plan_site *site;
	char text[SUGGEST_TEXT_MAX], *dot = strchr(rest, '.');
	struct suggest suggest;

	if (!dot) {
		reader_error(&x->r, x->at, "${site.%s}: write ${site.NAME.X}", rest);
		return false;
	}
	*dot = '\0';
	site = plan_site(plan, rest);
	if (site)
		return add_site_value(x, site, dot + 1);
	suggest_init(&suggest, rest);
	for (size_t i = 0; i < plan->n_sites; i++)
		suggest_offer(&suggest, plan->sites[i].name);
	reader_error(&x->r, x->at, "there is no site '%s'%s", rest, suggest_text(&suggest, text));
	return false;
}

static bool
add_var(struct expansion *x, char *rest)
{
	const struct plan_value *value = plan_value(&x->s->plan->vars, rest);

	if (value)
		return add_value(x, value, "var", NULL);
	no_value(x, &x->s->plan->vars, "vars", "", rest);
	return false;
}

static bool
add_secret(struct expansion *x, char *rest)
{
	const struct plan *plan = x->s->plan;
	const struct plan_secret *secret = plan_secret(plan, rest);
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;

	if (secret && x->alone) {
		x->res->secret = secret->name;
		return true;
	}
	suggest_init(&suggest, rest);
	for (size_t i = 0; i < plan->n_secrets; i++)
		suggest_offer(&suggest, plan->secrets[i].name);
	if (secret)
		reader_error(&x->r, x->at, "${secret.%s} can only stand alone, not inside a longer "
			     "text", rest);
	else
		reader_error(&x->r, x->at, "there is no secret '%s'%s", rest,
			     suggest_text(&suggest, text));
	return false;
}

static bool
add_output(struct expansion *x, char *rest)
{
	char *dot = strrchr(rest, '.');
	struct output_use use = {.locals = x->s->locals, .at = x->at, .step = rest,
				 .alone = x->alone};

	/* The text of an item may have dots. */
	if (!dot || !dot[1] || dot == rest || strchr(dot, ']') ||
	    (!strchr(rest, '[') && strchr(rest, '.') != dot)) {
		reader_error(&x->r, x->at, "${step.%s}: write ${step.NAME.OUTPUT}", rest);
		return false;
	}
	if (!x->s->step_ref || !x->s->locals) {
		reader_error(&x->r, x->at, "${step.%s} has a meaning only in the 'with' and the 'if' "
			     "of a step", rest);
		return false;
	}
	*dot = '\0';
	use.output = dot + 1;
	if (!x->s->step_ref(x->s->ctx, &use, x->res))
		return false;
	x->res->deferred = !x->res->each;
	return true;
}

static bool
add_item(struct expansion *x)
{
	const char *item = x->s->locals ? x->s->locals->item : NULL;

	if (item)
		add_escaped(&x->res->text, item, strlen(item));
	else
		reader_error(&x->r, x->at, "${item} has a meaning only in a step with 'for_each'");
	return item;
}

/* What the step that does this runbook hands down; it means what it means there. */
static bool
add_arg(struct expansion *x, char *rest)
{
	const struct locals *locals = x->s->locals;
	const config_setting_t *arg = locals && locals->args ?
				      config_setting_get_member(locals->args, rest) : NULL;
	struct expansion inner = *x;
	struct subst there = *x->s;

	if (!locals || !locals->up) {
		reader_error(&x->r, x->at, "${arg.%s} has a meaning only in a runbook that a step "
			     "does: does = \"runbook.NAME\"; with = { %s = ...; };", rest, rest);
		return false;
	}
	if (!arg)
		return false; /* said where the runbook is done */
	if (setting_is_list(arg)) {
		if (!x->alone) {
			reader_error(&x->r, x->at, "'%s' is a list: it can only stand alone, in a "
				     "parameter that takes several values", rest);
			return false;
		}
		x->res->list = arg;
		x->res->list_locals = locals->up;
		return true;
	}
	there.locals = locals->up;
	inner.s = &there;
	inner.at = arg;
	return expand_setting(&inner, arg);
}

static bool
add_run(struct expansion *x, char *rest)
{
	if (strcmp(rest, "id")) {
		reader_error(&x->r, x->at, "${run.%s}: only ${run.id} is known", rest);
		return false;
	}
	add_escaped(&x->res->text, x->s->run_id, strlen(x->s->run_id));
	return true;
}

static const struct namespace {
	const char *name;
	bool (*add)(struct expansion *x, char *rest);
} namespaces[] = {
	{"from", add_from}, {"to", add_to}, {"site", add_site}, {"var", add_var},
	{"secret", add_secret}, {"step", add_output}, {"arg", add_arg}, {"run", add_run},
};

/* The reference between ${ and }, cut at its first dot. */
static bool
add_ref(struct expansion *x, const char *ref, size_t len)
{
	char copy[REF_MAX], text[SUGGEST_TEXT_MAX], *dot;
	struct suggest suggest;

	if (len >= sizeof(copy)) {
		reader_error(&x->r, x->at, "${%.40s… is too long", ref);
		return false;
	}
	memcpy(copy, ref, len);
	copy[len] = '\0';
	if (!strcmp(copy, "item"))
		return add_item(x);
	dot = strchr(copy, '.');
	if (dot)
		*dot = '\0';
	suggest_init(&suggest, copy);
	for (size_t i = 0; i < COUNT_OF(namespaces); i++) {
		if (dot && dot[1] && !strcmp(namespaces[i].name, copy))
			return namespaces[i].add(x, dot + 1);
		suggest_offer(&suggest, namespaces[i].name);
	}
	reader_error(&x->r, x->at, "${%.*s} is not known%s; known are %s", (int)len, ref,
		     suggest_text(&suggest, text), KNOWN);
	return false;
}

static void
add_escaped(struct strbuf *out, const char *text, size_t len)
{
	for (const char *p = text, *end = text + len; p < end; p++) {
		if (*p == '$')
			strbuf_addch(out, '$');
		strbuf_addch(out, *p);
	}
}

/* Is text one reference and nothing else? */
static bool
is_one_ref(const char *text)
{
	const char *close = strncmp(text, "${", 2) ? NULL : strchr(text, '}');

	return close && !close[1];
}

/* Adds the template of text: all references but outputs are gone, $ is $$. */
static bool
expand(struct expansion *x, const char *text)
{
	const char *close;
	bool ok = true;

	x->alone = x->alone && is_one_ref(text);
	for (;;) {
		size_t plain = strcspn(text, "$");

		strbuf_add(&x->res->text, text, plain);
		text += plain;
		if (!*text)
			return ok;
		if (text[1] != '{') {
			strbuf_addstr(&x->res->text, "$$");
			text += text[1] == '$' ? 2 : 1;
			continue;
		}
		close = strchr(text, '}');
		if (!close) {
			reader_error(&x->r, x->at, "\"%.60s\": a ${ without its } (write $$ for a $)",
				     text);
			return false;
		}
		ok &= add_ref(x, text + 2, (size_t)(close - text) - 2);
		text = close + 1;
	}
}

static bool
expand_setting(struct expansion *x, const config_setting_t *setting)
{
	const char *text = setting_string(setting);
	char number[32];

	if (text)
		return expand(x, text);
	x->alone = false;
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_BOOL:
		strbuf_addstr(&x->res->text, config_setting_get_bool(setting) ? "true" : "false");
		return true;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		snprintf(number, sizeof(number), "%lld", config_setting_get_int64(setting));
		strbuf_addstr(&x->res->text, number);
		return true;
	default:
		return false; /* plan_load has said so */
	}
}

static void
unescape(struct strbuf *sb)
{
	size_t to = 0;

	if (!memchr(sb->buf, '$', sb->len))
		return;
	for (size_t i = 0; i < sb->len; i++) {
		i += sb->buf[i] == '$' && sb->buf[i + 1] == '$';
		sb->buf[to++] = sb->buf[i];
	}
	sb->len = to;
	sb->buf[to] = '\0';
}

static bool
finish(struct expansion *x, bool ok)
{
	if (ok && !x->res->deferred)
		unescape(&x->res->text);
	return ok;
}

bool
subst_expand(const struct subst *s, const struct reader *r, const config_setting_t *at,
	     const char *text, struct subst_result *res)
{
	struct expansion x = {.s = s, .r = *r, .at = at, .alone = true, .res = res};

	return finish(&x, expand(&x, text));
}

bool
subst_scalar(const struct subst *s, const struct reader *r, const config_setting_t *at,
	     struct subst_result *res)
{
	struct expansion x = {.s = s, .r = *r, .at = at, .alone = true, .res = res};

	return finish(&x, expand_setting(&x, at));
}

static void
check_values(const struct subst *s, const struct reader *r, const struct plan_values *values,
	     const char *kind, const char *owner)
{
	struct subst_result res = SUBST_RESULT_INIT;
	struct reader inner = *r;

	for (size_t i = 0; i < values->len; i++) {
		const struct plan_value *v = &values->item[i];
		struct frame frame = {v, NULL};

		inner.outer = (struct scope){kind, owner ? owner : v->name};
		inner.inner = owner ? (struct scope){"value", v->name} : (struct scope){NULL, NULL};
		for (unsigned k = 0, n = setting_count(v->setting); k < n; k++) {
			struct expansion x = {.s = s, .r = inner, .frame = &frame,
					      .at = setting_item(v->setting, k), .alone = true,
					      .res = &res};

			if (expand_setting(&x, x.at) && res.list && setting_is_list(v->setting))
				reader_error(&inner, x.at, "a list cannot have a list in it");
			subst_result_release(&res);
		}
	}
}

bool
subst_secret_file(const struct subst *s, const struct reader *r,
		  const struct plan_secret *secret, struct subst_result *res)
{
	struct subst plain = *s;
	struct reader inner = *r;

	plain.step_ref = NULL;
	plain.locals = NULL;
	inner.outer = (struct scope){"secret", secret->name};
	inner.inner = (struct scope){NULL, NULL};
	if (!subst_expand(&plain, &inner, secret->file_at, secret->file, res))
		return false;
	if (!res->list && !res->secret)
		return true;
	reader_error(&inner, secret->file_at, "'file' must be one path");
	return false;
}

void
subst_check_values(const struct plan *plan, const struct reader *r)
{
	struct subst s = {.plan = plan, .run_id = ""};
	struct subst_result res = SUBST_RESULT_INIT;

	for (size_t i = 0; i < plan->n_secrets; i++) {
		if (plan->secrets[i].file)
			subst_secret_file(&s, r, &plan->secrets[i], &res);
		subst_result_release(&res);
	}

	check_values(&s, r, &plan->vars, "var", NULL);
	for (size_t i = 0; i < plan->n_sites; i++)
		check_values(&s, r, &plan->sites[i].values, "site", plan->sites[i].name);
}
