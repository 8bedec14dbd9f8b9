/* Putting RRsets back as undo records say, if they still hold what we wrote: a chunk of
 * records at a time, as few messages as apply needs. */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 1000 /* records held at once */

/* One undo record, and what is there now. */
struct old {
	struct rrset_list set_list, was_list;
	struct rrset none;             /* was or set, when it is nothing */
	const struct rrset *set, *was;
	struct rrset now;              /* owner borrowed from set or was */
	struct rrset raised;           /* ttl: now with the former TTL; data borrowed from now */
	size_t zone;                   /* index in step.zones */
	bool ttl;                      /* a change of the TTL alone */
	bool any_data;                 /* ttl: whatever the data is by now */
};

struct revert {
	struct step *s;
	int way;
	struct old *v;          /* CHUNK of them */
	struct change *changes; /* likewise; tag: index in v */
	size_t n;
};

/* --- records ---------------------------------------------------------------------- */

static const char *
value_of(const struct resite_kv *kv, uint32_t n, const char *key)
{
	const char *value = resite_kv_get(kv, n, key);

	return value ? value : "";
}

/* Rebuilds an RRset from its lines of data; with none it has owner and type only. */
static bool
rebuild(struct rrset_list *list, const struct zone *z, const char *name, const char *type,
	const char *ttl, const char *data, struct rrset_error *err)
{
	char *line = NULL;
	bool ok = true;

	while (ok && *data) {
		size_t len = strcspn(data, "\n");

		ok = asprintf(&line, "%s %s IN %s %.*s", name, ttl, type, (int)len, data) >= 0;
		if (!ok)
			break;
		ok = rrset_add_text(list, line, z->name, 0, err);
		free(line);
		data += len + (data[len] ? 1 : 0);
	}
	return ok && rrset_list_join(list, err) && list->n < 2;
}

/* An RRset of the same owner and type with no data. */
static struct rrset
absent(const struct rrset *like)
{
	return (struct rrset){.owner = like->owner, .owner_len = like->owner_len,
			      .type = like->type};
}

/* The zone of a record; those of older ones are told by the name.  NULL: no memory. */
static struct zone *
zone_of_record(struct step *s, const char *text, const char *name)
{
	const char *wanted = *text ? text : name;
	ldns_rdf *rdf = NULL;
	struct zone *z = NULL;

	if (ldns_str2rdf_dname(&rdf, wanted) != LDNS_STATUS_OK)
		return NULL;
	ldns_dname2canonical(rdf);
	z = step_zone_of(s, ldns_rdf_data(rdf), ldns_rdf_size(rdf));
	if (*text && (!z || ldns_dname_compare(z->name, rdf) != 0))
		z = step_add_zone(s, text);
	ldns_rdf_deep_free(rdf);
	return z;
}

static void
old_release(struct old *o)
{
	rrset_clear(&o->now);
	rrset_list_release(&o->set_list);
	rrset_list_release(&o->was_list);
	*o = (struct old){.set = NULL};
}

static int
unreadable(struct step *s, const char *name, const char *type, const char *why)
{
	return resite_fail(s->op, s->host, RESITE_ERR_BUG, NULL,
			   "the undo record of %s %s cannot be read: %s", name, type, why);
}

