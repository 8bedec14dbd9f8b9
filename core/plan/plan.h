/* plan.h -- a plan as parsed: all that can be known without plugins and sites.
 *
 *	plan_read -> plan_load -> graph_bind -> (plan_free) -> the graph is used
 *
 * The plan points into libconfig's tree and into its plan_text; a graph points
 * into neither, so both can be freed once it is bound.
 */
#ifndef CORE_PLAN_PLAN_H
#define CORE_PLAN_PLAN_H

#include "core/base/base.h"
#include "core/plan/diag.h"
#include "core/plan/strmap.h"
#include "core/plan/text.h"

#include <libconfig.h>

#define PLAN_FORMAT 1

#define MODE_BIT(mode) (1u << (mode)) /* of enum resite_mode */

enum on_failure { ON_FAILURE_ASK, ON_FAILURE_STOP, ON_FAILURE_CONTINUE };
enum rehearse { REHEARSE_PROBE, REHEARSE_RUN, REHEARSE_SKIP };

struct plan_value { /* of a site or in vars: a scalar or a list of scalars */
	const char *name;
	const config_setting_t *setting;
	struct place at;
};

struct plan_values {
	struct plan_value *item; /* in the plan's order */
	size_t len, cap;
	struct strmap map;       /* name -> index of item */
};

struct plan_site {
	const char *name;
	struct place at;
	struct plan_values values;
};

struct plan_secret {
	const char *name;
	const char *file, *env; /* exactly one is not NULL; file may have references */
	const config_setting_t *file_at; /* where file is written */
	struct place at;
};

struct plan_limit {
	const char *name;
	int64_t max; /* at least 1 */
	struct place at;
};

/* What a step that writes no retry gets. */
#define RETRY_ATTEMPTS 3
#define RETRY_BACKOFF_MS 2000
#define RETRY_MAX_BACKOFF_MS 60000

struct plan_retry {
	int attempts;                      /* 1: no second try */
	int64_t backoff_ms, max_backoff_ms; /* the first wait, doubled up to the second */
};

#define PLAN_RUNBOOK "runbook" /* the plugin of does = "runbook.NAME" */

struct plan_step { /* as written; NULL and -1: not written */
	const char *name;              /* NULL when it was wrong */
	const char *plugin, *action;   /* the halves of does; NULL when it was wrong */
	const config_setting_t *cond;     /* of if: a string or a boolean */
	const config_setting_t *for_each; /* a list, or a text that stands for one */
	const char *workload;
	const config_setting_t *with, *after, *limits; /* checked for their form */
	struct place at;
	int64_t timeout_ms;            /* -1 */
	int64_t takes_ms;              /* expected duration, for the order alone; 0 */
	struct plan_retry retry;       /* with defaults */
	int64_t expect_max;            /* -1 */
	int expect_percent;            /* -1 */
	unsigned modes;                /* bits MODE_BIT; all when not written */
	uint8_t on_failure, rehearse;
	bool tolerates_loss, point_of_no_return;
	bool is_call;                  /* plugin is "runbook", action the runbook's name */
};

struct plan_runbook {
	const char *name;
	struct place at;
	int64_t rto_ms; /* 0: none */
	struct plan_step *steps;
	size_t n_steps;
};

struct plan {
	const char *name;
	const struct plan_text *text; /* not owned */
	config_t config;
	struct plan_site *sites;
	size_t n_sites, sites_cap;
	struct plan_values vars;
	struct plan_secret *secrets;
	size_t n_secrets, secrets_cap;
	struct plan_limit *limits;
	size_t n_limits, limits_cap;
	struct plan_runbook *runbooks;
	size_t n_runbooks, runbooks_cap;
	struct arena *own; /* strings that libconfig does not have (the halves of does) */
};

/* Parses text, which must outlive the plan.  A result is given also when d has
 * errors, so that graph_bind can find the rest: only a plan whose text does not
 * parse at all gives E_INVALID and no result.  E_NOMEM. */
int plan_load(const struct plan_text *text, struct diags *d, struct plan **ret);
void plan_free(struct plan *plan); /* NULL is fine */

/* NULL when there is none of that name. */
const struct plan_runbook *plan_runbook(const struct plan *plan, const char *name);
const struct plan_site *plan_site(const struct plan *plan, const char *name);
const struct plan_secret *plan_secret(const struct plan *plan, const char *name);

/* Calls each with every ${arg.NAME} that the steps of runbook have in them, as often as it
 * is there, until it returns false; name is of len bytes. */
void plan_each_arg(const struct plan_runbook *runbook, void *ctx,
		   bool (*each)(void *ctx, const config_setting_t *at, const char *name,
				size_t len));
/* It has some: it cannot be run by itself. */
bool plan_has_args(const struct plan_runbook *runbook);

const struct plan_value *plan_value(const struct plan_values *values, const char *name);

/* The keys that a step may have, one after the other; NULL after the last.
 * docs/plan.md has them all. */
const char *plan_step_key(size_t i);

#endif
