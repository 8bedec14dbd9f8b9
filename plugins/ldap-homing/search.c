#include "config.h"
#include "plugins/ldap-homing/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct search {
	struct lh_conn *c;
	const struct lh_query *q;
	int (*each)(void *, const struct lh_entry *, struct lh_error *);
	void *arg;
	struct berval cookie; /* of the page to ask for; empty at first */
	bool more;            /* the server has another page */
	char what[400];       /* the search, for messages */
};

static int
send_page(struct search *s, int *ret_msgid, struct lh_error *e)
{
	char *attrs[LH_QUERY_ATTRS + 2] = {NULL};
	LDAPControl *page = NULL, *controls[2] = {NULL, NULL};
	int n = 0, code = LDAP_SUCCESS;

	for (int i = 0; i < LH_QUERY_ATTRS; i++)
		if (s->q->attrs[i])
			attrs[n++] = (char *)(uintptr_t)s->q->attrs[i];
	if (n == 0)
		attrs[0] = (char *)(uintptr_t)LDAP_NO_ATTRS;
	if (s->q->page_size > 0) /* critical: without it the list could be cut */
		code = ldap_create_page_control(s->c->ld, s->q->page_size, &s->cookie, 1, &page);
	controls[0] = page;
	if (code == LDAP_SUCCESS)
		code = ldap_search_ext(s->c->ld, s->q->base, s->q->scope, s->q->filter, attrs, 0,
				       controls, NULL, NULL, LDAP_NO_LIMIT, ret_msgid);
	ldap_control_free(page);
	return code == LDAP_SUCCESS ? 0 : lh_error_ld(e, s->c->ld, code, s->what);
}

/* Which of the wanted attributes is this?  A server may add options (";range=…"). */
static int
wanted_index(const struct lh_query *q, const struct berval *name)
{
	for (int i = 0; i < LH_QUERY_ATTRS; i++)
		if (q->attrs[i] && strlen(q->attrs[i]) == name->bv_len &&
		    !strncasecmp(q->attrs[i], name->bv_val, name->bv_len))
			return i;
	return -1;
}

static int
on_entry(struct search *s, LDAPMessage *msg, struct lh_error *e)
{
	struct lh_entry entry = {.dn = {0, NULL}};
	BerVarray values[LH_QUERY_ATTRS] = {NULL};
	BerElement *ber = NULL;
	struct berval name;
	char *dn = NULL;
	int rc = ldap_get_dn_ber(s->c->ld, msg, &ber, &entry.dn);

	while (rc == LDAP_SUCCESS) {
		BerVarray vals = NULL;
		int i;

		rc = ldap_get_attribute_ber(s->c->ld, msg, ber, &name, &vals);
		if (rc != LDAP_SUCCESS || !name.bv_val)
			break;
		i = wanted_index(s->q, &name);
		if (i >= 0 && !values[i])
			entry.values[i] = values[i] = vals;
		else
			ber_memfree(vals);
	}
	if (rc == LDAP_SUCCESS && (dn = strndup(entry.dn.bv_val, entry.dn.bv_len))) {
		entry.dn.bv_val = dn;
		rc = s->each(s->arg, &entry, e);
	} else {
		rc = lh_error_ld(e, s->c->ld, rc ? rc : LDAP_NO_MEMORY, s->what);
	}
	free(dn);
	for (int i = 0; i < LH_QUERY_ATTRS; i++)
		ber_memfree(values[i]);
	ber_free(ber, 0);
	return rc;
}

static int
on_reference(struct search *s, LDAPMessage *msg, struct lh_error *e)
{
	char **urls = NULL;

	if (s->q->skip_references)
		return 0;
	ldap_parse_reference(s->c->ld, msg, &urls, NULL, 0);
	lh_error_set(e, RESITE_ERR_REFUSED,
		     "%s: part of the tree is on another server (%s), so the list is not whole: name "
		     "a base below that has no references, or, when no users live there, say "
		     "referrals = \"skip\"",
		     s->what, urls && urls[0] ? urls[0] : "no URL given");
	ldap_memvfree((void **)urls);
	return e->rc;
}

/* Takes the cookie of the next page from the controls of a result. */
static int
next_cookie(struct search *s, LDAPControl **controls, struct lh_error *e)
{
	LDAPControl *page = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL);
	ber_int_t estimate;
	int code;

	ber_memfree(s->cookie.bv_val);
	s->cookie = (struct berval){0, NULL};
	if (s->q->page_size <= 0)
		return 0;
	if (!page)
		return lh_error_set(e, RESITE_ERR_REFUSED,
				    "%s: the server left out the paging control (RFC 2696), so it cannot "
				    "be known that the list is whole; page_size = 0 asks without pages",
				    s->what);
	code = ldap_parse_pageresponse_control(s->c->ld, page, &estimate, &s->cookie);
	s->more = s->cookie.bv_len > 0;
	return code == LDAP_SUCCESS ? 0 : lh_error_ld(e, s->c->ld, code, s->what);
}

