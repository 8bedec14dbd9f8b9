/* The host functions, as the plugin sees them; plugin.h says what each promises. */
#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/worker/op.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOG_TEXT_MAX = 4096,
	LOG_LINES_MAX = 10000,       /* of host->log in one attempt … */
	LOG_BYTES_MAX = 1024 * 1024, /* … and their bytes */
	UNDO_RECORDS = 1000,         /* in one line at most */
	UNDO_BYTES = 256 * 1024,     /* likewise */
	PROGRESS_EVERY_MS = 100,
};

/* --- texts ----------------------------------------------------------------------- */

void
op_explain(struct resite_op *op, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(op->said.host_text, sizeof(op->said.host_text), fmt, ap);
	va_end(ap);
}

static void
host_log(struct resite_op *op, int level, const char *msg)
{
	struct strbuf *sb = op_line_begin(op, "log");
	size_t start = sb->len - strlen("{\"kind\":\"log\""), len = strnlen(msg, LOG_TEXT_MAX);

	op->n_logs++;
	op->log_bytes += len;
	if (op->n_logs > LOG_LINES_MAX || op->log_bytes > LOG_BYTES_MAX) {
		/* The parent would drop it; op_log_dropped tells how many there were. */
		op->n_dropped++;
		sb->len = start;
		sb->buf[start] = '\0';
		op_unlock(op, false);
		return;
	}
	op_put_int(sb, "level", level < 0 ? 0 : level > 3 ? 3 : level);
	op_put_text(sb, "text", msg, LOG_TEXT_MAX);
	op_line_end(op, true);
}

void
op_log_dropped(struct resite_op *op)
{
	struct strbuf *sb;

	if (op->n_dropped == 0)
		return;
	sb = op_line_begin(op, "log");
	strbuf_addf(sb, ",\"level\":2,\"text\":\"%" PRIu64 " more log lines were dropped: an attempt "
		    "has %d lines and %d bytes\"", op->n_dropped, LOG_LINES_MAX, LOG_BYTES_MAX);
	op_line_end(op, false);
}

static void
host_fail(struct resite_op *op, const char *param, int64_t retry_after_ms, const char *msg)
{
	free(op->said.text);
	free(op->said.param);
	op->said.text = msg ? strdup(msg) : NULL;
	op->said.param = param ? strdup(param) : NULL;
	op->said.retry_after_ms = retry_after_ms > 0 ? retry_after_ms : 0;
}

void
op_forget(struct resite_op *op)
{
	free(op->said.text);
	free(op->said.param);
	op->said.text = op->said.param = NULL;
	op->said.host_text[0] = '\0';
	op->said.retry_after_ms = 0;
	op->said.told = false;
	strbuf_reset(&op->said.now);
	strbuf_reset(&op->said.fingerprint);
	op->said.changes = op->said.total = 0;
}

/* --- parameters ------------------------------------------------------------------ */

static const json_t *
param_value(struct resite_op *op, const char *name, uint32_t index)
{
	const json_t *v = json_object_get(op->params, name);

	if (json_is_array(v))
		return json_array_get(v, index);
	return index == 0 ? v : NULL;
}

static uint32_t
host_param_count(struct resite_op *op, const char *name)
{
	const json_t *v = json_object_get(op->params, name);

	if (json_is_array(v))
		return (uint32_t)json_array_size(v);
	return v && !json_is_null(v) ? 1 : 0;
}

static const char *
host_param_str(struct resite_op *op, const char *name, uint32_t index)
{
	return json_string_value(param_value(op, name, index));
}

static int64_t
host_param_i64(struct resite_op *op, const char *name, uint32_t index)
{
	const json_t *v = param_value(op, name, index);

	return json_is_true(v) ? 1 : (int64_t)json_integer_value(v);
}

static int
host_mode(struct resite_op *op)
{
	return op->mode;
}

/* --- probe ----------------------------------------------------------------------- */

int
op_gone(struct resite_op *op)
{
	op_explain(op, "the orchestrator is gone");
	return RESITE_ERR_CANCELLED;
}

