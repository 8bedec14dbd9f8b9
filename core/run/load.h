/* load.h -- from a plan's file, or from a journal, to a graph that can run. */
#ifndef CORE_RUN_LOAD_H
#define CORE_RUN_LOAD_H

#include "core/engine/run_state.h"
#include "core/plan/graph.h"
#include "core/run/schemas.h"
#include "core/run/settings.h"
#include "core/store/journal.h"

struct loaded {
	struct registry *registry;   /* of the installed plugins */
	struct schemas *schemas;     /* the graph points into them */
	struct plan_text text;       /* kept for the first event */
	struct graph *graph;         /* NULL when the plan is not valid */
	struct run_state *state;     /* load_run: the fold of all events */
	char *run;                   /* load_run: its id */
	json_t *first;               /* load_run: the first event */
	struct journal_end end;      /* load_run: where the journal ends */
	struct undo_source *source;  /* of an undo or failback that runs: where its records are;
				      * else NULL */
};

#define LOADED_INIT {0}

/* Reads and checks the plan at path for one direction; a site that req does not
 * name is the plan's first one (from) or the first other one (to).  E_INVALID: d
 * says what is wrong.  l is to be released in every case. */
int load_plan(struct loaded *l, const struct settings *settings, const char *path,
	      const struct bind_request *req, struct diags *d, struct error *err);

/* Checks the plan at path for all of req's members that are given and, where they are
 * not, for every runbook, from the first site to the second in every mode and back in
 * mode planned.  What is wrong is in d; the return value tells only of failures to
 * look (E_NOMEM). */
int check_plan(const struct settings *settings, const char *path, const struct bind_request *req,
	       struct diags *d, struct error *err);

/* Reads a run's journal, checks its chain, binds the plan in its first event and
 * folds all events.  with_secrets: check also that the plan's secrets are there (a
 * resume needs them, a status does not).  E_NOTFOUND, E_CORRUPT, E_INVALID. */
int load_run(struct loaded *l, const struct settings *settings, struct store *store,
	     const char *run, bool with_secrets, struct error *err);

/* The same; watch sees each event after it was folded. */
int load_run_watched(struct loaded *l, const struct settings *settings, struct store *store,
		     const char *run, journal_event_fn *watch, void *ctx, struct error *err);

/* The graph and the state at the beginning of a run whose first event is first, as load_run
 * will make them of it; secrets are checked.  l->run may be set before. */
int load_first(struct loaded *l, const struct settings *settings, const json_t *first,
	       struct error *err);

/* The same as load_run for a journal that may be damaged: every event is read to its last byte.
 * E_CORRUPT: l->end has the first bad event, and l->state (NULL when it is the first
 * one) is the fold of those before it. */
int load_good_part(struct loaded *l, const struct settings *settings, struct store *store,
		   const char *run, struct error *err);

/* Whether the plan in l can go on as word (an event operator.mode; any other is fine)
 * says: it is bound in that mode, with its check of what depends on the site assumed
 * lost.  E_REFUSED: err has the first problem. */
int load_check_word(const struct loaded *l, const json_t *word, struct error *err);

void loaded_release(struct loaded *l);

/* The run that a person means: a full id, a unique beginning of one, or NULL or
 * "last" for the newest.  *ret is to be freed.  E_NOTFOUND, or E_INVALID naming the
 * runs that fit. */
int find_run(struct store *store, const char *said, char **ret, struct error *err);

#endif
