#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/run/orchestra.h"
#include "core/run/rehearse.h"
#include "core/store/journal.h"

#include <stdlib.h>
#include <string.h>

/* --- what was before ------------------------------------------------------ */

char *
rehearse_path(const struct settings *settings, const char *run)
{
	struct strbuf path = STRBUF_INIT;

	strbuf_addf(&path, "%s/%s.before", settings->state_dir, run);
	return strbuf_detach(&path);
}

/* The changes of step that the file knows, if it is of that very state. */
static json_t *
changes_of(const json_t *file, const char *step, const char *fingerprint)
{
	const json_t *one;
	size_t i;

	json_array_foreach (json_object_get(file, "steps"), i, one)
		if (!strcmp(json_str_or(one, "name", ""), step) &&
		    !strcmp(json_str_or(one, "fingerprint", ""), fingerprint))
			return json_object_get(one, "change");
	return NULL;
}

json_t *
rehearse_before(const struct settings *settings, const struct loaded *l)
{
	json_t *before = json_object_get(l->state->rehearsal, "before"), *steps = json_array(), *one;
	char *path = rehearse_path(settings, l->run);
	json_t *file = path ? json_load_file(path, 0, NULL) : NULL;
	const char *name;

	json_object_foreach (before, name, one) {
		json_t *step = json_copy(one);

		json_object_set_new(step, "name", json_string(name));
		json_object_set_new(step, "kind", json_string("probed"));
		json_object_set(step, "change",
				changes_of(file, name, json_str_or(one, "fingerprint", "")));
		json_array_append_new(steps, step);
	}
	json_decref(file);
	free(path);
	return json_pack("{s:o}", "steps", steps);
}

/* --- its undo --------------------------------------------------------------- */

struct finding {
	struct store *store;
	const char *run;
	struct rehearse_undo *found;
};

void
rehearse_undo_release(struct rehearse_undo *undo)
{
	free(undo->run);
	free(undo->outcome);
	*undo = (struct rehearse_undo){0};
}

static bool
counts(const json_t *last)
{
	const char *outcome = json_str_or(last, "outcome", "");

	return strcmp(json_str_or(last, "kind", ""), "run.ended") || !strcmp(outcome, "done") ||
	       !strcmp(outcome, "conflicts");
}

static int
look_at_run(void *ctx, const char *run, int64_t last_seq)
{
	struct finding *f = ctx;
	json_t *first = journal_event(f->store, run, 1), *last = NULL;
	bool undo = !strcmp(json_str_or(first, "way", ""), "undo") &&
		    !strcmp(json_str_or(first, "origin", ""), f->run);
	int rc = 0;

	if (undo)
		last = journal_event(f->store, run, last_seq);
	if (undo && counts(last)) {
		const char *outcome = json_str_or(last, "outcome", NULL);

		rehearse_undo_release(f->found);
		f->found->run = strdup(run);
		f->found->outcome = outcome ? strdup(outcome) : NULL;
		rc = f->found->run && !outcome == !f->found->outcome ? 0 : E_NOMEM;
	}
	json_decref(first);
	json_decref(last);
	return rc;
}

int
rehearse_find_undo(struct store *store, const char *run, struct rehearse_undo *ret,
		   struct error *err)
{
	struct finding f = {store, run, ret};
	int rc;

	*ret = (struct rehearse_undo){0};
	rc = store_list(store, look_at_run, &f, err);
	return rc == E_NOMEM ? error_set(err, rc, "out of memory") : rc;
}

/* --- its end ---------------------------------------------------------------- */

int
rehearse_hold(const struct settings *settings, const struct loaded *l, struct run_lock *lock,
	      struct error *err)
{
	struct run lost = {0}; /* of the run only what its lost attempts need */
	int rc;

	if (!l->state->rehearsal)
		return error_set(err, E_REFUSED, "run %s is no rehearsal: go on with it with resite "
				 "resume %s, put it back with resite undo %s", l->run, l->run, l->run);
	if (l->state->ended)
		return error_set(err, E_REFUSED, "rehearsal %s has ended (%s): resite status %s", l->run,
				 l->state->outcome, l->run);
	rc = run_lock_take(lock, settings->state_dir, l->run, WORKERS_WAIT_MS, err);
	lost.l = (struct loaded *)(uintptr_t)l;
	if (rc == 0)
		rc = attempts_note_lost(&lost, l, lock, err);
	if (rc == 0)
		rc = attempts_end_lost(&lost, WORKERS_WAIT_MS, err);
	free(lost.lost);
	return rc;
}

int
rehearse_end(const struct loaded *l, struct store *store, json_t *residue, const char *outcome,
	     struct error *err)
{
	json_t *ended = json_pack("{s:s, s:s, s:s}", "kind", "run.ended", "outcome", outcome,
				  "summary", json_str_or(residue, "summary", ""));
	struct journal *journal = journal_new(store, l->run, l->end.last_seq, l->end.last_hash, NULL);
	int rc = journal && ended && residue ? 0 : error_set(err, E_NOMEM, "out of memory");

	if (rc == 0) {
		json_object_set_new(residue, "kind", json_string("rehearsal.residue"));
		run_sign(ended);
		rc = journal_add(journal, clock_wall_ms(), residue, err);
	}
	if (rc == 0)
		rc = journal_add(journal, clock_wall_ms(), ended, err);
	if (rc == 0)
		rc = journal_flush(journal, err);
	journal_free(journal);
	json_decref(residue);
	json_decref(ended);
	return rc;
}
