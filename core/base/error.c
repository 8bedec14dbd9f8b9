#include "core/base/base.h"
#include "core/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

PRINTF_LIKE(2, 0) static void
error_vformat(char buf[ERROR_MAX], const char *fmt, va_list ap)
{
	int n = vsnprintf(buf, ERROR_MAX, fmt, ap);

	if (n < 0)
		buf[0] = '\0';
	else if (n >= ERROR_MAX)
		memcpy(buf + ERROR_MAX - 4, "...", 4);
}

/* Joins a and b in err->text; the end is what gets cut. */
static void
error_join(struct error *err, const char *a, const char *sep, const char *b)
{
	char joined[ERROR_MAX * 2 + 8];

	snprintf(joined, sizeof(joined), "%s%s%s", a, sep, b);
	if (strlen(joined) >= ERROR_MAX)
		memcpy(joined + ERROR_MAX - 4, "...", 4);
	memcpy(err->text, joined, strlen(joined) + 1);
}

int
error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	va_start(ap, fmt);
	error_vformat(err->text, fmt, ap);
	va_end(ap);
	return code;
}

int
error_errno(struct error *err, int errnum, const char *fmt, ...)
{
	int code = errnum == ENOSPC || errnum == EDQUOT ? E_FULL : E_IO;
	char what[ERROR_MAX];
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	va_start(ap, fmt);
	error_vformat(what, fmt, ap);
	va_end(ap);
	error_join(err, what, ": ", strerror(errnum));
	return code;
}

void
error_prefix(struct error *err, const char *fmt, ...)
{
	char prefix[ERROR_MAX], rest[ERROR_MAX];
	va_list ap;

	if (!err)
		return;
	va_start(ap, fmt);
	error_vformat(prefix, fmt, ap);
	va_end(ap);
	memcpy(rest, err->text, sizeof(rest));
	error_join(err, prefix, ": ", rest);
}

const char *
error_name(int code)
{
	switch (code) {
	case 0: return "no error";
	case E_NOMEM: return "out of memory";
	case E_IO: return "input/output error";
	case E_INVALID: return "invalid input";
	case E_NOTFOUND: return "not found";
	case E_FENCED: return "another writer owns the run";
	case E_FULL: return "no space left";
	case E_CORRUPT: return "stored data does not verify";
	case E_PROTOCOL: return "protocol error";
	case E_BUSY: return "busy";
	case E_REFUSED: return "refused";
	}
	return "unknown error";
}
