#include "plugins/contacts/outfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOLD (64 * 1024)

static int
failed(const struct outfile *o, const char *what, struct fault *f)
{
	return fault_set(f, errno == ENOSPC || errno == EDQUOT ? RESITE_ERR_TRANSIENT
							       : RESITE_ERR_REFUSED,
			 "%s: %s: %s", o->path, what, strerror(errno));
}

static int
begin(struct outfile *o, const char *path, struct fault *f)
{
	size_t len = strlen(path);

	*o = (struct outfile){.fd = -1};
	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len >= sizeof o->path)
		return fault_set(f, RESITE_ERR_INVALID, "a path of %zu bytes is too long", len);
	memcpy(o->path, path, len);
	snprintf(o->aside, sizeof o->aside, "%s.resite-XXXXXX", o->path);
	return RESITE_OK;
}

/* Contact lists are personal data: for nobody else. */
int
outfile_open(struct outfile *o, const char *path, struct fault *f)
{
	if (begin(o, path, f) < 0)
		return f->rc;
	o->fd = mkostemp(o->aside, O_CLOEXEC);
	if (o->fd >= 0)
		return RESITE_OK;
	o->aside[0] = '\0';
	return failed(o, "a file beside it", f);
}

int
outfile_open_folder(struct outfile *o, const char *path, struct fault *f)
{
	if (begin(o, path, f) < 0)
		return f->rc;
	o->folder = true;
	if (mkdtemp(o->aside))
		return RESITE_OK;
	o->aside[0] = '\0';
	return failed(o, "a folder beside it", f);
}

static int
flush(struct outfile *o, struct fault *f)
{
	const char *p = o->held.p;

	while (o->held.len > 0) {
		ssize_t n = write(o->fd, p, o->held.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(o, "write", f);
		p += n;
		o->held.len -= (size_t)n;
	}
	return RESITE_OK;
}

int
outfile_write(struct outfile *o, const void *data, size_t len, struct fault *f)
{
	buf_add(&o->held, data, len);
	if (o->held.failed)
		return fault_memory(f);
	return o->held.len >= HOLD ? flush(o, f) : RESITE_OK;
}

static int
close_file(struct outfile *o, bool durable, struct fault *f)
{
	int fd = o->fd;

	if (fd < 0)
		return RESITE_OK;
	if (flush(o, f) < 0 || (durable && fsync(fd) < 0 && failed(o, "fsync", f) < 0))
		return f->rc;
	o->fd = -1;
	return close(fd) < 0 ? failed(o, "close", f) : RESITE_OK;
}

int
outfile_member(struct outfile *o, const char *name, struct fault *f)
{
	char path[sizeof o->aside + 300];

	if (close_file(o, false, f) < 0)
		return f->rc;
	if (snprintf(path, sizeof path, "%s/%s", o->aside, name) >= (int)sizeof path ||
	    strchr(name, '/') || strlen(name) > 255)
		return fault_set(f, RESITE_ERR_REFUSED, "'%.200s' cannot be a file's name", name);
	o->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (o->fd >= 0)
		return RESITE_OK;
	if (errno == EEXIST)
		return fault_set(f, RESITE_ERR_REFUSED, "'%s' would be there twice", name);
	return failed(o, name, f);
}

/* One sync for all files of a folder; a file has its own. */
static int
sync_folder(const struct outfile *o, struct fault *f)
{
	int fd = open(o->aside, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = RESITE_OK;

	if (fd < 0 || syncfs(fd) < 0)
		rc = failed(o, "sync", f);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
sync_parent(const struct outfile *o, struct fault *f)
{
	char dir[sizeof o->path];
	char *slash;
	int fd, rc = RESITE_OK;

	memcpy(dir, o->path, sizeof dir);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		rc = failed(o, "sync of its folder", f);
	if (fd >= 0)
		close(fd);
	return rc;
}

int
outfile_commit(struct outfile *o, struct fault *f)
{
	if (close_file(o, !o->folder, f) < 0 || (o->folder && sync_folder(o, f) < 0))
		return f->rc;
	if (rename(o->aside, o->path) < 0) {
		if (errno == ENOTEMPTY || errno == EEXIST)
			return fault_set(f, RESITE_ERR_REFUSED,
					 "%s: it is there and holds other files: name another folder, or "
					 "move it away", o->path);
		return failed(o, "rename", f);
	}
	o->aside[0] = '\0';
	return sync_parent(o, f);
}

static void
remove_folder(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(path);
}

void
outfile_release(struct outfile *o)
{
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
	if (o->aside[0] && o->folder)
		remove_folder(o->aside);
	else if (o->aside[0])
		unlink(o->aside);
	o->aside[0] = '\0';
	buf_release(&o->held);
}