static int
host_change(struct resite_op *op, const char *object, const char *was, const char *will_be)
{
	struct strbuf *sb;

	if (atomic_load(&op->gone))
		return op_gone(op);
	/* Only a preview lists what would change.  In a run, and after apply, the core asks
	 * how much: a mass move would send it every object, to be read and thrown away. */
	if (op->phase == PHASE_AFTER || op->hold)
		return RESITE_OK;
	sb = op_line_begin(op, "change");
	op_put_text(sb, "object", object, OP_TEXT_MAX);
	op_put_text(sb, "was", was, OP_TEXT_MAX);
	op_put_text(sb, "will_be", will_be, OP_TEXT_MAX);
	op_line_end(op, false);
	return RESITE_OK;
}

static int
host_state(struct resite_op *op, const char *now, const char *fingerprint, uint64_t changes,
	   uint64_t total)
{
	op->said.told = true;
	strbuf_reset(&op->said.now);
	strbuf_addstr(&op->said.now, now ? now : "");
	strbuf_reset(&op->said.fingerprint);
	strbuf_addstr(&op->said.fingerprint, fingerprint ? fingerprint : "");
	op->said.changes = changes;
	op->said.total = total;
	return atomic_load(&op->gone) ? op_gone(op) : RESITE_OK;
}

static int
host_loss(struct resite_op *op, const char *sentence)
{
	if (op->phase == PHASE_AFTER)
		return RESITE_OK;
	op_put_text(op_line_begin(op, "loss"), "text", sentence, OP_TEXT_MAX);
	op_line_end(op, false);
	return atomic_load(&op->gone) ? op_gone(op) : RESITE_OK;
}

/* --- durable --------------------------------------------------------------------- */

/* The answer to a question that wants {rc, text}. */
static int
wait_done(struct resite_op *op, int64_t id, const char *what)
{
	json_t *answer = op_ask(op, id);
	int rc;

	if (!answer)
		return op_gone(op);
	rc = (int)json_int_or(answer, "rc", RESITE_ERR_BUG);
	if (rc != RESITE_OK)
		op_explain(op, "%s could not be made durable: %s", what,
			   json_str_or(answer, "text", "no reason was given"));
	json_decref(answer);
	return rc;
}

static int
host_sync(struct resite_op *op)
{
	int64_t id;

	pthread_mutex_lock(&op->out_lock);
	op_close_undo(op);
	id = ++op->last_id;
	strbuf_addf(&op->out, "{\"kind\":\"sync\",\"id\":%" PRId64 "}\n", id);
	pthread_mutex_unlock(&op->out_lock);
	return wait_done(op, id, "the undo records");
}

static void
write_record(struct strbuf *sb, uint32_t version, const char *by_hand,
	     const struct resite_kv *kv, uint32_t n)
{
	strbuf_addf(sb, "{\"version\":%" PRIu32, version);
	op_put_text(sb, "by_hand", by_hand, OP_TEXT_MAX);
	strbuf_addstr(sb, ",\"kv\":{");
	for (uint32_t i = 0; i < n; i++) {
		if (i > 0)
			strbuf_addch(sb, ',');
		json_write_string(sb, kv[i].key);
		strbuf_addch(sb, ':');
		json_write_string(sb, kv[i].value ? kv[i].value : "");
	}
	strbuf_addstr(sb, "}}");
}

static int
host_undo_add(struct resite_op *op, uint32_t version, const char *by_hand,
	      const struct resite_kv *kv, uint32_t n)
{
	size_t before;
	int rc = RESITE_OK;

	if (atomic_load(&op->gone))
		return op_gone(op);
	pthread_mutex_lock(&op->out_lock);
	before = op->undo.len;
	if (op->n_undo > 0)
		strbuf_addch(&op->undo, ',');
	write_record(&op->undo, version, by_hand, kv, n);
	if (op->undo.len - before > OP_VALUE_MAX) {
		op_explain(op, "an undo record of %zu bytes is over the limit of %d: keep large "
			       "values in a file and record its path", op->undo.len - before,
			   OP_VALUE_MAX);
		op->undo.len = before;
		op->undo.buf[before] = '\0';
		rc = RESITE_ERR_INVALID;
	} else if (++op->n_undo >= UNDO_RECORDS || op->undo.len >= UNDO_BYTES) {
		op_close_undo(op);
	}
	op_unlock(op, false);
	return rc;
}

