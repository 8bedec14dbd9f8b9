/* What the parent tells an attempt. */
#include "core/base/base.h"
#include "core/worker/parent.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static void
watch_out(struct attempt *a, bool on)
{
	if (a->sock_out == on || a->sock_fd < 0)
		return;
	a->sock_out = on;
	nursery_watch(a->nursery, EPOLL_CTL_MOD, a->sock_fd, EPOLLIN | (on ? (uint32_t)EPOLLOUT : 0),
		      a->id, WATCH_SOCK);
}

void
attempt_flush_out(struct attempt *a)
{
	ssize_t r = 1;

	while (a->out.len > 0 && r > 0) {
		r = send(a->sock_fd, a->out.buf, a->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (r > 0)
			strbuf_consume(&a->out, (size_t)r);
	}
	if (a->out.len == 0 && a->out.cap > 0) {
		explicit_bzero(a->out.buf, a->out.cap);
		strbuf_release(&a->out);
	}
	watch_out(a, a->out.len > 0);
}

void
attempt_send_line(struct attempt *a, struct strbuf *sb)
{
	ssize_t r = 0;

	if (a->sock_fd < 0 || a->ended)
		goto wipe;
	if (sb->failed) {
		attempt_broke_protocol(a, "no memory for an answer to it");
		goto wipe;
	}
	if (a->out.len == 0)
		r = send(a->sock_fd, sb->buf, sb->len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (r < 0 && errno != EAGAIN)
		goto wipe; /* it is gone: its end is on the way */
	if (r < 0)
		r = 0;
	if ((size_t)r < sb->len) {
		strbuf_add(&a->out, sb->buf + r, sb->len - (size_t)r);
		watch_out(a, true);
	}
	if (a->out.failed)
		attempt_broke_protocol(a, "no memory for an answer to it");
	else if (a->out.len > OUT_BYTES_MAX)
		attempt_broke_protocol(a, "it asks more and more, and reads no answer");
wipe:
	if (sb->cap > 0)
		explicit_bzero(sb->buf, sb->cap);
}

static void
send_text(struct attempt *a, const char *text)
{
	struct strbuf sb = STRBUF_INIT;

	strbuf_addstr(&sb, text);
	attempt_send_line(a, &sb);
	strbuf_release(&sb);
}

void
attempt_go(struct attempt *a)
{
	send_text(a, "{\"kind\":\"go\"}\n");
}

void
attempt_stop(struct attempt *a)
{
	send_text(a, "{\"kind\":\"stop\"}\n");
}

static void
answer_begin(struct strbuf *sb, const char *kind, int64_t id, int rc)
{
	strbuf_addf(sb, "{\"kind\":\"%s\",\"id\":%" PRId64 ",\"rc\":%d", kind, id, rc);
}

static void
answer_end(struct attempt *a, struct strbuf *sb)
{
	strbuf_addstr(sb, "}\n");
	attempt_send_line(a, sb);
	strbuf_release(sb);
}

void
attempt_done(struct attempt *a, int64_t id, int rc, const char *text)
{
	struct strbuf sb = STRBUF_INIT;

	answer_begin(&sb, "done", id, rc);
	if (text) {
		strbuf_addstr(&sb, ",\"text\":");
		json_write_string(&sb, text);
	}
	answer_end(a, &sb);
}

void
attempt_secret(struct attempt *a, int64_t id, int rc, const void *value, size_t len)
{
	struct strbuf sb = STRBUF_INIT;

	/* Room for all at once: growing would leave copies behind. */
	strbuf_grow(&sb, len * 4 / 3 + 128);
	answer_begin(&sb, "secret", id, value ? (int)len : rc);
	if (value) {
		strbuf_addstr(&sb, ",\"value\":\"");
		base64_encode(&sb, value, len);
		strbuf_addch(&sb, '"');
	}
	answer_end(a, &sb);
}

void
attempt_records(struct attempt *a, int64_t id, const char *records, size_t len)
{
	struct strbuf sb = STRBUF_INIT;

	answer_begin(&sb, "records", id, 0);
	strbuf_addstr(&sb, ",\"records\":");
	strbuf_add(&sb, records, len);
	answer_end(a, &sb);
}

void
attempt_no_records(struct attempt *a, int64_t id, int rc, const char *text)
{
	struct strbuf sb = STRBUF_INIT;

	answer_begin(&sb, "records", id, rc);
	strbuf_addstr(&sb, ",\"records\":[],\"text\":");
	json_write_string(&sb, text);
	answer_end(a, &sb);
}
