/* dns.h -- DNS messages to one given server, many in flight, over UDP or TCP.
 *
 *	dns_pipe_open(&p, net, &server, DNS_TCP);
 *	while there is work:
 *		fill: id = dns_pipe_new_id(&p); build a message with it; dns_pipe_put(&p, …, tag);
 *		take: dns_pipe_get(&p, &tag, &wire, &len);
 *	dns_pipe_close(&p);
 *
 * Results and texts as in net.h.  An answer is matched by its id, over UDP also by the
 * peer's address (the socket is connected); whether it answers the question that was
 * asked is for dns_answers() to say.
 */
#ifndef RESITE_SDK_NET_DNS_H
#define RESITE_SDK_NET_DNS_H

#include "sdk/net/net.h"

#include <ldns/ldns.h>

#define DNS_WINDOW 64       /* most messages in flight */
#define DNS_HEADER 12       /* bytes of a message's header */
#define DNS_QUERY_MAX 272   /* bytes of a message with one question */
#define DNS_UDP_MAX 1232    /* bytes of a message that we send over UDP */
#define DNS_TCP_MAX 65535   /* bytes of a message over TCP */

enum dns_transport {
	DNS_AUTO, /* TCP; UDP when no TCP connection can be made */
	DNS_TCP,
	DNS_UDP,
};

struct dns_slot {
	bool busy;
	uint16_t id;
	unsigned tries;  /* UDP: times sent */
	int64_t next_ms; /* UDP: when to send again */
	size_t tag;      /* the caller's */
	uint8_t *wire;   /* UDP: what to send again */
	size_t len;
};

struct dns_pipe {
	struct net *net;
	struct net_endpoint server;
	int fd;
	bool tcp;
	uint8_t *out; /* TCP: framed messages not yet written */
	size_t out_len, out_cap;
	uint8_t *in; /* what was read: TCP a stream, UDP one datagram */
	size_t in_len, in_off;
	struct dns_slot slots[DNS_WINDOW];
	size_t busy;
};

/* Opens a pipe; DNS_AUTO becomes what works.  On failure nothing is to be closed. */
int dns_pipe_open(struct dns_pipe *ret, struct net *net, const struct net_endpoint *server,
		  enum dns_transport transport);
void dns_pipe_close(struct dns_pipe *p);
/* An unpredictable id that no message in flight has. */
uint16_t dns_pipe_new_id(const struct dns_pipe *p);
/* Takes a message for sending (copied); at most DNS_WINDOW may be unanswered.  Over TCP
 * it is written at the latest when dns_pipe_get waits. */
int dns_pipe_put(struct dns_pipe *p, const uint8_t *wire, size_t len, size_t tag);
/* Writes what dns_pipe_put has gathered. */
int dns_pipe_flush(struct dns_pipe *p);
/* Waits for the next answer to any message; *ret_wire is valid until the next call. */
int dns_pipe_get(struct dns_pipe *p, size_t *ret_tag, const uint8_t **ret_wire, size_t *ret_len);

/* Another message answers the request with this id, as in a zone transfer. */
void dns_pipe_more(struct dns_pipe *p, uint16_t id, size_t tag);

/* Writes a question into buf (DNS_QUERY_MAX bytes) and returns its length.  name: wire
 * form, len bytes. */
size_t dns_query_build(uint8_t *buf, uint16_t id, const uint8_t *name, size_t len,
		       uint16_t type, bool recurse);
/* Does the answer repeat this question, whatever the case of its letters? */
bool dns_answers(const uint8_t *answer, size_t answer_len, const uint8_t *name, size_t len,
		 uint16_t type);

/* Asks server for name (absolute, presentation form) over UDP, over TCP when the answer
 * is truncated.  The caller frees *ret with ldns_pkt_free.  Any rcode is RESITE_OK. */
int dns_ask(struct net *net, const struct net_endpoint *server, const char *name,
	    ldns_rr_type type, bool recurse, ldns_pkt **ret);

/* "REFUSED" and the like; never NULL. */
const char *dns_rcode_text(unsigned rcode);

static inline uint16_t
dns_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void
dns_put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

#endif
