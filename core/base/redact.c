#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/redact.h"
#include "core/base/vec.h"

#include <stdlib.h>
#include <string.h>

static bool
redact_has(const struct redact *set, const char *value, size_t len)
{
	for (size_t i = 0; i < set->len; i++)
		if (set->value[i].len == len && !memcmp(set->value[i].buf, value, len))
			return true;
	return false;
}

static int
redact_add_bytes(struct redact *set, const char *value, size_t len)
{
	struct strbuf copy = STRBUF_INIT;

	if (len < REDACT_MIN || redact_has(set, value, len))
		return 0;
	strbuf_add(&copy, value, len);
	if (copy.failed || vec_reserve(&set->value, set->len + 1, &set->cap) < 0) {
		strbuf_release(&copy);
		return E_NOMEM;
	}
	set->value[set->len++] = copy;
	return 0;
}

int
redact_add(struct redact *set, const void *value, size_t len)
{
	struct strbuf text = STRBUF_INIT, quoted = STRBUF_INIT;
	int rc = redact_add_bytes(set, value, len);

	/* The same value inside a JSON text has its quotes and backslashes escaped. */
	strbuf_add(&text, value, len);
	if (!rc && text.len >= REDACT_MIN && strlen(text.buf) == text.len) {
		json_write_string(&quoted, text.buf);
		rc = quoted.failed ? E_NOMEM :
		     redact_add_bytes(set, quoted.buf + 1, quoted.len - 2);
	}
	if (text.failed)
		rc = E_NOMEM;
	explicit_bzero(text.buf, text.len);
	explicit_bzero(quoted.buf, quoted.len);
	strbuf_release(&text);
	strbuf_release(&quoted);
	return rc;
}

void
redact_release(struct redact *set)
{
	for (size_t i = 0; i < set->len; i++) {
		explicit_bzero(set->value[i].buf, set->value[i].len);
		strbuf_release(&set->value[i]);
	}
	free(set->value);
	*set = (struct redact)REDACT_INIT;
}

bool
redact_found(const struct redact *set, const char *text, size_t len)
{
	for (size_t i = 0; i < set->len; i++)
		if (memmem(text, len, set->value[i].buf, set->value[i].len))
			return true;
	return false;
}

static void
redact_value(struct strbuf *sb, const struct strbuf *secret)
{
	struct strbuf out = STRBUF_INIT;
	char *at = sb->buf, *hit, *end = sb->buf + sb->len;

	hit = memmem(at, (size_t)(end - at), secret->buf, secret->len);
	if (!hit)
		return;
	for (; hit; hit = memmem(at, (size_t)(end - at), secret->buf, secret->len)) {
		strbuf_add(&out, at, (size_t)(hit - at));
		strbuf_addstr(&out, REDACT_MARK);
		at = hit + secret->len;
	}
	strbuf_add(&out, at, (size_t)(end - at));
	/* Without memory the text is dropped: losing it is better than telling it. */
	explicit_bzero(sb->buf, sb->len);
	strbuf_release(sb);
	*sb = out;
}

void
redact_text(const struct redact *set, struct strbuf *sb)
{
	for (size_t i = 0; i < set->len; i++)
		redact_value(sb, &set->value[i]);
}
