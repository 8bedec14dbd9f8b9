/* The order in which an attempt calls its plugin: DESIGN.md §3. */
#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/worker/child.h"
#include "core/worker/load.h"
#include "core/worker/op.h"

#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	VERIFY_FIRST_MS = 50, /* until verify is asked again, when it does not say; then half as much more */
	VERIFY_MOST_MS = 2000,
	DEADLINE_SLACK_MS = 50,
	TEXT_MAX = 512,
};

static _Noreturn void
finish(struct resite_op *op)
{
	op_flush(op);
	if (__fpending(stdout) > 0)
		fflush(stdout);
	_exit(0);
}

/* At the deadline the parent cancels, too; that is no cancel. */
static bool
in_time(const struct resite_op *op)
{
	return clock_mono_ms() < op->deadline_ms - DEADLINE_SLACK_MS;
}

/* For a plugin that gave no reason. */
static const char *
own_reason(struct resite_op *op, int rc)
{
	if (*op->said.host_text)
		return op->said.host_text;
	if (rc != RESITE_ERR_CANCELLED && !op->pending)
		return "(the plugin gave no reason)";
	if (!op->pending)
		return in_time(op) ? "cancelled" : "its time was over before it was done";
	op_explain(op, "%s: %s", in_time(op) ? "cancelled while verify said"
					     : "not verified within the time", op->pending);
	return op->said.host_text;
}

/* Why a call failed: the plugin's words, and what the host had to say to it. */
static const char *
reason(struct resite_op *op, int rc)
{
	const char *host_text = op->said.host_text;
	char *joined;

	if (!op->said.text)
		return own_reason(op, rc);
	/* A plugin that only knows that it was to stop. */
	if (rc == RESITE_ERR_CANCELLED && !*host_text && !in_time(op))
		op_explain(op, "its time was over");
	if (!*host_text || strstr(op->said.text, host_text) ||
	    asprintf(&joined, "%s (%s)", op->said.text, host_text) < 0)
		return op->said.text;
	free(op->said.text);
	op->said.text = joined;
	return joined;
}

/* The last message.  rc is of a known kind here. */
static _Noreturn void
send_result(struct resite_op *op, int rc)
{
	struct strbuf *sb;

	op_progress_flush(op);
	op_log_dropped(op);
	pthread_mutex_lock(&op->out_lock);
	op_close_undo(op);
	op_close_reverted(op);
	pthread_mutex_unlock(&op->out_lock);
	sb = op_line_begin(op, "result");
	op_put_text(sb, "phase", phase_name(op->phase), OP_TEXT_MAX);
	op_put_int(sb, "rc", rc);
	if (op->said.param)
		op_put_text(sb, "param", op->said.param, OP_TEXT_MAX);
	op_put_int(sb, "retry_after_ms", op->said.retry_after_ms);
	op_put_text(sb, "text", rc == RESITE_OK ? "" : reason(op, rc), OP_TEXT_MAX);
	op_line_end(op, true);
	finish(op);
}

/* A result that the worker itself arrived at. */
static _Noreturn void PRINTF_LIKE(3, 4)
send_verdict(struct resite_op *op, int rc, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	op_host.fail(op, NULL, 0, text);
	send_result(op, rc);
}

static bool
cancelled(struct resite_op *op)
{
	return atomic_load(&op->cancelled);
}

static void
begin(struct resite_op *op, enum phase phase)
{
	struct strbuf *sb;

	if (cancelled(op) && !op->pending)
		send_verdict(op, RESITE_ERR_CANCELLED, "cancelled before %s", phase_name(phase));
	op_forget(op);
	if (cancelled(op))
		send_result(op, RESITE_ERR_CANCELLED);
	op->phase = phase;
	sb = op_line_begin(op, "begin");
	op_put_text(sb, "phase", phase_name(phase), OP_TEXT_MAX);
	/* check does no I/O: it needs no line of its own. */
	op_line_end(op, phase != PHASE_CHECK);
}

static const char *
function_name(enum phase phase)
{
	return phase == PHASE_AFTER ? "probe" : phase_name(phase);
}

/* Calls one function of the plugin; comes back only when the attempt goes on. */
static int
call(struct resite_op *op, enum phase phase, int (*fn)(struct resite_op *,
						       const struct resite_host *))
{
	int rc;

	begin(op, phase);
	rc = fn(op, &op_host);
	if (!rc_known(rc))
		send_verdict(op, RESITE_ERR_BUG, "%s returned %d, which is no result code",
			     function_name(phase), rc);
	if (rc == RESITE_PENDING && phase != PHASE_VERIFY)
		send_verdict(op, RESITE_ERR_BUG, "%s returned PENDING, which only verify may",
			     function_name(phase));
	if (rc < 0)
		send_result(op, rc);
	return rc;
}

