/* call.h -- one call of the core: its parameters as the domain code wants them,
 * and the way to a bound connection. */
#ifndef LDAP_HOMING_CALL_H
#define LDAP_HOMING_CALL_H

#include <resite/easy.h>

#include "plugins/ldap-homing/move.h"
#include "plugins/ldap-homing/names.h"

#define PASSWORD_MAX_BYTES 1024

struct call {
	struct resite_op *op;
	const struct resite_host *host;
	struct lh_env env;
	struct lh_target target;
	struct lh_task task;
	bool require_target;
	const char *verify_url;
	char password[PASSWORD_MAX_BYTES];
	struct lh_hand hand;    /* how to put back who was at hand_was */
	const char *hand_was;
	char record_fault[100]; /* why an undo record cannot be used; "": none was */
	char *tool;             /* the ldapmodify command for by_hand */
};

void call_init(struct call *k, struct resite_op *op, const struct resite_host *host);
/* Wipes the password and frees what k holds. */
void call_release(struct call *k);

/* Are the parameters sane in themselves?  RESITE_OK, or RESITE_ERR_INVALID and said so. */
int call_check_names(struct call *k);
int call_check_target(struct call *k);

/* A bound connection to url, with the credentials of k; what goes wrong has been
 * told to the host. */
int call_open(struct call *k, const char *url, struct lh_conn *c);

/* Tells the host about e and returns its rc. */
int call_report(struct call *k, const struct lh_error *e);

#endif
