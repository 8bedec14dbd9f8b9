/* dns-nsupdate.set: sets RRsets of a zone by RFC 2136, compare-and-swap. */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>
#include <time.h>

#define LONG_TTL_S 3600

int
set_check(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	int rc = step_init(&s, op, host);

	if (rc == RESITE_OK)
		rc = step_load_records(&s, false);
	step_release(&s);
	return rc;
}

/* --- probe ------------------------------------------------------------------- */

static size_t
tell_changes(struct step *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->set.n; i++) {
		char *name, *was, *will;

		if (rrset_same(&s->now[i], &s->set.v[i]))
			continue;
		name = rrset_name(&s->set.v[i]);
		was = rrset_text(&s->now[i]);
		will = rrset_text(&s->set.v[i]);
		if (name && was && will)
			s->host->change(s->op, name, was, will);
		free(name);
		free(was);
		free(will);
		n++;
	}
	return n;
}

/* Resolvers may keep what they have for as long as the TTL of what is replaced. */
static void
tell_loss(struct step *s)
{
	size_t n = 0, worst = 0;
	char text[RESITE_EASY_MAX], until[32], *name;
	struct tm tm;
	time_t at;

	for (size_t i = 0; i < s->set.n; i++) {
		if (s->now[i].n == 0 || s->now[i].ttl <= LONG_TTL_S ||
		    rrset_same_data(&s->now[i], &s->set.v[i]))
			continue;
		if (n++ == 0 || s->now[i].ttl > s->now[worst].ttl)
			worst = i;
	}
	if (!n)
		return;
	at = time(NULL) + (time_t)s->now[worst].ttl;
	strftime(until, sizeof(until), "%Y-%m-%d %H:%M UTC", gmtime_r(&at, &tm));
	name = rrset_name(&s->set.v[worst]);
	snprintf(text, sizeof(text),
		 "clients keep the old answer of %zu RRset%s for more than an hour, the longest that "
		 "of %.300s with a TTL of %lu s: until %s", n, n == 1 ? "" : "s", name ? name : "?",
		 (unsigned long)s->now[worst].ttl, until);
	s->host->loss(s->op, text);
	free(name);
}

static int
tell_state(struct step *s)
{
	char now[200], fingerprint[65];
	size_t changes = tell_changes(s);

	tell_loss(s);
	rrset_fingerprint(s->now, s->set.n, fingerprint);
	snprintf(now, sizeof(now), "%zu of %zu RRsets differ at %.80s, serial %lu", changes, s->set.n,
		 s->server.text, (unsigned long)s->serial);
	return s->host->state(s->op, now, fingerprint, changes, s->set.n);
}

/* The probe that follows verify need not ask all over again: the zone with the serial that
 * verify saw is the zone that verify saw (RFC 2136 §3.6: no change without a new serial). */
static int
look_at_serial(struct step *s)
{
	uint32_t serial;
	int rc = read_serial(s, &s->server, &serial);

	if (rc != RESITE_OK)
		return step_net_fail(s, rc, "cannot read the zone");
	if (s->known != KNOWN_SERVED || s->serial != serial)
		s->known = KNOWN_NOT;
	s->serial = serial;
	return RESITE_OK;
}

int
set_probe(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	int rc = step_init(&s, op, host);

	if (rc == RESITE_OK)
		rc = step_load_records(&s, true);
	if (rc == RESITE_OK)
		rc = look_at_serial(&s);
	if (rc == RESITE_OK)
		rc = read_now(&s);
	if (rc == RESITE_OK)
		rc = tell_state(&s);
	s.known = rc == RESITE_OK ? KNOWN_PROBED : KNOWN_NOT;
	step_release(&s);
	return rc;
}

int
set_apply(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	int rc = step_init(&s, op, host);

	if (rc == RESITE_OK)
		rc = step_load_records(&s, true);
	if (rc == RESITE_OK)
		rc = step_load_key(&s);
	if (rc == RESITE_OK && s.known != KNOWN_PROBED)
		s.known = KNOWN_NOT;
	if (rc == RESITE_OK)
		rc = read_now(&s);
	if (rc == RESITE_OK)
		rc = apply_changes(&s);
	s.known = KNOWN_NOT;
	step_release(&s);
	return rc;
}

/* --- what the plan can say ------------------------------------------------------ */

static const struct resite_param params[] = {
	{.name = "server", .type = RESITE_T_ENDPOINT, .flags = RESITE_PARAM_REQUIRED,
	 .summary = "the zone's primary, which takes the updates"},
	{.name = "zone", .type = RESITE_T_DOMAIN, .flags = RESITE_PARAM_REQUIRED,
	 .summary = "the zone"},
	{.name = "key", .type = RESITE_T_SECRET,
	 .summary = "TSIG key: a key file of named, or algorithm:name:base64"},
	{.name = "record", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,
	 .summary = "a record relative to the zone, \"sip 60 A 10.2.0.10\"; those of one owner and "
		    "type make one RRset"},
	{.name = "records_file", .type = RESITE_T_PATH,
	 .summary = "more records, one a line; ; and # begin a comment line"},
	{.name = "ttl", .type = RESITE_T_DURATION, .def = "60s", .min = 0, .max = 604800000,
	 .summary = "TTL of records that give none"},
	{.name = "expect_current", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,
	 .summary = "a record that must be there now, else the step is refused"},
	{.name = "transport", .type = RESITE_T_ENUM, .def = "auto",
	 .choices = (const char *const[]){"auto", "tcp", "udp", NULL},
	 .summary = "how to reach the primary; auto is TCP, and UDP when that cannot be connected"},
	{.name = "verify_at", .type = RESITE_T_ENDPOINT, .flags = RESITE_PARAM_REPEATED,
	 .summary = "servers that must serve the new records; default all NS of the zone, on the "
		    "port of server"},
	{.name = "unreachable", .type = RESITE_T_ENUM, .def = "auto",
	 .choices = (const char *const[]){"auto", "fail", "tolerate", NULL},
	 .summary = "servers that cannot be asked in verify; auto tolerates in mode disaster those "
		    "not named in verify_at"},
	{.name = "srv_target", .type = RESITE_T_ENUM, .def = "strict",
	 .choices = (const char *const[]){"strict", "warn", "any", NULL},
	 .summary = "SRV records of SIP whose target is in another domain: refuse, warn, allow"},
	{.name = "batch", .type = RESITE_T_INT, .def = "200", .min = 1, .max = 5000,
	 .summary = "most RRsets in one message (it is also limited to 64 KiB, over UDP to 1232 "
		    "bytes)"},
	{.name = "patience", .type = RESITE_T_DURATION, .def = "5s", .min = 100, .max = 300000,
	 .summary = "longest silence of a server"},
	{.name = NULL},
};

static const struct resite_action actions[] = {
	{.name = "set",
	 .summary = "sets RRsets by dynamic update, each only if it is still what was read",
	 .flags = RESITE_ACT_REVERSIBLE,
	 .default_timeout_ms = 120000,
	 .params = params,
	 .check = set_check,
	 .probe = set_probe,
	 .apply = set_apply,
	 .verify = set_verify,
	 .revert = set_revert},
};

RESITE_PLUGIN(.name = "dns-nsupdate", .version = "1",
	      .summary = "sets DNS records by RFC 2136 with TSIG", .actions = actions, .n_actions = 1)
