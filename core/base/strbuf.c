#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/strbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char strbuf_empty[1];

void
strbuf_init(struct strbuf *sb)
{
	*sb = (struct strbuf)STRBUF_INIT;
}

void
strbuf_release(struct strbuf *sb)
{
	if (sb->cap)
		free(sb->buf);
	strbuf_init(sb);
}

void
strbuf_reset(struct strbuf *sb)
{
	sb->len = 0;
	sb->failed = false;
	if (sb->cap)
		sb->buf[0] = '\0';
}

int
strbuf_grow(struct strbuf *sb, size_t extra)
{
	size_t need = sb->len + extra + 1, cap = sb->cap ? sb->cap : 64;
	char *grown;

	if (extra > SIZE_MAX / 4 || sb->len > SIZE_MAX / 4) {
		sb->failed = true;
		return E_NOMEM;
	}
	if (need <= sb->cap)
		return 0;
	while (cap < need)
		cap *= 2;
	grown = realloc(sb->cap ? sb->buf : NULL, cap);
	if (!grown) {
		sb->failed = true;
		return E_NOMEM;
	}
	sb->buf = grown;
	sb->cap = cap;
	sb->buf[sb->len] = '\0';
	return 0;
}

void
strbuf_add(struct strbuf *sb, const void *data, size_t len)
{
	if (sb->failed || strbuf_grow(sb, len) < 0)
		return;
	if (len)
		memcpy(sb->buf + sb->len, data, len);
	sb->len += len;
	sb->buf[sb->len] = '\0';
}

void
strbuf_addstr(struct strbuf *sb, const char *s)
{
	strbuf_add(sb, s, strlen(s));
}

void
strbuf_addch(struct strbuf *sb, char c)
{
	strbuf_add(sb, &c, 1);
}

void
strbuf_addf(struct strbuf *sb, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(sb, fmt, ap);
	va_end(ap);
}

void
strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n < 0)
		sb->failed = true;
	else if (!sb->failed && strbuf_grow(sb, (size_t)n) == 0)
		sb->len += (size_t)vsnprintf(sb->buf + sb->len, (size_t)n + 1, fmt, again);
	va_end(again);
}

void
strbuf_consume(struct strbuf *sb, size_t n)
{
	assert(n <= sb->len);
	if (!n)
		return;
	memmove(sb->buf, sb->buf + n, sb->len - n + 1);
	sb->len -= n;
}

char *
strbuf_detach(struct strbuf *sb)
{
	char *s;

	if (sb->failed || strbuf_grow(sb, 0) < 0) {
		strbuf_release(sb);
		return NULL;
	}
	s = sb->buf;
	strbuf_init(sb);
	return s;
}

static int
read_all(struct strbuf *sb, int fd, const char *path, size_t max_bytes, struct error *err)
{
	for (;;) {
		ssize_t n;

		if (strbuf_grow(sb, 16384) < 0)
			return error_set(err, E_NOMEM, "%s: out of memory", path);
		n = read(fd, sb->buf + sb->len, sb->cap - sb->len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "%s", path);
		if (n == 0)
			return 0;
		sb->len += (size_t)n;
		sb->buf[sb->len] = '\0';
		if (sb->len > max_bytes)
			return error_set(err, E_INVALID, "%s: larger than %zu bytes",
					 path, max_bytes);
	}
}

int
strbuf_read_file(struct strbuf *sb, const char *path, size_t max_bytes, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return error_errno(err, errno, "%s", path);
	rc = read_all(sb, fd, path, max_bytes, err);
	close(fd);
	return rc;
}
