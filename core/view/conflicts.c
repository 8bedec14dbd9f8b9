#include "core/base/base.h"
#include "core/view/conflicts.h"

#include <string.h>

static void
write_one(struct strbuf *out, const json_t *c)
{
	const char *result = json_str_or(c, "result", ""), *now = json_str_or(c, "now", "");

	strbuf_addf(out, "%s\n", json_str_or(c, "object", "?"));
	strbuf_addf(out, "          was %s, set to %s, ", json_str_or(c, "was", ""),
		    json_str_or(c, "set", ""));
	if (!strcmp(result, "gone"))
		strbuf_addstr(out, "now gone");
	else if (!strcmp(result, "refused"))
		strbuf_addf(out, "not put back: %s", now);
	else
		strbuf_addf(out, "now %s", *now ? now : "without a value");
	strbuf_addch(out, '\n');
}

void
conflicts_write(struct strbuf *out, const json_t *conflicts, uint64_t n, size_t max,
		const char *before)
{
	size_t have = json_array_size(conflicts), shown = have < max ? have : max;

	for (size_t i = 0; i < shown; i++) {
		strbuf_addstr(out, before);
		write_one(out, json_array_get(conflicts, i));
	}
	if (n > shown)
		strbuf_addf(out, "%s... and %" PRIu64 " more%s\n", before, n - shown,
			    shown < max ? ", all in the journal" : "");
}
