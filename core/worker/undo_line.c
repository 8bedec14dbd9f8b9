#include "core/base/base.h"
#include "core/base/json.h"
#include "core/worker/undo_line.h"

#include <string.h>

/* What is left to read; the line ends with a NUL, which nothing here accepts. */
struct scan {
	const char *at;
};

static bool
literal(struct scan *s, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(s->at, text, len))
		return false;
	s->at += len;
	return true;
}

static bool
number(struct scan *s)
{
	const char *start = s->at;

	while (*s->at >= '0' && *s->at <= '9')
		s->at++;
	return s->at > start && s->at - start <= 10 && (*start != '0' || s->at == start + 1);
}

/* What may follow a backslash (RFC 8259, 7).  \u is left to the parser, but for the
 * control characters that our own writer makes of it. */
static bool
escape(struct scan *s)
{
	if (*s->at && strchr("\"\\/bfnrt", *s->at)) {
		s->at++;
		return true;
	}
	if (strncmp(s->at, "u00", 3) || !strchr("01", s->at[3]) || !s->at[3] ||
	    !((s->at[4] >= '0' && s->at[4] <= '9') || (s->at[4] >= 'a' && s->at[4] <= 'f')) ||
	    !strncmp(s->at, "u0000", 5))
		return false;
	s->at += 5;
	return true;
}

static bool
string(struct scan *s)
{
	if (*s->at++ != '"')
		return false;
	for (;;) {
		unsigned char c = (unsigned char)*s->at;
		size_t n = c < 0x20 ? 0 : c < 0x80 ? 1 : json_utf8_len(s->at);

		if (c == '"')
			break;
		if (!n)
			return false;
		s->at += n;
		if (c == '\\' && !escape(s))
			return false;
	}
	s->at++;
	return true;
}

struct key {
	const char *text;
	size_t len;
};

#define KEYS_MAX 16

/* A journal with an object that has a key twice could not be read again. */
static bool
is_new(const struct key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (keys[i].len == keys[n].len && !memcmp(keys[i].text, keys[n].text, keys[n].len))
			return false;
	return true;
}

/* "key":"value",... up to the closing brace. */
static bool
members(struct scan *s)
{
	struct key keys[KEYS_MAX];
	size_t n = 0;

	if (literal(s, "}"))
		return true;
	do {
		if (n == KEYS_MAX)
			return false;
		keys[n].text = s->at;
		if (!string(s))
			return false;
		keys[n].len = (size_t)(s->at - keys[n].text);
		if (!is_new(keys, n) || !literal(s, ":") || !string(s))
			return false;
		n++;
	} while (literal(s, ","));
	return literal(s, "}");
}

static bool
record(struct scan *s)
{
	return literal(s, "{\"version\":") && number(s) && literal(s, ",\"by_hand\":") &&
	       string(s) && literal(s, ",\"kv\":{") && members(s) && literal(s, "}");
}

bool
undo_line_read(const char *line, size_t len, struct undo_line *ret)
{
	struct scan s = {line};
	struct undo_line found = {.n = 0};

	if (!literal(&s, "{\"kind\":\"undo\",\"records\":"))
		return false;
	found.records = s.at;
	if (!literal(&s, "["))
		return false;
	do {
		if (!record(&s))
			return false;
		found.n++;
	} while (literal(&s, ","));
	if (!literal(&s, "]"))
		return false;
	found.len = (size_t)(s.at - found.records);
	if (!literal(&s, "}") || s.at != line + len)
		return false;
	*ret = found;
	return true;
}
