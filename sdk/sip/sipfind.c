#include "config.h"

#include "sdk/sip/sipnet.h"
#include "sdk/net/dns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct srv {
	unsigned priority, weight;
	char port[6];
	char *target;
};

static int
preference(const void *a_, const void *b_)
{
	const struct srv *a = a_, *b = b_;

	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	return (a->weight < b->weight) - (a->weight > b->weight);
}

static void
add_targets(const struct ldns_struct_pkt *pkt, ldns_rr_type type, const struct srv *srv,
	    const char *question, struct sip_targets *list)
{
	const ldns_rr_list *rrs = ldns_pkt_answer(pkt);

	for (size_t i = 0; i < ldns_rr_list_rr_count(rrs) && list->n < SIP_TARGETS_MAX; i++) {
		const ldns_rr *rr = ldns_rr_list_rr(rrs, i);
		struct sip_target *t = &list->v[list->n];
		char *address;

		if (ldns_rr_get_type(rr) != type)
			continue;
		address = ldns_rdf2str(ldns_rr_rdf(rr, 0));
		if (address && net_endpoint_make(address, srv->port, &t->ep)) {
			snprintf(t->how, sizeof(t->how), "SRV %.255s -> %.255s:%s -> %s", question,
				 srv->target, srv->port, address);
			list->n++;
		}
		free(address);
	}
}

static int
find_addresses(struct net *net, const struct net_endpoint *resolver, const struct srv *srv,
	       const char *question, struct sip_targets *list)
{
	static const ldns_rr_type types[] = {LDNS_RR_TYPE_A, LDNS_RR_TYPE_AAAA};

	for (size_t i = 0; i < 2; i++) {
		ldns_pkt *pkt;
		int rc = dns_ask(net, resolver, srv->target, types[i], true, &pkt);

		if (rc != RESITE_OK)
			return rc;
		add_targets(pkt, types[i], srv, question, list);
		ldns_pkt_free(pkt);
	}
	return RESITE_OK;
}

static size_t
take_srvs(const ldns_pkt *pkt, struct srv *ret, size_t cap)
{
	const ldns_rr_list *rrs = ldns_pkt_answer(pkt);
	size_t n = 0;

	for (size_t i = 0; i < ldns_rr_list_rr_count(rrs) && n < cap; i++) {
		const ldns_rr *rr = ldns_rr_list_rr(rrs, i);

		if (ldns_rr_get_type(rr) != LDNS_RR_TYPE_SRV || ldns_rr_rd_count(rr) != 4)
			continue;
		ret[n].priority = ldns_rdf2native_int16(ldns_rr_rdf(rr, 0));
		ret[n].weight = ldns_rdf2native_int16(ldns_rr_rdf(rr, 1));
		snprintf(ret[n].port, sizeof(ret[n].port), "%u",
			 (unsigned)ldns_rdf2native_int16(ldns_rr_rdf(rr, 2)));
		ret[n].target = ldns_rdf2str(ldns_rr_rdf(rr, 3));
		n += ret[n].target != NULL;
	}
	qsort(ret, n, sizeof(*ret), preference);
	return n;
}

int
sip_find(struct net *net, const struct net_endpoint *resolver, const char *service,
	 const char *domain, struct sip_targets *ret)
{
	struct srv srvs[SIP_TARGETS_MAX];
	char question[600];
	ldns_pkt *pkt;
	size_t n;
	int rc;

	ret->n = 0;
	snprintf(question, sizeof(question), "%s.%s", service, domain);
	rc = dns_ask(net, resolver, question, LDNS_RR_TYPE_SRV, true, &pkt);
	if (rc != RESITE_OK)
		return rc;
	n = take_srvs(pkt, srvs, SIP_TARGETS_MAX);
	if (n == 0)
		rc = net_error(net, RESITE_ERR_TRANSIENT, "%s has no SRV record %.300s (%s)",
			       resolver->text, question, dns_rcode_text(ldns_pkt_get_rcode(pkt)));
	ldns_pkt_free(pkt);
	for (size_t i = 0; i < n && rc == RESITE_OK; i++)
		rc = find_addresses(net, resolver, &srvs[i], question, ret);
	if (rc == RESITE_OK && ret->n == 0)
		rc = net_error(net, RESITE_ERR_TRANSIENT,
			       "SRV %.200s leads to %.200s, which has no address at %s", question,
			       srvs[0].target, resolver->text);
	for (size_t i = 0; i < n; i++)
		free(srvs[i].target);
	return rc;
}
