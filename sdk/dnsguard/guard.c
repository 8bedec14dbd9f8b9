#include "config.h"

#include "sdk/dnsguard/guard.h"

#include <resite/plugin.h>

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BESIDE (GUARD_ADDRESS | GUARD_SRV | GUARD_TXT | GUARD_OTHER) /* what a CNAME is not beside */
#define CHAIN_MAX 8 /* aliases that a resolver follows, at the very least */

static const struct {
	enum guard_rule rule;
	const char *text;
} rules[] = {
	{GUARD_EMPTY, "empty"},     {GUARD_ORPHAN, "orphan"},   {GUARD_DOMAIN, "domain"},
	{GUARD_ALIAS, "alias"},     {GUARD_SERIAL, "serial"},   {GUARD_CHANGES, "changes"},
	{GUARD_PERCENT, "percent"},
};

static const struct {
	uint16_t type;
	size_t offset; /* of the name in the data */
} pointers[] = {
	{LDNS_RR_TYPE_SRV, 6}, {LDNS_RR_TYPE_CNAME, 0}, {LDNS_RR_TYPE_MX, 2}, {LDNS_RR_TYPE_NS, 0},
};

struct judge {
	const struct guard_case *c;
	void (*found)(void *arg, const struct guard_finding *f);
	void *arg;
	int refused;
	int rc; /* < 0: the world could not be looked at */
};

const char *
guard_rule_text(enum guard_rule rule)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].rule == rule)
			return rules[i].text;
	return "?";
}

bool
guard_serial_newer(uint32_t a, uint32_t b)
{
	uint32_t ahead = b - a;

	return ahead != 0 && ahead < UINT32_C(0x80000000);
}

/* --- overrides ------------------------------------------------------------------ */

static bool
take_rule(const char *word, size_t len, enum guard_rule *ret)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (strlen(rules[i].text) == len && !memcmp(rules[i].text, word, len)) {
			*ret = rules[i].rule;
			return true;
		}
	return false;
}

