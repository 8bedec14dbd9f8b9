#include "config.h"

#include "sdk/net/dns.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define UDP_TRIES 3
#define OUT_SOON (32 * 1024)           /* write at this many gathered bytes */
#define IN_CAP (2 * (DNS_TCP_MAX + 2)) /* room for one whole message behind another */

int
dns_pipe_open(struct dns_pipe *ret, struct net *net, const struct net_endpoint *server,
	      enum dns_transport transport)
{
	int rc;

	memset(ret, 0, sizeof(*ret));
	ret->net = net;
	ret->server = *server;
	ret->tcp = transport != DNS_UDP;
	rc = net_connect(net, server, ret->tcp ? SOCK_STREAM : SOCK_DGRAM, &ret->fd);
	if (rc == RESITE_ERR_TRANSIENT && transport == DNS_AUTO) {
		ret->tcp = false;
		rc = net_connect(net, server, SOCK_DGRAM, &ret->fd);
	}
	if (rc != RESITE_OK)
		return rc;
	ret->in = malloc(IN_CAP);
	if (ret->in)
		return RESITE_OK;
	close(ret->fd);
	return net_error(net, RESITE_ERR_TRANSIENT, "out of memory");
}

static void
slot_free(struct dns_pipe *p, struct dns_slot *s)
{
	free(s->wire);
	*s = (struct dns_slot){0};
	p->busy--;
}

void
dns_pipe_close(struct dns_pipe *p)
{
	for (size_t i = 0; i < DNS_WINDOW; i++)
		if (p->slots[i].busy)
			slot_free(p, &p->slots[i]);
	free(p->out);
	free(p->in);
	close(p->fd);
}

static struct dns_slot *
slot_of(struct dns_pipe *p, uint16_t id)
{
	for (size_t i = 0; i < DNS_WINDOW; i++)
		if (p->slots[i].busy && p->slots[i].id == id)
			return &p->slots[i];
	return NULL;
}

uint16_t
dns_pipe_new_id(const struct dns_pipe *p)
{
	uint16_t id;

	do {
		/* At most 256 bytes never block or fall short once the pool is up. */
		if (getrandom(&id, sizeof(id), 0) != sizeof(id))
			id = (uint16_t)(net_now_ms() * 40503u);
	} while (slot_of((struct dns_pipe *)(uintptr_t)p, id));
	return id;
}

/* --- sending ------------------------------------------------------------- */

/* "receiving: Connection reset by peer" says of no server that it did that. */
static int
with_server(struct dns_pipe *p, int rc)
{
	char why[sizeof(p->net->err)];

	memcpy(why, p->net->err, sizeof(why));
	return rc == RESITE_ERR_CANCELLED ? rc : net_error(p->net, rc, "%s: %.300s", p->server.text, why);
}

int
dns_pipe_flush(struct dns_pipe *p)
{
	int rc = RESITE_OK;

	if (p->out_len)
		rc = net_send(p->net, p->fd, p->out, p->out_len);
	p->out_len = 0;
	return rc == RESITE_OK ? rc : with_server(p, rc);
}

static int
gather(struct dns_pipe *p, const uint8_t *wire, size_t len)
{
	if (p->out_len + len + 2 > p->out_cap) {
		size_t cap = p->out_len + len + 2 + OUT_SOON;
		uint8_t *grown = realloc(p->out, cap);

		if (!grown)
			return net_error(p->net, RESITE_ERR_TRANSIENT, "out of memory");
		p->out = grown;
		p->out_cap = cap;
	}
	dns_put16(p->out + p->out_len, (unsigned)len);
	memcpy(p->out + p->out_len + 2, wire, len);
	p->out_len += len + 2;
	return p->out_len >= OUT_SOON ? dns_pipe_flush(p) : RESITE_OK;
}

/* A datagram that cannot be sent is like one that was lost: it is tried again, and
 * the reason is kept in net->err should none get through. */
static void
send_datagram(struct dns_pipe *p, struct dns_slot *s)
{
	s->tries++;
	s->next_ms = net_now_ms() + p->net->patience_ms / UDP_TRIES;
	if (send(p->fd, s->wire, s->len, MSG_NOSIGNAL) < 0)
		net_error(p->net, RESITE_ERR_TRANSIENT, "%s: %s", p->server.text, strerror(errno));
}

static struct dns_slot *
slot_take(struct dns_pipe *p, uint16_t id, size_t tag, size_t len)
{
	struct dns_slot *s = p->slots;

	while (s->busy)
		s++;
	*s = (struct dns_slot){.busy = true, .id = id, .tag = tag, .len = len};
	p->busy++;
	return s;
}

void
dns_pipe_more(struct dns_pipe *p, uint16_t id, size_t tag)
{
	slot_take(p, id, tag, 0); /* the answer that came has just freed one */
}

int
dns_pipe_put(struct dns_pipe *p, const uint8_t *wire, size_t len, size_t tag)
{
	struct dns_slot *s;

	if (p->busy == DNS_WINDOW || len < DNS_HEADER || len > (p->tcp ? DNS_TCP_MAX : DNS_UDP_MAX))
		return net_error(p->net, RESITE_ERR_BUG, "a DNS message of %zu bytes, %zu in flight",
				 len, p->busy);
	s = slot_take(p, dns_get16(wire), tag, len);
	if (p->tcp)
		return gather(p, wire, len);
	p->net->err[0] = '\0';
	s->wire = malloc(len);
	if (!s->wire)
		return net_error(p->net, RESITE_ERR_TRANSIENT, "out of memory");
	memcpy(s->wire, wire, len);
	send_datagram(p, s);
	return RESITE_OK;
}

