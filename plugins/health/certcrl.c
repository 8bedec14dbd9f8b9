/* A client that checks revocation asks the addresses in the certificate: where these are in the
 * site that is lost, sign-in hangs or fails though all servers run. */
#include "config.h"

#include "plugins/health/cert.h"
#include "sdk/net/dns.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define URLS_MAX 16
#define LOST_MAX 64

struct urls {
	char *v[URLS_MAX];
	size_t n;
};

/* --- networks ------------------------------------------------------------------------------ */

bool
cert_net_parse(const char *text, struct cert_net *ret)
{
	char host[64];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	unsigned max;
	char *end;
	long bits;

	if (len >= sizeof(host))
		return false;
	snprintf(host, sizeof(host), "%.*s", (int)len, text);
	*ret = (struct cert_net){.family = strchr(host, ':') ? AF_INET6 : AF_INET};
	max = ret->family == AF_INET ? 32 : 128;
	if (inet_pton(ret->family, host, ret->addr) != 1)
		return false;
	ret->bits = max;
	if (!slash)
		return true;
	bits = strtol(slash + 1, &end, 10);
	if (!isdigit((unsigned char)slash[1]) || *end || bits > (long)max)
		return false;
	ret->bits = (unsigned)bits;
	return true;
}

bool
cert_net_has(const struct cert_net *net, const struct sockaddr *sa)
{
	const unsigned char *addr = sa->sa_family == AF_INET
		? (const unsigned char *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr
		: (const unsigned char *)&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
	unsigned whole = net->bits / 8, rest = net->bits % 8;

	if (sa->sa_family != net->family || memcmp(addr, net->addr, whole))
		return false;
	return !rest || !((addr[whole] ^ net->addr[whole]) >> (8 - rest));
}

static size_t
lost_networks(struct net *net, struct cert_net ret[LOST_MAX])
{
	uint32_t n = net->host->param_count(net->op, "lost_networks");
	size_t kept = 0;

	for (uint32_t i = 0; i < n && i < LOST_MAX; i++)
		kept += cert_net_parse(net->host->param_str(net->op, "lost_networks", i), &ret[kept]);
	return kept;
}

/* --- addresses in certificates ------------------------------------------------------------- */

static void
add_url(struct urls *urls, const char *text, size_t len)
{
	char *copy = strndup(text, len);

	for (size_t i = 0; copy && i < urls->n; i++)
		if (!strcmp(urls->v[i], copy)) {
			free(copy);
			return;
		}
	if (copy && urls->n < URLS_MAX)
		urls->v[urls->n++] = copy;
	else
		free(copy);
}

static void
add_crls(X509 *cert, struct urls *urls)
{
	STACK_OF(DIST_POINT) *points = X509_get_ext_d2i(cert, NID_crl_distribution_points, NULL, NULL);

	for (int i = 0; i < sk_DIST_POINT_num(points); i++) {
		const DIST_POINT_NAME *name = sk_DIST_POINT_value(points, i)->distpoint;

		if (!name || name->type != 0)
			continue;
		for (int k = 0; k < sk_GENERAL_NAME_num(name->name.fullname); k++) {
			const GENERAL_NAME *g = sk_GENERAL_NAME_value(name->name.fullname, k);

			if (g->type == GEN_URI)
				add_url(urls, (const char *)ASN1_STRING_get0_data(g->d.uniformResourceIdentifier),
					(size_t)ASN1_STRING_length(g->d.uniformResourceIdentifier));
		}
	}
	CRL_DIST_POINTS_free(points);
}

static void
add_ocsps(X509 *cert, struct urls *urls)
{
	STACK_OF(OPENSSL_STRING) *list = X509_get1_ocsp(cert);

	for (int i = 0; i < sk_OPENSSL_STRING_num(list); i++)
		add_url(urls, sk_OPENSSL_STRING_value(list, i), strlen(sk_OPENSSL_STRING_value(list, i)));
	X509_email_free(list);
}

bool
cert_url_parse(const char *url, struct net_endpoint *ret, char *path, size_t path_cap)
{
	static const struct {
		const char *scheme, *port;
	} known[] = {{"http://", "80"}, {"https://", "443"}, {"ldap://", "389"}, {"ldaps://", "636"}};
	char host[300];

	for (const char *p = url; *p; p++)
		if (!isgraph((unsigned char)*p))
			return false;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		size_t n = strlen(known[i].scheme), len;

		if (strncasecmp(url, known[i].scheme, n))
			continue;
		len = strcspn(url + n, "/?#");
		if (!len || len >= sizeof(host))
			return false;
		snprintf(host, sizeof(host), "%.*s", (int)len, url + n);
		snprintf(path, path_cap, "%s", url[n + len] == '/' ? url + n + len : "/");
		return net_endpoint_parse(host, known[i].port, ret);
	}
	return false;
}

