/* model.h -- what the scheduler must do, told a second time and as simply as it can be:
 * no heaps, no lists, everything recomputed.  A simulation asks it after each event.
 */
#ifndef TESTS_GOLDEN_MODEL_H
#define TESTS_GOLDEN_MODEL_H

#include "tests/golden/vrun.h"

#define MODEL_STEPS_MAX 20

struct model_step {
	bool settled;          /* done, skipped, by hand, or failed and passed */
	bool open;             /* an attempt is open */
	bool asks;             /* failed; a person must say something */
	bool stops;            /* and until then, by its policy, nothing starts */
	bool gate;             /* waits for an approval */
	bool intent;           /* the open attempt may apply */
	bool doubt;            /* an attempt with intent has no known end */
	uint32_t attempts;     /* opened so far */
	uint32_t tries;        /* of those, counted since the last word */
	uint32_t approvals;    /* given */
	int64_t not_before_ms; /* of the next attempt */
};

struct model {
	struct vrun *run; /* borrowed */
	struct model_step step[MODEL_STEPS_MAX];
	uint32_t open;    /* attempts */
	bool told_to_stop;
};

/* Checks a command against the rules, then takes it.  The first broken rule is told in
 * run->broken. */
void model_command(struct model *m, const struct sched_command *command);

/* What has happened: the model moves on as the rules say. */
void model_ended(struct model *m, uint32_t step, enum sched_outcome outcome,
		 int64_t retry_after_ms);
void model_probed(struct model *m, uint32_t step, bool told, const char *decision);
void model_lost(struct model *m);
void model_word(struct model *m, uint32_t step, const char *word);

/* Compares the whole with the real state, at rest after a turn. */
void model_check(struct model *m);

#endif