/* --- receiving ----------------------------------------------------------- */

/* Is this a response to one of ours?  Then it is delivered and its slot is free. */
static bool
deliver(struct dns_pipe *p, const uint8_t *wire, size_t len, size_t *ret_tag)
{
	struct dns_slot *s = len >= DNS_HEADER && wire[2] & 0x80 ? slot_of(p, dns_get16(wire)) : NULL;

	if (!s)
		return false;
	*ret_tag = s->tag;
	slot_free(p, s);
	return true;
}

/* A server that gathers what it sends (BIND does) keeps an answer until we have acknowledged
 * the one before, which the kernel puts off for 40 ms when we have nothing to send.  The
 * kernel forgets that it was asked not to, so it is asked each time. */
static void
acknowledge(int fd)
{
#ifdef TCP_QUICKACK
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on)); /* without it, slower */
#else
	(void)fd;
#endif
}

static int
read_more(struct dns_pipe *p)
{
	int64_t until = net_now_ms() + p->net->patience_ms;
	int rc = dns_pipe_flush(p);
	size_t n;

	if (rc != RESITE_OK)
		return rc;
	acknowledge(p->fd);
	memmove(p->in, p->in + p->in_off, p->in_len - p->in_off);
	p->in_len -= p->in_off;
	p->in_off = 0;
	rc = net_recv(p->net, p->fd, p->in + p->in_len, IN_CAP - p->in_len, until, &n);
	if (rc == RESITE_PENDING)
		return net_error(p->net, RESITE_ERR_TRANSIENT,
				 "%s has not answered over TCP in %lld ms", p->server.text,
				 (long long)p->net->patience_ms);
	if (rc != RESITE_OK)
		return with_server(p, rc);
	if (n == 0)
		return net_error(p->net, RESITE_ERR_TRANSIENT,
				 "%s closed the connection with %zu messages unanswered%s",
				 p->server.text, p->busy, p->in_len ? ", in the middle of one" : "");
	p->in_len += n;
	return RESITE_OK;
}

static int
get_tcp(struct dns_pipe *p, size_t *ret_tag, const uint8_t **ret_wire, size_t *ret_len)
{
	int rc = RESITE_OK;

	while (rc == RESITE_OK) {
		size_t have = p->in_len - p->in_off;
		uint8_t *frame = p->in + p->in_off;
		size_t len = have >= 2 ? dns_get16(frame) : 0;

		if (have < 2 || have < len + 2) {
			rc = read_more(p);
			continue;
		}
		p->in_off += len + 2;
		if (!deliver(p, frame + 2, len, ret_tag))
			return net_error(p->net, RESITE_ERR_TRANSIENT,
					 "%s sent %zu bytes that are no answer to a question of ours",
					 p->server.text, len);
		*ret_wire = frame + 2;
		*ret_len = len;
		return RESITE_OK;
	}
	return rc;
}

/* Sends again what has been silent for too long; *ret_next: when to look again. */
static int
resend_late(struct dns_pipe *p, int64_t *ret_next)
{
	int64_t now = net_now_ms();

	*ret_next = now + p->net->patience_ms;
	for (struct dns_slot *s = p->slots; s < p->slots + DNS_WINDOW; s++) {
		if (!s->busy)
			continue;
		if (s->next_ms <= now && s->tries == UDP_TRIES)
			return p->net->err[0] ? RESITE_ERR_TRANSIENT
					      : net_error(p->net, RESITE_ERR_TRANSIENT,
							  "%s has not answered over UDP in %lld ms",
							  p->server.text,
							  (long long)p->net->patience_ms);
		if (s->next_ms <= now)
			send_datagram(p, s);
		if (s->next_ms < *ret_next)
			*ret_next = s->next_ms;
	}
	return RESITE_OK;
}

/* "Connection refused" on a UDP socket is an ICMP answer to an earlier datagram; the
 * server may be just starting, so it counts as silence, and its text is kept. */
static int
udp_setback(struct dns_pipe *p, int64_t until)
{
	char why[sizeof(p->net->err)];
	int64_t left = until - net_now_ms();

	memcpy(why, p->net->err, sizeof(why));
	net_error(p->net, RESITE_ERR_TRANSIENT, "%s over UDP: %.300s", p->server.text, why);
	return left > 0 ? p->net->host->wait(p->net->op, -1, 0, left) : RESITE_PENDING;
}

static int
get_udp(struct dns_pipe *p, size_t *ret_tag, const uint8_t **ret_wire, size_t *ret_len)
{
	for (;;) {
		int64_t until;
		size_t n = 0;
		int rc = resend_late(p, &until);

		if (rc != RESITE_OK)
			return rc;
		rc = net_recv(p->net, p->fd, p->in, IN_CAP, until, &n);
		if (rc == RESITE_ERR_TRANSIENT)
			rc = udp_setback(p, until);
		if (rc == RESITE_PENDING)
			continue;
		if (rc != RESITE_OK)
			return rc;
		if (!deliver(p, p->in, n, ret_tag))
			continue; /* somebody else's, late or forged */
		*ret_wire = p->in;
		*ret_len = n;
		return RESITE_OK;
	}
}

int
dns_pipe_get(struct dns_pipe *p, size_t *ret_tag, const uint8_t **ret_wire, size_t *ret_len)
{
	if (!p->busy)
		return net_error(p->net, RESITE_ERR_BUG, "no message is in flight");
	return p->tcp ? get_tcp(p, ret_tag, ret_wire, ret_len)
		      : get_udp(p, ret_tag, ret_wire, ret_len);
}
