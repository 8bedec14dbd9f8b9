/* dns-bind.ttl-lower: lowers TTLs ahead of a move, so that it is fast when it comes.  It helps
 * only once the old TTL has run out in every cache: verify says from when on. */
#include "config.h"

#include "plugins/dns-bind/step.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECKPOINT "old-ttl" /* the longest TTL that was lowered, in seconds */
#define WAIT_MOST_MS 60000

static const uint16_t types[] = {LDNS_RR_TYPE_A, LDNS_RR_TYPE_AAAA, LDNS_RR_TYPE_CNAME, LDNS_RR_TYPE_SRV,
				 LDNS_RR_TYPE_TXT};

/* --- which RRsets --------------------------------------------------------------------- */

struct wish {
	struct name name;
	uint16_t type; /* 0: all */
};

/* "sip A" or "sip". */
static int
parse_wish(struct step *s, const struct part *p, const char *text, struct wish *ret)
{
	size_t len = strcspn(text, " \t");
	const char *type = text + len + strspn(text + len, " \t");

	*ret = (struct wish){.type = 0};
	for (size_t i = 0; *type && i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcasecmp(rrset_type_text(types[i]), type))
			ret->type = types[i];
	if (*type && !ret->type)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "name",
				   "'%s': the type is none of A, AAAA, CNAME, SRV and TXT", text);
	if (!name_parse(text, len, &p->zone.name, &ret->name) || !name_is_in(&ret->name, &p->zone.name))
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "name", "'%s' is no name in %s", text,
				   p->zone.text);
	return RESITE_OK;
}

static bool
add_set(struct rrset_list *list, const struct rrset *set)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 16;
		struct rrset *grown = realloc(list->v, cap * sizeof(*grown));

		if (!grown)
			return false;
		list->v = grown;
		list->cap = cap;
	}
	list->v[list->n++] = *set;
	return true;
}

/* One RRset as it is, with the lower TTL; *ret_found: it is there. */
static int
take_set(struct step *s, struct part *p, const struct name *name, uint16_t type, bool *ret_found)
{
	uint32_t ttl = (uint32_t)(s->host->param_i64(s->op, "ttl", 0) / 1000);
	struct rrset set = {.owner = malloc(name->len), .owner_len = name->len, .type = type};
	bool mixed, ok;

	if (!set.owner)
		return step_no_memory(s);
	memcpy(set.owner, name->wire, name->len);
	ok = zone_rrset(&p->zone, &set, &mixed);
	for (size_t i = 0; i < p->set.n; i++)
		if (!rrset_order(&p->set.v[i], &set)) {
			*ret_found = true;
			rrset_clear(&set); /* named twice in the plan */
		}
	*ret_found |= set.n > 0;
	set.ttl = set.ttl < ttl ? set.ttl : ttl;
	if (ok && set.n && add_set(&p->set, &set))
		return RESITE_OK;
	ok = ok && !set.n;
	rrset_clear(&set);
	free(set.owner);
	return ok ? RESITE_OK : step_zone_fail(s, p, ZONE_BROKEN);
}

static int
take_wish(struct step *s, struct part *p, const char *text)
{
	bool found = false;
	struct wish w;
	int rc = parse_wish(s, p, text, &w);

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && rc == RESITE_OK; i++)
		if (!w.type || w.type == types[i])
			rc = take_set(s, p, &w.name, types[i], &found);
	if (rc == RESITE_OK && !found)
		rc = resite_fail(s->op, s->host, RESITE_ERR_REFUSED, "name",
				 "%s has no such RRset: %s (of the types A, AAAA, CNAME, SRV and TXT)", p->file,
				 text);
	return rc;
}

static int
by_order(const void *a, const void *b)
{
	return rrset_order(a, b);
}

/* Calls do_it for each name of the plan that is in this zone. */
static int
each_name(struct step *s, struct part *p, int (*do_it)(struct step *, struct part *, const char *))
{
	uint32_t n = s->host->param_count(s->op, "name");
	int rc = RESITE_OK;

	for (uint32_t i = 0; i < n && rc == RESITE_OK; i++) {
		const char *text = s->host->param_str(s->op, "name", i);

		if (step_part_of(s, text) == p)
			rc = do_it(s, p, text);
	}
	return rc;
}

static int
watch_wish(struct step *s, struct part *p, const char *text)
{
	struct wish w;
	int rc = parse_wish(s, p, text, &w);

	return rc != RESITE_OK || zone_watch(&p->zone, &w.name) ? rc : step_no_memory(s);
}

int
part_lower(struct step *s, struct part *p)
{
	enum zone_rc zrc;
	int rc = each_name(s, p, watch_wish);

	/* Its file is behind what it serves, and its records would be put back as the file has them. */
	if (rc == RESITE_OK && p->status.dynamic)
		rc = resite_fail(s->op, s->host, RESITE_ERR_REFUSED, "dynamic",
				 "%s is dynamic: use dns-nsupdate.ttl-lower", p->zone.text);
	if (rc != RESITE_OK)
		return rc;
	zrc = zone_read(&p->zone, p->file);
	if (zrc != ZONE_OK)
		return step_zone_fail(s, p, zrc);
	rc = each_name(s, p, take_wish);
	if (p->set.n)
		qsort(p->set.v, p->set.n, sizeof(*p->set.v), by_order);
	return rc;
}

