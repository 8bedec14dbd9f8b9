/* One file of a zone, read whole.
 *
 * Not mapped: a mapping of a file that somebody else shortens kills the process, and what is
 * judged must be what is written.  The room is taken by mmap, so that the system has it back
 * at once. */
#include "config.h"

#include "plugins/dns-bind/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_MAX_BYTES ((off_t)4 << 30)

enum zone_rc
zone_fail(struct zone *z, enum zone_rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(z->err, sizeof(z->err), fmt, ap);
	va_end(ap);
	return rc;
}

enum zone_rc
zone_errno(struct zone *z, const char *what, const char *path)
{
	enum zone_rc rc = errno == ENOSPC || errno == EDQUOT	       ? ZONE_FULL
			  : errno == EACCES || errno == EPERM || errno == EROFS ? ZONE_DENIED
									     : ZONE_IO;

	return zone_fail(z, rc, "%s %s: %s", what, path, strerror(errno));
}

/* UTF-16 and byte-order marks come from editors of another system; named reads neither. */
static enum zone_rc
judge_encoding(struct zone *z, const struct zone_file *f)
{
	const uint8_t *p = (const uint8_t *)f->bytes;
	const char *what = NULL;

	if (f->len >= 2 && ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff)))
		what = "UTF-16";
	else if (f->len >= 3 && p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf)
		what = "UTF-8 with a byte-order mark";
	else if (f->len >= 4 && !p[0] && !p[1] && !p[2] && p[3] >= 2 && p[3] <= 3)
		what = "in named's binary form (masterfile-format raw)";
	if (!what)
		return ZONE_OK;
	return zone_fail(z, ZONE_BROKEN, "%s is %s, not plain text: save it as plain text first", f->path,
			 what);
}

static enum zone_rc
read_all(struct zone *z, int fd, struct zone_file *f)
{
	size_t n = 0;

	while (n < f->len) {
		ssize_t got = read(fd, f->bytes + n, f->len - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return zone_errno(z, "cannot read", f->path);
		if (got == 0)
			return zone_fail(z, ZONE_CHANGED, "%s has become shorter while it was read", f->path);
		n += (size_t)got;
	}
	return judge_encoding(z, f);
}

static enum zone_rc
read_open(struct zone *z, int fd, struct zone_file *f)
{
	if (fstat(fd, &f->st) < 0)
		return zone_errno(z, "cannot look at", f->path);
	if (!S_ISREG(f->st.st_mode))
		return zone_fail(z, ZONE_BROKEN, "%s is not a plain file", f->path);
	if (f->st.st_size > FILE_MAX_BYTES)
		return zone_fail(z, ZONE_BROKEN, "%s has more than 4 GB", f->path);
	f->len = (size_t)f->st.st_size;
	f->map_len = f->len + 1;
	f->bytes = mmap(NULL, f->map_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f->bytes == MAP_FAILED) {
		f->bytes = NULL;
		return zone_fail(z, ZONE_IO, "no memory for %s (%zu bytes)", f->path, f->len);
	}
	return read_all(z, fd, f);
}

enum zone_rc
zone_file_read(struct zone *z, const char *path, struct zone_file *ret)
{
	char *real = realpath(path, NULL);
	enum zone_rc rc;
	int fd;

	*ret = (struct zone_file){.path = real};
	if (!real)
		return zone_errno(z, "cannot open", path);
	/* Not blocking: a pipe that nobody writes to would hold us for ever. */
	fd = open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	rc = fd < 0 ? zone_errno(z, "cannot open", path) : read_open(z, fd, ret);
	if (fd >= 0)
		close(fd);
	if (rc != ZONE_OK)
		zone_file_release(ret);
	return rc;
}

static void
forget(struct zone_file *f)
{
	if (f->bytes)
		munmap(f->bytes, f->map_len);
	f->bytes = NULL;
}

void
zone_file_release(struct zone_file *f)
{
	forget(f);
	free(f->path);
	f->path = NULL;
}

void
zone_forget_bytes(struct zone *z)
{
	for (size_t i = 0; i < z->n_files; i++)
		forget(&z->files[i]);
}

enum zone_rc
zone_file_same(struct zone *z, const struct zone_file *f)
{
	struct stat st;

	if (lstat(f->path, &st) < 0)
		return zone_errno(z, "cannot look at", f->path);
	if (st.st_dev == f->st.st_dev && st.st_ino == f->st.st_ino && st.st_size == f->st.st_size &&
	    st.st_mtim.tv_sec == f->st.st_mtim.tv_sec && st.st_mtim.tv_nsec == f->st.st_mtim.tv_nsec &&
	    st.st_ctim.tv_sec == f->st.st_ctim.tv_sec && st.st_ctim.tv_nsec == f->st.st_ctim.tv_nsec)
		return ZONE_OK;
	return zone_fail(z, ZONE_CHANGED, "somebody else has changed %s since it was read: nothing of it "
			 "was touched", f->path);
}
