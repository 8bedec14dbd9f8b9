#define _GNU_SOURCE
#include "sdk/proc/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/timerfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 64 * 1024, /* of one line; the rest of it is left out */
	READ_BYTES = 16 * 1024,
	TERM_GRACE_MS = 2000, /* from SIGTERM to SIGKILL */
};

struct stream {
	int fd; /* -1: at its end */
	bool is_stderr;
	size_t len;
	char *line; /* LINE_MAX_BYTES + 1; NULL until the first byte */
};

struct running {
	const struct command_io *io;
	struct command_end *end;
	struct stream out, err;
	int ep_fd;
	int end_fd;   /* readable at the command's end, or now and then: see open_end_fd */
	pid_t pid;
	bool tail_is_stderr;
};

/* --- start --------------------------------------------------------------------------- */

/* Written by the child of vfork, which shares our memory until it execs. */
struct failure {
	volatile int errnum;
	const char *volatile what;
};

static _Noreturn void
fail_child(struct failure *f, const char *what)
{
	f->errnum = errno;
	f->what = what;
	_exit(127);
}

/* Only system calls here: the memory is the parent's. */
static _Noreturn void
become_command(const struct command *cmd, const int fds[3], const sigset_t *mask, pid_t parent,
	       struct failure *f)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			fail_child(f, "dup2");
	/* Where close_range is not known (valgrind) the few that are open are closed one by one. */
	if (cmd->leaves_service && close_range(3, ~0U, 0) < 0)
		for (int fd = 3; fd < 64; fd++)
			close(fd);
	if (cmd->cwd && chdir(cmd->cwd) < 0)
		fail_child(f, "chdir");
	sigprocmask(SIG_SETMASK, mask, NULL);
	execve(cmd->argv[0], cmd->argv, cmd->env);
	fail_child(f, "exec");
}

/* vfork: no page table is copied for a process that only calls exec; posix_spawn
 * cannot set PDEATHSIG. */
static pid_t
start(const struct command *cmd, const int fds[3], struct failure *f)
{
	sigset_t all, old;
	pid_t parent = getpid(), pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = vfork();
	if (pid == 0)
		become_command(cmd, fds, &old, parent, f);
	if (pid < 0) {
		f->errnum = errno;
		f->what = "vfork";
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid > 0 && f->errnum != 0)
		waitpid(pid, NULL, 0);
	return f->errnum ? -1 : pid;
}

