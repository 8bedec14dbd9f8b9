#include "plugins/contacts/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
failed(struct fault *f, const char *what)
{
	return fault_set(f, RESITE_ERR_TRANSIENT, "temporary file: %s: %s", what, strerror(errno));
}

int
spool_open(int *ret_fd, struct fault *f)
{
	const char *dir = getenv("TMPDIR");
	char path[512];
	int fd;

	if (!dir || *dir != '/')
		dir = "/var/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	/* Not every file system has them. */
	if (fd < 0 && snprintf(path, sizeof path, "%s/resite-XXXXXX", dir) < (int)sizeof path) {
		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			unlink(path);
	}
	if (fd < 0)
		return failed(f, dir);
	*ret_fd = fd;
	return RESITE_OK;
}

int
spool_write(int fd, const void *data, size_t len, struct fault *f)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(f, "write");
		p += n;
		len -= (size_t)n;
	}
	return RESITE_OK;
}

int
spool_copy(int fd, const struct output *to, struct fault *f)
{
	char piece[16 * 1024];
	off_t at = 0;

	for (;;) {
		ssize_t n = pread(fd, piece, sizeof piece, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(f, "read");
		if (n == 0)
			return RESITE_OK;
		if (to->write(to->arg, piece, (size_t)n, f) < 0)
			return f->rc;
		at += n;
	}
}

int
spool_read(int fd, uint64_t at, void *to, size_t len, struct fault *f)
{
	char *p = to;

	while (len > 0) {
		ssize_t n = pread(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n < 0 ? errno : EIO;
			return failed(f, "read");
		}
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return RESITE_OK;
}
