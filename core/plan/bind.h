/* bind.h -- what the parts of graph_bind share.  Private to core/plan. */
#ifndef CORE_PLAN_BIND_H
#define CORE_PLAN_BIND_H

#include "core/base/base.h"
#include "core/plan/arena.h"
#include "core/plan/graph.h"
#include "core/plan/lost.h"
#include "core/plan/order.h"
#include "core/plan/read.h"
#include "core/plan/strmap.h"
#include "core/plan/subst.h"

struct bound_plugin {
	const char *name;                   /* in the graph's arena */
	const struct schema_plugin *schema; /* NULL: cannot be used, said once */
};

/* A plan's steps are written out ("unrolled") before anything else is looked at: a step
 * with for_each into one unit for each item, one that does a runbook into that runbook's
 * steps, each time behind a unit that joins them. */
struct call { /* a runbook whose steps are written out */
	const struct plan_runbook *runbook;
	const struct call *up;       /* where the step is that does it; NULL: nowhere, it is
					the one that was asked for */
	uint32_t by;                 /* that step, an index into written */
	const char *prefix;          /* of the names of its steps: "", or "STEP/" */
	struct locals caller;        /* for the `with` of that step */
	struct locals locals;        /* for texts in its steps, but for the item */
	uint32_t each;               /* the outermost for_each around it, or UNIT_NONE */
	bool echo;                   /* as an earlier item's: its mistakes are told already */
};

struct written { /* a step as written, in one call of its runbook */
	const struct plan_step *step;
	const struct call *call;
	const char *name;                   /* with the prefix; NULL when it was wrong */
	const struct schema_action *action; /* NULL: none, or not looked up */
	uint32_t plugin;                    /* of action: an index into binder.plugin */
	const uint32_t *limits;             /* n_limits indices into graph.limits */
	uint32_t n_limits;
	uint32_t first_wait, n_waits;       /* its `after`, units: in binder.waits */
	uint32_t unit;                      /* its join, or else the only unit of it */
	uint32_t bad_items;                 /* whose parameters are wrong */
	bool looked_up;                     /* for action and limits */
};

struct unit { /* a step of the graph to be */
	const char *name;    /* in the graph's arena; NULL when it was wrong */
	const char *item;    /* for_each: its text; NULL: none */
	uint32_t written;
	uint32_t members;    /* a join: so many units behind it are its parts */
	bool is_join;
	bool passed;         /* `if` says so before the run */
	bool is_numbered;    /* the item's number is in the name, not its text */
};

#define UNIT_NONE UINT32_MAX

struct output_ref { /* unit uses an output of target */
	uint32_t step, target;
	struct place at;
};

struct binder {
	const struct plan *plan;
	const struct plan_runbook *runbook;
	const struct bind_request *req;
	const struct schema_source *schemas;
	struct reader r;               /* outer: the runbook; inner: the step at hand */
	struct subst subst;
	struct graph *g;
	struct arena *own;             /* of g */
	bool nomem;

	struct place last;             /* of bind_place: steps stand in one file mostly */
	const char *last_word;

	struct strmap words;           /* interned strings: file names, workloads */
	const char **word;
	size_t n_words, words_cap;

	struct strmap plugin_map;
	struct bound_plugin *plugin;
	size_t n_plugins, plugins_cap;
	uint32_t last_plugin;          /* that was asked for */

	struct call *root;             /* of the runbook that was asked for */
	struct written *written;
	size_t n_written, written_cap;
	struct unit *unit;
	size_t n_units, units_cap;
	struct strmap step_map;        /* name -> unit */
	uint32_t *waits;               /* units: the `after` of each written step */
	size_t n_waits, waits_cap;
	struct edges after;            /* of all units */
	uint32_t *topo;                /* of after; rank is its reverse */
	bool is_cyclic;                /* topo has no meaning */
	bool *keep;                    /* by unit */
	uint32_t current;              /* the unit whose parameters are read */
	struct locals locals;          /* its */

