/* The shim of `resite certify`: preloaded into the orchestrator and its workers, it makes
 * one of their calls go wrong.  See fault.h.
 *
 * All calls are made with syscall(2), so that nothing has to be looked up first.  The
 * orchestrator writes its journal from one thread, so the arena needs no lock.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/certify/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define WORKER_FD 3 /* a worker's socket (core/worker/protocol.h) */

/* What is called here has no room for a context of ours. */
struct shim *
the_shim(void)
{
	static struct shim shim;

	return &shim;
}

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv(FAULT_ENV), *name = program_invocation_short_name;
	struct shim *s = the_shim();
	int fd;

	s->role = !strcmp(name, "resite") ? ROLE_OWNER :
		  !strcmp(name, "resite-worker") ? ROLE_WORKER : ROLE_NONE;
	if (!path || s->role == ROLE_NONE)
		return;
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	s->page = mmap(NULL, sizeof(*s->page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	syscall(SYS_close, fd);
	if (s->page == MAP_FAILED || s->page->magic != FAULT_MAGIC)
		s->page = NULL;
	else if (s->role == ROLE_OWNER)
		s->page->owner = getpid();
}

/* --- what goes wrong ----------------------------------------------------- */

static _Noreturn void
die(void)
{
	for (;;)
		syscall(SYS_kill, getpid(), SIGKILL);
}

static bool
lasts(uint32_t act)
{
	return act == FAULT_ENOSPC || act == FAULT_EIO;
}

/* Counts a call at place; what is to go wrong with it, and whether for the first time. */
static enum fault_act
arrive(enum fault_place place, bool *ret_first)
{
	struct fault_page *p = the_shim()->page;
	uint32_t n;

	*ret_first = false;
	if (p->cut)
		die();
	n = ++p->count[place];
	if (p->act == FAULT_NONE || p->place != (uint32_t)place || n < p->at ||
	    (n > p->at && !lasts(p->act)))
		return FAULT_NONE;
	*ret_first = n == p->at;
	p->fired = 1;
	return (enum fault_act)p->act;
}

static void
cut_power(void)
{
	struct fault_page *p = the_shim()->page;

	p->cut = 1;
	if (the_shim()->role == ROLE_WORKER)
		syscall(SYS_kill, p->owner, SIGKILL);
	die();
}

static void
before(enum fault_act act)
{
	switch (act) {
	case FAULT_KILL_BEFORE: die();
	case FAULT_POWER: cut_power(); break;
	case FAULT_NURSERY_BEFORE: syscall(SYS_kill, getppid(), SIGKILL); break;
	case FAULT_OWNER_BEFORE: syscall(SYS_kill, the_shim()->page->owner, SIGKILL); break;
	default: break;
	}
}

static void
after(enum fault_act act)
{
	switch (act) {
	case FAULT_KILL_TORN:
	case FAULT_KILL_AFTER: die();
	case FAULT_POWER_SOME:
	case FAULT_POWER_AFTER: cut_power(); break;
	case FAULT_NURSERY_AFTER: syscall(SYS_kill, getppid(), SIGKILL); break;
	case FAULT_OWNER_AFTER: syscall(SYS_kill, the_shim()->page->owner, SIGKILL); break;
	default: break;
	}
}

/* How much of n bytes is done. */
static size_t
part(enum fault_act act, size_t n)
{
	return act == FAULT_KILL_TORN || act == FAULT_SHORT || act == FAULT_ENOSPC ? n / 2 : n;
}

/* The errno with which the call fails before anything is done; 0: it does not. */
static int
failure(enum fault_act act, bool first, size_t n)
{
	if (act == FAULT_EIO || act == FAULT_EIO_ONCE)
		return EIO;
	return act == FAULT_ENOSPC && (!first || n < 2) ? ENOSPC : 0;
}

/* --- the calls: files ---------------------------------------------------- */

struct output {
	const void *buf;
	size_t len;
	off_t offset;
	bool at_offset; /* else where the file stands */
};

static ssize_t
put(int fd, const struct output *o, size_t len)
{
	return o->at_offset ? syscall(SYS_pwrite64, fd, o->buf, len, o->offset) :
			      syscall(SYS_write, fd, o->buf, len);
}

static ssize_t
journal_write(int fd, const char *path, const struct output *o)
{
	bool first;
	enum fault_act act = arrive(FAULT_WRITE, &first);
	int error = failure(act, first, o->len);
	size_t len = part(act, o->len);
	ssize_t done;

	before(act);
	if (error) {
		errno = error;
		return -1;
	}
	shim_keep_bytes(fd, path, (uint64_t)(o->at_offset ? o->offset : lseek(fd, 0, SEEK_CUR)), len);
	done = put(fd, o, len);
	after(act);
	return done;
}

static ssize_t
message(enum fault_place place, int fd, const struct msghdr *msg, int flags)
{
	bool first;
	enum fault_act act = arrive(place, &first);
	struct msghdr half = *msg;
	struct iovec iov = msg->msg_iov[0];
	ssize_t done;

	before(act);
	if (act == FAULT_KILL_TORN && msg->msg_iovlen == 1) {
		iov.iov_len = part(act, iov.iov_len);
		half.msg_iov = &iov;
	}
	done = syscall(SYS_sendmsg, fd, &half, flags);
	after(act);
	return done;
}

static ssize_t
effect(int fd, const void *buf, size_t len)
{
	bool first;
	enum fault_act act = arrive(FAULT_EFFECT, &first);
	ssize_t done;

	before(act);
	/* The world is a server: it does something whole or not at all. */
	if (act == FAULT_ENOSPC || act == FAULT_EIO || act == FAULT_EIO_ONCE) {
		errno = act == FAULT_ENOSPC ? ENOSPC : EIO;
		return -1;
	}
	done = syscall(SYS_write, fd, buf, len);
	after(act);
	if (act == FAULT_EIO_AFTER) {
		errno = EIO;
		return -1;
	}
	return done;
}

static bool
is_effect(const void *buf, size_t len)
{
	size_t prefix = sizeof(FAULT_EFFECT_PREFIX) - 1;

	return the_shim()->page && the_shim()->role == ROLE_WORKER && len > prefix &&
	       !memcmp(buf, FAULT_EFFECT_PREFIX, prefix);
}

EXPORT ssize_t
write(int fd, const void *buf, size_t len)
{
	char path[PATH_MAX];

	if (is_effect(buf, len))
		return effect(fd, buf, len);
	if (shim_is_ours(fd, path))
		return journal_write(fd, path, &(struct output){.buf = buf, .len = len});
	return syscall(SYS_write, fd, buf, len);
}

EXPORT ssize_t
pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	struct output o = {.buf = buf, .len = len, .offset = offset, .at_offset = true};
	char path[PATH_MAX];

	return shim_is_ours(fd, path) ? journal_write(fd, path, &o) : put(fd, &o, len);
}

