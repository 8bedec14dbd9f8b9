#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>
#include <string.h>

#define KEY_TEXT_MAX 4096

static const char *
optional(const struct step *s, const char *name, const char *fallback)
{
	return resite_str_or(s->op, s->host, name, fallback);
}

static enum dns_transport
transport_of(const char *text)
{
	return !strcmp(text, "tcp") ? DNS_TCP : !strcmp(text, "udp") ? DNS_UDP : DNS_AUTO;
}

static enum way_to_send
way_of(const char *text)
{
	return !strcmp(text, "gss") ? SEND_GSS : !strcmp(text, "nsupdate") ? SEND_NSUPDATE : SEND_DIRECT;
}

static int
init_zones(struct step *s)
{
	uint32_t n = s->host->param_count(s->op, "zone");

	s->zones_named = n > 0;
	for (uint32_t i = 0; i < n; i++) {
		const char *text = s->host->param_str(s->op, "zone", i);

		if (!step_add_zone(s, text))
			return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "zone",
					   "'%s' is no domain name", text);
	}
	if (n == 0 && !step_add_zone(s, "."))
		return step_no_memory(s);
	return RESITE_OK;
}

int
step_init(struct step *s, struct resite_op *op, const struct resite_host *host)
{
	const char *server;

	*s = (struct step){.op = op, .host = host};
	s->net = (struct net){.op = op, .host = host,
			      .patience_ms = host->param_i64(op, "patience", 0)};
	s->transport = transport_of(optional(s, "transport", "auto"));
	s->send = way_of(optional(s, "via", "direct"));
	server = optional(s, "server", NULL);
	if (server && !net_endpoint_parse(server, "53", &s->server))
		return resite_fail(op, host, RESITE_ERR_INVALID, "server",
				   "'%s' is not host:port", server);
	if (s->send == SEND_GSS && optional(s, "key", NULL))
		return resite_fail(op, host, RESITE_ERR_INVALID, "key",
				   "with via = \"gss\" Kerberos signs, not a key: leave one of the two out");
	return init_zones(s);
}

void
step_release(struct step *s)
{
	if (s->loaded && !memory_keep(s))
		s->host->log(s->op, 1, "no memory to remember what was read");
	zones_release(s->zones, s->n_zones);
	tsig_key_wipe(&s->key);
}

bool
now_room(struct zone *z)
{
	if (z->now)
		return true;
	z->now = calloc(z->set.n + 1, sizeof(*z->now));
	for (size_t i = 0; z->now && i < z->set.n; i++) {
		z->now[i] = z->set.v[i];
		z->now[i].rdata = NULL;
		z->now[i].n = 0;
	}
	return z->now != NULL;
}

void
now_release(struct rrset *now, size_t n)
{
	for (size_t i = 0; now && i < n; i++)
		rrset_clear(&now[i]);
	free(now);
}

void
step_know(struct step *s, enum known known)
{
	s->lag_since_ms = 0;
	for (size_t i = 0; i < s->n_zones; i++) {
		s->zones[i].known = known;
		servers_forget(&s->zones[i]);
	}
}

bool
step_knows(const struct step *s, enum known known)
{
	for (size_t i = 0; i < s->n_zones; i++)
		if (s->zones[i].known != known)
			return false;
	return true;
}

size_t
step_total(const struct step *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_zones; i++)
		n += s->zones[i].set.n;
	return n;
}

bool
step_fingerprint(const struct step *s, char ret_hex[65])
{
	struct rrset *all = calloc(step_total(s) + 1, sizeof(*all));
	size_t n = 0;

	if (!all)
		return false;
	for (size_t i = 0; i < s->n_zones; i++) {
		memcpy(all + n, s->zones[i].now, s->zones[i].set.n * sizeof(*all));
		n += s->zones[i].set.n;
	}
	rrset_fingerprint(all, n, ret_hex);
	free(all);
	return true;
}

struct update_zone
zone_for_update(const struct zone *z)
{
	return (struct update_zone){ldns_rdf_data(z->name), ldns_rdf_size(z->name)};
}

int
step_net_fail(struct step *s, int rc, const char *what)
{
	if (rc == RESITE_ERR_CANCELLED)
		return resite_fail(s->op, s->host, rc, NULL,
				   "%s: stopped before there was an answer (server %s)", what,
				   s->server.text);
	return resite_fail(s->op, s->host, rc, NULL, "%s: %s", what, s->net.err);
}

int
step_no_memory(struct step *s)
{
	return resite_fail(s->op, s->host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
}

int
step_load_key(struct step *s)
{
	const char *ref = optional(s, "key", NULL), *why;
	char text[KEY_TEXT_MAX];
	int len;

	if (!ref)
		return RESITE_OK;
	len = s->host->secret(s->op, ref, text, sizeof(text) - 1);
	if (len < 0)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "key",
				   "the secret cannot be read");
	if ((size_t)len >= sizeof(text))
		why = "it is longer than a key";
	else {
		text[len] = '\0';
		s->has_key = tsig_key_parse(text, &s->key, &why);
	}
	explicit_bzero(text, sizeof(text));
	if (!s->has_key)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "key",
				   "not a TSIG key: %s", why);
	return RESITE_OK;
}
