#include "config.h"

#include "sdk/net/dns.h"

#include <ctype.h>
#include <string.h>

const char *
dns_rcode_text(unsigned rcode)
{
	static const char *const texts[] = {
		"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
		"YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE",
	};

	return rcode < sizeof(texts) / sizeof(texts[0]) ? texts[rcode] : "an unknown rcode";
}

size_t
dns_query_build(uint8_t *buf, uint16_t id, const uint8_t *name, size_t len, uint16_t type,
		bool recurse)
{
	memset(buf, 0, DNS_HEADER);
	dns_put16(buf, id);
	buf[2] = recurse ? 1 : 0;
	buf[5] = 1; /* one question */
	memcpy(buf + DNS_HEADER, name, len);
	dns_put16(buf + DNS_HEADER + len, type);
	dns_put16(buf + DNS_HEADER + len + 2, LDNS_RR_CLASS_IN);
	return DNS_HEADER + len + 4;
}

bool
dns_answers(const uint8_t *answer, size_t answer_len, const uint8_t *name, size_t len,
	    uint16_t type)
{
	const uint8_t *q = answer + DNS_HEADER;

	if (answer_len < DNS_HEADER + len + 4 || dns_get16(answer + 4) != 1)
		return false;
	for (size_t i = 0; i < len; i++)
		if (tolower(q[i]) != tolower(name[i]))
			return false;
	return dns_get16(q + len) == type && dns_get16(q + len + 2) == LDNS_RR_CLASS_IN;
}

/* One question, one answer.  An answer to another question is not waited out: the socket
 * is connected and the id matched, so it is this very server that answers garbage. */
static int
ask_over(struct net *net, const struct net_endpoint *server, enum dns_transport transport,
	 const ldns_rdf *name, ldns_rr_type type, bool recurse, ldns_pkt **ret)
{
	uint8_t query[DNS_QUERY_MAX];
	const uint8_t *wire;
	struct dns_pipe p;
	size_t len, tag;
	int rc = dns_pipe_open(&p, net, server, transport);

	if (rc != RESITE_OK)
		return rc;
	len = dns_query_build(query, dns_pipe_new_id(&p), ldns_rdf_data(name),
			      ldns_rdf_size(name), (uint16_t)type, recurse);
	rc = dns_pipe_put(&p, query, len, 0);
	if (rc == RESITE_OK)
		rc = dns_pipe_get(&p, &tag, &wire, &len);
	if (rc == RESITE_OK && dns_get16(wire + 4) != 0 &&
	    !dns_answers(wire, len, ldns_rdf_data(name), ldns_rdf_size(name), (uint16_t)type))
		rc = net_error(net, RESITE_ERR_TRANSIENT, "%s answered another question",
			       server->text);
	if (rc == RESITE_OK && ldns_wire2pkt(ret, wire, len) != LDNS_STATUS_OK)
		rc = net_error(net, RESITE_ERR_TRANSIENT, "%s sent an answer that is no DNS message",
			       server->text);
	dns_pipe_close(&p);
	return rc;
}

int
dns_ask(struct net *net, const struct net_endpoint *server, const char *name, ldns_rr_type type,
	bool recurse, ldns_pkt **ret)
{
	ldns_rdf *rdf = NULL;
	ldns_status st = ldns_str2rdf_dname(&rdf, name);
	int rc;

	if (st != LDNS_STATUS_OK)
		return net_error(net, RESITE_ERR_INVALID, "'%s' is no domain name: %s", name,
				 ldns_get_errorstr_by_id(st));
	rc = ask_over(net, server, DNS_UDP, rdf, type, recurse, ret);
	if (rc == RESITE_OK && ldns_pkt_tc(*ret)) {
		ldns_pkt_free(*ret);
		*ret = NULL;
		rc = ask_over(net, server, DNS_TCP, rdf, type, recurse, ret);
	}
	ldns_rdf_deep_free(rdf);
	return rc;
}
