#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/undo.h"

#include "plugins/ldap-homing/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOPELESS 100  /* refusals in a row from the very first record on */
#define GRACE_MS 3000 /* to learn the answers to what was sent before a stop */

/* What an item waits for. */
enum stage { FREE, SWAP, LOOK, SWAP_AGAIN };

/* One record under way. */
struct item {
	enum stage stage;
	int msgid;
	struct lh_record r; /* copies */
	bool exists;        /* the entry was found */
	char *now;          /* its value: one that we know, else the first; NULL: none */
	char *seen;         /* the value that SWAP_AGAIN replaces; NULL: none was there */
};

struct undo {
	struct lh_conn *c;
	const struct lh_records *records;
	int way;
	unsigned window, in_flight;
	bool ending;        /* nothing new is sent, answers are awaited */
	uint64_t put_back, refused;
	char first_refused[600];
	struct item items[LH_WINDOW_MAX];
};

/* --- items --------------------------------------------------------------- */

static void
item_free(struct undo *u, struct item *i)
{
	free((void *)(uintptr_t)i->r.dn);
	free((void *)(uintptr_t)i->r.attribute);
	free((void *)(uintptr_t)i->r.was);
	free((void *)(uintptr_t)i->r.set);
	free(i->now);
	free(i->seen);
	*i = (struct item){.stage = FREE};
	u->in_flight--;
}

static struct item *
item_new(struct undo *u, const struct lh_record *r)
{
	struct item *i = u->items;

	while (i->stage != FREE)
		i++;
	i->r = (struct lh_record){strdup(r->dn), strdup(r->attribute), strdup(r->was), strdup(r->set)};
	i->stage = SWAP;
	u->in_flight++;
	if (i->r.dn && i->r.attribute && i->r.was && i->r.set)
		return i;
	item_free(u, i);
	return NULL;
}

static struct item *
item_of(struct undo *u, int msgid)
{
	for (unsigned i = 0; i < u->window; i++)
		if (u->items[i].stage != FREE && u->items[i].msgid == msgid)
			return &u->items[i];
	return NULL;
}

static bool
is_under_way(const struct undo *u, const char *dn)
{
	for (unsigned i = 0; i < u->window; i++)
		if (u->items[i].stage != FREE && !strcmp(u->items[i].r.dn, dn))
			return true;
	return false;
}

static int
tell(struct undo *u, struct item *i, int result, const char *now, struct lh_error *e)
{
	int rc = u->records->tell(u->records->arg, &i->r, result, now);

	u->put_back += result == RESITE_REVERTED_PUT_BACK;
	item_free(u, i);
	return rc == RESITE_OK ? 0 : lh_error_set(e, rc, "the host would not take a report");
}

/* --- questions ----------------------------------------------------------- */

static int
send_swap(struct undo *u, struct item *i, enum stage stage, const char *from, struct lh_error *e)
{
	struct lh_swap swap = {i->r.attribute, from, i->r.was};

	i->stage = stage;
	return lh_swap_send(u->c, &swap, i->r.dn, NULL, &i->msgid, e);
}

static int
send_look(struct undo *u, struct item *i, struct lh_error *e)
{
	char *attrs[] = {(char *)(uintptr_t)i->r.attribute, NULL}, what[400];
	int code = ldap_search_ext(u->c->ld, i->r.dn, LDAP_SCOPE_BASE, "(objectClass=*)", attrs, 0,
				   NULL, NULL, NULL, LDAP_NO_LIMIT, &i->msgid);

	i->stage = LOOK;
	if (code == LDAP_SUCCESS)
		return 0;
	snprintf(what, sizeof(what), "%s: reading %s", u->c->url, i->r.dn);
	return lh_error_ld(e, u->c->ld, code, what);
}

/* --- answers ------------------------------------------------------------- */

/* The server said neither yes nor "not that value". */
static int
on_refused(struct undo *u, struct item *i, int code, const char *diag, struct lh_error *e)
{
	struct lh_error one;
	int rc;

	lh_error_result(&one, code, diag, i->r.dn);
	if (one.rc == RESITE_ERR_TRANSIENT) {
		*e = one;
		return e->rc;
	}
	if (u->refused++ == 0)
		snprintf(u->first_refused, sizeof(u->first_refused), "%.599s", one.text);
	rc = tell(u, i, RESITE_REVERTED_REFUSED, one.text + strlen(i->r.dn) + 2, e);
	if (rc || u->refused < HOPELESS || u->put_back)
		return rc;
	return lh_error_set(e, RESITE_ERR_REFUSED,
			    "the server refused the first %d changes and made none, so the rest was not "
			    "tried: %s", HOPELESS, u->first_refused);
}

/* What follows from what was found.  A value that is ours in another spelling, or is ours
 * again since, is swapped as it is spelled there; but once only. */
static int
settle(struct undo *u, struct item *i, bool again, struct lh_error *e)
{
	bool ours = i->now && lh_dn_equal(i->now, i->r.set);

	if (!i->exists)
		return tell(u, i, RESITE_REVERTED_GONE, NULL, e);
	if (i->now && lh_dn_equal(i->now, i->r.was))
		return tell(u, i, RESITE_REVERTED_ALREADY, i->now, e);
	if (u->way == RESITE_LOOK)
		return tell(u, i, ours ? RESITE_REVERTED_PUT_BACK : RESITE_REVERTED_CONFLICT, i->now,
			    e);
	if (again || u->ending || (u->way == RESITE_PUT_BACK && !ours))
		return tell(u, i, RESITE_REVERTED_CONFLICT, i->now, e);
	i->seen = i->now;
	i->now = NULL;
	return send_swap(u, i, SWAP_AGAIN, i->seen, e);
}

