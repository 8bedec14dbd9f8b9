#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/people.h"

#include "plugins/ldap-homing/names.h"
#include "plugins/ldap-homing/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_CHUNK_BYTES (256 << 10)

static const char *const stay_names[LH_STAYS_N] = {
	"goes",	    "filter",  "excluded", "not-in-users-file",
	"mid-move", "refused", "conflict", "not-found"};

const char *
lh_stay_name(enum lh_stay why)
{
	return stay_names[why];
}

static int
no_memory(struct lh_error *e)
{
	return lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
}

/* --- searches ------------------------------------------------------------ */

/* extra: further filters, one after the other; NULL or "": none. */
static int
search_home(struct lh_conn *c, const struct lh_task *t, const char *home, const char *extra,
	    bool names_alone, int (*each)(void *, const struct lh_entry *, struct lh_error *),
	    void *arg, struct lh_error *e)
{
	char *filter = lh_filter_equal(t->attribute, home, extra);
	struct lh_query q = {.base = t->base, .scope = LDAP_SCOPE_SUBTREE, .filter = filter,
			     .page_size = t->page_size, .skip_references = t->skip_references};
	int rc;

	if (!filter)
		return no_memory(e);
	if (!names_alone) {
		q.attrs[LH_HOME] = t->attribute;
		q.attrs[LH_MOVING] = t->moving_attribute;
		if (t->listed || t->left_out || t->want_addresses)
			q.attrs[LH_ADDRESS] = t->address_attribute;
	}
	rc = lh_search(c, &q, each, arg, e);
	free(filter);
	return rc;
}

/* As search_home, with the filters of keep and drop: all of keep, none of drop. */
static int
search_kind(struct lh_conn *c, const struct lh_task *t, const char *home, const char *keep,
	    const char *drop, bool names_alone,
	    int (*each)(void *, const struct lh_entry *, struct lh_error *), void *arg,
	    struct lh_error *e)
{
	char *extra;
	int rc;

	if (asprintf(&extra, "%s%s%s%s", keep ? keep : "", drop ? "(!" : "", drop ? drop : "",
		     drop ? ")" : "") < 0)
		return no_memory(e);
	rc = search_home(c, t, home, extra, names_alone, each, arg, e);
	free(extra);
	return rc;
}

int
lh_people_on(struct lh_conn *c, const struct lh_task *t, const char *home, bool names_alone,
	     int (*each)(void *, const struct lh_entry *, struct lh_error *), void *arg,
	     struct lh_error *e)
{
	return search_kind(c, t, home, t->filter, t->exclude, names_alone, each, arg, e);
}

char *
lh_entry_home(const struct lh_entry *entry, int i, const char *home)
{
	for (const struct berval *v = entry->values[i]; v && v->bv_val; v++) {
		char *text = strndup(v->bv_val, v->bv_len);

		if (text && lh_same_value(text, home))
			return text;
		free(text);
	}
	return NULL;
}

char *
lh_entry_text(const struct lh_entry *entry, int i)
{
	const struct berval *v = entry->values[i];

	return v && v->bv_val ? strndup(v->bv_val, v->bv_len) : NULL;
}

/* --- who goes ------------------------------------------------------------ */

static bool
has_value(const struct lh_entry *entry, int i)
{
	return entry->values[i] && entry->values[i]->bv_val;
}

static bool
is_in(struct lh_addresses *file, const struct lh_entry *entry)
{
	bool found = false;

	for (const struct berval *v = entry->values[LH_ADDRESS]; v && v->bv_val; v++)
		found |= lh_addresses_meet(file, v->bv_val, v->bv_len);
	return found;
}

/* Of whom does the task speak, wherever she is? */
static enum lh_stay
spoken_of(const struct lh_task *t, const struct lh_entry *entry)
{
	bool listed = !t->listed || is_in(t->listed, entry);
	bool left_out = t->left_out && is_in(t->left_out, entry); /* asked always: it notes who was met */

	return left_out ? LH_STAYS_EXCLUDED : listed ? LH_GOES : LH_STAYS_UNLISTED;
}

enum lh_stay
lh_chosen(const struct lh_task *t, const struct lh_entry *entry)
{
	enum lh_stay why = spoken_of(t, entry);

	if (why == LH_GOES && t->mid_move == LH_MID_MOVE_LEAVE && has_value(entry, LH_MOVING))
		return LH_STAYS_MID_MOVE;
	return why;
}

struct counting {
	const struct lh_task *task;
	enum lh_stay (*judge)(const struct lh_task *, const struct lh_entry *); /* NULL: all */
	uint64_t n;
};

static int
count_one(void *arg, const struct lh_entry *entry, struct lh_error *e)
{
	struct counting *k = arg;

	(void)e;
	k->n += !k->judge || k->judge(k->task, entry) == LH_GOES;
	return 0;
}

