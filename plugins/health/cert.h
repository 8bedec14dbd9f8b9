/* cert.h -- the parts of health.certificate. */
#ifndef HEALTH_CERT_H
#define HEALTH_CERT_H

#include "plugins/health/health.h"

#include <openssl/ssl.h>

#define CERT_TEXT 900

/* What is wrong with a certificate, all of it, as one text. */
struct findings {
	char text[CERT_TEXT];
	size_t len;
	bool any;
};

__attribute__((format(printf, 2, 3))) void found(struct findings *f, const char *fmt, ...);

enum starttls { STARTTLS_NONE, STARTTLS_LDAP, STARTTLS_XMPP };

/* --- certtls.c: what the server shows ---------------------------------------------------- */

/* Connects, speaks starttls, and shakes hands without judging anything.  The caller frees *ret
 * with SSL_free.  name: for SNI and XMPP.  Codes and texts as in net.h. */
int cert_fetch(struct net *net, const struct net_endpoint *ep, enum starttls how, const char *name,
	       SSL_CTX *ctx, SSL **ret);
/* The newest word of OpenSSL's error queue, which is then empty. */
const char *cert_openssl_words(char buf[200]);

/* --- certjudge.c: pure, given the clock ----------------------------------------------------- */

struct cert_wishes {
	X509_STORE *trust;
	const char *const *names; /* DNS names and addresses that it must hold */
	size_t n_names;
	int64_t min_days;
};

/* Adds all that is wrong.  chain: as the server sent it, the leaf first.  *ret_days: until the
 * first certificate of the chain ends. */
void cert_judge(STACK_OF(X509) *chain, const struct cert_wishes *wishes, struct findings *f,
		int64_t *ret_days);

/* --- certcrl.c: is revocation told without the lost site? ------------------------------------- */

struct cert_net {
	int family;
	unsigned char addr[16];
	unsigned bits;
};

/* "10.1.0.0/16"; false when it is no network. */
bool cert_net_parse(const char *text, struct cert_net *ret);
bool cert_net_has(const struct cert_net *net, const struct sockaddr *sa);
/* host, port and path of an http, https or ldap URL.  false: another scheme, or no host, which
 * in ldap:///… is any domain controller's. */
bool cert_url_parse(const char *url, struct net_endpoint *ret, char *path, size_t path_cap);
/* Looks at each CRL and OCSP address in the chain.  required: there must be one in the leaf.
 * RESITE_OK with findings, or why it could not be looked at. */
int cert_revocation(struct net *net, STACK_OF(X509) *chain, bool required, struct findings *f);

int certificate_check(struct resite_op *op, const struct resite_host *host);
int certificate_verify(struct resite_op *op, const struct resite_host *host);

#endif