/* A file in memory: the command reads it at its own pace, and we need not feed it. */
static int
open_input(const struct command *cmd)
{
	const char *p = cmd->input;
	size_t left = cmd->input_len;
	int fd;

	if (!p)
		return open(cmd->input_path ? cmd->input_path : "/dev/null", O_RDONLY | O_CLOEXEC);
	fd = memfd_create("stdin", MFD_CLOEXEC);
	while (fd >= 0 && left > 0) {
		ssize_t n = write(fd, p, left);

		if (n < 0) {
			close(fd);
			return -1;
		}
		p += n;
		left -= (size_t)n;
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

static void
close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static int
spawn(const struct command *cmd, struct running *r, struct failure *f)
{
	int out[2] = {-1, -1}, err[2] = {-1, -1}, in = open_input(cmd);

	if (in < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0) {
		f->errnum = errno;
		f->what = "opening its descriptors";
	} else {
		r->pid = start(cmd, (const int[3]){in, cmd->output_fd > 0 ? cmd->output_fd : out[1],
						   err[1]}, f);
	}
	close_fd(in);
	close_fd(out[1]);
	close_fd(err[1]);
	r->out.fd = out[0];
	r->err.fd = err[0];
	if (f->errnum != 0)
		return f->errnum;
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	return 0;
}

/* --- its words ------------------------------------------------------------------------- */

static void
keep_tail(struct running *r, const struct stream *s)
{
	if (s->len == 0 || (r->tail_is_stderr && !s->is_stderr))
		return;
	r->tail_is_stderr = s->is_stderr;
	snprintf(r->end->tail, sizeof(r->end->tail), "%.*s", COMMAND_TAIL_MAX - 1, s->line);
}

static void
end_line(struct running *r, struct stream *s)
{
	if (s->len > 0 && s->line[s->len - 1] == '\r')
		s->len--;
	s->line[s->len] = '\0';
	keep_tail(r, s);
	r->io->line(r->io->ctx, s->is_stderr, s->line);
	s->len = 0;
}

static void
take(struct running *r, struct stream *s, const char *buf, size_t n)
{
	if (!s->line)
		s->line = malloc(LINE_MAX_BYTES + 1);
	for (size_t i = 0; s->line && i < n; i++) {
		if (buf[i] == '\n')
			end_line(r, s);
		else if (s->len < LINE_MAX_BYTES)
			s->line[s->len++] = buf[i] ? buf[i] : '?';
	}
}

/* Reads what is there; at the end of the stream its fd becomes -1. */
static void
drain(struct running *r, struct stream *s)
{
	char buf[READ_BYTES];
	ssize_t n;

	while (s->fd >= 0 && (n = read(s->fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		take(r, s, buf, (size_t)n);
	}
	if (s->fd < 0)
		return;
	close(s->fd); /* also leaves the epoll set */
	s->fd = -1;
}

static void
finish_stream(struct running *r, struct stream *s)
{
	drain(r, s);
	if (s->len > 0)
		end_line(r, s);
	close_fd(s->fd);
	free(s->line);
}

/* --- until its end ----------------------------------------------------------------------- */

/* A descriptor that wakes us at the command's end.  Where there are no pidfds (a kernel
 * before 5.3, valgrind) a timer does it, by waking us to look. */
static int
open_end_fd(pid_t pid)
{
	static const struct itimerspec often = {
		.it_interval = {.tv_nsec = 20000000}, .it_value = {.tv_nsec = 20000000}};
	int fd = pidfd_open(pid, 0);

	if (fd >= 0 || errno != ENOSYS)
		return fd;
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd >= 0)
		timerfd_settime(fd, 0, &often, NULL);
	return fd;
}

static bool
has_ended(const struct running *r)
{
	siginfo_t info = {.si_pid = 0};
	uint64_t ticks;

	/* Only the timer has something to read; a pidfd says EINVAL. */
	if (read(r->end_fd, &ticks, sizeof(ticks)) < 0)
		errno = 0;
	return waitid(P_PID, (id_t)r->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid != 0;
}

/* All of the group but us is told to stop, then the command is killed.  What else is
 * left of the group is killed by whoever reaps this process. */
static void
stop(struct running *r)
{
	void (*before)(int) = signal(SIGTERM, SIG_IGN);
	struct pollfd pfd = {.fd = r->ep_fd, .events = POLLIN};
	int turns = TERM_GRACE_MS / 20;

	r->end->stopped = true;
	if (getpgrp() == getpid())
		kill(0, SIGTERM);
	else
		kill(r->pid, SIGTERM);
	while (!has_ended(r) && turns-- > 0) {
		poll(&pfd, 1, 20);
		drain(r, &r->out);
		drain(r, &r->err);
	}
	kill(r->pid, SIGKILL);
	signal(SIGTERM, before);
}

static int
watch(struct running *r)
{
	struct epoll_event ev = {.events = EPOLLIN};

	r->end_fd = open_end_fd(r->pid);
	r->ep_fd = epoll_create1(EPOLL_CLOEXEC);
	if (r->end_fd < 0 || r->ep_fd < 0 ||
	    epoll_ctl(r->ep_fd, EPOLL_CTL_ADD, r->end_fd, &ev) < 0 ||
	    epoll_ctl(r->ep_fd, EPOLL_CTL_ADD, r->out.fd, &ev) < 0 ||
	    epoll_ctl(r->ep_fd, EPOLL_CTL_ADD, r->err.fd, &ev) < 0)
		return errno;
	return 0;
}

static void
reap(struct running *r)
{
	int status = 0;

	while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
		;
	r->end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	r->end->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
command_run(const struct command *cmd, const struct command_io *io, struct command_end *ret_end,
	    const char **ret_what)
{
	struct failure f = {0};
	struct running r = {.io = io, .end = ret_end, .end_fd = -1, .ep_fd = -1,
			    .out = {.fd = -1}, .err = {.fd = -1, .is_stderr = true}};
	int errnum = spawn(cmd, &r, &f);

	memset(ret_end, 0, sizeof(*ret_end));
	if (errnum == 0 && (errnum = watch(&r)) != 0) {
		f.what = "watching it";
		kill(r.pid, SIGKILL);
		reap(&r);
	}
	while (errnum == 0 && !ret_end->stopped && !has_ended(&r)) {
		if (io->wait(io->ctx, r.ep_fd) != 0)
			stop(&r);
		drain(&r, &r.out);
		drain(&r, &r.err);
	}
	if (errnum == 0)
		reap(&r);
	/* What it wrote is in the pipes now; what its children still write is not ours. */
	finish_stream(&r, &r.out);
	finish_stream(&r, &r.err);
	close_fd(r.ep_fd);
	close_fd(r.end_fd);
	*ret_what = f.what;
	return errnum;
}
