#include "core/base/base.h"
#include "core/base/file.h"
#include "core/certify/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES (256u << 20)

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

int
files_remove(const char *path, struct error *err)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
		return error_errno(err, errno, "cannot remove %s", path);
	return 0;
}

static int
copy_file(const char *from, const char *to, struct error *err)
{
	struct strbuf text = STRBUF_INIT;
	int rc = strbuf_read_file(&text, from, FILE_MAX_BYTES, err), fd;

	if (rc == 0) {
		fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0 || file_write_all(fd, text.buf, text.len) < 0)
			rc = error_errno(err, errno, "%s", to);
		if (fd >= 0)
			close(fd);
	}
	strbuf_release(&text);
	return rc;
}

static int
copy_entry(const char *from, const char *to, const char *name, struct error *err)
{
	struct strbuf a = STRBUF_INIT, b = STRBUF_INIT;
	struct stat st;
	int rc = 0;

	strbuf_addf(&a, "%s/%s", from, name);
	strbuf_addf(&b, "%s/%s", to, name);
	if (a.failed || b.failed)
		rc = error_set(err, E_NOMEM, "out of memory");
	else if (lstat(a.buf, &st) == 0 && S_ISREG(st.st_mode))
		rc = copy_file(a.buf, b.buf, err);
	strbuf_release(&a);
	strbuf_release(&b);
	return rc;
}

int
files_copy_dir(const char *from, const char *to, struct error *err)
{
	struct dirent *entry;
	DIR *dir;
	int rc = 0;

	if (mkdir(to, 0700) < 0)
		return error_errno(err, errno, "%s", to);
	dir = opendir(from);
	if (!dir)
		return errno == ENOENT ? 0 : error_errno(err, errno, "%s", from);
	while (rc == 0 && (entry = readdir(dir)) != NULL)
		rc = copy_entry(from, to, entry->d_name, err);
	closedir(dir);
	return rc;
}
