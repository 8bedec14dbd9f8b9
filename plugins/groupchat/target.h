/* target.h -- where restore-db puts a set: what is there, and whether it may be replaced. */
#ifndef GROUPCHAT_TARGET_H
#define GROUPCHAT_TARGET_H

#include "plugins/groupchat/set.h"

/* Names of databases beside the live one. */
struct target_names {
	char staged[DATABASE_NAME_MAX + 1]; /* the restore under way: the same in each attempt */
	char aside[DATABASE_NAME_MAX + 1];  /* what was live until now */
};

enum target_state {
	TARGET_ABSENT,    /* no database of that name */
	TARGET_CONVERGED, /* restored from this very set, or the same as it */
	TARGET_OLDER,     /* has nothing that the set does not count, too */
	TARGET_EXCEEDS,   /* has what the set does not */
};

struct target {
	struct db_login login;
	struct db db;               /* in the maintenance database */
	struct server server;
	const char *name;           /* the live database */
	struct database database, staged;
	struct inventory tables;    /* of the live one, when it had to be counted */
	struct target_names names;
	enum target_state state;
	char why[400];              /* TARGET_EXCEEDS: what */
	char stranded[400];         /* what was written here after the set that the other site
				       began with, and so never came there; "": nothing */
};

/* Connects and looks; compares with the set.  to_write: when it is our turn, which it is until
 * target_close. */
int target_open(const struct call *c, const struct set *set, bool to_write, struct target *ret);
/* May the set replace what is there?  Told when not. */
int target_judge(const struct call *c, const struct set *set, struct target *t);
void target_close(struct target *t);

#endif
