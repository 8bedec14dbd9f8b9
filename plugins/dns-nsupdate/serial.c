/* The serials of zones: cheap to ask for, and no change comes without a new one (RFC 2136
 * §3.6). */
#include "config.h"

#include "sdk/rr/rrwire.h"
#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>
#include <string.h>

int
read_serial(struct zone *z, const struct net_endpoint *server, uint32_t *ret)
{
	struct step *s = z->s;
	ldns_rr_list *soa;
	ldns_pkt *pkt;
	int rc = dns_ask(&s->net, server, z->text, LDNS_RR_TYPE_SOA, false, &pkt);

	if (rc != RESITE_OK)
		return rc;
	soa = ldns_pkt_rr_list_by_name_and_type(pkt, z->name, LDNS_RR_TYPE_SOA, LDNS_SECTION_ANSWER);
	if (soa && ldns_pkt_aa(pkt))
		*ret = ldns_rdf2native_int32(ldns_rr_rdf(ldns_rr_list_rr(soa, 0), 2));
	else
		rc = net_error(&s->net, ldns_pkt_get_rcode(pkt) == LDNS_RCODE_SERVFAIL
						? RESITE_ERR_TRANSIENT
						: RESITE_ERR_INVALID,
			       "%s is not an authoritative server of the zone %s (%s)", server->text,
			       z->text, dns_rcode_text(ldns_pkt_get_rcode(pkt)));
	ldns_rr_list_deep_free(soa);
	ldns_pkt_free(pkt);
	return rc;
}

/* --- of all zones, from the primary ------------------------------------------------- */

/* Is it an authoritative answer, whole, that begins with the SOA of the zone? */
static bool
plain_answer(const struct zone *z, const uint8_t *wire, size_t len, uint32_t *ret)
{
	const uint8_t *name = ldns_rdf_data(z->name);
	size_t name_len = ldns_rdf_size(z->name), at = DNS_HEADER;
	struct wire_rr rr;

	if (!dns_answers(wire, len, name, name_len, LDNS_RR_TYPE_SOA) || (wire[2] & 6) != 4 ||
	    (wire[3] & 15) || !dns_get16(wire + 6) || !wire_skip_questions(wire, len, &at, 1) ||
	    !wire_next(wire, len, &at, &rr) || rr.type != LDNS_RR_TYPE_SOA ||
	    rr.owner_len != name_len || memcmp(rr.owner, name, name_len))
		return false;
	*ret = rr.serial;
	return true;
}

/* Asks for all at once.  plain[i]: ret[i] is the serial of zone i. */
static void
ask_at_once(struct step *s, bool *plain, uint32_t *ret)
{
	size_t asked = 0, len, i;
	const uint8_t *wire;
	struct dns_pipe p;
	int rc = dns_pipe_open(&p, &s->net, &s->server, DNS_UDP);

	if (rc != RESITE_OK)
		return;
	for (size_t got = 0; got < s->n_zones && rc == RESITE_OK; got++) {
		for (; asked < s->n_zones && p.busy < READ_WINDOW && rc == RESITE_OK; asked++) {
			const ldns_rdf *name = s->zones[asked].name;
			uint8_t query[DNS_QUERY_MAX];

			len = dns_query_build(query, dns_pipe_new_id(&p), ldns_rdf_data(name),
					      ldns_rdf_size(name), LDNS_RR_TYPE_SOA, false);
			rc = dns_pipe_put(&p, query, len, asked);
		}
		if (rc == RESITE_OK)
			rc = dns_pipe_get(&p, &i, &wire, &len);
		if (rc == RESITE_OK)
			plain[i] = plain_answer(&s->zones[i], wire, len, &ret[i]);
	}
	dns_pipe_close(&p);
}

/* Whose answer is not plain is asked for again alone, and that says why. */
int
read_serials(struct step *s, uint32_t *ret)
{
	bool *plain = calloc(s->n_zones, sizeof(*plain));
	int rc = RESITE_OK;

	if (!plain)
		return net_error(&s->net, RESITE_ERR_TRANSIENT, "out of memory");
	if (s->n_zones > 1)
		ask_at_once(s, plain, ret);
	for (size_t i = 0; i < s->n_zones && rc == RESITE_OK; i++)
		if (!plain[i])
			rc = read_serial(&s->zones[i], &s->server, &ret[i]);
	free(plain);
	return rc;
}

/* The probe that follows verify need not ask all over again. */
int
look_at_serials(struct step *s)
{
	uint32_t *serials = calloc(s->n_zones, sizeof(*serials));
	int rc = serials ? read_serials(s, serials) : step_no_memory(s);

	for (size_t i = 0; i < s->n_zones && rc == RESITE_OK; i++) {
		struct zone *z = &s->zones[i];

		if (z->known != KNOWN_SERVED || z->serial != serials[i])
			z->known = KNOWN_NOT;
		z->serial = serials[i];
	}
	free(serials);
	return serials && rc != RESITE_OK ? step_net_fail(s, rc, "cannot read the zone") : rc;
}
