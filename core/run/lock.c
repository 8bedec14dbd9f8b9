#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/strbuf.h"
#include "core/run/lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 20

static int
open_lock(const char *state_dir, const char *run, const char *ending, int flags, int *ret_fd,
	  struct error *err)
{
	struct strbuf path = STRBUF_INIT;
	int rc = 0;

	strbuf_addf(&path, "%s/%s.%s", state_dir, run, ending);
	*ret_fd = path.failed ? -1 : open(path.buf, flags, 0640);
	if (*ret_fd < 0)
		rc = path.failed ? error_set(err, E_NOMEM, "out of memory") :
				   error_errno(err, errno, "cannot open %s", path.buf);
	strbuf_release(&path);
	return rc;
}

static int
read_pid(int fd)
{
	char text[32] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	return n > 0 ? atoi(text) : 0;
}

static int
write_pid(int fd, struct error *err)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		return error_errno(err, errno, "cannot write the run's lock file");
	return 0;
}

static int
take_owner(struct run_lock *lock, const char *state_dir, const char *run, struct error *err)
{
	int rc = open_lock(state_dir, run, "owner", O_RDWR | O_CREAT | O_CLOEXEC, &lock->owner_fd, err);

	if (rc < 0)
		return rc;
	if (flock(lock->owner_fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, E_BUSY, "run %s is under way: process %d has it (resite "
				 "status %s shows it)", run, read_pid(lock->owner_fd), run);
	return write_pid(lock->owner_fd, err);
}

/* --- who else holds it ----------------------------------------------------- */

static bool
same_file(const char *path, const struct stat *wanted)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_dev == wanted->st_dev && st.st_ino == wanted->st_ino;
}

/* Whether the process has the file open; one that we may not look at has not. */
static bool
has_open(const char *pid, const struct stat *file)
{
	char path[sizeof("/proc//fd/") + 2 * NAME_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	fds = opendir(path);
	while (!found && fds && (entry = readdir(fds)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, entry->d_name);
		found = same_file(path, file);
	}
	if (fds)
		closedir(fds);
	return found;
}

/* Each process but this one that has the file of fd open. */
static void
each_holder(int fd, void (*each)(void *ctx, const char *pid, const struct stat *file), void *ctx)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	struct stat file;

	if (fstat(fd, &file) < 0)
		file = (struct stat){0};
	while (proc && (entry = readdir(proc)) != NULL)
		if (atoi(entry->d_name) > 0 && atoi(entry->d_name) != getpid() &&
		    has_open(entry->d_name, &file))
			each(ctx, entry->d_name, &file);
	if (proc)
		closedir(proc);
}

static void
list_one(void *ctx, const char *pid, const struct stat *file)
{
	(void)file;
	strbuf_addf(ctx, " %s", pid);
}

/* It has been looked at before its number was made sure of: look again. */
static void
kill_one(void *ctx, const char *pid, const struct stat *file)
{
	int fd = pidfd_open(atoi(pid), 0);

	(void)ctx;
	if (fd >= 0 && has_open(pid, file))
		pidfd_send_signal(fd, SIGKILL, NULL, 0);
	if (fd >= 0)
		close(fd);
}

static int
still_held(int fd, const char *run, struct error *err)
{
	struct strbuf pids = STRBUF_INIT;
	int rc;

	each_holder(fd, list_one, &pids);
	rc = error_set(err, E_BUSY, "run %s: processes that its last orchestrator has left are still "
		       "alive and may act: look at them (ps -fp%s), end them (kill -KILL%s), then "
		       "resume again", run, pids.len ? pids.buf : " ?", pids.len ? pids.buf : " ?");
	strbuf_release(&pids);
	return rc;
}

static int
take_workers(struct run_lock *lock, const char *state_dir, const char *run, int64_t wait_ms,
	     struct error *err)
{
	int64_t end_ms = clock_mono_ms() + wait_ms, kill_ms = end_ms - wait_ms * 2 / 3;
	int rc = open_lock(state_dir, run, "workers", O_RDWR | O_CREAT, &lock->workers_fd, err);
	struct stat st = {0};

	if (rc < 0)
		return rc;
	fstat(lock->workers_fd, &st);
	snprintf(lock->scope, sizeof(lock->scope), "%" PRIxMAX ".%" PRIxMAX,
		 (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	while (flock(lock->workers_fd, LOCK_EX | LOCK_NB) < 0) {
		struct timespec pause = {.tv_nsec = POLL_MS * 1000000};

		if (clock_mono_ms() >= end_ms)
			return still_held(lock->workers_fd, run, err);
		if (clock_mono_ms() >= kill_ms)
			each_holder(lock->workers_fd, kill_one, NULL);
		nanosleep(&pause, NULL);
	}
	return 0;
}

int
run_lock_own(struct run_lock *lock, const char *state_dir, const char *run, struct error *err)
{
	int rc;

	*lock = (struct run_lock)RUN_LOCK_INIT;
	rc = take_owner(lock, state_dir, run, err);
	if (rc < 0)
		run_lock_release(lock);
	return rc;
}

int
run_lock_take(struct run_lock *lock, const char *state_dir, const char *run, int64_t wait_ms,
	      struct error *err)
{
	int rc = run_lock_own(lock, state_dir, run, err);

	if (rc < 0)
		return rc;
	rc = take_workers(lock, state_dir, run, wait_ms, err);
	if (rc < 0)
		run_lock_release(lock);
	return rc;
}

void
run_lock_release(struct run_lock *lock)
{
	if (lock->owner_fd >= 0)
		close(lock->owner_fd);
	if (lock->workers_fd >= 0)
		close(lock->workers_fd);
	*lock = (struct run_lock)RUN_LOCK_INIT;
}

int
run_lock_workers_gone(const char *state_dir, const char *run, struct error *err)
{
	int fd, rc = 0;

	/* Without the file nothing was ever started. */
	if (open_lock(state_dir, run, "workers", O_CLOEXEC, &fd, NULL) < 0)
		return 0;
	if (flock(fd, LOCK_SH | LOCK_NB) < 0)
		rc = still_held(fd, run, err);
	close(fd);
	return rc;
}

bool
run_lock_known(const char *state_dir, const char *run)
{
	int fd;

	if (open_lock(state_dir, run, "owner", O_CLOEXEC, &fd, NULL) < 0)
		return false;
	close(fd);
	return true;
}

int
run_lock_owner(const char *state_dir, const char *run)
{
	int fd, pid = 0;

	if (open_lock(state_dir, run, "owner", O_CLOEXEC, &fd, NULL) < 0)
		return 0;
	if (flock(fd, LOCK_SH | LOCK_NB) < 0)
		pid = read_pid(fd);
	close(fd);
	return pid;
}
