/* cms: where the central management store is, by the pointer in the directory; and moving
 * the pointer when it names a server of the site that is lost. */
#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/actions.h"

#include "plugins/ldap-homing/call.h"
#include "plugins/ldap-homing/modify.h"
#include "plugins/ldap-homing/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RTC_SERVICE "CN=RTC Service,CN=Services"

struct pointer {
	unsigned n;
	char *dn, *value; /* of the first; value NULL: it has none */
	char names[500];
};

enum place { PLACE_SURVIVES, PLACE_LOST, PLACE_UNKNOWN };

/* --- pure ------------------------------------------------------------------- */

/* Are these the same host?  Of "FQDN\instance" the host part counts, whatever its case, and
 * no trailing dot. */
static bool
same_host(const char *a, const char *b)
{
	size_t n = strcspn(a, "\\"), m = strcspn(b, "\\");

	n -= n && a[n - 1] == '.';
	m -= m && b[m - 1] == '.';
	return n && n == m && !strncasecmp(a, b, n);
}

static bool
is_listed(struct call *k, const char *param, const char *value)
{
	for (uint32_t i = 0; i < k->host->param_count(k->op, param); i++)
		if (same_host(k->host->param_str(k->op, param, i), value))
			return true;
	return false;
}

static enum place
place_of(struct call *k, const char *value)
{
	const char *set_to = call_text(k, "set_to");

	if (is_listed(k, "surviving", value) || (set_to && same_host(set_to, value)))
		return PLACE_SURVIVES;
	return is_listed(k, "lost", value) ? PLACE_LOST : PLACE_UNKNOWN;
}

/* --- the pointer ---------------------------------------------------------- */

static int
note(void *arg, const struct lh_entry *entry, struct lh_error *e)
{
	struct pointer *p = arg;

	lh_names_add(p->names, sizeof(p->names), entry->dn.bv_val);
	if (p->n++)
		return 0;
	p->dn = strdup(entry->dn.bv_val);
	p->value = lh_entry_text(entry, 0);
	return p->dn ? 0 : lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
}

static void
pointer_release(struct pointer *p)
{
	free(p->dn);
	free(p->value);
	*p = (struct pointer){.n = 0};
}

static int
judge_pointer(struct call *k, struct lh_conn *c, const char *base, const struct pointer *p,
	      struct lh_error *e)
{
	if (p->n == 0)
		return lh_error_set(e, RESITE_ERR_REFUSED,
				    "%s: no entry of class %s is under \"%s\", or this user may not see it: "
				    "the forest names no central management store; is base right?",
				    c->url, call_text(k, "class"), base);
	if (p->n > 1)
		return lh_error_set(e, RESITE_ERR_REFUSED,
				    "%s: %u entries of class %s are under \"%s\", and only one can name the "
				    "central management store: %s; say in base which of them",
				    c->url, p->n, call_text(k, "class"), base, p->names);
	if (!p->value)
		return lh_error_set(e, RESITE_ERR_REFUSED,
				    "%s: \"%s\" has no %s, or this user may not read it: the forest names no "
				    "central management store", c->url, p->dn, call_text(k, "attribute"));
	return 0;
}

static int
read_pointer(struct call *k, struct lh_conn *c, struct pointer *ret, struct lh_error *e)
{
	char *base = NULL, *filter = lh_filter_equal("objectClass", call_text(k, "class"), NULL);
	struct lh_query q = {.scope = LDAP_SCOPE_SUBTREE, .filter = filter,
			     .attrs = {call_text(k, "attribute")}};
	int rc = filter ? call_base(k, c, RTC_SERVICE, &base, e)
			: lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");

	q.base = base;
	if (!rc)
		rc = lh_search(c, &q, note, ret, e);
	if (!rc)
		rc = judge_pointer(k, c, base, ret, e);
	free(filter);
	free(base);
	if (rc)
		pointer_release(ret);
	return rc;
}

/* --- deciding ------------------------------------------------------------- */

static int
refuse_unknown(struct lh_conn *c, const struct pointer *p, struct lh_error *e)
{
	return lh_error_set(e, RESITE_ERR_REFUSED,
			    "%s: the central management store is at \"%s\", which the plan names neither "
			    "among lost nor among surviving: say of that server which of them it is",
			    c->url, p->value);
}

/* Without set_to this is a gate. */
static int
refuse_lost(struct lh_conn *c, const struct pointer *p, struct lh_error *e)
{
	return lh_error_set(
		e, RESITE_ERR_REFUSED,
		"%s: the central management store is at \"%s\", which is lost: while it is, no user and no "
		"topology can be changed with Lync's own tools. On a server of the site that is left, type: "
		"Move-CsManagementServer -ConfigurationFileName CsConfiguration.zip "
		"-LisConfigurationFileName CsLisConfiguration.zip -Force ; Enable-CsTopology -- and then retry "
		"this step. To move only the pointer (%s), give set_to = \"FQDN\\\\instance\" of a store that is "
		"there already",
		c->url, p->value, p->dn);
}

static int
tell_place(struct call *k, struct lh_conn *c, const struct pointer *p, struct lh_error *e)
{
	const char *set_to = call_text(k, "set_to");
	struct lh_digest digest = {.count = 0};
	char now[700], hex[LH_DIGEST_HEX];
	enum place place = place_of(k, p->value);

	k->host->output(k->op, "where", p->value);
	k->host->output(k->op, "surviving", place == PLACE_SURVIVES ? "true" : "false");
	if (place == PLACE_UNKNOWN)
		return refuse_unknown(c, p, e);
	if (place == PLACE_LOST && !set_to)
		return refuse_lost(c, p, e);
	if (place == PLACE_LOST && k->host->change(k->op, p->dn, p->value, set_to) < 0)
		return lh_error_set(e, RESITE_ERR_TRANSIENT, "the host would not take a change");
	lh_digest_add(&digest, p->value, strlen(p->value));
	lh_digest_hex(&digest, p->dn, hex);
	snprintf(now, sizeof(now), "the central management store is at \"%.200s\" (%.300s), %s", p->value,
		 p->dn, place == PLACE_LOST ? "which is lost" : "in the site that survives");
	k->host->state(k->op, now, hex, place == PLACE_LOST, 1);
	return 0;
}