static int
on_swapped(struct undo *u, struct item *i, LDAPMessage *msg, struct lh_error *e)
{
	bool look;
	char *diag = NULL;
	int code, rc = lh_conn_result(u->c, msg, &code, &diag, e);

	if (rc)
		return rc;
	look = code == LDAP_NO_SUCH_ATTRIBUTE || code == LDAP_TYPE_OR_VALUE_EXISTS;
	if (code == LDAP_SUCCESS)
		rc = tell(u, i, RESITE_REVERTED_PUT_BACK, i->stage == SWAP ? i->r.set : i->seen, e);
	else if (code == LDAP_NO_SUCH_OBJECT)
		rc = tell(u, i, RESITE_REVERTED_GONE, NULL, e);
	else if (look && u->ending)
		item_free(u, i); /* the next attempt finds it again */
	else if (look)
		rc = send_look(u, i, e);
	else
		rc = on_refused(u, i, code, diag, e);
	ldap_memfree(diag);
	return rc;
}

/* A value that the record knows says more than the first of several. */
static int
keep_values(struct item *i, const struct berval *values, struct lh_error *e)
{
	for (const struct berval *v = values; v && v->bv_val; v++) {
		char *text = strndup(v->bv_val, v->bv_len);

		if (!text)
			return lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
		if (i->now && !lh_dn_equal(text, i->r.was) && !lh_dn_equal(text, i->r.set)) {
			free(text);
			continue;
		}
		free(i->now);
		i->now = text;
		if (lh_dn_equal(text, i->r.was))
			break;
	}
	return 0;
}

static int
on_entry(struct undo *u, struct item *i, LDAPMessage *msg, struct lh_error *e)
{
	BerElement *ber = NULL;
	struct berval dn, name;
	BerVarray values = NULL;
	int code = ldap_get_dn_ber(u->c->ld, msg, &ber, &dn), rc = 0;

	i->exists = true;
	while (code == LDAP_SUCCESS && !rc) {
		code = ldap_get_attribute_ber(u->c->ld, msg, ber, &name, &values);
		if (code != LDAP_SUCCESS || !name.bv_val)
			break;
		rc = keep_values(i, values, e);
		ber_memfree(values);
	}
	ber_free(ber, 0);
	ldap_msgfree(msg);
	return code == LDAP_SUCCESS ? rc : lh_error_ld(e, u->c->ld, code, i->r.dn);
}

static int
on_looked(struct undo *u, struct item *i, LDAPMessage *msg, bool again, struct lh_error *e)
{
	char *diag = NULL;
	int code, rc = lh_conn_result(u->c, msg, &code, &diag, e);

	if (!rc && code != LDAP_SUCCESS && code != LDAP_NO_SUCH_OBJECT)
		rc = on_refused(u, i, code, diag, e);
	else if (!rc)
		rc = settle(u, i, again, e);
	ldap_memfree(diag);
	return rc;
}

static int
receive_one(struct undo *u, struct lh_error *e)
{
	LDAPMessage *msg;
	struct item *i;
	int rc = lh_conn_next(u->c, LDAP_RES_ANY, &msg, e);

	if (rc)
		return rc;
	i = item_of(u, ldap_msgid(msg));
	if (i && ldap_msgtype(msg) == LDAP_RES_MODIFY)
		return on_swapped(u, i, msg, e);
	if (i && ldap_msgtype(msg) == LDAP_RES_SEARCH_ENTRY)
		return on_entry(u, i, msg, e);
	if (i && ldap_msgtype(msg) == LDAP_RES_SEARCH_RESULT)
		return on_looked(u, i, msg, i->seen != NULL, e);
	ldap_msgfree(msg); /* a reference, which the final result will speak of, or nothing of ours */
	return 0;
}

/* --- all of it ----------------------------------------------------------- */

static int
begin(struct undo *u, const struct lh_record *r, struct lh_error *e)
{
	struct item *i;
	int rc = 0;

	while (!rc && (u->in_flight >= u->window || is_under_way(u, r->dn)))
		rc = receive_one(u, e);
	if (rc)
		return rc;
	i = item_new(u, r);
	if (!i)
		return lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
	return u->way == RESITE_LOOK ? send_look(u, i, e) : send_swap(u, i, SWAP, i->r.set, e);
}

static int
put_all_back(struct undo *u, struct lh_error *e)
{
	struct lh_record r;
	int rc = 0, more;

	while (!rc && (more = u->records->next(u->records->arg, &r)) != 0)
		rc = more > 0 ? begin(u, &r, e)
			      : lh_error_set(e, more, "the undo records cannot be read");
	while (!rc && u->in_flight)
		rc = receive_one(u, e);
	if (rc || !u->refused)
		return rc;
	return lh_error_set(e, RESITE_ERR_REFUSED, "%" PRIu64 " users could not be put back; the "
			    "first: %s", u->refused, u->first_refused);
}

/* After a stop: what was sent is learned and told, for a moment. */
static void
wind_down(struct undo *u)
{
	struct lh_error ignored;

	u->ending = true;
	lh_conn_grace(u->c, GRACE_MS);
	while (u->in_flight && !receive_one(u, &ignored))
		;
	for (unsigned i = 0; i < u->window; i++)
		if (u->items[i].stage != FREE)
			item_free(u, &u->items[i]);
}

int
lh_undo(struct lh_conn *c, unsigned window, int way, const struct lh_records *records,
	struct lh_error *e)
{
	struct undo *u = calloc(1, sizeof(*u));
	int rc;

	if (!u)
		return lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
	u->c = c;
	u->records = records;
	u->way = way;
	u->window = window;
	rc = put_all_back(u, e);
	if (rc)
		wind_down(u);
	free(u);
	return rc;
}
