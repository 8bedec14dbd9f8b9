/* sched.h -- the scheduler: events in, commands out, nothing else.
 *
 * Pure.  It knows no clock (times come with the events), no loop, no store.
 * All memory is taken in sched_new; no call after it can fail for want of it.
 * The same code decides in a run, in a resume (by folding the journal), in
 * golden tests and in simulations.
 *
 * A step's way:
 *
 *	WAITING --deps done--> READY --command--> RUNNING --ok--> DONE
 *	   RUNNING --transient, conflict, unknown--> BACKOFF --time--> READY
 *	   RUNNING --refused, invalid, bug, tries used up--> ASK | FAILED | halt
 *	   READY --approval step--> GATE --approve--> DONE
 *	   ASK --retry--> READY, --skip--> SKIPPED, --by-hand--> BY_HAND
 *
 * Readiness is a counter.  Ready steps start in the order of the longest path
 * that hangs on them.  Limits are counters with waiting lists.
 */
#ifndef CORE_ENGINE_SCHED_H
#define CORE_ENGINE_SCHED_H

#include "core/base/base.h"

#define SCHED_NONE UINT32_MAX

enum step_state {
	STEP_WAITING, /* some dependency is not done */
	STEP_READY,   /* could start now, or waits for a limit */
	STEP_RUNNING, /* an attempt is open */
	STEP_BACKOFF, /* waits for the time of its next try */
	STEP_GATE,    /* waits for an approval */
	STEP_ASK,     /* failed; a person must say retry, skip or by-hand */
	STEP_DONE,    /* verified */
	STEP_SKIPPED, /* a person said skip */
	STEP_BY_HAND, /* a person did it */
	STEP_FAILED,  /* failed, and its policy says go on without it */
};

/* What to do when a step has failed for good. */
enum step_policy { POLICY_ASK, POLICY_STOP, POLICY_CONTINUE };

/* How an attempt ended, in terms of the reaction. */
enum sched_outcome {
	OUTCOME_OK,
	OUTCOME_TRANSIENT, /* try again under the step's retry policy */
	OUTCOME_CONFLICT,  /* the world moved: probe again, counts as a try */
	OUTCOME_REFUSED,   /* ask a person */
	OUTCOME_INVALID,   /* ask a person; the plan is wrong */
	OUTCOME_BUG,       /* ask a person; keep the evidence */
	OUTCOME_CANCELLED, /* we stopped it; it is as if it had not started */
	OUTCOME_UNKNOWN,   /* no clean answer: only a probe is allowed next */
};

enum sched_step_flags {
	SCHED_GATE = 1u << 0,      /* needs approvals, no process */
	SCHED_INSTANT = 1u << 1,   /* a join point: done as soon as it is ready */
	SCHED_CAN_PROBE = 1u << 2, /* after UNKNOWN a new attempt finds out; or it only reads */
	SCHED_IF = 1u << 4,        /* when it is ready, sched_set_decider says whether it is done */
	SCHED_OUT = 1u << 3,       /* not of the run's present mode: passed as soon as it is ready */
};

struct sched_step {
	uint32_t flags;         /* enum sched_step_flags */
	uint32_t attempts;      /* tries in all, >= 1 */
	int64_t backoff_ms;     /* before the second try; doubles with each */
	int64_t max_backoff_ms; /* its bound; 0: none */
	int64_t timeout_ms;     /* of one attempt */
	int64_t weight_ms;      /* expected duration, for the order only */
	const uint32_t *after;  /* indices of the steps it waits for */
	uint32_t n_after;
	const uint32_t *limits; /* indices of the limits it takes, each once */
	uint32_t n_limits;
	uint16_t needs;         /* SCHED_GATE: approvals of different people */
	enum step_policy policy;
};

struct sched_config {
	uint32_t n_steps;
	const struct sched_step *steps;  /* copied, with what it points to */
	uint16_t n_limits;               /* at most UINT16_MAX - 1 */
	const uint32_t *limits;          /* how many at once, of each; copied */
	uint32_t jobs;                   /* attempts open at once in all; >= 1 */
	int64_t deadline_ms;             /* of the run, on the events' clock; 0: none */
};

enum sched_command_kind {
	COMMAND_START, /* open attempt `attempt` of `step`, to end before deadline_ms */
	COMMAND_GATE,  /* `step` waits for an approval */
	COMMAND_PASS,  /* `step` is a join point and is done: record it */
};