static void
send_state(struct resite_op *op, const char *phase)
{
	struct strbuf *sb = op_line_begin(op, "state");

	op_put_text(sb, "phase", phase, OP_TEXT_MAX);
	strbuf_addstr(sb, op->said.told ? ",\"told\":true" : ",\"told\":false");
	op_put_text(sb, "now", op->said.now.buf, OP_TEXT_MAX);
	op_put_text(sb, "fingerprint", op->said.fingerprint.buf, OP_TEXT_MAX);
	op_put_int(sb, "changes", (int64_t)op->said.changes);
	op_put_int(sb, "total", (int64_t)op->said.total);
	op_line_end(op, true);
}

/* --- phases ------------------------------------------------------------------------ */

static unsigned
allowed_phases(const struct resite_op *op)
{
	const json_t *names = json_object_get(op->spec, "phases");
	unsigned bits = 0;

	for (size_t i = 0; i < json_array_size(names); i++)
		bits |= PHASE_BIT(phase_from_name(json_string_value(json_array_get(names, i))));
	return bits;
}

/* Asks verify until it says something final. */
static void
verify_until(struct resite_op *op)
{
	int64_t pause = VERIFY_FIRST_MS;

	while (call(op, PHASE_VERIFY, op->action.verify) == RESITE_PENDING) {
		const char *text = op->said.text ? op->said.text : "not yet";
		int64_t ms = op->said.retry_after_ms ? op->said.retry_after_ms : pause;

		op_progress(op, op->progress.done, op->progress.total, text);
		free(op->pending);
		op->pending = strdup(text);
		if (op_wait(op, -1, 0, ms) != RESITE_PENDING) {
			op_forget(op);
			send_result(op, in_time(op) ? RESITE_ERR_CANCELLED : RESITE_ERR_TRANSIENT);
		}
		pause = pause * 3 / 2 < VERIFY_MOST_MS ? pause * 3 / 2 : VERIFY_MOST_MS;
	}
	free(op->pending);
	op->pending = NULL;
}

/* The plugin's own eyes must now see what it says it did. */
static void
probe_again(struct resite_op *op)
{
	call(op, PHASE_AFTER, op->action.probe);
	send_state(op, "after");
	if (op->said.told && op->said.changes > 0)
		send_verdict(op, RESITE_ERR_BUG,
			     "apply%s said OK, but probe still sees %" PRIu64 " change%s (%.200s)",
			     op->action.verify ? " and verify" : "", op->said.changes,
			     op->said.changes == 1 ? "" : "s", op->said.now.buf);
}

/* What may follow the probe. */
enum next {
	NEXT_END,    /* no more is allowed, or the core said stop */
	NEXT_APPLY,  /* and verify, and another look: those of them that the action has */
	NEXT_VERIFY, /* nothing is to be changed, but the outside world has not been asked */
};

static enum next
probe_first(struct resite_op *op, unsigned allowed, bool hold, bool *ret_told)
{
	bool probes = op->action.probe && (allowed & PHASE_BIT(PHASE_PROBE));

	if (probes)
		call(op, PHASE_PROBE, op->action.probe);
	*ret_told = op->said.told;
	if (probes || hold)
		send_state(op, "probe");
	if (!op->action.apply)
		return NEXT_APPLY;
	if (!(allowed & PHASE_BIT(PHASE_APPLY)))
		return NEXT_END;
	/* An earlier attempt may have applied and not lived to verify it. */
	if (*ret_told && op->said.changes == 0)
		return op->action.verify ? NEXT_VERIFY : NEXT_END;
	if (!hold || op_wait_go(op))
		return NEXT_APPLY;
	if (cancelled(op))
		send_verdict(op, RESITE_ERR_CANCELLED, "cancelled before apply");
	return NEXT_END;
}

static _Noreturn void
run_step(struct resite_op *op)
{
	unsigned allowed = allowed_phases(op);
	enum next next;
	bool told;

	if (op->action.check && (allowed & PHASE_BIT(PHASE_CHECK)))
		call(op, PHASE_CHECK, op->action.check);
	op_forget(op);
	next = probe_first(op, allowed, op->hold && op->action.apply, &told);
	if (next == NEXT_END) {
		op->phase = PHASE_PROBE;
		send_result(op, RESITE_OK);
	}
	if (next == NEXT_APPLY && op->action.apply && (allowed & PHASE_BIT(PHASE_APPLY)))
		call(op, PHASE_APPLY, op->action.apply);
	if (op->action.verify && (allowed & PHASE_BIT(PHASE_VERIFY)))
		verify_until(op);
	if (next == NEXT_APPLY && told && op->action.apply)
		probe_again(op);
	send_result(op, RESITE_OK);
}

