/* base.h -- the first include of every file of the core.
 *
 * config.h must precede every system header: with -std=c11 it is what turns
 * on the POSIX and GNU interfaces (AC_USE_SYSTEM_EXTENSIONS).
 */
#ifndef CORE_BASE_BASE_H
#define CORE_BASE_BASE_H

#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Calls that cannot say how much they write are compile errors (git banned.h). */
#define BANNED(func) sorry_##func##_is_banned
#undef strcpy
#define strcpy(x, y) BANNED(strcpy)
#undef strcat
#define strcat(x, y) BANNED(strcat)
#undef sprintf
#define sprintf(...) BANNED(sprintf)
#undef gmtime
#define gmtime(t) BANNED(gmtime)
#undef localtime
#define localtime(t) BANNED(localtime)
#undef strtok
#define strtok(s, d) BANNED(strtok)

#endif
