/* The shim of `resite certify`: preloaded into the orchestrator and its workers, it makes
 * one of their calls go wrong.  See fault.h.
 *
 * All calls are made with syscall(2), so that nothing has to be looked up first.  The
 * orchestrator writes its journal from one thread, so the arena needs no lock.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/certify/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
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

enum role { ROLE_NONE, ROLE_OWNER, ROLE_WORKER };

struct shim {
	struct fault_page *page; /* NULL: do nothing */
	enum role role;
};

/* What is called here has no room for a context of ours. */
static struct shim *
the_shim(void)
{
	static struct shim shim;

	return &shim;
}

static struct fault_page *
page(void)
{
	return the_shim()->page;
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
	struct fault_page *p = page();
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
	struct fault_page *p = page();

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
	case FAULT_OWNER_BEFORE: syscall(SYS_kill, page()->owner, SIGKILL); break;
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
	case FAULT_OWNER_AFTER: syscall(SYS_kill, page()->owner, SIGKILL); break;
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

/* --- what may get lost --------------------------------------------------- */

static bool
below_root(const char *path)
{
	size_t len = strlen(page()->root);

	return !strncmp(path, page()->root, len) && (path[len] == '/' || path[len] == '\0');
}

/* Shared memory of SQLite: no part of what is durable. */
static bool
is_shm(const char *path)
{
	size_t len = strlen(path);

	return len > 4 && !strcmp(path + len - 4, "-shm");
}

/* Whether the orchestrator's fd is a file or folder of the state directory. */
static bool
is_ours(int fd, char path[PATH_MAX])
{
	char link[32];
	ssize_t n;

	if (!page() || the_shim()->role != ROLE_OWNER)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	return path[0] == '/' && !is_shm(path) && below_root(path);
}

static struct fault_record *
add_record(enum fault_record_kind kind, const char *path, size_t data_len)
{
	struct fault_page *p = page();
	size_t path_len = strlen(path) + 1;
	size_t size = (sizeof(struct fault_record) + path_len + data_len + 7) & ~(size_t)7;
	struct fault_record *r;

	if (p->used + size > sizeof(p->arena)) {
		p->full = 1;
		return NULL;
	}
	r = (struct fault_record *)(void *)(p->arena + p->used);
	*r = (struct fault_record){.size = (uint32_t)size, .kind = kind,
				   .path_len = (uint32_t)path_len};
	memcpy(r + 1, path, path_len);
	p->used += size;
	return r;
}

/* [offset, offset + len) of fd is about to change. */
static void
keep_bytes(int fd, const char *path, uint64_t offset, uint64_t len)
{
	struct fault_record *r;
	struct stat st;
	uint64_t old;

	if (fstat(fd, &st) < 0) {
		page()->full = 1;
		return;
	}
	old = offset >= (uint64_t)st.st_size ? 0 : (uint64_t)st.st_size - offset;
	old = old < len ? old : len;
	r = add_record(FAULT_RECORD_BYTES, path, old);
	if (!r)
		return;
	r->offset = offset;
	r->len = len;
	r->old_size = (uint64_t)st.st_size;
	r->old_len = old;
	if (syscall(SYS_pread64, fd, (char *)(r + 1) + r->path_len, old, offset) != (long)old)
		page()->full = 1;
}

static const char *
record_path(const struct fault_record *r)
{
	return (const char *)(r + 1);
}

/* Whether path lies directly in dir. */
static bool
is_in(const char *path, const char *dir)
{
	const char *slash = strrchr(path, '/');
	size_t len = strlen(dir);

	return slash && (size_t)(slash - path) == len && !strncmp(path, dir, len);
}

/* A sync of a file keeps its bytes; one of a folder keeps the names in it. */
static void
mark(const char *synced, uint32_t state)
{
	struct fault_page *p = page();

	for (uint64_t at = 0; at < p->used;) {
		struct fault_record *r = (struct fault_record *)(void *)(p->arena + at);
		const char *path = record_path(r);

		at += r->size;
		if (r->state == FAULT_UNSYNCED &&
		    (r->kind == FAULT_RECORD_BYTES ? !strcmp(path, synced) : is_in(path, synced)))
			r->state = state;
	}
}

/* The file's records mean nothing any more.  Whether its name was durable. */
static bool
forget_file(const char *path)
{
	struct fault_page *p = page();
	bool durable = true;

	for (uint64_t at = 0; at < p->used;) {
		struct fault_record *r = (struct fault_record *)(void *)(p->arena + at);

		at += r->size;
		if (strcmp(record_path(r), path) || r->kind == FAULT_RECORD_GONE)
			continue;
		if (r->kind == FAULT_RECORD_CREATE && r->state == FAULT_UNSYNCED)
			durable = false;
		r->state = FAULT_VOID;
	}
	return durable;
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
	keep_bytes(fd, path, (uint64_t)(o->at_offset ? o->offset : lseek(fd, 0, SEEK_CUR)), len);
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

	return page() && the_shim()->role == ROLE_WORKER && len > prefix &&
	       !memcmp(buf, FAULT_EFFECT_PREFIX, prefix);
}

EXPORT ssize_t
write(int fd, const void *buf, size_t len)
{
	char path[PATH_MAX];

	if (is_effect(buf, len))
		return effect(fd, buf, len);
	if (is_ours(fd, path))
		return journal_write(fd, path, &(struct output){.buf = buf, .len = len});
	return syscall(SYS_write, fd, buf, len);
}

EXPORT ssize_t
pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	struct output o = {.buf = buf, .len = len, .offset = offset, .at_offset = true};
	char path[PATH_MAX];

	return is_ours(fd, path) ? journal_write(fd, path, &o) : put(fd, &o, len);
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
		keep_bytes(fd, path, (uint64_t)size,
			   size < st.st_size ? (uint64_t)(st.st_size - size) : 0);
	rc = (int)syscall(SYS_ftruncate, fd, size);
	after(act);
	return rc;
}

