/* The zone as the guard sees it. */
#include "config.h"

#include "plugins/dns-bind/step.h"

#include <stdlib.h>
#include <string.h>

#define LOOKS_MAX 8 /* scans for names that were not known to matter */

/* --- what the guard will ask about ----------------------------------------------------------- */

/* The name that is one label shorter. */
static bool
parent_of(const struct name *n, struct name *ret)
{
	return n->len > 1 && name_from_wire(n->wire + n->wire[0] + 1, n->len - n->wire[0] - 1u, ret);
}

static bool
wildcard_of(const struct name *n, struct name *ret)
{
	if (n->len + 2 > NAME_WIRE_MAX)
		return false;
	ret->wire[0] = 1;
	ret->wire[1] = '*';
	memcpy(ret->wire + 2, n->wire, n->len);
	ret->len = (uint8_t)(n->len + 2);
	return true;
}

/* A name, the names above it (is one delegated?) and their wildcards. */
static bool
watch_with_parents(struct zone *z, const struct name *name)
{
	struct name at = *name, up, star;
	bool ok = zone_watch(z, name);

	while (ok && name_is_in(&at, &z->name) && !name_equal(&at, &z->name) && parent_of(&at, &up)) {
		if (wildcard_of(&up, &star))
			ok = zone_watch(z, &star);
		ok = ok && zone_watch(z, &up);
		at = up;
	}
	return ok;
}

bool
guard_watch(struct part *p, const struct rrset *will, size_t n)
{
	bool ok = true;

	for (size_t i = 0; ok && i < n; i++) {
		struct guard_name target;
		struct name name;

		ok = name_from_wire(will[i].owner, will[i].owner_len, &name) && zone_watch(&p->zone, &name);
		for (size_t k = 0; ok && k < will[i].n; k++)
			if (guard_target(&will[i], k, &target) &&
			    name_from_wire(target.wire, target.len, &name) && name_is_in(&name, &p->zone.name))
				ok = watch_with_parents(&p->zone, &name);
	}
	return ok;
}

/* --- look ------------------------------------------------------------------------------------ */

struct world {
	struct step *s;
	struct part *part; /* that is judged; the others are seen too */
	unsigned looks;
};

static int
bits_of(const struct watch *w, struct guard_name *ret_target)
{
	int bits = 0;

	for (size_t i = 0; w && i < w->n; i++) {
		const struct spot *s = &w->spots[i];

		bits |= guard_bit(s->type);
		if (s->type == LDNS_RR_TYPE_CNAME && s->rdata.bytes && s->rdata.len <= sizeof(ret_target->wire)) {
			memcpy(ret_target->wire, s->rdata.bytes, s->rdata.len);
			ret_target->len = s->rdata.len;
		}
	}
	return bits;
}

static bool
is_delegated(const struct zone *z, const struct name *name)
{
	struct name at = *name, up;

	while (!name_equal(&at, &z->name)) {
		const struct watch *w = zone_find(z, &at);

		for (size_t i = 0; w && i < w->n; i++)
			if (w->spots[i].type == LDNS_RR_TYPE_NS)
				return true;
		if (!parent_of(&at, &up))
			break;
		at = up;
	}
	return false;
}

static int
look_in(const struct zone *z, const struct name *name, struct guard_name *ret_target)
{
	struct name at = *name, up, star;
	int bits = bits_of(zone_find(z, name), ret_target);

	if (bits)
		return GUARD_SEEN | bits;
	if (is_delegated(z, name))
		return GUARD_SEEN | GUARD_UNSURE;
	while (!name_equal(&at, &z->name) && parent_of(&at, &up)) {
		const struct watch *w = wildcard_of(&up, &star) ? zone_find(z, &star) : NULL;

		if (w && w->n)
			return GUARD_SEEN | bits_of(w, ret_target);
		w = zone_find(z, &up);
		if (w && w->n)
			break; /* the closest name that there is; wildcards above do not count */
		at = up;
	}
	return GUARD_SEEN;
}

static struct part *
part_with(struct step *s, const struct name *name)
{
	struct part *best = NULL;

	for (size_t i = 0; i < s->n; i++)
		if (name_is_in(name, &s->parts[i].zone.name) &&
		    (!best || s->parts[i].zone.name.len > best->zone.name.len))
			best = &s->parts[i];
	return best;
}

/* What the step sets at a name of another of its zones: the guard knows only the changes of
 * the one that it judges. */
static int
bits_to_be(const struct part *p, const struct name *name, struct guard_name *ret_target)
{
	int bits = 0;

	for (size_t i = 0; i < p->set.n; i++) {
		const struct rrset *s = &p->set.v[i];

		if (s->owner_len != name->len || memcmp(s->owner, name->wire, name->len) != 0 || !s->n)
			continue;
		bits |= guard_bit(s->type);
		if (s->type == LDNS_RR_TYPE_CNAME)
			guard_target(s, 0, ret_target);
	}
	return bits;
}

