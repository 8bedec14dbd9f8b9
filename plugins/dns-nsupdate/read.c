/* Reading RRsets from an authoritative server, many questions in flight. */
#include "config.h"

#include "sdk/rr/rrwire.h"
#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>
#include <string.h>

#define READ_WINDOW 48 /* questions in flight */

struct reading {
	struct step *s;
	const struct net_endpoint *server;
	struct rrset *const *v;
	size_t n, *todo, n_todo; /* indices in v */
	size_t *truncated, n_truncated;
	const char *what;
};

/* Sets net.err, with the server and the RRset in front of why. */
static int
bad_answer(struct reading *r, size_t i, int rc, const char *why)
{
	char *name = rrset_name(r->v[i]);

	net_error(&r->s->net, rc, "%s, asked for %s: %s", r->server->text, name ? name : "?", why);
	free(name);
	return rc;
}

static int
judge_header(struct reading *r, size_t i, const uint8_t *wire)
{
	unsigned rcode = wire[3] & 15;
	int rc = rcode == LDNS_RCODE_REFUSED || rcode == LDNS_RCODE_NOTAUTH ? RESITE_ERR_REFUSED
									    : RESITE_ERR_TRANSIENT;

	if (rcode != LDNS_RCODE_NOERROR && rcode != LDNS_RCODE_NXDOMAIN)
		return bad_answer(r, i, rc, dns_rcode_text(rcode));
	if (!(wire[2] & 4))
		return bad_answer(r, i, RESITE_ERR_REFUSED,
				  "the answer is not authoritative: is the zone, or this name, served "
				  "elsewhere?");
	return RESITE_OK;
}

/* An answer may bring more than was asked for: what an alias leads to. */
static int
take_records(struct reading *r, size_t i, const uint8_t *wire, size_t len)
{
	struct rrset *v = r->v[i];
	struct wire_rr rr;
	size_t at = DNS_HEADER;
	bool ok = wire_skip_questions(wire, len, &at, dns_get16(wire + 4));

	for (unsigned left = dns_get16(wire + 6); ok && left; left--) {
		ok = wire_next(wire, len, &at, &rr);
		if (!ok || rr.owner_len != v->owner_len || memcmp(rr.owner, v->owner, rr.owner_len))
			continue;
		if (rr.type == LDNS_RR_TYPE_CNAME && v->type != LDNS_RR_TYPE_CNAME)
			return bad_answer(r, i, RESITE_ERR_REFUSED,
					  "the name is an alias (CNAME): set its CNAME, or remove it first");
		if (rr.type != v->type)
			continue;
		v->ttl = rr.ttl;
		if (!rrset_add_rdata(v, rr.rdata, rr.rdata_len))
			return bad_answer(r, i, RESITE_ERR_TRANSIENT, "out of memory");
	}
	return ok ? RESITE_OK
		  : bad_answer(r, i, RESITE_ERR_TRANSIENT, "the answer is not a DNS message");
}

static int
take(struct reading *r, size_t i, const uint8_t *wire, size_t len)
{
	struct rrset *v = r->v[i];
	int rc;

	if (!dns_answers(wire, len, v->owner, v->owner_len, v->type) && dns_get16(wire + 4))
		return bad_answer(r, i, RESITE_ERR_TRANSIENT, "it answered another question");
	rc = judge_header(r, i, wire);
	if (rc != RESITE_OK)
		return rc;
	if (wire[2] & 2) {
		r->truncated[r->n_truncated++] = i;
		return RESITE_OK;
	}
	rrset_clear(v);
	return take_records(r, i, wire, len);
}

static int
ask(struct reading *r, struct dns_pipe *p, size_t i)
{
	uint8_t query[DNS_QUERY_MAX];
	size_t len = dns_query_build(query, dns_pipe_new_id(p), r->v[i]->owner, r->v[i]->owner_len,
				     r->v[i]->type, false);

	return dns_pipe_put(p, query, len, i);
}

static int
read_todo(struct reading *r, enum dns_transport transport)
{
	struct dns_pipe p;
	size_t asked = 0, got = 0;
	int rc = dns_pipe_open(&p, &r->s->net, r->server, transport);

	if (rc != RESITE_OK)
		return rc;
	while (rc == RESITE_OK && got < r->n_todo) {
		const uint8_t *wire;
		size_t i, len;

		while (rc == RESITE_OK && asked < r->n_todo && p.busy < READ_WINDOW)
			rc = ask(r, &p, r->todo[asked++]);
		if (rc == RESITE_OK)
			rc = dns_pipe_get(&p, &i, &wire, &len);
		if (rc == RESITE_OK)
			rc = take(r, i, wire, len);
		if (rc == RESITE_OK && ++got % 256 == 0 && r->what)
			r->s->host->progress(r->s->op, got, r->n, r->what);
	}
	dns_pipe_close(&p);
	return rc;
}