static int
old_init(struct old *o, struct step *s, uint32_t version, const struct resite_kv *kv, uint32_t n)
{
	const char *name = value_of(kv, n, "name"), *type = value_of(kv, n, "type");
	struct zone *z = zone_of_record(s, value_of(kv, n, "zone"), name);
	struct rrset_error err = {"it has no data"};

	*o = (struct old){.any_data = !strcmp(value_of(kv, n, "what"), "ttl")};
	if (version != UNDO_VERSION)
		return resite_fail(s->op, s->host, RESITE_ERR_BUG, NULL,
				   "an undo record of version %u, this plugin knows version %d",
				   (unsigned)version, UNDO_VERSION);
	if (!z)
		return unreadable(s, name, type, "it is of no zone");
	o->zone = (size_t)(z - s->zones);
	if (!rebuild(&o->set_list, z, name, type, value_of(kv, n, "set.ttl"),
		     value_of(kv, n, "set.data"), &err) ||
	    !rebuild(&o->was_list, z, name, type, value_of(kv, n, "was.ttl"),
		     value_of(kv, n, "was.data"), &err) ||
	    o->set_list.n + o->was_list.n == 0) {
		old_release(o);
		return unreadable(s, name, type, err.text);
	}
	o->none = o->now = absent(o->set_list.n ? &o->set_list.v[0] : &o->was_list.v[0]);
	return RESITE_OK;
}

/* o is where it stays. */
static void
old_settle(struct old *o)
{
	o->set = o->set_list.n ? &o->set_list.v[0] : &o->none;
	o->was = o->was_list.n ? &o->was_list.v[0] : &o->none;
	o->ttl = o->any_data || rrset_same_data(o->set, o->was);
}

/* Two records of one RRset must not be under way at once: the older one builds on what the
 * newer one puts back. */
static bool
is_in_chunk(const struct revert *r, const struct old *o)
{
	for (size_t i = 0; i < r->n; i++)
		if (!rrset_order(r->v[i].set, &o->none))
			return true;
	return false;
}

/* --- reports ---------------------------------------------------------------------- */

static int
tell(struct revert *r, const struct old *o, int result, const struct rrset *now)
{
	char *name = rrset_name(o->set), *was = rrset_text(o->was), *set = rrset_text(o->set);
	char *is = rrset_text(now);
	int rc = RESITE_ERR_TRANSIENT;

	if (name && was && set && is)
		rc = r->s->host->reverted(r->s->op, name, result, was, set, is);
	else
		step_no_memory(r->s);
	free(name);
	free(was);
	free(set);
	free(is);
	return rc;
}

/* of struct settle */
static int
told(void *arg, const struct change *c, int result, const struct rrset *now)
{
	struct revert *r = arg;

	return tell(r, &r->v[c->tag], result, now);
}

/* --- one chunk -------------------------------------------------------------------- */

static int
read_chunk_of(struct revert *r, size_t zone, struct rrset **v)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].zone == zone)
			v[n++] = &r->v[i].now;
	return n ? read_rrsets(&r->s->zones[zone], &r->s->server, r->s->transport, v, n, NULL)
		 : RESITE_OK;
}

static int
read_chunk(struct revert *r)
{
	struct rrset **v = calloc(r->n + 1, sizeof(*v));
	int rc = RESITE_OK;

	if (!v)
		return step_no_memory(r->s);
	for (size_t zone = 0; zone < r->s->n_zones && rc == RESITE_OK; zone++)
		rc = read_chunk_of(r, zone, v);
	free(v);
	return rc == RESITE_OK ? rc : step_net_fail(r->s, rc, "cannot look what the records are now");
}

/* What PUT_BACK finds and does where it finds o->now. */
static int
judge(const struct old *o)
{
	bool others = o->ttl && !o->any_data && !rrset_same_data(&o->now, o->was);

	if (o->ttl)
		return !o->now.n				? RESITE_REVERTED_GONE
		       : !others && o->now.ttl == o->was->ttl	? RESITE_REVERTED_ALREADY
		       : !others && o->now.ttl == o->set->ttl	? RESITE_REVERTED_PUT_BACK
								: RESITE_REVERTED_CONFLICT;
	return rrset_same_data(&o->now, o->was)   ? RESITE_REVERTED_ALREADY
	       : rrset_same_data(&o->now, o->set) ? RESITE_REVERTED_PUT_BACK
	       : o->now.n			  ? RESITE_REVERTED_CONFLICT
						  : RESITE_REVERTED_GONE;
}

