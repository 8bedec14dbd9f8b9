/* What servers answer. */
#include "config.h"

#include "plugins/dns-bind/step.h"


#include <stdlib.h>
#include <string.h>

/* An answer that is authoritative, as a packet; RESITE_OK, or net.err says why not. */
static int
ask(struct step *s, const struct net_endpoint *server, const char *name, uint16_t type,
    ldns_pkt **ret)
{
	int rc = dns_ask(&s->net, server, name, type, false, ret), rcode;

	if (rc != RESITE_OK)
		return rc;
	rcode = ldns_pkt_get_rcode(*ret);
	if ((rcode == LDNS_RCODE_NOERROR || rcode == LDNS_RCODE_NXDOMAIN) && ldns_pkt_aa(*ret))
		return RESITE_OK;
	ldns_pkt_free(*ret);
	return net_error(&s->net,
			 rcode == LDNS_RCODE_SERVFAIL ? RESITE_ERR_TRANSIENT : RESITE_ERR_REFUSED,
			 "%s, asked for %s: %s%s", server->text, name, dns_rcode_text((unsigned)rcode),
			 rcode == LDNS_RCODE_NOERROR || rcode == LDNS_RCODE_NXDOMAIN
				 ? ", and not authoritative: does it serve the zone?"
				 : "");
}

int
ask_serial(struct step *s, const struct part *p, const struct net_endpoint *server, uint32_t *ret)
{
	ldns_rr_list *soa;
	ldns_pkt *pkt;
	int rc = ask(s, server, p->zone.text, LDNS_RR_TYPE_SOA, &pkt);

	if (rc != RESITE_OK)
		return rc;
	soa = ldns_pkt_rr_list_by_name_and_type(pkt, p->rdf, LDNS_RR_TYPE_SOA, LDNS_SECTION_ANSWER);
	if (soa)
		*ret = ldns_rdf2native_int32(ldns_rr_rdf(ldns_rr_list_rr(soa, 0), 2));
	else
		rc = net_error(&s->net, RESITE_ERR_REFUSED, "%s does not serve %s", server->text,
			       p->zone.text);
	ldns_rr_list_deep_free(soa);
	ldns_pkt_free(pkt);
	return rc;
}

static bool
take_record(struct rrset *now, ldns_rr *rr)
{
	ldns_buffer *b = ldns_buffer_new(512);
	bool ok;

	ldns_rr2canonical(rr);
	now->ttl = ldns_rr_ttl(rr);
	ok = b && ldns_rr_rdata2buffer_wire(b, rr) == LDNS_STATUS_OK &&
	     rrset_add_rdata(now, ldns_buffer_begin(b), ldns_buffer_position(b));
	ldns_buffer_free(b);
	return ok;
}

int
ask_rrset(struct step *s, const struct net_endpoint *server, struct rrset *now)
{
	ldns_rdf *owner = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, now->owner_len, now->owner);
	char *text = owner ? ldns_rdf2str(owner) : NULL;
	ldns_rr_list *rrs = NULL;
	ldns_pkt *pkt = NULL;
	bool ok = text != NULL;
	int rc = ok ? ask(s, server, text, now->type, &pkt)
		    : net_error(&s->net, RESITE_ERR_TRANSIENT, "out of memory");

	rrset_clear(now);
	if (rc == RESITE_OK) {
		rrs = ldns_pkt_rr_list_by_name_and_type(pkt, owner, now->type, LDNS_SECTION_ANSWER);
		for (size_t i = 0; ok && rrs && i < ldns_rr_list_rr_count(rrs); i++)
			ok = take_record(now, ldns_rr_list_rr(rrs, i));
		ldns_rr_list_deep_free(rrs);
		ldns_pkt_free(pkt);
	}
	if (rc == RESITE_OK && !ok)
		rc = net_error(&s->net, RESITE_ERR_TRANSIENT, "out of memory");
	LDNS_FREE(text);
	ldns_rdf_deep_free(owner);
	return rc;
}
