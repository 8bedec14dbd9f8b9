/* The conditions of a step: its own `if`, and those of the steps that do its runbook. */
#include "core/base/base.h"
#include "core/base/error.h"
#include "core/plan/bind.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 50 /* of parentheses and ! */

struct parsing {
	struct binder *b;
	const config_setting_t *at;
	const char *text, *p; /* all of it, and what is left */
	unsigned depth;
	bool failed;          /* said; nothing more is */
};

static const struct cond *parse_or(struct parsing *x);

static void PRINTF_LIKE(2, 3)
wrong(struct parsing *x, const char *fmt, ...)
{
	struct strbuf why = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(&why, fmt, ap);
	va_end(ap);
	if (!x->failed && !why.failed)
		reader_error(&x->b->r, x->at, "'if', column %u: %s", (unsigned)(x->p - x->text) + 1,
			     why.buf);
	x->failed = true;
	strbuf_release(&why);
}

static struct cond *
node(struct parsing *x, enum cond_kind kind, const struct cond *a, const struct cond *b)
{
	struct cond *c = arena_alloc(x->b->own, sizeof(*c));

	x->b->nomem |= !c;
	if (c)
		*c = (struct cond){.kind = kind, .a = a, .b = b};
	return c;
}

static const char *
keep(struct parsing *x, const char *text, size_t len)
{
	const char *copy = arena_strndup(x->b->own, text, len);

	x->b->nomem |= !copy;
	return copy ? copy : "";
}

/* Skips blanks; is this next, and then skips it. */
static bool
next_is(struct parsing *x, const char *token)
{
	size_t len = strlen(token);

	x->p += strspn(x->p, " \t\n");
	if (strncmp(x->p, token, len))
		return false;
	x->p += len;
	return true;
}

/* "${step.NAME.OUTPUT}", with the step's whole name */
static void
set_output(struct parsing *x, struct cond *c, const char *template)
{
	const char *step = strchr(template, '.') + 1, *dot = strrchr(step, '.');

	c->kind = COND_OUTPUT;
	c->step = keep(x, step, (size_t)(dot - step));
	c->text = keep(x, dot + 1, strlen(dot + 1) - 1);
}

static void
parse_ref(struct parsing *x, struct cond *c)
{
	struct subst_result res = SUBST_RESULT_INIT;
	const char *close = strchr(x->p, '}');
	char *ref = close ? strndup(x->p, (size_t)(close - x->p) + 1) : NULL;

	if (!close) {
		wrong(x, "a ${ without its }");
		return;
	}
	x->b->nomem |= !ref;
	if (!ref || !subst_expand(&x->b->subst, &x->b->r, x->at, ref, &res))
		x->failed = true;
	else if (res.secret)
		wrong(x, "a secret cannot be compared");
	else if (res.list)
		wrong(x, "%s is a list", ref);
	else if (res.each)
		wrong(x, "%s has an output for each item: write ${step.NAME[ITEM].OUTPUT}", ref);
	else if (res.deferred && (strncmp(res.text.buf, "${step.", 7) ||
				  strchr(res.text.buf, '}')[1]))
		wrong(x, "%s has an output and other text in it", ref);
	else if (res.deferred)
		set_output(x, c, res.text.buf);
	else
		c->text = keep(x, res.text.buf ? res.text.buf : "", res.text.len);
	subst_result_release(&res);
	free(ref);
	x->p = close + 1;
}

static void
parse_quoted(struct parsing *x, struct cond *c)
{
	const char *close = strchr(x->p + 1, '\''), *ref = strstr(x->p, "${");

	if (!close) {
		wrong(x, "a ' without its '");
		return;
	}
	if (ref && ref < close)
		wrong(x, "a ${...} stands without quotes");
	c->text = keep(x, x->p + 1, (size_t)(close - x->p) - 1);
	x->p = close + 1;
}

static const struct cond *
parse_value(struct parsing *x)
{
	struct cond *c = node(x, COND_VALUE, NULL, NULL);
	size_t word;

	x->p += strspn(x->p, " \t\n");
	word = strspn(x->p, "-0123456789abcdefghijklmnopqrstuvwxyz");
	if (!c)
		return NULL;
	if (!strncmp(x->p, "${", 2)) {
		parse_ref(x, c);
	} else if (*x->p == '\'') {
		parse_quoted(x, c);
	} else if ((word == 4 && !strncmp(x->p, "true", 4)) ||
		   (word == 5 && !strncmp(x->p, "false", 5)) ||
		   (word && word == strspn(x->p, "-0123456789"))) {
		c->text = keep(x, x->p, word);
		x->p += word;
	} else if (!*x->p) {
		wrong(x, "it ends where a value is expected");
	} else {
		wrong(x, "a value is expected at \"%.20s\": ${...}, 'text', a number, true or false",
		      x->p);
	}
	return c;
}

