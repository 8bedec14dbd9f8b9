#include "plugins/groupchat/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int
call_no_memory(const struct call *c)
{
	return call_fail(c, RESITE_ERR_TRANSIENT, NULL, "out of memory");
}

int
call_secret(const struct call *c, const char *param, char buf[SECRET_MAX])
{
	const char *ref = call_str(c, param);
	int len;

	buf[0] = '\0';
	if (!ref)
		return RESITE_OK;
	len = c->host->secret(c->op, ref, buf, SECRET_MAX - 1);
	if (len < 0)
		return call_fail(c, len, param, "the secret cannot be read");
	if (len >= SECRET_MAX)
		return call_fail(c, RESITE_ERR_INVALID, param,
				 "the secret has %d bytes, more than %d", len, SECRET_MAX - 1);
	buf[len] = '\0';
	/* A file of a secret often ends in a newline that is not part of it. */
	while (len > 0 && strchr("\r\n", buf[len - 1]))
		buf[--len] = '\0';
	if (strlen(buf) != (size_t)len)
		return call_fail(c, RESITE_ERR_INVALID, param, "the secret has a NUL byte");
	return RESITE_OK;
}

int
call_output(const struct call *c, const char *name, const char *fmt, ...)
{
	char text[RESITE_EASY_MAX];
	va_list ap;

	va_start(ap, fmt);
	resite_easy_vformat(text, fmt, ap);
	va_end(ap);
	return c->host->output(c->op, name, text);
}

int64_t
wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void
stamp_text(char out[STAMP_LEN + 1], int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(out, STAMP_LEN + 1, "%Y%m%dt%H%M%Sz", &tm);
}

void
age_text(char out[AGE_MAX], int64_t ms)
{
	long long s = ms / 1000;

	if (ms < 0)
		snprintf(out, AGE_MAX, "dated in the future");
	else if (s < 120)
		snprintf(out, AGE_MAX, "%lld s old", s);
	else if (s < 2 * 3600)
		snprintf(out, AGE_MAX, "%lld min old", s / 60);
	else if (s < 48 * 3600)
		snprintf(out, AGE_MAX, "%lld h %lld min old", s / 3600, s / 60 % 60);
	else
		snprintf(out, AGE_MAX, "%lld d %lld h old", s / 86400, s / 3600 % 24);
}

void
one_line(char *out, size_t cap, const char *text)
{
	size_t n = 0;
	int gap = 0;

	for (; *text && n + 2 < cap; text++) {
		if ((unsigned char)*text <= ' ' || *text == 0x7f) {
			gap = n > 0;
			continue;
		}
		if (gap)
			out[n++] = ' ';
		out[n++] = *text;
		gap = 0;
	}
	out[n] = '\0';
}
