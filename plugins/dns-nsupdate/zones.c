/* In which zones are the RRsets of a step?  The plan says, or the primary is asked. */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>
#include <string.h>

#define ASKED_MAX 1000 /* owners that are asked for one by one */

struct zone *
step_add_zone(struct step *s, const char *text)
{
	struct zone *grown = realloc(s->zones, (s->n_zones + 1) * sizeof(*grown)), *z;

	if (!grown)
		return NULL;
	s->zones = grown;
	z = &grown[s->n_zones];
	*z = (struct zone){.s = s};
	if (ldns_str2rdf_dname(&z->name, text) != LDNS_STATUS_OK)
		return NULL;
	ldns_dname2canonical(z->name);
	z->text = ldns_rdf2str(z->name);
	s->n_zones++;
	return z->text ? z : NULL;
}

void
zones_release(struct zone *zones, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		now_release(zones[i].now, zones[i].set.n);
		rrset_list_release(&zones[i].set);
		rrset_list_release(&zones[i].expect);
		servers_free(zones[i].servers);
		ldns_rdf_deep_free(zones[i].name);
		free(zones[i].text);
	}
	free(zones);
}

/* The owner of the SOA record in an answer, which is the zone's name. */
static char *
soa_owner(const ldns_pkt *pkt)
{
	ldns_rr_list *all = ldns_pkt_rr_list_by_type(pkt, LDNS_RR_TYPE_SOA, LDNS_SECTION_ANSWER);
	char *text = NULL;

	if (!all)
		all = ldns_pkt_rr_list_by_type(pkt, LDNS_RR_TYPE_SOA, LDNS_SECTION_AUTHORITY);
	if (all)
		text = ldns_rdf2str(ldns_rr_owner(ldns_rr_list_rr(all, 0)));
	ldns_rr_list_deep_free(all);
	return text;
}

static bool
has_alias(const ldns_pkt *pkt)
{
	ldns_rr_list *all = ldns_pkt_rr_list_by_type(pkt, LDNS_RR_TYPE_CNAME, LDNS_SECTION_ANSWER);

	ldns_rr_list_deep_free(all);
	return all != NULL;
}

static int
no_zone(struct step *s, const char *name, const ldns_pkt *pkt)
{
	return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "record",
			   "%s serves no zone with %s in it (%s): is 'server' the primary of that zone? "
			   "Else name the zone in 'zone'", s->server.text, name,
			   ldns_pkt_aa(pkt) ? "its answer has no SOA"
					    : dns_rcode_text(ldns_pkt_get_rcode(pkt)));
}

/* An alias' own zone is that of the name above it: an alias is never at a zone's top. */
static int
ask_zone(struct step *s, const char *name, char **ret)
{
	ldns_pkt *pkt;
	int rc = dns_ask(&s->net, &s->server, name, LDNS_RR_TYPE_SOA, false, &pkt);
	bool alias;

	*ret = NULL;
	if (rc != RESITE_OK)
		return step_net_fail(s, rc, "cannot find the zone");
	alias = has_alias(pkt);
	if (ldns_pkt_aa(pkt) && !alias)
		*ret = soa_owner(pkt);
	if (!*ret && !(alias && strchr(name, '.')))
		rc = no_zone(s, name, pkt);
	ldns_pkt_free(pkt);
	return !*ret && rc == RESITE_OK ? ask_zone(s, strchr(name, '.') + 1, ret) : rc;
}

static int
find_zone(struct step *s, const struct rrset *r, size_t *ret)
{
	char *owner = rrset_owner(r), *text = NULL;
	int rc = owner ? ask_zone(s, owner, &text) : step_no_memory(s);

	for (*ret = 1; rc == RESITE_OK && *ret < s->n_zones; ++*ret)
		if (!strcasecmp(s->zones[*ret].text, text))
			break;
	if (rc == RESITE_OK && *ret == s->n_zones && !step_add_zone(s, text))
		rc = step_no_memory(s);
	free(owner);
	free(text);
	return rc;
}

/* Moves the RRsets of a list of the zone ".", which stands for "not known yet". */
static int
share_out(struct step *s, bool expected)
{
	struct rrset_list from = expected ? s->zones[0].expect : s->zones[0].set;
	const struct rrset *last = NULL;
	size_t at = 1, i = 0;
	int rc = RESITE_OK;

	for (; i < from.n && rc == RESITE_OK; i++) {
		const struct rrset *r = &from.v[i];

		if (!last || last->owner_len != r->owner_len ||
		    memcmp(last->owner, r->owner, r->owner_len))
			rc = find_zone(s, r, &at);
		last = r;
		if (rc == RESITE_OK && !rrset_list_take(expected ? &s->zones[at].expect : &s->zones[at].set, r))
			rc = step_no_memory(s);
		if (rc != RESITE_OK)
			break;
	}
	for (size_t left = i; left < from.n; left++) {
		rrset_clear(&from.v[left]);
		free(from.v[left].owner);
	}
	free(from.v);
	*(expected ? &s->zones[0].expect : &s->zones[0].set) = (struct rrset_list){0};
	return rc;
}

int
step_find_zones(struct step *s)
{
	int rc;

	if (s->zones_named || ldns_rdf_size(s->zones[0].name) > 1)
		return RESITE_OK;
	if (s->zones[0].set.n > ASKED_MAX)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "zone",
				   "with more than %d RRsets the zones must be named", ASKED_MAX);
	rc = share_out(s, false);
	if (rc == RESITE_OK)
		rc = share_out(s, true);
	if (rc == RESITE_OK) {
		ldns_rdf_deep_free(s->zones[0].name);
		free(s->zones[0].text);
		memmove(s->zones, s->zones + 1, --s->n_zones * sizeof(*s->zones));
	}
	return rc;
}
