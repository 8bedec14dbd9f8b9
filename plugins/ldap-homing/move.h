/* move.h -- the work itself: count, move, look again. */
#ifndef LDAP_HOMING_MOVE_H
#define LDAP_HOMING_MOVE_H

#include "plugins/ldap-homing/modify.h"
#include "plugins/ldap-homing/search.h"

struct lh_task {
	const char *base, *attribute, *from, *to;
	const char *moving_attribute; /* set while another tool moves a user; NULL: none */
	const char *filter;           /* and-ed; NULL: none */
	int page_size;
	unsigned window, transaction_size;
	bool skip_references;
};

/* Calls each for every user whose home is home (see lh_search). */
int lh_users_on(struct lh_conn *c, const struct lh_task *t, const char *home, bool names_alone,
		int (*each)(void *arg, const struct lh_entry *entry, struct lh_error *e), void *arg,
		struct lh_error *e);
int lh_count_on(struct lh_conn *c, const struct lh_task *t, const char *home, uint64_t *ret_n,
		struct lh_error *e);

/* The value of entry's i-th attribute that names the same entry as dn, copied and
 * freed by the caller; NULL: none does, or no memory. */
char *lh_entry_home(const struct lh_entry *entry, int i, const char *dn);

struct lh_journal { /* where undo records go; functions return enum resite_rc */
	void *arg;
	int (*add)(void *arg, const char *dn, const char *was);
	int (*sync)(void *arg);
	void (*progress)(void *arg, uint64_t done, uint64_t total);
};

#define LH_NAMED_MAX 600

struct lh_tally {
	uint64_t already;   /* were on `to` before, or got there without us */
	uint64_t moved;     /* by us, acknowledged by the server */
	uint64_t conflicts; /* somebody else changed them: on neither home, or gone */
	uint64_t refused;   /* the server would not change them */
	uint64_t unknown;   /* sent, and the connection ended before the answer */
	uint64_t transactions, rolled_back;
	char named[LH_NAMED_MAX]; /* the first conflicts and refusals, by name */
};

/* Moves everyone from t->from to t->to: in transactions, else through a window.
 * All undo records of a batch are durable before its first change is sent.
 * *tally is filled also on failure.  0 when the server shows nobody on `from`;
 * RESITE_ERR_CONFLICT or _REFUSED when some could not be moved. */
int lh_move(struct lh_conn *c, const struct lh_task *t, const struct lh_journal *j,
	    struct lh_tally *tally, struct lh_error *e);

#endif
