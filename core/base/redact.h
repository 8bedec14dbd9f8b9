/* redact.h -- known secret values never leave the program in a text.
 *
 * A set of values (passwords, keys) that were read for this run.  Every text
 * on its way to the journal, a log, the screen or an output goes through
 * redact_text first.  Values under REDACT_MIN bytes are not replaced: they
 * would garble every text and protect nothing; the plan check warns of them.
 */
#ifndef CORE_BASE_REDACT_H
#define CORE_BASE_REDACT_H

#include "core/base/base.h"
#include "core/base/strbuf.h"

#define REDACT_MIN 4
#define REDACT_MARK "[secret]"

struct redact {
	struct strbuf *value; /* each secret, as its bytes and as JSON writes them */
	size_t len, cap;
};

#define REDACT_INIT {0}

/* Adds a secret of len bytes (copied); adding one twice is no error.
 * 0 or E_NOMEM. */
int redact_add(struct redact *set, const void *value, size_t len);

/* Wipes and frees all values. */
void redact_release(struct redact *set);

/* Whether any known value is in the len bytes of text. */
bool redact_found(const struct redact *set, const char *text, size_t len);

/* Replaces every known value in sb by REDACT_MARK. */
void redact_text(const struct redact *set, struct strbuf *sb);

#endif
