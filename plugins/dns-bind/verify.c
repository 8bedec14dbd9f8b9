/* Do all authoritative servers serve what the files have? */
#include "config.h"

#include "plugins/dns-bind/step.h"

#include <stdlib.h>
#include <string.h>

#define SERVERS_MAX 32

struct servers {
	struct net_endpoint v[SERVERS_MAX];
	size_t n;
	bool from_zone; /* found by the zone's NS records */
	bool tolerant;  /* one that cannot be asked may be one of those that are gone */
};

/* --- which servers ----------------------------------------------------------------------- */

static void
add_server(struct servers *list, const char *host, const char *port)
{
	struct net_endpoint e;

	if (list->n == SERVERS_MAX || !net_endpoint_make(host, port, &e))
		return;
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->v[i].text, e.text))
			return;
	list->v[list->n++] = e;
}

/* How many addresses there are, known ones too. */
static size_t
add_addresses(struct step *s, struct servers *list, ldns_pkt *pkt, const ldns_rdf *name,
	      ldns_rr_type type)
{
	ldns_rr_list *rrs = ldns_pkt_rr_list_by_name_and_type(pkt, name, type, LDNS_SECTION_ANY_NOQUESTION);
	size_t n = rrs ? ldns_rr_list_rr_count(rrs) : 0;

	for (size_t i = 0; i < n; i++) {
		char *text = ldns_rdf2str(ldns_rr_rdf(ldns_rr_list_rr(rrs, i), 0));

		if (text)
			add_server(list, text, s->server.port);
		LDNS_FREE(text);
	}
	ldns_rr_list_deep_free(rrs);
	return n;
}

/* The addresses of one NS: what the primary says, else the system's resolver will be asked. */
static int
add_ns(struct step *s, struct servers *list, const ldns_rdf *ns)
{
	static const ldns_rr_type types[] = {LDNS_RR_TYPE_A, LDNS_RR_TYPE_AAAA};
	size_t found = 0;
	char *name = ldns_rdf2str(ns);
	int rc = name ? RESITE_OK : step_no_memory(s);

	for (size_t i = 0; i < 2 && rc == RESITE_OK; i++) {
		ldns_pkt *pkt;

		rc = dns_ask(&s->net, &s->server, name, types[i], false, &pkt);
		if (rc != RESITE_OK)
			break;
		found += add_addresses(s, list, pkt, ns, types[i]);
		ldns_pkt_free(pkt);
	}
	if (rc == RESITE_OK && found == 0 && strlen(name) > 1) {
		name[strlen(name) - 1] = '\0';
		add_server(list, name, s->server.port);
	}
	LDNS_FREE(name);
	return rc;
}

static int
find_ns(struct step *s, const struct part *p, struct servers *list)
{
	ldns_rr_list *ns;
	ldns_pkt *pkt;
	int rc = dns_ask(&s->net, &s->server, p->zone.text, LDNS_RR_TYPE_NS, false, &pkt);

	if (rc != RESITE_OK)
		return step_net_fail(s, rc, "cannot find the zone's servers");
	add_server(list, s->server.host, s->server.port);
	ns = ldns_pkt_rr_list_by_name_and_type(pkt, p->rdf, LDNS_RR_TYPE_NS, LDNS_SECTION_ANSWER);
	for (size_t i = 0; ns && rc == RESITE_OK && i < ldns_rr_list_rr_count(ns); i++)
		rc = add_ns(s, list, ldns_rr_rdf(ldns_rr_list_rr(ns, i), 0));
	ldns_rr_list_deep_free(ns);
	ldns_pkt_free(pkt);
	return rc == RESITE_OK ? rc : step_net_fail(s, rc, "cannot find the zone's servers");
}

static int
find_servers(struct step *s, const struct part *p, struct servers *list)
{
	const char *mode = s->host->param_str(s->op, "unreachable", 0);
	uint32_t n = s->host->param_count(s->op, "verify_at");

	*list = (struct servers){.from_zone = n == 0};
	list->tolerant = strcmp(mode, "auto") ? !strcmp(mode, "tolerate")
					      : n == 0 && s->host->mode(s->op) == RESITE_DISASTER;
	for (uint32_t i = 0; i < n && list->n < SERVERS_MAX; i++) {
		const char *text = s->host->param_str(s->op, "verify_at", i);

		if (!net_endpoint_parse(text, "53", &list->v[list->n++]))
			return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "verify_at",
					   "'%s' is not host:port", text);
	}
	return n ? RESITE_OK : find_ns(s, p, list);
}

/* --- asking them --------------------------------------------------------------------------- */

