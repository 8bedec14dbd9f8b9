/* log.h -- lines for a person on stderr; used by core/run and core/cli only.
 *
 * Library code returns errors and never logs.  One line per call:
 *	2026-11-22T23:20:30.123Z warn  users: text
 */
#ifndef CORE_BASE_LOG_H
#define CORE_BASE_LOG_H

#include "core/base/base.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

const char *log_level_name(int level);

/* Writes one line when level >= threshold; about may be NULL. */
void log_line(int threshold, int level, const char *about, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

#endif
