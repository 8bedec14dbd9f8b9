/* main.c -- resite-worker: a nursery.
 *
 * Loads one plugin, says hello on fd 3, then forks one process for each attempt
 * that it is asked for, reports how each ended, and ends with its parent.  It runs
 * none of the plugin's code itself.
 */
#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/strbuf.h"
#include "core/base/vec.h"
#include "core/worker/child.h"
#include "core/worker/load.h"
#include "core/worker/protocol.h"
#include "core/worker/slim.h"
#include "core/worker/tag.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	FDS_MAX = 253,       /* SCM_MAX_FD of the kernel */
	END_GRACE_MS = 2000, /* from TERM to KILL when the parent is gone */
	ORPHAN_WAIT_MS = 20,
	READ_MAX = 64 * 1024,
};

struct kid {
	int64_t id;
	pid_t pid;
	char *tag; /* owned */
};

struct nest {
	struct resite_plugin plugin;
	struct {
		struct kid *item;
		size_t len, cap;
	} kids;
	int fds[2 * FDS_MAX]; /* descriptors that arrived and no fork has used yet */
	size_t n_fds;
	int signal_fd;
	/* Marks of attempts that did not end by themselves: the parent ends what they have
	 * left, and when it is gone, we do. */
	struct {
		char **item;
		size_t len, cap;
	} lost;
	unsigned first_closed; /* an attempt has no descriptor from here on */
	pid_t pid;
	struct lines in;
	struct strbuf out;
};

/* Sends and empties nest->out; the parent being gone is seen at the next read. */
static void
flush(struct nest *nest)
{
	size_t at = 0;
	ssize_t n;

	while (at < nest->out.len) {
		n = send(PROTOCOL_FD, nest->out.buf + at, nest->out.len - at, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			break;
		at += n > 0 ? (size_t)n : 0;
	}
	strbuf_reset(&nest->out);
}

/* --- children ------------------------------------------------------------------ */

/* In the forked process: becomes the attempt's.  Everything that it inherits is
 * closed but 0 to 3 and the run's lock. */
static _Noreturn void
become_attempt(struct nest *nest, const char *tag, int sock_fd, int log_fd)
{
	sigset_t none;

	tag_mark(tag);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != nest->pid)
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(log_fd, STDOUT_FILENO);
	dup2(log_fd, STDERR_FILENO);
	/* Closed on exec: a program that the plugin starts has no business there. */
	dup3(sock_fd, PROTOCOL_FD, O_CLOEXEC);
	close_range(nest->first_closed, ~0U, 0);
	attempt_run(&nest->plugin);
}

static void
report_not_started(struct nest *nest, int64_t id, const char *what, int errnum)
{
	char text[128];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(errnum));
	strbuf_addf(&nest->out, "{\"kind\":\"exited\",\"id\":%" PRId64 ",\"error\":", id);
	json_write_string(&nest->out, text);
	strbuf_addstr(&nest->out, "}\n");
}

static void
start_kid(struct nest *nest, int64_t id, const char *tag, int sock_fd, int log_fd)
{
	struct kid kid = {.id = id, .tag = strdup(tag ? tag : "")};

	if (!kid.tag || vec_reserve(&nest->kids.item, nest->kids.len + 1, &nest->kids.cap) < 0) {
		report_not_started(nest, id, "fork", ENOMEM);
		free(kid.tag);
		return;
	}
	kid.pid = fork();
	if (kid.pid == 0)
		become_attempt(nest, kid.tag, sock_fd, log_fd);
	if (kid.pid > 0) {
		nest->kids.item[nest->kids.len++] = kid;
		return;
	}
	report_not_started(nest, id, "fork", errno);
	free(kid.tag);
}

/* A kid that has not yet made its group is signalled alone; it has started nothing. */
static void
signal_kid(const struct kid *kid, int sig)
{
	if (kill(-kid->pid, sig) < 0 && errno == ESRCH)
		kill(kid->pid, sig);
}

static void
report_exit(struct nest *nest, const struct kid *kid, int status, const struct rusage *ru)
{
	int64_t cpu_us = (int64_t)(ru->ru_utime.tv_sec + ru->ru_stime.tv_sec) * 1000000 +
			 ru->ru_utime.tv_usec + ru->ru_stime.tv_usec;

	strbuf_addf(&nest->out,
		    "{\"kind\":\"exited\",\"id\":%" PRId64 ",\"pid\":%d,\"%s\":%d,"
		    "\"maxrss_kb\":%ld,\"cpu_us\":%" PRId64 "}\n",
		    kid->id, (int)kid->pid, WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		    ru->ru_maxrss, cpu_us);
}

