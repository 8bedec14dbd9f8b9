#include "config.h"
#include "plugins/ldap-homing/modify.h"

#include "plugins/ldap-homing/search.h"

#include <stdio.h>
#include <string.h>

void
lh_window_init(struct lh_window *w, struct lh_conn *c, const struct lh_swap *swap, unsigned limit,
	       lh_answer_fn *answer, void *arg)
{
	memset(w, 0, sizeof(*w));
	w->c = c;
	w->swap = swap;
	w->limit = limit;
	w->answer = answer;
	w->arg = arg;
}

/* --- one change ---------------------------------------------------------- */

static struct berval
as_berval(const char *s)
{
	return (struct berval){strlen(s), (char *)(uintptr_t)s};
}

int
lh_swap_send(struct lh_conn *c, const struct lh_swap *swap, const char *dn,
	     const struct berval *txn_id, int *ret_msgid, struct lh_error *e)
{
	struct berval from = as_berval(swap->from ? swap->from : ""), to = as_berval(swap->to);
	struct berval *old_values[] = {&from, NULL}, *new_values[] = {&to, NULL};
	char *type = (char *)(uintptr_t)swap->attribute;
	LDAPMod gone = {.mod_op = LDAP_MOD_DELETE | LDAP_MOD_BVALUES, .mod_type = type};
	LDAPMod put = {.mod_op = LDAP_MOD_ADD | LDAP_MOD_BVALUES, .mod_type = type};
	LDAPMod *mods[] = {&gone, &put, NULL}, **first = swap->from ? mods : mods + 1;
	LDAPControl in_txn = {.ldctl_oid = (char *)(uintptr_t)LDAP_CONTROL_TXN_SPEC,
			      .ldctl_iscritical = 1};
	LDAPControl *controls[] = {txn_id ? &in_txn : NULL, NULL};
	char what[400];
	int code;

	gone.mod_bvalues = old_values;
	put.mod_bvalues = new_values;
	if (txn_id)
		in_txn.ldctl_value = *txn_id;
	code = ldap_modify_ext(c->ld, dn, first, controls, NULL, ret_msgid);
	if (code == LDAP_SUCCESS)
		return 0;
	snprintf(what, sizeof(what), "%s: change of %s", c->url, dn);
	return lh_error_ld(e, c->ld, code, what);
}

/* --- the window ---------------------------------------------------------- */

/* Answers mostly come in the order of the questions: look at the oldest first. */
static struct lh_slot *
slot_of(struct lh_window *w, int msgid)
{
	for (unsigned i = 0; i < w->limit; i++) {
		struct lh_slot *s = &w->slots[(w->oldest + i) % w->limit];

		if (s->dn && s->msgid == msgid)
			return s;
	}
	return NULL;
}

static struct lh_slot *
free_slot(struct lh_window *w)
{
	for (unsigned i = 0; i < w->limit; i++) {
		struct lh_slot *s = &w->slots[(w->oldest + w->in_flight + i) % w->limit];

		if (!s->dn)
			return s;
	}
	return NULL;
}

static int
receive_one(struct lh_window *w, struct lh_error *e)
{
	LDAPMessage *msg;
	struct lh_slot *s;
	const char *dn;
	char *diag = NULL;
	int code, rc = lh_conn_next(w->c, LDAP_RES_ANY, &msg, e);

	if (rc)
		return rc;
	s = slot_of(w, ldap_msgid(msg));
	if (!s) { /* an answer to a search that was given up */
		ldap_msgfree(msg);
		return 0;
	}
	rc = lh_conn_result(w->c, msg, &code, &diag, e);
	if (rc)
		return rc;
	dn = s->dn;
	s->dn = NULL;
	w->in_flight--;
	while (w->in_flight && !w->slots[w->oldest].dn)
		w->oldest = (w->oldest + 1) % w->limit;
	rc = w->answer(w->arg, dn, code, diag, e);
	ldap_memfree(diag);
	return rc;
}

static unsigned
most_in_flight(const struct lh_window *w)
{
	return w->txn_id.bv_val && w->limit > LH_TXN_WINDOW_MAX ? LH_TXN_WINDOW_MAX : w->limit;
}

