/* subst.h -- ${from.x} ${to.x} ${site.NAME.x} ${var.x} ${secret.x}
 * ${step.NAME.output} ${item} ${arg.x} ${run.id}, and $$ for a $.  Private to core/plan. */
#ifndef CORE_PLAN_SUBST_H
#define CORE_PLAN_SUBST_H

#include "core/base/base.h"
#include "core/base/strbuf.h"
#include "core/plan/plan.h"
#include "core/plan/read.h"

struct call;

struct locals { /* what a text means depends on the step that it is written in */
	const struct call *call;    /* of the runbook that has the step */
	const char *item;           /* ${item}; NULL: there is no for_each */
	const config_setting_t *args; /* ${arg.X}: the `with` of the step that does the
				       * runbook; NULL: there is none */
	const struct locals *up;    /* where args are written; NULL: nobody does it */
};

struct output_use { /* ${step.NAME.OUTPUT} */
	const struct locals *locals;
	const config_setting_t *at;
	const char *step, *output;
	bool alone;                 /* it is the whole text */
};

struct subst_result;

struct subst {
	const struct plan *plan;
	const struct plan_site *from, *to; /* NULL: no direction yet; only names are checked */
	const char *run_id;
	const struct locals *locals;       /* NULL: the text is in no step */
	/* May this place use that output?  Adds its template to res->text, or sets
	 * res->each.  false after adding a problem.  NULL: a step's output has no
	 * meaning here. */
	bool (*step_ref)(void *ctx, const struct output_use *use, struct subst_result *res);
	void *ctx;
};

struct subst_result {
	struct strbuf text;           /* the value; when deferred a template with $$ for $ */
	const char *secret;           /* the value is this secret, and text is empty */
	const config_setting_t *list; /* the value is this list, and text is empty */
	const struct locals *list_locals; /* in which the list is written */
	bool each;                    /* the value is the output `text` of each item of the
				       * unit each_of */
	uint32_t each_of;
	bool deferred;                /* text has ${step.NAME.output} in it */
};

#define SUBST_RESULT_INIT {.text = STRBUF_INIT}

void subst_result_release(struct subst_result *res);

/* Expands text, written at `at`.  false after adding problems. */
bool subst_expand(const struct subst *s, const struct reader *r, const config_setting_t *at,
		  const char *text, struct subst_result *res);

/* The same for a scalar setting: numbers and booleans become their text. */
bool subst_scalar(const struct subst *s, const struct reader *r, const config_setting_t *at,
		  struct subst_result *res);

/* Expands the file of a secret: plain text only, no output and no secret. */
bool subst_secret_file(const struct subst *s, const struct reader *r,
		       const struct plan_secret *secret, struct subst_result *res);

/* Checks all values of sites and variables and the files of secrets, without a
 * direction. */
void subst_check_values(const struct plan *plan, const struct reader *r);

#endif