/* The change itself: an undo record, then a compare-and-swap. */
static int
swap(struct call *k, struct lh_conn *c, const struct pointer *p, struct lh_error *e)
{
	const struct lh_swap swap = {call_text(k, "attribute"), p->value, call_text(k, "set_to")};
	char what[400], *diag = NULL;
	LDAPMessage *msg;
	int msgid, code, rc = call_undo_add(k, p->dn, swap.attribute, swap.from, swap.to);

	if (rc == RESITE_OK)
		rc = k->host->sync(k->op);
	if (rc != RESITE_OK)
		return lh_error_set(e, rc, "the undo record could not be made durable, so the pointer was "
					   "not touched");
	if (lh_swap_send(c, &swap, p->dn, NULL, &msgid, e) || lh_conn_next(c, msgid, &msg, e) ||
	    lh_conn_result(c, msg, &code, &diag, e))
		return e->rc;
	snprintf(what, sizeof(what), "%s: moving %s of %s from \"%s\"", c->url, swap.attribute, p->dn,
		 p->value);
	if (code != LDAP_SUCCESS)
		lh_error_result(e, code, diag, what);
	ldap_memfree(diag);
	return code == LDAP_SUCCESS ? 0 : e->rc;
}

static int
move_pointer(struct call *k, struct lh_conn *c, const struct pointer *p, struct lh_error *e)
{
	enum place place = place_of(k, p->value);

	if (place == PLACE_UNKNOWN)
		return refuse_unknown(c, p, e);
	if (place == PLACE_LOST && !call_text(k, "set_to"))
		return refuse_lost(c, p, e);
	return place == PLACE_LOST ? swap(k, c, p, e) : 0;
}

/* A replica may lag; the server that was written to may not. */
static int
judge_place(struct call *k, struct lh_conn *c, const struct pointer *p, struct lh_error *e)
{
	bool replica = strcmp(k->verify_url, k->target.url) != 0;

	k->host->output(k->op, "where", p->value);
	if (place_of(k, p->value) == PLACE_SURVIVES)
		return 0;
	lh_error_set(e, RESITE_ERR_CONFLICT, "%s: the central management store is at \"%s\"", c->url,
		     p->value);
	if (!replica)
		return e->rc;
	k->host->fail(k->op, NULL, 2000, e->text);
	return e->rc = RESITE_PENDING;
}

/* --- the four functions ----------------------------------------------------- */

int
cms_check(struct resite_op *op, const struct resite_host *host)
{
	const char *set_to;
	struct call k;
	int rc;

	call_init(&k, op, host);
	call_read_verify_server(&k);
	set_to = call_text(&k, "set_to");
	rc = call_check_dn(&k, "base");
	if (rc == RESITE_OK)
		rc = call_check_attribute(&k, "class");
	if (rc == RESITE_OK)
		rc = call_check_attribute(&k, "attribute");
	if (rc == RESITE_OK && set_to && is_listed(&k, "lost", set_to))
		rc = call_invalid(&k, "set_to", "is among the lost");
	if (rc == RESITE_OK && !set_to && !host->param_count(op, "surviving"))
		rc = resite_fail(op, host, RESITE_ERR_INVALID, "surviving",
				 "say which servers survive, or set_to");
	for (uint32_t i = 0; rc == RESITE_OK && i < host->param_count(op, "surviving"); i++)
		if (is_listed(&k, "lost", host->param_str(op, "surviving", i)))
			rc = resite_fail(op, host, RESITE_ERR_INVALID, "surviving",
					 "\"%s\" is among the lost, too",
					 host->param_str(op, "surviving", i));
	if (rc == RESITE_OK)
		rc = call_check_target(&k);
	call_release(&k);
	return rc;
}

static int
with_pointer(struct resite_op *op, const struct resite_host *host, bool verify,
	     int (*work)(struct call *, struct lh_conn *, const struct pointer *, struct lh_error *))
{
	struct pointer p = {.n = 0};
	struct lh_error e = {.rc = 0};
	struct lh_conn c;
	struct call k;
	int rc;

	call_init(&k, op, host);
	call_read_verify_server(&k);
	rc = call_open(&k, verify ? k.verify_url : k.target.url, &c);
	if (rc == RESITE_OK) {
		if (read_pointer(&k, &c, &p, &e) || work(&k, &c, &p, &e))
			rc = e.rc == RESITE_PENDING ? e.rc : call_report(&k, &e);
		lh_conn_close(&c);
	}
	pointer_release(&p);
	call_release(&k);
	return rc;
}

int
cms_probe(struct resite_op *op, const struct resite_host *host)
{
	return with_pointer(op, host, false, tell_place);
}

int
cms_apply(struct resite_op *op, const struct resite_host *host)
{
	return with_pointer(op, host, false, move_pointer);
}

int
cms_verify(struct resite_op *op, const struct resite_host *host)
{
	return with_pointer(op, host, true, judge_place);
}

int
cms_revert(struct resite_op *op, const struct resite_host *host)
{
	return call_revert(op, host, 1, 0);
}
