/* Reading many RRsets by one zone transfer (RFC 5936) instead of thousands of questions: for
 * 10,000 it cost named 40 ms of CPU instead of 190 (the changes themselves take it 200 to
 * 300), and all its answers are of one version of the zone.  It is a shortcut only: when it is
 * refused, the zone is too large, or it has delegations (below which data of the transfer is
 * not the zone's), the questions are asked after all. */
#include "config.h"

#include "sdk/rr/rrwire.h"
#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>
#include <string.h>

#define TRANSFER_MIN 300                        /* RRsets; fewer are quicker asked for */
#define TRANSFER_MAX(n) (20 * (n) + (size_t)10000) /* records of a zone worth transferring */

struct transfer {
	struct step *s;
	struct dns_pipe pipe;
	char server[sizeof(((struct net_endpoint *)0)->text)];
	uint16_t id;
	size_t records, soas;
	size_t hint; /* in s->now: where the next record is likely to be wanted */
	uint32_t serial;
	bool given_up;
	const struct rrset *alias; /* an RRset whose name is an alias */
};

/* The first RRset of s->now that is not before owner and type. */
static size_t
lower_bound(const struct step *s, const struct rrset *like)
{
	size_t from = 0, to = s->set.n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (rrset_order(&s->now[mid], like) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static bool
owned(const struct rrset *a, const struct wire_rr *rr)
{
	return a->owner_len == rr->owner_len && !memcmp(a->owner, rr->owner, a->owner_len);
}

/* The RRset that the record belongs to; for an alias, the first of its name. */
static struct rrset *
wanted(struct transfer *t, struct wire_rr *rr)
{
	struct step *s = t->s;
	bool alias = rr->type == LDNS_RR_TYPE_CNAME;
	const struct rrset like = {.owner = rr->owner, .owner_len = (uint8_t)rr->owner_len,
				   .type = (uint16_t)(alias ? 0 : rr->type)};
	size_t at = t->hint;

	if (alias || at >= s->set.n || s->now[at].type != rr->type || !owned(&s->now[at], rr))
		at = lower_bound(s, &like);
	if (at == s->set.n || !owned(&s->now[at], rr))
		return NULL;
	t->hint = at + 1;
	return alias || s->now[at].type == rr->type ? &s->now[at] : NULL;
}

/* False: no memory. */
static bool
take_rr(struct transfer *t, struct wire_rr *rr)
{
	struct step *s = t->s;
	bool at_top = rr->owner_len == ldns_rdf_size(s->zone) &&
		      !memcmp(rr->owner, ldns_rdf_data(s->zone), rr->owner_len);
	struct rrset *v;

	t->records++;
	if (rr->type == LDNS_RR_TYPE_SOA && t->soas++ == 0)
		t->serial = rr->serial;
	if ((t->records == 1 && t->soas == 0) || (rr->type == LDNS_RR_TYPE_NS && !at_top))
		t->given_up = true;
	v = wanted(t, rr);
	if (v && v->type != rr->type) {
		t->alias = v;
		return true;
	}
	if (!v)
		return true;
	v->ttl = rr->ttl;
	return rrset_add_rdata(v, rr->rdata, rr->rdata_len);
}

/* One message of the transfer; what cannot be read gives it up. */
static bool
take_message(struct transfer *t, const uint8_t *wire, size_t len)
{
	unsigned answers = dns_get16(wire + 6);
	size_t at = DNS_HEADER;
	struct wire_rr rr;
	bool ok = true;

	if ((wire[3] & 15) || !answers || !wire_skip_questions(wire, len, &at, dns_get16(wire + 4)))
		t->given_up = true;
	while (answers-- && ok && !t->given_up && t->soas < 2) {
		if (wire_next(wire, len, &at, &rr))
			ok = take_rr(t, &rr);
		else
			t->given_up = true;
	}
	t->given_up |= t->records > TRANSFER_MAX(t->s->set.n);
	return ok;
}

static int
receive(struct transfer *t)
{
	while (!t->given_up && t->soas < 2) {
		const uint8_t *wire;
		size_t len, tag;
		int rc = dns_pipe_get(&t->pipe, &tag, &wire, &len);

		if (rc != RESITE_OK)
			return rc;
		if (!take_message(t, wire, len))
			return net_error(&t->s->net, RESITE_ERR_TRANSIENT, "out of memory");
		dns_pipe_more(&t->pipe, t->id, 0);
		t->s->host->progress(t->s->op, 0, t->s->set.n, "zone transferred");
	}
	return RESITE_OK;
}

bool
transfer_worth(const struct step *s)
{
	return s->set.n >= TRANSFER_MIN && s->transport != DNS_UDP;
}

static int
ask(struct transfer *t)
{
	const ldns_rdf *zone = t->s->zone;
	uint8_t query[DNS_QUERY_MAX];
	size_t len;
	int rc;

	t->id = dns_pipe_new_id(&t->pipe);
	len = dns_query_build(query, t->id, ldns_rdf_data(zone), ldns_rdf_size(zone),
			      LDNS_RR_TYPE_AXFR, false);
	rc = dns_pipe_put(&t->pipe, query, len, 0);
	return rc == RESITE_OK ? dns_pipe_flush(&t->pipe) : rc;
}

struct transfer *
transfer_begin(struct step *s, const struct net_endpoint *server)
{
	struct transfer *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->s = s;
	memcpy(t->server, server->text, sizeof(t->server));
	if (dns_pipe_open(&t->pipe, &s->net, server, DNS_TCP) != RESITE_OK) {
		free(t);
		return NULL;
	}
	if (ask(t) == RESITE_OK)
		return t;
	transfer_cancel(t);
	return NULL;
}

void
transfer_cancel(struct transfer *t)
{
	if (t)
		dns_pipe_close(&t->pipe);
	free(t);
}

/* A name that is an alias has no other data, so nothing can be set there. */
static int
refuse_alias(struct transfer *t)
{
	char *name = rrset_name(t->alias);
	int rc = net_error(&t->s->net, RESITE_ERR_REFUSED, "%s, zone transfer: %s: the name is an alias "
			   "(CNAME): set its CNAME, or remove it first", t->server, name ? name : "?");

	free(name);
	return rc;
}

int
transfer_finish(struct transfer *t, bool *ret_done, uint32_t *ret_serial)
{
	int rc;

	*ret_done = false;
	if (!t)
		return RESITE_OK;
	for (size_t i = 0; i < t->s->set.n; i++)
		rrset_clear(&t->s->now[i]);
	rc = receive(t);
	if (rc == RESITE_OK && !t->given_up) {
		*ret_done = true;
		*ret_serial = t->serial;
		rc = t->alias ? refuse_alias(t) : RESITE_OK;
	} else if (rc != RESITE_ERR_CANCELLED) {
		rc = RESITE_OK;
	}
	transfer_cancel(t);
	return rc;
}
