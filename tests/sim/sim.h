/* sim.h -- one run under virtual time.
 *
 * orchestra.c does what core/run/run.c does, with the real scheduler, fold and decisions:
 * queue events, commit, then carry out the effects.  world.c is everything outside: the
 * workers, the people, the crashes.  Beside the live state goes the durable one, which is
 * given nothing but what was committed; a crash leaves only that.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "core/base/strbuf.h"
#include "core/engine/decide.h"
#include "core/engine/run_state.h"
#include "tests/sim/case.h"
#include "tests/sim/cover.h"
#include "tests/sim/rules.h"

#define SIM_EVENTS 1500 /* a run that is not over by then does not end */
#define SIM_EFFECTS (2 * CASE_STEPS)

enum leg { LEG_NONE, LEG_PROBE, LEG_HELD, LEG_WORK, LEG_END };

/* A worker process. */
struct flight {
	int64_t at_ms;       /* when it goes on to the next leg */
	int64_t deadline_ms; /* when it is killed */
	uint32_t attempt;
	enum leg leg;        /* what it does next; HELD: it waits for go or stop */
	bool refused;        /* it was told to stop after its probe */
	bool cancelled;      /* it was told to stop at once */
};

enum effect_kind { EFFECT_START, EFFECT_GO, EFFECT_STOP, EFFECT_ACK };

struct effect {
	enum effect_kind kind;
	uint32_t step, n;
	int64_t timeout_ms; /* START */
};

struct entry {
	struct run_event event;
	int64_t time_ms;
};

struct sim {
	const struct sim_case *c;
	struct case_graph built;
	struct run_config config;
	struct rules_of of;
	struct rules rules, committed; /* now, and as of the last commit */
	struct run_state *live, *durable;
	json_t *previewed;             /* of run.started, or NULL */
	struct entry journal[SIM_EVENTS];
	uint32_t n_journal, n_durable;
	struct effect effect[SIM_EFFECTS];
	uint32_t n_effects;
	int64_t now_ms;
	uint32_t seen;           /* events so far, lost ones too */
	enum act_kind crash;     /* in the next commit; ACT_KINDS: none */
	enum act_kind crashed;   /* the last one that was */
	bool over;               /* there is no orchestrator */
	bool paused_said;
	/* The world: what is true, whatever the journal says. */
	struct flight flight[CASE_STEPS];
	uint32_t flying;         /* bits: there is a process */
	uint32_t dirty;          /* bits: something was applied, and nobody knows or has
				  * looked since */
	uint32_t acked[CASE_STEPS]; /* undo records that the worker was told are safe */
	uint32_t next_act;
	uint32_t helps;          /* how often a person had to help */
	int64_t due_ms;          /* of that act; INT64_MAX: not due */
	/* The outcome. */
	const char *broken;      /* the first broken rule, or NULL */
	uint32_t broken_step;
	char detail[256];
	uint64_t *cover;         /* COVERS numbers */
	struct strbuf *trace;    /* what happened, as a golden case's events; or NULL */
	bool only_here;          /* something happened that a golden case cannot say */
};

/* Plays the case to its end; whether every rule was kept.  Nothing is left to free but
 * what sim_release frees. */
bool sim_play(struct sim *s, const struct sim_case *c, uint64_t *cover, struct strbuf *trace);
void sim_release(struct sim *s);

/* --- orchestra.c ---------------------------------------------------------- */

void sim_break(struct sim *s, uint32_t step, const char *rule);
void sim_start(struct sim *s);
/* What a worker has said.  It must fit. */
void sim_event(struct sim *s, const struct run_event *event);
void sim_effect(struct sim *s, struct effect effect);
/* One turn of the loop; check: then compare with the rules. */
void sim_turn(struct sim *s);
/* A person's word; false when nothing came of it. */
bool sim_word(struct sim *s, const struct rules_word *word);
/* The orchestrator is killed, or had ended; a new one goes on. */
void sim_lose(struct sim *s);

/* --- world.c -------------------------------------------------------------- */

void sim_carry_out(struct sim *s, const struct effect *effect);
/* Every process is told to stop at once. */
void sim_cancel(struct sim *s);

/* --- same.c --------------------------------------------------------------- */

/* What differs between the live and the durable state, or NULL.  touched: bits of the
 * steps whose facts are compared, too; an event of the run as a whole touches all. */
const char *sim_differs(const struct sim *s, uint32_t touched, uint32_t *ret_step);
/* The event in its JSON form.  NULL without memory. */
json_t *sim_json(const struct sim *s, const struct run_event *event);

static inline void
sim_cover(struct sim *s, enum cover what)
{
	s->cover[what]++;
}

void sim_trace(struct sim *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
