/* cases.h -- which calls are made to go wrong, and how.  Pure.
 *
 * A case is one point, or two: what goes wrong in one launch of the orchestrator, and then
 * perhaps in a later one.  Its text can be typed:
 *	1.write.17.kill-torn            the first launch, its 17th write to the journal
 *	1.sync.3.eio+2.write.9.power    then, when that was resumed, the power fails
 */
#ifndef CORE_CERTIFY_CASES_H
#define CORE_CERTIFY_CASES_H

#include "core/base/error.h"
#include "core/certify/fault.h"

#define CASE_LAUNCHES 2  /* an undisturbed run takes two: up to its approval, and after it */
#define CASE_POINTS_MAX 2
#define CASE_TEXT_MAX 96

struct point {
	uint32_t launch;         /* 1: run; 2: the first resume; … */
	enum fault_place place;
	uint32_t at;             /* which call there, from 1 */
	enum fault_act act;
};

struct fault_case {
	uint32_t n;              /* points */
	struct point point[CASE_POINTS_MAX];
};

/* How many calls of each place an undisturbed run makes, by launch. */
struct case_counts {
	uint32_t at[CASE_LAUNCHES][N_FAULT_PLACES];
};

struct case_list {
	struct fault_case *item;
	size_t len, cap;
};

const char *fault_place_name(enum fault_place place);
const char *fault_act_name(enum fault_act act);
/* What it stands for, for people: "the orchestrator is killed when half of it is written". */
const char *fault_act_meaning(enum fault_act act);
/* Whether that can go wrong there. */
bool fault_fits(enum fault_place place, enum fault_act act);

void case_format(const struct fault_case *c, char text[CASE_TEXT_MAX]);
/* E_INVALID: err says what is expected. */
int case_parse(const char *text, struct fault_case *ret, struct error *err);

/* At most max cases (0: all), chosen and shuffled by seed, such that each kind of fault gets
 * its share.  list->item is to be freed.  E_NOMEM. */
int cases_make(const struct case_counts *counts, size_t max, uint64_t seed,
	       struct case_list *list, struct error *err);

/* The next number of a sequence that seed began. */
uint64_t case_random(uint64_t *seed);

#endif
