/* Putting RRsets back as undo records say, if they still hold what we wrote: a chunk of
 * records at a time, as few messages as apply needs. */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>
#include <string.h>

#define UNDO_VERSION 1
#define CHUNK 1000 /* records held at once */

/* One undo record, and what is there now. */
struct old {
	struct rrset_list set_list, was_list;
	struct rrset none;             /* was, when there was nothing */
	const struct rrset *set, *was;
	struct rrset now;              /* owner borrowed from set */
};

struct revert {
	struct step *s;
	int way;
	struct old *v;          /* CHUNK of them */
	struct change *changes; /* likewise */
	size_t *of;             /* of each change: its index in v */
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
rebuild(struct rrset_list *list, const struct step *s, const char *name, const char *type,
	const char *ttl, const char *data, struct rrset_error *err)
{
	char *line = NULL;
	bool ok = true;

	while (ok && *data) {
		size_t len = strcspn(data, "\n");

		ok = asprintf(&line, "%s %s IN %s %.*s", name, ttl, type, (int)len, data) >= 0;
		if (!ok)
			break;
		ok = rrset_add_text(list, line, s->zone, 0, err);
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

static void
old_release(struct old *o)
{
	rrset_clear(&o->now);
	rrset_list_release(&o->set_list);
	rrset_list_release(&o->was_list);
	*o = (struct old){.set = NULL};
}

static int
old_init(struct old *o, struct step *s, uint32_t version, const struct resite_kv *kv, uint32_t n)
{
	const char *name = value_of(kv, n, "name"), *type = value_of(kv, n, "type");
	struct rrset_error err = {"it has no data"};

	*o = (struct old){.set = NULL};
	if (version != UNDO_VERSION)
		return resite_fail(s->op, s->host, RESITE_ERR_BUG, NULL,
				   "an undo record of version %u, this plugin knows version %d",
				   (unsigned)version, UNDO_VERSION);
	if (!rebuild(&o->set_list, s, name, type, value_of(kv, n, "set.ttl"),
		     value_of(kv, n, "set.data"), &err) ||
	    !rebuild(&o->was_list, s, name, type, value_of(kv, n, "was.ttl"),
		     value_of(kv, n, "was.data"), &err) ||
	    o->set_list.n != 1) {
		old_release(o);
		return resite_fail(s->op, s->host, RESITE_ERR_BUG, NULL,
				   "the undo record of %s %s cannot be read: %s", name, type, err.text);
	}
	o->set = &o->set_list.v[0];
	o->none = o->now = absent(o->set);
	o->was = o->was_list.n ? &o->was_list.v[0] : &o->none;
	return RESITE_OK;
}

/* Two records of one RRset must not be under way at once: the older one builds on what the
 * newer one puts back. */
static bool
is_in_chunk(const struct revert *r, const struct old *o)
{
	for (size_t i = 0; i < r->n; i++)
		if (!rrset_order(r->v[i].set, o->set))
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
		resite_fail(r->s->op, r->s->host, rc, NULL, "out of memory");
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

	return tell(r, &r->v[r->of[c - r->changes]], result, now);
}

/* --- one chunk -------------------------------------------------------------------- */

static int
read_chunk(struct revert *r)
{
	struct rrset **v = calloc(r->n + 1, sizeof(*v));
	int rc;

	if (!v)
		return resite_fail(r->s->op, r->s->host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	for (size_t i = 0; i < r->n; i++)
		v[i] = &r->v[i].now;
	rc = read_rrsets(r->s, &r->s->server, r->s->transport, v, r->n, NULL);
	free(v);
	return rc == RESITE_OK ? rc : step_net_fail(r->s, rc, "cannot look what the records are now");
}

static int
look_at_chunk(struct revert *r)
{
	int rc = read_chunk(r);

	for (size_t i = 0; i < r->n && rc == RESITE_OK; i++) {
		const struct old *o = &r->v[i];
		int result = rrset_same_data(&o->now, o->was)   ? RESITE_REVERTED_ALREADY
			     : rrset_same_data(&o->now, o->set) ? RESITE_REVERTED_PUT_BACK
			     : o->now.n                         ? RESITE_REVERTED_CONFLICT
								: RESITE_REVERTED_GONE;

		rc = tell(r, o, result, &o->now);
	}
	return rc;
}

/* FORCE swaps what is there now instead of what we wrote. */
static int
put_chunk_back(struct revert *r)
{
	const struct settle settle = {r, told};
	bool force = r->way == RESITE_FORCE;
	int rc = force ? read_chunk(r) : RESITE_OK;
	size_t n = 0;

	for (size_t i = 0; i < r->n && rc == RESITE_OK; i++) {
		const struct old *o = &r->v[i];

		if (force && rrset_same_data(&o->now, o->was)) {
			rc = tell(r, o, RESITE_REVERTED_ALREADY, &o->now);
			continue;
		}
		r->changes[n] = (struct change){force ? &o->now : o->set, o->was};
		r->of[n++] = i;
	}
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
	if (o.was == &o.none)
		r->v[r->n].was = &r->v[r->n].none;
	r->n++;
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
	r.of = calloc(CHUNK, sizeof(*r.of));
	if (rc == RESITE_OK && (!r.v || !r.changes || !r.of))
		rc = resite_fail(op, host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	if (rc == RESITE_OK)
		rc = step_load_key(&s);
	if (rc == RESITE_OK)
		rc = revert_all(&r);
	free(r.v);
	free(r.changes);
	free(r.of);
	step_release(&s);
	return rc;
}
