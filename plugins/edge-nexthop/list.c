/* Lines, edits, and the plan of edits: the same for every dialect. */
#include "config.h"

#include "plugins/edge-nexthop/list.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- lines ---------------------------------------------------------------------- */

static bool
copy_line(struct list_line *ret, const char *text, size_t len)
{
	size_t eol = !len || text[len - 1] != '\n' ? 0 : len > 1 && text[len - 2] == '\r' ? 2 : 1;

	*ret = (struct list_line){.len = len - eol, .text = malloc(len - eol + 1)};
	if (!ret->text)
		return false;
	memcpy(ret->text, text, ret->len);
	ret->text[ret->len] = '\0';
	memcpy(ret->eol, text + len - eol, eol);
	return true;
}

static void
release_line(struct list_line *line)
{
	free(line->text);
	free(line->uri);
}

void
list_release(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		release_line(&l->lines[i]);
	free(l->lines);
	*l = (struct list){0};
}

static bool
split(struct list *l, const char *text, size_t len)
{
	size_t n = 0;

	for (const char *p = text, *end = text + len; p < end; n++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		p = nl ? nl + 1 : end;
	}
	l->lines = calloc(n + 1, sizeof(*l->lines));
	for (const char *p = text, *end = text + len; l->lines && p < end; l->n++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t size = (size_t)((nl ? nl + 1 : end) - p);

		if (!copy_line(&l->lines[l->n], p, size))
			return false;
		p += size;
	}
	return l->lines != NULL;
}

/* A proxy reads a line that is too long as two, so that the end of a comment becomes a
 * destination. */
static bool
check_lengths(const struct list *l, char err[LIST_ERR])
{
	for (size_t i = 0; i < l->n; i++) {
		size_t len = l->lines[i].len + strlen(l->lines[i].eol);

		if (len <= l->dialect->line_max)
			continue;
		snprintf(err, LIST_ERR, "line %zu has %zu bytes: %s reads at most %zu as one line, "
			 "the rest as another", i + 1, len, l->dialect->name, l->dialect->line_max);
		return false;
	}
	return true;
}

bool
list_parse(struct list *ret, const struct list_dialect *dialect, const char *text, size_t len,
	   char err[LIST_ERR])
{
	*ret = (struct list){.dialect = dialect, .eol = "\n"};
	snprintf(err, LIST_ERR, "out of memory");
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		snprintf(err, LIST_ERR, "it begins with a byte order mark, which makes %s pass over "
			 "its first line", dialect->name);
		return false;
	}
	if (split(ret, text, len)) {
		if (ret->n && !strcmp(ret->lines[0].eol, "\r\n"))
			ret->eol = "\r\n";
		if (check_lengths(ret, err) && dialect->parse(ret, err))
			return true;
	}
	list_release(ret);
	return false;
}

char *
list_text(const struct list *l, size_t *ret_len)
{
	size_t len = 0;
	char *text, *p;

	for (size_t i = 0; i < l->n; i++)
		len += l->lines[i].len + strlen(l->lines[i].eol);
	p = text = malloc(len + 1);
	for (size_t i = 0; text && i < l->n; i++) {
		size_t eol = strlen(l->lines[i].eol);

		memcpy(p, l->lines[i].text, l->lines[i].len);
		memcpy(p + l->lines[i].len, l->lines[i].eol, eol);
		p += l->lines[i].len + eol;
	}
	if (text)
		*p = '\0';
	*ret_len = len;
	return text;
}

bool
list_set_text(struct list_line *line, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return false;
	free(line->text);
	line->text = copy;
	line->len = strlen(copy);
	return true;
}

/* A last line without an end stays the only one of that kind; list_remove is the inverse. */
bool
list_insert(struct list *l, size_t after, const char *text)
{
	struct list_line *grown = realloc(l->lines, (l->n + 2) * sizeof(*grown)), *line;
	size_t at = l->n ? after + 1 : 0;
	char *copy = strdup(text);

	if (grown)
		l->lines = grown;
	if (!grown || !copy) {
		free(copy);
		return false;
	}
	memmove(l->lines + at + 1, l->lines + at, (l->n - at) * sizeof(*line));
	l->n++;
	line = &l->lines[at];
	*line = (struct list_line){.text = copy, .len = strlen(copy)};
	strcpy(line->eol, at ? l->lines[at - 1].eol : "\n");
	if (at && !*line->eol)
		strcpy(l->lines[at - 1].eol, l->eol);
	return true;
}

