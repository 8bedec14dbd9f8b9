#include "plugins/contacts/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES 256

bool
beneath_is_safe(const char *path)
{
	const char *p = path;

	if (!*path || *path == '/')
		return false;
	for (; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '\\' || *p == ':')
			return false;
	for (p = path; p; p = strchr(p, '/')) {
		size_t len;

		p += *p == '/';
		len = strcspn(p, "/");
		if (len == 0 || len >= NAME_BYTES || (len == 1 && *p == '.') ||
		    (len == 2 && !memcmp(p, "..", 2)))
			return false;
	}
	return true;
}

static int
failed(struct fault *f, const char *path, const char *why)
{
	return fault_set(f, RESITE_ERR_REFUSED, "'%s': %s", path, why);
}

static const char *
words_for(int errnum)
{
	return errnum == ELOOP || errnum == ENOTDIR ? "a link, or no folder" : strerror(errnum);
}

int
beneath_open(int dir_fd, const char *path, int *ret_fd, struct fault *f)
{
	int at = dir_fd, next;
	const char *p = path;
	struct stat st;

	if (!beneath_is_safe(path))
		return failed(f, path, "only a relative path without '..' may be named");
	for (;;) {
		size_t len = strcspn(p, "/");
		char name[NAME_BYTES];
		bool last = !p[len];

		memcpy(name, p, len);
		name[len] = '\0';
		/* Not to block on a pipe that lies there. */
		next = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
			      (last ? 0 : O_DIRECTORY));
		if (at != dir_fd)
			close(at);
		if (next < 0)
			return failed(f, path, words_for(errno));
		if (last)
			break;
		at = next;
		p += len + 1;
	}
	if (fstat(next, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(next);
		return failed(f, path, "no plain file");
	}
	*ret_fd = next;
	return RESITE_OK;
}