EXPORT int
ftruncate(int fd, off_t size)
{
	char path[PATH_MAX];

	return is_ours(fd, path) ? truncate_file(fd, path, size) :
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

	if (!is_ours(fd, path))
		return (int)syscall(call, fd);
	act = arrive(FAULT_SYNC, &first);
	error = failure(act, first, 0);
	before(act);
	/* Linux drops what it could not write and forgets that it was to be written. */
	if (error) {
		mark(path, FAULT_LOST);
		errno = error;
		return -1;
	}
	rc = page()->lying_sync ? 0 : (int)syscall(call, fd);
	if (!page()->lying_sync)
		mark(path, rc == 0 ? FAULT_SYNCED : FAULT_LOST);
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

/* A name as an absolute path, when it is one of ours. */
static bool
ours_by_name(const char *name)
{
	return page() && the_shim()->role == ROLE_OWNER && name[0] == '/' && below_root(name) &&
	       !is_shm(name);
}

static int
open_file(int dir_fd, const char *name, int flags, mode_t mode)
{
	bool makes = (flags & O_CREAT) && ours_by_name(name) &&
		     syscall(SYS_faccessat, AT_FDCWD, name, F_OK) < 0;
	int fd = (int)syscall(SYS_openat, dir_fd, name, flags, mode);

	if (fd >= 0 && makes)
		add_record(FAULT_RECORD_CREATE, name, 0);
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

	if (rc == 0 && ours_by_name(name))
		add_record(FAULT_RECORD_DIR, name, 0);
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

	if (!ours_by_name(name) || lstat(name, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	number = ++page()->gone;
	fault_gone_name(page(), number, kept);
	if (syscall(SYS_linkat, AT_FDCWD, name, AT_FDCWD, kept, 0) < 0)
		page()->full = 1;
	return number;
}

EXPORT int
unlink(const char *name)
{
	uint32_t number = keep_removed(name);
	int rc = (int)syscall(SYS_unlinkat, AT_FDCWD, name, 0);
	struct fault_record *r;

	if (rc < 0 || !number || !forget_file(name))
		return rc;
	r = add_record(FAULT_RECORD_GONE, name, 0);
	if (r)
		r->offset = number;
	return rc;
}

/* --- the calls: messages ------------------------------------------------- */

static bool
is_message(int fd, enum fault_place *ret_place)
{
	if (!page())
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