EXPORT ssize_t pwrite64(int fd, const void *buf, size_t len, off_t offset);
ssize_t
pwrite64(int fd, const void *buf, size_t len, off_t offset)
{
	return pwrite(fd, buf, len, offset);
}

static int
truncate_file(int fd, const char *path, off_t size)
{
	bool first;
	enum fault_act act = arrive(FAULT_WRITE, &first);
	struct stat st;
	int error = failure(act, false, 0), rc;

	before(act);
	if (error) {
		errno = error;
		return -1;
	}
	if (fstat(fd, &st) == 0)
		shim_keep_bytes(fd, path, (uint64_t)size,
			   size < st.st_size ? (uint64_t)(st.st_size - size) : 0);
	rc = (int)syscall(SYS_ftruncate, fd, size);
	after(act);
	return rc;
}

EXPORT int
ftruncate(int fd, off_t size)
{
	char path[PATH_MAX];

	return shim_is_ours(fd, path) ? truncate_file(fd, path, size) :
				   (int)syscall(SYS_ftruncate, fd, size);
}

EXPORT int ftruncate64(int fd, off_t size);
int
ftruncate64(int fd, off_t size)
{
	return ftruncate(fd, size);
}

static int
sync_file(int fd, long call)
{
	char path[PATH_MAX];
	enum fault_act act;
	bool first;
	int error, rc;

	if (!shim_is_ours(fd, path))
		return (int)syscall(call, fd);
	act = arrive(FAULT_SYNC, &first);
	error = failure(act, first, 0);
	before(act);
	/* Linux drops what it could not write and forgets that it was to be written. */
	if (error) {
		shim_mark(path, FAULT_LOST);
		errno = error;
		return -1;
	}
	rc = the_shim()->page->lying_sync ? 0 : (int)syscall(call, fd);
	if (!the_shim()->page->lying_sync)
		shim_mark(path, rc == 0 ? FAULT_SYNCED : FAULT_LOST);
	after(act);
	return rc;
}

