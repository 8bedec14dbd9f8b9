/* Reading RRsets from an authoritative server, many questions in flight. */
#include "config.h"

#include "sdk/rr/rrwire.h"
#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>
#include <string.h>

struct reading {
	struct zone *z;
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

/* The step removes the alias, or puts one in the place of the data. */
bool
alias_is_meant(const struct zone *z, const struct rrset *v)
{
	const struct rrset alias = {.owner = v->owner, .owner_len = v->owner_len,
				    .type = LDNS_RR_TYPE_CNAME};

	return z->s->alias_is_nothing || rrset_list_find(&z->set, &alias);
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
		if (rr.type == LDNS_RR_TYPE_CNAME && v->type != LDNS_RR_TYPE_CNAME &&
		    !alias_is_meant(r->z, v))
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
read_rrsets(struct zone *z, const struct net_endpoint *server, enum dns_transport transport,
	    struct rrset *const *v, size_t n, const char *what)
{
	struct step *s = z->s;
	struct reading r = {.z = z, .s = s, .server = server, .v = v, .n = n, .n_todo = n, .what = what};
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

/* The plan's author said what is there; anything else, except what we want, stops here. */
static int
check_expected(struct zone *z)
{
	for (size_t i = 0; i < z->set.n && z->expect.n; i++) {
		const struct rrset *want = rrset_list_find(&z->expect, &z->set.v[i]);
		char *name, *is, *should;

		if (!want || rrset_same_data(want, &z->now[i]) || rrset_same(&z->set.v[i], &z->now[i]))
			continue;
		name = rrset_name(want);
		is = rrset_text(&z->now[i]);
		should = rrset_text(want);
		resite_fail(z->s->op, z->s->host, RESITE_ERR_REFUSED, "expect_current",
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
ask_primary(struct zone *z)
{
	struct rrset **v = calloc(z->set.n + 1, sizeof(*v));
	int rc;

	if (!v)
		return net_error(&z->s->net, RESITE_ERR_TRANSIENT, "out of memory");
	for (size_t i = 0; i < z->set.n; i++)
		v[i] = &z->now[i];
	rc = read_rrsets(z, &z->s->server, z->s->transport, v, z->set.n, "records read");
	free(v);
	return rc;
}

/* t: NULL when the zone is asked for question by question. */
static int
read_primary(struct zone *z, struct transfer *t)
{
	bool done;
	int rc = transfer_finish(t, &done, &z->serial);

	return rc == RESITE_OK && !done ? ask_primary(z) : rc;
}

/* Some transfers are asked for before the first of them is listened to. */
static int
read_zones(struct step *s, struct transfer **t)
{
	size_t begun = 0;
	int rc = RESITE_OK;

	for (size_t i = 0; i < s->n_zones && rc == RESITE_OK; i++) {
		for (; begun < s->n_zones && begun < i + TRANSFERS_AT_ONCE; begun++)
			if (s->zones[begun].known == KNOWN_NOT && transfer_worth(&s->zones[begun]))
				t[begun] = transfer_begin(&s->zones[begun], &s->server);
		if (s->zones[i].known == KNOWN_NOT)
			rc = read_primary(&s->zones[i], t[i]);
		t[i] = NULL;
	}
	for (size_t i = 0; i < s->n_zones; i++)
		transfer_cancel(t[i]);
	return rc == RESITE_OK ? rc : step_net_fail(s, rc, "cannot read the records");
}

int
read_now(struct step *s)
{
	struct transfer **t = calloc(s->n_zones + 1, sizeof(struct transfer *));
	int rc = t ? RESITE_OK : step_no_memory(s);

	for (size_t i = 0; i < s->n_zones && rc == RESITE_OK; i++)
		if (!now_room(&s->zones[i]))
			rc = step_no_memory(s);
	if (rc == RESITE_OK)
		rc = read_zones(s, t);
	for (size_t i = 0; i < s->n_zones && rc == RESITE_OK; i++)
		rc = check_expected(&s->zones[i]);
	free(t);
	return rc;
}
