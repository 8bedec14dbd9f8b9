#include "core/base/base.h"
#include "core/worker/parent.h"
#include "core/worker/tag.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The descriptors that the process gets, none of them below 10: dup2 in the order of
 * the actions must not overwrite one that is still needed. */
struct ends {
	int null_fd, log_fd, ctl_fd, lock_fd;
};

static int
lift(int fd)
{
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10);

	if (fd >= 0)
		close(fd);
	return high;
}

static void
close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void
close_ends(const struct ends *e)
{
	close_fd(e->null_fd);
	close_fd(e->log_fd);
	close_fd(e->ctl_fd);
	close_fd(e->lock_fd);
}

static int
open_ends(int lock_fd, struct ends *e, struct worker_process *ret)
{
	int ctl[2] = {-1, -1}, log[2] = {-1, -1};

	*e = (struct ends){-1, -1, -1, -1};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ctl) < 0 ||
	    pipe2(log, O_CLOEXEC) < 0) {
		close_fd(ctl[0]);
		close_fd(ctl[1]);
		return -1;
	}
	e->null_fd = lift(open("/dev/null", O_RDWR | O_CLOEXEC));
	e->log_fd = lift(log[1]);
	e->ctl_fd = lift(ctl[1]);
	e->lock_fd = lock_fd < 0 ? -1 : fcntl(lock_fd, F_DUPFD_CLOEXEC, 10);
	if (e->null_fd >= 0 && e->log_fd >= 0 && e->ctl_fd >= 0 &&
	    (lock_fd < 0 || e->lock_fd >= 0)) {
		ret->ctl_fd = ctl[0];
		ret->log_fd = log[0];
		return 0;
	}
	close_ends(e);
	close(ctl[0]);
	close(log[0]);
	return -1;
}

static bool
is_dropped(const char *entry, const char *const *drop)
{
	for (; drop && *drop; drop++) {
		size_t len = strlen(*drop);

		if (!strncmp(entry, *drop, len) && entry[len] == '=')
			return true;
	}
	return false;
}

/* Our environment without the variables that hold secrets, and with room for the mark of
 * an attempt in place of our own; strings are borrowed.
 * LD_BIND_NOW: a symbol that a library binds lazily would be looked up, and its page
 * copied, in every attempt again; the nursery takes it out for what plugins start. */
static char **
make_env(char *bind_now, const char *const *drop)
{
	static const char *const mark[] = {TAG_VARIABLE, NULL};
	size_t n = 0, kept = 0;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + 3, sizeof(*env));
	for (size_t i = 0; env && i < n; i++)
		if (!is_dropped(environ[i], drop) && !is_dropped(environ[i], mark))
			env[kept++] = environ[i];
	if (env) {
		env[kept++] = (char *)(uintptr_t)tag_room;
		env[kept] = bind_now;
	}
	return env;
}

static int
add_actions(posix_spawn_file_actions_t *fa, posix_spawnattr_t *attr, const struct ends *e)
{
	sigset_t none, all;
	int r = 0;

	r |= posix_spawn_file_actions_adddup2(fa, e->null_fd, 0);
	r |= posix_spawn_file_actions_adddup2(fa, e->log_fd, 1);
	r |= posix_spawn_file_actions_adddup2(fa, e->log_fd, 2);
	r |= posix_spawn_file_actions_adddup2(fa, e->ctl_fd, PROTOCOL_FD);
	if (e->lock_fd >= 0)
		r |= posix_spawn_file_actions_adddup2(fa, e->lock_fd, PROTOCOL_LOCK_FD);
	r |= posix_spawn_file_actions_addclosefrom_np(fa, e->lock_fd >= 0 ? PROTOCOL_LOCK_FD + 1
									  : PROTOCOL_LOCK_FD);
	sigemptyset(&none);
	sigfillset(&all);
	r |= posix_spawnattr_setsigmask(attr, &none);
	r |= posix_spawnattr_setsigdefault(attr, &all);
	/* Its own group: Ctrl-C at the terminal is for resite alone. */
	r |= posix_spawnattr_setpgroup(attr, 0);
	r |= posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						    POSIX_SPAWN_SETPGROUP);
	return r ? ENOMEM : 0;
}

static int
spawn(const struct nursery_config *config, const struct ends *e, pid_t *ret_pid)
{
	char *argv[] = {strdup(config->worker_path), strdup(config->plugin_path), NULL};
	char bind_now[] = "LD_BIND_NOW=1";
	char **env = make_env(bind_now, config->drop_env);
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	int r = ENOMEM;

	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	if (argv[0] && argv[1] && env)
		r = add_actions(&fa, &attr, e);
	if (r == 0)
		r = posix_spawn(ret_pid, argv[0], &fa, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	free(env);
	free(argv[0]);
	free(argv[1]);
	return r;
}

int
worker_spawn(const struct nursery_config *config, struct worker_process *ret, struct error *err)
{
	struct worker_process w = {.ctl_fd = -1, .log_fd = -1};
	struct ends e;
	int r;

	if (open_ends(config->lock_fd, &e, &w) < 0)
		return error_errno(err, errno, "no descriptors for a worker");
	r = spawn(config, &e, &w.pid);
	close_ends(&e);
	if (r != 0) {
		close(w.ctl_fd);
		close(w.log_fd);
		return error_errno(err, r, "cannot start %s", config->worker_path);
	}
	*ret = w;
	return 0;
}

void
describe_status(int status, char *buf, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(buf, size, "killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(buf, size, "exit status %d", WEXITSTATUS(status));
}

void
worker_reap(pid_t pid, int64_t ms, char *why, size_t why_size)
{
	struct pollfd pfd = {.fd = pidfd_open(pid, 0), .events = POLLIN};
	int status = 0;

	if (pfd.fd < 0 || poll(&pfd, 1, (int)ms) <= 0)
		kill(pid, SIGKILL);
	if (pfd.fd >= 0)
		close(pfd.fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (why)
		describe_status(status, why, why_size);
}