/* --- reaching them ---------------------------------------------------------------------------- */

static void
add_answers(const ldns_pkt *pkt, ldns_rr_type type, const char *port, struct net_addrs *ret)
{
	ldns_rr_list *list = ldns_pkt_answer(pkt);

	for (size_t i = 0; i < ldns_rr_list_rr_count(list) && ret->n < NET_ADDRS_MAX; i++) {
		ldns_rr *rr = ldns_rr_list_rr(list, i);
		struct sockaddr_storage *sa;
		size_t len;

		if (ldns_rr_get_type(rr) != type || ldns_rr_rd_count(rr) != 1)
			continue;
		sa = ldns_rdf2native_sockaddr_storage(ldns_rr_rdf(rr, 0), (uint16_t)atoi(port), &len);
		if (sa) {
			ret->v[ret->n].sa = *sa;
			ret->v[ret->n++].len = (socklen_t)len;
		}
		free(sa);
	}
}

/* By the plan's resolvers, those that will still be there; without one by this machine's. */
static int
resolve(struct net *net, const struct net_endpoint *ep, struct net_addrs *ret)
{
	static const ldns_rr_type types[] = {LDNS_RR_TYPE_A, LDNS_RR_TYPE_AAAA};
	struct cert_net literal;
	int rc = RESITE_OK;

	ret->n = 0;
	if (!net->host->param_count(net->op, "resolver") || cert_net_parse(ep->host, &literal))
		return net_resolve(net, ep, ret);
	for (uint32_t i = 0; i < net->host->param_count(net->op, "resolver") && !ret->n; i++) {
		struct net_endpoint resolver;

		if (!net_endpoint_parse(net->host->param_str(net->op, "resolver", i), "53", &resolver))
			continue;
		for (size_t k = 0; k < 2; k++) {
			ldns_pkt *pkt;
			char name[260];

			snprintf(name, sizeof(name), "%.255s.", ep->host);
			rc = dns_ask(net, &resolver, name, types[k], true, &pkt);
			if (rc != RESITE_OK)
				break;
			add_answers(pkt, types[k], ep->port, ret);
			ldns_pkt_free(pkt);
		}
		if (rc == RESITE_ERR_CANCELLED)
			return rc;
	}
	if (ret->n)
		return RESITE_OK;
	return rc != RESITE_OK ? rc : net_error(net, RESITE_ERR_TRANSIENT, "the name does not resolve");
}

/* A web server must have what the URL names; "HTTP/1.1 200" and no more is read. */
static int
fetch(struct net *net, int fd, const char *host, const char *path)
{
	char text[1200], answer[64] = "";
	int64_t until = net_now_ms() + net->patience_ms;
	size_t len = 0, n = 1;
	int rc;

	snprintf(text, sizeof(text), "GET %.800s HTTP/1.0\r\nHost: %.255s\r\nUser-Agent: resite\r\n\r\n",
		 path, host);
	rc = net_send(net, fd, text, strlen(text));
	while (rc == RESITE_OK && n && len < 12) {
		rc = net_recv(net, fd, answer + len, sizeof(answer) - 1 - len, until, &n);
		len += rc == RESITE_OK ? n : 0;
	}
	answer[len < 12 ? len : 12] = '\0';
	if (rc != RESITE_OK && rc != RESITE_PENDING)
		return rc;
	if (len < 12 || strncmp(answer, "HTTP/", 5))
		return net_error(net, RESITE_ERR_TRANSIENT, "no HTTP answer");
	return !strcmp(answer + 8, " 200") ? RESITE_OK
					   : net_error(net, RESITE_ERR_TRANSIENT, "HTTP%s", answer + 8);
}

