/* The parameters and records of a step. */
#include "config.h"

#include "plugins/dns-bind/step.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int
step_no_memory(struct step *s)
{
	return resite_fail(s->op, s->host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
}

int
step_zone_fail(struct step *s, const struct part *p, enum zone_rc rc)
{
	static const struct {
		enum zone_rc zone;
		int rc;
	} table[] = {
		{ZONE_BROKEN, RESITE_ERR_REFUSED}, {ZONE_IO, RESITE_ERR_TRANSIENT},
		{ZONE_CHANGED, RESITE_ERR_CONFLICT}, {ZONE_DENIED, RESITE_ERR_REFUSED},
		{ZONE_FULL, RESITE_ERR_TRANSIENT},
	};
	int result = RESITE_ERR_BUG;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].zone == rc)
			result = table[i].rc;
	return resite_fail(s->op, s->host, result, NULL, "%.255s: %s", p->zone.text, p->zone.err);
}

int
step_net_fail(struct step *s, int rc, const char *what)
{
	if (rc == RESITE_ERR_CANCELLED)
		return resite_fail(s->op, s->host, rc, NULL, "%s: stopped before there was an answer", what);
	return resite_fail(s->op, s->host, rc, NULL, "%s: %s", what, s->net.err);
}

struct bind_memory *
step_memory(struct step *s)
{
	void **slot = s->host->memory ? s->host->memory(s->op) : NULL;

	if (slot && !*slot)
		*slot = calloc(1, sizeof(struct bind_memory));
	return slot ? *slot : NULL;
}

uint32_t
step_today(void)
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	return (uint32_t)((tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday);
}

/* --- zones -------------------------------------------------------------------------- */

static int
add_zone(struct step *s, const char *text, const char *file)
{
	struct part *p = &s->parts[s->n];

	if (!zone_init(&p->zone, text) || ldns_str2rdf_dname(&p->rdf, text) != LDNS_STATUS_OK)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "zone", "'%s' is no domain name",
				   text);
	ldns_dname2canonical(p->rdf);
	p->file = file;
	for (size_t i = 0; i < s->n; i++)
		if (name_equal(&s->parts[i].zone.name, &p->zone.name))
			return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "zone",
					   "%s is named twice", text);
	s->n++;
	return RESITE_OK;
}

static int
read_zones(struct step *s)
{
	uint32_t n = s->host->param_count(s->op, "zone"), files = s->host->param_count(s->op, "file");
	int rc = RESITE_OK;

	if (n != files)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "file",
				   "%u zones and %u files: each zone needs its file, in the same order",
				   (unsigned)n, (unsigned)files);
	if (n > STEP_ZONES_MAX)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "zone",
				   "more than %d zones in one step", STEP_ZONES_MAX);
	for (uint32_t i = 0; i < n && rc == RESITE_OK; i++)
		rc = add_zone(s, s->host->param_str(s->op, "zone", i),
			      s->host->param_str(s->op, "file", i));
	return rc;
}

struct part *
step_part_of(struct step *s, const char *record)
{
	size_t len = strcspn(record, " \t");
	struct part *best = NULL;
	struct name owner;

	if (len == 0 || record[len - 1] != '.' || !name_parse(record, len, NULL, &owner))
		return &s->parts[0];
	for (size_t i = 0; i < s->n; i++)
		if (name_is_in(&owner, &s->parts[i].zone.name) &&
		    (!best || s->parts[i].zone.name.len > best->zone.name.len))
			best = &s->parts[i];
	return best ? best : &s->parts[0];
}

/* --- records ------------------------------------------------------------------------ */

static int
add_record(struct step *s, const char *param, const char *where, const char *text)
{
	struct part *p = step_part_of(s, text);
	struct rrset_list *list = strcmp(param, "expect_current") ? &p->set : &p->expect;
	uint32_t ttl = (uint32_t)(s->host->param_i64(s->op, "ttl", 0) / 1000);
	struct rrset_error err;

	if (rrset_add_text(list, text, p->rdf, ttl, &err))
		return RESITE_OK;
	return resite_fail(s->op, s->host, RESITE_ERR_INVALID, param, "%s%s (zone %s)", where, err.text,
			   p->zone.text);
}

