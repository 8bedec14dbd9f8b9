#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/move.h"

#include "plugins/ldap-homing/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_WITHOUT_TXN 500      /* undo records that become durable together */
#define PASSES_MAX 10
#define HOPELESS 100               /* refusals in a row from the very first user on */
#define PROGRESS_EVERY 250

/* --- one pass ------------------------------------------------------------ */

struct pass {
	struct lh_conn *c;
	const struct lh_task *t;
	const struct lh_journal *j;
	struct lh_tally *tally;
	const struct lh_list *list;
	struct lh_swap swap;
	struct lh_window w;
	bool in_txn;       /* an answer says whether a change was taken, not made */
	int txn_code;      /* the first refusal inside the open transaction; 0: none */
	uint64_t refused_before, total;
	uint64_t there;    /* on `to` at first, whoever they are */
	uint64_t kept[LH_STAYS_N]; /* by filters: counted once, the others in each pass */
};

static void
name_one(struct lh_tally *tally, const char *dn, const char *why)
{
	size_t used = strlen(tally->named);
	int n = snprintf(tally->named + used, sizeof(tally->named) - used, "%s%s: %s",
			 used ? "; " : "", dn, why);

	if (n >= (int)(sizeof(tally->named) - used)) /* no half names */
		tally->named[used] = '\0';
}

/* For the report alone, and of few.  dn is the list's own. */
static const char *
address_of(const struct pass *p, const char *dn)
{
	for (size_t i = 0; p->t->want_addresses && i < p->list->n; i++)
		if (p->list->people[i].dn == dn)
			return p->list->people[i].address;
	return NULL;
}

/* The compare-and-swap found another value: whose? */
static int
on_changed(struct pass *p, const char *dn, struct lh_error *e)
{
	bool exists = false;
	char *now = NULL, why[300];
	int rc = lh_read_value(p->c, dn, p->t->attribute, &exists, &now, e);

	if (rc)
		return rc;
	if (now && lh_same_value(now, p->t->to)) {
		p->tally->already++;
	} else {
		p->tally->conflicts++;
		snprintf(why, sizeof(why), "%s%s", exists ? "somebody else changed it; now " : "no longer there",
			 !exists ? "" : now ? now : "without a home");
		name_one(p->tally, dn, why);
		p->j->stays(p->j->arg, dn, address_of(p, dn), LH_STAYS_CONFLICT, why);
	}
	free(now);
	return 0;
}

static int
on_refused(struct pass *p, const char *dn, int code, const char *diag, struct lh_error *e)
{
	struct lh_error one;

	lh_error_result(&one, code, diag, dn);
	if (one.rc == RESITE_ERR_TRANSIENT) {
		*e = one;
		return e->rc;
	}
	p->tally->refused++;
	name_one(p->tally, dn, one.text + strlen(dn) + 2);
	p->j->stays(p->j->arg, dn, address_of(p, dn), LH_STAYS_REFUSED,
		    one.text + strlen(dn) + 2);
	if (p->tally->refused < HOPELESS || p->tally->moved)
		return 0;
	return lh_error_set(e, RESITE_ERR_REFUSED,
			    "the server refused the first %d changes and made none, so the rest was not "
			    "tried: %s", HOPELESS, p->tally->named);
}

static void
tell_progress(struct pass *p)
{
	uint64_t done = p->tally->already + p->tally->moved;

	if (done % PROGRESS_EVERY == 0 || done == p->total)
		p->j->progress(p->j->arg, done, p->total);
}

/* lh_answer_fn */
static int
on_answer(void *arg, const char *dn, int code, const char *diag, struct lh_error *e)
{
	struct pass *p = arg;

	if (p->in_txn) {
		if (!lh_txn_took(code) && !p->txn_code)
			p->txn_code = code;
		return 0;
	}
	if (code == LDAP_SUCCESS) {
		p->tally->moved++;
		tell_progress(p);
		return 0;
	}
	if (code == LDAP_NO_SUCH_ATTRIBUTE || code == LDAP_NO_SUCH_OBJECT)
		return on_changed(p, dn, e);
	return on_refused(p, dn, code, diag, e);
}

static int
journal_batch(struct pass *p, size_t at, size_t end, struct lh_error *e)
{
	int rc = RESITE_OK;

	lh_conn_push(p->c);
	for (size_t i = at; i < end && rc == RESITE_OK; i++)
		rc = p->j->add(p->j->arg, p->list->people[i].dn, p->list->people[i].was);
	if (rc == RESITE_OK && at < end)
		rc = p->j->sync(p->j->arg);
	if (rc == RESITE_OK)
		return 0;
	return lh_error_set(e, rc < 0 ? rc : RESITE_ERR_TRANSIENT,
			    "undo records for %zu %s could not be made durable, so these were "
			    "not touched", end - at, p->t->noun);
}