void
list_remove(struct list *l, size_t i)
{
	if (!*l->lines[i].eol && i)
		l->lines[i - 1].eol[0] = '\0';
	release_line(&l->lines[i]);
	l->n--;
	memmove(l->lines + i, l->lines + i + 1, (l->n - i) * sizeof(*l->lines));
}

size_t
list_find_text(const struct list *l, const char *text)
{
	size_t len = strlen(text), i;

	for (i = 0; i < l->n; i++)
		if (l->lines[i].len == len && !memcmp(l->lines[i].text, text, len))
			break;
	return i;
}

size_t
list_find(const struct list *l, long set, const char *uri)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->lines[i].is_hop && l->lines[i].set == set && !strcmp(l->lines[i].uri, uri))
			break;
	return i;
}

size_t
list_end_of_set(const struct list *l, long set)
{
	for (size_t i = l->n; i-- > 0;)
		if (l->lines[i].is_hop && l->lines[i].set == set)
			return i;
	return l->n ? l->n - 1 : 0;
}

char *
list_splice(const char *text, struct list_span span, const char *replacement)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	if (!f)
		return NULL;
	fwrite(text, 1, span.at, f);
	fputs(replacement, f);
	fputs(text + span.at + span.len, f);
	if (fclose(f) == 0)
		return out;
	free(out);
	return NULL;
}

/* --- what may be written ---------------------------------------------------------- */

static bool
is_address(const char *host, size_t len)
{
	return *host == '[' || strspn(host, "0123456789.") >= len;
}

const char *
list_bad_uri(const char *uri, bool must_be_name)
{
	const char *host = strncasecmp(uri, "sip:", 4) == 0	? uri + 4
			   : strncasecmp(uri, "sips:", 5) == 0 ? uri + 5 : NULL;
	size_t len;

	if (!host)
		return "it does not begin with sip: or sips:";
	if (strlen(uri) > 250)
		return "it is longer than 250 bytes";
	for (const char *p = uri; *p; p++)
		if (!isgraph((unsigned char)*p) || strchr("#\"<>\\", *p))
			return "it has a blank or another character that a list cannot hold";
	len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":;?");
	if (strcspn(host, "@") < strlen(host))
		return "it names a user, where a server is wanted";
	if (!len || (*host == '[' && host[len - 1] != ']'))
		return "it has no host";
	if (must_be_name && is_address(host, len))
		return "it has an address, where the plan asks for a name (fqdn = true)";
	return NULL;
}

const char *
list_bad_attrs(const char *attrs)
{
	if (!isalpha((unsigned char)*attrs))
		return "attributes begin with a letter: name=value;name=value";
	for (const char *p = attrs; *p; p++)
		if (!isgraph((unsigned char)*p) || strchr("#\\", *p))
			return "it has a blank or another character that a list cannot hold";
	return strlen(attrs) > 250 ? "it is longer than 250 bytes" : NULL;
}

/* --- the plan of edits -------------------------------------------------------------- */

void
list_edits_release(struct list_edits *e)
{
	for (size_t i = 0; i < e->n; i++) {
		free(e->v[i].was);
		free(e->v[i].set);
		free(e->v[i].object);
	}
	free(e->v);
	*e = (struct list_edits){0};
}

/* Takes set over, also when it fails. */
static bool
add_edit(struct list_edits *e, size_t line, long in_set, const char *uri, const char *was, char *set)
{
	struct list_edit *grown = realloc(e->v, (e->n + 1) * sizeof(*grown)), *edit;

	if (grown)
		e->v = grown;
	if (!grown) {
		free(set);
		return false;
	}
	edit = &e->v[e->n++];
	*edit = (struct list_edit){.line = line, .was = was ? strdup(was) : NULL, .set = set};
	if (asprintf(&edit->object, "set %ld %s", in_set, uri) < 0)
		edit->object = NULL;
	return edit->object && (!was || edit->was);
}

static bool
is_wanted(const struct list_want *want, const char *uri)
{
	for (size_t i = 0; i < want->n_to; i++)
		if (!strcmp(want->to[i], uri))
			return true;
	return false;
}

