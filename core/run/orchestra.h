/* orchestra.h -- what the files of core/run share about a run under way; private. */
#ifndef CORE_RUN_ORCHESTRA_H
#define CORE_RUN_ORCHESTRA_H

#include "core/run/control.h"
#include "core/run/lock.h"
#include "core/run/plugins.h"
#include "core/run/run.h"
#include "core/run/undo_source.h"
#include "core/worker/tag.h"

/* How long a resume waits for workers of a lost orchestrator: their grace time
 * (TERM, then KILL) and some. */
#define WORKERS_WAIT_MS 15000

/* One open attempt. */
struct live {
	struct run *run;
	struct attempt *attempt; /* NULL: not started yet, or over */
	uint32_t step, n;        /* which attempt of which step */
	struct undo_cursor cursor; /* a revert: which records it has been given */
	json_t *losses;          /* what the probe has said will be lost; or NULL */
	char *refused;           /* why the core said stop after the probe; or NULL */
	bool cancelled;          /* we cancelled it */
	enum phase phase;        /* what it does now */
	int64_t phase_since_ms;  /* since when */
	int64_t phase_ms[N_PHASES]; /* how long each has taken */
	uint32_t messages;       /* said so far, when there are to be faults */
	struct held *held;       /* stopped by a fault; or NULL */
};

enum effect_kind { EFFECT_START, EFFECT_GO, EFFECT_STOP, EFFECT_ACK };

/* What is done once the events queued so far are durable. */
struct effect {
	enum effect_kind kind;
	uint32_t step, n;   /* the attempt that it is for: it may be gone by then */
	int64_t id;         /* ACK: of the request */
	int64_t timeout_ms; /* START */
};

struct run {
	uv_loop_t loop;
	uv_prepare_t turn;            /* the end of each turn of the loop */
	uv_timer_t wake;              /* backoffs */
	uv_signal_t on_int, on_term;
	struct loaded *l;             /* borrowed: graph, state, registry */
	const struct settings *settings;
	const struct run_options *options;
	const struct run_observer *observer;
	struct store *store;          /* borrowed */
	int64_t *expected_ms;         /* of each step, by history or plan; NULL: all alike */
	struct journal *journal;
	json_t *signers;              /* for run.started; NULL in a resume */
	struct redact secrets;        /* values read so far */
	struct plugins *plugins;
	struct control *control;
	struct run_lock lock;
	struct run_lock origin_lock;  /* an undo: nobody resumes the run that it undoes */
	int plan_fd;                  /* the plan's lock; -1: not taken */
	struct live **live;           /* by step; NULL: no open attempt */
	uint32_t n_live;
	char (*lost)[TAG_MAX];        /* marks of attempts that were open when the last
				       * orchestrator was lost */
	size_t n_lost, lost_cap;
	struct effect *effect;        /* in order */
	size_t n_effects, effects_cap;
	json_t **shown;               /* events queued, for the observer */
	size_t n_shown, shown_cap;
	int64_t wall0_ms, mono0_ms;   /* the run's clock: wall time that never goes back */
	unsigned interrupts;          /* SIGINT or SIGTERM so far */
	bool halted;                  /* the journal failed: end, write nothing */
	bool paused_said;             /* run.paused is in the journal for this pause */
	bool over;                    /* the loop is to end */
	int exit_status;
	struct error why;             /* of halted */
};

/* run.c */
int64_t run_now_ms(const struct run *run);
/* Takes the reference to event; applies and queues it.  A failure halts the run. */
void run_record(struct run *run, json_t *event);
/* The same; the journal gets a member more, given as JSON text (journal_add_text). */
void run_record_text(struct run *run, json_t *event, const char *key, const char *value,
		     size_t len);
/* Applies and queues event (borrowed).  Failure leaves all as it was when the event does
 * not fit. */
int run_try_record(struct run *run, json_t *event, struct error *err);
/* Makes what was queued durable, then does what waited for it. */
void run_commit(struct run *run);
void run_effect(struct run *run, struct effect effect);
void run_halt(struct run *run, const struct error *why);
void run_log(struct run *run, uint32_t step, int level, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* The loop, from first (the event that begins it) to the end or a pause; end: where the
 * journal ends, NULL for a new run.  Gives the locks back. */
int run_orchestrate(struct run *run, struct store *store, const struct journal_end *end,
		    json_t *first, int *ret_exit, struct error *err);

/* start.c */
void run_release_locks(struct run *run);

/* messages.c: the handlers of an attempt's events (core/worker/nursery.h); ctx: its struct live */
void attempt_on_message(void *ctx, const json_t *msg, const char *line, size_t len);
void attempt_on_undo(void *ctx, const struct undo_line *undo);
void attempt_on_line(void *ctx, const char *line);

/* attempts.c */
/* An event about the attempt, with its step and number; NULL: no memory. */
json_t *attempt_event(const struct live *a, const char *kind);
/* It is in another phase now; PHASE_NONE: in none any more. */
void attempt_enter(struct live *a, enum phase phase);
/* It waits for what will never be durable: told so, or it would wait until it is killed. */
void attempt_refuse_ask(struct live *a, int64_t id);
void attempt_open(struct run *run, const struct sched_command *command);
void attempt_carry_out(struct run *run, const struct effect *effect);
void attempts_cancel_all(struct run *run, const char *why);
/* For a halted run: what was to be acknowledged when durable will not be. */
void attempts_refuse_asks(struct run *run);
/* Those of steps that the run's mode has no more. */
void attempts_cancel_out(struct run *run, const char *why);
/* For a halted run: those whose start has not become durable will never start. */
void attempts_forget_unstarted(struct run *run);
/* Notes the marks of the attempts of l that were open when its last orchestrator was lost:
 * before run.resumed is applied; lock: the run's, taken.  E_NOMEM. */
int attempts_note_lost(struct run *run, const struct loaded *l, const struct run_lock *lock,
		       struct error *err);
/* Kills what they have left behind, and waits until it is gone: once the first event is
 * durable, so that the last orchestrator, should it live, is fenced.  E_BUSY. */
int attempts_end_lost(struct run *run, int64_t wait_ms, struct error *err);

#endif
