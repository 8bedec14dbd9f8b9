#include "core/base/base.h"
#include "core/base/strbuf.h"
#include "core/plan/cond.h"

#include <string.h>

struct evaluation {
	cond_output_fn *output;
	void *ctx;
	struct error *err;
};

/* NULL: not there (said). */
static const char *
value_of(const struct evaluation *e, const struct cond *c)
{
	const char *text = c->text;

	if (c->kind == COND_OUTPUT)
		text = e->output ? e->output(e->ctx, c) : NULL;
	if (!text)
		error_set(e->err, E_INVALID, "'if' needs the output '%s' of step '%s', which has not "
			  "given it", c->text, c->step);
	return text;
}

static enum cond_result
truth_of(const struct evaluation *e, const struct cond *c)
{
	const char *text = value_of(e, c);

	if (!text)
		return COND_UNKNOWN;
	if (!strcmp(text, "true") || !strcmp(text, "false"))
		return *text == 't';
	error_set(e->err, E_INVALID, "'if': '%.100s' is neither true nor false: compare it, == '...'",
		  text);
	return COND_UNKNOWN;
}

static enum cond_result
compare(const struct evaluation *e, const struct cond *c)
{
	const char *a = value_of(e, c->a), *b = a ? value_of(e, c->b) : NULL;

	return a && b ? !strcmp(a, b) == (c->kind == COND_EQ) : COND_UNKNOWN;
}

static enum cond_result
eval(const struct evaluation *e, const struct cond *c)
{
	enum cond_result decides = c->kind == COND_OR, a, b;

	switch (c->kind) {
	case COND_VALUE:
	case COND_OUTPUT:
		return truth_of(e, c);
	case COND_EQ:
	case COND_NE:
		return compare(e, c);
	case COND_NOT:
		a = eval(e, c->a);
		return a == COND_UNKNOWN ? a : !a;
	case COND_AND:
	case COND_OR:
		break;
	}
	/* One side is enough when it decides, whichever can be known. */
	a = eval(e, c->a);
	if (a == decides)
		return a;
	b = eval(e, c->b);
	return b == decides || a != COND_UNKNOWN ? b : a;
}

enum cond_result
cond_eval(const struct cond *c, cond_output_fn *output, void *ctx, struct error *err)
{
	struct evaluation e = {output, ctx, err};

	return eval(&e, c);
}

void
cond_tell(const struct cond *c, cond_output_fn *output, void *ctx, struct strbuf *out)
{
	const char *text = c->kind == COND_OUTPUT ? output(ctx, c) : NULL;

	if (text)
		strbuf_addf(out, ", ${step.%s.%s} is '%.200s'", c->step, c->text, text);
	if (c->a)
		cond_tell(c->a, output, ctx, out);
	if (c->b)
		cond_tell(c->b, output, ctx, out);
}
