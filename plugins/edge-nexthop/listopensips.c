/* OpenSIPS's dispatcher table as a db_text file: the first line names the columns, each other
 * line is a row, its fields between colons, `\:` for a colon in a field. */
#include "config.h"

#include "plugins/edge-nexthop/list.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INACTIVE "1"

enum column { C_ID, C_SET, C_URI, C_STATE, C_PRIORITY, C_ATTRS, C_COUNT };
#define C_NONE ((size_t)-1)

static const char *const column_names[C_COUNT] = {"id", "setid", "destination", "state", "priority",
						  "attrs"};

static bool
parse_header(struct list *l, char err[LIST_ERR])
{
	const char *p = l->n ? l->lines[0].text : "";

	for (size_t c = 0; c < C_COUNT; c++)
		l->columns[c] = C_NONE;
	for (p += strspn(p, " \t"); *p; p += strcspn(p, " \t"), p += strspn(p, " \t"), l->n_columns++)
		for (size_t c = 0; c < C_COUNT; c++)
			if (strcspn(p, "( \t") == strlen(column_names[c]) &&
			    !strncmp(p, column_names[c], strlen(column_names[c])))
				l->columns[c] = l->n_columns;
	for (size_t c = C_SET; c <= C_STATE; c++) {
		if (l->columns[c] != C_NONE)
			continue;
		snprintf(err, LIST_ERR, "line 1: no column '%s': it is no dispatcher table of OpenSIPS",
			 column_names[c]);
		return false;
	}
	return true;
}

/* The place of field n in a row; false: it has fewer. */
static bool
field(const struct list_line *line, size_t n, struct list_span *ret)
{
	size_t at = 0, end;

	for (;; n--, at = end + 1) {
		for (end = at; line->text[end] && line->text[end] != ':'; end++)
			if (line->text[end] == '\\' && line->text[end + 1])
				end++;
		*ret = (struct list_span){at, end - at};
		if (n == 0)
			return true;
		if (!line->text[end])
			return false;
	}
}

static char *
decode(const char *p, size_t len)
{
	static const char from[] = "nrt0", to[] = "\n\r\t";
	char *text = malloc(len + 1);
	size_t n = 0;

	for (size_t i = 0; text && i < len; i++) {
		const char *code = p[i] == '\\' && i + 1 < len ? strchr(from, p[i + 1]) : NULL;

		if (code && *code && *code != '0')
			text[n++] = to[code - from];
		else if (p[i] != '\\' || i + 1 == len)
			text[n++] = p[i];
		else
			text[n++] = p[i + 1];
		i += p[i] == '\\' && i + 1 < len;
	}
	if (text)
		text[n] = '\0';
	return text;
}

static char *
encode(const char *text)
{
	char *out = malloc(strlen(text) * 2 + 1), *p = out;

	for (; out && *text; text++) {
		if (*text == ':' || *text == '\\')
			*p++ = '\\';
		*p++ = *text;
	}
	if (out)
		*p = '\0';
	return out;
}

static bool
field_number(const struct list_line *line, size_t n, struct list_span *ret_span, long *ret)
{
	char *end;

	*ret = 0;
	if (n == C_NONE || !field(line, n, ret_span))
		return false;
	if (!ret_span->len || !isdigit((unsigned char)line->text[ret_span->at]) || ret_span->len > 10)
		return false;
	*ret = strtol(line->text + ret_span->at, &end, 10);
	return end == line->text + ret_span->at + ret_span->len && *ret <= INT_MAX;
}

static const char *
parse_row(struct list *l, struct list_line *line)
{
	struct list_span span;
	long state, id;

	for (size_t k = 0; k < line->len; k++)
		if (iscntrl((unsigned char)line->text[k]))
			return "a control character";
	if (!field(line, l->n_columns - 1, &span) || field(line, l->n_columns, &span))
		return "it has not as many fields as the first line has columns";
	if (!field_number(line, l->columns[C_SET], &span, &line->set))
		return "its set id is no number";
	if (!field_number(line, l->columns[C_STATE], &line->flags_at, &state))
		return "its state is no number";
	field(line, l->columns[C_URI], &line->uri_at);
	if (!line->uri_at.len)
		return "it has no destination";
	line->uri = decode(line->text + line->uri_at.at, line->uri_at.len);
	for (const char *p = line->uri; p && *p; p++)
		if (!isgraph((unsigned char)*p))
			return "its destination is not ASCII";
	line->is_hop = true;
	line->off = line->disabled = state == 1;
	field_number(line, l->columns[C_PRIORITY], &line->priority_at, &line->priority);
	if (l->columns[C_ATTRS] != C_NONE)
		field(line, l->columns[C_ATTRS], &line->attrs_at);
	if (field_number(line, l->columns[C_ID], &span, &id) && id >= l->next_id)
		l->next_id = id + 1;
	return line->uri ? NULL : "out of memory";
}

static bool
parse(struct list *l, char err[LIST_ERR])
{
	if (!parse_header(l, err))
		return false;
	l->next_id = 1;
	for (size_t i = 1; i < l->n; i++) {
		const char *why = l->lines[i].len ? parse_row(l, &l->lines[i]) : NULL;

		if (!why)
			continue;
		snprintf(err, LIST_ERR, "line %zu: %s: '%.60s'", i + 1, why, l->lines[i].text);
		for (char *p = err; *p; p++)
			if (!isprint((unsigned char)*p))
				*p = '?';
		return false;
	}
	return true;
}

/* --- writing ----------------------------------------------------------------------- */

/* The row with other values; NULL: as it is. */
static char *
row(const struct list *l, const struct list_line *line, const char *const values[C_COUNT])
{
	char *text = strdup(line->text);

	/* By column from the last to the first, so that the places stay right. */
	for (size_t n = l->n_columns; text && n-- > 0;) {
		for (size_t c = 0; text && c < C_COUNT; c++) {
			struct list_span span;
			char *coded, *next;

			if (l->columns[c] != n || !values[c] || !field(line, n, &span))
				continue;
			coded = encode(values[c]);
			next = coded ? list_splice(text, span, coded) : NULL;
			free(coded);
			free(text);
			text = next;
		}
	}
	return text;
}

static char *
with(const struct list *l, const struct list_line *line, const char *uri, const char *attrs, bool on)
{
	const char *values[C_COUNT] = {
		[C_URI] = strcmp(uri, line->uri) ? uri : NULL,
		[C_STATE] = on == !line->off ? NULL : on ? "0" : INACTIVE,
		[C_ATTRS] = attrs,
	};

	return row(l, line, values);
}

/* As the set's last row, for the columns of which we know nothing. */
static char *
fresh(const struct list *l, const struct list_want *want, const char *uri, long nth)
{
	char id[24], priority[24];
	const char *values[C_COUNT] = {
		[C_ID] = id, [C_URI] = uri, [C_STATE] = "0", [C_PRIORITY] = priority,
		[C_ATTRS] = want->attrs,
	};

	snprintf(id, sizeof(id), "%ld", l->next_id + nth);
	snprintf(priority, sizeof(priority), "%ld", want->priority);
	return row(l, &l->lines[list_end_of_set(l, want->set)], values);
}

const struct list_dialect list_opensips = {
	.name = "OpenSIPS", .line_max = 4096, .shows_priority = false,
	.parse = parse, .with = with, .fresh = fresh,
};