int
read_rrsets(struct step *s, const struct net_endpoint *server, enum dns_transport transport,
	    struct rrset *const *v, size_t n, const char *what)
{
	struct reading r = {.s = s, .server = server, .v = v, .n = n, .n_todo = n, .what = what};
	int rc;

	r.todo = calloc(n + 1, sizeof(*r.todo));
	r.truncated = calloc(n + 1, sizeof(*r.truncated));
	if (!r.todo || !r.truncated) {
		rc = net_error(&s->net, RESITE_ERR_TRANSIENT, "out of memory");
	} else {
		for (size_t i = 0; i < n; i++)
			r.todo[i] = i;
		rc = n ? read_todo(&r, transport) : RESITE_OK;
		if (rc == RESITE_OK && r.n_truncated) {
			memcpy(r.todo, r.truncated, r.n_truncated * sizeof(*r.todo));
			r.n_todo = r.n_truncated;
			r.n_truncated = 0;
			rc = read_todo(&r, DNS_TCP);
			if (rc == RESITE_OK && r.n_truncated)
				rc = bad_answer(&r, r.truncated[0], RESITE_ERR_TRANSIENT,
						"the answer is truncated even over TCP");
		}
	}
	free(r.todo);
	free(r.truncated);
	return rc;
}

/* --- the primary ------------------------------------------------------------- */

int
read_serial(struct step *s, const struct net_endpoint *server, uint32_t *ret)
{
	ldns_rr_list *soa;
	ldns_pkt *pkt;
	int rc = dns_ask(&s->net, server, s->zone_text, LDNS_RR_TYPE_SOA, false, &pkt);

	if (rc != RESITE_OK)
		return rc;
	soa = ldns_pkt_rr_list_by_name_and_type(pkt, s->zone, LDNS_RR_TYPE_SOA, LDNS_SECTION_ANSWER);
	if (soa && ldns_pkt_aa(pkt))
		*ret = ldns_rdf2native_int32(ldns_rr_rdf(ldns_rr_list_rr(soa, 0), 2));
	else
		rc = net_error(&s->net, RESITE_ERR_INVALID,
			       "%s is not an authoritative server of the zone %s (%s)", server->text,
			       s->zone_text, dns_rcode_text(ldns_pkt_get_rcode(pkt)));
	ldns_rr_list_deep_free(soa);
	ldns_pkt_free(pkt);
	return rc;
}

/* The plan's author said what is there; anything else, except what we want, stops here. */
static int
check_expected(struct step *s)
{
	for (size_t i = 0; i < s->set.n; i++) {
		const struct rrset *want = rrset_list_find(&s->expect, &s->set.v[i]);
		char *name, *is, *should;

		if (!want || rrset_same_data(want, &s->now[i]) || rrset_same(&s->set.v[i], &s->now[i]))
			continue;
		name = rrset_name(want);
		is = rrset_text(&s->now[i]);
		should = rrset_text(want);
		resite_fail(s->op, s->host, RESITE_ERR_REFUSED, "expect_current",
			    "%s is %s, but the plan expects %s: somebody changed it; look, then change "
			    "the plan or the record", name ? name : "?", is ? is : "?",
			    should ? should : "?");
		free(name);
		free(is);
		free(should);
		return RESITE_ERR_REFUSED;
	}
	return RESITE_OK;
}

static int
read_primary(struct step *s)
{
	struct rrset **v;
	bool done = false;
	int rc = RESITE_OK;

	if (transfer_worth(s))
		rc = transfer_finish(transfer_begin(s, &s->server), &done, &s->serial);
	if (rc != RESITE_OK || done)
		return rc;
	v = calloc(s->set.n + 1, sizeof(*v));
	if (!v)
		return net_error(&s->net, RESITE_ERR_TRANSIENT, "out of memory");
	for (size_t i = 0; i < s->set.n; i++)
		v[i] = &s->now[i];
	rc = read_rrsets(s, &s->server, s->transport, v, s->set.n, "records read");
	free(v);
	return rc;
}

int
read_now(struct step *s)
{
	int rc = RESITE_OK;

	if (!now_room(s))
		return resite_fail(s->op, s->host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	if (s->known == KNOWN_NOT)
		rc = read_primary(s);
	if (rc != RESITE_OK)
		return step_net_fail(s, rc, "cannot read the records");
	return check_expected(s);
}
