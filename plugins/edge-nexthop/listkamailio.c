/* Kamailio's dispatcher.list: `setid uri [flags [priority]] [attributes] [#comment]`.
 *
 * What Kamailio 5.6 does with lines that it does not understand was tried: text without a
 * set id becomes a destination of set 0 that is dropped without a word if its name does
 * not resolve; a set id alone refuses the whole list; a NUL hides the rest of the line;
 * text after the attributes is passed over.  Only the last is harmless. */
#include "config.h"

#include "plugins/edge-nexthop/list.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FLAG_INACTIVE 1
#define FLAG_DISABLED 4

static const char blanks[] = " \t";

__attribute__((format(printf, 3, 4))) static bool
bad_line(char err[LIST_ERR], size_t i, const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(err, LIST_ERR, "line %zu: ", i + 1);

	va_start(ap, fmt);
	vsnprintf(err + n, LIST_ERR - (size_t)n, fmt, ap);
	va_end(ap);
	for (char *p = err; *p; p++)
		if (!isprint((unsigned char)*p))
			*p = '?';
	return false;
}

/* How many digits are at p; *ret is -1 when they are no number that fits. */
static size_t
digits(const char *p, long *ret)
{
	size_t n = strspn(p, "0123456789");
	unsigned long long v = n && n < 12 ? strtoull(p, NULL, 10) : ULLONG_MAX;

	*ret = v <= INT_MAX ? (long)v : -1;
	return n;
}

/* A word of digits that ends at a blank or the end of the line. */
static bool
number_word(const char *text, size_t *at, struct list_span *ret_span, long *ret)
{
	long value;
	size_t n = digits(text + *at, &value);

	if (!n || (text[*at + n] && !strchr(blanks, text[*at + n])))
		return false;
	*ret = value;
	*ret_span = (struct list_span){*at, n};
	*at += n + strspn(text + *at + n, blanks);
	return true;
}

/* An address without a scheme is shown by Kamailio with one. */
static char *
shown_uri(const char *p, size_t len)
{
	bool has = !strncasecmp(p, "sip:", 4) || !strncasecmp(p, "sips:", 5);
	char *uri = malloc(len + 5);

	if (uri)
		snprintf(uri, len + 5, "%s%.*s", has ? "" : "sip:", (int)len, p);
	return uri;
}

static bool
parse_rest(struct list_line *line, size_t at, size_t i, char err[LIST_ERR])
{
	long flags = 0;

	if (number_word(line->text, &at, &line->flags_at, &flags) && flags >= 0)
		number_word(line->text, &at, &line->priority_at, &line->priority);
	if (flags < 0 || line->priority < 0)
		return bad_line(err, i, "a number is larger than %d", INT_MAX);
	if (line->text[at] && line->text[at] != '#')
		line->attrs_at = (struct list_span){at, strcspn(line->text + at, blanks)};
	line->off = flags & (FLAG_DISABLED | FLAG_INACTIVE);
	line->disabled = flags & FLAG_DISABLED;
	return true;
}

static bool
parse_hop(struct list_line *line, size_t at, size_t i, char err[LIST_ERR])
{
	struct list_span set;

	for (size_t k = 0; k < line->len; k++)
		if (line->text[k] != '\t' && iscntrl((unsigned char)line->text[k]))
			return bad_line(err, i, "a control character (\\x%02x): '%.60s'",
					(unsigned)(unsigned char)line->text[k], line->text);
	if (!number_word(line->text, &at, &set, &line->set))
		return bad_line(err, i, "no set id: '%.60s'", line->text);
	if (line->set < 0)
		return bad_line(err, i, "the set id is larger than %d", INT_MAX);
	line->uri_at = (struct list_span){at, strcspn(line->text + at, " \t#")};
	if (!line->uri_at.len)
		return bad_line(err, i, "a set id without a destination, for which Kamailio refuses "
				"the whole list");
	at += line->uri_at.len;
	if (line->text[at] == '#')
		return bad_line(err, i, "'#' in a destination: '%.60s'", line->text);
	for (size_t k = 0; k < line->uri_at.len; k++)
		if (!isgraph((unsigned char)line->text[line->uri_at.at + k]))
			return bad_line(err, i, "a destination that is not ASCII: '%.60s'", line->text);
	line->uri = shown_uri(line->text + line->uri_at.at, line->uri_at.len);
	line->is_hop = true;
	if (!line->uri)
		return bad_line(err, i, "out of memory");
	return parse_rest(line, at + strspn(line->text + at, blanks), i, err);
}

static bool
parse(struct list *l, char err[LIST_ERR])
{
	for (size_t i = 0; i < l->n; i++) {
		struct list_line *line = &l->lines[i];
		size_t at = strspn(line->text, blanks);

		if (at == line->len || line->text[at] == '#')
			continue;
		if (!parse_hop(line, at, i, err))
			return false;
	}
	return true;
}

/* --- writing ----------------------------------------------------------------------- */

/* Replaces one part of *text and frees what was there before. */
static bool
replace(char **text, struct list_span span, const char *replacement)
{
	char *next = *text ? list_splice(*text, span, replacement) : NULL;

	free(*text);
	*text = next;
	return next != NULL;
}

static bool
with_attrs(char **text, const struct list_line *line, const char *attrs)
{
	struct list_span after = line->priority_at.len ? line->priority_at
				 : line->flags_at.len  ? line->flags_at : line->uri_at;
	char word[LIST_ERR];

	if (line->attrs_at.len)
		return replace(text, line->attrs_at, attrs);
	snprintf(word, sizeof(word), " %s", attrs);
	return replace(text, (struct list_span){after.at + after.len, 0}, word);
}

static bool
with_flags(char **text, const struct list_line *line, bool on)
{
	long flags = 0, now;
	char word[24];

	if (line->flags_at.len)
		digits(line->text + line->flags_at.at, &flags);
	now = on ? flags & ~(long)(FLAG_DISABLED | FLAG_INACTIVE) : flags | FLAG_DISABLED;
	if (now == flags)
		return true;
	snprintf(word, sizeof(word), line->flags_at.len ? "%ld" : " %ld", now);
	return replace(text, line->flags_at.len ? line->flags_at
			: (struct list_span){line->uri_at.at + line->uri_at.len, 0}, word);
}

/* From the end of the line to its front, so that the places stay right. */
static char *
with(const struct list *l, const struct list_line *line, const char *uri, const char *attrs, bool on)
{
	char *text = strdup(line->text);

	(void)l;
	if (!text || (attrs && !with_attrs(&text, line, attrs)) || !with_flags(&text, line, on) ||
	    (strcmp(uri, line->uri) && !replace(&text, line->uri_at, uri))) {
		free(text);
		return NULL;
	}
	return text;
}

static char *
fresh(const struct list *l, const struct list_want *want, const char *uri, long nth)
{
	char *text;

	(void)l;
	(void)nth;
	return asprintf(&text, "%ld %s 0 %ld%s%s", want->set, uri, want->priority,
			want->attrs ? " " : "", want->attrs ? want->attrs : "") < 0 ? NULL : text;
}

const struct list_dialect list_kamailio = {
	.name = "Kamailio", .line_max = 1023, .shows_priority = true,
	.parse = parse, .with = with, .fresh = fresh,
};
