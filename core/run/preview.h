/* preview.h -- the dry run: every step's check and probe, nothing else.  Of an undo: a
 * look at what each undo record's object is now.
 *
 * Probes only read, so they run side by side whatever the order of the graph.
 * What a probe finds is true of the world as it is now; a step that depends on
 * what earlier steps will have done may find something else in the run.
 */
#ifndef CORE_RUN_PREVIEW_H
#define CORE_RUN_PREVIEW_H

#include "core/run/load.h"

enum preview_kind {
	PREVIEW_TOLD,     /* the probe told: changes of total */
	PREVIEW_UNTOLD,   /* it ran, but cannot tell: apply would always run */
	PREVIEW_NO_PROBE, /* the action has none: apply would run */
	PREVIEW_READS,    /* the action only reads: nothing to preview */
	PREVIEW_LATER,    /* its parameters, or what its probe asks for, come of other steps */
	PREVIEW_PERSON,   /* an approval */
	PREVIEW_JOIN,     /* a join point */
	PREVIEW_FAILED,   /* the probe failed: text says how */
	PREVIEW_REVERT,   /* undo: changes of total would be put back */
	PREVIEW_PASSED,   /* it would be passed over: text says why */
};

struct preview_step {
	enum preview_kind kind;
	char *now, *fingerprint; /* TOLD; owned */
	uint64_t changes, total; /* TOLD, REVERT */
	uint64_t already;        /* REVERT: as before, nothing to put back */
	char *text;              /* FAILED, PASSED; owned */
	char *refused;           /* `expect` would refuse this many; or NULL; owned */
	json_t *change;          /* array of {object, was, will_be}: the first ones */
	json_t *losses;          /* array of sentences; or NULL */
	json_t *conflicts;       /* REVERT: array of {object, result, was, set, now}; or NULL */
	json_t *created;         /* REVERT in a failback: array of {object, was, will_be}, the
				  * first ones that the origin has not touched; or NULL */
	uint64_t n_created;
	bool reverts;            /* it is to put back what records say */
	char *since_why;         /* why it is not known what was created since; or NULL; owned */
	const char *later;       /* LATER: a step that makes what the probe asks for; or NULL */
};

struct preview {
	struct preview_step *step; /* one for each step of the graph */
	uint32_t n_steps, failed, refused;
	uint64_t changes;          /* of all steps */
	uint64_t conflicts;        /* likewise: objects that an undo would leave alone */
	uint64_t created;          /* likewise: objects that a failback would not touch */
};

/* Runs the probes (of an undo: the looks) of l's graph, at most settings->jobs at once; keeps the first
 * max_changes changes of each step.  Interrupting it with SIGINT cancels. */
int preview_run(struct loaded *l, const struct settings *settings, size_t max_changes,
		struct preview **ret, struct error *err);
void preview_free(struct preview *preview);

#endif
