/* health.certificate: would clients accept the certificates of these servers, and will they
 * still when the other site is gone? */
#include "config.h"

#include "plugins/health/cert.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 100

static enum starttls
starttls_of(struct resite_op *op, const struct resite_host *host)
{
	const char *how = host->param_str(op, "starttls", 0);

	return !strcmp(how, "ldap") ? STARTTLS_LDAP : !strcmp(how, "xmpp-client") ? STARTTLS_XMPP
										  : STARTTLS_NONE;
}

/* A DNS name or an address: what can be in a certificate, and cannot break out of a message. */
static bool
is_name(const char *s)
{
	return *s && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-:") ==
			     strlen(s);
}

static int
check_names(struct resite_op *op, const struct resite_host *host, const char *param)
{
	for (uint32_t i = 0; i < host->param_count(op, param); i++)
		if (!is_name(host->param_str(op, param, i)))
			return resite_fail(op, host, RESITE_ERR_INVALID, param,
					   "'%s' is neither a host name nor an address",
					   host->param_str(op, param, i));
	return host->param_count(op, param) <= NAMES_MAX
		       ? RESITE_OK
		       : resite_fail(op, host, RESITE_ERR_INVALID, param, "more than %d", NAMES_MAX);
}

int
certificate_check(struct resite_op *op, const struct resite_host *host)
{
	struct net_endpoint ep;
	struct cert_net net;
	int rc = check_names(op, host, "names");

	for (uint32_t i = 0; i < host->param_count(op, "endpoint"); i++)
		if (!endpoint_of(op, host, "endpoint", i, NULL, &ep))
			return RESITE_ERR_INVALID;
	for (uint32_t i = 0; i < host->param_count(op, "resolver"); i++)
		if (!endpoint_of(op, host, "resolver", i, "53", &ep))
			return RESITE_ERR_INVALID;
	for (uint32_t i = 0; i < host->param_count(op, "lost_networks"); i++)
		if (!cert_net_parse(host->param_str(op, "lost_networks", i), &net))
			return resite_fail(op, host, RESITE_ERR_INVALID, "lost_networks",
					   "'%s' is no network as 10.1.0.0/16",
					   host->param_str(op, "lost_networks", i));
	return rc == RESITE_OK ? check_names(op, host, "server_name") : rc;
}

/* Trusts what ca_file has, or what this machine trusts. */
static int
new_context(struct resite_op *op, const struct resite_host *host, SSL_CTX **ret)
{
	const char *file = resite_str_or(op, host, "ca_file", NULL);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	char words[200];

	if (!ctx)
		return resite_fail(op, host, RESITE_ERR_TRANSIENT, NULL, "%s", cert_openssl_words(words));
	if (file ? SSL_CTX_load_verify_file(ctx, file) == 1 : SSL_CTX_set_default_verify_paths(ctx) == 1) {
		*ret = ctx;
		return RESITE_OK;
	}
	SSL_CTX_free(ctx);
	return resite_fail(op, host, RESITE_ERR_REFUSED, "ca_file", "no certificate authority can be read "
			   "from %s: %s", file ? file : "this system's store", cert_openssl_words(words));
}

static int
judge(struct net *net, SSL *ssl, const struct net_endpoint *ep, const struct cert_wishes *wishes,
      int64_t *ret_days)
{
	const char *crl = net->host->param_str(net->op, "revocation", 0);
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
	struct findings f = {.text = ""};
	int rc = RESITE_OK;

	if (!chain || sk_X509_num(chain) == 0)
		return resite_fail(net->op, net->host, RESITE_ERR_REFUSED, NULL,
				   "%s shows no certificate", ep->text);
	cert_judge(chain, wishes, &f, ret_days);
	if (strcmp(crl, "ignore"))
		rc = cert_revocation(net, chain, !strcmp(crl, "required"), &f);
	if (rc != RESITE_OK)
		return rc;
	return f.any ? resite_fail(net->op, net->host, RESITE_ERR_REFUSED, NULL,
				   "the certificate of %s: %s", ep->text, f.text)
		     : RESITE_OK;
}

static int
look_at(struct net *net, SSL_CTX *ctx, uint32_t i, int64_t *ret_days)
{
	struct resite_op *op = net->op;
	const struct resite_host *host = net->host;
	const char *names[NAMES_MAX];
	struct cert_wishes wishes = {.trust = SSL_CTX_get_cert_store(ctx), .names = names,
				     .min_days = host->param_i64(op, "min_days", 0)};
	struct net_endpoint ep;
	SSL *ssl;
	int rc;

	if (!endpoint_of(op, host, "endpoint", i, NULL, &ep))
		return RESITE_ERR_INVALID;
	for (; wishes.n_names < host->param_count(op, "names"); wishes.n_names++)
		names[wishes.n_names] = host->param_str(op, "names", (uint32_t)wishes.n_names);
	if (!wishes.n_names)
		names[wishes.n_names++] = ep.host;
	rc = cert_fetch(net, &ep, starttls_of(op, host), resite_str_or(op, host, "server_name", names[0]),
			ctx, &ssl);
	if (rc == RESITE_ERR_REFUSED)
		return resite_fail(op, host, rc, NULL, "%s", net->err);
	if (rc != RESITE_OK)
		return not_yet_net(net, rc, "no certificate yet");
	rc = judge(net, ssl, &ep, &wishes, ret_days);
	SSL_free(ssl);
	return rc;
}

int
certificate_verify(struct resite_op *op, const struct resite_host *host)
{
	struct net net = net_of(op, host);
	int64_t least = INT64_MAX, days = 0;
	char text[24];
	SSL_CTX *ctx = NULL;
	int rc = new_context(op, host, &ctx);

	if (rc != RESITE_OK)
		return rc;
	for (uint32_t i = 0; rc == RESITE_OK && i < host->param_count(op, "endpoint"); i++) {
		rc = look_at(&net, ctx, i, &days);
		least = days < least ? days : least;
	}
	SSL_CTX_free(ctx);
	if (rc != RESITE_OK)
		return rc;
	snprintf(text, sizeof(text), "%lld", (long long)least);
	host->output(op, "days_left", text);
	return RESITE_OK;
}
