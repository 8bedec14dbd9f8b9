#include "plugins/contacts/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Servers and files are quoted in texts: what a terminal would obey becomes '?'. */
static void
tame(char *text)
{
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

int
fault_set(struct fault *f, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	f->rc = rc;
	if (vsnprintf(f->text, sizeof f->text, fmt, ap) < 0)
		f->text[0] = '\0';
	va_end(ap);
	tame(f->text);
	return rc;
}

void
fault_prefix(struct fault *f, const char *fmt, ...)
{
	char was[sizeof f->text];
	size_t len;
	va_list ap;

	memcpy(was, f->text, sizeof was);
	va_start(ap, fmt);
	if (vsnprintf(f->text, sizeof f->text, fmt, ap) < 0)
		f->text[0] = '\0';
	va_end(ap);
	len = strlen(f->text);
	snprintf(f->text + len, sizeof f->text - len, ": %.*s", (int)sizeof was - 1, was);
	tame(f->text);
}
