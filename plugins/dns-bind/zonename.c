#include "config.h"

#include "plugins/dns-bind/zonename.h"

#include <stdio.h>
#include <string.h>

#define LABEL_MAX 63

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The byte at *p, which may be escaped (\X, \DDD), lower case; moves *p behind it.  -1: cut. */
static int
take_byte(const char **p, const char *end)
{
	unsigned n;

	if (**p != '\\')
		return lower((uint8_t)*(*p)++);
	if (end - *p < 2)
		return -1;
	if (!is_digit((*p)[1])) {
		*p += 2;
		return lower((uint8_t)(*p)[-1]);
	}
	if (end - *p < 4 || !is_digit((*p)[2]) || !is_digit((*p)[3]))
		return -1;
	n = (unsigned)((*p)[1] - '0') * 100 + (unsigned)((*p)[2] - '0') * 10 + (unsigned)((*p)[3] - '0');
	*p += 4;
	return n > 255 ? -1 : lower((uint8_t)n);
}

static bool
append_origin(struct name *n, size_t at, const struct name *origin)
{
	if (!origin || at + origin->len > NAME_WIRE_MAX)
		return false;
	memcpy(n->wire + at, origin->wire, origin->len);
	n->len = (uint8_t)(at + origin->len);
	return true;
}

bool
name_parse(const char *text, size_t len, const struct name *origin, struct name *ret)
{
	const char *p = text, *end = text + len;
	size_t label = 0, at = 1; /* where the label's length is; where its next byte goes */

	if (len == 1 && *p == '@')
		return append_origin(ret, 0, origin);
	if (len == 1 && *p == '.') {
		*ret = (struct name){.len = 1};
		return true;
	}
	while (p < end) {
		bool dot = *p == '.';
		int c = dot ? 0 : take_byte(&p, end);

		if (c < 0 || at >= NAME_WIRE_MAX)
			return false;
		if (!dot) {
			ret->wire[at++] = (uint8_t)c;
			continue;
		}
		if (at - label - 1 == 0 || at - label - 1 > LABEL_MAX)
			return false;
		ret->wire[label] = (uint8_t)(at - label - 1);
		label = at++;
		if (++p == end) {
			ret->wire[label] = 0;
			ret->len = (uint8_t)(label + 1);
			return true;
		}
	}
	if (len == 0 || at - label - 1 == 0 || at - label - 1 > LABEL_MAX)
		return false;
	ret->wire[label] = (uint8_t)(at - label - 1);
	return append_origin(ret, at, origin);
}

bool
name_equal(const struct name *a, const struct name *b)
{
	return a->len == b->len && !memcmp(a->wire, b->wire, a->len);
}

bool
name_is_in(const struct name *a, const struct name *domain)
{
	for (size_t at = 0; at < a->len && a->len - at >= domain->len; at += a->wire[at] + 1u)
		if (a->len - at == domain->len)
			return !memcmp(a->wire + at, domain->wire, domain->len);
	return false;
}

bool
name_from_wire(const uint8_t *wire, size_t len, struct name *ret)
{
	if (len == 0 || len > NAME_WIRE_MAX)
		return false;
	memcpy(ret->wire, wire, len);
	ret->len = (uint8_t)len;
	return true;
}

static char *
put_byte(char *p, uint8_t c)
{
	if (c <= ' ' || c >= 0x7f) {
		snprintf(p, 5, "\\%03u", c);
		return p + 4;
	}
	if (strchr(".;()\"\\@$", c))
		*p++ = '\\';
	*p++ = (char)c;
	return p;
}

void
name_text(const struct name *n, const struct name *origin, char ret[NAME_TEXT_MAX])
{
	bool relative = origin && origin->len > 1 && name_is_in(n, origin);
	size_t end = relative ? (size_t)(n->len - origin->len) : n->len - 1u, at = 0;
	char *p = ret;

	if (end == 0)
		*p++ = relative ? '@' : '.';
	while (at < end) {
		for (size_t i = at + 1; i <= at + n->wire[at]; i++)
			p = put_byte(p, n->wire[i]);
		at += n->wire[at] + 1u;
		if (at < end || !relative)
			*p++ = '.';
	}
	*p = '\0';
}
