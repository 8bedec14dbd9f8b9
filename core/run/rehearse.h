/* rehearse.h -- the ends of a rehearsal: what was before it, and what was left by it.
 *
 * A rehearsal is a run in mode rehearsal that stays open when its steps are through; then
 * what it has changed is put back by an undo, the probes are run again, and only then it
 * is ended.  So one that was cut off anywhere is an unfinished run, and is finished with
 * `resite rehearse --finish RUN`, from where it was.
 * STATE/RUN.before is the preview before it, with every change (run/previewed.h): the
 * journal has the fingerprints, the file tells objects.
 */
#ifndef CORE_RUN_REHEARSE_H
#define CORE_RUN_REHEARSE_H

#include "core/run/lock.h"
#include "core/run/load.h"

/* STATE/RUN.before; to be freed; NULL without memory. */
char *rehearse_path(const struct settings *settings, const char *run);

/* What was before the rehearsal in l, as preview_to_json has it; without changes when the
 * file is not there any more.  A new reference; NULL without memory. */
json_t *rehearse_before(const struct settings *settings, const struct loaded *l);

/* How far the undo of a rehearsal is. */
struct rehearse_undo {
	char *run;       /* the newest one that counts; owned; NULL: there is none */
	char *outcome;   /* how it has ended; owned; NULL: it has not */
};
void rehearse_undo_release(struct rehearse_undo *undo);
/* One that has failed or was given up does not count. */
int rehearse_find_undo(struct store *store, const char *run, struct rehearse_undo *ret,
		       struct error *err);

/* Takes the lock of the rehearsal in l, when the last of its workers is gone: nothing
 * moves while it is compared.  E_REFUSED: it has ended, or is none; E_BUSY. */
int rehearse_hold(const struct settings *settings, const struct loaded *l,
		  struct run_lock *lock, struct error *err);

/* Ends it: residue (see rehearsal.residue in engine/run_state.h; the reference is taken),
 * then run.ended. */
int rehearse_end(const struct loaded *l, struct store *store, json_t *residue,
		 const char *outcome, struct error *err);

#endif
