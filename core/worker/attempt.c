/* One attempt as its parent sees it.  The parent alone decides how it ended. */
#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/worker/parent.h"
#include "core/worker/tag.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- ending ------------------------------------------------------------------------ */

static const char *
in_phase(const struct attempt *a, char *buf, size_t size)
{
	if (a->end.phase == PHASE_NONE)
		return " before its first function was called";
	snprintf(buf, size, " in %s", phase_name(a->end.phase));
	return buf;
}

/* What the process did at its very end, in words. */
static void
describe_process_end(struct attempt *a, char *buf, size_t size)
{
	char phase[32];

	if (a->end.signal)
		snprintf(buf, size, "killed by signal %d (%s)%s%s", a->end.signal,
			 strsignal(a->end.signal), in_phase(a, phase, sizeof(phase)),
			 a->end.signal == SIGKILL && a->stage == STAGE_RUNNING
				 ? ": nobody here sent it; perhaps the machine ran out of memory"
				 : "");
	else if (!a->end.has_result)
		snprintf(buf, size, "ended with exit status %d and no result%s", a->end.status,
			 in_phase(a, phase, sizeof(phase)));
	else
		snprintf(buf, size, "gave a result, but then ended with exit status %d",
			 a->end.status);
}

static void
describe_overdue(struct attempt *a)
{
	char span[CLOCK_TEXT_MAX], phase[32];
	const char *how = a->stage == STAGE_KILL ? "SIGKILL" : "SIGTERM";

	if (a->reason == ATTEMPT_TIMEOUT)
		snprintf(a->why, sizeof(a->why), "not done after %s: ended with %s%s",
			 clock_format_duration(a->timeout_ms, span), how,
			 in_phase(a, phase, sizeof(phase)));
	else
		snprintf(a->why, sizeof(a->why), "cancelled, did not stop by itself: ended with %s%s",
			 how, in_phase(a, phase, sizeof(phase)));
}

/* Fills end.outcome and why from all that is known. */
static void
judge(struct attempt *a)
{
	bool clean = a->end.has_result && !a->end.signal && a->end.status == 0;

	if (a->end.outcome == ATTEMPT_NOT_STARTED)
		return;
	if (a->lost) {
		a->end.outcome = ATTEMPT_LOST;
		snprintf(a->why, sizeof(a->why), "the process that all attempts of this plugin are "
			 "forked from is gone: %.300s", a->nursery->why);
	} else if (a->reason == ATTEMPT_PROTOCOL) {
		a->end.outcome = ATTEMPT_PROTOCOL; /* why was written then */
	} else if (clean && a->in.held.len > 0) {
		a->end.outcome = ATTEMPT_PROTOCOL;
		snprintf(a->why, sizeof(a->why), "broke the protocol: half a line at the end");
	} else if (clean) {
		a->end.outcome = ATTEMPT_CLEAN;
	} else if (a->stage >= STAGE_TERM) {
		a->end.outcome = a->reason;
		describe_overdue(a);
	} else {
		a->end.outcome = a->end.signal ? ATTEMPT_SIGNAL : ATTEMPT_EXIT;
		describe_process_end(a, a->why, sizeof(a->why));
	}
}

static void
on_log_line(void *ctx, const char *line)
{
	struct attempt *a = ctx;

	a->n_logs++;
	a->log_bytes += strlen(line) + 1;
	if (a->ended)
		return;
	if (a->n_logs > LOG_LINES_MAX || a->log_bytes > LOG_BYTES_MAX)
		a->end.dropped++;
	else if (a->events.log)
		a->events.log(a->ctx, line);
}

static void
close_sock(struct attempt *a)
{
	if (a->sock_fd >= 0)
		close(a->sock_fd);
	a->sock_fd = -1;
}

static void
close_log(struct attempt *a)
{
	if (a->log_fd < 0)
		return;
	log_lines_end(&a->log, on_log_line, a);
	/* A callback may have ended it, and closed this. */
	if (a->log_fd >= 0)
		close(a->log_fd);
	a->log_fd = -1;
}

/* What an attempt that did not end by itself has left outside of its group must not act
 * beside the next one.  A nursery that was lost has taken care of it (nursery.c). */
static void
end_orphans(struct attempt *a)
{
	if (a->tag && !a->lost && a->nursery->pid > 0 && a->end.outcome != ATTEMPT_CLEAN &&
	    a->end.outcome != ATTEMPT_NOT_STARTED)
		tag_kill_one(a->nursery->pid, a->tag, ORPHANS_WAIT_MS);
}

void
attempt_end_now(struct attempt *a)
{
	if (a->ended)
		return;
	close_sock(a);
	close_log(a);
	if (a->ended)
		return;
	a->ended = true;
	judge(a);
	end_orphans(a);
	a->end.param = a->param;
	a->end.text = a->text ? a->text : "";
	a->end.why = a->why;
	nursery_bury(a->nursery, a);
	a->events.ended(a->ctx, &a->end);
}

