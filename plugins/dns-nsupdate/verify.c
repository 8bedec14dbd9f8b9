/* Do all authoritative servers serve what was set? */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 1000 /* RRsets asked before the first difference ends it */
#define SAMPLE 64  /* RRsets asked for one by one where the others are transferred */
#define SERVERS_MAX 32

struct servers {
	struct net_endpoint v[SERVERS_MAX];
	struct transfer *transfers[SERVERS_MAX]; /* under way */
	bool gone[SERVERS_MAX];                  /* could not be asked, which is tolerated */
	size_t n;
	bool from_zone; /* found by the zone's NS records, not named in the plan */
	bool tolerant;  /* a server that cannot be asked may be one of those that are gone */
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

/* Compares s->now[i] with what it should be. */
static int
compare(struct step *s, const struct net_endpoint *server, size_t i)
{
	return rrset_same(&s->now[i], &s->set.v[i]) ? RESITE_OK : lags(s, server, &s->now[i], i);
}

/* Asks for n of the RRsets, of which which(i) is the index, and compares them. */
static int
ask_some(struct step *s, const struct net_endpoint *server, const size_t *which, size_t n)
{
	enum dns_transport transport = s->transport == DNS_TCP ? DNS_TCP : DNS_UDP;
	struct rrset *v[CHUNK] = {NULL};
	int rc;

	for (size_t i = 0; i < n; i++)
		v[i] = &s->now[which[i]];
	rc = read_rrsets(s, server, transport, v, n, NULL);
	for (size_t i = 0; i < n && rc == RESITE_OK; i++)
		rc = compare(s, server, which[i]);
	return rc;
}

static int
ask_all(struct step *s, const struct net_endpoint *server)
{
	size_t which[CHUNK], from = 0;
	int rc = RESITE_OK;

	while (rc == RESITE_OK && from < s->set.n) {
		size_t n = 0;

		while (n < CHUNK && from < s->set.n)
			which[n++] = from++;
		rc = ask_some(s, server, which, n);
		s->host->progress(s->op, from, s->set.n, "RRsets verified");
	}
	return rc;
}

/* The first, the last and some between: the last shows a secondary that lags, and all of
 * them a server that answers something else than it transfers. */
static int
ask_sample(struct step *s, const struct net_endpoint *server)
{
	size_t which[SAMPLE];

	for (size_t i = 0; i < SAMPLE; i++)
		which[i] = i * (s->set.n - 1) / (SAMPLE - 1);
	return ask_some(s, server, which, SAMPLE);
}

static int
take_transfer(struct step *s, const struct net_endpoint *server, struct transfer *t)
{
	uint32_t serial;
	bool done;
	int rc = transfer_finish(t, &done, &serial);

	if (rc == RESITE_OK && !done)
		return ask_all(s, server);
	for (size_t i = 0; i < s->set.n && rc == RESITE_OK; i++)
		rc = compare(s, server, i);
	s->host->progress(s->op, s->set.n, s->set.n, "RRsets verified");
	return rc;
}

/* What a server that was asked did means for the step; PENDING has said why. */
static int
judge(struct step *s, struct servers *list, size_t i, int rc)
{
	if (rc == RESITE_OK || rc == RESITE_PENDING)
		return rc;
	if (rc != RESITE_ERR_TRANSIENT || !list->tolerant)
		return step_net_fail(s, rc, "cannot verify");
	resite_log(s->op, s->host, RESITE_LOG_WARN, "not verified there: %s", s->net.err);
	list->gone[i] = true;
	return RESITE_OK;
}

/* A sample of each server first: cheap, and one that lags is told before anything is
 * transferred.  Then all are asked for the zone before the first is listened to. */
static int
verify_by_transfer(struct step *s, struct servers *list)
{
	int rc = RESITE_OK;

	for (size_t i = 0; i < list->n && rc == RESITE_OK; i++)
		rc = judge(s, list, i, ask_sample(s, &list->v[i]));
	for (size_t i = 0; i < list->n && rc == RESITE_OK; i++)
		list->transfers[i] = list->gone[i] ? NULL : transfer_begin(s, &list->v[i]);
	for (size_t i = 0; i < list->n && rc == RESITE_OK; i++) {
		struct transfer *t = list->transfers[i];

		list->transfers[i] = NULL;
		if (!list->gone[i])
			rc = judge(s, list, i, take_transfer(s, &list->v[i], t));
	}
	for (size_t i = 0; i < list->n; i++)
		transfer_cancel(list->transfers[i]);
	return rc;
}

static int
verify_by_questions(struct step *s, struct servers *list)
{
	int rc = RESITE_OK;

	for (size_t i = 0; i < list->n && rc == RESITE_OK; i++)
		rc = judge(s, list, i, ask_all(s, &list->v[i]));
	return rc;
}

static bool
none_is_gone(const struct servers *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->gone[i])
			return false;
	return true;
}

static bool
all_are_gone(const struct servers *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (!list->gone[i])
			return false;
	return true;
}

static bool
has_primary(const struct step *s, const struct servers *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->v[i].text, s->server.text))
			return true;
	return false;
}

/* When all is as it should be everywhere, s->now is what the last server has, which is what
 * the primary has with the serial that was read before. */
static int
verify_all(struct step *s, struct servers *list)
{
	bool has_serial;
	int rc;

	list->tolerant = may_be_dead(s, list);
	s->known = KNOWN_NOT;
	if (!now_room(s))
		return resite_fail(s->op, s->host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	has_serial = has_primary(s, list) && read_serial(s, &s->server, &s->serial) == RESITE_OK;
	rc = transfer_worth(s) ? verify_by_transfer(s, list) : verify_by_questions(s, list);
	if (rc != RESITE_OK)
		return rc;
	if (all_are_gone(list))
		return step_net_fail(s, RESITE_ERR_TRANSIENT, "no server could be asked");
	if (has_serial && none_is_gone(list))
		s->known = KNOWN_SERVED;
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
