/* undo.h -- the undo of a run: a run of its own, loaded and ready to start. */
#ifndef CORE_RUN_UNDO_H
#define CORE_RUN_UNDO_H

#include "core/engine/undo.h"
#include "core/run/load.h"

struct undo_request {
	const char *origin;         /* the run to undo: a full id */
	struct undo_choice choice;
	bool restore;               /* put back also what somebody else has changed since */
	bool look;                  /* a preview: nothing is put back, less is refused */
	const char *reason;         /* or NULL */
};

/* Decides what the undo of a run does and loads it, as load_run would load it later: l has
 * its graph, its first event without what run_start adds, and its source.  l->run is to be
 * set before (not for a look).  E_REFUSED says why not and what to do; the other errors are
 * load_run's. */
int undo_load(struct loaded *l, const struct settings *settings, struct store *store,
	      const struct undo_request *req, struct error *err);

/* Opens the source of an undo or failback that was loaded from its own journal. */
int undo_open_source(struct loaded *l, const struct settings *settings, struct store *store,
		     struct error *err);

/* Ends the run that l undoes, if it had not ended and is no rehearsal: it is never resumed.  Its lock is held by
 * the caller. */
int undo_end_origin(const struct loaded *l, struct store *store, struct error *err);

#endif
