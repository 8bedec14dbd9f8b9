/* undo_source.h -- the undo records of a run, newest first, without holding them.
 *
 * One pass over the journal folds the run and notes where each step's records are; then a
 * cursor reads event after event from the last one backwards.
 */
#ifndef CORE_RUN_UNDO_SOURCE_H
#define CORE_RUN_UNDO_SOURCE_H

#include "core/run/load.h"

struct undo_source;

/* Folds run and notes its records.  store is borrowed.  Errors as load_run. */
int undo_source_open(const struct settings *settings, struct store *store, const char *run,
		     struct undo_source **ret, struct error *err);
void undo_source_free(struct undo_source *source); /* NULL is fine */

/* The run itself: its first event, graph, state and end. */
const struct loaded *undo_source_run(const struct undo_source *source);

/* The step whose parameters, secrets and records an attempt takes: one of l's graph, or, when
 * that reverts, its namesake in the origin: revert belongs to what the apply was told.  A
 * failback that has lost the site it leaves (mode disaster) takes its own parameters, which
 * do not depend on that site; records are the origin's always. */
struct step_source {
	const struct graph *graph;
	const struct run_state *state; /* whose outputs the parameters may be made of; or NULL */
	uint32_t step;
	uint32_t records; /* number of the namesake; GRAPH_NO_STEP: it does not revert */
};
struct step_source undo_source_of(const struct loaded *l, uint32_t step);

/* Where one reader of a step's records is.  Zeroed: before the newest one. */
struct undo_cursor {
	size_t taken;    /* events that are done with, from the newest */
	json_t *records; /* of the event that is being handed out; owned */
	size_t left;     /* of those */
};

/* Appends the next records of step to out, as the text of an array; "[]": no more.  No
 * batch is longer than PROTOCOL_LINE_MAX less what a line needs beside it.  E_CORRUPT:
 * the journal is no longer what it was. */
int undo_cursor_next(const struct undo_source *source, uint32_t step, struct undo_cursor *cursor,
		     struct strbuf *out, struct error *err);
void undo_cursor_release(struct undo_cursor *cursor);

#endif