static int
look_at_chunk(struct revert *r)
{
	int rc = read_chunk(r);

	for (size_t i = 0; i < r->n && rc == RESITE_OK; i++)
		rc = tell(r, &r->v[i], judge(&r->v[i]), &r->v[i].now);
	return rc;
}

/* FORCE swaps what is there now instead of what we wrote; a TTL is put to what is there. */
static int
plan_one(struct revert *r, size_t i, size_t *n)
{
	struct old *o = &r->v[i];
	bool force = r->way == RESITE_FORCE;
	struct change c = {force || o->ttl ? &o->now : o->set, o->was, .zone = &r->s->zones[o->zone],
			   .tag = i};
	int result = force || o->ttl ? judge(o) : RESITE_REVERTED_PUT_BACK;

	if (result == RESITE_REVERTED_ALREADY || (o->ttl && !o->now.n) ||
	    (o->ttl && !force && result != RESITE_REVERTED_PUT_BACK))
		return tell(r, o, result, &o->now);
	if (o->ttl && (o->any_data || rrset_same_data(&o->now, o->was))) {
		o->raised = o->now;
		o->raised.ttl = o->was->ttl;
		c.will = &o->raised;
	}
	r->changes[(*n)++] = c;
	return RESITE_OK;
}

static bool
must_look(const struct revert *r)
{
	bool ttl = false;

	for (size_t i = 0; i < r->n; i++)
		ttl |= r->v[i].ttl;
	return ttl || r->way == RESITE_FORCE;
}

static int
put_chunk_back(struct revert *r)
{
	const struct settle settle = {r, told};
	int rc = must_look(r) ? read_chunk(r) : RESITE_OK;
	size_t n = 0;

	for (size_t i = 0; i < r->n && rc == RESITE_OK; i++)
		rc = plan_one(r, i, &n);
	return rc == RESITE_OK && n ? send_changes(r->s, r->changes, n, &settle) : rc;
}

static int
finish_chunk(struct revert *r)
{
	int rc = !r->n ? RESITE_OK : r->way == RESITE_LOOK ? look_at_chunk(r) : put_chunk_back(r);

	for (size_t i = 0; i < r->n; i++)
		old_release(&r->v[i]);
	r->n = 0;
	return rc;
}

/* --- all of it -------------------------------------------------------------------- */

static int
take_record(struct revert *r, uint32_t version, const struct resite_kv *kv, uint32_t n)
{
	struct old o;
	int rc = old_init(&o, r->s, version, kv, n);

	if (rc != RESITE_OK)
		return rc;
	if (r->n == CHUNK || is_in_chunk(r, &o))
		rc = finish_chunk(r);
	if (rc != RESITE_OK) {
		old_release(&o);
		return rc;
	}
	r->v[r->n] = o;
	old_settle(&r->v[r->n++]);
	return RESITE_OK;
}

static int
revert_all(struct revert *r)
{
	const struct resite_kv *kv;
	uint32_t version, n;
	int rc, last;

	while ((rc = r->s->host->undo_next(r->s->op, &version, &kv, &n)) == 1 &&
	       (rc = take_record(r, version, kv, n)) == RESITE_OK)
		;
	last = rc == RESITE_OK ? finish_chunk(r) : rc;
	for (size_t i = 0; i < r->n; i++)
		old_release(&r->v[i]);
	return last;
}

int
set_revert(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	struct revert r = {.s = &s, .way = host->revert_way(op)};
	int rc = step_init(&s, op, host);

	r.v = calloc(CHUNK, sizeof(*r.v));
	r.changes = calloc(CHUNK, sizeof(*r.changes));
	if (rc == RESITE_OK && (!r.v || !r.changes))
		rc = step_no_memory(&s);
	s.alias_is_nothing = true; /* an alias may be what we wrote */
	if (rc == RESITE_OK)
		rc = step_load_key(&s);
	if (rc == RESITE_OK)
		rc = revert_all(&r);
	free(r.v);
	free(r.changes);
	step_release(&s);
	return rc;
}
