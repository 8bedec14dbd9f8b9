/* cond.h -- the condition of a step's `if`, as far as it is known before the run.
 *
 *	if = "${to.has_edge}"
 *	if = "${var.mode} == 'full' && !(${step.look.state} != 'up')"
 *
 * A value is ${...}, 'text', a whole number, true or false; == and != compare texts;
 * a value that stands alone must be true or false. */
#ifndef CORE_PLAN_COND_H
#define CORE_PLAN_COND_H

#include "core/base/base.h"
#include "core/base/error.h"

enum cond_kind {
	COND_VALUE, /* text */
	COND_OUTPUT, /* output `text` of the step named `step` */
	COND_EQ, COND_NE, COND_NOT, COND_AND, COND_OR,
};

struct cond {
	enum cond_kind kind;
	const char *text, *step;
	const struct cond *a, *b; /* NOT: a alone */
};

/* The value of a COND_OUTPUT; NULL: it has not been given. */
typedef const char *cond_output_fn(void *ctx, const struct cond *output);

enum cond_result { COND_FALSE, COND_TRUE, COND_UNKNOWN };

/* What comes of it.  UNKNOWN: an output decides and is not there, or a value is neither
 * true nor false where it must be; err (may be NULL) says which.  A NULL output gives
 * none: what can be known before the run. */
enum cond_result cond_eval(const struct cond *c, cond_output_fn *output, void *ctx,
			   struct error *err);

/* Appends ", ${step.x.y} is 'z'" for each output in it that is there. */
struct strbuf;
void cond_tell(const struct cond *c, cond_output_fn *output, void *ctx, struct strbuf *out);

#endif
