#include "core/base/base.h"
#include "core/certify/witness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct taking {
	struct witness *v;
	const struct journal_end *safe;
	struct findings *f;
};

static int
put(json_t *set, const char *step, const char *name)
{
	char key[2 * WORLD_WORD_MAX + 2];

	snprintf(key, sizeof(key), "%s/%s", step, name);
	return json_object_set_new(set, key, json_true()) < 0 ? E_NOMEM : 0;
}

/* Events of one kind, step and attempt are alike here. */
static void
event_key(const json_t *event, char key[256])
{
	snprintf(key, 256, "%s/%s/%" PRId64, json_str_or(event, "kind", ""),
		 json_str_or(event, "step", ""), json_int_or(event, "attempt", 0));
}

static int
put_records(json_t *set, const char *step, const json_t *records)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < json_array_size(records); i++) {
		const json_t *kv = json_object_get(json_array_get(records, i), "kv");

		rc = put(set, step, json_str_or(kv, "object", ""));
	}
	return rc;
}

/* Whether the event says that its step is about to be applied. */
static bool
is_intent(const json_t *event, const char *kind)
{
	return (!strcmp(kind, "attempt.probed") &&
		!strcmp(json_str_or(event, "decision", ""), "apply")) ||
	       (!strcmp(kind, "attempt.started") &&
		!strcmp(json_str_or(event, "intent", ""), "apply"));
}

static int
take_facts(struct witness *v, const json_t *event)
{
	const char *kind = json_str_or(event, "kind", ""), *step = json_str_or(event, "step", "");

	if (!strcmp(kind, "run.ended"))
		v->ended = true;
	if (is_intent(event, kind))
		return json_object_set_new(v->intents, step, json_true()) < 0 ? E_NOMEM : 0;
	if (!strcmp(kind, "attempt.undo"))
		return put_records(v->undo, step, json_object_get(event, "records"));
	if (!strcmp(kind, "attempt.checkpoint"))
		return put(v->points, step, json_str_or(event, "name", ""));
	return 0;
}

static int
take_event(void *ctx, int64_t seq, const json_t *event, struct error *err)
{
	struct taking *t = ctx;
	char key[256];

	event_key(event, key);
	if (take_facts(t->v, event) < 0 ||
	    (!json_object_get(t->v->events, key) &&
	     json_object_set_new(t->v->events, key, json_integer(seq)) < 0) ||
	    (seq > 1 && json_array_append(t->v->hashes, json_object_get(event, "prev")) < 0))
		return error_set(err, E_NOMEM, "out of memory");
	return 0;
}

/* 0 and *ret NULL: no journal, or no run in it. */
static int
newest(struct store *store, char **ret, struct error *err)
{
	int rc = find_run(store, NULL, ret, err);

	return rc == E_NOTFOUND ? 0 : rc;
}

static int
open_store(const struct settings *settings, struct store **ret, struct error *err)
{
	int rc = store_open_sqlite(settings->state_dir, false, ret, err);

	return rc == E_NOTFOUND ? 0 : rc;
}

static const char *
hash_of(const struct witness *v, int64_t seq)
{
	const char *hash = seq < 1 ? NULL :
			   json_string_value(json_array_get(v->hashes, (size_t)seq - 1));

	return hash ? hash : "";
}

static void
check_safe(const struct taking *t, const struct journal_end *end)
{
	int64_t seq = t->safe->last_seq;

	if (end->last_seq < seq)
		finding_add(t->f, "%" PRId64 " events were durable before launch %" PRIu32 ", and "
			    "%" PRId64 " are left after it", seq, t->v->generation, end->last_seq);
	else if (seq && strcmp(hash_of(t->v, seq), t->safe->last_hash))
		finding_add(t->f, "the journal up to event %" PRId64 " has changed in launch %" PRIu32,
			    seq, t->v->generation);
}

static int
take_run(struct taking *t, struct store *store, struct journal_end *ret_end, struct error *err)
{
	struct journal_read how = {.fn = take_event, .ctx = t};
	struct error why = {0};
	char *run = NULL;
	int rc = newest(store, &run, &why);

	if (rc == 0 && run)
		rc = journal_read(store, run, &how, ret_end, &why);
	if (rc == 0 && run &&
	    json_array_append_new(t->v->hashes, json_string(ret_end->last_hash)) < 0)
		rc = E_NOMEM;
	t->v->any = rc == 0 && run;
	free(run);
	if (rc == E_NOMEM)
		return error_set(err, rc, "out of memory");
	if (rc < 0)
		finding_add(t->f, "the journal after launch %" PRIu32 ": %s", t->v->generation,
			    why.text);
	return 0;
}