/* A line of the set that is there already: wanted ones take calls, the others are left for
 * missing ones to replace, disabled, or removed. */
static bool
plan_line(const struct list *l, size_t i, const struct list_want *want, const char **missing,
	  size_t *n_missing, struct list_edits *ret)
{
	const struct list_line *line = &l->lines[i];
	const struct list_dialect *d = l->dialect;
	char *set = NULL;

	if (is_wanted(want, line->uri)) {
		if (!line->off)
			return true;
		set = d->with(l, line, line->uri, NULL, true);
	} else if (want->keep_others) {
		if (line->disabled)
			return true;
		set = d->with(l, line, line->uri, NULL, false);
	} else if (*n_missing) {
		set = d->with(l, line, *missing, want->attrs, true);
		memmove(missing, missing + 1, --*n_missing * sizeof(*missing));
	} else {
		return add_edit(ret, i, want->set, line->uri, line->text, NULL);
	}
	return set && add_edit(ret, i, want->set, line->uri, line->text, set);
}

static bool
plan_all(const struct list *l, const struct list_want *want, const char **missing, size_t n_missing,
	 struct list_edits *ret)
{
	size_t end = list_end_of_set(l, want->set);

	for (size_t i = 0; i < l->n; i++)
		if (l->lines[i].is_hop && l->lines[i].set == want->set &&
		    !plan_line(l, i, want, missing, &n_missing, ret))
			return false;
	for (size_t i = 0; i < n_missing; i++) {
		char *set = l->dialect->fresh(l, want, missing[i], (long)i);

		if (!set || !add_edit(ret, end, want->set, missing[i], NULL, set))
			return false;
	}
	return true;
}

/* The journal, where a line is kept for the way back, holds text alone. */
static bool
is_text(const char *s)
{
	json_t *string = json_string(s);

	json_decref(string);
	return string != NULL;
}

static bool
can_be_made(const struct list *l, const struct list_edits *e, char err[LIST_ERR])
{
	for (size_t i = 0; i < e->n; i++) {
		if (e->v[i].was && !is_text(e->v[i].was)) {
			snprintf(err, LIST_ERR, "line %zu has bytes that are no UTF-8 text",
				 e->v[i].line + 1);
			return false;
		}
		if (!e->v[i].set || strlen(e->v[i].set) + 2 <= l->dialect->line_max)
			continue;
		snprintf(err, LIST_ERR, "%s: its line would have %zu bytes, %s reads at most %zu",
			 e->v[i].object, strlen(e->v[i].set), l->dialect->name, l->dialect->line_max);
		return false;
	}
	return true;
}

bool
list_plan(const struct list *l, const struct list_want *want, struct list_edits *ret,
	  char err[LIST_ERR])
{
	const char **missing = calloc(want->n_to + 1, sizeof(*missing));
	size_t n_missing = 0, n_set = 0;
	bool ok;

	*ret = (struct list_edits){0};
	for (size_t i = 0; i < l->n; i++)
		n_set += l->lines[i].is_hop && l->lines[i].set == want->set;
	if (!n_set) {
		snprintf(err, LIST_ERR, "it has no destination of set %ld%s", want->set,
			 l->n ? "" : ": it is empty");
		free(missing);
		return false;
	}
	for (size_t i = 0; missing && i < want->n_to; i++)
		if (list_find(l, want->set, want->to[i]) == l->n)
			missing[n_missing++] = want->to[i];
	snprintf(err, LIST_ERR, "out of memory");
	ok = missing && plan_all(l, want, missing, n_missing, ret) && can_be_made(l, ret, err);
	free(missing);
	if (!ok)
		list_edits_release(ret);
	return ok;
}

/* From the last edit to the first: new lines all come after the set's last line, the others
 * are in the order of the file, so no index is shifted before it is used. */
char *
list_edited(struct list *l, const struct list_edits *edits, size_t *ret_len)
{
	for (size_t i = edits->n; i-- > 0;) {
		const struct list_edit *e = &edits->v[i];

		if (!e->set)
			list_remove(l, e->line);
		else if (!(e->was ? list_set_text(&l->lines[e->line], e->set)
				  : list_insert(l, e->line, e->set)))
			return NULL;
	}
	return list_text(l, ret_len);
}
