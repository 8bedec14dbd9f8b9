/* What attempts say while they are under way. */
#include "core/base/base.h"
#include "core/base/log.h"
#include "core/engine/decide.h"
#include "core/run/clean.h"
#include "core/run/faults.h"
#include "core/run/orchestra.h"
#include "core/run/secret_answer.h"

#include <stdlib.h>
#include <string.h>

static void
effect_for(struct live *a, enum effect_kind kind, int64_t id)
{
	run_effect(a->run, (struct effect){.kind = kind, .step = a->step, .n = a->n, .id = id});
}

static void
refuse(struct live *a, const char *why)
{
	free(a->refused);
	a->refused = strdup(why);
	effect_for(a, EFFECT_STOP, 0);
}

/* What may follow what the probe found.  "apply" is the durable intent. */
static const char *
decide(struct live *a, const json_t *msg)
{
	struct finding found = {.told = json_bool_or(msg, "told", false),
				.changes = (uint64_t)json_int_or(msg, "changes", 0),
				.total = (uint64_t)json_int_or(msg, "total", 0),
				.now = json_str_or(msg, "now", ""),
				.fingerprint = json_str_or(msg, "fingerprint", "")};
	char why[ERROR_MAX];
	const char *decision = decide_after_probe(a->run->l->state, a->step, &found, why);

	if (!strcmp(decision, "apply"))
		effect_for(a, EFFECT_GO, 0);
	if (!strcmp(decision, "refused"))
		refuse(a, why);
	return decision;
}

static void
on_state(struct live *a, const json_t *msg)
{
	static const char *const copied[] = {"told", "now", "fingerprint", "changes", "total"};
	json_t *event;

	if (strcmp(json_str_or(msg, "phase", ""), "probe"))
		return;
	event = attempt_event(a, "attempt.probed");
	for (size_t i = 0; event && i < COUNT_OF(copied); i++)
		json_object_set(event, copied[i], json_object_get(msg, copied[i]));
	if (event && a->losses)
		json_object_set(event, "losses", a->losses);
	if (event)
		json_object_set_new(event, "decision", json_string(decide(a, msg)));
	run_record(a->run, event);
}

static void
on_loss(struct live *a, const json_t *msg)
{
	if (!a->losses)
		a->losses = json_array();
	if (a->losses)
		json_array_append(a->losses, json_object_get(msg, "text"));
}

static void
on_sync(struct live *a, const json_t *msg)
{
	effect_for(a, EFFECT_ACK, json_int_or(msg, "id", 0));
}

static void
on_checkpoint(struct live *a, const json_t *msg)
{
	json_t *event = attempt_event(a, "attempt.checkpoint");

	if (event) {
		json_object_set(event, "name", json_object_get(msg, "name"));
		json_object_set(event, "data", json_object_get(msg, "data"));
	}
	run_record(a->run, event);
	effect_for(a, EFFECT_ACK, json_int_or(msg, "id", 0));
}

static void
on_output(struct live *a, const json_t *msg)
{
	json_t *event = attempt_event(a, "attempt.output");

	if (event) {
		json_object_set(event, "name", json_object_get(msg, "name"));
		json_object_set(event, "value", json_object_get(msg, "value"));
	}
	run_record(a->run, event);
}

static void
on_progress(struct live *a, const json_t *msg)
{
	const struct run_observer *o = a->run->observer;

	o->progress(o->ctx, a->run->l->state, a->step, (uint64_t)json_int_or(msg, "done", 0),
		    (uint64_t)json_int_or(msg, "total", 0), json_str_or(msg, "what", ""));
}

static void
on_log_message(struct live *a, const json_t *msg)
{
	run_log(a->run, a->step, (int)json_int_or(msg, "level", LOG_INFO), "%s",
		json_str_or(msg, "text", ""));
}

static void
on_secret(struct live *a, const json_t *msg)
{
	struct step_source from = undo_source_of(a->run->l, a->step);
	struct error err = {0};

	if (secret_answer(a->attempt, msg, from.graph, &from.graph->steps[from.step],
			  &a->run->secrets, &err) < 0)
		run_log(a->run, a->step, LOG_ERROR, "secret %s: %s", json_str_or(msg, "ref", ""),
			err.text);
}

