/* An operator's word to a run that may or may not have an orchestrator now. */
#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/engine/words.h"
#include "core/run/hear.h"
#include "core/run/lock.h"
#include "core/run/run.h"
#include "core/run/signed.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* An orchestrator that begins or ends has the run's lock and no socket for a moment. */
#define BETWEEN_MS 3000
#define POLL_MS 50

/* --- into the journal of a run that nobody works on -------------------------- */

struct saying {
	const struct settings *settings;
	struct store *store;
	const char *run;
	json_t *word;
	struct run_answer *ret;
	struct error *err;
};

static int
judge(const struct saying *s, const struct loaded *l)
{
	const struct word *w = word_find(json_str_or(s->word, "kind", ""));
	const char *verb = word_verb(w->kind);
	int64_t now_ms = clock_wall_ms();
	int rc = json_object_get(s->word, "document") ?
			 signed_check(l->state, s->store, s->run, l->first, now_ms, s->word, s->err) : 0;

	if (rc == 0)
		rc = word_judge_json(l->state, s->word, now_ms, s->ret->a.text, s->err);
	if (rc == 0)
		rc = load_check_word(l, s->word, s->err);
	s->ret->a.said = rc == 0 && *s->ret->a.text;
	if (rc == E_REFUSED && sched_count(l->state->sched, STEP_RUNNING))
		return error_set(s->err, rc, "run %s was interrupted while steps ran, and nobody works on "
				 "it: how they ended is not known yet; resite resume %s finds out",
				 s->run, s->run);
	if (rc == 0 && !s->ret->a.said && w->flags & WORD_LIVE)
		return error_set(s->err, E_REFUSED, "%s does not apply: nobody works on run %s, so "
				 "nothing starts before: resite resume %s", verb, s->run, s->run);
	if (rc == 0 && w->flags & WORD_AT_REST)
		return run_lock_workers_gone(s->settings->state_dir, s->run, s->err);
	return rc;
}

/* Takes the reference to after, which may be NULL. */
static int
write_events(const struct saying *s, const struct loaded *l, json_t *event, json_t *after,
	     struct error *err)
{
	struct journal *journal = journal_new(s->store, s->run, l->end.last_seq, l->end.last_hash,
					      NULL);
	int64_t now_ms = clock_wall_ms();
	int rc = journal && event ? journal_add(journal, now_ms, event, err) :
				    error_set(err, E_NOMEM, "out of memory");

	if (rc == 0 && after)
		rc = journal_add(journal, now_ms, after, err);
	if (rc == 0)
		rc = journal_flush(journal, err);
	journal_free(journal);
	json_decref(after);
	return rc;
}

static int
write_said(const struct saying *s, const struct loaded *l)
{
	bool ends = word_find(json_str_or(s->word, "kind", ""))->flags & WORD_AT_REST;

	return write_events(s, l, s->word, ends ? json_pack("{s:s, s:s}", "kind", "run.ended",
							    "outcome", "abandoned") : NULL, s->err);
}

/* Who tried to approve is in the journal, too.  That this fails is told instead. */
static int
write_refused(const struct saying *s, const struct loaded *l)
{
	json_t *event = hear_refused(s->word, s->err);
	struct error err = {0};
	int rc = write_events(s, l, event, NULL, &err);

	json_decref(event);
	return rc < 0 ? error_set(s->err, rc, "%s", err.text) : E_REFUSED;
}

static void
answer(const struct saying *s)
{
	const struct word *w = word_find(json_str_or(s->word, "kind", ""));

	if (w->flags & WORD_AT_REST)
		snprintf(s->ret->a.text, sizeof(s->ret->a.text), "%s: run %s has ended, as abandoned; what "
			 "its steps have done stays as it is", word_verb(w->kind), s->run);
	else
		snprintf(s->ret->a.text, sizeof(s->ret->a.text), "%s: in the journal; go on with: "
			 "resite resume %s", word_verb(w->kind), s->run);
}

/* The caller owns the run. */
static int
write_word(const struct saying *s)
{
	struct loaded l = LOADED_INIT;
	int rc = load_run(&l, s->settings, s->store, s->run, false, s->err);

	run_sign(s->word);
	if (rc == 0)
		rc = judge(s, &l);
	if (rc == E_REFUSED && !l.state->ended &&
	    word_find(json_str_or(s->word, "kind", ""))->kind == EVENT_APPROVE)
		rc = write_refused(s, &l);
	if (rc == 0 && !s->ret->a.said) {
		rc = write_said(s, &l);
		if (rc == 0)
			answer(s);
	}
	loaded_release(&l);
	return rc;
}

/* --- whoever is there -------------------------------------------------------- */

static int
say_once(const struct saying *s)
{
	struct run_lock lock;
	int rc = control_say(s->settings->state_dir, s->run, s->word, &s->ret->a, s->err);

	s->ret->live = rc != E_NOTFOUND;
	if (s->ret->live)
		return rc;
	rc = s->store ? run_lock_own(&lock, s->settings->state_dir, s->run, s->err) : E_IO;
	if (rc == E_IO)
		return error_set(s->err, rc, "nobody works on run %s, and its journal is not yours to "
				 "write: let its owner say resite resume %s --wait, or hand a signed "
				 "approval to him", s->run, s->run);
	if (rc < 0)
		return rc;
	rc = write_word(s);
	run_lock_release(&lock);
	return rc;
}

int
run_say(const struct settings *settings, struct store *store, const char *run, json_t *word,
	struct run_answer *ret, struct error *err)
{
	struct saying s = {.settings = settings, .store = store, .run = run, .word = word,
			   .ret = ret, .err = err};
	int64_t end_ms = clock_mono_ms() + BETWEEN_MS;
	int rc = control_check(word, err);

	if (rc < 0)
		return rc;
	while ((rc = say_once(&s)) == E_BUSY && !ret->live && clock_mono_ms() < end_ms) {
		struct timespec pause = {.tv_nsec = POLL_MS * 1000000};

		nanosleep(&pause, NULL);
	}
	return rc;
}