static int
on_result(struct search *s, LDAPMessage *msg, struct lh_error *e)
{
	LDAPControl **controls = NULL;
	char *matched = NULL, *diag = NULL;
	int code, rc = ldap_parse_result(s->c->ld, msg, &code, &matched, &diag, NULL, &controls, 0);

	if (rc != LDAP_SUCCESS)
		rc = lh_error_ld(e, s->c->ld, rc, s->what);
	else if (code != LDAP_SUCCESS)
		rc = lh_error_result(e, code, diag, s->what);
	else
		rc = next_cookie(s, controls, e);
	ldap_controls_free(controls);
	ldap_memfree(matched);
	ldap_memfree(diag);
	return rc;
}

static int
read_page(struct search *s, int msgid, struct lh_error *e)
{
	for (;;) {
		LDAPMessage *msg;
		int type, rc = lh_conn_next(s->c, msgid, &msg, e);

		if (rc)
			return rc;
		type = ldap_msgtype(msg);
		if (type == LDAP_RES_SEARCH_ENTRY)
			rc = on_entry(s, msg, e);
		else if (type == LDAP_RES_SEARCH_REFERENCE)
			rc = on_reference(s, msg, e);
		else if (type == LDAP_RES_SEARCH_RESULT)
			rc = on_result(s, msg, e);
		else if (type != LDAP_RES_INTERMEDIATE)
			rc = lh_error_set(e, RESITE_ERR_REFUSED,
					  "%s: the server sent a message of unknown type 0x%x", s->what,
					  (unsigned)type);
		ldap_msgfree(msg);
		if (rc || type == LDAP_RES_SEARCH_RESULT)
			return rc;
	}
}

int
lh_search(struct lh_conn *c, const struct lh_query *q,
	  int (*each)(void *, const struct lh_entry *, struct lh_error *), void *arg,
	  struct lh_error *e)
{
	struct search s = {.c = c, .q = q, .each = each, .arg = arg};
	int rc = 0;

	snprintf(s.what, sizeof(s.what), "%s: search for %.150s under \"%.150s\"", c->url, q->filter,
		 q->base);
	do {
		int msgid = 0;

		s.more = false;
		rc = send_page(&s, &msgid, e);
		if (!rc)
			rc = read_page(&s, msgid, e);
		if (rc && msgid) /* the rest of the page is of no use */
			ldap_abandon_ext(c->ld, msgid, NULL, NULL);
	} while (!rc && s.more);
	ber_memfree(s.cookie.bv_val);
	return rc;
}

/* --- single entries ------------------------------------------------------ */

struct value_read {
	bool exists;
	char *value;
};

static int
keep_value(void *arg, const struct lh_entry *entry, struct lh_error *e)
{
	struct value_read *r = arg;
	const struct berval *v = entry->values[0];

	r->exists = true;
	if (!v || !v[0].bv_val || r->value)
		return 0;
	r->value = strndup(v[0].bv_val, v[0].bv_len);
	return r->value ? 0 : lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
}

int
lh_read_value(struct lh_conn *c, const char *dn, const char *attribute, bool *ret_exists,
	      char **ret_value, struct lh_error *e)
{
	struct lh_query q = {.base = dn, .scope = LDAP_SCOPE_BASE, .filter = "(objectClass=*)",
			     .attrs = {attribute}};
	struct value_read r = {false, NULL};
	int rc = lh_search(c, &q, keep_value, &r, e);

	if (rc && e->code == LDAP_NO_SUCH_OBJECT)
		rc = 0;
	if (rc) {
		free(r.value);
		return rc;
	}
	*ret_exists = r.exists;
	*ret_value = r.value;
	return 0;
}

struct listed {
	const char *oid;
	bool found;
};

static int
look_for_oid(void *arg, const struct lh_entry *entry, struct lh_error *e)
{
	struct listed *l = arg;

	(void)e;
	for (const struct berval *v = entry->values[0]; v && v->bv_val; v++)
		if (strlen(l->oid) == v->bv_len && !memcmp(l->oid, v->bv_val, v->bv_len))
			l->found = true;
	return 0;
}

int
lh_root_lists(struct lh_conn *c, const char *attribute, const char *oid, bool *ret_listed,
	      struct lh_error *e)
{
	struct lh_query q = {.base = "", .scope = LDAP_SCOPE_BASE, .filter = "(objectClass=*)",
			     .attrs = {attribute}};
	struct listed l = {oid, false};
	int rc = lh_search(c, &q, look_for_oid, &l, e);

	if (!rc)
		*ret_listed = l.found;
	return rc;
}