static void
on_pull(struct live *a, const json_t *msg)
{
	uint32_t records = undo_source_of(a->run->l, a->step).records;
	int64_t id = json_int_or(msg, "id", 0);
	struct strbuf batch = STRBUF_INIT;
	struct error err = {E_INVALID, "this attempt reverts nothing"};
	int rc = E_INVALID;

	if (json_bool_or(msg, "again", false))
		undo_cursor_release(&a->cursor);
	if (records != GRAPH_NO_STEP)
		rc = undo_cursor_next(a->run->l->source, records, &a->cursor, &batch, &err);
	if (rc == 0)
		attempt_records(a->attempt, id, batch.buf, batch.len);
	else
		attempt_no_records(a->attempt, id, rc == E_IO ? RESITE_ERR_TRANSIENT :
				   RESITE_ERR_REFUSED, err.text);
	strbuf_release(&batch);
}

static void
on_reverted(struct live *a, const json_t *msg)
{
	json_t *event = attempt_event(a, "attempt.reverted");

	if (event) {
		json_object_set(event, "put_back", json_object_get(msg, "put_back"));
		json_object_set(event, "already", json_object_get(msg, "already"));
		json_object_set(event, "conflicts", json_object_get(msg, "items"));
	}
	run_record(a->run, event);
}

static void
on_begin(struct live *a, const json_t *msg)
{
	attempt_enter(a, phase_from_name(json_str_or(msg, "phase", NULL)));
}

static void
on_nothing(struct live *a, const json_t *msg)
{
	(void)a;
	(void)msg;
}

static const struct {
	const char *kind;
	void (*handle)(struct live *, const json_t *);
} handlers[] = {
	{"sync", on_sync},     {"progress", on_progress},
	{"state", on_state},       {"log", on_log_message}, {"loss", on_loss},
	{"output", on_output},     {"secret", on_secret}, {"checkpoint", on_checkpoint},
	{"pull", on_pull},         {"begin", on_begin}, {"change", on_nothing},
	{"reverted", on_reverted},
};

/* Nothing can be kept any more. */
static void
on_message_when_halted(struct live *a, const json_t *msg)
{
	const char *kind = json_str_or(msg, "kind", "");

	if (!strcmp(kind, "sync") || !strcmp(kind, "checkpoint"))
		attempt_refuse_ask(a, json_int_or(msg, "id", 0));
	else if (!strcmp(kind, "secret"))
		on_secret(a, msg);
	else if (!strcmp(kind, "pull"))
		attempt_no_records(a->attempt, json_int_or(msg, "id", 0), RESITE_ERR_CANCELLED,
				   "the run is ending");
}

void
attempt_on_message(void *ctx, const json_t *msg, const char *line, size_t len)
{
	struct live *a = ctx;
	json_t *clean;
	const char *kind;

	if (a->run->halted) {
		on_message_when_halted(a, msg);
		return;
	}
	clean = clean_message(&a->run->secrets, msg, line, len);
	kind = json_str_or(clean, "kind", "");
	for (size_t i = 0; i < COUNT_OF(handlers); i++)
		if (!strcmp(handlers[i].kind, kind)) {
			handlers[i].handle(a, clean);
			break;
		}
	json_decref(clean);
	faults_on_message(a);
}

/* The records go from the worker's line into the journal as they are. */
void
attempt_on_undo(void *ctx, const struct undo_line *undo)
{
	struct live *a = ctx;
	json_t *event = attempt_event(a, "attempt.undo");

	if (event)
		json_object_set_new(event, "n", json_integer((json_int_t)undo->n));
	run_record_text(a->run, event, "records", undo->records, undo->len);
	faults_on_message(a);
}

void
attempt_on_line(void *ctx, const char *line)
{
	struct live *a = ctx;

	run_log(a->run, a->step, LOG_INFO, "%s", line);
}
