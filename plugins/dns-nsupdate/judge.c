/* The rules of sdk/dnsguard over what a step would change. */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"
#include "sdk/dnsguard/guard.h"

#include <stdlib.h>
#include <string.h>

#define TOLD_MAX 5

struct judging {
	struct step *s;
	struct guard_change *changes;
	size_t n;
	struct guard_override *overrides;
	size_t n_overrides;
	unsigned told;
	char text[RESITE_EASY_MAX]; /* what is refused */
	const char *param;
};

/* --- what names have now ----------------------------------------------------------- */

static const uint16_t asked[] = {LDNS_RR_TYPE_A,   LDNS_RR_TYPE_AAAA, LDNS_RR_TYPE_CNAME,
				 LDNS_RR_TYPE_SRV, LDNS_RR_TYPE_TXT,  LDNS_RR_TYPE_MX,
				 LDNS_RR_TYPE_NS};
#define N_ASKED (sizeof(asked) / sizeof(asked[0]))

/* What the step itself has read of a name: enough where it is about addresses, since reading
 * one would have found an alias.  0: not enough. */
static int
seen_in_step(const struct zone *z, const uint8_t *name, size_t len)
{
	struct rrset like = {.owner = (uint8_t *)(uintptr_t)name, .owner_len = (uint8_t)len,
			     .type = LDNS_RR_TYPE_CNAME};
	int seen = 0;

	if (rrset_list_find(&z->set, &like))
		return 0;
	for (size_t i = 0; i < N_ASKED; i++) {
		const struct rrset *r;

		like.type = asked[i];
		r = rrset_list_find(&z->set, &like);
		if (r)
			seen |= GUARD_SEEN | (z->now[r - z->set.v].n ? guard_bit(asked[i]) : 0);
		if (seen & GUARD_ADDRESS)
			return seen;
		if (i == 1 && !seen)
			return 0;
	}
	return seen;
}

/* Asks the primary.  A name that it does not answer for itself is taken as good. */
static int
seen_at_primary(struct zone *z, const uint8_t *name, size_t len, struct guard_name *ret_target)
{
	struct rrset r[N_ASKED], *v[N_ASKED];
	struct step *s = z->s;
	bool before = s->alias_is_nothing;
	int rc, seen = GUARD_SEEN;

	for (size_t i = 0; i < N_ASKED; i++) {
		r[i] = (struct rrset){.owner = (uint8_t *)(uintptr_t)name, .owner_len = (uint8_t)len,
				      .type = asked[i]};
		v[i] = &r[i];
	}
	s->alias_is_nothing = true;
	rc = read_rrsets(z, &s->server, s->transport, v, N_ASKED, NULL);
	s->alias_is_nothing = before;
	for (size_t i = 0; i < N_ASKED; i++) {
		seen |= r[i].n ? guard_bit(asked[i]) : 0;
		if (r[i].n && asked[i] == LDNS_RR_TYPE_CNAME)
			guard_target(&r[i], 0, ret_target);
		rrset_clear(&r[i]);
	}
	if (rc == RESITE_ERR_REFUSED)
		return GUARD_SEEN | GUARD_UNSURE;
	return rc < 0 ? rc : seen;
}

/* of struct guard_world */
static int
look(void *ctx, const uint8_t *name, size_t len, struct guard_name *ret_target)
{
	struct judging *j = ctx;
	struct zone *z = step_zone_of(j->s, name, len);
	int seen = z ? seen_in_step(z, name, len) : GUARD_UNSEEN;

	return !z || seen ? seen : seen_at_primary(z, name, len, ret_target);
}

/* --- overrides and limits ------------------------------------------------------------ */

static int
load_overrides(struct judging *j)
{
	struct step *s = j->s;
	uint32_t n = s->host->param_count(s->op, "override");

	j->overrides = calloc(n + 1, sizeof(*j->overrides));
	if (!j->overrides)
		return step_no_memory(s);
	for (uint32_t i = 0; i < n; i++) {
		const char *text = s->host->param_str(s->op, "override", i);
		const char *wrong = guard_override_parse(text, s->zones[0].text,
							 &j->overrides[j->n_overrides++]);

		if (wrong)
			return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "override",
					   "'%.200s': %s", text, wrong);
	}
	return RESITE_OK;
}

static int
load_limits(struct step *s, bool may_look, struct guard_limits *ret)
{
	const char *domain = resite_str_or(s->op, s->host, "srv_target", "strict");

	*ret = (struct guard_limits){
		.domain = !strcmp(domain, "any") ? GUARD_ANY : !strcmp(domain, "warn") ? GUARD_WARN
										       : GUARD_STRICT,
		.max_changes = may_look ? resite_i64_or(s->op, s->host, "max_changes", 0) : 0,
		.max_percent = may_look ? resite_i64_or(s->op, s->host, "max_percent", 0) : 0,
	};
	for (size_t i = 0; i < s->n_zones && ret->max_percent; i++) {
		uint64_t n;

		if (!transfer_count(&s->zones[i], &n))
			return resite_fail(s->op, s->host, RESITE_ERR_REFUSED, "max_percent",
					   "the RRsets of %s cannot be counted, because %s does not "
					   "transfer the zone to this machine: allow that, or limit by "
					   "max_changes", s->zones[i].text, s->server.text);
		ret->total += n;
	}
	return RESITE_OK;
}

