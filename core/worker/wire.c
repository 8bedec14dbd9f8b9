#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/worker/op.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	FLUSH_BYTES = 64 * 1024, /* buffered lines are sent from here on */
	READ_MAX = 2000, /* most attempts are shorter; a larger stack is more pages */
	LOOK_EVERY_MS = 20, /* how often time_left looks for a cancel */
};

/* --- out ------------------------------------------------------------------------- */

static void
lost_parent(struct resite_op *op)
{
	atomic_store(&op->gone, true);
	atomic_store(&op->cancelled, true);
}

static void
send_all(struct resite_op *op)
{
	size_t at = 0;

	if (op->out.failed) {
		/* A lost line would be a lie of omission: end where the parent sees it. */
		static const char text[] = "resite-worker: out of memory\n";

		if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
			_exit(4);
		_exit(3);
	}
	while (at < op->out.len && !atomic_load(&op->gone)) {
		ssize_t n = send(PROTOCOL_FD, op->out.buf + at, op->out.len - at, MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
		else if (errno != EINTR)
			lost_parent(op);
	}
	strbuf_reset(&op->out);
}

struct strbuf *
op_line_begin(struct resite_op *op, const char *kind)
{
	pthread_mutex_lock(&op->out_lock);
	strbuf_addstr(&op->out, "{\"kind\":\"");
	strbuf_addstr(&op->out, kind);
	strbuf_addch(&op->out, '"');
	return &op->out;
}

void
op_unlock(struct resite_op *op, bool flush)
{
	if (flush || op->out.len >= FLUSH_BYTES)
		send_all(op);
	pthread_mutex_unlock(&op->out_lock);
}

void
op_line_end(struct resite_op *op, bool flush)
{
	strbuf_add(&op->out, "}\n", 2);
	op_unlock(op, flush);
}

void
op_put_int(struct strbuf *sb, const char *key, int64_t value)
{
	char digits[24], *p = digits + sizeof(digits);
	uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do
		*--p = (char)('0' + left % 10);
	while (left /= 10);
	if (value < 0)
		*--p = '-';
	strbuf_add(sb, ",\"", 2);
	strbuf_addstr(sb, key);
	strbuf_add(sb, "\":", 2);
	strbuf_add(sb, p, (size_t)(digits + sizeof(digits) - p));
}

void
op_put_text(struct strbuf *sb, const char *key, const char *text, size_t max)
{
	size_t len = text ? strnlen(text, max + 1) : 0;

	strbuf_add(sb, ",\"", 2);
	strbuf_addstr(sb, key);
	strbuf_add(sb, "\":", 2);
	if (len <= max) {
		json_write_string(sb, text ? text : "");
		return;
	}
	/* Rare: a copy that can be cut. */
	struct strbuf cut = STRBUF_INIT;

	strbuf_add(&cut, text, max - 3);
	strbuf_addstr(&cut, "...");
	json_write_string(sb, cut.buf);
	sb->failed |= cut.failed;
	strbuf_release(&cut);
}

void
op_close_undo(struct resite_op *op)
{
	if (op->n_undo == 0)
		return;
	strbuf_addstr(&op->out, "{\"kind\":\"undo\",\"records\":[");
	strbuf_add(&op->out, op->undo.buf, op->undo.len);
	strbuf_addstr(&op->out, "]}\n");
	op->out.failed |= op->undo.failed;
	strbuf_reset(&op->undo);
	op->n_undo = 0;
}

bool
op_flush(struct resite_op *op)
{
	pthread_mutex_lock(&op->out_lock);
	op_close_undo(op);
	op_unlock(op, true);
	return !atomic_load(&op->gone);
}

/* --- in -------------------------------------------------------------------------- */

static void
set_cancelled(struct resite_op *op)
{
	uint64_t one = 1;

	atomic_store(&op->cancelled, true);
	if (op->cancel_event_fd >= 0 && write(op->cancel_event_fd, &one, sizeof(one)) < 0)
		return; /* full: then it is readable already */
}

static int
on_line(void *ctx, char *line, size_t len)
{
	struct resite_op *op = ctx;
	json_t *msg = json_parse(line, len, NULL);
	const char *kind = json_str_or(msg, "kind", "");

	explicit_bzero(line, len); /* it may hold a secret */
	if (!op->spec && !strcmp(kind, "attempt")) {
		op->spec = msg;
		return 0;
	}
	if (!strcmp(kind, "go"))
		op->go = true;
	else if (!strcmp(kind, "stop"))
		op->stop = true;
	else if (!strcmp(kind, "cancel"))
		set_cancelled(op);
	else if (op->want_id != 0 && json_int_or(msg, "id", 0) == op->want_id && !op->answer)
		op->answer = json_incref(msg);
	json_decref(msg);
	return 0;
}

/* in_lock is held. */
static void
read_once(struct resite_op *op, bool block)
{
	char buf[READ_MAX + 1];
	ssize_t n = recv(PROTOCOL_FD, buf, READ_MAX, block ? 0 : MSG_DONTWAIT);

	if (n > 0 && lines_feed(&op->in, buf, (size_t)n, on_line, op) == 0)
		return;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	lost_parent(op);
	set_cancelled(op);
}

void
op_read(struct resite_op *op, bool block)
{
	pthread_mutex_lock(&op->in_lock);
	read_once(op, block);
	pthread_mutex_unlock(&op->in_lock);
}

/* While an answer is awaited, fd 3 readable does not mean cancelled: other threads
 * may be polling cancel_fd. */
static void
watch_fd3(struct resite_op *op, bool on)
{
	struct epoll_event ev = {.events = on ? EPOLLIN : 0};

	if (op->cancel_fd >= 0)
		epoll_ctl(op->cancel_fd, EPOLL_CTL_MOD, PROTOCOL_FD, &ev);
}

json_t *
op_ask(struct resite_op *op, int64_t id)
{
	json_t *answer;

	pthread_mutex_lock(&op->in_lock);
	watch_fd3(op, false);
	op->want_id = id;
	if (op_flush(op))
		while (!op->answer && !atomic_load(&op->gone))
			read_once(op, true);
	answer = op->answer;
	op->answer = NULL;
	op->want_id = 0;
	watch_fd3(op, true);
	pthread_mutex_unlock(&op->in_lock);
	return answer;
}

bool
op_wait_go(struct resite_op *op)
{
	op_flush(op);
	while (!op->go && !op->stop && !atomic_load(&op->cancelled))
		op_read(op, true);
	return op->go && !atomic_load(&op->cancelled);
}

int
op_cancel_fd(struct resite_op *op)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int fd = -1, event_fd;

	pthread_mutex_lock(&op->in_lock);
	if (op->cancel_fd >= 0)
		goto out;
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fd = epoll_create1(EPOLL_CLOEXEC);
	if (event_fd < 0 || fd < 0 ||
	    epoll_ctl(fd, EPOLL_CTL_ADD, PROTOCOL_FD, &ev) < 0 ||
	    epoll_ctl(fd, EPOLL_CTL_ADD, event_fd, &ev) < 0) {
		if (event_fd >= 0)
			close(event_fd);
		if (fd >= 0)
			close(fd);
		goto out;
	}
	op->cancel_fd = fd;
	op->cancel_event_fd = event_fd;
	if (atomic_load(&op->cancelled))
		set_cancelled(op);
out:
	pthread_mutex_unlock(&op->in_lock);
	return op->cancel_fd;
}

int64_t
op_time_left(struct resite_op *op)
{
	int64_t now = clock_mono_ms(), left = op->deadline_ms - now;

	/* Whoever holds the lock reads, and will see a cancel. */
	if (now - atomic_load(&op->looked_ms) >= LOOK_EVERY_MS &&
	    pthread_mutex_trylock(&op->in_lock) == 0) {
		atomic_store(&op->looked_ms, now);
		read_once(op, false);
		pthread_mutex_unlock(&op->in_lock);
	}
	return atomic_load(&op->cancelled) || left < 0 ? 0 : left;
}
