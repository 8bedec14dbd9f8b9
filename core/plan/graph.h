/* graph.h -- one runbook, bound to a direction and a mode, checked and typed.
 *
 * This is what the engine runs.  It is built once, read-only afterwards, and
 * compact: all strings and arrays are in one arena, dependents in one array.
 */
#ifndef CORE_PLAN_GRAPH_H
#define CORE_PLAN_GRAPH_H

#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/strbuf.h"
#include "core/plan/cond.h"
#include "core/plan/diag.h"
#include "core/plan/mode.h"
#include "core/plan/plan.h"
#include "core/plan/schema.h"

/* For an action that states none; a step of "core" has none (0). */
#define STEP_TIMEOUT_DEFAULT_MS (10 * 60 * 1000)

struct step_if { /* a condition that outputs decide */
	const char *why;         /* "if: " and its text, for people */
	const struct cond *cond;
};

struct step {
	const char *name;                    /* STEP, STEP[ITEM], STEP/INNER */
	const char *item;                    /* for_each: which, when the name has its number;
						else NULL */
	const char *plugin;                  /* one pointer for one name: compare with == */
	const struct schema_action *action;  /* belongs to the schema_source */
	const char *workload;                /* interned like plugin; NULL: none */
	struct place at;                     /* where it is written */
	const uint32_t *after;               /* n_after indices, ascending, no doubles */
	const uint32_t *limits;              /* n_limits indices into graph.limits */
	const char *params;                  /* compact JSON object, typed; see deferred */
	int64_t timeout_ms;                  /* 0: none */
	int64_t takes_ms;                    /* expected duration by the plan; 0: it does not say */
	struct plan_retry retry;
	int64_t expect_max;                  /* -1: any number of changes */
	int32_t expect_percent;              /* -1: any part of the objects */
	struct step_if *ifs;                 /* n_ifs: if one is false, it is passed over */
	uint32_t n_after, n_limits, n_ifs;
	uint32_t members;                    /* so many steps behind it are parts of it */
	uint8_t modes;                       /* MODE_BITs of those in which it is done */
	uint8_t on_failure;                  /* enum on_failure */
	uint8_t rehearse;                    /* enum rehearse */
	bool builtin;                        /* the plugin is "core": no process */
	bool readonly;                       /* RESITE_ACT_READONLY */
	bool join;                           /* does nothing: its parts are all done */
	bool deferred;                       /* params wait for outputs: graph_step_params */
	bool tolerates_loss, point_of_no_return;
	uint64_t records;                    /* undo records of the origin: it is reverted; else 0 */
	const char *pass_why;                /* it is passed over, and why; NULL: it is not */
};

/* What a run does with the graph: carry it out, put back what a run of it has changed, or
 * go the way back. */
enum graph_way { WAY_RUN, WAY_UNDO, WAY_FAILBACK };

struct graph_limit {
	const char *name;
	uint32_t max; /* steps at once */
};

struct graph_secret { /* only those that a step of this graph uses */
	const char *name;
	const char *file, *env; /* exactly one is not NULL; file is absolute */
	struct place at;
};

struct graph {
	const char *plan, *runbook, *from, *to, *run_id;
	int mode;       /* enum resite_mode */
	int way;        /* enum graph_way */
	bool diverged_agreed; /* WAY_FAILBACK: a person knows that conflicts are left alone */
	int64_t rto_ms; /* 0: none */
	struct step *steps;
	uint32_t n_steps;
	const uint32_t *topo;        /* n_steps indices: each after what it depends on,
					otherwise in the plan's order */
	const uint32_t *dependents;  /* of step i: dependents[dep_first[i]] up to, */
	const uint32_t *dep_first;   /* not including, [dep_first[i + 1]]; ascending */
	const struct graph_limit *limits;
	uint32_t n_limits;
	const struct graph_secret *secrets;
	uint32_t n_secrets;
	const struct lost_site *lost; /* mode disaster: what must not be depended on */
	const char *dir;              /* base of relative paths */
	struct arena *own;            /* all of the above */
};

struct bind_request {
	const char *runbook;
	const char *from, *to;    /* names of two different sites; NULL is an error told in d */
	int mode;                 /* enum resite_mode */
	const char *const *only;  /* n_only workloads, with what they depend on; NULL: all */
	size_t n_only;
	const char *run_id;       /* value of ${run.id}; NULL: there is no run, "none" */
	bool may_switch;          /* mode planned: keep the steps of mode disaster, too, to which
				   * a run can be switched on its way */
	bool skip_secrets;        /* do not look at the secrets (drawing a graph) */
};

/* Checks everything that is left to check and builds the graph.  E_INVALID: d has
 * errors (also when only plan_load found some); E_NOMEM.  After success plan and
 * its text may be freed; the schemas must outlive the graph. */
int graph_bind(const struct plan *plan, const struct bind_request *req,
	       const struct schema_source *schemas, struct diags *d, struct graph **ret);
void graph_free(struct graph *g); /* NULL is fine */

/* Turns each dependency round: who was waited for waits.  E_NOMEM: nothing was turned. */
int graph_turn(struct graph *g);

/* "run", "undo", "failback", as journals have it; NULL and -1 for anything else. */
const char *way_name(int way);
int way_parse(const char *name);

#define GRAPH_NO_STEP UINT32_MAX

/* A join with more parts than this is shown as one line. */
#define GRAPH_LONG_JOIN 12

/* hidden_in[i]: the join in whose line step i is shown, or GRAPH_NO_STEP; n_steps of them,
 * to be freed.  all: nothing is hidden.  NULL without memory. */
uint32_t *graph_hide_parts(const struct graph *g, bool all);

/* Index of the step of that name; linear, for commands of a person. */
uint32_t graph_find_step(const struct graph *g, const char *name);

/* Gives an output of a finished step; NULL: it has not been given. */
typedef const char *graph_output_fn(void *ctx, uint32_t step, const char *output);

/* Appends the final parameters of a step: step->params as they are, or, when they
 * are deferred, with the outputs filled in and checked like the rest.
 * E_INVALID: a value is missing or wrong, err names parameter, step and output;
 * E_NOMEM. */
int graph_step_params(const struct graph *g, uint32_t step, graph_output_fn *output, void *ctx,
		      struct strbuf *out, struct error *err);

/* Which condition of the step is false: 0 and, in why, which and for what outputs; 1: none,
 * it is to be done; E_INVALID: that cannot be known, err says why. */
int graph_step_ifs(const struct graph *g, uint32_t step, graph_output_fn *output, void *ctx,
		   char why[ERROR_MAX], struct error *err);

const char *on_failure_name(int on_failure);
const char *rehearse_name(int rehearse);

#endif
