#include "core/base/base.h"
#include "core/run/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
verify_head_parse(const char *text, struct verify_head *ret, struct error *err)
{
	const char *colon = strchr(text, ':'), *hash = colon ? colon + 1 : text;
	char *end = (char *)(uintptr_t)colon;
	int64_t seq = colon ? strtoll(text, &end, 10) : 0;

	if (strlen(hash) != JOURNAL_HASH_MAX - 1 || strspn(hash, "0123456789abcdef") != strlen(hash) ||
	    end != colon || seq < 0 || (colon && seq == 0))
		return error_set(err, E_INVALID, "--expect-head: a head is wanted as verify prints it, "
				 "NUMBER:HASH, or the hash alone (64 digits 0-9 a-f)");
	ret->seq = seq;
	memcpy(ret->hash, hash, JOURNAL_HASH_MAX);
	return 0;
}

void
verify_head_write(const struct journal_end *end, char buf[VERIFY_HEAD_MAX])
{
	snprintf(buf, VERIFY_HEAD_MAX, "%" PRId64 ":%s", end->last_seq, end->last_hash);
}

/* --- what is beyond the good part ------------------------------------------- */

/* What an event that cannot be trusted speaks of, as far as it can be read. */
static void
note_step(struct verified *v, const char *text, size_t len)
{
	json_t *event = json_parse(text, len, NULL);
	const char *name = json_str_or(event, "step", NULL);
	const json_t *number = name && v->named_after ?
				       json_object_get(run_state_index(v->l.state), name) : NULL;

	if (number)
		v->named_after[json_integer_value(number)] = true;
	json_decref(event);
}

static void
look_for_head(struct verified *v, int64_t seq, const char *text, size_t len)
{
	char hash[JOURNAL_HASH_MAX];

	if (v->found == KEPT_NOT_ASKED || v->found == KEPT_FOUND ||
	    (v->kept.seq && seq != v->kept.seq))
		return;
	journal_hash(text, len, hash);
	if (!strcmp(hash, v->kept.hash))
		v->found = KEPT_FOUND;
	if (v->found == KEPT_FOUND)
		v->kept.seq = seq;
}

static int
look_at(void *ctx, int64_t seq, const char *text, size_t len)
{
	struct verified *v = ctx;

	if (seq <= v->l.end.last_seq) {
		look_for_head(v, seq, text, len);
	} else {
		v->n_after++;
		note_step(v, text, len);
	}
	return 0;
}

/* Reads once more, now without asking whether it is right. */
static int
look_beyond(struct verified *v, struct store *store, const char *run, struct error *err)
{
	int rc;

	if (v->l.state && v->l.graph->n_steps) {
		v->named_after = calloc(v->l.graph->n_steps, sizeof(*v->named_after));
		if (!v->named_after)
			return error_set(err, E_NOMEM, "out of memory");
	}
	/* A file that can be read no further has been told of already. */
	rc = store_read(store, run, 1, look_at, v, err);
	return rc == E_CORRUPT ? 0 : rc;
}

int
verify_run(const struct settings *settings, struct store *store, const char *run,
	   const struct verify_head *kept, struct verified *ret, struct error *err)
{
	int rc;

	*ret = (struct verified){.l = LOADED_INIT};
	rc = load_good_part(&ret->l, settings, store, run, err);
	if (rc < 0 && rc != E_CORRUPT)
		return rc;
	if (kept) {
		ret->kept = *kept;
		ret->found = kept->seq > ret->l.end.last_seq ? KEPT_CUT : KEPT_OTHER;
	}
	return kept || ret->l.end.bad_seq ? look_beyond(ret, store, run, err) : 0;
}

void
verified_release(struct verified *v)
{
	loaded_release(&v->l);
	free(v->named_after);
	v->named_after = NULL;
}

bool
verified_whole(const struct verified *v)
{
	return !v->l.end.bad_seq && (v->found == KEPT_NOT_ASKED || v->found == KEPT_FOUND);
}

bool
verified_certain(const struct verified *v, uint32_t step)
{
	if (v->found == KEPT_OTHER && !v->l.end.bad_seq)
		return false; /* all of it may be another journal */
	switch (sched_state(v->l.state->sched, step)) {
	case STEP_DONE:
	case STEP_SKIPPED:
	case STEP_BY_HAND:
		return true;
	default:
		return verified_whole(v);
	}
}