static int
add_records(struct step *s, const char *param)
{
	uint32_t n = s->host->param_count(s->op, param);
	int rc = RESITE_OK;

	for (uint32_t i = 0; i < n && rc == RESITE_OK; i++)
		rc = add_record(s, param, "", s->host->param_str(s->op, param, i));
	return rc;
}

static int
join_records(struct step *s)
{
	struct rrset_error err;
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct part *p = &s->parts[i];

		if (!rrset_list_join(&p->set, &err))
			return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "record", "%s", err.text);
		if (!rrset_list_join(&p->expect, &err))
			return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "expect_current", "%s", err.text);
		n += p->set.n;
		for (size_t k = 0; k < p->expect.n; k++) {
			char *name;

			if (rrset_list_find(&p->set, &p->expect.v[k]))
				continue;
			name = rrset_name(&p->expect.v[k]);
			resite_fail(s->op, s->host, RESITE_ERR_INVALID, "expect_current",
				    "%s is expected but not set by this step", name ? name : "?");
			free(name);
			return RESITE_ERR_INVALID;
		}
	}
	return n ? RESITE_OK
		 : resite_fail(s->op, s->host, RESITE_ERR_INVALID, "record",
			       "no record is given: a step sets at least one, and never empties an RRset");
}

static int
read_overrides(struct step *s)
{
	uint32_t n = s->host->param_count(s->op, "override");

	if (n > STEP_OVERRIDES_MAX)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "override",
				   "more than %d: these are no exceptions any more", STEP_OVERRIDES_MAX);
	for (uint32_t i = 0; i < n; i++) {
		const char *text = s->host->param_str(s->op, "override", i);
		const char *why = guard_override_parse(text, s->parts[0].zone.text, &s->overrides[i]);

		if (why)
			return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "override", "'%s': %s", text, why);
	}
	s->n_overrides = n;
	return RESITE_OK;
}

int
step_open(struct step *s, struct resite_op *op, const struct resite_host *host)
{
	const char *server = host->param_str(op, "server", 0);
	int rc;

	*s = (struct step){.op = op, .host = host};
	s->net = (struct net){.op = op, .host = host, .patience_ms = host->param_i64(op, "patience", 0)};
	s->rndc = !strcmp(host->param_str(op, "reload", 0), "rndc");
	if (!net_endpoint_parse(server, "53", &s->server))
		return resite_fail(op, host, RESITE_ERR_INVALID, "server", "'%s' is not host:port", server);
	rc = read_zones(s);
	return rc == RESITE_OK ? read_overrides(s) : rc;
}

int
step_init(struct step *s, struct resite_op *op, const struct resite_host *host)
{
	int rc = step_open(s, op, host);

	if (rc == RESITE_OK)
		rc = add_records(s, "record");
	if (rc == RESITE_OK)
		rc = add_records(s, "expect_current");
	return rc == RESITE_OK ? join_records(s) : rc;
}

static void
release_sets(struct rrset *v, size_t n)
{
	for (size_t i = 0; v && i < n; i++)
		rrset_clear(&v[i]);
	free(v);
}

void
step_release(struct step *s)
{
	for (size_t i = 0; i < STEP_ZONES_MAX; i++) {
		struct part *p = &s->parts[i];

		release_sets(p->now, p->set.n);
		release_sets(p->served, p->set.n);
		free(p->mixed);
		rrset_list_release(&p->set);
		rrset_list_release(&p->expect);
		ldns_rdf_deep_free(p->rdf);
		zone_release(&p->zone);
	}
	for (size_t i = 0; i < s->n_roots; i++)
		free(s->roots[i]);
}
