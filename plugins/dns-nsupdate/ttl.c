/* dns-nsupdate.ttl-lower: lowers TTLs ahead of a move, so that it is fast when it comes.  It
 * helps only once the old TTL has run out in every cache: verify says from when on. */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CHECKPOINT "old-ttl" /* the longest TTL that was lowered, in seconds */
#define WAIT_MOST_MS 60000

static int
init(struct step *s, struct resite_op *op, const struct resite_host *host)
{
	int rc = step_init(s, op, host);

	s->ttl_alone = true;
	s->alias_is_nothing = true;
	return rc;
}

int
ttl_check(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	int rc = init(&s, op, host);

	if (rc == RESITE_OK)
		rc = step_load_names(&s);
	step_release(&s);
	return rc;
}

/* --- what is there, and what it will be ---------------------------------------------- */

static bool
is_there(const struct zone *z, const struct rrset *like)
{
	const struct rrset *r = rrset_list_find(&z->set, like);

	return r && z->now[r - z->set.v].n;
}

static int
not_there(struct step *s, const char *text)
{
	return resite_fail(s->op, s->host, RESITE_ERR_REFUSED, "name",
			   "%s has no such RRset: %s (of the types A, AAAA, CNAME, SRV and TXT)",
			   s->server.text, text);
}

/* Each name of the plan must be there with at least one of its types. */
static int
check_names(struct step *s)
{
	uint32_t n = s->host->param_count(s->op, "name");
	int rc = RESITE_OK;

	for (uint32_t i = 0; i < n && rc == RESITE_OK; i++) {
		const char *text = s->host->param_str(s->op, "name", i);
		struct step one = {.op = s->op, .host = s->host};
		bool found = false;

		rc = step_names_of(s, text, &one);
		for (size_t k = 0; k < one.n_zones && rc == RESITE_OK; k++)
			for (size_t j = 0; j < one.zones[k].set.n && !found; j++) {
				const struct rrset *r = &one.zones[k].set.v[j];
				struct zone *z = step_zone_of(s, r->owner, r->owner_len);

				found = z && is_there(z, r);
			}
		zones_release(one.zones, one.n_zones);
		if (rc == RESITE_OK && !found)
			rc = not_there(s, text);
	}
	return rc;
}

/* set becomes what now is, with no TTL above the one wanted; what is not there is left out. */
static bool
lower(struct zone *z, uint32_t ttl)
{
	size_t kept = 0;

	for (size_t i = 0; i < z->set.n; i++) {
		struct rrset *set = &z->set.v[i], *now = &z->now[i];
		bool ok = true;

		if (!now->n) {
			free(set->owner);
			continue;
		}
		set->ttl = now->ttl < ttl ? now->ttl : ttl;
		for (size_t k = 0; k < now->n && ok; k++)
			ok = rrset_add_rdata(set, now->rdata[k].bytes, now->rdata[k].len);
		z->set.v[kept] = *set;
		z->now[kept++] = *now;
		if (!ok)
			return false; /* what follows is lost, and with it the step */
	}
	z->set.n = kept;
	return true;
}

static int
read_and_lower(struct step *s)
{
	uint32_t ttl = (uint32_t)(s->host->param_i64(s->op, "ttl", 0) / 1000);
	int rc = step_load_names(s);

	if (rc == RESITE_OK)
		rc = step_find_zones(s);
	if (rc == RESITE_OK)
		rc = look_at_serials(s);
	if (rc == RESITE_OK)
		rc = read_now(s);
	if (rc == RESITE_OK)
		rc = check_names(s);
	for (size_t i = 0; i < s->n_zones && rc == RESITE_OK; i++)
		if (!lower(&s->zones[i], ttl))
			rc = step_no_memory(s);
	s->loaded = rc == RESITE_OK;
	return rc;
}

