#include "plugins/contacts/bytes.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool
slice_is(struct slice v, const char *text)
{
	return v.len == strlen(text) && !memcmp(v.s, text, v.len);
}

int
bytes_from_memory(void *arg, void *buf, size_t cap, size_t *ret_len, struct fault *f)
{
	struct slice *left = arg;
	size_t n = left->len < cap ? left->len : cap;

	(void)f;
	memcpy(buf, left->s, n);
	left->s += n;
	left->len -= n;
	*ret_len = n;
	return RESITE_OK;
}

int
bytes_from_fd(void *arg, void *buf, size_t cap, size_t *ret_len, struct fault *f)
{
	for (;;) {
		ssize_t n = read(*(const int *)arg, buf, cap);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fault_set(f, RESITE_ERR_REFUSED, "read: %s", strerror(errno));
		*ret_len = (size_t)n;
		return RESITE_OK;
	}
}

static int
rewind_fd(void *arg, struct fault *f)
{
	return lseek(*(const int *)arg, 0, SEEK_SET) < 0
		       ? fault_set(f, RESITE_ERR_REFUSED, "rewind: %s", strerror(errno))
		       : RESITE_OK;
}

struct input
input_of_fd(int *fd)
{
	return (struct input){rewind_fd, {bytes_from_fd, fd}};
}

static int
rewind_memory(void *arg, struct fault *f)
{
	struct memory *m = arg;

	(void)f;
	m->left = m->all;
	return RESITE_OK;
}

static int
read_memory(void *arg, void *buf, size_t cap, size_t *ret_len, struct fault *f)
{
	return bytes_from_memory(&((struct memory *)arg)->left, buf, cap, ret_len, f);
}

struct input
input_of_memory(struct memory *m)
{
	return (struct input){rewind_memory, {read_memory, m}};
}
