/* An operator's word to a run that may or may not have an orchestrator now. */
#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/run/control.h"
#include "core/run/lock.h"
#include "core/run/run.h"

#include <stdlib.h>

/* The caller owns the run. */
static int
write_word(const struct settings *settings, struct store *store, const char *run, json_t *word,
	   struct error *err)
{
	struct loaded l = LOADED_INIT;
	struct journal *journal = NULL;
	char *actor = run_actor();
	int rc = load_run(&l, settings, store, run, false, err);

	if (rc == 0)
		rc = run_state_allows(l.state, word, err);
	if (rc == E_REFUSED && sched_count(l.state->sched, STEP_RUNNING))
		rc = error_set(err, rc, "run %s was interrupted while steps ran, and nobody works on "
			       "it: how they ended is not known yet; resite resume %s finds out", run,
			       run);
	if (rc == 0) {
		json_object_set_new(word, "actor", json_string(actor ? actor : "?"));
		journal = journal_new(store, run, l.end.last_seq, l.end.last_hash, NULL);
		rc = journal ? journal_add(journal, clock_wall_ms(), word, err) :
			       error_set(err, E_NOMEM, "out of memory");
	}
	if (rc == 0)
		rc = journal_flush(journal, err);
	journal_free(journal);
	loaded_release(&l);
	free(actor);
	return rc;
}

int
run_say(const struct settings *settings, struct store *store, const char *run, json_t *word,
	bool *ret_live, struct error *err)
{
	struct run_lock lock;
	int rc = control_check(word, err);

	if (rc < 0)
		return rc;
	rc = control_say(settings->state_dir, run, word, err);
	*ret_live = rc != E_NOTFOUND;
	if (*ret_live)
		return rc;
	rc = run_lock_own(&lock, settings->state_dir, run, err);
	if (rc < 0)
		return rc;
	rc = write_word(settings, store, run, word, err);
	run_lock_release(&lock);
	return rc;
}