/* --- revert ------------------------------------------------------------------------ */

static void
call_revert(struct resite_op *op, enum phase phase)
{
	if (call(op, phase, op->action.revert) == RESITE_PENDING)
		send_verdict(op, RESITE_ERR_BUG, "revert returned PENDING, which only verify may");
	if (op->revert.pulled != op->revert.done || !op->revert.all)
		send_verdict(op, RESITE_ERR_BUG, "revert said OK, but told of %" PRIu64 " records of "
			     "%" PRIu64 " what became of them", op->revert.done, op->revert.total);
}

/* The plugin's own eyes must now see each object as before, or one that was left alone and
 * told of.  Its verify could not judge that: others may be where the apply once put these. */
static void
judge_revert(struct resite_op *op)
{
	op_revert_again(op);
	call_revert(op, PHASE_VERIFY);
	if (op->revert.ours)
		send_verdict(op, RESITE_ERR_CONFLICT, "%" PRIu64 " of %" PRIu64 " objects still have the "
			     "value that was to be put back from, after revert said OK; the first: %s",
			     op->revert.ours, op->revert.total, op->revert.first);
	if (op->revert.others > op->revert.left)
		send_verdict(op, RESITE_ERR_CONFLICT, "%" PRIu64 " objects were changed by somebody else "
			     "while they were put back", op->revert.others - op->revert.left);
}

/* What is no longer ours is reported and left, so the function's result says only
 * whether it came to the end of the records. */
static _Noreturn void
run_revert(struct resite_op *op)
{
	const char *name = json_str_or(op->spec, "revert", "");

	op->revert.way = revert_way_from_name(name);
	op->revert.total = (uint64_t)json_int_or(op->spec, "records", 0);
	if (!op->revert.way)
		send_verdict(op, RESITE_ERR_BUG, "there is no way \"%.32s\" to revert: install core "
			     "and resite-worker from one version", name);
	if (!op->action.revert)
		send_verdict(op, RESITE_ERR_INVALID, "action %s has no revert", op->action.name);
	call_revert(op, PHASE_REVERT);
	if (op->revert.way != RESITE_LOOK && json_bool_or(op->spec, "judge", false))
		judge_revert(op);
	send_result(op, RESITE_OK);
}

/* --- life -------------------------------------------------------------------------- */

static void
read_spec(struct resite_op *op)
{
	while (!op->spec && !atomic_load(&op->gone))
		op_read(op, true);
	if (!op->spec)
		_exit(0); /* nobody is left who wants this attempt */
	op->params = json_object_get(op->spec, "params");
	op->hold = json_bool_or(op->spec, "hold", false);
	op->mode = mode_parse(json_str_or(op->spec, "mode", NULL));
	op->deadline_ms = clock_mono_ms() + json_int_or(op->spec, "timeout_ms", 0);
}

_Noreturn void
attempt_run(const struct resite_plugin *plugin)
{
	/* In a process of its own, so its memory is the process's. */
	static struct resite_op op = {
		.in_lock = PTHREAD_MUTEX_INITIALIZER,
		.out_lock = PTHREAD_MUTEX_INITIALIZER,
		.in = {.max = SIZE_MAX}, /* the core's own lines, which are bounded there */
		.cancel_fd = -1,
		.cancel_event_fd = -1,
	};
	const char *name;

	strbuf_init(&op.out);
	strbuf_init(&op.undo);
	strbuf_init(&op.revert.items);
	strbuf_init(&op.said.now);
	strbuf_init(&op.said.fingerprint);
	read_spec(&op);
	name = json_str_or(op.spec, "action", "");
	if (!plugin_find_action(plugin, name, &op.action))
		send_verdict(&op, RESITE_ERR_INVALID, "plugin %s has no action \"%.64s\"",
			     plugin->name, name);
	if (json_int_or(op.spec, "protocol", 0) != PROTOCOL_VERSION)
		send_verdict(&op, RESITE_ERR_BUG, "the core speaks another protocol than this "
			     "resite-worker: install both from one version");
	if (json_object_get(op.spec, "revert"))
		run_revert(&op);
	run_step(&op);
}
