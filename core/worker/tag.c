#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/worker/tag.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define TEN "----------"
#define FIFTY TEN TEN TEN TEN TEN

/* A tag, whose last byte is the NUL, takes the place of these. */
const char tag_room[] = TAG_VARIABLE "=" FIFTY FIFTY FIFTY FIFTY FIFTY "-----";
_Static_assert(sizeof(tag_room) == sizeof(TAG_VARIABLE) + TAG_MAX, "room for the longest tag");

/* Enough for the environment in front of the variable. */
#define ENVIRON_MAX (128 * 1024)

/* --- writing ----------------------------------------------------------------- */

/* FNV-1a: two long names that begin alike are still two. */
static uint64_t
sum(uint64_t h, const char *s)
{
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return h;
}

void
tag_write(char buf[TAG_MAX], const char *scope, const char *run, const char *step, int64_t n)
{
	int len = snprintf(buf, TAG_MAX, "%s/%s/%s/%" PRId64, scope, run, step, n);

	if (len >= TAG_MAX)
		snprintf(buf + TAG_MAX - 48, 48, "#%016" PRIx64 "/%" PRId64,
			 sum(sum(UINT64_C(0xcbf29ce484222325), run), step), n);
}

void
tag_mark(const char *tag)
{
	char *room = getenv(TAG_VARIABLE);

	if (!*tag)
		return;
	if (!room || strlen(room) < TAG_MAX - 1) {
		setenv(TAG_VARIABLE, tag, 1); /* not started as a nursery is */
		return;
	}
	memset(room, 0, TAG_MAX - 1);
	memcpy(room, tag, strnlen(tag, TAG_MAX - 1));
}

/* --- reading ----------------------------------------------------------------- */

static size_t
read_environ(pid_t pid, char *buf, size_t size)
{
	char path[32];
	size_t len = 0;
	ssize_t n = 1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && len < size && (n = read(fd, buf + len, size - len)) > 0)
		len += (size_t)n;
	if (fd >= 0)
		close(fd);
	return len;
}

static const char *
find_variable(const char *env, size_t len)
{
	static const char name[] = TAG_VARIABLE "=";
	const char *at = env, *end = env + len;

	while (at < end) {
		if ((size_t)(end - at) >= sizeof(name) && !memcmp(at, name, sizeof(name) - 1))
			return at + sizeof(name) - 1;
		at = memchr(at, '\0', (size_t)(end - at));
		at = at ? at + 1 : end;
	}
	return NULL;
}

void
tag_read(pid_t pid, char buf[TAG_MAX])
{
	char *env = malloc(ENVIRON_MAX);
	size_t len = env ? read_environ(pid, env, ENVIRON_MAX - 1) : 0;
	const char *value;

	*buf = '\0';
	if (len) {
		env[len] = '\0';
		value = find_variable(env, len);
		if (value && *value != '-' && strlen(value) < TAG_MAX)
			memcpy(buf, value, strlen(value) + 1);
	}
	free(env);
}

/* --- killing ----------------------------------------------------------------- */

struct hunt {
	pid_t below;
	tag_wanted_fn *wanted;
	void *ctx;
	int64_t until_ms;
	unsigned left;   /* in this round: killed, and not gone when time was over */
	unsigned found;  /* in this round */
};

/* The descriptor holds on to the process before its tag is read, so that no other one
 * with its number is hit. */
static void
try_pid(struct hunt *h, pid_t pid)
{
	struct pollfd pfd = {.events = POLLIN};
	char tag[TAG_MAX];
	int64_t left_ms;

	if (pid == getpid())
		return;
	tag_read(pid, tag);
	if (!*tag || !h->wanted(h->ctx, tag))
		return;
	pfd.fd = pidfd_open(pid, 0);
	if (pfd.fd < 0)
		return;
	tag_read(pid, tag);
	if (*tag && h->wanted(h->ctx, tag)) {
		h->found++;
		pidfd_send_signal(pfd.fd, SIGKILL, NULL, 0);
		left_ms = h->until_ms - clock_mono_ms();
		if (poll(&pfd, 1, left_ms > 0 ? (int)left_ms : 0) <= 0)
			h->left++;
	}
	close(pfd.fd);
}

static void
look_at_all(struct hunt *h)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	while (proc && (entry = readdir(proc)) != NULL)
		if (atoi(entry->d_name) > 0)
			try_pid(h, atoi(entry->d_name));
	if (proc)
		closedir(proc);
}

/* The children of a process with one thread. */
static void
look_at_children(struct hunt *h)
{
	char path[64];
	FILE *children;
	int pid;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)h->below, (int)h->below);
	children = fopen(path, "re");
	while (children && fscanf(children, "%d", &pid) == 1)
		try_pid(h, pid);
	if (children)
		fclose(children);
}

/* Again until nobody was found twice: one may have been started while we looked, and the
 * kernel's lists may leave one out that moves while they are read.  The children of one
 * that was killed come to the subreaper. */
unsigned
tag_kill(pid_t below, tag_wanted_fn *wanted, void *ctx, int64_t ms)
{
	struct hunt h = {.below = below, .wanted = wanted, .ctx = ctx,
			 .until_ms = clock_mono_ms() + ms};
	unsigned empty = 0;

	do {
		h.left = h.found = 0;
		if (below)
			look_at_children(&h);
		else
			look_at_all(&h);
		empty = h.found ? 0 : empty + 1;
	} while (empty < 2 && clock_mono_ms() < h.until_ms);
	return h.left;
}

static bool
is_tag(void *ctx, const char *tag)
{
	return !strcmp(ctx, tag);
}

unsigned
tag_kill_one(pid_t below, const char *tag, int64_t ms)
{
	return tag_kill(below, is_tag, (void *)(uintptr_t)tag, ms);
}
