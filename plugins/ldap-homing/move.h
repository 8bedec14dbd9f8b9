/* move.h -- the work itself: list, move, look again. */
#ifndef LDAP_HOMING_MOVE_H
#define LDAP_HOMING_MOVE_H

#include "plugins/ldap-homing/modify.h"
#include "plugins/ldap-homing/people.h"

struct lh_journal { /* where undo records go; functions return enum resite_rc */
	void *arg;
	int (*add)(void *arg, const char *dn, const char *was);
	int (*sync)(void *arg);
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	/* Somebody is not moved; address: if known; detail: in words, NULL: none.  Who was
	 * refused may be told again, or be moved after all, in a later pass. */
	void (*stays)(void *arg, const char *dn, const char *address, enum lh_stay why,
		      const char *detail);
};

#define LH_NAMED_MAX 600

struct lh_tally {
	uint64_t already;   /* were on `to` before, or got there without us */
	uint64_t moved;     /* by us, acknowledged by the server */
	uint64_t conflicts; /* somebody else changed them: on neither home, or gone */
	uint64_t refused;   /* the server would not change them */
	uint64_t unknown;   /* sent, and the connection ended before the answer */
	uint64_t transactions, rolled_back;
	uint64_t stayed[LH_STAYS_N]; /* whom the task leaves there, by reason */
	char named[LH_NAMED_MAX]; /* the first conflicts and refusals, by name */
};

/* Moves everyone from t->from to t->to: in transactions, else through a window.  known: who
 * was there a moment ago, which the first pass then does not ask; NULL: it asks.
 * All undo records of a batch are durable before its first change is sent.
 * *tally is filled also on failure.  0 when the server shows nobody on `from`;
 * RESITE_ERR_CONFLICT or _REFUSED when some could not be moved. */
int lh_move(struct lh_conn *c, const struct lh_task *t, const struct lh_list *known,
	    const struct lh_journal *j, struct lh_tally *tally, struct lh_error *e);

#endif
