#include "core/base/base.h"
#include "core/run/clean.h"

json_t *
clean_message(const struct redact *secrets, const json_t *msg, const char *line, size_t len)
{
	struct strbuf text = STRBUF_INIT;
	json_t *clean;

	if (!redact_found(secrets, line, len))
		return json_incref((json_t *)(uintptr_t)msg);
	strbuf_add(&text, line, len);
	redact_text(secrets, &text);
	clean = text.failed ? NULL : json_parse(text.buf, text.len, NULL);
	strbuf_release(&text);
	return clean;
}

char *
clean_text(const struct redact *secrets, const char *text)
{
	struct strbuf sb = STRBUF_INIT;

	strbuf_addstr(&sb, text);
	redact_text(secrets, &sb);
	return strbuf_detach(&sb);
}
