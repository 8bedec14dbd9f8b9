#include "config.h"

#include "plugins/edge-nexthop/edge.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
file_digest(const void *text, size_t len, char ret[FILE_DIGEST])
{
	struct sha256_ctx ctx;
	uint8_t digest[SHA256_DIGEST_SIZE];

	sha256_init(&ctx);
	sha256_update(&ctx, len, text);
	sha256_digest(&ctx, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(ret + i * 2, 3, "%02x", digest[i]);
}

/* errno as a sentence; what a full disk or a busy system refuses may go another time. */
static int
file_error(struct edge *e, const char *what, const char *path)
{
	bool passing = errno == ENOSPC || errno == EIO || errno == EMFILE || errno == ENFILE ||
		       errno == ENOMEM || errno == EINTR;
	const char *advice = errno == EACCES || errno == EPERM
				     ? "; give the user that resite runs as the right to it" : "";

	return net_error(&e->net, passing ? RESITE_ERR_TRANSIENT : RESITE_ERR_REFUSED,
			 "cannot %s %s: %s%s", what, path, strerror(errno), advice);
}

static int
read_open(struct edge *e, int fd, const char *path, char **ret, size_t *ret_len)
{
	struct stat st;
	size_t got = 0;
	ssize_t n = 1;
	char *text;

	if (fstat(fd, &st) < 0)
		return file_error(e, "look at", path);
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)LIST_MAX_BYTES)
		return net_error(&e->net, RESITE_ERR_REFUSED, "%s is %s", path,
				 S_ISREG(st.st_mode) ? "larger than 4 MiB: it is no list of destinations"
						     : "no regular file");
	text = malloc(LIST_MAX_BYTES + 2);
	if (!text)
		return net_error(&e->net, RESITE_ERR_TRANSIENT, "out of memory");
	while (n > 0 && got <= LIST_MAX_BYTES) {
		n = read(fd, text + got, LIST_MAX_BYTES + 1 - got);
		got += n > 0 ? (size_t)n : 0;
	}
	if (n < 0 || got > LIST_MAX_BYTES) {
		free(text);
		errno = n < 0 ? errno : EFBIG;
		return file_error(e, "read", path);
	}
	text[got] = '\0';
	*ret = text;
	*ret_len = got;
	return RESITE_OK;
}

int
file_read(struct edge *e, const char *path, char **ret, size_t *ret_len, char digest[FILE_DIGEST])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;

	if (fd < 0)
		return file_error(e, "open", path);
	rc = read_open(e, fd, path, ret, ret_len);
	close(fd);
	if (rc == RESITE_OK)
		file_digest(*ret, *ret_len, digest);
	return rc;
}

static bool
write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno != EINTR)
			return false;
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* Owner and mode first: nobody may read the new file who could not read the old one. */
static int
fill(struct edge *e, int fd, const char *aside, const char *path, const char *text, size_t len)
{
	struct stat st, mine;

	if (fstat(fd, &mine) < 0)
		return file_error(e, "look at", aside);
	if (stat(path, &st) < 0) {
		if (errno != ENOENT)
			return file_error(e, "look at", path);
		st = mine;
		st.st_mode = 0644;
	}
	if ((st.st_uid != mine.st_uid || st.st_gid != mine.st_gid) &&
	    fchown(fd, st.st_uid, st.st_gid) < 0)
		return file_error(e, "keep the owner of", path);
	if (fchmod(fd, st.st_mode & 07777) < 0)
		return file_error(e, "keep the mode of", path);
	if (!write_all(fd, text, len) || fsync(fd) < 0)
		return file_error(e, "write", aside);
	return RESITE_OK;
}

/* The last look before the change; between it and rename() is no lock that an editor would
 * honour, only some microseconds. */
static int
still_is(struct edge *e, const char *path, const char *digest_was)
{
	char digest[FILE_DIGEST], *text;
	size_t len;
	int rc = file_read(e, path, &text, &len, digest);

	if (rc != RESITE_OK)
		return rc;
	free(text);
	return !strcmp(digest, digest_was)
		       ? RESITE_OK
		       : net_error(&e->net, RESITE_ERR_CONFLICT,
				   "%s was changed by somebody else meanwhile", path);
}

static int
sync_folder(struct edge *e, const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	int fd, failed;

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash + 1 - path) : 1, slash ? path : ".");
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return file_error(e, "open", folder);
	failed = fsync(fd);
	close(fd);
	return failed ? file_error(e, "sync", folder) : RESITE_OK;
}

int
file_replace(struct edge *e, const char *path, const char *text, size_t len, const char *digest_was)
{
	char real[PATH_MAX], aside[PATH_MAX + 16];
	int fd, rc;

	/* A symbolic link stays one. */
	if (!realpath(path, real)) {
		if (digest_was || errno != ENOENT)
			return file_error(e, "find", path);
		snprintf(real, sizeof(real), "%s", path);
	}
	snprintf(aside, sizeof(aside), "%s.resite-XXXXXX", real);
	fd = mkostemp(aside, O_CLOEXEC);
	if (fd < 0)
		return file_error(e, "make a file beside", real);
	rc = fill(e, fd, aside, real, text, len);
	close(fd);
	if (rc == RESITE_OK && digest_was)
		rc = still_is(e, real, digest_was);
	if (rc == RESITE_OK && rename(aside, real) < 0)
		rc = file_error(e, "replace", real);
	if (rc != RESITE_OK) {
		unlink(aside);
		return rc;
	}
	return sync_folder(e, real);
}
