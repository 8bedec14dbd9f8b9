#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/move.h"

#include "plugins/ldap-homing/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_CHUNK_BYTES (256 << 10)
#define BATCH_WITHOUT_TXN 500      /* undo records that become durable together */
#define PASSES_MAX 10
#define HOPELESS 100               /* refusals in a row from the very first user on */
#define PROGRESS_EVERY 250

/* --- who is where -------------------------------------------------------- */

int
lh_users_on(struct lh_conn *c, const struct lh_task *t, const char *home, bool names_alone,
	    int (*each)(void *, const struct lh_entry *, struct lh_error *), void *arg,
	    struct lh_error *e)
{
	char *filter = lh_filter_equal(t->attribute, home, t->filter);
	struct lh_query q = {.base = t->base, .scope = LDAP_SCOPE_SUBTREE, .filter = filter,
			     .page_size = t->page_size, .skip_references = t->skip_references};
	int rc;

	if (!filter)
		return lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
	if (!names_alone) {
		q.attrs[0] = t->attribute;
		q.attrs[1] = t->moving_attribute;
	}
	rc = lh_search(c, &q, each, arg, e);
	free(filter);
	return rc;
}

static int
count_one(void *arg, const struct lh_entry *entry, struct lh_error *e)
{
	(void)entry;
	(void)e;
	++*(uint64_t *)arg;
	return 0;
}

int
lh_count_on(struct lh_conn *c, const struct lh_task *t, const char *home, uint64_t *ret_n,
	    struct lh_error *e)
{
	uint64_t n = 0;
	int rc = lh_users_on(c, t, home, true, count_one, &n, e);

	if (!rc)
		*ret_n = n;
	return rc;
}

char *
lh_entry_home(const struct lh_entry *entry, int i, const char *dn)
{
	for (const struct berval *v = entry->values[i]; v && v->bv_val; v++) {
		char *text = strndup(v->bv_val, v->bv_len);

		if (text && (!strcmp(text, dn) || lh_dn_equal(text, dn)))
			return text;
		free(text);
	}
	return NULL;
}

/* --- the list of one pass ------------------------------------------------ */

/* The whole list is read before the first change.  A search that runs while its
 * own result shrinks may lose users: what a paging cookie means then is up to
 * the server.  It also means that a limit of the server stops us before we have
 * changed anything.  A user costs her DN and 16 bytes. */
struct chunk {
	struct chunk *next;
	size_t used, size;
	char text[];
};

struct user {
	const char *dn;
	const char *was; /* the old value as the directory spells it */
};

struct list {
	const char *from;
	struct chunk *chunks;
	struct user *users;
	size_t n, cap;
};

static char *
list_text(struct list *l, const char *text, size_t len)
{
	struct chunk *k = l->chunks;
	char *copy;

	if (!k || k->size - k->used < len + 1) {
		size_t size = len + 1 > ARENA_CHUNK_BYTES ? len + 1 : ARENA_CHUNK_BYTES;

		k = malloc(sizeof(*k) + size);
		if (!k)
			return NULL;
		*k = (struct chunk){.next = l->chunks, .size = size};
		l->chunks = k;
	}
	copy = k->text + k->used;
	memcpy(copy, text, len);
	copy[len] = '\0';
	k->used += len + 1;
	return copy;
}

/* Nearly always all users spell their home alike: one copy serves them all. */
static const char *
list_was(struct list *l, const struct lh_entry *entry)
{
	const char *last = l->n ? l->users[l->n - 1].was : l->from;
	const struct berval *v = entry->values[0];
	char *home, *kept;

	if (!v || !v->bv_val || (v->bv_len == strlen(last) && !memcmp(v->bv_val, last, v->bv_len)))
		return last;
	home = lh_entry_home(entry, 0, l->from);
	if (!home)
		return l->from;
	kept = list_text(l, home, strlen(home));
	free(home);
	return kept;
}

