#include "core/base/base.h"
#include "core/plan/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
secret_wipe(struct strbuf *value)
{
	if (value->cap)
		explicit_bzero(value->buf, value->cap);
	strbuf_release(value);
}

static int
read_env(const char *env, struct strbuf *value, struct error *err)
{
	const char *s = getenv(env);

	if (!s)
		return error_set(err, E_NOTFOUND, "the environment has no %s", env);
	strbuf_addstr(value, s);
	return 0;
}

static int
read_file(const char *file, struct strbuf *value, struct error *err)
{
	int rc;

	/* Room for all at once: growing would leave copies in freed memory. */
	if (strbuf_grow(value, SECRET_MAX_BYTES + 1) < 0)
		return error_set(err, E_NOMEM, "out of memory");
	errno = 0;
	rc = strbuf_read_file(value, file, SECRET_MAX_BYTES, err);
	if (rc == E_IO && errno == ENOENT)
		rc = E_NOTFOUND;
	if (rc == 0 && value->len && value->buf[value->len - 1] == '\n') {
		value->buf[--value->len] = '\0';
		if (value->len && value->buf[value->len - 1] == '\r')
			value->buf[--value->len] = '\0';
	}
	return rc;
}

int
secret_read(const char *file, const char *env, struct strbuf *value, struct error *err)
{
	int rc = file ? read_file(file, value, err) : read_env(env, value, err);

	if (rc == 0 && value->failed)
		rc = error_set(err, E_NOMEM, "out of memory");
	if (rc == 0 && !value->len)
		rc = error_set(err, E_INVALID, "%s is empty", file ? file : env);
	if (rc < 0)
		secret_wipe(value);
	return rc;
}