static void
end_if_drained(struct attempt *a)
{
	if (!a->ended && a->exited && a->sock_fd < 0 && a->log_fd < 0)
		attempt_end_now(a);
}

void
attempt_free(struct attempt *a)
{
	if (a->child_sock_fd >= 0)
		close(a->child_sock_fd);
	if (a->child_log_fd >= 0)
		close(a->child_log_fd);
	lines_release(&a->in);
	strbuf_release(&a->out);
	strbuf_release(&a->log.held);
	free(a->tag);
	free(a->param);
	free(a->text);
	free(a);
}

/* --- kill ---------------------------------------------------------------------------- */

static void
set_due(struct attempt *a, int64_t ms)
{
	a->due_ms = clock_mono_ms() + ms;
	nursery_due(a->nursery, a->due_ms);
}

/* Asks it to stop; the escalation follows by itself. */
static void
ask_to_stop(struct attempt *a, enum attempt_outcome reason, const char *why)
{
	struct strbuf sb = STRBUF_INIT;

	if (a->stage != STAGE_RUNNING || a->exited)
		return;
	a->stage = STAGE_CANCELLED;
	a->reason = reason;
	strbuf_addstr(&sb, "{\"kind\":\"cancel\",\"why\":");
	json_write_string(&sb, why ? why : "");
	strbuf_addstr(&sb, "}\n");
	set_due(a, a->nursery->config.cancel_grace_ms);
	attempt_send_line(a, &sb);
	strbuf_release(&sb);
}

static void
send_kill(struct attempt *a)
{
	a->stage = STAGE_KILL;
	set_due(a, KILLED_WAIT_MS);
	nursery_signal(a->nursery, a->id, SIGKILL);
}

void
attempt_broke_protocol(struct attempt *a, const char *what)
{
	if (a->ended || a->reason == ATTEMPT_PROTOCOL)
		return;
	a->reason = ATTEMPT_PROTOCOL;
	snprintf(a->why, sizeof(a->why), "broke the protocol: %.400s", what);
	if (!a->exited && a->stage != STAGE_KILL)
		send_kill(a);
	close_sock(a);
	/* Not ended here: this may be inside a call of our user. */
	if (a->exited)
		set_due(a, LINGER_MS);
}

int64_t
attempt_on_due(struct attempt *a, int64_t now)
{
	if (a->log_paused && now >= a->log_due_ms && a->log_fd >= 0) {
		a->log_paused = false;
		nursery_watch(a->nursery, EPOLL_CTL_ADD, a->log_fd, EPOLLIN, a->id, WATCH_LOG);
	}
	if (now < a->due_ms)
		return a->log_paused && a->log_due_ms < a->due_ms ? a->log_due_ms : a->due_ms;
	if (a->exited) {
		attempt_end_now(a); /* somebody else holds its pipes open */
		return INT64_MAX;
	}
	if (a->stage == STAGE_RUNNING) {
		ask_to_stop(a, ATTEMPT_TIMEOUT, "the time is over");
	} else if (a->stage == STAGE_KILL) {
		nursery_hung(a->nursery);
	} else if (a->child_sock_fd >= 0) {
		a->due_ms = now + 100; /* the nursery has not even got it yet */
	} else if (a->stage == STAGE_CANCELLED) {
		a->stage = STAGE_TERM;
		a->due_ms = now + a->nursery->config.term_grace_ms;
		nursery_signal(a->nursery, a->id, SIGTERM);
	} else {
		send_kill(a);
	}
	return a->ended ? INT64_MAX : a->due_ms;
}

void
attempt_cancel(struct attempt *a, const char *why)
{
	ask_to_stop(a, ATTEMPT_CANCELLED, why);
}

void
attempt_signal(struct attempt *a, int sig)
{
	nursery_signal(a->nursery, a->id, sig);
}

/* --- from the attempt -------------------------------------------------------------------- */

static int
on_result(struct attempt *a, const json_t *msg)
{
	const char *param = json_str_or(msg, "param", NULL);

	a->end.has_result = true;
	a->end.rc = (int)json_int_or(msg, "rc", 0);
	a->end.phase = phase_from_name(json_str_or(msg, "phase", NULL));
	a->end.retry_after_ms = json_int_or(msg, "retry_after_ms", 0);
	a->text = strdup(json_str_or(msg, "text", ""));
	a->param = param ? strdup(param) : NULL;
	if (!rc_known(a->end.rc))
		attempt_broke_protocol(a, "its result has an unknown code");
	return a->ended || a->sock_fd < 0;
}

