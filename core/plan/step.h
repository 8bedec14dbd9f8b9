/* step.h -- reading one step of a runbook.  Private to core/plan. */
#ifndef CORE_PLAN_STEP_H
#define CORE_PLAN_STEP_H

#include "core/plan/arena.h"
#include "core/plan/plan.h"
#include "core/plan/read.h"

/* Reads the group s, the index-th step, into step; r's inner scope becomes the step.  own keeps the
 * strings that libconfig does not have.  false: out of memory. */
bool plan_step_read(struct reader *r, const config_setting_t *s, size_t index,
		    struct arena *own, struct plan_step *step);

#endif
