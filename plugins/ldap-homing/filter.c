/* Filters as RFC 4515 writes them, checked before a server sees them: libldap takes some
 * that no server should be asked, and tells of none what is wrong with it. */
#include "config.h"
#include "plugins/ldap-homing/names.h"

#include <ctype.h>
#include <string.h>

#define DEPTH_MAX 50

struct reader {
	const char *p;
	int depth;
	const char *fault;
	struct lh_names *names; /* of attributes; NULL: they are not wanted */
};

static void read_filter(struct reader *r);

static void
skip_blanks(struct reader *r)
{
	while (*r->p == ' ')
		r->p++;
}

static void
read_list(struct reader *r, bool one)
{
	size_t n = 0;

	r->p++;
	for (skip_blanks(r); !r->fault && *r->p == '('; skip_blanks(r), n++)
		read_filter(r);
	if (!r->fault && (n == 0 || (one && n > 1)))
		r->fault = one ? "\"!\" takes one filter" : "no filter is in the list";
}

static void
read_value(struct reader *r, bool substrings)
{
	for (; *r->p && *r->p != ')'; r->p++) {
		if (*r->p == '(')
			r->fault = "a parenthesis in a value is written \\28 or \\29";
		else if (*r->p == '*' && !substrings)
			r->fault = "an asterisk here is written \\2a";
		else if (*r->p == '\\' &&
			 (!isxdigit((unsigned char)r->p[1]) || !isxdigit((unsigned char)r->p[2])))
			r->fault = "a backslash is followed by two hexadecimal digits";
		if (r->fault)
			return;
		if (*r->p == '\\')
			r->p += 2;
	}
}

/* Without options (";lang-de") and without rules (":dn:1.2.3:"). */
static void
note_name(struct lh_names *names, const char *start)
{
	size_t len = strcspn(start, ";:=~<>");

	if (!names || !len || len >= LH_NAME_BYTES || names->n == LH_NAMES_MAX)
		return;
	memcpy(names->name[names->n], start, len);
	names->name[names->n++][len] = '\0';
}

/* attribute, with :dn and :rule before ":=". */
static void
read_item(struct reader *r)
{
	const char *start = r->p;
	bool equal;

	r->p += strspn(r->p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.;:");
	equal = *r->p == '=';
	if (r->p == start || (!isalnum((unsigned char)*start) && *start != ':')) {
		r->fault = "an attribute is missing";
		return;
	}
	note_name(r->names, start);
	if (strchr("~<>", *r->p) && *r->p)
		r->p++;
	if (*r->p != '=') {
		r->fault = "=, ~=, <=, >= or := is missing after the attribute";
		return;
	}
	equal = equal && r->p[-1] != ':';
	r->p++;
	read_value(r, equal);
}

static void
read_filter(struct reader *r)
{
	if (*r->p != '(') {
		r->fault = "a filter begins with \"(\"";
		return;
	}
	if (++r->depth > DEPTH_MAX) {
		r->fault = "filters within filters: more than 50 deep";
		return;
	}
	r->p++;
	if (*r->p == '&' || *r->p == '|' || *r->p == '!')
		read_list(r, *r->p == '!');
	else
		read_item(r);
	if (!r->fault && *r->p != ')')
		r->fault = "\")\" is missing";
	if (!r->fault)
		r->p++;
	r->depth--;
}

const char *
lh_filter_fault(const char *text, size_t *ret_at)
{
	struct reader r = {.p = text};

	read_filter(&r);
	if (!r.fault && *r.p)
		r.fault = "more follows where the filter ends: put (& ) round several";
	*ret_at = (size_t)(r.p - text);
	return r.fault;
}

void
lh_filter_attributes(const char *text, struct lh_names *names)
{
	struct reader r = {.p = text, .names = names};

	read_filter(&r);
}
