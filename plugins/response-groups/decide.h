/* decide.h -- what an import or a clean-up would do; pure. */
#ifndef RESPONSE_GROUPS_DECIDE_H
#define RESPONSE_GROUPS_DECIDE_H

#include "plugins/response-groups/rows.h"

struct rgs_rules {
	const char *owner;     /* NULL: rows keep their owner; else all get this one */
	bool replace_settings; /* the set's settings replace the target's */
	bool delete_missing;   /* rows of an owner in the set, but not in it, go */
};

enum rgs_what {
	RGS_INSERT = 1,
	RGS_UPDATE,
	RGS_DELETE,
};

struct rgs_change {
	enum rgs_what what;
	const struct rgs_row *was;  /* at the target; NULL: none */
	const struct rgs_row *row;  /* in the set; NULL: none */
	const char *owner;          /* that it gets */
};

struct rgs_changes {
	struct rgs_change *list; /* in the order in which they can be made */
	size_t n;
	size_t total;           /* objects that were compared */
	size_t settings_kept;   /* settings of the target that differ and stay */
	char setting[100];      /* the first of them */
	size_t stay;            /* rows of the set's owners that only the target has, and stay */
	char stays[RGS_LABEL_MAX]; /* the first of them */
	size_t groups, agents;  /* formal groups that come, and their agents: they must sign in */
};

/* Compares a set with a target.  RESITE_ERR_REFUSED: names or addresses that are taken there,
 * objects that belong to somebody else; all are counted, the first are named. */
int rgs_decide_import(const struct rgs_rows *set, struct rgs_rows *target,
		      const struct rgs_rules *rules, struct rgs_changes *ret, struct rgs_error *e);

/* What of owner is to be removed from a standby: all of it, once keeper has each object with the
 * same content (whoever owns it there).  RESITE_ERR_REFUSED: something is not there. */
int rgs_decide_clean(const struct rgs_rows *standby, const struct rgs_rows *keeper,
		     const char *owner, struct rgs_changes *ret, struct rgs_error *e);

void rgs_changes_release(struct rgs_changes *c);

#endif