/* What an earlier function of the attempt has read, or now. */
static int
load(struct step *s, struct resite_op *op, const struct resite_host *host)
{
	int rc = init(s, op, host);

	if (rc != RESITE_OK)
		return rc;
	memory_key(s);
	if (!memory_take(s))
		return read_and_lower(s);
	s->loaded = true;
	return RESITE_OK;
}

/* --- the four functions ------------------------------------------------------------------ */

static uint32_t
longest(const struct step *s)
{
	uint32_t most = 0;

	for (size_t i = 0; i < s->n_zones; i++)
		for (size_t j = 0; j < s->zones[i].set.n; j++) {
			const struct zone *z = &s->zones[i];

			if (z->now[j].ttl > z->set.v[j].ttl && z->now[j].ttl > most)
				most = z->now[j].ttl;
		}
	return most;
}

int
ttl_probe(struct resite_op *op, const struct resite_host *host)
{
	char text[200], until[32];
	struct step s;
	int rc = init(&s, op, host);
	uint32_t most;

	if (rc == RESITE_OK) {
		memory_key(&s);
		rc = read_and_lower(&s);
	}
	most = rc == RESITE_OK ? longest(&s) : 0;
	if (most) {
		utc_text(time(NULL) + (time_t)most, until);
		snprintf(text, sizeof(text), "resolvers keep the old TTL for up to %lu s: a move is fast from "
			 "%s on, if this is done now", (unsigned long)most, until);
		host->loss(op, text);
	}
	if (rc == RESITE_OK)
		rc = step_tell_state(&s);
	step_know(&s, rc == RESITE_OK ? KNOWN_PROBED : KNOWN_NOT);
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
	uint32_t most = longest(s);
	char text[16];

	if (most <= old_ttl(s))
		return RESITE_OK;
	snprintf(text, sizeof(text), "%lu", (unsigned long)most);
	return s->host->checkpoint(s->op, CHECKPOINT, text);
}

int
ttl_apply(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	int rc = load(&s, op, host);

	if (rc == RESITE_OK)
		rc = step_load_key(&s);
	if (rc == RESITE_OK)
		rc = remember_old_ttl(&s);
	if (rc == RESITE_OK)
		rc = apply_changes(&s);
	step_know(&s, KNOWN_NOT);
	s.since = 0;
	step_release(&s);
	return rc;
}

static int
tell_when_fast(struct step *s)
{
	uint32_t old = old_ttl(s);
	time_t fast = (time_t)s->since + (time_t)old, now = time(NULL);
	char from[32], seconds[16], text[200];
	int rc;

	utc_text(fast, from);
	snprintf(seconds, sizeof(seconds), "%lu", (unsigned long)old);
	snprintf(text, sizeof(text), old ? "every server has the low TTL, and the old one of %s s runs out "
				   "everywhere in %" PRId64 " s: fast from %s on"
				 : "the TTLs were low before this step looked",
		 seconds, (int64_t)(fast > now ? fast - now : 0), from);
	if (s->host->param_i64(s->op, "wait_out", 0) && fast > now) {
		int64_t ms = (int64_t)(fast - now) * 1000;

		s->host->fail(s->op, NULL, ms < WAIT_MOST_MS ? ms : WAIT_MOST_MS, text);
		return RESITE_PENDING;
	}
	s->host->log(s->op, RESITE_LOG_INFO, text);
	rc = s->host->output(s->op, "fast_from", old ? from : "unknown");
	if (rc >= 0)
		rc = s->host->output(s->op, "old_ttl", seconds);
	return rc < 0 ? rc : RESITE_OK;
}

/* A cache may have asked the slowest server just before that had the change. */
int
ttl_verify(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	int rc = load(&s, op, host);

	if (rc == RESITE_OK && !s.since)
		rc = verify_zones(&s);
	if (rc == RESITE_OK) {
		s.since = s.since ? s.since : (int64_t)time(NULL);
		rc = tell_when_fast(&s);
	}
	step_release(&s);
	return rc;
}
