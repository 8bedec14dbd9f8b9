/* status.h -- the state of a run for a person and for a program. */
#ifndef CORE_VIEW_STATUS_H
#define CORE_VIEW_STATUS_H

#include "core/base/strbuf.h"
#include "core/engine/run_state.h"

struct status_about {
	const char *run;     /* its id */
	int owner_pid;       /* the process that has it; 0: nobody */
	int64_t now_ms;      /* wall time */
	const char *origin;  /* the run that it undoes or turns round; NULL: none */
	bool all_steps;      /* also the steps that are done, in long runs */
};

/* Under way: "running", "pausing", "paused", "stopping"; nobody works on it: "paused",
 * "interrupted", "stopped"; ended: "done", "failed", "abandoned", "conflicts", "undone"; a
 * rehearsal: "unfinished rehearsal", "rehearsed", "residue". */
const char *status_word(const struct run_state *state, const struct status_about *about);

/* Appends a page: head, steps, what waits for a person and what to type. */
void status_write(struct strbuf *out, const struct run_state *state,
		  const struct status_about *about);

/* The same as an object; NULL without memory. */
json_t *status_to_json(const struct run_state *state, const struct status_about *about);

/* Appends, for each workload, when it was back: the recovery clock of the run.
 * Nothing when no step names one. */
void status_write_workloads(struct strbuf *out, const struct run_state *state);

/* Appends what a person can type about each step that waits for one. */
void status_write_asks(struct strbuf *out, const struct run_state *state, const char *run,
		       int64_t now_ms);

#endif