int
lh_count_on(struct lh_conn *c, const struct lh_task *t, const char *home, uint64_t *ret_n,
	    struct lh_error *e)
{
	bool leaving = home == t->from && t->moving_attribute && t->mid_move == LH_MID_MOVE_LEAVE;
	struct counting k = {.task = t};
	int rc;

	if (t->listed || t->left_out || leaving)
		k.judge = leaving ? lh_chosen : spoken_of;
	rc = lh_people_on(c, t, home, !k.judge, count_one, &k, e);
	if (!rc)
		*ret_n = k.n;
	return rc;
}

int
lh_count_all_on(struct lh_conn *c, const struct lh_task *t, const char *home, uint64_t *ret_n,
		struct lh_error *e)
{
	struct counting k = {.task = t};
	int rc = search_home(c, t, home, NULL, true, count_one, &k, e);

	if (!rc)
		*ret_n = k.n;
	return rc;
}

int
lh_capacity_suffices(const struct lh_task *t, uint64_t there, uint64_t coming, struct lh_error *e)
{
	if (!t->capacity || coming == 0 || there + coming <= t->capacity)
		return 0;
	return lh_error_set(e, RESITE_ERR_REFUSED,
			    "the new home has room for %" PRIu64 " (capacity), %" PRIu64
			    " are on it and %" PRIu64 " would come: %" PRIu64 " too many; none of "
			    "these was moved. Move fewer (filter, exclude, users_file), or raise capacity "
			    "when the servers there can carry more",
			    t->capacity, there, coming, there + coming - t->capacity);
}

/* --- who is kept by the filters ------------------------------------------ */

struct keeping {
	int (*each)(void *, const struct lh_entry *, enum lh_stay, struct lh_error *);
	void *arg;
	enum lh_stay why;
	uint64_t n;
};

static int
keep_one(void *arg, const struct lh_entry *entry, struct lh_error *e)
{
	struct keeping *k = arg;

	k->n++;
	return k->each ? k->each(k->arg, entry, k->why, e) : 0;
}

static int
search_kept(struct lh_conn *c, const struct lh_task *t, struct keeping *k, struct lh_error *e)
{
	int rc = 0;

	k->why = LH_STAYS_FILTERED;
	if (t->filter)
		rc = search_kind(c, t, t->from, NULL, t->filter, false, keep_one, k, e);
	k->why = LH_STAYS_EXCLUDED;
	if (!rc && t->exclude) {
		char *both;

		if (asprintf(&both, "%s%s", t->filter ? t->filter : "", t->exclude) < 0)
			return no_memory(e);
		rc = search_kind(c, t, t->from, both, NULL, false, keep_one, k, e);
		free(both);
	}
	return rc;
}

/* Whom do all these searches together not show? */
static int
search_hidden(struct lh_conn *c, const struct lh_task *t, uint64_t *ret_n, struct lh_error *e)
{
	struct counting going = {.task = t}, all = {.task = t};
	struct keeping kept = {.each = NULL};

	if (search_kept(c, t, &kept, e) ||
	    lh_people_on(c, t, t->from, true, count_one, &going, e) ||
	    search_home(c, t, t->from, NULL, true, count_one, &all, e))
		return e->rc;
	*ret_n = all.n > going.n + kept.n ? all.n - going.n - kept.n : 0;
	return 0;
}

/* Some servers take such a filter for false (Samba), some for neither true nor false (slapd):
 * "nobody matches", be it for filter or for exclude, is the wrong answer for both. */
static int
refuse_unknown_names(struct lh_conn *c, const struct lh_task *t, struct lh_error *e)
{
	struct lh_names names = {.n = 0};
	const char *missing;

	if (t->filter)
		lh_filter_attributes(t->filter, &names);
	if (t->exclude)
		lh_filter_attributes(t->exclude, &names);
	if (lh_schema_lacks(c, &names, &missing, e))
		return e->rc;
	if (!missing)
		return 0;
	return lh_error_set(e, RESITE_ERR_REFUSED,
			    "%s: filter or exclude names an attribute that the server does not know: %s; "
			    "nobody would match it", c->url, missing);
}

int
lh_people_kept(struct lh_conn *c, const struct lh_task *t,
	       int (*each)(void *, const struct lh_entry *, enum lh_stay, struct lh_error *), void *arg,
	       struct lh_error *e)
{
	struct keeping k = {.each = each, .arg = arg};
	uint64_t hidden = 0;

	if (!t->filter && !t->exclude)
		return 0;
	if (refuse_unknown_names(c, t, e))
		return e->rc;
	/* Twice: the first time somebody may have come between two of the searches. */
	if (search_hidden(c, t, &hidden, e) || (hidden && search_hidden(c, t, &hidden, e)))
		return e->rc;
	if (hidden)
		return lh_error_set(e, RESITE_ERR_REFUSED,
				    "%s: for %" PRIu64 " of those on \"%s\" the server takes %s%s%s for "
				    "neither true nor false, so that it cannot be known whether they are to "
				    "go: has it a value that cannot be one of its attribute, or an "
				    "attribute that this user may not read?",
				    c->url, hidden, t->from, t->filter ? "filter " : "exclude ",
				    t->filter ? t->filter : t->exclude,
				    t->filter && t->exclude ? " or exclude" : "");
	return search_kept(c, t, &k, e);
}

