/* What a nursery's parent tells it: plain lines, and forks with their descriptors. */
#include "core/worker/parent.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void
arm_ctl(struct nursery *n, bool out)
{
	if (n->ctl_out_armed == out || n->ctl_fd < 0)
		return;
	n->ctl_out_armed = out;
	nursery_watch(n, EPOLL_CTL_MOD, n->ctl_fd, EPOLLIN | (out ? (uint32_t)EPOLLOUT : 0), 0,
		      WATCH_CTL);
}

/* Sends the plain lines; false when some are left. */
static bool
send_lines(struct nursery *n)
{
	ssize_t r;

	while (n->out.len > 0) {
		r = send(n->ctl_fd, n->out.buf, n->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return false; /* full, or gone: then the read side says so */
		strbuf_consume(&n->out, (size_t)r);
	}
	return true;
}

static void
close_child_ends(struct attempt *a)
{
	close(a->child_sock_fd);
	close(a->child_log_fd);
	a->child_sock_fd = a->child_log_fd = -1;
}

/* One message for up to FORK_BATCH attempts; false when the socket is full. */
static bool
send_forks(struct nursery *n)
{
	size_t count = n->queued.len < FORK_BATCH ? n->queued.len : FORK_BATCH;
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(2 * FORK_BATCH * sizeof(int))];
	} control;
	struct iovec iov;
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			     .msg_controllen = CMSG_SPACE(2 * count * sizeof(int))};
	struct cmsghdr *c;
	ssize_t r;

	memset(&control, 0, sizeof(control));
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(2 * count * sizeof(int));
	strbuf_addstr(&n->out, "{\"kind\":\"fork\",\"ids\":[");
	for (size_t i = 0; i < count; i++) {
		struct attempt *a = n->queued.item[i];
		int fds[2] = {a->child_sock_fd, a->child_log_fd};

		strbuf_addf(&n->out, "%s%" PRId64, i ? "," : "", a->id);
		memcpy((char *)CMSG_DATA(c) + i * sizeof(fds), fds, sizeof(fds));
	}
	strbuf_addstr(&n->out, "],\"tags\":[");
	for (size_t i = 0; i < count; i++) {
		strbuf_addstr(&n->out, i ? "," : "");
		json_write_string(&n->out, n->queued.item[i]->tag ? n->queued.item[i]->tag : "");
	}
	strbuf_addstr(&n->out, "]}\n");
	iov = (struct iovec){.iov_base = n->out.buf, .iov_len = n->out.len};
	r = sendmsg(n->ctl_fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (r < 0) {
		strbuf_reset(&n->out);
		return false;
	}
	/* The descriptors went with the first byte; what is left is plain text. */
	strbuf_consume(&n->out, (size_t)r);
	for (size_t i = 0; i < count; i++)
		close_child_ends(n->queued.item[i]);
	n->queued.len -= count;
	memmove(n->queued.item, n->queued.item + count,
		n->queued.len * sizeof(n->queued.item[0]));
	return true;
}

void
nursery_flush(struct nursery *n)
{
	bool all = !n->lost && send_lines(n);

	while (all && n->queued.len > 0)
		all = send_forks(n) && send_lines(n);
	if (!n->lost)
		arm_ctl(n, !all);
}
