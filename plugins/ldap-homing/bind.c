/* Who we are: simple bind, SASL EXTERNAL, Kerberos. */
#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/session.h"

#include <errno.h>
#include <sasl/sasl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- simple and EXTERNAL ----------------------------------------------------- */

static int
bind_at_once(struct lh_conn *c, const struct lh_target *t, struct lh_error *e)
{
	bool external = t->sasl == LH_SASL_EXTERNAL;
	struct berval cred = external ? (struct berval){0, (char *)(uintptr_t)""} : t->password;
	LDAPMessage *msg;
	char what[400], *diag = NULL;
	int msgid, code;

	snprintf(what, sizeof(what), "%s: bind as %s", c->url, external ? "SASL EXTERNAL" : t->bind_dn);
	code = ldap_sasl_bind(c->ld, external ? NULL : t->bind_dn,
			      external ? "EXTERNAL" : LDAP_SASL_SIMPLE, &cred, NULL, NULL, &msgid);
	if (code != LDAP_SUCCESS)
		return lh_error_ld(e, c->ld, code, what);
	if (lh_conn_next(c, msgid, &msg, e) || lh_conn_result(c, msg, &code, &diag, e))
		return e->rc;
	if (code != LDAP_SUCCESS)
		lh_error_result(e, code, diag, what);
	ldap_memfree(diag);
	return code == LDAP_SUCCESS ? 0 : e->rc;
}

/* --- Kerberos ---------------------------------------------------------------- */

/* The Kerberos library takes these from the environment alone.  An attempt is a process of
 * its own; the former values are put back all the same. */
struct variable {
	const char *name;
	char *former, value[1100];
};

static int
set_variable(struct variable *v, const char *name, const char *kind, const char *value)
{
	const char *former = getenv(name);

	v->name = name;
	v->former = former ? strdup(former) : NULL;
	snprintf(v->value, sizeof(v->value), "%s:%s", kind, value);
	return setenv(name, v->value, 1);
}

static void
restore_variable(struct variable *v)
{
	if (!v->name)
		return;
	if (v->former)
		setenv(v->name, v->former, 1);
	else
		unsetenv(v->name);
	free(v->former);
}

/* With a keytab the library gets its tickets itself, into a cache that ends with us. */
static int
name_credentials(const struct lh_target *t, struct variable vars[2])
{
	char cache[40];
	int rc = 0;

	snprintf(cache, sizeof(cache), "resite-%ld", (long)getpid());
	if (t->credential_cache)
		rc |= set_variable(&vars[0], "KRB5CCNAME", "FILE", t->credential_cache);
	else if (t->keytab)
		rc |= set_variable(&vars[0], "KRB5CCNAME", "MEMORY", cache);
	if (t->keytab)
		rc |= set_variable(&vars[1], "KRB5_CLIENT_KTNAME", "FILE", t->keytab);
	return rc;
}

/* Kerberos asks for nothing but whom to act for: for ourselves. */
static int
answer(LDAP *ld, unsigned flags, void *defaults, void *questions)
{
	(void)ld;
	(void)flags;
	(void)defaults;
	for (sasl_interact_t *q = questions; q->id != SASL_CB_LIST_END; q++) {
		q->result = q->defresult ? q->defresult : "";
		q->len = (unsigned)strlen(q->result);
	}
	return LDAP_SUCCESS;
}

/* Active Directory takes no SASL layer within TLS; without TLS there must be one that
 * encrypts. */
static void
protect(struct lh_conn *c, const struct lh_target *t)
{
	const int endpoint = LDAP_OPT_X_SASL_CBINDING_TLS_ENDPOINT;

	ldap_set_option(c->ld, LDAP_OPT_X_SASL_NOCANON, LDAP_OPT_ON);
	ldap_set_option(c->ld, LDAP_OPT_X_SASL_SECPROPS,
			c->encrypted	     ? "noanonymous,noplain,maxssf=0"
			: t->allow_plaintext ? "noanonymous,noplain"
					     : "noanonymous,noplain,minssf=56");
	if (c->encrypted)
		ldap_set_option(c->ld, LDAP_OPT_X_SASL_CBINDING, &endpoint);
}

static int
negotiate(struct lh_conn *c, const char *what, struct lh_error *e)
{
	LDAPMessage *msg = NULL;
	const char *mech = NULL;
	int msgid, code;

	do {
		code = ldap_sasl_interactive_bind(c->ld, NULL, "GSSAPI", NULL, NULL, LDAP_SASL_QUIET,
						  answer, NULL, msg, &mech, &msgid);
		ldap_msgfree(msg);
		msg = NULL;
		if (code == LDAP_SASL_BIND_IN_PROGRESS && lh_conn_next(c, msgid, &msg, e))
			return e->rc;
	} while (code == LDAP_SASL_BIND_IN_PROGRESS);
	if (code == LDAP_SUCCESS)
		return 0;
	lh_error_ld(e, c->ld, code, what);
	if (code == LDAP_STRONG_AUTH_REQUIRED && c->encrypted)
		lh_error_set(e, RESITE_ERR_REFUSED,
			     "%s: the server takes Kerberos within TLS only with a layer of its own, which it "
			     "then does not take either (Samba: ldap server require strong auth = "
			     "allow_sasl_over_tls); use ldap:// without StartTLS, which Kerberos encrypts", what);
	/* The one thing that passes by itself; all else of Kerberos wants a person. */
	if (strstr(e->text, "Cannot contact any KDC"))
		e->rc = RESITE_ERR_TRANSIENT;
	return e->rc;
}

static int
readable(const char *param, const char *path, struct lh_error *e)
{
	if (!path || access(path, R_OK) == 0)
		return 0;
	return lh_error_set(e, RESITE_ERR_INVALID, "%s: %s: %s", param, path, strerror(errno));
}

static int
bind_kerberos(struct lh_conn *c, const struct lh_target *t, struct lh_error *e)
{
	struct variable vars[2] = {{.name = NULL}};
	char what[500];
	int rc;

	if (readable("keytab", t->keytab, e) || readable("credential_cache", t->credential_cache, e))
		return e->rc;
	snprintf(what, sizeof(what), "%s: bind with Kerberos, as ldap/%s", c->url,
		 t->server_name ? t->server_name : "the host in the URL");
	protect(c, t);
	if (name_credentials(t, vars))
		rc = lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
	else
		rc = negotiate(c, what, e);
	restore_variable(&vars[0]);
	restore_variable(&vars[1]);
	return rc;
}

int
lh_bind(struct lh_conn *c, const struct lh_target *t, struct lh_error *e)
{
	if (t->sasl == LH_SASL_GSSAPI)
		return bind_kerberos(c, t, e);
	if (t->sasl == LH_SASL_EXTERNAL || t->bind_dn)
		return bind_at_once(c, t, e);
	return 0; /* anonymous is how every connection begins */
}
