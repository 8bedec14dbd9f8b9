/* faults.h -- what `resite rehearse --faults SEED` does to workers on the way.
 *
 * The choice is pure: the same seed strikes the same attempts at the same moments, counted
 * in messages of the attempt.  No more attempts of a step are killed than its retries bear,
 * and none whose outcome only a person could find out.
 */
#ifndef CORE_RUN_FAULTS_H
#define CORE_RUN_FAULTS_H

#include "core/base/base.h"

enum fault_kind { FAULT_NONE, FAULT_KILL, FAULT_HOLD };

struct fault {
	enum fault_kind kind;
	uint32_t at;     /* after this message of the attempt, from 1 */
	int64_t hold_ms; /* HOLD: how long it is stopped */
};

/* What is done to attempt (from 1) of the step of that name, which has tries in all and
 * timeout_ms for each (0: none). */
struct fault fault_choose(uint64_t seed, const char *step, uint32_t attempt, uint32_t tries,
			  int64_t timeout_ms);

struct live;

/* An attempt has said something: strikes when it is time. */
void faults_on_message(struct live *a);
/* It is over. */
void faults_forget(struct live *a);

#endif