/* --- the four functions ----------------------------------------------------------------- */

static int
init(struct step *s, struct resite_op *op, const struct resite_host *host)
{
	int rc = step_open(s, op, host);
	struct wish w;

	s->lower = true;
	for (uint32_t i = 0; i < host->param_count(op, "name") && rc == RESITE_OK; i++) {
		const char *text = host->param_str(op, "name", i);

		rc = parse_wish(s, step_part_of(s, text), text, &w);
	}
	return rc;
}

int
ttl_check(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	int rc = init(&s, op, host);

	step_release(&s);
	return rc;
}

/* The longest TTL that is still to be lowered, in the files or as it is served. */
static uint32_t
longest(const struct step *s)
{
	uint32_t most = 0;

	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->parts[i].set.n; k++) {
			const struct part *p = &s->parts[i];
			uint32_t set = p->set.v[k].ttl, now = p->now ? p->now[k].ttl : 0;
			uint32_t served = p->served ? p->served[k].ttl : 0;

			now = served > now ? served : now;
			most = now > set && now > most ? now : most;
		}
	return most;
}

static void
utc_text(time_t at, char ret[32])
{
	struct tm tm;

	strftime(ret, 32, "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&at, &tm));
}

int
ttl_probe(struct resite_op *op, const struct resite_host *host)
{
	char text[200], until[32];
	struct step s;
	int rc = init(&s, op, host);
	uint32_t most;

	if (rc == RESITE_OK)
		rc = step_probe(&s);
	most = rc == RESITE_OK ? longest(&s) : 0;
	if (most) {
		utc_text(time(NULL) + (time_t)most, until);
		snprintf(text, sizeof(text), "resolvers keep the old TTL for up to %lu s: a move is fast from "
			 "%s on, if this is done now", (unsigned long)most, until);
		host->loss(op, text);
	}
	step_release(&s);
	return rc;
}

/* What this step has lowered so far, in this attempt or one before it. */
static uint32_t
old_ttl(const struct step *s)
{
	const char *data = NULL, *name = s->host->last_checkpoint(s->op, &data);

	return name && !strcmp(name, CHECKPOINT) && data ? (uint32_t)strtoul(data, NULL, 10) : 0;
}

static int
remember_old_ttl(struct step *s)
{
	char text[16];
	int rc = step_look(s, true);
	uint32_t most = rc == RESITE_OK ? longest(s) : 0;

	if (rc != RESITE_OK || most <= old_ttl(s))
		return rc;
	snprintf(text, sizeof(text), "%lu", (unsigned long)most);
	return s->host->checkpoint(s->op, CHECKPOINT, text);
}

int
ttl_apply(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	int rc = init(&s, op, host);

	if (rc == RESITE_OK)
		rc = remember_old_ttl(&s);
	step_release(&s);
	if (rc != RESITE_OK)
		return rc;
	rc = init(&s, op, host);
	if (rc == RESITE_OK)
		rc = step_apply(&s);
	step_release(&s);
	return rc;
}

static int
tell_when_fast(struct step *s, time_t since)
{
	uint32_t old = old_ttl(s);
	time_t fast = since + (time_t)old, now = time(NULL);
	char from[32], seconds[16], text[200];
	int rc;

	utc_text(fast, from);
	snprintf(seconds, sizeof(seconds), "%lu", (unsigned long)old);
	if (old)
		snprintf(text, sizeof(text), "every server has the low TTL, and the old one of %s s runs out "
			 "everywhere in %ld s: fast from %s on", seconds, fast > now ? (long)(fast - now) : 0L, from);
	else
		snprintf(text, sizeof(text), "the TTLs were low before this step looked");
	if (s->host->param_i64(s->op, "wait_out", 0) && fast > now) {
		int64_t ms = (int64_t)(fast - now) * 1000;

		s->host->fail(s->op, NULL, ms < WAIT_MOST_MS ? ms : WAIT_MOST_MS, text);
		return RESITE_PENDING;
	}
	s->host->log(s->op, RESITE_LOG_INFO, text);
	rc = s->host->output(s->op, "fast_from", old ? from : "unknown");
	return rc >= 0 ? s->host->output(s->op, "old_ttl", seconds) : rc;
}

/* A cache may have asked the slowest server just before that had the change. */
int
ttl_verify(struct resite_op *op, const struct resite_host *host)
{
	struct bind_memory *m;
	struct step s;
	int rc = init(&s, op, host);

	m = step_memory(&s);
	if (rc == RESITE_OK && !(m && m->since))
		rc = step_verify(&s);
	if (rc == RESITE_OK && m && !m->since)
		m->since = (int64_t)time(NULL);
	if (rc == RESITE_OK)
		rc = tell_when_fast(&s, m ? (time_t)m->since : time(NULL));
	step_release(&s);
	return rc;
}
