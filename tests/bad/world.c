/* world.c -- preloaded into resite by a test: a wall clock that is set while it runs, and
 * a file system on which locks do not hold.
 *
 * RESITE_TEST_CLOCK names a file with the milliseconds by which CLOCK_REALTIME is off;
 * RESITE_TEST_NO_FLOCK makes flock say yes to everybody.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#pragma GCC visibility push(default)
int clock_gettime(clockid_t id, struct timespec *ts);
int flock(int fd, int operation);
#pragma GCC visibility pop

static long long
off_by_ms(void)
{
	const char *path = getenv("RESITE_TEST_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	char text[32] = "";

	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) < 0)
			text[0] = '\0';
		close(fd);
	}
	return atoll(text);
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);

	if (rc == 0 && id == CLOCK_REALTIME)
		ts->tv_sec += off_by_ms() / 1000;
	return rc;
}

int
flock(int fd, int operation)
{
	return getenv("RESITE_TEST_NO_FLOCK") ? 0 : (int)syscall(SYS_flock, fd, operation);
}
