/* error.h -- how functions of the core say that they failed.
 *
 * A function that can fail returns 0 or one of these codes, and takes a last
 * parameter `struct error *err` where the text matters to a person.  err may
 * be NULL; it is written only on failure, once, by the function that knows
 * what happened; callers up the stack may put the object before it with
 * error_prefix().  Results go through ret_ parameters, written only on
 * success.  Nothing below core/run prints or exits.
 */
#ifndef CORE_BASE_ERROR_H
#define CORE_BASE_ERROR_H

#include "core/base/base.h"

enum error_code {
	E_NOMEM = -1,    /* allocation failed; state unchanged */
	E_IO = -2,       /* the operating system said no: text has errno's words */
	E_INVALID = -3,  /* input from outside is wrong */
	E_NOTFOUND = -4, /* the named thing does not exist */
	E_FENCED = -5,   /* another writer owns the run */
	E_FULL = -6,     /* no space left for what must be durable */
	E_CORRUPT = -7,  /* stored data does not verify */
	E_PROTOCOL = -8, /* a worker broke the protocol */
	E_BUSY = -9,     /* somebody else holds it now */
	E_REFUSED = -10, /* valid, but not now: the text says why */
};

#define ERROR_MAX 1024

struct error {
	int code;             /* enum error_code, 0: none */
	char text[ERROR_MAX]; /* one line, no newline; cut with "..." */
};

/* Writes code and text into err (when not NULL) and returns code. */
int error_set(struct error *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Like error_set, appends ": " and strerror(errnum).  ENOSPC and EDQUOT turn
 * the code into E_FULL. */
int error_errno(struct error *err, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* "the journal: disk full" from "disk full". */
void error_prefix(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A text for a code alone; never NULL. */
const char *error_name(int code);

#endif