static int
look(void *ctx, const uint8_t *wire, size_t len, struct guard_name *ret_target)
{
	struct world *w = ctx;
	struct part *p;
	struct name name;
	int bits;

	if (!name_from_wire(wire, len, &name))
		return GUARD_UNSEEN;
	p = part_with(w->s, &name);
	if (!p || p->zone.n_files == 0)
		return GUARD_UNSEEN;
	if (!zone_find(&p->zone, &name)) {
		if (w->looks++ >= LOOKS_MAX || !p->zone.files[0].bytes)
			return GUARD_SEEN | GUARD_UNSURE;
		if (!watch_with_parents(&p->zone, &name))
			return step_no_memory(w->s);
		if (zone_look_again(&p->zone) != ZONE_OK)
			return step_zone_fail(w->s, p, ZONE_BROKEN);
	}
	bits = look_in(&p->zone, &name, ret_target);
	return p == w->part ? bits : bits | bits_to_be(p, &name, ret_target);
}

/* --- who points at a name? ---------------------------------------------------------------------- */

struct pointing {
	struct part *p;
	const uint8_t *wire;
	size_t len;
	void (*each)(void *arg, const struct rrset *s);
	void *arg;
	uint8_t *buf;
};

static void
on_record(void *ctx, const struct zone_record *r)
{
	struct pointing *g = ctx;
	struct guard_name target;
	uint8_t owner[NAME_WIRE_MAX];
	struct rdata d = {g->buf, 0};
	struct rrset s = {.owner = owner, .owner_len = r->name->len, .type = r->type, .ttl = r->ttl_s,
			  .rdata = &d, .n = 1};
	int len;

	if (r->type != LDNS_RR_TYPE_SRV && r->type != LDNS_RR_TYPE_CNAME && r->type != LDNS_RR_TYPE_MX &&
	    r->type != LDNS_RR_TYPE_NS)
		return;
	len = zone_data_wire(g->p->zone.files[r->file].bytes, r, g->buf);
	if (len < 0)
		return;
	d.len = (uint16_t)len;
	memcpy(owner, r->name->wire, r->name->len);
	if (guard_target(&s, 0, &target) && target.len == g->len && !memcmp(target.wire, g->wire, g->len))
		g->each(g->arg, &s);
}

static int
pointing_at(void *ctx, const uint8_t *wire, size_t len,
	    void (*each)(void *arg, const struct rrset *s), void *arg)
{
	struct world *w = ctx;
	struct pointing g = {w->part, wire, len, each, arg, malloc(ZONE_DATA_MAX)};

	if (!g.buf)
		return step_no_memory(w->s);
	if (w->part->zone.files[0].bytes)
		zone_each(&w->part->zone, on_record, &g);
	free(g.buf);
	return RESITE_OK;
}

/* --- judge ---------------------------------------------------------------------------------------- */

struct verdict {
	struct step *s;
	char first[GUARD_TEXT_MAX];
	unsigned n;
};

static void
on_finding(void *arg, const struct guard_finding *f)
{
	struct verdict *v = arg;

	if (f->override) {
		resite_log(v->s->op, v->s->host, RESITE_LOG_WARN, "allowed by override (%s): %s",
			   f->override->reason, f->text);
	} else if (f->warning) {
		resite_log(v->s->op, v->s->host, RESITE_LOG_WARN, "%s", f->text);
	} else {
		if (v->n++ == 0)
			snprintf(v->first, sizeof(v->first), "%s", f->text);
		resite_log(v->s->op, v->s->host, RESITE_LOG_ERROR, "%s", f->text);
	}
}

static enum guard_domain
domain_of(const char *text)
{
	return !strcmp(text, "strict") ? GUARD_STRICT : !strcmp(text, "warn") ? GUARD_WARN : GUARD_ANY;
}

int
step_guard(struct step *s, struct part *p, const struct rrset *was, const struct rrset *will, size_t n,
	   const uint32_t *serial)
{
	struct guard_change *changes = calloc(n + 1, sizeof(*changes));
	struct guard_serial raised = {p->zone.text, p->zone.serial, serial ? *serial : 0};
	struct world world = {.s = s, .part = p};
	struct verdict v = {.s = s};
	struct guard_case c = {
		.changes = changes, .n_changes = n, .serials = &raised, .n_serials = serial ? 1 : 0,
		.zone = p->zone.text, .overrides = s->overrides, .n_overrides = s->n_overrides,
		.limits = {.domain = domain_of(resite_str_or(s->op, s->host, "srv_target", "any")),
			   .max_changes = resite_i64_or(s->op, s->host, "max_changes", 0),
			   .max_percent = resite_i64_or(s->op, s->host, "max_percent", 0),
			   .total = p->zone.rrsets},
		.world = {&world, look, pointing_at},
	};
	int rc;

	if (!changes)
		return step_no_memory(s);
	for (size_t i = 0; i < n; i++)
		changes[i] = (struct guard_change){&was[i], &will[i]};
	/* Lower TTLs change no meaning. */
	if (s->lower) {
		c.world = (struct guard_world){NULL, NULL, NULL};
		c.limits.domain = GUARD_ANY;
	}
	rc = guard_judge(&c, on_finding, &v);
	free(changes);
	if (rc <= 0)
		return rc;
	if (rc == 1)
		return resite_fail(s->op, s->host, RESITE_ERR_REFUSED, "record", "%s", v.first);
	return resite_fail(s->op, s->host, RESITE_ERR_REFUSED, "record", "%s (and %d more: see the log)",
			   v.first, rc - 1);
}
