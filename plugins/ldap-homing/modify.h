/* modify.h -- compare-and-swap changes in flight: a window of them, or a
 * transaction (RFC 5805) that is sent through the window. */
#ifndef LDAP_HOMING_MODIFY_H
#define LDAP_HOMING_MODIFY_H

#include "plugins/ldap-homing/conn.h"

#define LH_WINDOW_MAX 1000
/* Within a transaction: with more in flight slapd 2.5 was seen to go away ("deferring
 * operation: pending operations"). */
#define LH_TXN_WINDOW_MAX 256
#define LH_GRACE_MS 3000 /* to learn the answers to what was sent before a stop */

struct lh_swap { /* delete the old value, add the new one: fails unless the old one is there */
	const char *attribute, *from, *to; /* from NULL: there is no old one */
};

/* Sends one change, without a place in a window.  txn_id: of the transaction; NULL: none. */
int lh_swap_send(struct lh_conn *c, const struct lh_swap *swap, const char *dn,
		 const struct berval *txn_id, int *ret_msgid, struct lh_error *e);

/* One answer: code and diag are the server's. */
typedef int lh_answer_fn(void *arg, const char *dn, int code, const char *diag,
			 struct lh_error *e);

struct lh_slot {
	int msgid;
	const char *dn; /* borrowed from the sender until answered; NULL: the slot is free */
};

struct lh_window {
	struct lh_conn *c;
	const struct lh_swap *swap;
	lh_answer_fn *answer;
	void *arg;
	struct berval txn_id; /* of the open transaction; bv_val NULL: none is open */
	unsigned limit, in_flight, oldest;
	struct lh_slot slots[LH_WINDOW_MAX];
};

/* c, swap and arg are borrowed; limit: 1 to LH_WINDOW_MAX. */
void lh_window_init(struct lh_window *w, struct lh_conn *c, const struct lh_swap *swap,
		    unsigned limit, lh_answer_fn *answer, void *arg);

/* Sends one change; first waits for room: limit, and within a transaction at most
 * LH_TXN_WINDOW_MAX are in flight.  dn must stay until its answer. */
int lh_window_send(struct lh_window *w, const char *dn, struct lh_error *e);
/* Waits until nothing is in flight. */
int lh_window_drain(struct lh_window *w, struct lh_error *e);

/* Opens a transaction: what is sent until its end takes effect together or not at
 * all.  *ret_code: the server's result code; no transaction unless LDAP_SUCCESS.
 * RESITE_ERR_CANCELLED: w->txn_id tells whether one is open all the same. */
int lh_txn_begin(struct lh_window *w, int *ret_code, struct lh_error *e);
/* Asks to commit (or to abort) without waiting; nothing may be in flight. */
int lh_txn_ask_end(struct lh_window *w, bool commit, int *ret_msgid, struct lh_error *e);
/* Waits for that.  *ret_code: LDAP_SUCCESS: all took effect, else none did;
 * *ret_diag: the caller frees it with ldap_memfree. */
int lh_txn_end(struct lh_window *w, int msgid, int *ret_code, char **ret_diag, struct lh_error *e);

/* Does the server offer transactions? */
int lh_txn_offered(struct lh_conn *c, bool *ret_offered, struct lh_error *e);

/* Did the server take this change into the open transaction?  (slapd answers with a
 * code of its own, RFC 5805 says success.) */
bool lh_txn_took(int code);

#endif