	struct output_ref *refs;
	size_t n_refs, refs_cap;
	bool *secret_used;             /* by index in the plan */
	struct strbuf json;            /* the parameters being written */
	struct strbuf scope;           /* the name of a step in messages */
	struct diags *d;
	struct diags mute;             /* takes what has been told already */
};

/* A copy of s in the graph, the same pointer for the same string; NULL for NULL. */
const char *bind_word(struct binder *b, const char *s);
struct place bind_place(struct binder *b, struct place at);

/* The scope of messages becomes that step as written; its parameters, those of that
 * unit. */
void bind_scope_written(struct binder *b, uint32_t written);
void bind_scope(struct binder *b, uint32_t unit);
/* Inside bind_scope: a message says of which item it is when text depends on it. */
void bind_scope_item(struct binder *b, const char *text);

const struct written *bind_written(const struct binder *b, uint32_t unit);
/* The outermost for_each that the unit is an item of, or UNIT_NONE: a written step. */
uint32_t bind_each_of(const struct binder *b, uint32_t unit);
/* Its own workload or that of the step that does its runbook; NULL: none. */
const char *bind_workload(const struct binder *b, uint32_t unit);
/* Its modes that are also those of the steps that do its runbook. */
unsigned bind_modes(const struct binder *b, uint32_t unit);
/* The unit that a step calls `name`, by the names that its runbook knows. */
uint32_t bind_find(struct binder *b, const struct call *call, const char *name);
/* Offers the names that a step of call may use. */
void bind_offer_steps(const struct binder *b, const struct call *call, struct suggest *suggest);

/* bind_unroll.c: fills written, unit and step_map. */
void bind_unroll(struct binder *b);

/* call.c: what step `by` hands down to runbook is what that uses. */
void bind_check_args(struct binder *b, const struct plan_step *by,
		     const struct plan_runbook *runbook);

/* bind_each.c: the items of a for_each and whether names can hold all of them. */
struct items {
	const char **text; /* n of them, in the graph's arena; the array is to be freed */
	uint32_t n;
	bool by_number;
};
bool bind_items(struct binder *b, const struct call *call, const struct plan_step *step,
		struct items *ret);

/* bind_steps.c: names, edges, order, which steps stay.  false: no graph can be
 * made of it, and it has been said why (or nomem). */
bool bind_order(struct binder *b);

/* Whether other is done in each mode of the graph in which unit is. */
bool bind_goes_with(const struct binder *b, uint32_t unit, uint32_t other);

/* bind_params.c: writes the typed parameters of the current step to b->json. */
void bind_params(struct binder *b, const struct written *w, bool *ret_deferred);

/* bind_approve.c: what the types alone do not say of a core.approve, from b->json. */
void bind_approve(struct binder *b, const struct plan_step *step);

/* bind_if.c: the conditions of a unit, its own and those handed down. */
void bind_ifs(struct binder *b, uint32_t unit, struct step *ret);
/* bind_params.c: only the names of the parameters are looked at. */
void bind_params_unused(struct binder *b, const struct written *w);

/* bind_outputs.c: for subst.step_ref; ctx is the binder. */
bool bind_use_output(void *ctx, const struct output_use *use, struct subst_result *res);
/* Every used output comes from a step that is before. */
void bind_check_refs(struct binder *b);

/* bind_secrets.c: secrets that are used are there; fills g->secrets. */
void bind_secret_use(struct binder *b, const char *secret, const config_setting_t *at);
void bind_secrets(struct binder *b);

/* bind_lost.c: fills g->lost in mode disaster. */
void bind_lost(struct binder *b);

/* graph.c: E_INVALID and err when param's text depends on the lost site. */
int graph_check_lost(const struct graph *g, const struct step *step,
		     const struct schema_param *param, const char *text, struct error *err);

#endif
