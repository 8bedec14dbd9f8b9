#include "config.h"

#include "sdk/sip/sipnet.h"

#include <ctype.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Our end, as a Via and a Contact name it. */
static void
name_local(struct sip_conn *c)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char host[64] = "localhost", port[8] = "5060";

	if (getsockname(c->fd, (struct sockaddr *)&sa, &len) == 0)
		getnameinfo((struct sockaddr *)&sa, len, host, sizeof(host), port, sizeof(port),
			    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(c->local, sizeof(c->local), strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

int
sip_connect(struct sip_conn *ret, struct net *net, const struct net_endpoint *peer)
{
	int rc;

	*ret = (struct sip_conn){.net = net, .peer = *peer, .fd = -1};
	rc = net_connect(net, peer, SOCK_STREAM, &ret->fd);
	if (rc != RESITE_OK)
		return rc;
	name_local(ret);
	ret->in = malloc(SIP_MESSAGE_MAX + 1);
	if (ret->in)
		return RESITE_OK;
	sip_close(ret);
	return net_error(net, RESITE_ERR_TRANSIENT, "out of memory");
}

void
sip_close(struct sip_conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->in);
	*c = (struct sip_conn){.fd = -1};
}

/* What came, short and printable, for a message. */
static const char *
sample(const struct sip_conn *c, char buf[64])
{
	size_t n = c->in_len < 60 ? c->in_len : 60;

	for (size_t i = 0; i < n; i++)
		buf[i] = isprint((unsigned char)c->in[i]) ? c->in[i] : '.';
	buf[n] = '\0';
	return buf;
}

static int
read_more(struct sip_conn *c, const struct sip_request *request, int64_t until)
{
	char buf[64];
	size_t n;
	int rc = net_recv(c->net, c->fd, c->in + c->in_len, SIP_MESSAGE_MAX - c->in_len, until, &n);

	if (rc == RESITE_PENDING && c->in_len)
		return net_error(c->net, RESITE_ERR_TRANSIENT,
				 "%s has sent no whole SIP message in %lld ms, only '%s'", c->peer.text,
				 (long long)c->net->patience_ms, sample(c, buf));
	if (rc == RESITE_PENDING)
		return net_error(c->net, RESITE_ERR_TRANSIENT,
				 "%s has not answered %s in %lld ms", c->peer.text, request->method,
				 (long long)c->net->patience_ms);
	if (rc != RESITE_OK)
		return rc;
	if (n == 0)
		return net_error(c->net, RESITE_ERR_TRANSIENT,
				 "%s closed the connection instead of answering %s", c->peer.text,
				 request->method);
	c->in_len += n;
	return RESITE_OK;
}

/* Our response?  Provisional ones, those to other requests, and requests of the server's own
 * are passed over. */
static int
take_message(struct sip_conn *c, const struct sip_request *request, struct sip_response *ret,
	     bool *ret_done, bool *ret_more)
{
	const char *why;
	char buf[64];
	size_t used;
	enum sip_parsed kind = sip_parse(c->in, c->in_len, ret, &used, &why);

	*ret_done = *ret_more = false;
	if (kind == SIP_GARBAGE)
		return net_error(c->net, RESITE_ERR_TRANSIENT, "%s sent what is not SIP: %s ('%s')",
				 c->peer.text, why, sample(c, buf));
	*ret_more = kind == SIP_MORE;
	if (kind == SIP_MORE)
		return RESITE_OK;
	memmove(c->in, c->in + used, c->in_len - used);
	c->in_len -= used;
	if (kind != SIP_RESPONSE)
		return RESITE_OK;
	*ret_done = ret->status >= 200 && sip_answers(ret, request);
	if (!*ret_done)
		sip_response_release(ret);
	return RESITE_OK;
}

int
sip_exchange(struct sip_conn *c, const struct sip_request *request, struct sip_response *ret)
{
	int64_t until = net_now_ms() + c->net->patience_ms;
	char *text = sip_request_text(request);
	bool done = false, more = false;
	int rc;

	if (!text)
		return net_error(c->net, RESITE_ERR_TRANSIENT, "out of memory");
	rc = net_send(c->net, c->fd, text, strlen(text));
	free(text);
	while (rc == RESITE_OK && !done) {
		rc = take_message(c, request, ret, &done, &more);
		if (rc == RESITE_OK && more)
			rc = read_more(c, request, until);
	}
	return rc;
}