int
lh_window_send(struct lh_window *w, const char *dn, struct lh_error *e)
{
	struct lh_slot *s;
	int rc = 0;

	while (!rc && w->in_flight >= most_in_flight(w))
		rc = receive_one(w, e);
	if (rc)
		return rc;
	/* Within a transaction nothing is done before its end; a change of its own is to begin
	 * at once: gathered, it would wait for the answers of those before it. */
	if (w->txn_id.bv_val)
		lh_conn_gather(w->c);
	s = free_slot(w);
	rc = lh_swap_send(w->c, w->swap, dn, w->txn_id.bv_val ? &w->txn_id : NULL, &s->msgid, e);
	if (rc)
		return rc;
	s->dn = dn;
	if (w->in_flight++ == 0)
		w->oldest = (unsigned)(s - w->slots);
	return 0;
}

int
lh_window_drain(struct lh_window *w, struct lh_error *e)
{
	int rc = 0;

	while (!rc && w->in_flight)
		rc = receive_one(w, e);
	return rc;
}

/* --- transactions -------------------------------------------------------- */

bool
lh_txn_took(int code)
{
	return code == LDAP_SUCCESS || code == LDAP_TXN_SPECIFY_OKAY;
}

int
lh_txn_offered(struct lh_conn *c, bool *ret_offered, struct lh_error *e)
{
	bool start = false, end = false;
	int rc = lh_root_lists(c, "supportedExtension", LDAP_EXOP_TXN_START, &start, e);

	if (!rc && start)
		rc = lh_root_lists(c, "supportedExtension", LDAP_EXOP_TXN_END, &end, e);
	if (!rc)
		*ret_offered = start && end;
	return rc;
}

/* After a stop, too, the answer is awaited for a moment: a transaction that the server has
 * begun must be aborted (slapd 2.5.13 crashes when the connection ends in its midst).
 * *ret_msg NULL: there is none. */
static int
await_begin(struct lh_window *w, int msgid, LDAPMessage **ret_msg, struct lh_error *e)
{
	struct lh_error late;
	int rc = lh_conn_next(w->c, msgid, ret_msg, e);

	if (rc)
		*ret_msg = NULL;
	if (rc != RESITE_ERR_CANCELLED)
		return rc;
	lh_conn_grace(w->c, LH_GRACE_MS);
	if (lh_conn_next(w->c, msgid, ret_msg, &late))
		*ret_msg = NULL;
	return rc;
}

int
lh_txn_begin(struct lh_window *w, int *ret_code, struct lh_error *e)
{
	struct berval *id = NULL;
	LDAPMessage *msg;
	char *oid = NULL;
	int msgid, code, rc;

	code = ldap_txn_start(w->c->ld, NULL, NULL, &msgid);
	if (code != LDAP_SUCCESS)
		return lh_error_ld(e, w->c->ld, code, "beginning a transaction");
	rc = await_begin(w, msgid, &msg, e);
	if (!msg)
		return rc;
	code = ldap_parse_extended_result(w->c->ld, msg, &oid, &id, 0);
	ldap_memfree(oid);
	if (code == LDAP_SUCCESS) /* the call above leaves the server's own code aside */
		code = ldap_parse_result(w->c->ld, msg, ret_code, NULL, NULL, NULL, NULL, 0);
	ldap_msgfree(msg);
	if (code != LDAP_SUCCESS) {
		ber_bvfree(id);
		return lh_error_ld(e, w->c->ld, code, "beginning a transaction");
	}
	/* slapd's identifier is empty: the control needs a value all the same. */
	if (*ret_code == LDAP_SUCCESS)
		ber_dupbv(&w->txn_id, id ? id : &(struct berval){0, (char *)(uintptr_t)""});
	ber_bvfree(id);
	return rc;
}

int
lh_txn_ask_end(struct lh_window *w, bool commit, int *ret_msgid, struct lh_error *e)
{
	int code = ldap_txn_end(w->c->ld, commit, &w->txn_id, NULL, NULL, ret_msgid);

	ber_memfree(w->txn_id.bv_val);
	w->txn_id = (struct berval){0, NULL};
	return code == LDAP_SUCCESS ? 0 : lh_error_ld(e, w->c->ld, code, "ending a transaction");
}

int
lh_txn_end(struct lh_window *w, int msgid, int *ret_code, char **ret_diag, struct lh_error *e)
{
	LDAPMessage *msg;
	int rc = lh_conn_next(w->c, msgid, &msg, e);

	return rc ? rc : lh_conn_result(w->c, msg, ret_code, ret_diag, e);
}
