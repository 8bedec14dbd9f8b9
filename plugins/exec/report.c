#define _GNU_SOURCE
#include "report.h"

#include <resite/easy.h>

#include <stdlib.h>
#include <string.h>

/* A plan is checked before anything runs, so the names are fixed. */
const char *const report_outputs[] = {
	"stdout", "result", "value", "id", "name", "address", "port", "path", "url", "count",
	"time", "version", NULL,
};

static void
give_up(struct report *r, int rc, const char *what)
{
	if (r->rc != RESITE_OK)
		return;
	r->rc = rc;
	r->host->fail(r->op, NULL, 0, what);
}

static const char *
text_of(const json_t *v, char buf[32])
{
	if (json_is_string(v))
		return json_string_value(v);
	if (json_is_integer(v)) {
		snprintf(buf, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		return buf;
	}
	return json_is_true(v) ? "true" : json_is_false(v) ? "false" : NULL;
}

static uint64_t
count_of(const json_t *obj, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(obj, key));

	return n > 0 ? (uint64_t)n : 0;
}

static const char *
str_or(const json_t *obj, const char *key, const char *fallback)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s ? s : fallback;
}

static void
on_state(struct report *r, const json_t *msg)
{
	const char *now = str_or(msg, "now", "");

	if (!r->probing)
		return;
	r->told = true;
	r->host->state(r->op, now, str_or(msg, "fingerprint", now), count_of(msg, "changes"),
		       count_of(msg, "total"));
}

static bool
is_output(const char *name)
{
	for (const char *const *o = report_outputs; *o; o++)
		if (!strcmp(*o, name))
			return true;
	return false;
}

static void
on_output(struct report *r, json_t *outputs)
{
	const char *key, *text;
	char buf[32], why[160];
	json_t *value;

	json_object_foreach(outputs, key, value) {
		text = text_of(value, buf);
		if (!is_output(key) || !text) {
			snprintf(why, sizeof(why), "the command's output \"%.40s\" %s", key,
				 text ? "is none of those that exec.run has: see plugins/exec/README.md"
				      : "is no string or number");
			give_up(r, RESITE_ERR_INVALID, why);
			return;
		}
		r->host->output(r->op, key, text);
	}
}

static void
on_progress(struct report *r, const json_t *p)
{
	r->host->progress(r->op, count_of(p, "done"), count_of(p, "total"), str_or(p, "what", ""));
}

static void
on_change(struct report *r, const json_t *c)
{
	if (r->probing)
		r->host->change(r->op, str_or(c, "object", ""), str_or(c, "was", ""),
				str_or(c, "will_be", ""));
}

static void
on_undo(struct report *r, json_t *undo)
{
	int rc;

	if (!json_is_object(undo)) {
		give_up(r, RESITE_ERR_INVALID, "the command's \"undo\" is no object");
		return;
	}
	if (r->probing) {
		if (!r->undo)
			r->undo = json_array();
		json_array_append(r->undo, undo);
		return;
	}
	rc = report_put_undo(r, undo, NULL);
	if (rc != RESITE_OK)
		give_up(r, rc, "an undo record of the command could not be made durable");
}

int
report_put_undo(struct report *r, const json_t *undo, const char *by_hand)
{
	size_t size = json_object_size(undo);
	struct resite_kv *kv = calloc(size + 1, sizeof(*kv));
	const char *key;
	json_t *value;
	uint32_t n = 0;
	int rc;

	if (!kv)
		return RESITE_ERR_TRANSIENT;
	json_object_foreach((json_t *)(uintptr_t)undo, key, value)
		if (json_is_string(value) && strcmp(key, "by_hand") != 0)
			kv[n++] = (struct resite_kv){key, json_string_value(value)};
	rc = r->host->undo_put(r->op, 1, str_or(undo, "by_hand", by_hand ? by_hand : ""), kv, n);
	free(kv);
	return rc;
}

/* Obeys one object; a key that is not ours is nothing to us. */
static void
obey(struct report *r, json_t *msg)
{
	json_t *v;

	if (json_is_integer(json_object_get(msg, "changes")))
		on_state(r, msg);
	if ((v = json_object_get(msg, "output")))
		on_output(r, v);
	if ((v = json_object_get(msg, "progress")))
		on_progress(r, v);
	if ((v = json_object_get(msg, "change")))
		on_change(r, v);
	if ((v = json_object_get(msg, "undo")))
		on_undo(r, v);
	if ((v = json_object_get(msg, "loss")) && json_is_string(v))
		r->host->loss(r->op, json_string_value(v));
}

void
report_line(struct report *r, bool is_stderr, const char *text)
{
	json_t *msg = !is_stderr && text[0] == '{' ? json_loads(text, 0, NULL) : NULL;

	if (json_is_object(msg)) {
		obey(r, msg);
		json_decref(msg);
		return;
	}
	json_decref(msg);
	if (!*text)
		return;
	r->host->log(r->op, RESITE_LOG_INFO, text);
	if (is_stderr)
		return;
	free(r->last_line);
	r->last_line = strdup(text);
}

void
report_release(struct report *r)
{
	free(r->last_line);
	json_decref(r->undo);
	r->last_line = NULL;
	r->undo = NULL;
}
