#include "core/base/base.h"
#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int
file_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A new file, and not what somebody laid there, who would read along or see another file of ours
 * overwritten.  0, or errno. */
static int
write_synced(const char *path, mode_t mode, const struct strbuf *text)
{
	int fd, failed = 0;

	unlink(path); /* of a process of this number that was killed */
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return errno;
	if (file_write_all(fd, text->buf, text->len) < 0 || fsync(fd) < 0)
		failed = errno;
	if (close(fd) < 0 && !failed)
		failed = errno;
	return failed;
}

int
file_replace(const char *path, mode_t mode, const struct strbuf *text, struct error *err)
{
	struct strbuf aside = STRBUF_INIT;
	struct stat st;
	int failed;

	/* To take a device's name away would harm the whole machine. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return error_set(err, E_INVALID, "cannot write %s: it is not a regular file", path);
	/* A name that no other process takes at the same time. */
	strbuf_addf(&aside, "%s.%ld", path, (long)getpid());
	failed = aside.failed || text->failed ? ENOMEM : write_synced(aside.buf, mode, text);
	if (!failed && rename(aside.buf, path) < 0)
		failed = errno;
	if (failed && !aside.failed)
		unlink(aside.buf);
	strbuf_release(&aside);
	if (failed == ENOMEM)
		return error_set(err, E_NOMEM, "%s: out of memory", path);
	return failed ? error_errno(err, failed, "cannot write %s", path) : 0;
}
