/* undo.h -- putting former homes back: in transactions, else a window of compare-and-swap
 * changes in flight. */
#ifndef LDAP_HOMING_UNDO_H
#define LDAP_HOMING_UNDO_H

#include "plugins/ldap-homing/move.h"

struct lh_record { /* attribute of dn was was, and we made it set */
	const char *dn, *attribute, *was, *set;
};

struct lh_records { /* where they come from, and who hears what became of them */
	void *arg;
	/* 1: *ret, valid until the next call; 0: no more; < 0: enum resite_rc, explained. */
	int (*next)(void *arg, struct lh_record *ret);
	/* result: enum resite_reverted; now: what was found, or the server's words; NULL: no
	 * value.  RESITE_OK, or what ends the undo. */
	int (*tell)(void *arg, const struct lh_record *r, int result, const char *now);
};

/* Goes through all records in their order, those of one entry one after the other.  way:
 * enum resite_revert_way.  RESITE_ERR_REFUSED when the server would not change some. */
int lh_undo(struct lh_conn *c, const struct lh_task *t, int way, const struct lh_records *records,
	    struct lh_error *e);

#endif
