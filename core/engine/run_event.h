/* run_event.h -- an event of a run, read from its JSON text once.
 *
 * What an event means is decided on this struct (run_state_take, run_state_permits).
 * Its JSON form is the journal's: run_event_read is the only place that knows both.
 */
#ifndef CORE_ENGINE_RUN_EVENT_H
#define CORE_ENGINE_RUN_EVENT_H

#include "core/base/json.h"
#include "core/engine/sched.h"
#include "core/plan/graph.h"

/* In the order of run_event.c's table; what each holds is in run_state.h. */
enum event_kind {
	EVENT_RUN_STARTED,
	EVENT_RUN_RESUMED,
	EVENT_RUN_PAUSED,
	EVENT_RUN_STOPPED,
	EVENT_RUN_ENDED,
	EVENT_ATTEMPT_STARTED,
	EVENT_ATTEMPT_PROBED,
	EVENT_ATTEMPT_UNDO,
	EVENT_ATTEMPT_REVERTED,
	EVENT_ATTEMPT_CHECKPOINT,
	EVENT_ATTEMPT_OUTPUT,
	EVENT_ATTEMPT_ENDED,
	EVENT_GATE_OPENED,
	EVENT_STEP_PASSED,
	EVENT_APPROVE,
	EVENT_RETRY,
	EVENT_SKIP,
	EVENT_BY_HAND,
	EVENT_PAUSE,
	EVENT_STOP,
	EVENT_CONTINUE,
	EVENT_MODE,
	EVENT_ABANDON,
	EVENT_REFUSED,
	EVENT_RUN_TOOK,
	EVENT_RESIDUE,
	EVENT_KINDS
};

/* All texts are borrowed from whoever made the event. */
struct run_event {
	enum event_kind kind;
	uint32_t step;           /* SCHED_NONE: it is of the run as a whole */
	uint32_t attempt;        /* of an attempt: its number */
	int outcome;             /* ended: enum sched_outcome; -1: not known here */
	bool apply;              /* started, probed: it may change something from here on */
	bool revert;             /* started: it puts back what an earlier run has changed */
	bool told;               /* probed: changes and total are known */
	uint64_t changes, total; /* probed */
	uint64_t records;        /* undo: how many */
	uint64_t put_back, already; /* reverted: how many */
	int64_t retry_after_ms;  /* ended: the least wait that the plugin asked for */
	const char *text;        /* probed: now; gate: the question; ended, passed: why, for people;
				  * run.ended: the outcome */
	const char *name;        /* checkpoint, output */
	const char *data;        /* checkpoint */
	const char *actor;       /* of a person's word */
	const char *reason;      /* of a person's word, or NULL */
	int64_t made_ms;         /* approve: when what was signed was written; 0: it is no file */
	int mode;                /* mode: enum resite_mode; 0: none that is known */
	bool now;                /* stop: what runs is cancelled, too */
	json_t *value;           /* output; probed: losses, reverted: conflicts, run.started:
				  * previewed, residue: all of it, or NULL */
	json_t *rehearsal;       /* run.started, or NULL */
};

/* Fills *ret from the JSON form; index: step name -> number.  E_INVALID: no such kind;
 * E_NOTFOUND: no such step.  err says which. */
int run_event_read(const json_t *event, const json_t *index, struct run_event *ret,
		   struct error *err);

/* "attempt.started", … */
const char *run_event_name(enum event_kind kind);

/* Whether it is of a step, and of one of its attempts. */
bool run_event_of_step(enum event_kind kind);
bool run_event_of_attempt(enum event_kind kind);

#endif
