/* run_state.h -- the state of a run: the fold of its events.
 *
 * One function takes an event and moves the state on: run_state_apply in its JSON form,
 * run_state_take as the struct that was read from it.  A live run applies each event as
 * it writes it; resume, status and report apply the journal's.  So what is shown is
 * always what the journal says, and the scheduler inside is the very one that took the
 * decisions.
 *
 * Events (members beside seq, time, prev; see core/store/journal.h):
 *	run.started      {actor, format, run, plan, runbook, from, to, mode, only, jobs,
 *	                  text, version, host, pid, expected_ms, previewed};
 *	                  expected_ms: [for each step], not when all are alike; previewed only
 *	                  with --as-previewed: {made, sha256, steps: {NAME: {now, fingerprint,
 *	                  changes, total}}}.  way: "run" (when absent), "undo" or
 *	                  "failback", then with origin: the run that is undone or turned round.
 *	                  A rehearsal: {rehearsal}, see engine/rehearsal.h.
 *	                  undo also: {undo: [{step, records} | {step, why}], diverged: "leave" |
 *	                  "restore", past_no_return, reason}; see engine/undo.h
 *	                  failback also: {failback: [{step, records}], diverged: "leave" |
 *	                  "restore", reason}; diverged only when a person has said it
 *	run.resumed      {actor, host, pid}: open attempts are unknown from here on
 *	run.paused, run.stopped  {why}
 *	run.took         {plan, runbook, from, to, way, rehearsal, ms: {STEP: 12, …}}: what
 *	                  each step's last good attempt took; right before run.ended
 *	run.ended        {outcome: "done" | "failed" | "abandoned" | "conflicts" (undo: some
 *	                  objects were left alone) | "undone" (a run that had not ended: {actor,
 *	                  by: the undo}) | of a rehearsal "rehearsed" | "residue" | "failed",
 *	                  then with summary}
 *	attempt.started  {step, attempt, intent: "probe" | "apply" | "read" | "revert"}
 *	attempt.probed   {step, attempt, told, now, fingerprint, changes, total, losses,
 *	                  decision: "apply" | "converged" | "refused" | "look"}; "apply" is
 *	                  the durable intent
 *	attempt.undo     {step, attempt, n, records: [{version, by_hand, kv}]}: n of them; a
 *	                  live run applies the event without the records
 *	attempt.reverted {step, attempt, put_back, already, conflicts: [{object, result:
 *	                  "conflict" | "gone" | "refused", was, set, now}]}: several per attempt
 *	attempt.checkpoint {step, attempt, name, data}
 *	attempt.output   {step, attempt, name, value}
 *	attempt.ended    {step, attempt, outcome, phase, param, text, why, retry_after_ms,
 *	                  maxrss_kb, cpu_us, phase_ms: {probe: 12, …}}; phases under 1 ms are left out
 *	gate.opened      {step, text}
 *	step.passed      {step, why}: why it was not carried out; absent for a join
 *	operator.approve, .retry, .skip, .by-hand  {actor, step, reason}; an approval that was
 *	                                           signed has document, signature, made
 *	operator.pause, .stop, .continue           {actor, reason}; a stop has now: true when
 *	                                           running attempts are cancelled, too
 *	operator.mode    {actor, reason, mode: "disaster"}: a planned run is switched
 *	operator.abandon {actor, reason}: run.ended follows
 *	operator.refused {actor, word, step, why}: changes nothing
 *	rehearsal.residue {summary, as_before: N, left: [{step, then, now, objects, more} |
 *	                  {step, why}], unseen: [{step, why}], undo, undo_outcome}: what a
 *	                  rehearsal has left; run.ended follows
 */
#ifndef CORE_ENGINE_RUN_STATE_H
#define CORE_ENGINE_RUN_STATE_H

#include "core/engine/run_event.h"

#define JOURNAL_FORMAT 1

/* The last word of a person, to a step or to the run. */
struct said {
	enum event_kind kind;
	char *actor, *reason; /* NULL: nothing was said, or it was taken back */
	int64_t at_ms;
};