const char *
guard_override_parse(const char *text, const char *zone, struct guard_override *ret)
{
	size_t rule_len = strcspn(text, " \t:"), len;
	const char *name = text + rule_len + strspn(text + rule_len, " \t"), *reason;

	if (!take_rule(text, rule_len, &ret->rule))
		return "it does not begin with a rule: empty, orphan, domain, alias, serial, changes or "
		       "percent";
	len = strcspn(name, ": \t");
	reason = name + len + strspn(name + len, " \t");
	if (len == 0 || *reason != ':')
		return "after the rule comes the name that it is for, then a colon: \"rule name: reason\"";
	if (*name == '*' && len == 1)
		return "an override is for one name";
	reason += 1 + strspn(reason + 1, " \t");
	if (!*reason)
		return "it has no reason";
	if (len == 1 && *name == '@')
		snprintf(ret->name, sizeof(ret->name), "%s", zone);
	else
		snprintf(ret->name, sizeof(ret->name), name[len - 1] == '.' ? "%.*s" : "%.*s.%s",
			 (int)len, name, zone);
	for (char *p = ret->name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	ret->reason = reason;
	ret->used = false;
	return NULL;
}

/* --- findings ------------------------------------------------------------------- */

static struct guard_override *
find_override(const struct judge *j, enum guard_rule rule, const char *name)
{
	for (size_t i = 0; i < j->c->n_overrides; i++)
		if (j->c->overrides[i].rule == rule && !strcmp(j->c->overrides[i].name, name))
			return &j->c->overrides[i];
	return NULL;
}

__attribute__((format(printf, 5, 6))) static void
say(struct judge *j, enum guard_rule rule, bool warning, const char *name, const char *fmt, ...)
{
	struct guard_override *o = warning ? NULL : find_override(j, rule, name);
	struct guard_finding f = {.rule = rule, .warning = warning, .name = name, .override = o};
	char text[GUARD_TEXT_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!warning && !o && n > 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n,
			 "; if it is meant: override = [\"%s %s: why\"]", guard_rule_text(rule), name);
	if (o)
		o->used = true;
	f.text = text;
	if (!warning && !o)
		j->refused++;
	j->found(j->arg, &f);
}

/* Texts for a sentence; the caller frees them.  "?": no memory. */
static char *
text_or(char *text)
{
	return text ? text : strdup("?");
}

static char *
name_text(const struct guard_name *n)
{
	struct rrset s = {.owner_len = (uint8_t)n->len};
	uint8_t copy[255];

	memcpy(copy, n->wire, n->len);
	s.owner = copy;
	return text_or(rrset_owner(&s));
}

/* --- the zones after the changes ------------------------------------------------- */

bool
guard_target(const struct rrset *s, size_t i, struct guard_name *ret)
{
	for (size_t k = 0; k < sizeof(pointers) / sizeof(pointers[0]); k++) {
		const struct rdata *d = &s->rdata[i];
		size_t at = pointers[k].offset;

		if (pointers[k].type != s->type || d->len <= at || d->len - at > sizeof(ret->wire))
			continue;
		ret->len = d->len - at;
		memcpy(ret->wire, d->bytes + at, ret->len);
		return true;
	}
	return false;
}

int
guard_bit(uint16_t type)
{
	static const struct {
		uint16_t type;
		int bit;
	} bits[] = {
		{LDNS_RR_TYPE_A, GUARD_A},	   {LDNS_RR_TYPE_AAAA, GUARD_AAAA},
		{LDNS_RR_TYPE_CNAME, GUARD_CNAME}, {LDNS_RR_TYPE_SRV, GUARD_SRV},
		{LDNS_RR_TYPE_TXT, GUARD_TXT},	   {LDNS_RR_TYPE_RRSIG, 0},
		{LDNS_RR_TYPE_NSEC, 0},
	};

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (bits[i].type == type)
			return bits[i].bit;
	return GUARD_OTHER;
}

static int
compare_owner(const struct rrset *s, const struct guard_name *n)
{
	int o = memcmp(s->owner, n->wire, s->owner_len < n->len ? s->owner_len : n->len);

	return o ? o : (s->owner_len > n->len) - (s->owner_len < n->len);
}

/* The first change that is not of a name before n. */
static size_t
first_of(const struct guard_case *c, const struct guard_name *n)
{
	size_t low = 0, high = c->n_changes;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare_owner(c->changes[mid].will, n) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* What a name will have. */
static int
look_after(struct judge *j, const struct guard_name *n, struct guard_name *ret_target)
{
	const struct guard_case *c = j->c;
	int seen = c->world.look ? c->world.look(c->world.ctx, n->wire, n->len, ret_target) : 0;

	if (seen < 0)
		return seen;
	for (size_t i = first_of(c, n); i < c->n_changes; i++) {
		const struct rrset *will = c->changes[i].will;

		if (compare_owner(will, n) != 0)
			break;
		if (guard_bit(will->type) != GUARD_OTHER)
			seen &= ~guard_bit(will->type);
		if (will->n)
			seen |= GUARD_SEEN | guard_bit(will->type);
		if (will->n && will->type == LDNS_RR_TYPE_CNAME)
			guard_target(will, 0, ret_target);
	}
	return seen;
}

/* Does the name lead to an address, by aliases if need be?  Outside of what is seen: yes. */
static bool
leads_to_address(struct judge *j, struct guard_name n)
{
	for (int i = 0; i < CHAIN_MAX; i++) {
		struct guard_name next = {.len = 0};
		int seen = look_after(j, &n, &next);

		if (seen < 0) {
			j->rc = seen;
			return true;
		}
		if (seen == GUARD_UNSEEN || (seen & (GUARD_ADDRESS | GUARD_UNSURE)))
			return true;
		if (!(seen & GUARD_CNAME) || next.len == 0)
			return false;
		n = next;
	}
	return false;
}

/* --- rules ---------------------------------------------------------------------- */

static bool
is_root(const struct guard_name *n)
{
	return n->len == 1;
}

/* The target "." of an SRV or MX says that there is no such service: it is meant. */
static void
judge_targets(struct judge *j, const struct rrset *s)
{
	for (size_t i = 0; i < s->n && j->rc == 0; i++) {
		struct guard_name target;
		char *name, *owner, *to;

		if (!guard_target(s, i, &target) || is_root(&target) || leads_to_address(j, target))
			continue;
		name = text_or(rrset_name(s));
		owner = text_or(rrset_owner(s));
		to = name_text(&target);
		say(j, GUARD_ORPHAN, false, owner,
		    "%s would point at %s, which would have no address: set an A or AAAA record of it in "
		    "the same step, or before", name, to);
		free(name);
		free(owner);
		free(to);
	}
}

static void
judge_empty(struct judge *j, const struct guard_change *c)
{
	char *name, *owner, *was;

	if (c->was->n == 0 || c->will->n > 0)
		return;
	name = text_or(rrset_name(c->will));
	owner = text_or(rrset_owner(c->will));
	was = text_or(rrset_text(c->was));
	say(j, GUARD_EMPTY, false, owner, "%s would be left without data; it is now %.200s", name, was);
	free(name);
	free(owner);
	free(was);
}

static void
judge_domain(struct judge *j, const struct rrset *s)
{
	bool warning = j->c->limits.domain == GUARD_WARN;
	int bad = j->c->limits.domain != GUARD_ANY && rrset_is_sip_service(s)
			  ? rrset_foreign_srv_target(s)
			  : -1;
	char *name, *owner, *data;

	if (bad < 0)
		return;
	name = text_or(rrset_name(s));
	owner = text_or(rrset_owner(s));
	data = text_or(rrset_data(s, (size_t)bad));
	say(j, GUARD_DOMAIN, warning, owner,
	    "%s '%.200s' would point into another domain, and SIP clients of Lync drop such an answer "
	    "(strict matching): give the server a name in this domain", name, data);
	free(name);
	free(owner);
	free(data);
}

static void
judge_alias(struct judge *j, const struct rrset *s)
{
	struct guard_name n = {.len = s->owner_len}, target;
	char *owner;
	int seen;

	if (s->n == 0)
		return;
	memcpy(n.wire, s->owner, n.len);
	seen = look_after(j, &n, &target);
	if (seen < 0) {
		j->rc = seen;
		return;
	}
	if (!(seen & GUARD_CNAME) || !(seen & BESIDE))
		return;
	owner = text_or(rrset_owner(s));
	say(j, GUARD_ALIAS, false, owner,
	    "%s would have a CNAME beside other records, and servers refuse or hide one of the two "
	    "(RFC 1034 3.6.2): %s", owner,
	    s->type == LDNS_RR_TYPE_CNAME ? "set records of the type that is there, or remove them first"
					  : "set the name that the CNAME points at, or the CNAME");
	free(owner);
}

/* An RRset of the zone that points at a name whose address goes; a changed one is judged
 * as what it will be. */
static void
judge_pointing(void *arg, const struct rrset *s)
{
	struct guard_name n = {.len = s->owner_len};
	struct judge *j = arg;

	memcpy(n.wire, s->owner, n.len);
	for (size_t i = first_of(j->c, &n); i < j->c->n_changes; i++) {
		int order = rrset_order(j->c->changes[i].will, s);

		if (order == 0)
			return;
		if (order > 0)
			break;
	}
	judge_targets(j, s);
}

static void
judge_removed(struct judge *j, const struct guard_change *c)
{
	struct guard_name n = {.len = c->will->owner_len};
	int rc;

	if (c->will->n || !c->was->n || !(guard_bit(c->will->type) & (GUARD_ADDRESS | GUARD_CNAME)) ||
	    !j->c->world.pointing_at)
		return;
	memcpy(n.wire, c->will->owner, n.len);
	if (leads_to_address(j, n) || j->rc < 0)
		return;
	rc = j->c->world.pointing_at(j->c->world.ctx, n.wire, n.len, judge_pointing, j);
	if (rc < 0)
		j->rc = rc;
}

static void
judge_serials(struct judge *j)
{
	for (size_t i = 0; i < j->c->n_serials; i++) {
		const struct guard_serial *s = &j->c->serials[i];

		if (!guard_serial_newer(s->was, s->will))
			say(j, GUARD_SERIAL, false, s->zone,
			    "the serial of %s would go from %lu to %lu, which is not newer (RFC 1982): "
			    "secondaries would keep the old zone", s->zone, (unsigned long)s->was,
			    (unsigned long)s->will);
	}
}

static size_t
count_changed(const struct judge *j)
{
	size_t n = 0;

	for (size_t i = 0; i < j->c->n_changes; i++)
		n += !rrset_same(j->c->changes[i].was, j->c->changes[i].will);
	return n;
}

static void
judge_limits(struct judge *j)
{
	const struct guard_limits *l = &j->c->limits;
	const char *zone = j->c->zone ? j->c->zone : ".";
	size_t n = count_changed(j);

	if (l->max_changes > 0 && n > (uint64_t)l->max_changes)
		say(j, GUARD_CHANGES, false, zone, "%zu RRsets would change, more than max_changes = %lld",
		    n, (long long)l->max_changes);
	if (l->max_percent > 0 && l->total > 0 && (uint64_t)n * 100 > l->total * (uint64_t)l->max_percent)
		say(j, GUARD_PERCENT, false, zone,
		    "%zu of %llu RRsets would change, more than max_percent = %lld", n,
		    (unsigned long long)l->total, (long long)l->max_percent);
}

/* The same name is not told twice of being an alias beside data. */
static bool
is_next_of_owner(const struct judge *j, size_t i)
{
	const struct rrset *s = j->c->changes[i].will, *o = i ? j->c->changes[i - 1].will : NULL;

	return o && o->n && o->owner_len == s->owner_len && !memcmp(o->owner, s->owner, s->owner_len);
}

int
guard_judge(const struct guard_case *c, void (*found)(void *arg, const struct guard_finding *f),
	    void *arg)
{
	struct judge j = {.c = c, .found = found, .arg = arg};

	for (size_t i = 0; i < c->n_overrides; i++)
		c->overrides[i].used = false;
	judge_limits(&j);
	judge_serials(&j);
	for (size_t i = 0; i < c->n_changes && j.rc == 0; i++) {
		const struct guard_change *change = &c->changes[i];

		judge_empty(&j, change);
		judge_domain(&j, change->will);
		if (!is_next_of_owner(&j, i))
			judge_alias(&j, change->will);
		judge_targets(&j, change->will);
		judge_removed(&j, change);
	}
	return j.rc < 0 ? j.rc : j.refused;
}