/* Takes the string. */
static void
keep_mark(struct nest *nest, char *tag)
{
	if (!tag || vec_reserve(&nest->lost.item, nest->lost.len + 1, &nest->lost.cap) < 0)
		free(tag); /* the next resume finds what it stands for */
	else
		nest->lost.item[nest->lost.len++] = tag;
}

/* What is left of the group is killed before its leader is reaped: until then the
 * kernel gives the number to nobody else. */
static void
reap_one(struct nest *nest, pid_t pid)
{
	struct rusage ru = {0};
	size_t i = 0;
	int status = 0;

	while (i < nest->kids.len && nest->kids.item[i].pid != pid)
		i++;
	if (i < nest->kids.len)
		kill(-pid, SIGKILL);
	if (wait4(pid, &status, WNOHANG, &ru) != pid || i == nest->kids.len)
		return; /* an orphan of an attempt: nobody asks how it ended */
	report_exit(nest, &nest->kids.item[i], status, &ru);
	if (status != 0)
		keep_mark(nest, nest->kids.item[i].tag);
	else
		free(nest->kids.item[i].tag);
	nest->kids.item[i] = nest->kids.item[--nest->kids.len];
}

static void
reap(struct nest *nest)
{
	siginfo_t info = {0};

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0) {
		reap_one(nest, info.si_pid);
		info.si_pid = 0;
	}
}

/* Reads before it reaps: a child that ends in between is signalled again. */
static void
on_child_signal(struct nest *nest)
{
	struct signalfd_siginfo si;

	if (read(nest->signal_fd, &si, sizeof(si)) > 0)
		reap(nest);
}

/* --- the parent's wishes --------------------------------------------------------- */

static void
take_fds(struct nest *nest, int *ret_sock, int *ret_log)
{
	*ret_sock = nest->fds[0];
	*ret_log = nest->fds[1];
	nest->n_fds -= 2;
	memmove(nest->fds, nest->fds + 2, nest->n_fds * sizeof(nest->fds[0]));
}

static int
on_fork(struct nest *nest, const json_t *msg)
{
	const json_t *ids = json_object_get(msg, "ids"), *tags = json_object_get(msg, "tags");
	int sock_fd, log_fd;

	for (size_t i = 0; i < json_array_size(ids); i++) {
		int64_t id = json_integer_value(json_array_get(ids, i));

		if (nest->n_fds < 2)
			return E_PROTOCOL;
		take_fds(nest, &sock_fd, &log_fd);
		start_kid(nest, id, json_string_value(json_array_get(tags, i)), sock_fd, log_fd);
		close(sock_fd);
		close(log_fd);
	}
	return 0;
}

static int
on_signal(struct nest *nest, const json_t *msg)
{
	int64_t id = json_int_or(msg, "id", -1);
	int sig = (int)json_int_or(msg, "signal", SIGTERM);

	for (size_t i = 0; i < nest->kids.len; i++)
		if (nest->kids.item[i].id == id)
			signal_kid(&nest->kids.item[i], sig);
	return 0; /* one that has ended already is no error: the report is on its way */
}

static int
on_line(void *ctx, char *line, size_t len)
{
	struct nest *nest = ctx;
	json_t *msg = json_parse(line, len, NULL);
	const char *kind = json_str_or(msg, "kind", "");
	int r = E_PROTOCOL;

	if (!strcmp(kind, "fork"))
		r = on_fork(nest, msg);
	else if (!strcmp(kind, "signal"))
		r = on_signal(nest, msg);
	json_decref(msg);
	return r;
}

static void
keep_fds(struct nest *nest, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		if (nest->n_fds + n > COUNT_OF(nest->fds))
			_exit(1); /* more than any of our messages carries */
		memcpy(nest->fds + nest->n_fds, CMSG_DATA(c), n * sizeof(int));
		nest->n_fds += n;
	}
}

/* One read from the parent; 0, or < 0 when it is gone or talks nonsense. */
static int
read_parent(struct nest *nest)
{
	static char buf[READ_MAX + 1];
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = buf, .iov_len = READ_MAX};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	ssize_t n = recvmsg(PROTOCOL_FD, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : E_IO;
	keep_fds(nest, &msg);
	if (n == 0)
		return E_IO;
	return lines_feed(&nest->in, buf, (size_t)n, on_line, nest);
}

/* --- life ------------------------------------------------------------------------ */

/* Waits; true when the parent has something to say or is gone. */
static bool
wait_for_event(struct nest *nest, bool with_parent, int64_t ms)
{
	struct pollfd fds[2] = {{.fd = nest->signal_fd, .events = POLLIN},
				{.fd = PROTOCOL_FD, .events = POLLIN}};

	if (poll(fds, with_parent ? 2 : 1, (int)ms) <= 0)
		return false;
	if (fds[0].revents)
		on_child_signal(nest);
	return fds[1].revents != 0;
}

