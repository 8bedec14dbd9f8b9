#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/schema.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- descriptions ------------------------------------------------------------ */

static bool
next_word(const char **at, const char *end, const char **ret, size_t *ret_len)
{
	const char *p = *at;
	bool quoted;

	while (p < end && isspace((unsigned char)*p))
		p++;
	quoted = p < end && *p == '\'';
	p += quoted;
	*ret = p;
	while (p < end && (quoted ? *p != '\'' : !isspace((unsigned char)*p)))
		p++;
	*ret_len = (size_t)(p - *ret);
	*at = p + (quoted && p < end);
	return *ret_len > 0;
}

static bool
is_word(const char *word, size_t len, const char *text)
{
	return strlen(text) == len && !strncasecmp(word, text, len);
}

/* ( NUMBER NAME 'one' … )  or  ( NUMBER NAME ( 'one' 'two' ) … ) */
bool
lh_type_is(const struct berval *description, const char *name)
{
	const char *p = description->bv_val, *end = p + description->bv_len, *word;
	size_t len;

	if (!next_word(&p, end, &word, &len) || !is_word(word, len, "(") ||
	    !next_word(&p, end, &word, &len))
		return false;
	if (is_word(word, len, name))
		return true;
	if (!next_word(&p, end, &word, &len) || !is_word(word, len, "NAME") ||
	    !next_word(&p, end, &word, &len))
		return false;
	if (!is_word(word, len, "("))
		return is_word(word, len, name);
	while (next_word(&p, end, &word, &len) && !is_word(word, len, ")"))
		if (is_word(word, len, name))
			return true;
	return false;
}

/* --- the server's ------------------------------------------------------------ */

struct looking {
	const struct lh_names *names;
	bool found[LH_NAMES_MAX], any;
};

static int
keep_first(void *arg, const struct lh_entry *entry, struct lh_error *e)
{
	char **value = arg;
	const struct berval *v = entry->values[0];

	(void)e;
	if (v && v->bv_val && !*value)
		*value = strndup(v->bv_val, v->bv_len);
	return 0;
}

static int
look_at(void *arg, const struct lh_entry *entry, struct lh_error *e)
{
	struct looking *l = arg;

	(void)e;
	for (const struct berval *v = entry->values[0]; v && v->bv_val; v++) {
		l->any = true;
		for (size_t i = 0; i < l->names->n; i++)
			l->found[i] = l->found[i] || lh_type_is(v, l->names->name[i]);
	}
	return 0;
}

/* objectClass and such are in every schema; a server that hides its schema has its reasons. */
int
lh_schema_lacks(struct lh_conn *c, const struct lh_names *names, const char **ret,
		struct lh_error *e)
{
	struct lh_query root = {.base = "", .scope = LDAP_SCOPE_BASE, .filter = "(objectClass=*)",
				.attrs = {"subschemaSubentry"}};
	struct lh_query types = {.scope = LDAP_SCOPE_BASE, .filter = "(objectClass=subschema)",
				 .attrs = {"attributeTypes"}};
	struct looking l = {.names = names};
	char *where = NULL;
	int rc = lh_search(c, &root, keep_first, &where, e);

	*ret = NULL;
	types.base = where;
	if (!rc && where) {
		rc = lh_search(c, &types, look_at, &l, e);
		if (rc == RESITE_ERR_REFUSED)
			rc = 0;
	}
	for (size_t i = 0; !rc && l.any && i < names->n && !*ret; i++)
		if (!l.found[i])
			*ret = names->name[i];
	free(where);
	return rc;
}
