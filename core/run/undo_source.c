#include "core/base/base.h"
#include "core/base/vec.h"
#include "core/run/undo_source.h"

#include <stdlib.h>
#include <string.h>

/* A worker may have put as much as a whole line into one event; larger batches are cut
 * here, and a record is never as large as that. */
#define BATCH_BYTES (512 * 1024)

/* The events with one step's records, oldest first. */
struct places {
	int64_t *seq;
	size_t n, cap;
};

struct undo_source {
	struct store *store;
	struct loaded run;
	struct places *places; /* by step; NULL until the first record */
};

/* --- the pass over the journal ------------------------------------------- */

static int
note_event(void *ctx, int64_t seq, const json_t *event, struct error *err)
{
	struct undo_source *s = ctx;
	const json_t *number;
	struct places *p;

	if (strcmp(json_str_or(event, "kind", ""), "attempt.undo"))
		return 0;
	number = json_object_get(s->run.state->index, json_str_or(event, "step", ""));
	if (!s->places)
		s->places = calloc(s->run.graph->n_steps, sizeof(*s->places));
	if (!s->places)
		return error_set(err, E_NOMEM, "out of memory");
	p = &s->places[json_integer_value(number)];
	if (vec_reserve(&p->seq, p->n + 1, &p->cap) < 0)
		return error_set(err, E_NOMEM, "out of memory");
	p->seq[p->n++] = seq;
	return 0;
}

int
undo_source_open(const struct settings *settings, struct store *store, const char *run,
		 struct undo_source **ret, struct error *err)
{
	struct undo_source *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return error_set(err, E_NOMEM, "out of memory");
	s->store = store;
	rc = load_run_watched(&s->run, settings, store, run, note_event, s, err);
	if (rc < 0)
		undo_source_free(s);
	else
		*ret = s;
	return rc;
}

void
undo_source_free(struct undo_source *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; s->places && i < s->run.graph->n_steps; i++)
		free(s->places[i].seq);
	free(s->places);
	loaded_release(&s->run);
	free(s);
}

const struct loaded *
undo_source_run(const struct undo_source *s)
{
	return &s->run;
}

struct step_source
undo_source_of(const struct loaded *l, uint32_t step)
{
	const struct step *s = &l->graph->steps[step];
	struct step_source own = {l->graph, l->state, step, GRAPH_NO_STEP};
	const struct loaded *origin = l->source ? &l->source->run : NULL;
	uint32_t namesake;

	if (!s->records || !origin)
		return own;
	namesake = (uint32_t)json_integer_value(json_object_get(origin->state->index, s->name));
	own.records = namesake;
	if (l->graph->way == WAY_FAILBACK && l->state && l->state->mode == RESITE_DISASTER)
		return own;
	return (struct step_source){origin->graph, origin->state, namesake, namesake};
}

/* --- records ------------------------------------------------------------- */

struct one_event {
	json_t *records;
	struct error *err;
};

#define READ_ENOUGH 1 /* made negative: the answer that ends the read */

static int
take_event(void *ctx, int64_t seq, const char *text, size_t len)
{
	struct one_event *one = ctx;
	json_t *event = json_parse(text, len, one->err);
	json_t *records = json_object_get(event, "records");

	if (json_is_array(records))
		one->records = json_incref(records);
	else
		error_set(one->err, E_CORRUPT, "event %" PRId64 " has no undo records", seq);
	json_decref(event);
	return -READ_ENOUGH;
}

static int
read_event(const struct undo_source *s, int64_t seq, json_t **ret, struct error *err)
{
	struct error why = {E_CORRUPT, "it is not there"};
	struct one_event one = {.err = &why};
	int rc = store_read(s->store, s->run.run, seq, take_event, &one, err);

	if (one.records) {
		*ret = one.records;
		return 0;
	}
	return rc < 0 && rc != -READ_ENOUGH ? rc :
	       error_set(err, E_CORRUPT, "run %s, event %" PRId64 ": %s", s->run.run, seq, why.text);
}

/* Appends one record without what only people read. */
static void
write_record(struct strbuf *out, const json_t *record)
{
	strbuf_addf(out, "{\"version\":%" PRId64 ",\"kv\":", json_int_or(record, "version", 0));
	json_write(out, json_object_get(record, "kv"));
	strbuf_addch(out, '}');
}

int
undo_cursor_next(const struct undo_source *s, uint32_t step, struct undo_cursor *c,
		 struct strbuf *out, struct error *err)
{
	const struct places *p = s->places ? &s->places[step] : NULL;
	size_t start = out->len;

	while (!c->left && p && c->taken < p->n) {
		json_t *records = NULL;
		int rc = read_event(s, p->seq[p->n - 1 - c->taken], &records, err);

		if (rc < 0)
			return rc;
		json_decref(c->records);
		c->records = records;
		c->left = json_array_size(records);
		c->taken++;
	}
	strbuf_addch(out, '[');
	for (bool first = true; c->left && out->len - start < BATCH_BYTES; first = false) {
		if (!first)
			strbuf_addch(out, ',');
		write_record(out, json_array_get(c->records, --c->left));
	}
	strbuf_addch(out, ']');
	return out->failed ? error_set(err, E_NOMEM, "out of memory") : 0;
}

void
undo_cursor_release(struct undo_cursor *c)
{
	json_decref(c->records);
	*c = (struct undo_cursor){0};
}
