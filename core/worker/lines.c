/* Byte streams cut into lines: strictly for messages, leniently for a process's output. */
#include "core/base/base.h"
#include "core/worker/parent.h"

#include <string.h>

/* The text of a line may hold anything; a NUL would hide the rest of it. */
static void
tell_line(struct log_lines *l, void (*each)(void *ctx, const char *line), void *ctx)
{
	char *text = l->held.buf;

	for (size_t i = 0; i < l->held.len; i++)
		if (text[i] == '\0')
			text[i] = '?';
	if (l->held.len > 0 && text[l->held.len - 1] == '\r')
		text[l->held.len - 1] = '\0';
	each(ctx, text);
	strbuf_reset(&l->held);
}

/* Adds a piece of the current line; what is over LOG_LINE_MAX is left out. */
static void
add_piece(struct log_lines *l, const char *piece, size_t len)
{
	size_t room = LOG_LINE_MAX - l->held.len;

	if (l->skipping)
		return;
	strbuf_add(&l->held, piece, len < room ? len : room);
	if (len <= room)
		return;
	memcpy(l->held.buf + LOG_LINE_MAX - 3, "...", 3);
	l->skipping = true;
}

void
log_lines_feed(struct log_lines *l, char *buf, size_t len,
	       void (*each)(void *ctx, const char *line), void *ctx)
{
	char *end = buf + len, *nl;

	while ((nl = memchr(buf, '\n', (size_t)(end - buf)))) {
		add_piece(l, buf, (size_t)(nl - buf));
		l->skipping = false;
		tell_line(l, each, ctx);
		buf = nl + 1;
	}
	add_piece(l, buf, (size_t)(end - buf));
}

void
log_lines_end(struct log_lines *l, void (*each)(void *ctx, const char *line), void *ctx)
{
	if (l->held.len > 0)
		tell_line(l, each, ctx);
	strbuf_release(&l->held);
}