static int
host_undo_put(struct resite_op *op, uint32_t version, const char *by_hand,
	      const struct resite_kv *kv, uint32_t n)
{
	int rc = host_undo_add(op, version, by_hand, kv, n);

	return rc == RESITE_OK ? host_sync(op) : rc;
}

/* Probe after apply is a call of the same attempt, and must see what apply wrote.  Older
 * ones stay in the list: the plugin may still hold their strings. */
static int
remember_checkpoint(struct resite_op *op, const char *name, const char *data)
{
	json_t *list = json_object_get(op->spec, "checkpoints");

	if (!list) {
		list = json_array();
		if (json_object_set_new(op->spec, "checkpoints", list) < 0)
			return RESITE_ERR_TRANSIENT;
	}
	return json_array_append_new(list, json_pack("{s:s, s:s}", "name", name, "data",
						     data ? data : "")) < 0
		       ? RESITE_ERR_INVALID
		       : RESITE_OK;
}

static int
host_checkpoint(struct resite_op *op, const char *name, const char *data)
{
	struct strbuf *sb;
	int64_t id;
	int rc;

	if (strlen(name) + (data ? strlen(data) : 0) > OP_VALUE_MAX) {
		op_explain(op, "a checkpoint is over the limit of %d bytes", OP_VALUE_MAX);
		return RESITE_ERR_INVALID;
	}
	sb = op_line_begin(op, "checkpoint");
	id = ++op->last_id;
	op_put_int(sb, "id", id);
	op_put_text(sb, "name", name, OP_VALUE_MAX);
	op_put_text(sb, "data", data, OP_VALUE_MAX);
	op_line_end(op, false);
	rc = wait_done(op, id, "the checkpoint");
	return rc == RESITE_OK ? remember_checkpoint(op, name, data) : rc;
}

static const char *
host_last_checkpoint(struct resite_op *op, const char **data)
{
	const json_t *list = json_object_get(op->spec, "checkpoints");
	const json_t *cp = list ? json_array_get(list, json_array_size(list) - 1)
				: json_object_get(op->spec, "checkpoint");
	const char *name = json_str_or(cp, "name", NULL);

	if (name && data)
		*data = json_str_or(cp, "data", "");
	return name;
}

/* --- outputs, progress, time ------------------------------------------------------ */

static bool
is_declared(const struct resite_op *op, const char *name)
{
	for (const char *const *o = op->action.outputs; o && *o; o++)
		if (!strcmp(*o, name))
			return true;
	return false;
}

static int
host_output(struct resite_op *op, const char *name, const char *value)
{
	struct strbuf *sb;

	if (!is_declared(op, name)) {
		op_explain(op, "the action does not declare an output \"%.64s\"", name);
		return RESITE_ERR_BUG;
	}
	if (value && strlen(value) > OP_VALUE_MAX) {
		op_explain(op, "output \"%.64s\" is over the limit of %d bytes", name, OP_VALUE_MAX);
		return RESITE_ERR_INVALID;
	}
	sb = op_line_begin(op, "output");
	op_put_text(sb, "name", name, OP_TEXT_MAX);
	op_put_text(sb, "value", value, OP_VALUE_MAX);
	op_line_end(op, false);
	return atomic_load(&op->gone) ? op_gone(op) : RESITE_OK;
}

void
op_progress_flush(struct resite_op *op)
{
	struct strbuf *sb;

	if (!op->progress.due)
		return;
	op->progress.due = false;
	op->progress.sent_ms = clock_mono_ms();
	sb = op_line_begin(op, "progress");
	op_put_int(sb, "done", (int64_t)op->progress.done);
	op_put_int(sb, "total", (int64_t)op->progress.total);
	op_put_text(sb, "what", op->progress.what, sizeof(op->progress.what));
	op_line_end(op, true);
}

void
op_progress(struct resite_op *op, uint64_t done, uint64_t total, const char *what)
{
	op->progress.due = true;
	op->progress.done = done;
	op->progress.total = total;
	snprintf(op->progress.what, sizeof(op->progress.what), "%s", what ? what : "");
	if (clock_mono_ms() - op->progress.sent_ms >= PROGRESS_EVERY_MS)
		op_progress_flush(op);
}

