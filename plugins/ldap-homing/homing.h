/* homing.h -- one call of move or contacts-objects: what both have, and the way from the
 * tables to the work. */
#ifndef LDAP_HOMING_HOMING_H
#define LDAP_HOMING_HOMING_H

#include "plugins/ldap-homing/call.h"
#include "plugins/ldap-homing/move.h"
#include "plugins/ldap-homing/report.h"

#define HOMING_TASKS_MAX 2

/* Checkpoints: how many are on `to`, as apply left them, and as verify then counted them. */
#define CHECKPOINT_MOVED "moved"
#define CHECKPOINT_VERIFIED "verified"

struct homing {
	struct call k;
	struct lh_task tasks[HOMING_TASKS_MAX];
	int n;
	struct lh_addresses listed, left_out;
	struct lh_report report;
	const char *report_path; /* NULL: none is wanted */
	bool require_target;
	char *base; /* found out, not said */
};

/* One of the functions, over an open connection: 0, or what is in e.  RESITE_PENDING: the
 * host has been told. */
typedef int homing_work(struct homing *h, struct lh_conn *c, struct lh_error *e);

homing_work homing_probe_all;  /* homing_probe.c */
homing_work homing_apply_all;  /* homing_apply.c */
homing_work homing_verify_all; /* homing_apply.c */

/* Is the list of who goes all there is to say of this call? */
bool homing_may_remember(const struct homing *h);
/* Takes the lists, one for each task, for the apply of the same attempt. */
void homing_remember(struct homing *h, struct lh_list lists[HOMING_TASKS_MAX]);
/* Gives them out, once; false: there are none, they are old, or of another task. */
bool homing_recall(struct homing *h, struct lh_list ret[HOMING_TASKS_MAX]);

/* 0, or the new home cannot be read on the server. */
int homing_find_target(struct homing *h, struct lh_conn *c, struct lh_error *e);
/* ", 3 stay there (2 excluded, 1 in the middle of another move)" or "". */
void homing_say_stayed(const uint64_t stayed[LH_STAYS_N], char *out, size_t size);
/* Warns of addresses in a file that nobody has: a slip of the pen moves the wrong people.
 * a NULL: there is no file. */
void homing_warn_of_strangers(struct homing *h, const struct lh_addresses *a, const char *param);

#endif