/* --- changes -------------------------------------------------------------------------- */

static int
by_owner(const void *a, const void *b)
{
	return rrset_order(((const struct guard_change *)a)->will,
			   ((const struct guard_change *)b)->will);
}

static int
load_changes(struct judging *j, bool may_look)
{
	/* Without a look everything is new. */
	static const struct rrset nothing;
	struct step *s = j->s;

	j->changes = calloc(step_total(s) + 1, sizeof(*j->changes));
	if (!j->changes)
		return step_no_memory(s);
	for (size_t i = 0; i < s->n_zones; i++) {
		const struct zone *z = &s->zones[i];

		for (size_t k = 0; k < z->set.n; k++)
			if (!may_look || !rrset_same(&z->now[k], &z->set.v[k]))
				j->changes[j->n++] = (struct guard_change){
					may_look ? &z->now[k] : &nothing, &z->set.v[k]};
	}
	rrset_sort(j->changes, j->n, sizeof(*j->changes), by_owner);
	return RESITE_OK;
}

/* --- the judgement ---------------------------------------------------------------------- */

static const char *
param_of(enum guard_rule rule)
{
	return rule == GUARD_CHANGES ? "max_changes" : rule == GUARD_PERCENT ? "max_percent"
	       : rule == GUARD_EMPTY ? "remove" : "record";
}

/* Does the step set (or remove) a type of one of these bits of this owner? */
static bool
has_change(const struct judging *j, const char *name, int bits, bool sets)
{
	for (size_t i = 0; i < j->n; i++) {
		const struct rrset *will = j->changes[i].will;
		bool fits = (will->n > 0) == sets && (guard_bit(will->type) & bits);
		char *owner = fits ? rrset_owner(will) : NULL;

		fits = owner && !strcmp(owner, name);
		free(owner);
		if (fits)
			return true;
	}
	return false;
}

/* A name that changes from an address to an alias, or back, has lost nothing. */
static bool
is_swap(const struct judging *j, const struct guard_finding *f)
{
	return f->rule == GUARD_EMPTY &&
	       (has_change(j, f->name, GUARD_CNAME, true) ||
		(has_change(j, f->name, GUARD_ADDRESS, true) &&
		 has_change(j, f->name, GUARD_CNAME, false)));
}

static void
found(void *arg, const struct guard_finding *f)
{
	struct judging *j = arg;
	struct step *s = j->s;
	size_t used = strlen(j->text);

	if (f->override) {
		char text[RESITE_EASY_MAX];

		snprintf(text, sizeof(text), "allowed by override (%s): %s", f->override->reason, f->text);
		s->host->log(s->op, RESITE_LOG_WARN, text);
	} else if (f->warning) {
		s->host->log(s->op, RESITE_LOG_WARN, f->text);
	} else if (!is_swap(j, f) && j->told++ < TOLD_MAX) {
		snprintf(j->text + used, sizeof(j->text) - used, "%s%s", used ? ". " : "", f->text);
		j->param = j->param ? j->param : param_of(f->rule);
	}
}

static int
tell_verdict(struct judging *j, int rc, bool may_look)
{
	struct step *s = j->s;

	if (rc < 0)
		return step_net_fail(s, rc, "cannot look whether the change is safe");
	for (size_t i = 0; i < j->n_overrides && may_look && j->n; i++)
		if (!j->overrides[i].used)
			resite_log(s->op, s->host, RESITE_LOG_INFO,
				   "the override of %s for %s was not needed",
				   guard_rule_text(j->overrides[i].rule), j->overrides[i].name);
	if (!j->told)
		return RESITE_OK;
	return resite_fail(s->op, s->host, may_look ? RESITE_ERR_REFUSED : RESITE_ERR_INVALID, j->param,
			   "%s%s", j->text, j->told > TOLD_MAX ? " …" : "");
}

int
step_judge(struct step *s, bool may_look)
{
	struct judging j = {.s = s};
	struct guard_case c = {.zone = s->zones[0].text,
			       .world = {.ctx = &j, .look = may_look ? look : NULL}};
	int rc = load_overrides(&j);

	if (rc == RESITE_OK)
		rc = load_changes(&j, may_look);
	if (rc == RESITE_OK && j.n)
		rc = load_limits(s, may_look, &c.limits);
	c.changes = j.changes;
	c.n_changes = j.n;
	c.overrides = j.overrides;
	c.n_overrides = j.n_overrides;
	if (rc == RESITE_OK && j.n)
		rc = tell_verdict(&j, guard_judge(&c, found, &j), may_look);
	free(j.changes);
	free(j.overrides);
	return rc;
}
