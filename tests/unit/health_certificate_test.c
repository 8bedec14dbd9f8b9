/* health.certificate: real TLS servers with certificates that are well and that are not. */
#include "config.h"

#include "plugins/health/cert.h"
#include "sdk/testkit/fakehost.h"
#include "tests/unit/named_server.h"
#include "tests/unit/run_suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <resite/plugin.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

resite_plugin_v0_fn resite_plugin_v0;

/* Keys and handshakes take valgrind long: it sees some of the cases, and none that wait in vain. */
static bool
under_valgrind(void)
{
	return getenv("RESITE_UNDER_VALGRIND") != NULL;
}

/* --- certificates --------------------------------------------------------------------------- */

struct cert {
	X509 *x509;
	EVP_PKEY *key;
};

struct spec {
	const char *cn, *san, *eku, *cdp, *ocsp; /* as in an openssl configuration; NULL: none */
	bool ca;
	int begins, ends; /* days from now */
};

static void
extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;

	if (!value)
		return;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ck_assert_msg(ext, "%s", value);
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
}

/* issuer NULL: self-signed. */
static struct cert
make_cert(const struct spec *spec, const struct cert *issuer)
{
	static long serial = 1;
	struct cert c = {X509_new(), EVP_EC_gen("P-256")};
	X509_NAME *name = X509_get_subject_name(c.x509);
	X509 *by = issuer ? issuer->x509 : c.x509;

	X509_set_version(c.x509, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(c.x509), serial++);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)spec->cn, -1, -1, 0);
	X509_set_issuer_name(c.x509, X509_get_subject_name(by));
	X509_gmtime_adj(X509_getm_notBefore(c.x509), spec->begins * 86400L - 60);
	X509_gmtime_adj(X509_getm_notAfter(c.x509), spec->ends * 86400L + 600);
	X509_set_pubkey(c.x509, c.key);
	extend(c.x509, by, NID_basic_constraints, spec->ca ? "critical,CA:TRUE" : "CA:FALSE");
	extend(c.x509, by, NID_key_usage, spec->ca ? "keyCertSign,cRLSign" : NULL);
	extend(c.x509, by, NID_subject_alt_name, spec->san);
	extend(c.x509, by, NID_ext_key_usage, spec->eku);
	extend(c.x509, by, NID_crl_distribution_points, spec->cdp);
	extend(c.x509, by, NID_info_access, spec->ocsp);
	ck_assert_int_gt(X509_sign(c.x509, issuer ? issuer->key : c.key, EVP_sha256()), 0);
	return c;
}

/* --- servers: a child for each ------------------------------------------------------------------ */

enum manner { SERVES, HANGS, CLOSES, TALKS_SSH, HALF_HANDSHAKE, LDAP, LDAP_REFUSES, XMPP, XMPP_WITHOUT, WEB_200,
	      WEB_404 };

static struct {
	char dir[64], ca_file[96];
	struct cert ca, middle;
	pid_t pids[8];
	size_t n;
} rig;

static void
read_some(int fd)
{
	char buf[4096];

	if (read(fd, buf, sizeof(buf)) < 0)
		_exit(1);
}

static void
say(int fd, const char *text, size_t len)
{
	if (write(fd, text, len) < 0)
		_exit(1);
}

#define SAY(fd, text) say(fd, text, sizeof(text) - 1)
#define FEATURES(inner) "<?xml version='1.0'?><stream:stream><stream:features>" inner "</stream:features>"

