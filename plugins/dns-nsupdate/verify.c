/* Do all authoritative servers serve what was set? */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 1000 /* RRsets asked before the first difference ends it */
#define SERVERS_MAX 32

struct servers {
	struct net_endpoint v[SERVERS_MAX];
	size_t n;
	bool from_zone; /* found by the zone's NS records, not named in the plan */
};

/* --- which servers ------------------------------------------------------------ */

static void
add_addresses(struct step *s, struct servers *list, ldns_pkt *pkt, const ldns_rdf *name,
	      ldns_rr_type type)
{
	ldns_rr_list *rrs = ldns_pkt_rr_list_by_name_and_type(pkt, name, type,
							      LDNS_SECTION_ANY_NOQUESTION);

	for (size_t i = 0; rrs && i < ldns_rr_list_rr_count(rrs) && list->n < SERVERS_MAX; i++) {
		char *text = ldns_rdf2str(ldns_rr_rdf(ldns_rr_list_rr(rrs, i), 0));

		if (text && net_endpoint_make(text, s->server.port, &list->v[list->n]))
			list->n++;
		free(text);
	}
	ldns_rr_list_deep_free(rrs);
}

/* The addresses of one NS: glue, else what the primary says, else the system's resolver. */
static int
add_ns(struct step *s, struct servers *list, ldns_pkt *answer, const ldns_rdf *ns)
{
	size_t before = list->n;
	char *name = ldns_rdf2str(ns);
	ldns_pkt *pkt;
	int rc = RESITE_OK;

	add_addresses(s, list, answer, ns, LDNS_RR_TYPE_A);
	if (list->n == before)
		rc = dns_ask(&s->net, &s->server, name, LDNS_RR_TYPE_A, false, &pkt);
	if (list->n == before && rc == RESITE_OK) {
		add_addresses(s, list, pkt, ns, LDNS_RR_TYPE_A);
		ldns_pkt_free(pkt);
	}
	if (list->n == before && rc == RESITE_OK && list->n < SERVERS_MAX) {
		name[strlen(name) - 1] = '\0';
		if (net_endpoint_make(name, s->server.port, &list->v[list->n]))
			list->n++;
	}
	free(name);
	return rc;
}

static int
find_ns(struct step *s, struct servers *list)
{
	ldns_rr_list *ns;
	ldns_pkt *pkt;
	int rc = dns_ask(&s->net, &s->server, s->zone_text, LDNS_RR_TYPE_NS, false, &pkt);

	if (rc != RESITE_OK)
		return step_net_fail(s, rc, "cannot find the zone's servers");
	list->from_zone = true;
	ns = ldns_pkt_rr_list_by_name_and_type(pkt, s->zone, LDNS_RR_TYPE_NS, LDNS_SECTION_ANSWER);
	for (size_t i = 0; ns && rc == RESITE_OK && i < ldns_rr_list_rr_count(ns); i++)
		rc = add_ns(s, list, pkt, ldns_rr_rdf(ldns_rr_list_rr(ns, i), 0));
	ldns_rr_list_deep_free(ns);
	ldns_pkt_free(pkt);
	if (rc != RESITE_OK)
		return step_net_fail(s, rc, "cannot find the zone's servers");
	if (list->n == 0)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "verify_at",
				   "%s names no servers (NS) for %s: name them in verify_at",
				   s->server.text, s->zone_text);
	return RESITE_OK;
}

static int
find_servers(struct step *s, struct servers *list)
{
	uint32_t n = s->host->param_count(s->op, "verify_at");

	*list = (struct servers){0};
	if (n == 0)
		return find_ns(s, list);
	if (n > SERVERS_MAX)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "verify_at",
				   "more than %d servers", SERVERS_MAX);
	for (uint32_t i = 0; i < n; i++) {
		const char *text = s->host->param_str(s->op, "verify_at", i);

		if (!net_endpoint_parse(text, "53", &list->v[list->n++]))
			return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "verify_at",
					   "'%s' is not host:port", text);
	}
	return RESITE_OK;
}

