/* secret.h -- where a secret is, and reading it. */
#ifndef CORE_PLAN_SECRET_H
#define CORE_PLAN_SECRET_H

#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/strbuf.h"

#define SECRET_MAX_BYTES 65536

/* Reads a secret: file (absolute) or environment variable env, whichever is not
 * NULL.  One newline at the end of a file is no part of it.  value must be
 * wiped with secret_wipe.  E_NOTFOUND: no such file or variable; E_IO; E_INVALID:
 * empty or too long.  Errors name the file or variable, never the value. */
int secret_read(const char *file, const char *env, struct strbuf *value, struct error *err);

/* Overwrites and frees. */
void secret_wipe(struct strbuf *value);

#endif
