/* call.h -- one call of the core: its parameters as the domain code wants them,
 * and the way to a bound connection.  What all actions of this plugin share. */
#ifndef LDAP_HOMING_CALL_H
#define LDAP_HOMING_CALL_H

#include <resite/easy.h>

#include "plugins/ldap-homing/conn.h"
#include "plugins/ldap-homing/names.h"
#include "plugins/ldap-homing/undo.h"

#define PASSWORD_MAX_BYTES 1024

struct call {
	struct resite_op *op;
	const struct resite_host *host;
	struct lh_env env;
	struct lh_target target;
	const char *verify_url;   /* NULL: the action has none */
	char password[PASSWORD_MAX_BYTES];
	struct lh_hand hand;      /* how to put back an attribute that was hand_was */
	const char *hand_attribute, *hand_set; /* borrowed from the call */
	char *hand_was;
	char record_fault[100];   /* why an undo record cannot be used; "": none was */
	char *tool;               /* the ldapmodify command for by_hand */
};

void call_init(struct call *k, struct resite_op *op, const struct resite_host *host);
/* Sets verify_url, for actions that have that parameter. */
void call_read_verify_server(struct call *k);
/* Wipes the password and frees what k holds. */
void call_release(struct call *k);

/* A parameter's value; NULL: not given. */
const char *call_text(struct call *k, const char *name);
/* RESITE_ERR_INVALID, said of the parameter with its value. */
int call_invalid(struct call *k, const char *param, const char *why);

/* Are these parameters sane in themselves?  RESITE_OK, or RESITE_ERR_INVALID and said so.
 * What was not given is sane. */
int call_check_target(struct call *k);
int call_check_dn(struct call *k, const char *param);
int call_check_attribute(struct call *k, const char *param);
int call_check_filter(struct call *k, const char *param);

/* A bound connection to url, with the credentials of k; what goes wrong has been
 * told to the host. */
int call_open(struct call *k, const char *url, struct lh_conn *c);

/* *ret: the base that the plan says, or else below of the configuration naming context that the
 * server names, as Active Directory does.  The caller frees it. */
int call_base(struct call *k, struct lh_conn *c, const char *below, char **ret,
	      struct lh_error *e);

/* Tells the host about e and returns its rc. */
int call_report(struct call *k, const struct lh_error *e);

/* --- undo records ---------------------------------------------------------- */

/* One record: attribute of dn is was, and will be set.  Durable with the next sync. */
int call_undo_add(struct call *k, const char *dn, const char *attribute, const char *was,
		  const char *set);
/* revert of every action that changes something. */
int call_revert(struct resite_op *op, const struct resite_host *host, unsigned window,
		unsigned transaction_size);

/* --- small talk with the host ------------------------------------------------ */

void call_output_number(struct call *k, const char *name, uint64_t n);
void call_keep_number(struct call *k, const char *checkpoint, uint64_t n);
/* The number that the last checkpoint holds; false: it is of another name. */
bool call_last_number(struct call *k, const char *checkpoint, uint64_t *ret_n);

#endif
