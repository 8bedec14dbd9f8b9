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

struct output_ref { /* step uses an output of target */
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

	struct strmap words;           /* interned strings: file names, workloads */
	const char **word;
	size_t n_words, words_cap;

	struct strmap plugin_map;
	struct bound_plugin *plugin;
	size_t n_plugins, plugins_cap;

	struct strmap step_map;        /* name -> index in the runbook */
	struct edges after;            /* of all steps of the runbook */
	uint32_t *topo;                /* of after; rank is its reverse */
	bool is_cyclic;                /* topo has no meaning */
	bool *keep;                    /* by index in the runbook */
	const struct schema_action **action; /* by index in the runbook; NULL: none */
	uint32_t current;              /* the step whose parameters are read */

	struct output_ref *refs;
	size_t n_refs, refs_cap;
	bool *secret_used;             /* by index in the plan */
	struct strbuf json;            /* the parameters being written */
};

/* A copy of s in the graph, the same pointer for the same string; NULL for NULL. */
const char *bind_word(struct binder *b, const char *s);
struct place bind_place(struct binder *b, struct place at);

/* The scope of messages becomes that step. */
void bind_scope(struct binder *b, uint32_t step);

/* bind_steps.c: names, edges, order, which steps stay.  false: no graph can be
 * made of it, and it has been said why (or nomem). */
bool bind_order(struct binder *b);

/* Whether other is done in each mode of the graph in which step is. */
bool bind_goes_with(const struct binder *b, uint32_t step, uint32_t other);

/* bind_params.c: writes the typed parameters of the current step to b->json. */
void bind_params(struct binder *b, const struct plan_step *step,
		 const struct schema_action *action, bool *ret_deferred);

/* bind_approve.c: what the types alone do not say of a core.approve, from b->json. */
void bind_approve(struct binder *b, const struct plan_step *step);

/* bind_params.c: every used output comes from a step that is before. */
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