/* In a disaster a server that only the zone's NS records name may be one of those that are
 * gone; it is then reported, not waited for. */
static bool
may_be_dead(const struct step *s, const struct servers *list)
{
	const char *mode = s->host->param_str(s->op, "unreachable", 0);

	if (!strcmp(mode, "auto"))
		return list->from_zone && s->host->mode(s->op) == RESITE_DISASTER;
	return !strcmp(mode, "tolerate");
}

/* --- asking them ----------------------------------------------------------------- */

static int
lags(struct step *s, const struct net_endpoint *server, const struct rrset *now, size_t i)
{
	char *name = rrset_name(now), *is = rrset_text(now), *will = rrset_text(&s->set.v[i]);
	char serials[100] = "";
	uint32_t theirs, primarys;

	if (read_serial(s, server, &theirs) == RESITE_OK &&
	    read_serial(s, &s->server, &primarys) == RESITE_OK)
		snprintf(serials, sizeof(serials), " (its serial is %lu, the primary's %lu)",
			 (unsigned long)theirs, (unsigned long)primarys);
	if (name && is && will) {
		char text[RESITE_EASY_MAX];

		snprintf(text, sizeof(text), "%s still serves %.200s %.200s, not %.200s%s",
			 server->text, name, is, will, serials);
		s->host->fail(s->op, NULL, 0, text);
	}
	free(name);
	free(is);
	free(will);
	return RESITE_PENDING;
}

/* s->now is the room that the answers are read into. */
static int
verify_at(struct step *s, const struct net_endpoint *server)
{
	struct rrset *v[CHUNK];
	enum dns_transport transport = s->transport == DNS_TCP ? DNS_TCP : DNS_UDP;
	int rc = RESITE_OK;

	for (size_t from = 0; rc == RESITE_OK && from < s->set.n; from += CHUNK) {
		size_t n = s->set.n - from < CHUNK ? s->set.n - from : CHUNK;

		for (size_t i = 0; i < n; i++)
			v[i] = &s->now[from + i];
		rc = read_rrsets(s, server, transport, v, n, NULL);
		for (size_t i = from; i < from + n && rc == RESITE_OK; i++)
			if (!rrset_same(&s->now[i], &s->set.v[i]))
				rc = lags(s, server, &s->now[i], i);
		s->host->progress(s->op, from + n, s->set.n, "RRsets verified");
	}
	return rc;
}

static bool
no_memory_for_answers(struct step *s)
{
	s->now = calloc(s->set.n + 1, sizeof(*s->now));
	for (size_t i = 0; s->now && i < s->set.n; i++) {
		s->now[i] = s->set.v[i];
		s->now[i].rdata = NULL;
		s->now[i].n = 0;
	}
	return !s->now;
}

static int
verify_all(struct step *s, const struct servers *list)
{
	bool tolerant = may_be_dead(s, list);
	size_t good = 0;

	if (no_memory_for_answers(s))
		return resite_fail(s->op, s->host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	for (size_t i = 0; i < list->n; i++) {
		int rc = verify_at(s, &list->v[i]);

		if (rc == RESITE_PENDING)
			return rc;
		if (rc == RESITE_ERR_TRANSIENT && tolerant)
			resite_log(s->op, s->host, RESITE_LOG_WARN, "not verified there: %s",
				   s->net.err);
		else if (rc != RESITE_OK)
			return step_net_fail(s, rc, "cannot verify");
		else
			good++;
	}
	if (good == 0)
		return step_net_fail(s, RESITE_ERR_TRANSIENT, "no server could be asked");
	return RESITE_OK;
}

int
set_verify(struct resite_op *op, const struct resite_host *host)
{
	struct servers list;
	struct step s;
	int rc = step_init(&s, op, host);

	if (rc == RESITE_OK)
		rc = step_load_records(&s, true);
	if (rc == RESITE_OK)
		rc = find_servers(&s, &list);
	if (rc == RESITE_OK)
		rc = verify_all(&s, &list);
	step_release(&s);
	return rc;
}
