/* Which servers have to serve a zone. */
#include "config.h"

#include "plugins/dns-nsupdate/servers.h"

#include <stdlib.h>
#include <string.h>

static void
add_addresses(struct zone *z, struct servers *list, ldns_pkt *pkt, const ldns_rdf *name,
	      ldns_rr_type type)
{
	ldns_rr_list *rrs = ldns_pkt_rr_list_by_name_and_type(pkt, name, type,
							      LDNS_SECTION_ANY_NOQUESTION);

	for (size_t i = 0; rrs && i < ldns_rr_list_rr_count(rrs) && list->n < SERVERS_MAX; i++) {
		char *text = ldns_rdf2str(ldns_rr_rdf(ldns_rr_list_rr(rrs, i), 0));

		if (text && net_endpoint_make(text, z->s->server.port, &list->v[list->n].at))
			list->n++;
		free(text);
	}
	ldns_rr_list_deep_free(rrs);
}

/* The addresses of one NS: glue, else what the primary says, else the system's resolver. */
static int
add_ns(struct zone *z, struct servers *list, ldns_pkt *answer, const ldns_rdf *ns)
{
	size_t before = list->n;
	char *name = ldns_rdf2str(ns);
	ldns_pkt *pkt;
	int rc = RESITE_OK;

	add_addresses(z, list, answer, ns, LDNS_RR_TYPE_A);
	if (list->n == before)
		rc = dns_ask(&z->s->net, &z->s->server, name, LDNS_RR_TYPE_A, false, &pkt);
	if (list->n == before && rc == RESITE_OK) {
		add_addresses(z, list, pkt, ns, LDNS_RR_TYPE_A);
		ldns_pkt_free(pkt);
	}
	if (list->n == before && rc == RESITE_OK && list->n < SERVERS_MAX) {
		name[strlen(name) - 1] = '\0';
		if (net_endpoint_make(name, z->s->server.port, &list->v[list->n].at))
			list->n++;
	}
	free(name);
	return rc;
}

static int
find_ns(struct zone *z, struct servers *list)
{
	ldns_rr_list *ns;
	ldns_pkt *pkt;
	int rc = dns_ask(&z->s->net, &z->s->server, z->text, LDNS_RR_TYPE_NS, false, &pkt);

	if (rc != RESITE_OK)
		return step_net_fail(z->s, rc, "cannot find the zone's servers");
	list->from_zone = true;
	ns = ldns_pkt_rr_list_by_name_and_type(pkt, z->name, LDNS_RR_TYPE_NS, LDNS_SECTION_ANSWER);
	for (size_t i = 0; ns && rc == RESITE_OK && i < ldns_rr_list_rr_count(ns); i++)
		rc = add_ns(z, list, pkt, ldns_rr_rdf(ldns_rr_list_rr(ns, i), 0));
	ldns_rr_list_deep_free(ns);
	ldns_pkt_free(pkt);
	if (rc != RESITE_OK)
		return step_net_fail(z->s, rc, "cannot find the zone's servers");
	if (list->n == 0)
		return resite_fail(z->s->op, z->s->host, RESITE_ERR_INVALID, "verify_at",
				   "%s names no servers (NS) for %s: name them in verify_at",
				   z->s->server.text, z->text);
	return RESITE_OK;
}

static int
take_named(struct zone *z, struct servers *list, uint32_t n)
{
	struct step *s = z->s;

	if (n > SERVERS_MAX)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "verify_at",
				   "more than %d servers", SERVERS_MAX);
	for (uint32_t i = 0; i < n; i++) {
		const char *text = s->host->param_str(s->op, "verify_at", i);

		if (!net_endpoint_parse(text, "53", &list->v[list->n++].at))
			return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "verify_at",
					   "'%s' is not host:port", text);
	}
	return RESITE_OK;
}

int
servers_find(struct zone *z)
{
	uint32_t n = z->s->host->param_count(z->s->op, "verify_at");
	struct servers *list;
	int rc;

	if (z->servers)
		return RESITE_OK;
	list = calloc(1, sizeof(*list));
	if (!list)
		return step_no_memory(z->s);
	rc = n ? take_named(z, list, n) : find_ns(z, list);
	if (rc == RESITE_OK)
		z->servers = list;
	else
		free(list);
	return rc;
}

void
servers_free(struct servers *list)
{
	free(list);
}

void
servers_forget(struct zone *z)
{
	free(z->servers);
	z->servers = NULL;
}