/* Before TLS; false: there will be none. */
static bool
talk_first(int fd, enum manner manner)
{
	switch (manner) {
	case HANGS:
		read_some(fd);
		pause();
		return false;
	case CLOSES:
		return false;
	case TALKS_SSH:
		SAY(fd, "SSH-2.0-OpenSSH_9.2p1\r\n");
		return false;
	case HALF_HANDSHAKE:
		read_some(fd);
		SAY(fd, "\x16\x03\x03\x00\x7a\x02\x00");
		return false;
	case LDAP:
		read_some(fd);
		SAY(fd, "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00");
		return true;
	case LDAP_REFUSES:
		read_some(fd);
		SAY(fd, "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00");
		return false;
	case XMPP:
		read_some(fd);
		SAY(fd, FEATURES("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
		read_some(fd);
		SAY(fd, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
		return true;
	case XMPP_WITHOUT:
		read_some(fd);
		SAY(fd, FEATURES("<mechanisms/>"));
		return false;
	case WEB_200:
		read_some(fd);
		SAY(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
		return false;
	case WEB_404:
		read_some(fd);
		SAY(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
		return false;
	default:
		return true;
	}
}

static void
serve(int fd, SSL_CTX *ctx, enum manner manner)
{
	for (;;) {
		int conn = accept(fd, NULL, NULL);
		SSL *ssl;

		if (talk_first(conn, manner) && (ssl = SSL_new(ctx))) {
			SSL_set_fd(ssl, conn);
			if (SSL_accept(ssl) == 1)
				SSL_shutdown(ssl);
			SSL_free(ssl);
		}
		shutdown(conn, SHUT_WR);
		close(conn);
	}
}

/* Returns the port. */
static int
start_server(const struct cert *leaf, const struct cert *middle, enum manner manner)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	pid_t pid;

	ck_assert(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 16) == 0 &&
		  getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	if (leaf) {
		ck_assert_int_eq(SSL_CTX_use_certificate(ctx, leaf->x509), 1);
		ck_assert_int_eq(SSL_CTX_use_PrivateKey(ctx, leaf->key), 1);
	}
	if (middle)
		ck_assert_int_eq((int)SSL_CTX_add1_chain_cert(ctx, middle->x509), 1);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		serve(fd, ctx, manner);
	}
	rig.pids[rig.n++] = pid;
	close(fd);
	SSL_CTX_free(ctx);
	return ntohs(a.sin_port);
}

static void
stop_servers(void)
{
	while (rig.n) {
		kill(rig.pids[--rig.n], SIGKILL);
		waitpid(rig.pids[rig.n], NULL, 0);
	}
}

static void
set_up(void)
{
	static const struct spec ca = {.cn = "test root", .ca = true, .begins = -1, .ends = 3000};
	static const struct spec middle = {.cn = "test middle", .ca = true, .begins = -1, .ends = 3000};
	FILE *f;

	strcpy(rig.dir, "/tmp/cert-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(rig.dir));
	rig.ca = make_cert(&ca, NULL);
	rig.middle = make_cert(&middle, &rig.ca);
	snprintf(rig.ca_file, sizeof(rig.ca_file), "%s/ca.pem", rig.dir);
	f = fopen(rig.ca_file, "w");
	ck_assert_ptr_nonnull(f);
	PEM_write_X509(f, rig.ca.x509);
	fclose(f);
}

static void
free_cert(struct cert *c)
{
	X509_free(c->x509);
	EVP_PKEY_free(c->key);
}

static void
tear_down(void)
{
	stop_servers();
	free_cert(&rig.ca);
	free_cert(&rig.middle);
	unlink(rig.ca_file);
	rmdir(rig.dir);
}

static struct fakehost *
new_step(int port)
{
	struct fakehost *fh = fakehost_new(fakehost_action(resite_plugin_v0(), "certificate"));
	char endpoint[32];

	snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%d", port);
	fakehost_param(fh, "endpoint", endpoint);
	fakehost_param(fh, "names", "sip.contoso.example");
	fakehost_param(fh, "ca_file", rig.ca_file);
	fakehost_param(fh, "patience", under_valgrind() ? "30s" : "400ms");
	if (getenv("TRACE"))
		fakehost_trace(fh, stderr);
	return fh;
}

static void
ck_ends(struct fakehost *fh, int rc, const char *says)
{
	int got = fakehost_call(fh, FAKEHOST_VERIFY);

	ck_assert_msg(got == rc, "%d: %s", got, fakehost_failure(fh));
	ck_assert_msg(strstr(fakehost_failure(fh), says), "'%s' lacks '%s'", fakehost_failure(fh), says);
}

#define GOOD .cn = "pool", .san = "DNS:sip.contoso.example", .eku = "serverAuth", .begins = -1

enum chain { WHOLE, NO_MIDDLE, SELF, UNKNOWN_ROOT };

static const struct {
	struct spec spec;
	enum chain chain;
	int rc;
	const char *says[2]; /* NULL: no more */
} certs[] = {
	{{GOOD, .ends = 400}, WHOLE, RESITE_OK, {"", NULL}},
	{{.cn = "x", .san = "DNS:*.contoso.example", .begins = -1, .ends = 400}, WHOLE, RESITE_OK, {"", NULL}},
	{{.cn = "x", .san = "DNS:*.example", .begins = -1, .ends = 400}, WHOLE, RESITE_ERR_REFUSED,
	 {"is not for sip.contoso.example (it has *.example)", NULL}},
	{{.cn = "x", .san = "DNS:s*.contoso.example", .begins = -1, .ends = 400}, WHOLE, RESITE_ERR_REFUSED,
	 {"is not for sip.contoso.example", NULL}},
	/* A name in the subject alone does not count any more. */
	{{.cn = "sip.contoso.example", .begins = -1, .ends = 400}, WHOLE, RESITE_ERR_REFUSED,
	 {"(it has no alternative names)", NULL}},
	{{GOOD, .ends = 5}, WHOLE, RESITE_ERR_REFUSED, {"ends in 5 days", "less than 14"}},
	/* All that is wrong, not the first. */
	{{.cn = "x", .san = "DNS:other.example", .eku = "clientAuth", .begins = -9, .ends = -2}, WHOLE,
	 RESITE_ERR_REFUSED, {"'CN=x' has expired, on ", "is not for sip.contoso.example (it has other.example)"}},
	{{.cn = "pool", .san = "DNS:sip.contoso.example", .eku = "clientAuth", .begins = -1, .ends = 400}, WHOLE, RESITE_ERR_REFUSED,
	 {"is not for servers (extended key usage serverAuth)", NULL}},
	{{.cn = "x", .san = "DNS:sip.contoso.example", .begins = 3, .ends = 400}, WHOLE, RESITE_ERR_REFUSED,
	 {"is not valid before", NULL}},
	{{GOOD, .ends = 400}, NO_MIDDLE, RESITE_ERR_REFUSED,
	 {"its issuer 'CN=test middle' was not sent by the server", NULL}},
	{{GOOD, .ends = 400}, SELF, RESITE_ERR_REFUSED, {"'CN=pool' is self-signed, and not trusted", NULL}},
	{{GOOD, .ends = 400}, UNKNOWN_ROOT, RESITE_ERR_REFUSED, {"the root 'CN=other root' is not trusted", NULL}},
	{{.cn = "evil\n\x1b[2J", .san = "DNS:a.example", .begins = -1, .ends = 400}, SELF, RESITE_ERR_REFUSED,
	 {"self-signed", NULL}},
};

START_TEST(what_a_client_would_not_accept_is_told)
{
	static const struct spec other_root = {.cn = "other root", .ca = true, .begins = -1, .ends = 999};
	struct cert other = make_cert(&other_root, NULL);

	for (size_t i = 0; i < sizeof(certs) / sizeof(*certs); i += under_valgrind() ? 4 : 1) {
		enum chain chain = certs[i].chain;
		struct cert leaf = make_cert(&certs[i].spec, chain == SELF ? NULL : chain == UNKNOWN_ROOT
							     ? &other : &rig.middle);
		struct fakehost *fh = new_step(start_server(&leaf, chain == WHOLE ? &rig.middle
							    : chain == UNKNOWN_ROOT ? &other : NULL, SERVES));

		ck_assert_int_eq(fakehost_call(fh, FAKEHOST_CHECK), RESITE_OK);
		ck_ends(fh, certs[i].rc, certs[i].says[0]);
		if (certs[i].says[1])
			ck_assert_ptr_nonnull(strstr(fakehost_failure(fh), certs[i].says[1]));
		for (const char *p = fakehost_failure(fh); *p; p++)
			ck_assert(*p >= ' ' && *p <= '~');
		if (certs[i].rc == RESITE_OK)
			ck_assert_str_eq(fakehost_output(fh, "days_left"), "400");
		fakehost_free(fh);
		stop_servers();
		free_cert(&leaf);
	}
	free_cert(&other);
}
END_TEST

static const struct {
	const char *starttls;
	enum manner manner;
	int rc;
	const char *says;
} servers[] = {
	{"none", HANGS, RESITE_PENDING, "no TLS in "},
	{"none", CLOSES, RESITE_PENDING, "no certificate yet"},
	{"none", TALKS_SSH, RESITE_PENDING, "no TLS: "},
	{"none", HALF_HANDSHAKE, RESITE_PENDING, "in the midst of the TLS handshake"},
	{"ldap", LDAP, RESITE_OK, ""},
	{"ldap", LDAP_REFUSES, RESITE_ERR_REFUSED, "refuses StartTLS: LDAP result 52"},
	{"ldap", HANGS, RESITE_PENDING, " in "},
	{"ldap", TALKS_SSH, RESITE_PENDING, "it ended without"},
	{"xmpp-client", XMPP, RESITE_OK, ""},
	{"xmpp-client", XMPP_WITHOUT, RESITE_ERR_REFUSED, "offers no StartTLS"},
	{"xmpp-client", HANGS, RESITE_PENDING, "no '</stream:features>' in "},
};

START_TEST(servers_that_speak_otherwise_are_waited_for_or_told)
{
	static const struct spec spec = {GOOD, .ends = 400};
	struct cert leaf = make_cert(&spec, &rig.middle);
	struct fakehost *fh = new_step(1);

	ck_ends(fh, RESITE_PENDING, "127.0.0.1:1");
	fakehost_param_clear(fh, "ca_file");
	fakehost_param(fh, "ca_file", "/nowhere/ca.pem");
	ck_ends(fh, RESITE_ERR_REFUSED, "no certificate authority can be read from /nowhere/ca.pem");
	fakehost_free(fh);
	for (size_t i = 0; i < sizeof(servers) / sizeof(*servers); i++) {
		if (under_valgrind() && servers[i].manner == HANGS)
			continue;
		fh = new_step(start_server(&leaf, &rig.middle, servers[i].manner));
		fakehost_param_clear(fh, "starttls");
		fakehost_param(fh, "starttls", servers[i].starttls);
		ck_ends(fh, servers[i].rc, servers[i].says);
		fakehost_free(fh);
		stop_servers();
	}
	free_cert(&leaf);
}
END_TEST

/* A certificate that names this URL, and what is said of it. */
static void
ck_revocation(const char *cdp, const char *ocsp, const char *resolver, const char *lost, int rc,
	      const char *says)
{
	struct spec spec = {GOOD, .ends = 400, .cdp = cdp, .ocsp = ocsp};
	struct cert leaf = make_cert(&spec, &rig.middle);
	struct fakehost *fh = new_step(start_server(&leaf, &rig.middle, SERVES));

	fakehost_param_clear(fh, "revocation");
	fakehost_param(fh, "revocation", "required");
	if (resolver)
		fakehost_param(fh, "resolver", resolver);
	if (lost)
		fakehost_param(fh, "lost_networks", lost);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_CHECK), RESITE_OK);
	ck_ends(fh, rc, says);
	fakehost_free(fh);
	kill(rig.pids[--rig.n], SIGKILL);
	waitpid(rig.pids[rig.n], NULL, 0);
	free_cert(&leaf);
}

START_TEST(revocation_must_be_told_without_the_lost_site)
{
	int good = start_server(NULL, NULL, WEB_200), gone = start_server(NULL, NULL, WEB_404);
	char url[80], ocsp[80];

	ck_revocation(NULL, NULL, NULL, NULL, RESITE_ERR_REFUSED, "does not say where its revocation is told");
	snprintf(url, sizeof(url), "URI:http://127.0.0.1:%d/root.crl", good);
	snprintf(ocsp, sizeof(ocsp), "OCSP;URI:http://127.0.0.1:%d", gone);
	ck_revocation(url, NULL, NULL, "127.1.0.0/16", RESITE_OK, "");
	/* A responder need not answer a plain GET with 200. */
	ck_revocation(NULL, ocsp, NULL, "10.0.0.0/8", RESITE_OK, "");
	ck_revocation(url, ocsp, NULL, "127.0.0.0/8", RESITE_ERR_REFUSED, "which is only in the lost site");
	ck_revocation("URI:http://127.0.0.1:1/root.crl", NULL, NULL, NULL, RESITE_ERR_REFUSED,
		      "which does not answer: cannot connect to 127.0.0.1:1");
	snprintf(url, sizeof(url), "URI:http://127.0.0.1:%d/root.crl", gone);
	ck_revocation(url, NULL, NULL, NULL, RESITE_ERR_REFUSED, "HTTP 404");
	ck_revocation("URI:ldap:///CN=ca", NULL, NULL, NULL, RESITE_OK, "");
	ck_revocation("URI:http://127.0.0.1:99999/x", NULL, NULL, NULL, RESITE_OK, "");
}
END_TEST

START_TEST(revocation_hosts_are_asked_of_the_plans_resolver)
{
	struct named_server dns = {0};
	char url[80], records[200];
	int port;

	if (!named_installed())
		return;
	snprintf(records, sizeof(records), "crl A 127.0.0.1\nold A 127.1.0.10\nboth A 127.1.0.10\nboth A 127.0.0.1\n");
	named_start_primary(&dns, records, 0);
	port = start_server(NULL, NULL, WEB_200);
	snprintf(url, sizeof(url), "URI:http://crl.contoso.example:%d/c.crl", port);
	ck_revocation(url, NULL, dns.at, "127.1.0.0/16", RESITE_OK, "");
	snprintf(url, sizeof(url), "URI:http://both.contoso.example:%d/c.crl", port);
	ck_revocation(url, NULL, dns.at, "127.1.0.0/16", RESITE_OK, "");
	snprintf(url, sizeof(url), "URI:http://old.contoso.example:%d/c.crl", port);
	ck_revocation(url, NULL, dns.at, "127.1.0.0/16", RESITE_ERR_REFUSED, "only in the lost site");
	snprintf(url, sizeof(url), "URI:http://none.contoso.example:%d/c.crl", port);
	ck_revocation(url, NULL, dns.at, NULL, RESITE_ERR_REFUSED, "does not resolve");
	named_stop(&dns);
}
END_TEST

START_TEST(networks_and_urls_are_read_or_refused)
{
	static const struct {
		const char *url, *host, *port, *path; /* host NULL: refused */
	} urls[] = {
		{"http://crl.example/a?b", "crl.example", "80", "/a?b"},
		{"HTTPS://[fd00::1]:8443", "fd00::1", "8443", "/"},
		{"ldap://dc1.example/CN=x", "dc1.example", "389", "/CN=x"},
		{"ldap:///CN=x", NULL, NULL, NULL},
		{"ftp://x/", NULL, NULL, NULL},
		{"http://x:99999/", NULL, NULL, NULL},
		{"http://x/\r\nHost: evil", NULL, NULL, NULL},
	};
	struct sockaddr_in sa = {.sin_family = AF_INET};
	struct net_endpoint ep;
	struct cert_net net;
	char path[100];

	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
		bool ok = cert_url_parse(urls[i].url, &ep, path, sizeof(path));

		ck_assert_msg(ok == !!urls[i].host, "%s", urls[i].url);
		if (!ok)
			continue;
		ck_assert_str_eq(ep.host, urls[i].host);
		ck_assert_str_eq(ep.port, urls[i].port);
		ck_assert_str_eq(path, urls[i].path);
	}
	ck_assert(cert_net_parse("10.1.4.0/22", &net));
	inet_pton(AF_INET, "10.1.7.255", &sa.sin_addr);
	ck_assert(cert_net_has(&net, (struct sockaddr *)&sa));
	inet_pton(AF_INET, "10.1.8.0", &sa.sin_addr);
	ck_assert(!cert_net_has(&net, (struct sockaddr *)&sa));
	ck_assert(cert_net_parse("0.0.0.0/0", &net) && cert_net_has(&net, (struct sockaddr *)&sa));
	ck_assert(cert_net_parse("fd00::/8", &net) && !cert_net_has(&net, (struct sockaddr *)&sa));
	ck_assert(!cert_net_parse("10.1.0.0/33", &net));
	ck_assert(!cert_net_parse("10.1.0.0/-1", &net));
	ck_assert(!cert_net_parse("10.1/16", &net));
}
END_TEST

static Suite *
certificate_suite(void)
{
	Suite *s = suite_create("health.certificate");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, what_a_client_would_not_accept_is_told);
	tcase_add_test(t, servers_that_speak_otherwise_are_waited_for_or_told);
	tcase_add_test(t, revocation_must_be_told_without_the_lost_site);
	tcase_add_test(t, revocation_hosts_are_asked_of_the_plans_resolver);
	tcase_add_test(t, networks_and_urls_are_read_or_refused);
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	return run_suite(certificate_suite());
}
