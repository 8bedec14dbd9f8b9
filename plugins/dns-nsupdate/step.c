#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY_TEXT_MAX 4096

static enum dns_transport
transport_of(const char *text)
{
	return !strcmp(text, "tcp") ? DNS_TCP : !strcmp(text, "udp") ? DNS_UDP : DNS_AUTO;
}

int
step_init(struct step *s, struct resite_op *op, const struct resite_host *host)
{
	const char *server = host->param_str(op, "server", 0), *zone = host->param_str(op, "zone", 0);

	*s = (struct step){.op = op, .host = host};
	s->net = (struct net){.op = op, .host = host,
			      .patience_ms = host->param_i64(op, "patience", 0)};
	s->transport = transport_of(host->param_str(op, "transport", 0));
	if (!net_endpoint_parse(server, "53", &s->server))
		return resite_fail(op, host, RESITE_ERR_INVALID, "server",
				   "'%s' is not host:port", server);
	if (ldns_str2rdf_dname(&s->zone, zone) != LDNS_STATUS_OK)
		return resite_fail(op, host, RESITE_ERR_INVALID, "zone",
				   "'%s' is no domain name", zone);
	ldns_dname2canonical(s->zone);
	s->zone_text = ldns_rdf2str(s->zone);
	return RESITE_OK;
}

void
step_release(struct step *s)
{
	if (s->loaded && !memory_keep(s))
		s->host->log(s->op, 1, "no memory to remember what was read");
	now_release(s->now, s->set.n);
	rrset_list_release(&s->set);
	rrset_list_release(&s->expect);
	ldns_rdf_deep_free(s->zone);
	free(s->zone_text);
	tsig_key_wipe(&s->key);
}

bool
now_room(struct step *s)
{
	if (s->now)
		return true;
	s->now = calloc(s->set.n + 1, sizeof(*s->now));
	for (size_t i = 0; s->now && i < s->set.n; i++) {
		s->now[i] = s->set.v[i];
		s->now[i].rdata = NULL;
		s->now[i].n = 0;
	}
	return s->now != NULL;
}

void
now_release(struct rrset *now, size_t n)
{
	for (size_t i = 0; now && i < n; i++)
		rrset_clear(&now[i]);
	free(now);
}

struct update_zone
step_zone(const struct step *s)
{
	return (struct update_zone){ldns_rdf_data(s->zone), ldns_rdf_size(s->zone)};
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
step_load_key(struct step *s)
{
	const char *ref = resite_str_or(s->op, s->host, "key", NULL), *why;
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

/* --- records ---------------------------------------------------------------- */

static int
add_params(struct step *s, const char *param, struct rrset_list *list)
{
	uint32_t n = s->host->param_count(s->op, param);
	uint32_t ttl = (uint32_t)(s->host->param_i64(s->op, "ttl", 0) / 1000);
	struct rrset_error err;

	for (uint32_t i = 0; i < n; i++)
		if (!rrset_add_text(list, s->host->param_str(s->op, param, i), s->zone, ttl, &err))
			return resite_fail(s->op, s->host, RESITE_ERR_INVALID, param, "%s",
					   err.text);
	if (!rrset_list_join(list, &err))
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, param, "%s", err.text);
	return RESITE_OK;
}

static bool
is_comment(const char *line)
{
	line += strspn(line, " \t\r\n");
	return !*line || *line == ';' || *line == '#';
}

static int
add_file(struct step *s, const char *path, FILE *f)
{
	uint32_t ttl = (uint32_t)(s->host->param_i64(s->op, "ttl", 0) / 1000);
	struct rrset_error err;
	char *line = NULL;
	size_t cap = 0;
	unsigned no = 0;
	int rc = RESITE_OK;

	while (rc == RESITE_OK && getline(&line, &cap, f) >= 0) {
		no++;
		line[strcspn(line, "\r\n")] = '\0';
		if (!is_comment(line) && !rrset_add_text(&s->set, line, s->zone, ttl, &err))
			rc = resite_fail(s->op, s->host, RESITE_ERR_INVALID, "records_file",
					 "%s:%u: %s", path, no, err.text);
	}
	if (rc == RESITE_OK && ferror(f))
		rc = resite_fail(s->op, s->host, RESITE_ERR_TRANSIENT, "records_file", "%s: %s",
				 path, strerror(errno));
	free(line);
	return rc;
}

static int
load_file(struct step *s)
{
	const char *path = resite_str_or(s->op, s->host, "records_file", NULL);
	FILE *f;
	int rc;

	if (!path)
		return RESITE_OK;
	f = fopen(path, "re");
	if (!f)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "records_file", "%s: %s",
				   path, strerror(errno));
	rc = add_file(s, path, f);
	fclose(f);
	return rc;
}

