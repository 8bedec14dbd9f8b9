/* Puts the values of undo records back, in the files as they are now: what else was changed in
 * them since stays. */
#include "config.h"

#include "plugins/dns-bind/step.h"

#include <stdlib.h>
#include <string.h>

#define UNDO_VERSION 1

/* One undo record, and what becomes of it. */
struct old {
	size_t part;
	struct rrset_list set_list, was_list;
	struct rrset none; /* was, when there was nothing */
	int result;
	char *found; /* text of what was there before */
};

struct revert {
	struct step *s;
	int way;
	struct old *v;
	size_t n, cap;
};

static const struct rrset *
old_set(const struct old *o)
{
	return &o->set_list.v[0];
}

static const struct rrset *
old_was(const struct old *o)
{
	return o->was_list.n ? &o->was_list.v[0] : &o->none;
}

static void
release(struct revert *r)
{
	for (size_t i = 0; i < r->n; i++) {
		rrset_list_release(&r->v[i].set_list);
		rrset_list_release(&r->v[i].was_list);
		free(r->v[i].found);
	}
	free(r->v);
}

/* --- records ------------------------------------------------------------------------------- */

static const char *
value_of(const struct resite_kv *kv, uint32_t n, const char *key)
{
	const char *value = resite_kv_get(kv, n, key);

	return value ? value : "";
}

static bool
rebuild(struct rrset_list *list, const struct part *p, const char *name, const char *type,
	const char *ttl, const char *data, struct rrset_error *err)
{
	bool ok = true;

	while (ok && *data) {
		size_t len = strcspn(data, "\n");
		char *line = NULL;

		ok = asprintf(&line, "%s %s IN %s %.*s", name, ttl, type, (int)len, data) >= 0 &&
		     rrset_add_text(list, line, p->rdf, 0, err);
		free(line);
		data += len + (data[len] ? 1 : 0);
	}
	return ok && rrset_list_join(list, err) && list->n < 2;
}

static int
add_old(struct revert *r, uint32_t version, const struct resite_kv *kv, uint32_t n)
{
	const char *zone = value_of(kv, n, "zone"), *name = value_of(kv, n, "name");
	const char *type = value_of(kv, n, "type");
	struct rrset_error err = {"it has no data"};
	struct step *s = r->s;
	struct old *o;

	if (version != UNDO_VERSION)
		return resite_fail(s->op, s->host, RESITE_ERR_BUG, NULL,
				   "an undo record of version %u, this plugin knows version %d", (unsigned)version,
				   UNDO_VERSION);
	if (r->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 32;
		struct old *grown = realloc(r->v, cap * sizeof(*grown));

		if (!grown)
			return step_no_memory(s);
		r->v = grown;
		r->cap = cap;
	}
	o = &r->v[r->n++];
	*o = (struct old){.part = s->n};
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->parts[i].zone.text, zone))
			o->part = i;
	if (o->part == s->n)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "zone",
				   "the step has changed %s in zone %s, which it no longer names", name, zone);
	if (!rebuild(&o->set_list, &s->parts[o->part], name, type, value_of(kv, n, "set.ttl"),
		     value_of(kv, n, "set.data"), &err) ||
	    !rebuild(&o->was_list, &s->parts[o->part], name, type, value_of(kv, n, "was.ttl"),
		     value_of(kv, n, "was.data"), &err) ||
	    o->set_list.n != 1)
		return resite_fail(s->op, s->host, RESITE_ERR_BUG, NULL,
				   "the undo record of %s %s cannot be read: %s", name, type, err.text);
	o->none = (struct rrset){.owner = old_set(o)->owner, .owner_len = old_set(o)->owner_len,
				 .type = old_set(o)->type};
	return RESITE_OK;
}

static int
pull(struct revert *r)
{
	const struct resite_kv *kv;
	uint32_t version, n;
	int rc;

	while ((rc = r->s->host->undo_next(r->s->op, &version, &kv, &n)) == 1) {
		rc = add_old(r, version, kv, n);
		if (rc != RESITE_OK)
			return rc;
	}
	return rc;
}

/* The step is about what the undo records are about, not what the plan says now. */
static int
take_sets(struct revert *r)
{
	struct step *s = r->s;

	for (size_t i = 0; i < r->n; i++) {
		struct part *p = &s->parts[r->v[i].part];
		const struct rrset *from = old_set(&r->v[i]);
		char *owner, *line = NULL;
		struct rrset_error err = {""};
		bool ok, known = false;

		for (size_t k = 0; k < p->set.n; k++)
			known |= !rrset_order(&p->set.v[k], from);
		if (known)
			continue;
		/* Any data does: it is replaced by what is found. */
		owner = rrset_owner(from);
		ok = owner && (line = rrset_data(from, 0)) != NULL;
		if (ok) {
			char *text = NULL;

			ok = asprintf(&text, "%s 0 IN %s %s", owner, rrset_type_text(from->type), line) >= 0 &&
			     rrset_add_text(&p->set, text, p->rdf, 0, &err);
			free(text);
		}
		free(owner);
		free(line);
		if (!ok)
			return resite_fail(s->op, s->host, RESITE_ERR_BUG, NULL, "undo record: %s", err.text);
	}
	for (size_t i = 0; i < s->n; i++)
		if (s->parts[i].set.n)
			qsort(s->parts[i].set.v, s->parts[i].set.n, sizeof(struct rrset),
			      (int (*)(const void *, const void *))rrset_order);
	return RESITE_OK;
}