static void
signal_all(struct nest *nest, int sig)
{
	for (size_t i = 0; i < nest->kids.len; i++)
		signal_kid(&nest->kids.item[i], sig);
}

/* --- daemons --------------------------------------------------------------------- */

static bool
has_lock(pid_t pid)
{
	struct stat ours, its;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, PROTOCOL_LOCK_FD);
	return fstat(PROTOCOL_LOCK_FD, &ours) == 0 && stat(path, &its) == 0 &&
	       ours.st_dev == its.st_dev && ours.st_ino == its.st_ino;
}

/* Kills those of our children that have kept the run's lock; how many. */
static unsigned
kill_lock_holders(void)
{
	FILE *children = fopen("/proc/thread-self/children", "re");
	unsigned n = 0;
	int pid;

	while (children && fscanf(children, "%d", &pid) == 1)
		if (has_lock(pid)) {
			kill(pid, SIGKILL);
			n++;
		}
	if (children)
		fclose(children);
	return n;
}

/* What an attempt left outside of its group has come to us, the subreaper.  With the
 * run's lock it could act beside the next generation, which waits for it; a daemon that
 * was meant to stay has closed the lock.  Killing one may bring its children here. */
static void
end_orphans(struct nest *nest)
{
	if (nest->first_closed <= PROTOCOL_LOCK_FD)
		return; /* there is no lock */
	while (kill_lock_holders() > 0)
		wait_for_event(nest, false, ORPHAN_WAIT_MS);
}

static bool
is_lost_tag(void *ctx, const char *tag)
{
	const struct nest *nest = ctx;

	for (size_t i = 0; i < nest->lost.len; i++)
		if (!strcmp(nest->lost.item[i], tag))
			return true;
	return false;
}

/* The parent is gone: nobody is left who could be told of anything, and how an attempt
 * ends no longer counts.  What it has started ends with it, daemon or not. */
static void
end_all(struct nest *nest)
{
	int64_t until = clock_mono_ms() + END_GRACE_MS, left;

	for (size_t i = 0; i < nest->kids.len; i++)
		keep_mark(nest, strdup(nest->kids.item[i].tag));
	signal_all(nest, SIGTERM);
	while (nest->kids.len > 0 && (left = until - clock_mono_ms()) > 0)
		wait_for_event(nest, false, left);
	signal_all(nest, SIGKILL);
	while (nest->kids.len > 0)
		wait_for_event(nest, false, -1);
	if (nest->lost.len > 0)
		tag_kill(nest->pid, is_lost_tag, nest, END_GRACE_MS);
	end_orphans(nest);
}

static void
serve(struct nest *nest)
{
	int r = 0;

	while (r == 0) {
		if (wait_for_event(nest, true, -1))
			r = read_parent(nest);
		if (nest->out.len > 0)
			flush(nest);
	}
	end_all(nest);
}

static int
set_up(struct nest *nest)
{
	sigset_t chld;

	unsetenv("LD_BIND_NOW"); /* spawn.c says why it was there */
	prctl(PR_SET_NAME, "resite-nursery");
	/* Orphans of an attempt come here, so that they are reaped. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	nest->signal_fd = signalfd(-1, &chld, SFD_NONBLOCK | SFD_CLOEXEC);
	nest->pid = getpid();
	/* What a plugin prints before it crashes is seen. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* Here once, or every attempt would read /dev/urandom for it. */
	json_object_seed(0);
	fcntl(PROTOCOL_FD, F_SETFD, FD_CLOEXEC);
	return nest->signal_fd < 0 ? E_IO : 0;
}

int
main(int argc, char **argv)
{
	static struct nest nest = {.in = {.max = PROTOCOL_LINE_MAX}};
	struct error err = {0};

	if (argc != 2 || fcntl(PROTOCOL_FD, F_GETFD) < 0) {
		fputs("resite-worker is started by resite, with a plugin's path and a socket on "
		      "descriptor 3\n", stderr);
		return 2;
	}
	strbuf_init(&nest.out);
	nest.first_closed = fcntl(PROTOCOL_LOCK_FD, F_GETFD) < 0 ? PROTOCOL_LOCK_FD
								 : PROTOCOL_LOCK_FD + 1;
	if (plugin_load(argv[1], &nest.plugin, &err) < 0) {
		strbuf_addstr(&nest.out, "{\"kind\":\"refused\",\"text\":");
		json_write_string(&nest.out, err.text);
		strbuf_addstr(&nest.out, "}\n");
		flush(&nest);
		return 1;
	}
	if (set_up(&nest) < 0) {
		perror("resite-worker: signalfd");
		return 1;
	}
	slim_mappings();
	plugin_write_hello(&nest.out, &nest.plugin);
	flush(&nest);
	serve(&nest);
	return 0;
}