/* Lync clients of a SIP domain drop an SRV answer whose target is in another domain. */
static int
check_targets(struct step *s)
{
	const char *mode = s->host->param_str(s->op, "srv_target", 0);
	int rc = RESITE_OK;

	for (size_t i = 0; strcmp(mode, "any") && rc == RESITE_OK && i < s->set.n; i++) {
		const struct rrset *r = &s->set.v[i];
		int bad = rrset_is_sip_service(r) ? rrset_foreign_srv_target(r) : -1;
		char *name = bad < 0 ? NULL : rrset_name(r);
		char *data = bad < 0 ? NULL : rrset_data(r, (size_t)bad);

		if (bad >= 0 && !strcmp(mode, "strict"))
			rc = resite_fail(s->op, s->host, RESITE_ERR_INVALID, "record",
					 "%s '%s': its target is in another domain, and SIP clients of "
					 "Lync drop such an answer (strict matching); give the server a "
					 "name in this domain, or set srv_target = \"warn\"", name, data);
		else if (bad >= 0)
			resite_log(s->op, s->host, RESITE_LOG_WARN,
				   "%s '%s': its target is in another domain; clients that match "
				   "strictly (Lync) will drop it", name, data);
		free(name);
		free(data);
	}
	return rc;
}

static int
check_expect(struct step *s)
{
	for (size_t i = 0; i < s->expect.n; i++) {
		char *name;

		if (rrset_list_find(&s->set, &s->expect.v[i]))
			continue;
		name = rrset_name(&s->expect.v[i]);
		resite_fail(s->op, s->host, RESITE_ERR_INVALID, "expect_current",
			    "%s is expected but not set by this step", name ? name : "?");
		free(name);
		return RESITE_ERR_INVALID;
	}
	return RESITE_OK;
}

static int
parse_records(struct step *s, bool with_file)
{
	struct rrset_error err;
	int rc = add_params(s, "record", &s->set);

	if (rc == RESITE_OK && with_file)
		rc = load_file(s);
	if (rc == RESITE_OK && !rrset_list_join(&s->set, &err))
		rc = resite_fail(s->op, s->host, RESITE_ERR_INVALID, "record", "%s", err.text);
	if (rc == RESITE_OK && s->set.n == 0 &&
	    (with_file || !s->host->param_count(s->op, "records_file")))
		rc = resite_fail(s->op, s->host, RESITE_ERR_INVALID, "record",
				 "no record is given: a step sets at least one, and never empties "
				 "an RRset");
	if (rc == RESITE_OK)
		rc = add_params(s, "expect_current", &s->expect);
	if (rc == RESITE_OK && (with_file || !s->host->param_count(s->op, "records_file")))
		rc = check_expect(s);
	return rc == RESITE_OK ? check_targets(s) : rc;
}

int
step_load_records(struct step *s, bool with_file)
{
	int rc = RESITE_OK;

	if (with_file)
		memory_key(s);
	if (!with_file || !memory_take(s))
		rc = parse_records(s, with_file);
	s->loaded = with_file && rc == RESITE_OK;
	return rc;
}
