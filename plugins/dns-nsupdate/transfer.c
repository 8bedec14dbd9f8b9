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
	struct zone *z;
	struct dns_pipe pipe;
	char server[sizeof(((struct net_endpoint *)0)->text)];
	uint16_t id;
	size_t records, soas;
	size_t hint; /* in z->now: where the next record is likely to be wanted */
	uint32_t serial;
	bool given_up;
	const struct rrset *alias; /* an RRset whose name is an alias */
	bool counts;               /* the RRsets of the zone; nothing is taken */
	uint64_t rrsets;
	struct rrset last;         /* counting: of the record before; owner is last_owner */
	uint8_t last_owner[WIRE_NAME_MAX];
};

/* The first RRset of z->now that is not before owner and type. */
static size_t
lower_bound(const struct zone *z, const struct rrset *like)
{
	size_t from = 0, to = z->set.n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (rrset_order(&z->now[mid], like) < 0)
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
	struct zone *z = t->z;
	bool alias = rr->type == LDNS_RR_TYPE_CNAME;
	const struct rrset like = {.owner = rr->owner, .owner_len = (uint8_t)rr->owner_len,
				   .type = (uint16_t)(alias ? 0 : rr->type)};
	size_t at = t->hint;

	if (alias || at >= z->set.n || z->now[at].type != rr->type || !owned(&z->now[at], rr))
		at = lower_bound(z, &like);
	if (at == z->set.n || !owned(&z->now[at], rr))
		return NULL;
	t->hint = at + 1;
	return alias || z->now[at].type == rr->type ? &z->now[at] : NULL;
}

static bool
keep(struct rrset *v, const struct wire_rr *rr)
{
	v->ttl = rr->ttl;
	return rrset_add_rdata(v, rr->rdata, rr->rdata_len);
}

/* An alias may be wanted itself, behind other types of its name. */
static bool
take_alias(struct transfer *t, struct rrset *first, struct wire_rr *rr)
{
	for (struct rrset *v = first; v < t->z->now + t->z->set.n && owned(v, rr); v++)
		if (v->type == LDNS_RR_TYPE_CNAME)
			return keep(v, rr);
	if (!alias_is_meant(t->z, first))
		t->alias = first;
	return true;
}

/* Servers send the records of an RRset one after the other. */
static void
count(struct transfer *t, const struct wire_rr *rr)
{
	if (rr->type == LDNS_RR_TYPE_RRSIG || rr->type == LDNS_RR_TYPE_NSEC ||
	    (t->records > 1 && t->last.type == rr->type && owned(&t->last, rr)))
		return;
	memcpy(t->last_owner, rr->owner, rr->owner_len);
	t->last = (struct rrset){.owner = t->last_owner, .owner_len = (uint8_t)rr->owner_len,
				 .type = (uint16_t)rr->type};
	t->rrsets++;
}

/* False: no memory. */
static bool
take_rr(struct transfer *t, struct wire_rr *rr)
{
	const ldns_rdf *zone = t->z->name;
	bool at_top = rr->owner_len == ldns_rdf_size(zone) &&
		      !memcmp(rr->owner, ldns_rdf_data(zone), rr->owner_len);
	struct rrset *v;

	t->records++;
	if (rr->type == LDNS_RR_TYPE_SOA && t->soas++ == 0)
		t->serial = rr->serial;
	if (t->records == 1 && t->soas == 0)
		t->given_up = true;
	if (t->counts) {
		count(t, rr);
		return true;
	}
	if (rr->type == LDNS_RR_TYPE_NS && !at_top)
		t->given_up = true;
	v = wanted(t, rr);
	if (!v)
		return true;
	return rr->type == LDNS_RR_TYPE_CNAME ? take_alias(t, v, rr) : keep(v, rr);
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
	t->given_up |= !t->counts && t->records > TRANSFER_MAX(t->z->set.n);
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
			return net_error(&t->z->s->net, RESITE_ERR_TRANSIENT, "out of memory");
		dns_pipe_more(&t->pipe, t->id, 0);
		t->z->s->host->progress(t->z->s->op, 0, t->z->set.n, "zone transferred");
	}
	return RESITE_OK;
}

bool
transfer_worth(const struct zone *z)
{
	return z->set.n >= TRANSFER_MIN && z->s->transport != DNS_UDP;
}

static int
ask(struct transfer *t)
{
	const ldns_rdf *zone = t->z->name;
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
transfer_begin(struct zone *z, const struct net_endpoint *server)
{
	struct transfer *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->z = z;
	memcpy(t->server, server->text, sizeof(t->server));
	if (dns_pipe_open(&t->pipe, &z->s->net, server, DNS_TCP) != RESITE_OK) {
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
	int rc = net_error(&t->z->s->net, RESITE_ERR_REFUSED, "%s, zone transfer: %s: the name is an alias "
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
	for (size_t i = 0; i < t->z->set.n; i++)
		rrset_clear(&t->z->now[i]);
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

bool
transfer_count(struct zone *z, uint64_t *ret)
{
	struct transfer *t = transfer_begin(z, &z->s->server);
	bool ok;

	if (!t)
		return false;
	t->counts = true;
	ok = receive(t) == RESITE_OK && !t->given_up;
	*ret = t->rrsets - 1; /* SOA comes at both ends */
	if (!ok && !t->given_up)
		net_error(&z->s->net, RESITE_ERR_TRANSIENT, "the zone transfer ended early");
	transfer_cancel(t);
	return ok;
}