/* The lesser of ms and the time left; poll's units. */
static int
poll_time(struct resite_op *op, int64_t ms)
{
	int64_t left = op->deadline_ms - clock_mono_ms();

	if (left < 0)
		left = 0;
	if (ms >= 0 && ms < left)
		left = ms;
	return left > INT32_MAX ? INT32_MAX : (int)left;
}

int
op_wait(struct resite_op *op, int fd, short events, int64_t ms)
{
	struct pollfd fds[2] = {{.fd = PROTOCOL_FD, .events = POLLIN},
				{.fd = fd, .events = events}};
	int64_t until = ms < 0 ? INT64_MAX : clock_mono_ms() + ms;

	op_progress_flush(op);
	op_flush(op);
	for (;;) {
		int64_t now = clock_mono_ms();
		int n;

		if (atomic_load(&op->cancelled) || now >= op->deadline_ms)
			return RESITE_ERR_CANCELLED;
		n = poll(fds, 2, poll_time(op, until == INT64_MAX ? -1 : until > now ? until - now : 0));
		if (n < 0 && errno != EINTR) {
			op_explain(op, "wait: %s", strerror(errno));
			return RESITE_ERR_BUG;
		}
		if (n > 0 && fds[0].revents)
			op_read(op, false);
		if (atomic_load(&op->cancelled))
			return RESITE_ERR_CANCELLED;
		if (n > 0 && fds[1].revents)
			return RESITE_OK;
		if (clock_mono_ms() >= until)
			return RESITE_PENDING;
	}
}

/* --- secrets ----------------------------------------------------------------------- */

/* Decodes into the answer's own memory, which is wiped after. */
static int
take_secret(struct resite_op *op, json_t *answer, void *buf, size_t cap)
{
	const char *text = json_str_or(answer, "value", "");
	size_t text_len = strlen(text);
	char *place = (char *)(uintptr_t)text;
	int64_t rc = json_int_or(answer, "rc", RESITE_ERR_BUG), len;

	if (rc < 0) {
		op_explain(op, "secret: %s", json_str_or(answer, "text", "it cannot be read"));
		return (int)rc;
	}
	len = base64_decode(text, place); /* in place: it writes behind where it reads */
	if (len >= 0)
		memcpy(buf, place, (size_t)len < cap ? (size_t)len : cap);
	explicit_bzero(place, text_len);
	return len < 0 ? RESITE_ERR_BUG : (int)len;
}

static int
host_secret(struct resite_op *op, const char *ref, void *buf, size_t cap)
{
	struct strbuf *sb = op_line_begin(op, "secret");
	int64_t id = ++op->last_id;
	json_t *answer;
	int rc;

	op_put_int(sb, "id", id);
	op_put_text(sb, "ref", ref, OP_TEXT_MAX);
	op_line_end(op, false);
	answer = op_ask(op, id);
	if (!answer)
		return op_gone(op);
	rc = take_secret(op, answer, buf, cap);
	json_decref(answer);
	return rc;
}

static void **
host_memory(struct resite_op *op)
{
	return &op->memory;
}

static const void *
host_extension(struct resite_op *op, const char *id)
{
	(void)op;
	(void)id;
	return NULL;
}

const struct resite_host op_host = {
	.struct_size = sizeof(struct resite_host),
	.abi_minor = RESITE_ABI_MINOR,
	.log = host_log,
	.fail = host_fail,
	.param_count = host_param_count,
	.param_str = host_param_str,
	.param_i64 = host_param_i64,
	.mode = host_mode,
	.change = host_change,
	.state = host_state,
	.loss = host_loss,
	.undo_put = host_undo_put,
	.undo_add = host_undo_add,
	.sync = host_sync,
	.undo_next = op_undo_next,
	.revert_way = op_revert_way,
	.reverted = op_reverted,
	.checkpoint = host_checkpoint,
	.last_checkpoint = host_last_checkpoint,
	.output = host_output,
	.progress = op_progress,
	.time_left_ms = op_time_left,
	.cancel_fd = op_cancel_fd,
	.wait = op_wait,
	.secret = host_secret,
	.extension = host_extension,
	.memory = host_memory,
};
