/* Putting former homes back, a chunk of records at a time.
 *
 * Where the server offers transactions, the chunk is looked at first, many searches in
 * flight; who still has our value is then put back in one transaction, which is an order of
 * magnitude faster than a durable write for each user.  Where it does not, each record is
 * a compare-and-swap at once, and only who was not swapped is looked at. */
#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/undo.h"

#include "plugins/ldap-homing/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_WITHOUT_TXN 1000
#define HOPELESS 100 /* refusals in a row from the very first record on */

/* What an item waits for. */
enum stage {
	NEW,  /* to be sent */
	LOOK, /* what is there */
	SWAP, /* the answer to a compare-and-swap */
	HELD, /* the swap of what was seen, which may be sent */
	TXN,  /* the fate of the transaction that its swap is in */
	DONE, /* told */
};

/* One record. */
struct item {
	enum stage stage;
	int msgid;
	uint32_t hash;      /* of the DN */
	struct lh_record r; /* copies */
	bool exists;        /* the entry was found */
	bool again;         /* its swap is of what was seen: there is no third try */
	char *now;          /* its value: one that we know, else the first; NULL: none */
	char *seen;         /* what its swap replaces; NULL: nothing was there */
};

struct undo {
	struct lh_conn *c;
	const struct lh_records *records;
	int way;
	bool transactions;
	unsigned window, in_flight;
	struct lh_window txn; /* for its open transaction alone */
	int txn_code;         /* the first refusal inside it; 0: none */
	bool holding;         /* what may be swapped is held back for a transaction */
	bool ending;          /* nothing new is sent, answers are awaited */
	uint64_t put_back, refused;
	char first_refused[600];
	struct item *items;   /* the chunk */
	unsigned n, size;
	unsigned next;        /* where the next answer is expected */
};

/* --- items --------------------------------------------------------------- */

static void
item_release(struct item *i)
{
	free((void *)(uintptr_t)i->r.dn);
	free((void *)(uintptr_t)i->r.attribute);
	free((void *)(uintptr_t)i->r.was);
	free((void *)(uintptr_t)i->r.set);
	free(i->now);
	free(i->seen);
}

static void
chunk_release(struct undo *u)
{
	for (unsigned i = 0; i < u->n; i++)
		item_release(&u->items[i]);
	u->n = u->next = 0;
}

static uint32_t
hash_of(const char *dn)
{
	uint32_t hash = 2166136261u;

	while (*dn)
		hash = (hash ^ (unsigned char)*dn++) * 16777619u;
	return hash;
}

static bool
is_in_chunk(const struct undo *u, const char *dn, uint32_t hash)
{
	for (unsigned i = 0; i < u->n; i++)
		if (u->items[i].hash == hash && !strcmp(u->items[i].r.dn, dn))
			return true;
	return false;
}

static int
chunk_add(struct undo *u, const struct lh_record *r, uint32_t hash, struct lh_error *e)
{
	struct item *i = &u->items[u->n++];

	*i = (struct item){.hash = hash, .r = {strdup(r->dn), strdup(r->attribute), strdup(r->was),
					       strdup(r->set)}};
	if (i->r.dn && i->r.attribute && i->r.was && i->r.set)
		return 0;
	return lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
}

/* Answers mostly come in the order of the questions. */
static struct item *
item_of(struct undo *u, int msgid)
{
	for (unsigned k = 0; k < u->n; k++) {
		unsigned at = (u->next + k) % u->n;
		struct item *i = &u->items[at];

		if (i->msgid != msgid || (i->stage != LOOK && i->stage != SWAP && i->stage != TXN))
			continue;
		u->next = at;
		return i;
	}
	return NULL;
}

static int
tell(struct undo *u, struct item *i, int result, const char *now, struct lh_error *e)
{
	int rc = u->records->tell(u->records->arg, &i->r, result, now);

	u->put_back += result == RESITE_REVERTED_PUT_BACK;
	i->stage = DONE;
	return rc == RESITE_OK ? 0 : lh_error_set(e, rc, "the host would not take a report");
}

/* --- questions ----------------------------------------------------------- */

static int
send_swap(struct undo *u, struct item *i, enum stage stage, struct lh_error *e)
{
	struct lh_swap swap = {i->r.attribute, i->again ? i->seen : i->r.set, i->r.was};
	int rc = lh_swap_send(u->c, &swap, i->r.dn, stage == TXN ? &u->txn.txn_id : NULL, &i->msgid,
			      e);

	if (rc)
		return rc;
	i->stage = stage;
	u->in_flight++;
	return 0;
}