static const struct cond *
parse_compared(struct parsing *x)
{
	const struct cond *a = parse_value(x);

	if (x->failed)
		return a;
	if (next_is(x, "=="))
		return node(x, COND_EQ, a, parse_value(x));
	if (next_is(x, "!="))
		return node(x, COND_NE, a, parse_value(x));
	return a;
}

static const struct cond *
parse_not(struct parsing *x)
{
	const struct cond *c = NULL;

	if (++x->depth > DEPTH_MAX)
		wrong(x, "it is more than %d deep", DEPTH_MAX);
	if (x->failed)
		return NULL;
	if (next_is(x, "!")) {
		c = node(x, COND_NOT, parse_not(x), NULL);
	} else if (next_is(x, "(")) {
		c = parse_or(x);
		if (!x->failed && !next_is(x, ")"))
			wrong(x, "a ) is expected at \"%.20s\"", x->p);
	} else {
		c = parse_compared(x);
	}
	x->depth--;
	return c;
}

static const struct cond *
parse_and(struct parsing *x)
{
	const struct cond *c = parse_not(x);

	while (!x->failed && next_is(x, "&&"))
		c = node(x, COND_AND, c, parse_not(x));
	return c;
}

static const struct cond *
parse_or(struct parsing *x)
{
	const struct cond *c = parse_and(x);

	while (!x->failed && next_is(x, "||"))
		c = node(x, COND_OR, c, parse_and(x));
	return c;
}

static bool
has_output(const struct cond *c)
{
	return c->kind == COND_OUTPUT || (c->a && has_output(c->a)) || (c->b && has_output(c->b));
}

/* NULL: it is wrong (said), or nomem. */
static const struct cond *
parse(struct binder *b, const config_setting_t *at, const char *text)
{
	struct parsing x = {.b = b, .at = at, .text = text, .p = text};
	const struct cond *c = parse_or(&x);
	struct error err = {0};

	x.p += strspn(x.p, " \t\n");
	if (!x.failed && *x.p)
		wrong(&x, "the end, ==, !=, && or || is expected at \"%.20s\"", x.p);
	if (x.failed || b->nomem)
		return NULL;
	if (!has_output(c) && cond_eval(c, NULL, NULL, &err) == COND_UNKNOWN) {
		reader_error(&b->r, at, "%s", err.text);
		return NULL;
	}
	return c;
}

/* "if: ${var.x} == 'y'" */
static const char *
why_of(struct binder *b, const char *text)
{
	struct strbuf why = STRBUF_INIT;
	const char *copy;

	strbuf_addf(&why, "if: %s", text);
	copy = why.failed ? NULL : arena_strdup(b->own, why.buf);
	b->nomem |= !copy;
	strbuf_release(&why);
	return copy;
}

/* One `if`, in the locals that are set. */
static void
bind_one(struct binder *b, const struct plan_step *s, struct step *ret)
{
	const char *text = setting_string(s->cond);
	const struct cond *c;
	enum cond_result known;

	if (!text)
		text = config_setting_get_bool(s->cond) ? "true" : "false";
	c = parse(b, s->cond, text);
	known = c ? cond_eval(c, NULL, NULL, NULL) : COND_UNKNOWN;
	if (!c || known == COND_TRUE || ret->pass_why)
		return;
	if (known == COND_FALSE) {
		ret->pass_why = why_of(b, text);
		return;
	}
	ret->ifs[ret->n_ifs++] = (struct step_if){why_of(b, text), c};
}

void
bind_ifs(struct binder *b, uint32_t unit, struct step *ret)
{
	const struct written *w = bind_written(b, unit);
	const struct locals *here = b->subst.locals;
	const struct call *call;
	uint32_t n = w->step->cond != NULL;

	for (call = w->call; call->up; call = call->up)
		n += b->written[call->by].step->cond != NULL;
	if (!n)
		return;
	ret->ifs = arena_array(b->own, n, sizeof(*ret->ifs));
	b->nomem |= !ret->ifs;
	if (!ret->ifs)
		return;
	if (w->step->cond)
		bind_one(b, w->step, ret);
	for (call = w->call; call->up; call = call->up) {
		const struct plan_step *by = b->written[call->by].step;

		b->subst.locals = &call->caller;
		if (by->cond)
			bind_one(b, by, ret);
	}
	b->subst.locals = here;
	b->unit[unit].passed = ret->pass_why != NULL;
}