EXPORT int
fsync(int fd)
{
	return sync_file(fd, SYS_fsync);
}

EXPORT int
fdatasync(int fd)
{
	return sync_file(fd, SYS_fdatasync);
}

/* --- the calls: names ---------------------------------------------------- */

static int
open_file(int dir_fd, const char *name, int flags, mode_t mode)
{
	bool makes = (flags & O_CREAT) && shim_is_our_name(name) &&
		     syscall(SYS_faccessat, AT_FDCWD, name, F_OK) < 0;
	int fd = (int)syscall(SYS_openat, dir_fd, name, flags, mode);

	if (fd >= 0 && makes)
		shim_record(FAULT_RECORD_CREATE, name, 0);
	return fd;
}

/* The mode, where there is one. */
#define OPEN_BODY(dir_fd)                                                     \
	va_list ap;                                                           \
	mode_t mode = 0;                                                      \
	va_start(ap, flags);                                                  \
	if (flags & (O_CREAT | __O_TMPFILE))                                  \
		mode = va_arg(ap, mode_t);                                    \
	va_end(ap);                                                           \
	return open_file(dir_fd, name, flags, mode)

EXPORT int
open(const char *name, int flags, ...)
{
	OPEN_BODY(AT_FDCWD);
}

EXPORT int open64(const char *name, int flags, ...);
int
open64(const char *name, int flags, ...)
{
	OPEN_BODY(AT_FDCWD);
}

EXPORT int
openat(int dir_fd, const char *name, int flags, ...)
{
	OPEN_BODY(dir_fd);
}

EXPORT int openat64(int dir_fd, const char *name, int flags, ...);
int
openat64(int dir_fd, const char *name, int flags, ...)
{
	OPEN_BODY(dir_fd);
}

EXPORT int
mkdir(const char *name, mode_t mode)
{
	int rc = (int)syscall(SYS_mkdirat, AT_FDCWD, name, mode);

	if (rc == 0 && shim_is_our_name(name))
		shim_record(FAULT_RECORD_DIR, name, 0);
	return rc;
}

/* A second name for a file that is about to be removed; 0: it is none of those that come
 * back. */
static uint32_t
keep_removed(const char *name)
{
	char kept[PATH_MAX + 32];
	struct stat st;
	uint32_t number;

	if (!shim_is_our_name(name) || lstat(name, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	number = ++the_shim()->page->gone;
	fault_gone_name(the_shim()->page, number, kept);
	if (syscall(SYS_linkat, AT_FDCWD, name, AT_FDCWD, kept, 0) < 0)
		the_shim()->page->full = 1;
	return number;
}

EXPORT int
unlink(const char *name)
{
	uint32_t number = keep_removed(name);
	int rc = (int)syscall(SYS_unlinkat, AT_FDCWD, name, 0);
	struct fault_record *r;

	if (rc < 0 || !number || !shim_forget(name))
		return rc;
	r = shim_record(FAULT_RECORD_GONE, name, 0);
	if (r)
		r->offset = number;
	return rc;
}

/* --- the calls: messages ------------------------------------------------- */

static bool
is_message(int fd, enum fault_place *ret_place)
{
	if (!the_shim()->page)
		return false;
	*ret_place = the_shim()->role == ROLE_OWNER ? FAULT_TELL : FAULT_ANSWER;
	return the_shim()->role == ROLE_OWNER || fd == WORKER_FD;
}

EXPORT ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	enum fault_place place;

	return is_message(fd, &place) ? message(place, fd, msg, flags) :
					syscall(SYS_sendmsg, fd, msg, flags);
}

EXPORT ssize_t
send(int fd, const void *buf, size_t len, int flags)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	return sendmsg(fd, &msg, flags);
}
