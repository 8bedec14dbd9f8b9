/* words.h -- what a person can say to a run, and when it makes sense.  Pure.
 *
 * One table of words; each row says in which states of a step the word applies, in
 * which it has been said already, and whether anybody must be at work to hear it.
 */
#ifndef CORE_ENGINE_WORDS_H
#define CORE_ENGINE_WORDS_H

#include "core/engine/run_state.h"

enum word_flags {
	WORD_LIVE = 1u << 0,    /* it is for an orchestrator: nothing to hold without one */
	WORD_AT_REST = 1u << 1, /* only while no orchestrator is at work */
};

struct word {
	enum event_kind kind;
	unsigned applies;  /* STATE_BITs of a step; 0: it is said to the run */
	unsigned repeats;  /* STATE_BITs in which the same word has had its effect */
	unsigned flags;    /* enum word_flags */
};

/* NULL: that is no word of a person. */
const struct word *word_of(enum event_kind kind);
/* By the name of its event, "operator.stop"; NULL: there is no such word. */
const struct word *word_find(const char *name);
/* "stop" of "operator.stop". */
const char *word_verb(enum event_kind kind);

/* What word (an event operator.* with its actor) would come to if it were said at
 * now_ms.  0: it applies, or, when said is not empty, it was said before and has had
 * its effect: said tells by whom and when, and nothing is left to do.  E_REFUSED: it
 * does not apply, err says why, in the step's own terms, and what does; E_INVALID: no
 * such word. */
int word_judge(const struct run_state *state, const struct run_event *word, int64_t now_ms,
	       char said[ERROR_MAX], struct error *err);
/* The same for its JSON form.  E_NOTFOUND: no such step. */
int word_judge_json(const struct run_state *state, const json_t *word, int64_t now_ms,
		    char said[ERROR_MAX], struct error *err);

/* One line for who has said word, which was just applied to a run under way: what comes
 * of it now. */
void word_answer(const struct run_state *state, const json_t *word, char answer[ERROR_MAX]);

/* "paused by alice 2m05s ago: the storage looks odd"; empty when nobody holds the run. */
void word_hold_text(const struct run_state *state, int64_t now_ms, char text[ERROR_MAX]);

/* "mode planned", or "mode disaster (begun as planned, switched by alice 2m ago: why)". */
void word_mode_text(const struct run_state *state, int64_t now_ms, char text[ERROR_MAX]);

#endif