static int
send_batch(struct pass *p, size_t at, size_t end, struct lh_error *e)
{
	int rc = 0;

	for (size_t i = at; i < end && !rc && !p->txn_code; i++)
		rc = lh_window_send(&p->w, p->list->people[i].dn, e);
	return rc;
}

/* --- transactions -------------------------------------------------------- */

/* Sends the batch and asks for its commit (or, after a refusal, for its end).
 * *ret_msgid 0: the server gave no transaction. */
static int
txn_send(struct pass *p, size_t at, size_t end, int *ret_msgid, struct lh_error *e)
{
	int code, rc = lh_txn_begin(&p->w, &code, e);

	*ret_msgid = 0;
	if (rc || code != LDAP_SUCCESS)
		return rc;
	p->in_txn = true;
	p->txn_code = 0;
	rc = send_batch(p, at, end, e);
	if (!rc)
		rc = lh_window_drain(&p->w, e);
	p->in_txn = false;
	return rc ? rc : lh_txn_ask_end(&p->w, p->txn_code == 0, ret_msgid, e);
}

/* The commit was asked for, so a stop still waits a moment for the answer. */
static int
txn_fate(struct pass *p, int msgid, int *ret_code, struct lh_error *e)
{
	struct lh_error late;
	char *diag = NULL;
	int rc = lh_txn_end(&p->w, msgid, ret_code, &diag, e);

	if (rc == RESITE_ERR_CANCELLED) {
		lh_conn_grace(p->c, LH_GRACE_MS);
		if (lh_txn_end(&p->w, msgid, ret_code, &diag, &late))
			*ret_code = LDAP_TIMEOUT;
	}
	ldap_memfree(diag);
	return rc;
}

/* Learns the batch's fate.  Rolled back: each user alone, so that the one whom
 * the server would not change does not stop the others. */
static int
txn_settle(struct pass *p, size_t at, size_t end, int msgid, struct lh_error *e)
{
	int code = LDAP_TIMEOUT, rc = msgid ? txn_fate(p, msgid, &code, e) : 0;

	if (msgid && code == LDAP_SUCCESS && p->txn_code == 0) {
		p->tally->moved += end - at;
		p->tally->transactions++;
		p->j->progress(p->j->arg, p->tally->already + p->tally->moved, p->total);
		return rc;
	}
	if (rc) {
		if (code == LDAP_TIMEOUT && p->txn_code == 0)
			p->tally->unknown += end - at;
		return rc;
	}
	p->tally->rolled_back++;
	p->txn_code = 0;
	rc = send_batch(p, at, end, e);
	return rc ? rc : lh_window_drain(&p->w, e);
}

static size_t
batch_end(const struct pass *p, size_t at, size_t size)
{
	return at + size < p->list->n ? at + size : p->list->n;
}

/* While the server commits one batch, the undo records of the next are written. */
static int
move_in_transactions(struct pass *p, struct lh_error *e)
{
	size_t size = p->t->transaction_size, end = batch_end(p, 0, size);
	int rc = journal_batch(p, 0, end, e);

	for (size_t at = 0; at < p->list->n && !rc; at = end, end = batch_end(p, end, size)) {
		struct lh_error undo = {.rc = 0};
		int msgid;

		rc = txn_send(p, at, end, &msgid, e);
		if (rc)
			break;
		if (end < p->list->n)
			journal_batch(p, end, batch_end(p, end, size), &undo);
		rc = txn_settle(p, at, end, msgid, e);
		if (!rc && undo.rc) {
			*e = undo;
			rc = undo.rc;
		}
	}
	return rc;
}

/* While a window of changes is in flight, the undo records of the next batch are written. */
static int
move_in_window(struct pass *p, struct lh_error *e)
{
	int rc = 0;

	for (size_t at = 0, end; at < p->list->n && !rc; at = end) {
		end = batch_end(p, at, BATCH_WITHOUT_TXN);
		rc = journal_batch(p, at, end, e);
		if (!rc)
			rc = send_batch(p, at, end, e);
	}
	return rc ? rc : lh_window_drain(&p->w, e);
}

/* After a stop: nothing new is sent, but the answers to what was sent are awaited
 * for a moment, so that the tally is true.  An open transaction is aborted. */
static void
wind_down(struct pass *p)
{
	struct lh_error ignored;
	char *diag = NULL;
	int msgid, code;

	lh_conn_grace(p->c, LH_GRACE_MS);
	p->in_txn = p->w.txn_id.bv_val != NULL;
	if (lh_window_drain(&p->w, &ignored) && !p->in_txn)
		p->tally->unknown += p->w.in_flight;
	if (!p->in_txn)
		return;
	if (!lh_txn_ask_end(&p->w, false, &msgid, &ignored))
		lh_txn_end(&p->w, msgid, &code, &diag, &ignored);
	ldap_memfree(diag);
}

