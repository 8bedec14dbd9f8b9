/* result.h -- what went wrong, in words, and what resite should do about it. */
#ifndef LDAP_HOMING_RESULT_H
#define LDAP_HOMING_RESULT_H

#include <ldap.h>
#include <resite/plugin.h>

#define LH_TEXT_MAX 1000

struct lh_error {
	int rc;                 /* enum resite_rc; 0: nothing happened */
	int code;               /* the LDAP result code behind it; 0: none */
	char text[LH_TEXT_MAX]; /* one line: what, to which object, the server's words, what next */
};

/* Fills e (a text too long is cut) and returns rc. */
__attribute__((format(printf, 3, 4))) int
lh_error_set(struct lh_error *e, int rc, const char *fmt, ...);

/* The reaction to an LDAP result code (on the wire, or one of libldap's own).
 * A code that the table does not know is RESITE_ERR_REFUSED: a person looks. */
int lh_result_rc(int code);

/* Fills e from a result code: "WHAT: name (code): diagnostic. advice"; diag may be NULL. */
int lh_error_result(struct lh_error *e, int code, const char *diag, const char *what);

/* Fills e from the error that libldap left in ld after a call returned code. */
int lh_error_ld(struct lh_error *e, LDAP *ld, int code, const char *what);

#endif