/* --- what becomes of them ---------------------------------------------------------------------- */

/* part->set becomes what the file has, then record by record, newest first, what will be. */
static bool
copy_data(struct rrset *to, const struct rrset *from)
{
	bool ok = true;

	rrset_clear(to);
	to->ttl = from->ttl;
	for (size_t i = 0; ok && i < from->n; i++)
		ok = rrset_add_rdata(to, from->rdata[i].bytes, from->rdata[i].len);
	return ok;
}

/* A change of nothing but the TTL is told from its undoing by the TTL alone. */
static bool
holds(const struct old *o, const struct rrset *now, const struct rrset *value)
{
	return rrset_same_data(old_was(o), old_set(o)) ? rrset_same(now, value) : rrset_same_data(now, value);
}

static int
decide(struct revert *r, struct old *o)
{
	struct rrset *now = rrset_list_find(&r->s->parts[o->part].set, old_set(o));

	o->found = rrset_text(now);
	if (holds(o, now, old_was(o)))
		o->result = RESITE_REVERTED_ALREADY;
	else if (holds(o, now, old_set(o)) || r->way == RESITE_FORCE)
		o->result = RESITE_REVERTED_PUT_BACK;
	else
		o->result = now->n ? RESITE_REVERTED_CONFLICT : RESITE_REVERTED_GONE;
	if (!o->found)
		return step_no_memory(r->s);
	/* A look lets the older record see what the newer one would leave. */
	if (o->result == RESITE_REVERTED_PUT_BACK && !copy_data(now, old_was(o)))
		return step_no_memory(r->s);
	return RESITE_OK;
}

static int
decide_all(struct revert *r)
{
	struct step *s = r->s;

	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->parts[i].set.n; k++)
			if (!copy_data(&s->parts[i].set.v[k], &s->parts[i].now[k]))
				return step_no_memory(s);
	for (size_t i = 0; i < r->n; i++) {
		int rc = decide(r, &r->v[i]);

		if (rc != RESITE_OK)
			return rc;
	}
	return RESITE_OK;
}

static int
tell(struct revert *r, size_t part)
{
	int rc = RESITE_OK;

	for (size_t i = 0; i < r->n && rc == RESITE_OK; i++) {
		const struct old *o = &r->v[i];
		char *name, *was, *set;

		if (o->part != part)
			continue;
		name = rrset_name(old_set(o));
		was = rrset_text(old_was(o));
		set = rrset_text(old_set(o));
		rc = name && was && set
			     ? r->s->host->reverted(r->s->op, name, o->result, was, set, o->found)
			     : step_no_memory(r->s);
		free(name);
		free(was);
		free(set);
	}
	return rc;
}

static bool
is_different(const struct part *p)
{
	for (size_t i = 0; i < p->set.n; i++)
		if (!rrset_same(&p->set.v[i], &p->now[i]))
			return true;
	return false;
}

static int
put_back(struct revert *r, size_t i)
{
	struct step *s = r->s;
	struct part *p = &s->parts[i];
	int rc = RESITE_OK;

	if (r->way != RESITE_LOOK && is_different(p))
		rc = part_change(s, p, p->set.v, p->set.n, NULL);
	/* Lost between rename and reload: the file is as it was, named still serves ours. */
	else if (r->way != RESITE_LOOK && s->rndc && !p->status.dynamic && p->set.n &&
		 p->served_serial != p->zone.serial)
		rc = rndc_reload(s, p);
	return rc == RESITE_OK ? tell(r, i) : rc;
}

int
set_revert(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	struct revert r = {.s = &s, .way = host->revert_way(op)};
	int rc = step_open(&s, op, host);

	if (rc == RESITE_OK)
		rc = pull(&r);
	if (rc == RESITE_OK)
		rc = take_sets(&r);
	if (rc == RESITE_OK)
		rc = step_look(&s, true);
	if (rc == RESITE_OK)
		rc = decide_all(&r);
	for (size_t i = 0; i < s.n && rc == RESITE_OK; i++)
		rc = put_back(&r, i);
	release(&r);
	step_release(&s);
	return rc;
}
