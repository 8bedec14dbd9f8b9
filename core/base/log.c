#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/strbuf.h"

#include <stdarg.h>
#include <stdio.h>

const char *
log_level_name(int level)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};

	return level >= LOG_DEBUG && level <= LOG_ERROR ? names[level] : "error";
}

void
log_line(int threshold, int level, const char *about, const char *fmt, ...)
{
	struct strbuf sb = STRBUF_INIT;
	char when[CLOCK_TEXT_MAX];
	va_list ap;

	if (level < threshold)
		return;
	strbuf_addf(&sb, "%s %-5s ", clock_format_utc(clock_wall_ms(), when),
		    log_level_name(level));
	if (about)
		strbuf_addf(&sb, "%s: ", about);
	va_start(ap, fmt);
	strbuf_vaddf(&sb, fmt, ap);
	va_end(ap);
	strbuf_addch(&sb, '\n');
	/* One write a line, so that lines of two processes do not mix. */
	fwrite(sb.buf, 1, sb.len, stderr);
	strbuf_release(&sb);
}
