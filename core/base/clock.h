/* clock.h -- one time unit in the whole program: int64_t milliseconds. */
#ifndef CORE_BASE_CLOCK_H
#define CORE_BASE_CLOCK_H

#include "core/base/base.h"

/* Milliseconds of a clock that never goes back and counts no date. */
int64_t clock_mono_ms(void);

/* Milliseconds since 1970-01-01 UTC; for people and the journal, never for
 * deadlines. */
int64_t clock_wall_ms(void);

#define CLOCK_TEXT_MAX 32

/* "2026-11-22T23:20:30.123Z" (RFC 3339) for wall_ms. */
const char *clock_format_utc(int64_t wall_ms, char buf[CLOCK_TEXT_MAX]);

/* The reverse of clock_format_utc; -1 when text is no such time. */
int64_t clock_parse_utc(const char *text);

/* "450ms", "12.3s", "4m05s", "2h03m" for a person. */
const char *clock_format_duration(int64_t ms, char buf[CLOCK_TEXT_MAX]);

#endif
