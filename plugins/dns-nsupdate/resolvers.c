/* dns-nsupdate.resolvers: what do the clients' resolvers answer after a change, and how much
 * longer?  Changes nothing. */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>
#include <string.h>

#define NAMED_MAX 20   /* answers that are told one by one */
#define SAMPLE_MAX 64  /* RRsets that each resolver is asked for */
#define PAUSE_LEAST_MS 200
#define PAUSE_MOST_MS 5000

struct sample {
	struct step *s;
	size_t asked, old, silent;
	uint32_t longest, soonest; /* seconds until the last and the first old answer is over */
	bool lasting;              /* an old answer has no end that is known */
	char first[500];           /* of what is not new */
	void (*tell)(struct sample *m, const char *text);
};

static int
load(struct step *s, struct resite_op *op, const struct resite_host *host)
{
	int rc = step_init(s, op, host);

	return rc == RESITE_OK ? step_load_records(s, true) : rc;
}

static int
bad_resolver(struct step *s, const char *text)
{
	return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "resolver", "'%s' is not host:port", text);
}

int
resolvers_check(struct resite_op *op, const struct resite_host *host)
{
	struct net_endpoint at;
	struct step s;
	int rc = step_init(&s, op, host);

	if (rc == RESITE_OK)
		rc = step_load_records(&s, false);
	for (uint32_t i = 0; rc == RESITE_OK && i < host->param_count(op, "resolver"); i++)
		if (!net_endpoint_parse(host->param_str(op, "resolver", i), "53", &at))
			rc = bad_resolver(&s, host->param_str(op, "resolver", i));
	step_release(&s);
	return rc;
}

/* --- one answer ------------------------------------------------------------------------ */

/* The data for the name itself; of an alias, not what it leads to. */
static bool
take_answer(ldns_pkt *pkt, struct rrset *got)
{
	ldns_rr_list *answer = ldns_pkt_answer(pkt);
	bool ok = true;

	for (size_t i = 0; i < ldns_rr_list_rr_count(answer) && ok; i++) {
		ldns_rr *rr = ldns_rr_list_rr(answer, i);
		const ldns_rdf *owner;

		ldns_rr2canonical(rr);
		owner = ldns_rr_owner(rr);
		if (ldns_rr_get_type(rr) == got->type && ldns_rdf_size(owner) == got->owner_len &&
		    !memcmp(ldns_rdf_data(owner), got->owner, got->owner_len))
			ok = rrset_add_rr(got, rr);
	}
	return ok;
}

/* How long "there is none" is kept (RFC 2308 §5); 0: that is not known. */
static uint32_t
negative_ttl(const ldns_pkt *pkt)
{
	ldns_rr_list *soa = ldns_pkt_rr_list_by_type(pkt, LDNS_RR_TYPE_SOA, LDNS_SECTION_AUTHORITY);
	uint32_t ttl = soa ? ldns_rr_ttl(ldns_rr_list_rr(soa, 0)) : 0;

	ldns_rr_list_deep_free(soa);
	return ttl;
}

__attribute__((format(printf, 2, 3))) static void
note(struct sample *m, const char *fmt, ...)
{
	char text[500];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!*m->first)
		memcpy(m->first, text, sizeof(text));
	if (m->tell && m->old + m->silent <= NAMED_MAX)
		m->tell(m, text);
}

static void
note_old(struct sample *m, const char *resolver, const struct rrset *got, uint32_t left)
{
	char *name = rrset_name(got), *is = got->n ? rrset_lines(got) : strdup("(none)"), until[32];

	m->old++;
	m->longest = left > m->longest ? left : m->longest;
	m->soonest = left < m->soonest || m->old == 1 ? left : m->soonest;
	utc_text(time(NULL) + (time_t)left, until);
	for (char *p = is; p && *p; p++)
		*p = *p == '\n' ? ',' : *p;
	if (left)
		note(m, "%s still answers %.150s with %.150s, for %lu s more: until %s", resolver,
		     name ? name : "?", is ? is : "?", (unsigned long)left, until);
	else
		note(m, "%s answers %.150s with %.150s, and not from a cache", resolver, name ? name : "?",
		     is ? is : "?");
	m->lasting |= left == 0;
	free(name);
	free(is);
}

static int
judge_answer(struct sample *m, const char *resolver, const struct rrset *want, ldns_pkt *pkt)
{
	ldns_pkt_rcode rcode = ldns_pkt_get_rcode(pkt);
	struct rrset got = *want;
	int rc = RESITE_OK;

	got.rdata = NULL;
	got.n = 0;
	got.ttl = 0;
	if (rcode != LDNS_RCODE_NOERROR && rcode != LDNS_RCODE_NXDOMAIN) {
		m->silent++;
		note(m, "%s answers with %s: it cannot be said what clients get from it", resolver,
		     dns_rcode_text(rcode));
	} else if (!take_answer(pkt, &got)) {
		rc = step_no_memory(m->s);
	} else if (!rrset_same_data(&got, want)) {
		note_old(m, resolver, &got, got.n ? got.ttl : negative_ttl(pkt));
	}
	rrset_clear(&got);
	return rc;
}

