/* TLS: which certificates are trusted, and which one is expected. */
#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/session.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- options --------------------------------------------------------------- */

/* Everything that ldap.conf or the environment could turn is set here. */
static int
set_tls_options(struct lh_conn *c, const struct lh_target *t, struct lh_error *e)
{
	const int demand = LDAP_OPT_X_TLS_DEMAND;

	ldap_set_option(c->ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
	if (t->ca_file && ldap_set_option(c->ld, LDAP_OPT_X_TLS_CACERTFILE, t->ca_file))
		return lh_error_set(e, RESITE_ERR_INVALID, "ca_file %s cannot be used", t->ca_file);
	if (t->cert_file && ldap_set_option(c->ld, LDAP_OPT_X_TLS_CERTFILE, t->cert_file))
		return lh_error_set(e, RESITE_ERR_INVALID, "cert_file %s cannot be used", t->cert_file);
	if (t->key_file && ldap_set_option(c->ld, LDAP_OPT_X_TLS_KEYFILE, t->key_file))
		return lh_error_set(e, RESITE_ERR_INVALID, "key_file %s cannot be used", t->key_file);
	return 0;
}

static int
readable_file(const char *param, const char *path, struct lh_error *e)
{
	if (!path || access(path, R_OK) == 0)
		return 0;
	return lh_error_set(e, RESITE_ERR_INVALID, "%s: %s: %s", param, path, strerror(errno));
}

static int
new_tls_context(struct lh_conn *c, const struct lh_target *t, struct lh_error *e)
{
	const int client = 0;

	if (set_tls_options(c, t, e) || readable_file("ca_file", t->ca_file, e) || readable_file("cert_file", t->cert_file, e) ||
	    readable_file("key_file", t->key_file, e))
		return e->rc;
	if (ldap_set_option(c->ld, LDAP_OPT_X_TLS_NEWCTX, &client) == LDAP_OPT_SUCCESS)
		return 0;
	return lh_error_set(e, RESITE_ERR_INVALID,
			    "TLS cannot be prepared: ca_file %s, cert_file %s or key_file %s is not "
			    "what its name says (PEM)",
			    t->ca_file ? t->ca_file : "(the system's)",
			    t->cert_file ? t->cert_file : "(none)", t->key_file ? t->key_file : "(none)");
}

/* --- the handshake --------------------------------------------------------- */

/* What libldap knows about a certificate that it does not accept, it tells its
 * debug log alone, through a function that takes no argument: hence a variable. */
static _Thread_local char tls_words[300];

static void
keep_tls_words(const char *line)
{
	if (!strncmp(line, "TLS: ", 5) && !strstr(line, "unknown error"))
		snprintf(tls_words, sizeof(tls_words), "%.*s", (int)strcspn(line, "\n"), line);
}

static int
install_tls_listening(LDAP *ld)
{
	int before = 0, listening = 1, code;

	tls_words[0] = '\0';
	ldap_get_option(NULL, LDAP_OPT_DEBUG_LEVEL, &before);
	ber_set_option(NULL, LBER_OPT_LOG_PRINT_FN, (const void *)(uintptr_t)keep_tls_words);
	ldap_set_option(NULL, LDAP_OPT_DEBUG_LEVEL, &listening);
	code = ldap_install_tls(ld);
	ldap_set_option(NULL, LDAP_OPT_DEBUG_LEVEL, &before);
	return code;
}

/* Before a password goes there.  One of several pins is enough: the next certificate's can
 * be in the plan before it is in use. */
static int
check_pins(struct lh_conn *c, const struct lh_target *t, struct lh_error *e)
{
	struct berval cert = {0, NULL};
	char is[LH_PIN_TEXT_MAX];

	if (!t->n_pins)
		return 0;
	if (ldap_get_option(c->ld, LDAP_OPT_X_TLS_PEERCERT, &cert) != LDAP_OPT_SUCCESS || !cert.bv_val)
		return lh_error_set(e, RESITE_ERR_REFUSED, "%s: the server's certificate cannot be read, so "
				    "the pin cannot be compared", c->url);
	for (size_t i = 0; i < t->n_pins; i++)
		if (lh_pin_holds(&t->pins[i], &cert)) {
			ber_memfree(cert.bv_val);
			return 0;
		}
	lh_pin_suggest(&cert, is);
	ber_memfree(cert.bv_val);
	return lh_error_set(e, RESITE_ERR_REFUSED,
			    "%s: the server's certificate is not the one that pin names, so no password was "
			    "sent: SHA-256 of the certificate is %s. If the server got a new one, and only "
			    "then, write that into the plan", c->url, is);
}

static int
handshake(struct lh_conn *c, const struct lh_target *t, struct lh_error *e)
{
	char *diag = NULL;
	int code;

	if (new_tls_context(c, t, e))
		return e->rc;
	code = install_tls_listening(c->ld);
	if (code == LDAP_SUCCESS) {
		c->encrypted = true;
		return check_pins(c, t, e);
	}
	ldap_get_option(c->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &diag);
	/* A certificate that is not trusted does not become so by trying again, and
	 * libldap cannot tell it from other failures: a person looks. */
	lh_error_set(e, RESITE_ERR_REFUSED,
		     "%s: no TLS connection: %s%s%s; the certificate must be signed by a CA in %s "
		     "and name the host as the URL does",
		     c->url, diag && *diag ? diag : ldap_err2string(code), tls_words[0] ? ": " : "",
		     tls_words, t->ca_file ? t->ca_file : "the system's store (or give ca_file)");
	ldap_memfree(diag);
	return e->rc;
}

static int
start_tls(struct lh_conn *c, const struct lh_target *t, struct lh_error *e)
{
	LDAPMessage *msg;
	char what[300], *diag = NULL;
	int msgid, code;

	snprintf(what, sizeof(what), "%s: StartTLS", c->url);
	code = ldap_start_tls(c->ld, NULL, NULL, &msgid);
	if (code != LDAP_SUCCESS)
		return lh_error_ld(e, c->ld, code, what);
	if (lh_conn_next(c, msgid, &msg, e) || lh_conn_result(c, msg, &code, &diag, e))
		return e->rc;
	if (code != LDAP_SUCCESS)
		lh_error_result(e, code, diag, what);
	ldap_memfree(diag);
	return code != LDAP_SUCCESS ? e->rc : handshake(c, t, e);
}

int
lh_encrypt(struct lh_conn *c, const struct lh_target *t, bool ldaps, struct lh_error *e)
{
	/* Loopback is a network, too: another user of this machine may have taken the port. */
	bool exposed = t->password.bv_val && !c->local;
	bool wanted = t->tls == LH_TLS_STARTTLS || t->n_pins;

	if (ldaps)
		return handshake(c, t, e);
	if (wanted || (t->tls == LH_TLS_AUTO && exposed && !t->allow_plaintext))
		return start_tls(c, t, e);
	if (exposed && !t->allow_plaintext)
		return lh_error_set(e, RESITE_ERR_INVALID,
				    "%s: the password would go unencrypted over the network: use "
				    "ldaps://, or tls = \"starttls\", or say allow_plaintext = true",
				    c->url);
	return 0;
}
