#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/addresses.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILE_MAX_BYTES (64 << 20)
#define ADDRESS_MAX 1000

/* --- the table ------------------------------------------------------------ */

static uint32_t
hash_of(const char *text, size_t len)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)tolower((unsigned char)text[i])) * 16777619u;
	return hash;
}

/* Where this address is, or would be. */
static struct lh_address *
slot_of(const struct lh_addresses *a, const char *text, size_t len)
{
	for (size_t at = hash_of(text, len);; at++) {
		struct lh_address *s = &a->slots[at & (a->n_slots - 1)];

		if (!s->text || (strlen(s->text) == len && !strncasecmp(s->text, text, len)))
			return s;
	}
}

static void
without_scheme(const char **text, size_t *len)
{
	if (*len > 4 && !strncasecmp(*text, "sip:", 4)) {
		*text += 4;
		*len -= 4;
	}
}

bool
lh_addresses_meet(struct lh_addresses *a, const char *address, size_t len)
{
	struct lh_address *s;

	without_scheme(&address, &len);
	s = slot_of(a, address, len);
	if (s->text)
		s->met = true;
	return s->text != NULL;
}

/* --- the file ------------------------------------------------------------- */

static int
fault(struct lh_error *e, const char *param, const char *path, size_t line, const char *why)
{
	return lh_error_set(e, RESITE_ERR_INVALID, "%s: %s:%zu: %s", param, path, line, why);
}

/* An address in the line, cut out in place; *ret NULL: the line has none. */
static const char *
line_fault(char *line, size_t len, char **ret)
{
	char *comment = memchr(line, '#', len), *end = comment ? comment : line + len;
	const char *start, *at;
	size_t n;

	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	while (end > line && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	*end = '\0';
	start = line;
	n = (size_t)(end - line);
	without_scheme(&start, &n);
	*ret = n ? line + (start - line) : NULL;
	if (!n)
		return NULL;
	if (n > ADDRESS_MAX)
		return "longer than an address may be";
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)start[i] <= ' ' || start[i] == 127)
			return "a blank or control character within an address: one address a line";
	at = strchr(start, '@');
	if (!at || at == start || !at[1] || strchr(at + 1, '@'))
		return "not an address (alice@contoso.example)";
	return NULL;
}

static int
table_for(struct lh_addresses *a, size_t lines, struct lh_error *e)
{
	a->n_slots = 16;
	while (a->n_slots < 2 * lines)
		a->n_slots *= 2;
	a->slots = calloc(a->n_slots, sizeof(*a->slots));
	return a->slots ? 0 : lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
}

static size_t
count_lines(const char *text, size_t len)
{
	size_t n = 1;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

static void
put(struct lh_addresses *a, char *text)
{
	struct lh_address *s = slot_of(a, text, strlen(text));

	if (s->text)
		return;
	for (char *p = text; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	s->text = text;
	a->n++;
}

static int
parse_lines(struct lh_addresses *a, const char *param, const char *path, size_t len,
	    struct lh_error *e)
{
	char *p = a->text, *end = a->text + len;
	size_t line = 1;

	if (len >= 3 && !memcmp(p, "\xef\xbb\xbf", 3))
		p += 3;
	for (; p < end; line++) {
		char *eol = memchr(p, '\n', (size_t)(end - p)), *address;
		const char *why;

		if (!eol)
			eol = end;
		why = line_fault(p, (size_t)(eol - p), &address);
		if (why)
			return fault(e, param, path, line, why);
		if (address)
			put(a, address);
		p = eol + 1;
	}
	if (a->n)
		return 0;
	return fault(e, param, path, line, "no address is in the file: is it whole? (leave the "
					   "parameter out when nobody is meant)");
}

int
lh_addresses_parse(struct lh_addresses *a, const char *param, const char *path, char *text,
		   size_t len, struct lh_error *e)
{
	int rc;

	*a = (struct lh_addresses){.text = text};
	if ((len >= 2 && (!memcmp(text, "\xff\xfe", 2) || !memcmp(text, "\xfe\xff", 2))) ||
	    memchr(text, '\0', len))
		rc = fault(e, param, path, 1, "is not text in UTF-8 (UTF-16, as Windows tools write it, "
					      "or a binary file): save it as UTF-8");
	else
		rc = table_for(a, count_lines(text, len), e);
	if (!rc)
		rc = parse_lines(a, param, path, len, e);
	if (rc)
		lh_addresses_release(a);
	return rc;
}

int
lh_addresses_load(struct lh_addresses *a, const char *param, const char *path, struct lh_error *e)
{
	FILE *f = fopen(path, "re");
	size_t len = 0, cap = 1 << 16, n;
	char *text = f ? malloc(cap + 1) : NULL;
	int rc = 0;

	*a = (struct lh_addresses){.text = NULL};
	if (!f)
		return lh_error_set(e, RESITE_ERR_INVALID, "%s: %s: %s", param, path, strerror(errno));
	while (text && !rc && (n = fread(text + len, 1, cap - len, f)) > 0) {
		len += n;
		if (len > FILE_MAX_BYTES)
			rc = fault(e, param, path, 1, "is larger than 64 MiB");
		if (len == cap) {
			char *more = realloc(text, 2 * cap + 1);

			if (!more)
				rc = lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
			else
				text = more, cap *= 2;
		}
	}
	if (!text)
		rc = lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
	else if (!rc && ferror(f))
		rc = lh_error_set(e, RESITE_ERR_INVALID, "%s: %s: %s", param, path, strerror(errno));
	fclose(f);
	if (rc) {
		free(text);
		return rc;
	}
	text[len] = '\0';
	return lh_addresses_parse(a, param, path, text, len, e);
}

void
lh_addresses_release(struct lh_addresses *a)
{
	free(a->text);
	free(a->slots);
	*a = (struct lh_addresses){.text = NULL};
}