int
witness_take(struct witness *v, const struct settings *settings, const struct journal_end *safe,
	     struct journal_end *ret_end, struct findings *f, struct error *err)
{
	struct taking t = {.v = v, .safe = safe, .f = f};
	struct error why = {0};
	struct store *store = NULL;
	int rc;

	*ret_end = (struct journal_end){0};
	v->any = false;
	v->intents = json_object();
	v->undo = json_object();
	v->points = json_object();
	v->events = json_object();
	v->hashes = json_array();
	if (!v->intents || !v->undo || !v->points || !v->events || !v->hashes)
		return error_set(err, E_NOMEM, "out of memory");
	if (open_store(settings, &store, &why) < 0)
		finding_add(f, "the journal after launch %" PRIu32 " cannot be opened: %s",
			    v->generation, why.text);
	rc = store ? take_run(&t, store, ret_end, err) : 0;
	if (rc == 0)
		check_safe(&t, ret_end);
	store_close(store);
	return rc;
}

void
witness_release(struct witness *v)
{
	json_decref(v->intents);
	json_decref(v->undo);
	json_decref(v->points);
	json_decref(v->events);
	json_decref(v->hashes);
	*v = (struct witness){0};
}

/* --- what was printed ---------------------------------------------------- */

/* The number of the event that was printed; 0: it was none, or it is not there. */
static int64_t
check_line(const struct witness *v, const char *line, size_t len, struct findings *f)
{
	json_t *event = json_parse(line, len, NULL);
	int64_t seq = 0;
	char key[256];

	/* The report at the end has no kind; a refusal is no event. */
	if (json_object_get(event, "kind") && !json_object_get(event, "error")) {
		event_key(event, key);
		seq = json_int_or(v->events, key, 0);
		if (!seq)
			finding_add(f, "launch %" PRIu32 " has printed %s, and its journal has it not",
				    v->generation, key);
	}
	json_decref(event);
	return seq;
}

int
witness_check_printed(const struct witness *v, const char *path, struct journal_end *safe,
		      struct findings *f, struct error *err)
{
	FILE *in = fopen(path, "re");
	char *line = NULL;
	int64_t seq, last = 0;
	size_t cap = 0;
	ssize_t n;

	if (!in)
		return error_errno(err, errno, "%s", path);
	while ((n = getline(&line, &cap, in)) > 0) {
		/* Without its end, it was killed while it printed. */
		seq = line[n - 1] == '\n' ? check_line(v, line, (size_t)n - 1, f) : 0;
		last = seq > last ? seq : last;
	}
	free(line);
	fclose(in);
	if (last > safe->last_seq) {
		safe->last_seq = last;
		snprintf(safe->last_hash, sizeof(safe->last_hash), "%s", hash_of(v, last));
	}
	return 0;
}

/* --- the operator -------------------------------------------------------- */

static bool
is_done(const struct world *world, const char *step)
{
	const struct world_step *s = world_steps;

	while (s->name && strcmp(s->name, step))
		s++;
	return s->name && world_done(world, step) == s->objects;
}

static json_t *
word_for(const struct loaded *l, const struct world *world)
{
	for (uint32_t i = 0; i < l->graph->n_steps; i++) {
		const char *step = l->graph->steps[i].name;

		switch (sched_state(l->state->sched, i)) {
		case STEP_GATE: return json_pack("{s:s, s:s}", "kind", "approve", "step", step);
		case STEP_ASK:
			return json_pack("{s:s, s:s}", "kind",
					 is_done(world, step) ? "by-hand" : "retry", "step", step);
		default: break;
		}
	}
	return NULL;
}

int
witness_next_word(const struct settings *settings, const struct world *world, char **ret_run,
		  json_t **ret_word, struct error *err)
{
	struct loaded l = LOADED_INIT;
	struct store *store = NULL;
	char *run = NULL;
	int rc = open_store(settings, &store, err);

	*ret_word = NULL;
	if (rc == 0 && store)
		rc = newest(store, &run, err);
	if (rc == 0 && run)
		rc = load_run(&l, settings, store, run, false, err);
	if (rc == 0 && run)
		*ret_word = word_for(&l, world);
	*ret_run = rc == 0 ? run : NULL;
	if (rc < 0)
		free(run);
	loaded_release(&l);
	store_close(store);
	return rc;
}
