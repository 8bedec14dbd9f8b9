/* clean.h -- what a worker says, without the secrets that it was given. */
#ifndef CORE_RUN_CLEAN_H
#define CORE_RUN_CLEAN_H

#include "core/base/json.h"
#include "core/base/redact.h"

/* msg itself, or, when its text (line) holds a secret, one parsed from the text
 * without it.  New reference; NULL without memory. */
json_t *clean_message(const struct redact *secrets, const json_t *msg, const char *line,
		      size_t len);

/* text without secrets, to be freed; NULL without memory. */
char *clean_text(const struct redact *secrets, const char *text);

#endif
