/* The way to a server's certificate: TCP, StartTLS, TLS.  The TLS bytes go through memory,
 * so that each wait is the host's and a lost connection is no SIGPIPE. */
#include "config.h"

#include "plugins/health/cert.h"

#include <openssl/err.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192

const char *
cert_openssl_words(char buf[200])
{
	unsigned long code = ERR_peek_last_error();

	if (code)
		ERR_error_string_n(code, buf, 200);
	else
		snprintf(buf, 200, "no reason given");
	ERR_clear_error();
	return buf;
}

/* --- StartTLS -------------------------------------------------------------------------- */

/* Reads until the text is there; *ret_len grows.  The caller's buffer is NUL-terminated. */
static int
read_until(struct net *net, int fd, const char *peer, const char *want, char buf[LINE_MAX_BYTES],
	   size_t *ret_len)
{
	int64_t until = net_now_ms() + net->patience_ms;

	while (!memmem(buf, *ret_len, want, strlen(want))) {
		size_t n = 0;
		int rc = *ret_len + 1 < LINE_MAX_BYTES
				 ? net_recv(net, fd, buf + *ret_len, LINE_MAX_BYTES - 1 - *ret_len, until, &n)
				 : RESITE_OK;

		if (rc == RESITE_PENDING)
			return net_error(net, RESITE_ERR_TRANSIENT, "%s: no '%s' in %lld ms", peer, want,
					 (long long)net->patience_ms);
		if (rc != RESITE_OK)
			return rc;
		if (n == 0)
			return net_error(net, RESITE_ERR_TRANSIENT, "%s: it ended without '%s'", peer, want);
		*ret_len += n;
		buf[*ret_len] = '\0';
	}
	return RESITE_OK;
}

/* RFC 6120, 5.4. */
static int
starttls_xmpp(struct net *net, int fd, const char *peer, const char *name)
{
	static const char ask[] = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
	char buf[LINE_MAX_BYTES] = "";
	size_t len = 0;
	int rc;

	snprintf(buf, sizeof(buf), "<?xml version='1.0'?><stream:stream to='%s' version='1.0' "
		 "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", name);
	rc = net_send(net, fd, buf, strlen(buf));
	if (rc == RESITE_OK)
		rc = read_until(net, fd, peer, "</stream:features>", buf, &len);
	if (rc == RESITE_OK && !strstr(buf, "urn:ietf:params:xml:ns:xmpp-tls"))
		return net_error(net, RESITE_ERR_REFUSED, "%s offers no StartTLS", peer);
	if (rc == RESITE_OK)
		rc = net_send(net, fd, ask, strlen(ask));
	len = 0;
	return rc == RESITE_OK ? read_until(net, fd, peer, "<proceed", buf, &len) : rc;
}

/* RFC 4511, 4.14: an extended request, and the response's result code. */
static int
starttls_ldap(struct net *net, int fd, const char *peer)
{
	static const char ask[] = "\x30\x1d\x02\x01\x01\x77\x18\x80\x16" "1.3.6.1.4.1.1466.20037";
	char buf[LINE_MAX_BYTES];
	const unsigned char *b = (const unsigned char *)buf;
	size_t len = 0, head;
	int rc = net_send(net, fd, ask, sizeof(ask) - 1);

	/* 30 LEN 02 01 01 78 LEN 0a 01 CODE, in which a length may take more bytes. */
	if (rc == RESITE_OK)
		rc = read_until(net, fd, peer, "\x0a\x01", buf, &len);
	if (rc != RESITE_OK)
		return rc;
	head = (size_t)((const char *)memmem(buf, len, "\x0a\x01", 2) - buf);
	if (b[0] != 0x30 || !memchr(buf, 0x78, head) || head + 2 >= len)
		return net_error(net, RESITE_ERR_TRANSIENT, "%s: what it answers to StartTLS is no LDAP", peer);
	if (b[head + 2] != 0)
		return net_error(net, RESITE_ERR_REFUSED, "%s refuses StartTLS: LDAP result %u", peer,
				 b[head + 2]);
	return RESITE_OK;
}

/* --- TLS ------------------------------------------------------------------------------------ */

static int
send_waiting(struct net *net, int fd, SSL *ssl)
{
	char buf[4096];
	int n, rc = RESITE_OK;

	while (rc == RESITE_OK && (n = BIO_read(SSL_get_wbio(ssl), buf, sizeof(buf))) > 0)
		rc = net_send(net, fd, buf, (size_t)n);
	return rc;
}

static int
shake_hands(struct net *net, int fd, const char *peer, SSL *ssl)
{
	int64_t until = net_now_ms() + net->patience_ms;
	char buf[4096], words[200];

	for (;;) {
		int done = SSL_connect(ssl), rc = send_waiting(net, fd, ssl);
		size_t n = 0;

		if (done == 1 || rc != RESITE_OK)
			return rc;
		if (SSL_get_error(ssl, done) != SSL_ERROR_WANT_READ)
			return net_error(net, RESITE_ERR_TRANSIENT, "%s: no TLS: %s", peer,
					 cert_openssl_words(words));
		rc = net_recv(net, fd, buf, sizeof(buf), until, &n);
		if (rc == RESITE_PENDING)
			return net_error(net, RESITE_ERR_TRANSIENT, "%s: no TLS in %lld ms", peer,
					 (long long)net->patience_ms);
		if (rc != RESITE_OK)
			return rc;
		if (n == 0)
			return net_error(net, RESITE_ERR_TRANSIENT, "%s hung up in the midst of the TLS "
					 "handshake", peer);
		BIO_write(SSL_get_rbio(ssl), buf, (int)n);
	}
}

static SSL *
new_tls(SSL_CTX *ctx, const char *name)
{
	struct cert_net address;
	SSL *ssl = SSL_new(ctx);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	if (!ssl || !in || !out) {
		BIO_free(in);
		BIO_free(out);
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_bio(ssl, in, out);
	/* Judged afterwards, to name all that is wrong; SNI is for names alone. */
	SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	/* SSL_set_tlsext_host_name without the macro's cast; the name is copied. */
	if (*name && !cert_net_parse(name, &address))
		SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
			 (void *)(uintptr_t)name);
	return ssl;
}

int
cert_fetch(struct net *net, const struct net_endpoint *ep, enum starttls how, const char *name,
	   SSL_CTX *ctx, SSL **ret)
{
	SSL *ssl = new_tls(ctx, name);
	int fd, rc;

	if (!ssl)
		return net_error(net, RESITE_ERR_TRANSIENT, "out of memory");
	rc = net_connect(net, ep, SOCK_STREAM, &fd);
	if (rc == RESITE_OK) {
		if (how == STARTTLS_LDAP)
			rc = starttls_ldap(net, fd, ep->text);
		else if (how == STARTTLS_XMPP)
			rc = starttls_xmpp(net, fd, ep->text, name);
		if (rc == RESITE_OK)
			rc = shake_hands(net, fd, ep->text, ssl);
		close(fd);
	}
	if (rc != RESITE_OK) {
		SSL_free(ssl);
		return rc;
	}
	*ret = ssl;
	return RESITE_OK;
}
