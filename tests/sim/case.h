/* case.h -- a simulated run as a value: a graph, and a script of what happens to it.
 *
 * Nothing else is chance: the same case is the same run.  So a case that breaks a rule
 * can be made smaller piece by piece (shrink.h), and be printed.
 */
#ifndef TESTS_SIM_CASE_H
#define TESTS_SIM_CASE_H

#include "core/base/base.h"
#include "core/plan/graph.h"

#define SIM_EPOCH_MS 1000000 /* when virtual time begins; not 0: that means "not yet" */

#define CASE_STEPS 24 /* fit into the bits of a uint32_t */
#define CASE_LIMITS 3
#define CASE_FATES 4  /* attempts of a step that are scripted; later ones go well */
#define CASE_ACTS 14

enum case_kind {
	KIND_DO,    /* t.do: probes, applies */
	KIND_BLIND, /* t.blind: applies, and cannot look */
	KIND_LOOK,  /* t.look: reads */
	KIND_JOIN,  /* core.none */
	KIND_GATE,  /* core.approve */
};

/* What one attempt of a step does. */
struct case_fate {
	uint16_t probe_ms;       /* from its start to what the probe says */
	uint16_t work_ms;        /* from there to its end */
	uint16_t retry_after_ms; /* the wait that it asks for at its end */
	uint8_t outcome;         /* enum sched_outcome */
	uint8_t changes, total;  /* what the probe says */
	uint8_t undo;            /* undo records that are written before the end */
	bool told;               /* the probe can tell */
	bool early;              /* it ends before its probe has said anything */
	bool silent;             /* it says no more, and is killed at its deadline */
	bool notes;              /* a checkpoint and an output */
	bool moved;              /* the world is not what the preview found */
};

struct case_step {
	uint8_t kind;            /* enum case_kind */
	uint8_t tries, on_failure, rehearse;
	uint8_t needs;           /* of a gate */
	int8_t expect_max;       /* -1: any number */
	int8_t expect_percent;   /* -1: any part */
	uint8_t limits;          /* bits */
	uint8_t modes;           /* MODE_BITs */
	uint16_t backoff_ms, max_backoff_ms, timeout_ms, weight_ms;
	uint32_t after;          /* bits: lower numbers only */
	struct case_fate fate[CASE_FATES];
};

enum act_kind {
	ACT_APPROVE, ACT_RETRY, ACT_SKIP, ACT_BY_HAND, ACT_PAUSE, ACT_STOP, ACT_STOP_NOW,
	ACT_CONTINUE, ACT_MODE, ACT_ABANDON,
	ACT_LOSE,        /* the orchestrator is killed between two turns */
	ACT_CUT,         /* in a turn, before its commit: these events are lost */
	ACT_LOSE_COMMITTED, /* in a turn, after its commit, before anything is done */
	ACT_LOSE_HALFWAY,   /* in a turn, when some of it is done */
	ACT_NURSERY,     /* every open attempt ends unknown */
	ACT_STALE,       /* an event that cannot be: it must be refused */
	ACT_KINDS
};

/* What somebody does when so many events have been. */
struct case_act {
	uint16_t at;   /* events */
	uint16_t wait_ms; /* and so much later, if nothing else comes before */
	uint8_t kind;  /* enum act_kind */
	uint8_t step;  /* which step, or where to begin to look for one that it suits */
	uint8_t actor;
	bool aimed;    /* look for a step that it suits */
};

struct sim_case {
	uint8_t n_steps, n_limits, n_acts, jobs;
	uint8_t mode;            /* enum resite_mode */
	uint8_t help;            /* which word a paused run gets */
	bool waits;              /* a paused orchestrator waits for a person, or ends */
	bool batch;              /* what happens in one millisecond is one turn */
	bool json;               /* the durable state is folded from JSON */
	uint16_t deadline_ms;    /* of the run; 0: none */
	uint8_t limit[CASE_LIMITS];
	uint32_t bound;          /* bits: steps that are bound to a preview */
	struct case_step step[CASE_STEPS];
	struct case_act act[CASE_ACTS];
};

/* The case of that seed, of at most that many steps. */
void case_draw(struct sim_case *c, uint64_t seed, uint32_t max_steps);

/* Takes step i out; what came after it comes after what it came after. */
void case_drop_step(struct sim_case *c, uint32_t i);
void case_drop_act(struct sim_case *c, uint32_t i);

extern const struct case_fate case_good_fate;

const char *case_step_name(uint32_t i);
const char *case_actor(uint32_t i);
#define CASE_ACTORS 3

/* The case's graph, with room for what it points to. */
struct case_graph {
	struct graph graph;
	struct step step[CASE_STEPS];
	struct graph_limit limit[CASE_LIMITS];
	uint32_t after[CASE_STEPS][CASE_STEPS];
	uint32_t limits[CASE_STEPS][CASE_LIMITS];
	int64_t weight_ms[CASE_STEPS];
};

void case_build(const struct sim_case *c, struct case_graph *ret);

#endif