static int
move_list(struct pass *p, bool transactions, struct lh_error *e)
{
	int rc;

	p->swap = (struct lh_swap){p->t->attribute, p->t->from, p->t->to};
	lh_window_init(&p->w, p->c, &p->swap, p->t->window, on_answer, p);
	rc = transactions ? move_in_transactions(p, e) : move_in_window(p, e);
	if (rc)
		wind_down(p);
	return rc;
}

/* --- all of it ----------------------------------------------------------- */

static int
choose_way(struct lh_conn *c, const struct lh_task *t, bool *ret_transactions, struct lh_error *e)
{
	char line[120];
	int rc = 0;

	*ret_transactions = false;
	if (t->transaction_size > 0)
		rc = lh_txn_offered(c, ret_transactions, e);
	if (rc)
		return rc;
	if (*ret_transactions)
		snprintf(line, sizeof(line), "moving in transactions of %u", t->transaction_size);
	else
		snprintf(line, sizeof(line), "moving one by one, %u in flight%s", t->window,
			 t->transaction_size ? " (the server offers no transactions)" : "");
	c->env->log(c->env->arg, 1, line);
	return 0;
}

static int
some_left(const struct lh_tally *tally, struct lh_error *e)
{
	if (!tally->refused && !tally->conflicts)
		return 0;
	return lh_error_set(e, tally->refused ? RESITE_ERR_REFUSED : RESITE_ERR_CONFLICT,
			    "%" PRIu64 " moved; not moved: %" PRIu64 " refused by the server, %" PRIu64
			    " changed by somebody else: %s",
			    tally->moved, tally->refused, tally->conflicts, tally->named);
}

static void
stays_by_choice(void *arg, const char *dn, const char *address, enum lh_stay why)
{
	struct pass *p = arg;

	p->tally->stayed[why]++;
	p->j->stays(p->j->arg, dn, address, why, NULL);
}

static int
move_these(struct pass *p, const struct lh_list *list, bool transactions, size_t *ret_found,
	   struct lh_error *e)
{
	int rc = lh_capacity_suffices(p->t, p->there + p->tally->moved, list->n, e);

	*ret_found = list->n;
	p->list = list;
	if (!rc && list->n > p->refused_before) {
		p->total = p->tally->already + p->tally->moved + list->n;
		p->tally->refused = 0; /* they are on the list again */
		rc = move_list(p, transactions, e);
	}
	return rc;
}

/* One pass: read who is on `from`, move them.  *ret_found: how many were there. */
static int
run_pass(struct pass *p, bool transactions, size_t *ret_found, struct lh_error *e)
{
	struct lh_list list = {.task = p->t, .stays = stays_by_choice, .arg = p};
	int rc;

	memcpy(p->tally->stayed, p->kept, sizeof(p->kept));
	rc = lh_list_read(&list, p->c, e);
	*ret_found = list.n;
	if (!rc)
		rc = move_these(p, &list, transactions, ret_found, e);
	lh_list_release(&list);
	return rc;
}

static int
kept_by_filter(void *arg, const struct lh_entry *entry, enum lh_stay why, struct lh_error *e)
{
	char *address = lh_entry_text(entry, LH_ADDRESS);
	struct pass *p = arg;

	(void)e;
	p->kept[why]++;
	p->j->stays(p->j->arg, entry->dn.bv_val, address, why, NULL);
	free(address);
	return 0;
}

/* What must be known before the first change. */
static int
look_round(struct pass *p, bool *ret_transactions, struct lh_error *e)
{
	bool all = !p->t->filter && !p->t->exclude && !p->t->listed && !p->t->left_out;

	if (choose_way(p->c, p->t, ret_transactions, e) ||
	    lh_people_kept(p->c, p->t, kept_by_filter, p, e) ||
	    lh_count_on(p->c, p->t, p->t->to, &p->tally->already, e))
		return e->rc;
	p->there = p->tally->already;
	if (p->t->capacity && !all)
		return lh_count_all_on(p->c, p->t, p->t->to, &p->there, e);
	return 0;
}

int
lh_move(struct lh_conn *c, const struct lh_task *t, const struct lh_list *known,
	const struct lh_journal *j, struct lh_tally *tally, struct lh_error *e)
{
	struct pass p = {.c = c, .t = t, .j = j, .tally = tally};
	bool transactions;
	size_t found = 0;
	int rc;

	memset(tally, 0, sizeof(*tally));
	rc = look_round(&p, &transactions, e);
	for (int i = 0; i < PASSES_MAX && !rc; i++) {
		rc = i == 0 && known ? move_these(&p, known, transactions, &found, e)
				     : run_pass(&p, transactions, &found, e);
		if (!rc && found <= p.refused_before)
			return some_left(tally, e);
		p.refused_before = tally->refused;
	}
	return rc ? rc : lh_error_set(e, RESITE_ERR_TRANSIENT,
				      "%s keep appearing on %s: %zu in pass %d; who homes them there?",
				      t->noun, t->from, found, PASSES_MAX);
}