/* What a person holds the run with. */
enum hold { HOLD_NONE, HOLD_PAUSE, HOLD_STOP, HOLD_STOP_NOW };

/* What the events said of one step, beyond its place in the schedule. */
struct step_facts {
	int64_t started_ms;      /* of the first attempt or gate; 0: not yet */
	int64_t ended_ms;        /* when it was settled or failed last; 0: not yet */
	int64_t attempt_ms;      /* when the last attempt began */
	int64_t took_ms;         /* the last attempt that ended ok; 0: none */
	char *now;               /* the last probe's line, or NULL */
	uint64_t changes, total; /* the last probe's count */
	bool probed;             /* changes and total are known */
	char *text;              /* why it failed last, for people; NULL: it did not */
	bool intent;             /* the open attempt was allowed to apply */
	bool in_doubt;           /* an attempt with intent ended unknown, and no probe has
				  * told since */
	uint64_t undo_records;   /* written so far */
	uint64_t put_back;       /* undo: records put back, by all attempts */
	uint64_t already;        /* undo: found as before, not by an earlier attempt's doing */
	uint64_t n_conflicts;    /* undo: objects that the last attempt left alone */
	json_t *conflicts;       /* the first CONFLICTS_KEPT of them, or NULL */
	uint64_t earlier, found; /* undo: put back before the last attempt; found as before by it */
	char *passed;            /* why it was passed over, or NULL */
	json_t *outputs;         /* name -> string, or NULL */
	char *checkpoint, *checkpoint_data; /* the last one, or NULL */
	json_t *losses;          /* array of sentences, or NULL */
	json_t *approved;        /* array of {actor, at_ms}: who has approved, or NULL; those
				  * that expired go when the next one comes */
	struct said said;
	const json_t *previewed; /* what the preview found, to which the step is bound until it
				  * may apply or a person says retry; or NULL; in state */
};

/* Of a step; the journal has them all. */
#define CONFLICTS_KEPT 1000

struct run_state {
	const struct graph *graph; /* borrowed */
	struct sched *sched;
	struct step_facts *facts;  /* one for each step */
	json_t *index;             /* of run_state_index */
	int64_t started_ms;        /* time of run.started */
	int64_t last_ms;           /* time of the last event */
	bool ended;                /* run.ended was seen */
	int mode;                  /* enum resite_mode: the graph's, or what a person switched to */
	struct said mode_said;     /* by whom and why, unless it is the graph's */
	enum hold hold;
	struct said hold_said;     /* by whom and why, unless HOLD_NONE */
	char *outcome;             /* of run.ended, or NULL */
	json_t *previewed;         /* of run.started, or NULL */
	json_t *rehearsal;         /* of run.started, or NULL: it is no rehearsal */
	json_t *residue;           /* the event rehearsal.residue, or NULL: not yet */
};

struct run_config {
	uint32_t jobs;             /* attempts open at once */
	const int64_t *weight_ms;  /* expected duration of each step; NULL: all alike */
};

/* NULL without memory.  graph is borrowed and must outlive the state. */
struct run_state *run_state_new(const struct graph *graph, const struct run_config *config);
void run_state_free(struct run_state *state);

/* Moves the state on by one event.  A command that was already taken with
 * sched_next is recognised.  E_CORRUPT: the event does not fit the state (err
 * says how); E_NOMEM. */
int run_state_apply(struct run_state *state, const json_t *event, int64_t time_ms,
		    struct error *err);
int run_state_take(struct run_state *state, const struct run_event *event, int64_t time_ms,
		   struct error *err);

/* Step name -> number; made when it is asked for first.  NULL without memory. */
const json_t *run_state_index(const struct run_state *state);

/* Why a run that was told to start nothing more does not go on, for run.stopped and
 * run.paused. */
const char *run_state_why_held(const struct run_state *state);

/* For graph_step_params; ctx is the run_state. */
const char *run_state_output(void *ctx, uint32_t step, const char *name);

/* The bare event {"kind":kind, "step":…}; step may be NULL.  NULL without memory. */
json_t *event_new(const char *kind, const char *step);

#endif
