/* run.h -- the orchestrator: joins scheduler, journal and workers in one loop.
 *
 * Each turn of the loop: what happened becomes events; each event moves the state
 * on (engine/run_state.h) and is queued; the scheduler's commands become events
 * too; then all of them are made durable in one commit, and only then are the
 * effects carried out: attempts started, told to go on, acknowledged.
 *
 * When the journal cannot be written, nothing more is started or acknowledged:
 * open attempts are cancelled, and the run can be resumed later.
 */
#ifndef CORE_RUN_RUN_H
#define CORE_RUN_RUN_H

#include "core/run/control.h"
#include "core/run/load.h"

/* Exit statuses of the program (DESIGN.md, 9). */
enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,  /* failed or refused */
	EXIT_USAGE = 2,   /* usage, or an invalid plan */
	EXIT_PAUSED = 3,  /* waits for a person */
	EXIT_FENCED = 4,  /* another resite took the run */
};

/* Who wants to see what happens.  All borrowed for the call; texts are redacted. */
struct run_observer {
	void *ctx;
	/* An event was made durable and the state moved on. */
	void (*event)(void *ctx, const struct run_state *state, const json_t *event);
	/* total 0: not known. */
	void (*progress)(void *ctx, const struct run_state *state, uint32_t step, uint64_t done,
			 uint64_t total, const char *what);
	/* level: enum log_level; step SCHED_NONE: of the run as a whole. */
	void (*log)(void *ctx, const struct run_state *state, uint32_t step, int level,
		    const char *text);
};

struct run_options {
	const char *const *only; /* workloads, as in bind_request; for the journal */
	size_t n_only;
	const json_t *previewed; /* of previewed_bind: what the steps are bound to; NULL: nothing */
	bool wait_for_person;    /* paused: stay and listen, do not end */
	const char *const *beside; /* n_beside unfinished runs that a person starts beside */
	size_t n_beside;
	const char *reason;      /* why; NULL: none was given */
	const json_t *rehearsal; /* of rehearsal_new; NULL: it is none */
	uint64_t faults;         /* the seed of run/faults.h; 0: none */
	bool alone;              /* nobody sits at the terminal to answer */
};

/* Starts a new run of the plan in l (from load_plan, with l->run set) and carries it
 * to its end or pause.  *ret_exit is an enum exit_status.  Failure: nothing was
 * started. */
int run_start(struct loaded *l, const struct settings *settings, struct store *store,
	      const struct run_options *options, const struct run_observer *observer,
	      int *ret_exit, struct error *err);

/* Goes on with a run that was loaded with load_run.  E_BUSY: somebody has it;
 * E_REFUSED: it has ended. */
int run_resume(struct loaded *l, const struct settings *settings, struct store *store,
	       const struct run_options *options, const struct run_observer *observer,
	       int *ret_exit, struct error *err);

/* What became of a word. */
struct run_answer {
	struct control_answer a;
	bool live; /* an orchestrator has heard it; else it is in the journal */
};

/* Says an operator's word (see run/control.h; actor is added) to run: to its
 * orchestrator when one is at work, else straight into its journal, for the next
 * resume.  E_REFUSED: it does not apply. */
int run_say(const struct settings *settings, struct store *store, const char *run, json_t *word,
	    struct run_answer *ret, struct error *err);

/* A new id for a run of runbook: "20261122-235501-move", and "…-move-2" when that
 * second has one already.  Of two that are made at the very same time only one can
 * start.  To be freed; NULL without memory. */
char *run_new_id(const char *state_dir, const char *runbook, int64_t wall_ms);

/* Who is asking, for the journal: the user's name.  To be freed; NULL without
 * memory. */
char *run_actor(void);

/* Sets the event's actor, and, as a hint that anybody could set, `sudo`. */
void run_sign(json_t *event);

#endif
