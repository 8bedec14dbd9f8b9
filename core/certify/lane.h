/* lane.h -- carries cases out, one after the other, in a process of its own. */
#ifndef CORE_CERTIFY_LANE_H
#define CORE_CERTIFY_LANE_H

#include "core/certify/cases.h"
#include "core/certify/world.h"
#include "core/run/settings.h"

#define LANE_DIR_MAX (PATH_MAX - 64)

/* What is the same for all cases; borrowed. */
struct lane_setup {
	const struct settings *settings; /* worker and plugins */
	const char *base;                /* a folder of ours: one folder in it for each case */
	const char *resite, *shim;       /* paths */
	const char *broken;              /* what is broken on purpose, or NULL */
	uint64_t seed;                   /* of the power cuts */
	const struct world *wanted;      /* of an undisturbed run; NULL: this is one */
};

struct lane_result {
	bool reached;                    /* the (first) fault has happened */
	uint32_t launches;               /* of the orchestrator, until the run was done */
	int64_t ms;
	struct case_counts counts;       /* of calls, by launch */
	struct findings findings;        /* what must not be */
	struct world world;              /* what happened to it; to be released */
	char dir[LANE_DIR_MAX];          /* of the case; it is gone when nothing was found */
};

/* Makes the calling process one that can carry out cases: what they leave behind becomes its
 * child. */
int lane_init(struct error *err);

/* Carries out one case: c NULL for an undisturbed run.  Failures of what happens are findings;
 * the return value tells of failures to try.  *ret is to be released with world_release in
 * every case. */
int lane_carry_out(const struct lane_setup *setup, const struct fault_case *c,
		   struct lane_result *ret, struct error *err);

#endif