/* --- the list ------------------------------------------------------------ */

struct lh_chunk {
	struct lh_chunk *next;
	size_t used, size;
	char text[];
};

static char *
list_text(struct lh_list *l, const char *text, size_t len)
{
	struct lh_chunk *k = l->chunks;
	char *copy;

	if (!k || k->size - k->used < len + 1) {
		size_t size = len + 1 > ARENA_CHUNK_BYTES ? len + 1 : ARENA_CHUNK_BYTES;

		k = malloc(sizeof(*k) + size);
		if (!k)
			return NULL;
		*k = (struct lh_chunk){.next = l->chunks, .size = size};
		l->chunks = k;
	}
	copy = k->text + k->used;
	memcpy(copy, text, len);
	copy[len] = '\0';
	k->used += len + 1;
	return copy;
}

/* Nearly always all users spell their home alike: one copy serves them all. */
static const char *
list_was(struct lh_list *l, const struct lh_entry *entry)
{
	const char *from = l->from ? l->from : (l->from = list_text(l, l->task->from, strlen(l->task->from)));
	const char *last = l->n ? l->people[l->n - 1].was : from;
	const struct berval *v = entry->values[LH_HOME];
	char *home, *kept;

	if (!from || !v || !v->bv_val || (v->bv_len == strlen(last) && !memcmp(v->bv_val, last, v->bv_len)))
		return last;
	home = lh_entry_home(entry, LH_HOME, from);
	if (!home)
		return from;
	kept = list_text(l, home, strlen(home));
	free(home);
	return kept;
}

int
lh_list_add(struct lh_list *l, const struct lh_entry *entry, struct lh_error *e)
{
	const struct berval *address = entry->values[LH_ADDRESS];
	struct lh_person p;

	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 1024;
		struct lh_person *more = realloc(l->people, cap * sizeof(*more));

		if (!more)
			return no_memory(e);
		l->people = more;
		l->cap = cap;
	}
	p.was = list_was(l, entry);
	p.address = NULL;
	if (l->task->want_addresses && address && address->bv_val)
		p.address = list_text(l, address->bv_val, address->bv_len);
	p.dn = list_text(l, entry->dn.bv_val, entry->dn.bv_len);
	if (!p.was || !p.dn)
		return no_memory(e);
	l->people[l->n++] = p;
	return 0;
}

static int
list_see(void *arg, const struct lh_entry *entry, struct lh_error *e)
{
	struct lh_list *l = arg;
	enum lh_stay why = lh_chosen(l->task, entry);
	char *address;

	if (has_value(entry, LH_MOVING) && (why == LH_GOES || why == LH_STAYS_MID_MOVE)) {
		l->mid_move++;
		lh_names_add(l->first_mid_move, sizeof(l->first_mid_move), entry->dn.bv_val);
	}
	if (why == LH_GOES)
		return lh_list_add(l, entry, e);
	address = lh_entry_text(entry, LH_ADDRESS);
	if (l->stays)
		l->stays(l->arg, entry->dn.bv_val, address, why);
	free(address);
	return 0;
}

int
lh_list_read(struct lh_list *l, struct lh_conn *c, struct lh_error *e)
{
	int rc = lh_people_on(c, l->task, l->task->from, false, list_see, l, e);

	if (!rc && l->mid_move && l->task->mid_move == LH_MID_MOVE_REFUSE)
		return lh_mid_move_refused(l->task, l->mid_move, l->first_mid_move, e);
	return rc;
}

void
lh_list_release(struct lh_list *l)
{
	while (l->chunks) {
		struct lh_chunk *next = l->chunks->next;

		free(l->chunks);
		l->chunks = next;
	}
	free(l->people);
	*l = (struct lh_list){.task = l->task};
}

/* --- words --------------------------------------------------------------- */

void
lh_names_add(char *names, size_t size, const char *dn)
{
	size_t used = strlen(names);
	int n = snprintf(names + used, size - used, "%s%s", used ? "; " : "", dn);

	if (n >= (int)(size - used)) /* no half names */
		names[used] = '\0';
}

int
lh_mid_move_refused(const struct lh_task *t, uint64_t n, const char *names, struct lh_error *e)
{
	return lh_error_set(e, RESITE_ERR_REFUSED,
			    "%" PRIu64 " %s are in the middle of another move (%s is set), and the plan "
			    "says to refuse then: %s; let that move end or clear the attribute, or say "
			    "mid_move = \"leave\" or \"move\"",
			    n, t->noun, t->moving_attribute, names);
}