static bool
over_log_budget(struct attempt *a, const json_t *msg)
{
	a->n_logs++;
	a->log_bytes += json_string_length(json_object_get(msg, "text"));
	if (a->n_logs <= LOG_LINES_MAX && a->log_bytes <= LOG_BYTES_MAX)
		return false;
	a->end.dropped++;
	return true;
}

/* Not 0: nothing more is to be read from this attempt. */
static int
on_message(struct attempt *a, const json_t *msg, const char *line, size_t len)
{
	const char *kind = json_str_or(msg, "kind", "");

	if (a->end.has_result) {
		attempt_broke_protocol(a, "a message after its result");
		return 1;
	}
	if (!strcmp(kind, "result"))
		return on_result(a, msg);
	if (!strcmp(kind, "begin"))
		a->end.phase = phase_from_name(json_str_or(msg, "phase", NULL));
	if (!strcmp(kind, "log") && over_log_budget(a, msg))
		return 0;
	a->events.message(a->ctx, msg, line, len);
	return a->ended || a->sock_fd < 0;
}

/* Undo records that were written in another way than ours: their text is made anew. */
static int
on_foreign_undo(struct attempt *a, const json_t *msg)
{
	const json_t *records = json_object_get(msg, "records");
	struct strbuf text = STRBUF_INIT;
	struct undo_line undo;

	json_write(&text, records);
	undo = (struct undo_line){text.buf, text.len, json_array_size(records)};
	if (text.failed)
		attempt_broke_protocol(a, "undo: out of memory");
	else if (undo.n)
		a->events.undo(a->ctx, &undo);
	strbuf_release(&text);
	return a->ended || a->sock_fd < 0;
}

static int
on_parsed_line(struct attempt *a, const char *line, size_t len)
{
	struct error err = {0};
	json_t *msg = json_parse(line, len, &err);
	int r = 1;

	if (!msg || protocol_check_attempt(msg, &err) < 0)
		attempt_broke_protocol(a, err.text);
	else if (!a->end.has_result && !strcmp(json_str_or(msg, "kind", ""), "undo"))
		r = on_foreign_undo(a, msg);
	else
		r = on_message(a, msg, line, len);
	json_decref(msg);
	return r;
}

static int
on_line(void *ctx, char *line, size_t len)
{
	struct attempt *a = ctx;
	struct undo_line undo;

	if (a->end.has_result || !undo_line_read(line, len, &undo))
		return on_parsed_line(a, line, len);
	a->events.undo(a->ctx, &undo);
	return a->ended || a->sock_fd < 0;
}

static void
end_of_sock(struct attempt *a)
{
	close_sock(a);
	end_if_drained(a);
}

void
attempt_on_sock(struct attempt *a, uint32_t events)
{
	struct nursery *n = a->nursery;
	ssize_t r;
	int fed;

	if (a->sock_fd < 0)
		return;
	if (events & EPOLLOUT)
		attempt_flush_out(a);
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	do {
		r = recv(a->sock_fd, n->buf, READ_BYTES, MSG_DONTWAIT);
		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (r <= 0) {
			end_of_sock(a);
			return;
		}
		fed = lines_feed(&a->in, n->buf, (size_t)r, on_line, a);
		if (fed == E_PROTOCOL)
			attempt_broke_protocol(a, "a line that is too long");
		else if (fed == E_NOMEM)
			attempt_broke_protocol(a, "no memory for a line of it");
		/* Hung up and less than a full read: the end is next, ask for it at once. */
	} while ((events & EPOLLHUP) && r < READ_BYTES && a->sock_fd >= 0 && !a->ended);
}

/* Over its budget it is read slowly: it then waits in its own write. */
static void
slow_down_log(struct attempt *a)
{
	if (a->log_bytes <= LOG_BYTES_MAX && a->n_logs <= LOG_LINES_MAX)
		return;
	if (a->exited || a->log_fd < 0 || a->ended)
		return;
	epoll_ctl(a->nursery->ep_fd, EPOLL_CTL_DEL, a->log_fd, NULL);
	a->log_paused = true;
	a->log_due_ms = clock_mono_ms() + LOG_PAUSE_MS;
	nursery_due(a->nursery, a->log_due_ms);
}

void
attempt_on_log(struct attempt *a)
{
	struct nursery *n = a->nursery;
	ssize_t r = a->log_fd < 0 ? -1 : read(a->log_fd, n->buf, READ_BYTES);

	if (r > 0) {
		log_lines_feed(&a->log, n->buf, (size_t)r, on_log_line, a);
		slow_down_log(a);
	} else if (r == 0) {
		close_log(a);
		end_if_drained(a);
	}
}

/* --- its end, as told by the nursery ------------------------------------------------------- */