static int
says_old_serial(struct step *s, const struct part *p, const struct net_endpoint *server, uint32_t has,
		uint32_t should)
{
	bool primary = !strcmp(server->text, s->server.text);

	return resite_fail(s->op, s->host, RESITE_PENDING, NULL,
			   "%s still has serial %lu of %s, the file has %lu%s", server->text,
			   (unsigned long)has, p->zone.text, (unsigned long)should,
			   primary ? ": if that stays so, named could not load it, and its log says why"
				   : " (a secondary transfers it when it is notified, else at the next refresh)");
}

static int
says_other_data(struct step *s, const struct net_endpoint *server, const struct rrset *is,
		const struct rrset *should, uint32_t serial)
{
	char *name = rrset_name(is), *old = rrset_text(is), *new = rrset_text(should);

	resite_fail(s->op, s->host, RESITE_PENDING, NULL,
		    "%s serves %s %.200s, not %.200s, although its serial is %lu", server->text,
		    name ? name : "?", old ? old : "?", new ? new : "?", (unsigned long)serial);
	free(name);
	free(old);
	free(new);
	return RESITE_PENDING;
}

/* Serials first: a server that has not the new one need not be asked for records.  One that
 * is signed by its server (inline-signing) has a serial ahead of the file. */
static int
ask_server(struct step *s, const struct part *p, const struct net_endpoint *server, uint32_t serial)
{
	uint32_t has;
	int rc = ask_serial(s, p, server, &has);

	if (rc != RESITE_OK)
		return rc;
	if (has != serial && !guard_serial_newer(serial, has))
		return says_old_serial(s, p, server, has, serial);
	for (size_t i = 0; i < p->set.n && rc == RESITE_OK; i++) {
		struct rrset is = {.owner = p->set.v[i].owner, .owner_len = p->set.v[i].owner_len,
				   .type = p->set.v[i].type};

		rc = ask_rrset(s, server, &is);
		if (rc == RESITE_OK && !rrset_same(&is, &p->set.v[i]))
			rc = says_other_data(s, server, &is, &p->set.v[i], has);
		rrset_clear(&is);
	}
	return rc;
}

static int
ask_servers(struct step *s, const struct part *p, const struct servers *list, uint32_t serial)
{
	size_t gone = 0;
	int rc = RESITE_OK;

	for (size_t i = 0; i < list->n && rc == RESITE_OK; i++) {
		rc = ask_server(s, p, &list->v[i], serial);
		if (rc == RESITE_OK || rc == RESITE_PENDING)
			continue;
		if (rc != RESITE_ERR_TRANSIENT || !list->tolerant)
			return step_net_fail(s, rc, "cannot verify");
		resite_log(s->op, s->host, RESITE_LOG_WARN, "not verified there: %s", s->net.err);
		rc = RESITE_OK;
		gone++;
	}
	if (rc == RESITE_OK && gone == list->n)
		return step_net_fail(s, RESITE_ERR_TRANSIENT, "no server could be asked");
	return rc;
}

/* The serial that servers must have: what apply wrote in this attempt, else the file's; of a
 * dynamic zone the primary's, whose file is behind. */
static int
wanted_serial(struct step *s, struct part *p, uint32_t *ret)
{
	const struct bind_memory *m = step_memory(s);
	size_t i = (size_t)(p - s->parts);
	int rc;

	if (m && m->zones[i].has_serial) {
		*ret = m->zones[i].serial;
		return RESITE_OK;
	}
	if (p->status.dynamic) {
		rc = ask_serial(s, p, &s->server, ret);
		return rc == RESITE_OK ? rc : step_net_fail(s, rc, "cannot verify");
	}
	*ret = p->zone.serial;
	return RESITE_OK;
}

static bool
all_remembered(struct step *s)
{
	const struct bind_memory *m = step_memory(s);

	for (size_t i = 0; i < s->n; i++)
		if (s->parts[i].set.n && (!m || !m->zones[i].has_serial))
			return false;
	return true;
}

int
step_verify(struct step *s)
{
	struct servers list;
	uint32_t serial;
	int rc = s->lower || !all_remembered(s) ? step_look(s, false) : RESITE_OK;

	for (size_t i = 0; i < s->n && rc == RESITE_OK; i++) {
		struct part *p = &s->parts[i];

		if (!p->set.n)
			continue;
		rc = find_servers(s, p, &list);
		if (rc == RESITE_OK)
			rc = wanted_serial(s, p, &serial);
		if (rc == RESITE_OK)
			rc = ask_servers(s, p, &list, serial);
	}
	return rc;
}

int
set_verify(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	int rc = step_init(&s, op, host);

	if (rc == RESITE_OK)
		rc = step_verify(&s);
	step_release(&s);
	return rc;
}