/* One address outside the lost site that answers is enough. */
static int
try_address(struct net *net, const struct net_endpoint *url, const struct sockaddr *sa, socklen_t len,
	    const char *path)
{
	struct net_endpoint ep;
	char host[64];
	int fd, rc;

	if (getnameinfo(sa, len, host, sizeof(host), NULL, 0, NI_NUMERICHOST) ||
	    !net_endpoint_make(host, url->port, &ep))
		return net_error(net, RESITE_ERR_TRANSIENT, "an address that cannot be written");
	rc = net_connect(net, &ep, SOCK_STREAM, &fd);
	if (rc != RESITE_OK)
		return rc;
	rc = path ? fetch(net, fd, url->host, path) : RESITE_OK;
	close(fd);
	return rc;
}

static int
judge_url(struct net *net, const char *text, bool is_crl, struct findings *f)
{
	bool plain = !strncasecmp(text, "http://", 7);
	struct cert_net lost[LOST_MAX];
	struct net_endpoint url;
	struct net_addrs addrs;
	size_t n_lost = lost_networks(net, lost), outside = 0;
	char path[900];
	int rc;

	if (!cert_url_parse(text, &url, path, sizeof(path))) {
		resite_log(net->op, net->host, RESITE_LOG_INFO,
			   "revocation at '%.200s': it names no host, so nothing to look for", text);
		return RESITE_OK;
	}
	rc = resolve(net, &url, &addrs);
	for (size_t i = 0; rc == RESITE_OK && i < addrs.n; i++) {
		const struct sockaddr *sa = (const struct sockaddr *)&addrs.v[i].sa;
		bool is_lost = false;

		for (size_t k = 0; k < n_lost; k++)
			is_lost = is_lost || cert_net_has(&lost[k], sa);
		if (is_lost)
			continue;
		outside++;
		rc = try_address(net, &url, sa, addrs.v[i].len, plain && is_crl ? path : NULL);
		if (rc == RESITE_OK)
			return RESITE_OK;
		if (rc == RESITE_ERR_TRANSIENT && i + 1 < addrs.n)
			rc = RESITE_OK; /* the next one */
	}
	if (rc == RESITE_ERR_CANCELLED)
		return rc;
	if (rc == RESITE_OK && !outside)
		found(f, "revocation is told at %.200s, which is only in the lost site", text);
	else
		found(f, "revocation is told at %.200s, which does not answer: %.200s", text, net->err);
	return RESITE_OK;
}

int
cert_revocation(struct net *net, STACK_OF(X509) *chain, bool required, struct findings *f)
{
	struct urls crls = {0}, ocsps = {0};
	int rc = RESITE_OK;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		add_crls(sk_X509_value(chain, i), &crls);
		add_ocsps(sk_X509_value(chain, i), &ocsps);
		if (i == 0 && required && !crls.n && !ocsps.n)
			found(f, "it does not say where its revocation is told (no CRL, no OCSP)");
	}
	for (size_t i = 0; rc == RESITE_OK && i < crls.n; i++)
		rc = judge_url(net, crls.v[i], true, f);
	for (size_t i = 0; rc == RESITE_OK && i < ocsps.n; i++)
		rc = judge_url(net, ocsps.v[i], false, f);
	for (size_t i = 0; i < crls.n; i++)
		free(crls.v[i]);
	for (size_t i = 0; i < ocsps.n; i++)
		free(ocsps.v[i]);
	return rc;
}
