/* strbuf.h -- a growing byte string.
 *
 * Invariants: buf is never NULL and always NUL-terminated at buf[len], so it
 * can be printed at any time, also right after STRBUF_INIT.  The bytes before
 * len may hold NULs.
 *
 * Allocation failure is sticky: the string keeps what it had, `failed` turns
 * true and stays so until strbuf_reset.  Write a whole text, then ask once.
 */
#ifndef CORE_BASE_STRBUF_H
#define CORE_BASE_STRBUF_H

#include "core/base/base.h"

#include <stdarg.h>

struct strbuf {
	char *buf;   /* the bytes; owned, or the shared empty string when cap is 0 */
	size_t len;  /* bytes used, without the NUL */
	size_t cap;  /* bytes allocated */
	bool failed; /* an append was lost */
};

extern char strbuf_empty[1];

#define STRBUF_INIT { .buf = strbuf_empty }

void strbuf_init(struct strbuf *sb);

/* Frees the bytes; sb is as after STRBUF_INIT and can be used again. */
void strbuf_release(struct strbuf *sb);

/* Empties sb and clears `failed`; keeps the memory for the next use. */
void strbuf_reset(struct strbuf *sb);

/* Makes room for extra more bytes; 0 or E_NOMEM. */
int strbuf_grow(struct strbuf *sb, size_t extra);

void strbuf_add(struct strbuf *sb, const void *data, size_t len);
void strbuf_addstr(struct strbuf *sb, const char *s);
void strbuf_addch(struct strbuf *sb, char c);
void strbuf_addf(struct strbuf *sb, const char *fmt, ...) PRINTF_LIKE(2, 3);
void strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

/* Removes the first n bytes (n <= len). */
void strbuf_consume(struct strbuf *sb, size_t n);

/* Hands the bytes to the caller, who frees them; sb is empty after.
 * NULL when an append had failed. */
char *strbuf_detach(struct strbuf *sb);

/* Reads the whole file into sb; 0, or E_IO/E_NOMEM with errno's words in err.
 * A file over max_bytes is E_INVALID. */
struct error;
int strbuf_read_file(struct strbuf *sb, const char *path, size_t max_bytes,
		     struct error *err);

#endif
