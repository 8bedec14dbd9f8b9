/* rules.h -- what a run must do, told a second time and as simply as it can be.
 *
 * No heaps, no lists, no fold: which steps are in which state are bits of a word.  It
 * hears of each command and of each event, and says which rule is broken.
 */
#ifndef TESTS_SIM_RULES_H
#define TESTS_SIM_RULES_H

#include "core/engine/run_state.h"
#include "tests/sim/case.h"

/* What does not change in a run. */
struct rules_of {
	const struct sim_case *c;
	uint32_t all;                      /* bits of the steps, as all words below */
	uint32_t work;                     /* takes an attempt */
	uint32_t gates;                    /* is a gate, and opens */
	uint32_t probes;                   /* an attempt finds out what an earlier one did */
	uint32_t may_apply;                /* is allowed to change something */
	int64_t path_ms[CASE_STEPS];
};

/* What does; a plain value, so that a crash takes it back to the last commit. */
struct rules {
	uint32_t settled;                  /* done, skipped, by hand, or failed and passed */
	uint32_t failed;                   /* of those: failed and passed */
	uint32_t open;                     /* an attempt is open */
	uint32_t asks;                     /* failed; a person must say something */
	uint32_t waits;                    /* a gate that is open */
	uint32_t intent;                   /* the open attempt may apply */
	uint32_t doubt;                    /* an attempt with intent has no known end */
	uint32_t out;                      /* not of the run's present mode */
	uint32_t passed_over;              /* settled for that alone */
	uint32_t bound;                    /* applies only what the preview found */
	uint32_t stops;                    /* asks, and its policy has stopped the run */
	bool switched;                     /* to mode disaster */
	enum hold hold;                    /* what a person holds the run with */
	uint16_t attempts[CASE_STEPS];     /* opened so far */
	uint8_t tries[CASE_STEPS];         /* of those, counted since the last word */
	uint8_t approved[CASE_STEPS];      /* bits of who has */
	uint8_t said[CASE_STEPS];          /* enum event_kind of the last word; 0: none */
	uint32_t undo[CASE_STEPS];         /* records written */
	uint8_t used[CASE_LIMITS];         /* of each limit */
	uint8_t n_open;
	int64_t not_before_ms[CASE_STEPS]; /* of the next attempt */
	int64_t seen_ms;                   /* the time that the scheduler knows of */
};

void rules_begin(const struct sim_case *c, struct rules_of *of, struct rules *ret);

/* Each returns the rule that is broken, or NULL, and then takes note of what happened. */
const char *rules_command(const struct rules_of *of, struct rules *r,
			  const struct sched_command *command);
const char *rules_probed(const struct rules_of *of, struct rules *r, uint32_t step,
			 const struct case_fate *found, const char *decision);

/* An event that the run has taken. */
void rules_ended(const struct rules_of *of, struct rules *r, uint32_t step,
		 enum sched_outcome outcome, int64_t retry_after_ms);
void rules_lost(const struct rules_of *of, struct rules *r);

/* A word of a person. */
struct rules_word {
	enum event_kind kind;
	uint32_t step, actor;
	bool now;              /* a stop that cancels what runs */
};

enum rules_answer { WORD_IS_REFUSED, WORD_IS_SAID, WORD_IS_TAKEN };

/* What must become of a word that is said now; said: it was before, and had its effect. */
enum rules_answer rules_judge(const struct rules_of *of, const struct rules *r,
			      const struct rules_word *word);
/* It was taken. */
void rules_take(const struct rules_of *of, struct rules *r, const struct rules_word *word);

static inline bool
rules_stopping(const struct rules *r)
{
	return r->hold != HOLD_NONE || r->stops;
}

/* Compares the whole with the real state; *ret_step: where it is broken.  acting: an
 * orchestrator has just had its turn. */
const char *rules_check(const struct rules_of *of, const struct rules *r,
			const struct run_state *state, bool acting, uint32_t *ret_step);

#endif