/* A resolver that does not answer is asked once only. */
static int
ask(struct sample *m, const struct net_endpoint *at, const struct rrset *want, bool *ret_silent)
{
	char *name = rrset_owner(want);
	ldns_pkt *pkt;
	int rc = name ? dns_ask(&m->s->net, at, name, want->type, true, &pkt) : step_no_memory(m->s);

	free(name);
	m->asked++;
	if (rc == RESITE_ERR_TRANSIENT) {
		m->silent++;
		*ret_silent = true;
		note(m, "it cannot be said what clients get: %s", m->s->net.err);
		return RESITE_OK;
	}
	if (rc != RESITE_OK)
		return step_net_fail(m->s, rc, "cannot ask a resolver");
	rc = judge_answer(m, at->text, want, pkt);
	ldns_pkt_free(pkt);
	return rc;
}

/* --- all of them ------------------------------------------------------------------------- */

/* The i-th of the RRsets of all zones. */
static const struct rrset *
nth(const struct step *s, size_t i)
{
	size_t zone = 0;

	while (i >= s->zones[zone].set.n)
		i -= s->zones[zone++].set.n;
	return &s->zones[zone].set.v[i];
}

static int
ask_one_resolver(struct sample *m, const struct net_endpoint *at)
{
	size_t total = step_total(m->s), n = total < SAMPLE_MAX ? total : SAMPLE_MAX;
	bool silent = false;
	int rc = RESITE_OK;

	for (size_t i = 0; i < n && rc == RESITE_OK && !silent; i++)
		rc = ask(m, at, nth(m->s, n > 1 ? i * (total - 1) / (n - 1) : 0), &silent);
	return rc;
}

static int
ask_resolvers(struct sample *m)
{
	struct step *s = m->s;
	uint32_t n = s->host->param_count(s->op, "resolver");
	int rc = RESITE_OK;

	for (uint32_t i = 0; i < n && rc == RESITE_OK; i++) {
		struct net_endpoint at;

		if (!net_endpoint_parse(s->host->param_str(s->op, "resolver", i), "53", &at))
			return bad_resolver(s, s->host->param_str(s->op, "resolver", i));
		rc = ask_one_resolver(m, &at);
		s->host->progress(s->op, i + 1, n, "resolvers asked");
	}
	return rc;
}

static void
tell_loss(struct sample *m, const char *text)
{
	m->s->host->loss(m->s->op, text);
}

static void
tell_log(struct sample *m, const char *text)
{
	m->s->host->log(m->s->op, RESITE_LOG_WARN, text);
}

/* For a preview: what is in the caches before anything is changed. */
int
resolvers_probe(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	struct sample m = {.s = &s, .tell = tell_loss};
	char now[100];
	int rc = load(&s, op, host);

	if (rc == RESITE_OK)
		rc = ask_resolvers(&m);
	if (rc == RESITE_OK) {
		snprintf(now, sizeof(now), "%zu of %zu answers of resolvers are not the wanted ones yet",
			 m.old + m.silent, m.asked);
		rc = host->state(op, now, "", 0, m.asked);
	}
	step_release(&s);
	return rc;
}

static int
wait_on(struct step *s, const struct sample *m, int64_t left_ms)
{
	int64_t ms = (int64_t)m->soonest * 1000;
	char text[700];

	ms = ms > PAUSE_MOST_MS ? PAUSE_MOST_MS : ms;
	ms = ms > left_ms ? left_ms : ms;
	snprintf(text, sizeof(text), "%zu of %zu answers of resolvers are not new yet: %s", m->old + m->silent,
		 m->asked, m->first);
	s->host->fail(s->op, NULL, ms < PAUSE_LEAST_MS ? PAUSE_LEAST_MS : ms, text);
	return RESITE_PENDING;
}

static int
tell_outputs(struct step *s, const struct sample *m)
{
	char old[40], until[32] = "";
	int rc;

	snprintf(old, sizeof(old), "%zu of %zu", m->old + m->silent, m->asked);
	if (m->old && !m->lasting && !m->silent)
		utc_text(time(NULL) + (time_t)m->longest, until);
	rc = s->host->output(s->op, "old", old);
	if (rc >= 0)
		rc = s->host->output(s->op, "until",
				     *until ? until : m->old + m->silent ? "unknown" : "now");
	return rc < 0 ? rc : RESITE_OK;
}

static int
conclude(struct step *s)
{
	struct sample m = {.s = s, .tell = tell_log}; /* once more, to be told of each */
	int rc = ask_resolvers(&m);

	if (rc == RESITE_OK)
		rc = tell_outputs(s, &m);
	if (rc < 0 || !(m.old + m.silent) || strcmp(s->host->param_str(s->op, "if_old", 0), "fail") != 0)
		return rc < 0 ? rc : RESITE_OK;
	return resite_fail(s->op, s->host, RESITE_ERR_REFUSED, "wait",
			   "%zu of %zu answers of resolvers are still not new, and 'wait' is over: %s",
			   m.old + m.silent, m.asked, m.first);
}

int
resolvers_verify(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	struct sample m = {.s = &s};
	int rc = load(&s, op, host);
	int64_t left;

	if (rc == RESITE_OK && !s.since)
		s.since = net_now_ms();
	left = rc == RESITE_OK ? s.since + host->param_i64(op, "wait", 0) - net_now_ms() : 0;
	if (rc == RESITE_OK && left > 0)
		rc = ask_resolvers(&m);
	if (rc == RESITE_OK && left > 0)
		rc = m.old + m.silent ? wait_on(&s, &m, left) : tell_outputs(&s, &m);
	else if (rc == RESITE_OK)
		rc = conclude(&s);
	step_release(&s);
	return rc;
}
