/* Lines go back one by one, only where they still are what we wrote; the file is written and
 * the proxy told once for all of them. */
#include "config.h"

#include "plugins/edge-nexthop/nexthop.h"

#include <stdlib.h>
#include <string.h>

/* What became of one record; the strings are copies. */
struct outcome {
	char *object, *was, *set, *now;
	int result;
};

struct outcomes {
	struct outcome *v;
	size_t n;
};

struct record {
	const char *object, *was, *set, *after;
	long in_set;
};

static char *
copy(const char *s)
{
	return s ? strdup(s) : NULL;
}

static int
add_outcome(struct edge *e, struct outcomes *all, const struct record *r, int result, const char *now)
{
	struct outcome *grown = realloc(all->v, (all->n + 1) * sizeof(*grown));

	if (!grown)
		return net_error(&e->net, RESITE_ERR_TRANSIENT, "out of memory");
	all->v = grown;
	grown[all->n++] = (struct outcome){.object = copy(r->object), .was = copy(r->was),
					   .set = copy(r->set), .now = copy(now), .result = result};
	return RESITE_OK;
}

/* The line of the set that is about the same destination as a line that we knew. */
static size_t
line_about(const struct list *l, long set, const char *text)
{
	size_t i;

	for (i = 0; text && i < l->n; i++) {
		const struct list_line *line = &l->lines[i];
		const char *at;

		if (!line->is_hop || line->set != set)
			continue;
		at = memmem(text, strlen(text), line->text + line->uri_at.at, line->uri_at.len);
		if (at && (!at[line->uri_at.len] || strchr(" \t:", at[line->uri_at.len])))
			return i;
	}
	return l->n;
}

static size_t
place_of(const struct list *l, const struct record *r)
{
	size_t i = r->after ? list_find_text(l, r->after) : l->n;

	return i < l->n ? i : list_end_of_set(l, r->in_set);
}

/* Changes the list in memory; false: no memory.  *ret_now: what is there, for the report. */
static bool
put_line_back(struct list *l, const struct record *r, bool force, int *ret_result, const char **ret_now)
{
	size_t ours = r->set ? list_find_text(l, r->set) : l->n;
	size_t theirs = r->was ? list_find_text(l, r->was) : l->n;
	size_t other = line_about(l, r->in_set, r->set ? r->set : r->was);

	if (other == l->n)
		other = line_about(l, r->in_set, r->was);
	*ret_result = RESITE_REVERTED_PUT_BACK;
	if (ours < l->n) {
		*ret_now = r->set;
		if (r->was)
			return list_set_text(&l->lines[ours], r->was);
		list_remove(l, ours);
		return true;
	}
	if (r->was ? theirs < l->n : other == l->n) {
		*ret_now = r->was;
		*ret_result = RESITE_REVERTED_ALREADY;
		return true;
	}
	*ret_now = other < l->n ? l->lines[other].text : NULL;
	if (!r->set && other == l->n)
		return list_insert(l, place_of(l, r), r->was);
	if (!force) {
		*ret_result = other < l->n ? RESITE_REVERTED_CONFLICT : RESITE_REVERTED_GONE;
		return true;
	}
	if (other == l->n)
		return list_insert(l, place_of(l, r), r->was);
	if (r->was)
		return list_set_text(&l->lines[other], r->was);
	list_remove(l, other);
	return true;
}

static int
revert_one(struct edge *e, struct list *l, const struct record *r, bool force, struct outcomes *all)
{
	const char *now = NULL;
	char *kept;
	int result, rc;

	/* What is there is a line of the list, which the change frees. */
	size_t other = line_about(l, r->in_set, r->set ? r->set : r->was);

	kept = copy(other < l->n ? l->lines[other].text : NULL);
	if (!put_line_back(l, r, force, &result, &now)) {
		free(kept);
		return net_error(&e->net, RESITE_ERR_TRANSIENT, "out of memory");
	}
	rc = add_outcome(e, all, r, result, result == RESITE_REVERTED_PUT_BACK ? kept : now);
	free(kept);
	return rc;
}

static int
take_records(struct edge *e, struct list *l, struct outcomes *all)
{
	bool force = e->host->revert_way(e->op) == RESITE_FORCE;
	const struct resite_kv *kv;
	uint32_t version, n;
	int rc;

	while ((rc = e->host->undo_next(e->op, &version, &kv, &n)) == 1) {
		const char *set = resite_kv_get(kv, n, "in.set");
		struct record r = {.object = resite_kv_get(kv, n, "object"),
				   .was = resite_kv_get(kv, n, "was.line"),
				   .set = resite_kv_get(kv, n, "set.line"),
				   .after = resite_kv_get(kv, n, "after.line"),
				   .in_set = set ? atol(set) : 0};

		if (version != UNDO_VERSION || !r.object || (!r.was && !r.set))
			return net_error(&e->net, RESITE_ERR_INVALID,
					 "an undo record of version %u, which this plugin did not write",
					 version);
		rc = revert_one(e, l, &r, force, all);
		if (rc != RESITE_OK)
			return rc;
	}
	return rc;
}

/* Also when no line was to be put back: an attempt that was lost may have written the file
 * and not reached the proxy. */
static int
install_reverted(struct edge *e, const struct work *w)
{
	size_t len = 0;
	char *text = list_text(&w->list, &len);
	int rc = text ? install(e, w, text, len)
		      : net_error(&e->net, RESITE_ERR_TRANSIENT, "out of memory");

	free(text);
	return rc;
}

static void
tell(struct edge *e, struct outcomes *all, bool told)
{
	for (size_t i = 0; i < all->n; i++) {
		struct outcome *o = &all->v[i];

		if (told)
			e->host->reverted(e->op, o->object ? o->object : "?", o->result, o->was, o->set,
					  o->now);
		free(o->object);
		free(o->was);
		free(o->set);
		free(o->now);
	}
	free(all->v);
}

int
nexthop_revert(struct edge *e)
{
	struct outcomes all = {0};
	struct work w;
	int rc = load_list(e, &w);

	if (rc == RESITE_OK)
		rc = take_records(e, &w.list, &all);
	if (rc == RESITE_OK && all.n && e->host->revert_way(e->op) != RESITE_LOOK)
		rc = install_reverted(e, &w);
	tell(e, &all, rc == RESITE_OK);
	work_release(&w);
	return rc;
}
