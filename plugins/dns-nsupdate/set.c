/* dns-nsupdate.set: what the core calls. */
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
	if (rc == RESITE_OK)
		rc = step_judge(&s, false);
	step_release(&s);
	return rc;
}

/* --- probe ------------------------------------------------------------------- */

static void
tell_change(struct step *s, const struct rrset *now, const struct rrset *set)
{
	char *name = rrset_name(set), *was = rrset_text(now), *will = rrset_text(set);

	if (name && was && will)
		s->host->change(s->op, name, was, will);
	free(name);
	free(was);
	free(will);
}

static size_t
tell_changes(struct step *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_zones; i++) {
		const struct zone *z = &s->zones[i];

		for (size_t j = 0; j < z->set.n; j++) {
			if (rrset_same(&z->now[j], &z->set.v[j]))
				continue;
			tell_change(s, &z->now[j], &z->set.v[j]);
			n++;
		}
	}
	return n;
}

/* The RRset that clients may keep the longest, and how many they keep for long. */
static const struct rrset *
find_long(const struct step *s, size_t *ret_n)
{
	const struct rrset *worst = NULL;

	*ret_n = 0;
	for (size_t i = 0; i < s->n_zones; i++) {
		const struct zone *z = &s->zones[i];

		for (size_t j = 0; j < z->set.n; j++) {
			const struct rrset *now = &z->now[j];

			if (now->n == 0 || now->ttl <= LONG_TTL_S || rrset_same_data(now, &z->set.v[j]))
				continue;
			if (++*ret_n == 1 || now->ttl > worst->ttl)
				worst = now;
		}
	}
	return worst;
}

void
utc_text(time_t at, char buf[32])
{
	struct tm tm;

	strftime(buf, 32, "%Y-%m-%d %H:%M UTC", gmtime_r(&at, &tm));
}

/* Resolvers may keep what they have for as long as the TTL of what is replaced. */
static void
tell_loss(struct step *s)
{
	char text[RESITE_EASY_MAX], until[32], *name;
	const struct rrset *worst;
	size_t n;

	worst = find_long(s, &n);
	if (!worst)
		return;
	utc_text(time(NULL) + (time_t)worst->ttl, until);
	name = rrset_name(worst);
	snprintf(text, sizeof(text),
		 "clients keep the old answer of %zu RRset%s for more than an hour, the longest that "
		 "of %.300s with a TTL of %lu s: until %s", n, n == 1 ? "" : "s", name ? name : "?",
		 (unsigned long)worst->ttl, until);
	s->host->loss(s->op, text);
	free(name);
}

int
step_tell_state(struct step *s)
{
	char now[300], serial[40] = "", fingerprint[65];
	size_t changes = tell_changes(s), total = step_total(s);

	if (!step_fingerprint(s, fingerprint))
		return step_no_memory(s);
	if (s->n_zones == 1)
		snprintf(serial, sizeof(serial), ", serial %lu", (unsigned long)s->zones[0].serial);
	else
		snprintf(serial, sizeof(serial), ", in %zu zones", s->n_zones);
	snprintf(now, sizeof(now), "%zu of %zu RRsets differ at %.200s%s", changes, total,
		 s->server.text, serial);
	return s->host->state(s->op, now, fingerprint, changes, total);
}

/* The records, and their zones. */
static int
load(struct step *s, struct resite_op *op, const struct resite_host *host)
{
	int rc = step_init(s, op, host);

	if (rc == RESITE_OK)
		rc = step_load_records(s, true);
	return rc == RESITE_OK ? step_find_zones(s) : rc;
}

int
set_probe(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	int rc = load(&s, op, host);

	if (rc == RESITE_OK)
		rc = look_at_serials(&s);
	if (rc == RESITE_OK)
		rc = read_now(&s);
	if (rc == RESITE_OK)
		rc = step_judge(&s, true);
	if (rc == RESITE_OK) {
		tell_loss(&s);
		rc = step_tell_state(&s);
	}
	step_know(&s, rc == RESITE_OK ? KNOWN_PROBED : KNOWN_NOT);
	step_release(&s);
	return rc;
}

int
set_apply(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	int rc = load(&s, op, host);
	bool probed = rc == RESITE_OK && step_knows(&s, KNOWN_PROBED);

	if (rc == RESITE_OK)
		rc = step_load_key(&s);
	if (rc == RESITE_OK && !probed)
		step_know(&s, KNOWN_NOT);
	if (rc == RESITE_OK)
		rc = read_now(&s);
	if (rc == RESITE_OK && !probed)
		rc = step_judge(&s, true);
	if (rc == RESITE_OK)
		rc = apply_changes(&s);
	step_know(&s, KNOWN_NOT);
	step_release(&s);
	return rc;
}

int
set_verify(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	int rc = load(&s, op, host);

	if (rc == RESITE_OK)
		rc = verify_zones(&s);
	step_release(&s);
	return rc;
}
