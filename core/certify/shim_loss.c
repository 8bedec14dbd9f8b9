/* What a cut of the power would lose: a record of each change that is not durable yet. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/certify/shim.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool
below_root(const char *path)
{
	size_t len = strlen(the_shim()->page->root);

	return !strncmp(path, the_shim()->page->root, len) && (path[len] == '/' || path[len] == '\0');
}

/* Shared memory of SQLite: no part of what is durable. */
static bool
is_shm(const char *path)
{
	size_t len = strlen(path);

	return len > 4 && !strcmp(path + len - 4, "-shm");
}

bool
shim_is_ours(int fd, char path[PATH_MAX])
{
	char link[32];
	ssize_t n;

	if (!the_shim()->page || the_shim()->role != ROLE_OWNER)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	return path[0] == '/' && !is_shm(path) && below_root(path);
}

bool
shim_is_our_name(const char *name)
{
	return the_shim()->page && the_shim()->role == ROLE_OWNER && name[0] == '/' &&
	       below_root(name) && !is_shm(name);
}

struct fault_record *
shim_record(enum fault_record_kind kind, const char *path, size_t data_len)
{
	struct fault_page *p = the_shim()->page;
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

void
shim_keep_bytes(int fd, const char *path, uint64_t offset, uint64_t len)
{
	struct fault_record *r;
	struct stat st;
	uint64_t old;

	if (fstat(fd, &st) < 0) {
		the_shim()->page->full = 1;
		return;
	}
	old = offset >= (uint64_t)st.st_size ? 0 : (uint64_t)st.st_size - offset;
	old = old < len ? old : len;
	r = shim_record(FAULT_RECORD_BYTES, path, old);
	if (!r)
		return;
	r->offset = offset;
	r->len = len;
	r->old_size = (uint64_t)st.st_size;
	r->old_len = old;
	if (syscall(SYS_pread64, fd, (char *)(r + 1) + r->path_len, old, offset) != (long)old)
		the_shim()->page->full = 1;
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

void
shim_mark(const char *synced, uint32_t state)
{
	struct fault_page *p = the_shim()->page;

	for (uint64_t at = 0; at < p->used;) {
		struct fault_record *r = (struct fault_record *)(void *)(p->arena + at);
		const char *path = record_path(r);

		at += r->size;
		if (r->state == FAULT_UNSYNCED &&
		    (r->kind == FAULT_RECORD_BYTES ? !strcmp(path, synced) : is_in(path, synced)))
			r->state = state;
	}
}

bool
shim_forget(const char *path)
{
	struct fault_page *p = the_shim()->page;
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