static int
send_look(struct undo *u, struct item *i, struct lh_error *e)
{
	char *attrs[] = {(char *)(uintptr_t)i->r.attribute, NULL}, what[400];
	int code = ldap_search_ext(u->c->ld, i->r.dn, LDAP_SCOPE_BASE, "(objectClass=*)", attrs, 0,
				   NULL, NULL, NULL, LDAP_NO_LIMIT, &i->msgid);

	snprintf(what, sizeof(what), "%s: reading %s", u->c->url, i->r.dn);
	if (code != LDAP_SUCCESS)
		return lh_error_ld(e, u->c->ld, code, what);
	i->stage = LOOK;
	u->in_flight++;
	return 0;
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
settle(struct undo *u, struct item *i, struct lh_error *e)
{
	bool ours = i->now && lh_same_value(i->now, i->r.set);

	if (!i->exists)
		return tell(u, i, RESITE_REVERTED_GONE, NULL, e);
	if (i->now && lh_same_value(i->now, i->r.was))
		return tell(u, i, RESITE_REVERTED_ALREADY, i->now, e);
	if (u->way == RESITE_LOOK)
		return tell(u, i, ours ? RESITE_REVERTED_PUT_BACK : RESITE_REVERTED_CONFLICT, i->now,
			    e);
	if (i->again || (u->way == RESITE_PUT_BACK && !ours))
		return tell(u, i, RESITE_REVERTED_CONFLICT, i->now, e);
	free(i->seen);
	i->seen = i->now;
	i->now = NULL;
	i->again = true;
	i->stage = HELD;
	return u->holding || u->ending ? 0 : send_swap(u, i, SWAP, e);
}

static int
on_swapped(struct undo *u, struct item *i, int code, const char *diag, struct lh_error *e)
{
	if (i->stage == TXN) {
		if (!lh_txn_took(code) && !u->txn_code)
			u->txn_code = code;
		return 0;
	}
	if (code == LDAP_SUCCESS)
		return tell(u, i, RESITE_REVERTED_PUT_BACK, i->again ? i->seen : i->r.set, e);
	if (code == LDAP_NO_SUCH_OBJECT)
		return tell(u, i, RESITE_REVERTED_GONE, NULL, e);
	if (code != LDAP_NO_SUCH_ATTRIBUTE && code != LDAP_TYPE_OR_VALUE_EXISTS)
		return on_refused(u, i, code, diag, e);
	i->exists = false;
	return u->ending ? 0 : send_look(u, i, e); /* ending: the next attempt finds it again */
}

/* A value that the record knows says more than the first of several. */
static int
keep_values(struct item *i, const struct berval *values, struct lh_error *e)
{
	for (const struct berval *v = values; v && v->bv_val; v++) {
		char *text = strndup(v->bv_val, v->bv_len);

		if (!text)
			return lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
		if (i->now && !lh_same_value(text, i->r.was) && !lh_same_value(text, i->r.set)) {
			free(text);
			continue;
		}
		free(i->now);
		i->now = text;
		if (lh_same_value(text, i->r.was))
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
on_result(struct undo *u, struct item *i, LDAPMessage *msg, struct lh_error *e)
{
	char *diag = NULL;
	int code, rc = lh_conn_result(u->c, msg, &code, &diag, e);

	u->in_flight--;
	if (!rc && i->stage != LOOK)
		rc = on_swapped(u, i, code, diag, e);
	else if (!rc && code != LDAP_SUCCESS && code != LDAP_NO_SUCH_OBJECT)
		rc = on_refused(u, i, code, diag, e);
	else if (!rc)
		rc = settle(u, i, e);
	ldap_memfree(diag);
	return rc;
}

static int
receive_one(struct undo *u, struct lh_error *e)
{
	LDAPMessage *msg;
	struct item *i;
	int type, rc = lh_conn_next(u->c, LDAP_RES_ANY, &msg, e);

	if (rc)
		return rc;
	i = item_of(u, ldap_msgid(msg));
	type = ldap_msgtype(msg);
	if (i && type == LDAP_RES_SEARCH_ENTRY)
		return on_entry(u, i, msg, e);
	if (i && (type == LDAP_RES_MODIFY || type == LDAP_RES_SEARCH_RESULT))
		return on_result(u, i, msg, e);
	ldap_msgfree(msg); /* a reference, which the final result will speak of, or nothing of ours */
	return 0;
}

/* --- one chunk ----------------------------------------------------------- */

static int
drain(struct undo *u, struct lh_error *e)
{
	int rc = 0;

	while (!rc && u->in_flight)
		rc = receive_one(u, e);
	return rc;
}

/* Sends for each item at stage at: a look, or the swap that takes it to stage to. */
static int
send_each(struct undo *u, enum stage at, enum stage to, unsigned limit, struct lh_error *e)
{
	int rc = 0;

	for (unsigned i = 0; i < u->n && !rc && !u->txn_code; i++) {
		if (u->items[i].stage != at)
			continue;
		while (!rc && u->in_flight >= limit)
			rc = receive_one(u, e);
		if (!rc && u->items[i].stage == at)
			rc = to == LOOK ? send_look(u, &u->items[i], e) :
					  send_swap(u, &u->items[i], to, e);
	}
	return rc ? rc : drain(u, e);
}

/* The commit was asked for, so a stop still waits a moment for the answer. */
static int
txn_fate(struct undo *u, int msgid, int *ret_code, struct lh_error *e)
{
	struct lh_error late;
	char *diag = NULL;
	int rc = lh_txn_end(&u->txn, msgid, ret_code, &diag, e);

	if (rc == RESITE_ERR_CANCELLED) {
		lh_conn_grace(u->c, LH_GRACE_MS);
		if (lh_txn_end(&u->txn, msgid, ret_code, &diag, &late))
			*ret_code = LDAP_TIMEOUT;
	}
	ldap_memfree(diag);
	return rc;
}

/* All took effect, or none: then each is swapped alone, so that the one whom the server
 * would not change does not stop the others. */
static int
txn_settle(struct undo *u, bool done, struct lh_error *e)
{
	int rc = 0;

	for (unsigned i = 0; i < u->n && !rc; i++) {
		struct item *one = &u->items[i];

		if (one->stage == TXN && done)
			rc = tell(u, one, RESITE_REVERTED_PUT_BACK, one->seen, e);
		else if (one->stage == TXN)
			one->stage = HELD;
	}
	return rc;
}

/* Puts back who is held, in one transaction.  Those whom it did not put back are held
 * still. */
static int
swap_in_transaction(struct undo *u, struct lh_error *e)
{
	unsigned limit = u->window < LH_TXN_WINDOW_MAX ? u->window : LH_TXN_WINDOW_MAX;
	int code, msgid, fate = LDAP_TIMEOUT, rc = lh_txn_begin(&u->txn, &code, e);

	if (rc || code != LDAP_SUCCESS)
		return rc;
	rc = send_each(u, HELD, TXN, limit, e);
	if (rc)
		return rc;
	rc = lh_txn_ask_end(&u->txn, u->txn_code == 0, &msgid, e);
	if (!rc)
		rc = txn_fate(u, msgid, &fate, e);
	if (fate == LDAP_TIMEOUT)
		return rc;
	fate = u->txn_code ? u->txn_code : fate;
	u->txn_code = 0;
	return txn_settle(u, fate == LDAP_SUCCESS, e) ? e->rc : rc;
}

static bool
has_held(const struct undo *u)
{
	for (unsigned i = 0; i < u->n; i++)
		if (u->items[i].stage == HELD)
			return true;
	return false;
}

static int
finish_chunk(struct undo *u, struct lh_error *e)
{
	bool look = u->way == RESITE_LOOK || u->transactions;
	int rc;

	u->holding = u->transactions;
	rc = send_each(u, NEW, look ? LOOK : SWAP, u->window, e);
	if (!rc && has_held(u))
		rc = swap_in_transaction(u, e);
	u->holding = false;
	if (!rc)
		rc = send_each(u, HELD, SWAP, u->window, e);
	if (!rc)
		chunk_release(u);
	return rc;
}

/* --- all of it ----------------------------------------------------------- */

/* Those of one entry go one after the other: the older builds on what the newer puts back. */
static int
take(struct undo *u, const struct lh_record *r, struct lh_error *e)
{
	uint32_t hash = hash_of(r->dn);
	int rc = 0;

	if (u->n == u->size || is_in_chunk(u, r->dn, hash))
		rc = finish_chunk(u, e);
	return rc ? rc : chunk_add(u, r, hash, e);
}

static int
put_all_back(struct undo *u, struct lh_error *e)
{
	struct lh_record r;
	int rc = 0, more;

	while (!rc && (more = u->records->next(u->records->arg, &r)) != 0)
		rc = more > 0 ? take(u, &r, e)
			      : lh_error_set(e, more, "the undo records cannot be read");
	if (!rc)
		rc = finish_chunk(u, e);
	if (rc || !u->refused)
		return rc;
	return lh_error_set(e, RESITE_ERR_REFUSED, "%" PRIu64 " users could not be put back; the "
			    "first: %s", u->refused, u->first_refused);
}

/* After a stop: what was sent is learned and told, for a moment; an open transaction is
 * aborted. */
static void
wind_down(struct undo *u)
{
	struct lh_error ignored;
	char *diag = NULL;
	int msgid, code;

	u->ending = true;
	lh_conn_grace(u->c, LH_GRACE_MS);
	drain(u, &ignored);
	if (u->txn.txn_id.bv_val && !lh_txn_ask_end(&u->txn, false, &msgid, &ignored))
		lh_txn_end(&u->txn, msgid, &code, &diag, &ignored);
	ldap_memfree(diag);
	chunk_release(u);
}

int
lh_undo(struct lh_conn *c, const struct lh_task *t, int way, const struct lh_records *records,
	struct lh_error *e)
{
	struct undo *u = calloc(1, sizeof(*u));
	int rc = 0;

	if (!u)
		return lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
	u->c = c;
	u->records = records;
	u->way = way;
	u->window = t->window;
	if (way != RESITE_LOOK && t->transaction_size)
		rc = lh_txn_offered(c, &u->transactions, e);
	u->size = u->transactions ? t->transaction_size : CHUNK_WITHOUT_TXN;
	u->items = calloc(u->size, sizeof(*u->items));
	lh_window_init(&u->txn, c, NULL, 1, NULL, NULL);
	if (!rc && !u->items)
		rc = lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
	if (!rc)
		rc = put_all_back(u, e);
	if (rc && u->items)
		wind_down(u);
	free(u->items);
	free(u);
	return rc;
}