struct sched_command {
	enum sched_command_kind kind;
	uint32_t step;
	uint32_t attempt;    /* START: from 1 */
	int64_t timeout_ms;  /* START: the lesser of the step's and the run's */
};

/* What the run as a whole is doing. */
enum sched_phase {
	RUN_ACTIVE,  /* something runs, is ready, or waits for its time */
	RUN_PAUSED,  /* nothing can go on before a person says something */
	RUN_STOPPED, /* told to stop, or a step's policy stopped it; nothing runs */
	RUN_DONE,    /* every step is done, skipped, by hand or failed-and-passed */
};

struct sched;

/* NULL without memory, or when the graph has a cycle (the plan check reports
 * cycles with names; here it is only refused). */
struct sched *sched_new(const struct sched_config *config);
void sched_free(struct sched *sched);

/* Time goes on; steps whose backoff is over become ready. */
void sched_time(struct sched *sched, int64_t now_ms);

/* When sched_time must be called next, or INT64_MAX. */
int64_t sched_wake_ms(const struct sched *sched);

/* Asked once for each step with SCHED_IF, when it is ready: whether it is to be done; if
 * not, it is passed.  Without a decider all are done. */
void sched_set_decider(struct sched *sched, bool (*decide)(void *ctx, uint32_t step), void *ctx);

/* The next thing to do; false when there is nothing now.  The command counts
 * as taken: the step is RUNNING, in its GATE or DONE from here on. */
bool sched_next(struct sched *sched, struct sched_command *ret);

/* The same three, told instead of asked for: what a journal says was taken.
 * The event of a command that sched_next gave is told, too, and changes nothing; once.
 * False when the step could not take that turn. */
bool sched_started(struct sched *sched, uint32_t step, uint32_t attempt);
bool sched_gated(struct sched *sched, uint32_t step);
bool sched_passed(struct sched *sched, uint32_t step);

/* The open attempt of step has ended at now_ms.  retry_after_ms: the least
 * wait that the plugin asked for, 0 for none.  False when none was open. */
bool sched_ended(struct sched *sched, uint32_t step, enum sched_outcome outcome,
		 int64_t retry_after_ms, int64_t now_ms);

/* The orchestrator was lost: each open attempt is unknown.  A step that can
 * probe becomes ready again, and that try does not count; another asks. */
void sched_lost(struct sched *sched);

/* An operator's word.  False when it does not apply in the step's state. */
bool sched_approve(struct sched *sched, uint32_t step);
/* An approval that was taken does not count any more: the step is still in its GATE. */
void sched_unapprove(struct sched *sched, uint32_t step);
bool sched_retry(struct sched *sched, uint32_t step);
bool sched_skip(struct sched *sched, uint32_t step);
bool sched_by_hand(struct sched *sched, uint32_t step);
void sched_stop(struct sched *sched);
/* Takes back a stop of a person, and those of steps whose policy is to stop.  Of the
 * latter, a word to the failed step takes back its own. */
void sched_continue(struct sched *sched);

/* The run takes another mode: says of each step whether it is out of it, then
 * sched_refile.  A step that goes out is passed when it is ready, also when it had
 * failed or waited for a person; what runs goes to its end, however that is.  One that
 * comes back and had only been passed over is to be done; those of its dependents that
 * have not begun wait for it. */
void sched_set_out(struct sched *sched, uint32_t step, bool out);
void sched_refile(struct sched *sched);
bool sched_is_out(const struct sched *sched, uint32_t step);

enum step_state sched_state(const struct sched *sched, uint32_t step);
uint32_t sched_attempts(const struct sched *sched, uint32_t step); /* opened so far */
uint32_t sched_approvals(const struct sched *sched, uint32_t step); /* still needed */
int64_t sched_path_ms(const struct sched *sched, uint32_t step); /* longest path from here */
enum sched_phase sched_phase(const struct sched *sched);
bool sched_stopping(const struct sched *sched); /* no new step will start */
/* How many steps are in state. */
uint32_t sched_count(const struct sched *sched, enum step_state state);
/* Bytes held, for the memory benchmark. */
size_t sched_bytes(const struct sched *sched);

const char *step_state_name(enum step_state state);
const char *sched_outcome_name(enum sched_outcome outcome);
/* The outcome of that name, or -1. */
int sched_outcome_from_name(const char *name);

#endif