static int
list_add(void *arg, const struct lh_entry *entry, struct lh_error *e)
{
	struct list *l = arg;
	struct user u;

	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 1024;
		struct user *more = realloc(l->users, cap * sizeof(*more));

		if (!more)
			return lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
		l->users = more;
		l->cap = cap;
	}
	u.was = list_was(l, entry);
	u.dn = list_text(l, entry->dn.bv_val, entry->dn.bv_len);
	if (!u.was || !u.dn)
		return lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
	l->users[l->n++] = u;
	return 0;
}

static void
list_release(struct list *l)
{
	while (l->chunks) {
		struct chunk *next = l->chunks->next;

		free(l->chunks);
		l->chunks = next;
	}
	free(l->users);
	*l = (struct list){0};
}

/* --- one pass ------------------------------------------------------------ */

struct pass {
	struct lh_conn *c;
	const struct lh_task *t;
	const struct lh_journal *j;
	struct lh_tally *tally;
	const struct list *list;
	struct lh_swap swap;
	struct lh_window w;
	bool in_txn;       /* an answer says whether a change was taken, not made */
	int txn_code;      /* the first refusal inside the open transaction; 0: none */
	uint64_t refused_before, total;
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

/* The compare-and-swap found another value: whose? */
static int
on_changed(struct pass *p, const char *dn, struct lh_error *e)
{
	bool exists = false;
	char *now = NULL, why[300];
	int rc = lh_read_value(p->c, dn, p->t->attribute, &exists, &now, e);

	if (rc)
		return rc;
	if (now && lh_dn_equal(now, p->t->to)) {
		p->tally->already++;
	} else {
		p->tally->conflicts++;
		snprintf(why, sizeof(why), "%s%s", exists ? "somebody else changed it; now " : "no longer there",
			 !exists ? "" : now ? now : "without a home");
		name_one(p->tally, dn, why);
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
		rc = p->j->add(p->j->arg, p->list->users[i].dn, p->list->users[i].was);
	if (rc == RESITE_OK && at < end)
		rc = p->j->sync(p->j->arg);
	if (rc == RESITE_OK)
		return 0;
	return lh_error_set(e, rc < 0 ? rc : RESITE_ERR_TRANSIENT,
			    "undo records for %zu users could not be made durable, so these users were "
			    "not touched", end - at);
}

static int
send_batch(struct pass *p, size_t at, size_t end, struct lh_error *e)
{
	int rc = 0;

	for (size_t i = at; i < end && !rc && !p->txn_code; i++)
		rc = lh_window_send(&p->w, p->list->users[i].dn, e);
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

/* One pass: read who is on `from`, move them.  *ret_left: how many were there. */
static int
run_pass(struct pass *p, bool transactions, size_t *ret_found, struct lh_error *e)
{
	struct list list = {.from = p->t->from};
	int rc = lh_users_on(p->c, p->t, p->t->from, false, list_add, &list, e);

	*ret_found = list.n;
	p->list = &list;
	if (!rc && list.n > p->refused_before) {
		p->total = p->tally->already + p->tally->moved + list.n;
		p->tally->refused = 0; /* they are on the list again */
		rc = move_list(p, transactions, e);
	}
	list_release(&list);
	return rc;
}

int
lh_move(struct lh_conn *c, const struct lh_task *t, const struct lh_journal *j,
	struct lh_tally *tally, struct lh_error *e)
{
	struct pass p = {.c = c, .t = t, .j = j, .tally = tally};
	bool transactions;
	size_t found = 0;
	int rc;

	memset(tally, 0, sizeof(*tally));
	rc = choose_way(c, t, &transactions, e);
	if (!rc)
		rc = lh_count_on(c, t, t->to, &tally->already, e);
	for (int i = 0; i < PASSES_MAX && !rc; i++) {
		rc = run_pass(&p, transactions, &found, e);
		if (!rc && found <= p.refused_before)
			return some_left(tally, e);
		p.refused_before = tally->refused;
	}
	return rc ? rc : lh_error_set(e, RESITE_ERR_TRANSIENT,
				      "users keep appearing on %s: %zu in pass %d; who homes them there?",
				      t->from, found, PASSES_MAX);
}