/* Waits for the ends of both pipes, but not long. */
static void
linger(struct attempt *a, int64_t ms)
{
	a->exited = true;
	if (a->log_paused) {
		a->log_paused = false;
		if (a->log_fd >= 0)
			nursery_watch(a->nursery, EPOLL_CTL_ADD, a->log_fd, EPOLLIN, a->id,
				      WATCH_LOG);
	}
	set_due(a, ms);
	end_if_drained(a);
}

void
attempt_on_exited(struct attempt *a, const json_t *msg)
{
	const char *error = json_str_or(msg, "error", NULL);

	if (a->exited)
		return;
	if (error) {
		a->end.outcome = ATTEMPT_NOT_STARTED;
		snprintf(a->why, sizeof(a->why), "no process for the attempt: %.400s", error);
	}
	a->end.status = (int)json_int_or(msg, "status", 0);
	a->end.signal = (int)json_int_or(msg, "signal", 0);
	a->end.maxrss_kb = json_int_or(msg, "maxrss_kb", 0);
	a->end.cpu_us = json_int_or(msg, "cpu_us", 0);
	linger(a, LINGER_MS);
}

void
attempt_on_lost(struct attempt *a)
{
	if (a->exited)
		return; /* its end is known already */
	a->lost = true;
	if (a->child_sock_fd >= 0) {
		/* It never got to the nursery. */
		a->lost = false;
		a->end.outcome = ATTEMPT_NOT_STARTED;
		snprintf(a->why, sizeof(a->why), "no process for the attempt: %.400s",
			 a->nursery->why);
		close_sock(a);
		close_log(a);
	}
	/* The kernel kills it with its nursery; the end of its socket says when. */
	linger(a, LOST_LINGER_MS);
}

/* --- start ---------------------------------------------------------------------------------- */

static int
open_pipes(struct attempt *a, struct error *err)
{
	int sock[2], log[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) < 0)
		return error_errno(err, errno, "no socket for an attempt");
	a->sock_fd = sock[0];
	a->child_sock_fd = sock[1];
	if (pipe2(log, O_CLOEXEC) < 0)
		return error_errno(err, errno, "no pipe for an attempt");
	a->log_fd = log[0];
	a->child_log_fd = log[1];
	return 0;
}

static struct attempt *
new_attempt(struct nursery *n, int64_t timeout_ms, const struct attempt_events *events, void *ctx)
{
	struct attempt *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->nursery = n;
	a->events = *events;
	a->ctx = ctx;
	a->sock_fd = a->log_fd = a->child_sock_fd = a->child_log_fd = -1;
	a->in.max = PROTOCOL_LINE_MAX;
	strbuf_init(&a->out);
	strbuf_init(&a->log.held);
	a->timeout_ms = timeout_ms;
	a->due_ms = clock_mono_ms() + timeout_ms;
	return a;
}

static void
discard(struct attempt *a)
{
	if (a->sock_fd >= 0)
		close(a->sock_fd);
	if (a->log_fd >= 0)
		close(a->log_fd);
	attempt_free(a);
}

int
attempt_start(struct nursery *n, const char *line, size_t len, const char *tag,
	      int64_t timeout_ms, const struct attempt_events *events, void *ctx, struct attempt **ret_attempt,
	      struct error *err)
{
	struct strbuf sb = STRBUF_INIT;
	struct attempt *a;
	int r;

	if (n->lost || n->stopped)
		return error_set(err, E_NOTFOUND, "the plugin's process is gone: %s", n->why);
	a = new_attempt(n, timeout_ms, events, ctx);
	if (!a)
		return error_set(err, E_NOMEM, "out of memory");
	a->tag = tag ? strdup(tag) : NULL;
	if (tag && !a->tag) {
		discard(a);
		return error_set(err, E_NOMEM, "out of memory");
	}
	if ((r = open_pipes(a, err)) < 0) {
		discard(a);
		return r;
	}
	strbuf_add(&sb, line, len);
	if (sb.failed || (r = nursery_adopt(n, a)) < 0) {
		strbuf_release(&sb);
		discard(a);
		return error_set(err, r < 0 ? r : E_NOMEM, "too many attempts at once");
	}
	if (nursery_watch(n, EPOLL_CTL_ADD, a->sock_fd, EPOLLIN, a->id, WATCH_SOCK) < 0 ||
	    nursery_watch(n, EPOLL_CTL_ADD, a->log_fd, EPOLLIN, a->id, WATCH_LOG) < 0) {
		r = error_errno(err, errno, "no room in an epoll set");
		close_sock(a);
		if (a->log_fd >= 0)
			close(a->log_fd);
		a->log_fd = -1;
		a->ended = true;
		nursery_bury(n, a);
		strbuf_release(&sb);
		return r;
	}
	attempt_send_line(a, &sb);
	strbuf_release(&sb);
	*ret_attempt = a;
	return 0;
}
