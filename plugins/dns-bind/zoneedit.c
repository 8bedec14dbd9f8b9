#include "config.h"

#include "plugins/dns-bind/zoneedit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the list ------------------------------------------------------------------- */

bool
edits_add(struct edits *e, size_t file, size_t at, size_t len, const char *text)
{
	char *copy = strdup(text);

	if (copy && e->n == e->cap) {
		size_t cap = e->cap ? 2 * e->cap : 16;
		struct edit *grown = realloc(e->v, cap * sizeof(*grown));

		if (grown) {
			e->v = grown;
			e->cap = cap;
		}
	}
	if (!copy || e->n == e->cap) {
		free(copy);
		return false;
	}
	e->v[e->n] = (struct edit){file, at, len, copy, e->n};
	e->n++;
	return true;
}

static int
order(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->seq < y->seq ? -1 : 1;
}

void
edits_sort(struct edits *e)
{
	if (e->n)
		qsort(e->v, e->n, sizeof(*e->v), order);
}

void
edits_release(struct edits *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->v[i].text);
	free(e->v);
	*e = (struct edits){0};
}

/* --- a record that stays --------------------------------------------------------- */

static const char *
at_word(const struct zone *z, const struct spot *s, const struct zone_token *t)
{
	return zone_bytes(z, s->file) + t->at;
}

/* Does the word there say the same? */
static bool
says_the_same(const struct zone *z, const struct spot *s, size_t i, const struct zone_words *w)
{
	const char *there = at_word(z, s, &s->data[i]);
	struct name name;

	if (i == w->name_at)
		return name_parse(there, s->data[i].len, &s->origin, &name) && name_equal(&name, &w->name);
	return strlen(w->v[i]) == s->data[i].len && !memcmp(there, w->v[i], s->data[i].len);
}

static bool
is_apart(const struct zone *z, size_t file, size_t at)
{
	return at >= z->files[file].len || strchr(" \t\r\n();", zone_bytes(z, file)[at]) != NULL;
}

/* In a file a quoted word may touch its neighbours; what replaces it may not. */
static bool
replace_word(const struct zone *z, struct edits *e, const struct spot *s, const struct zone_token *t,
	     const char *text)
{
	bool before = t->at == 0 || is_apart(z, s->file, t->at - 1);
	bool behind = is_apart(z, s->file, t->at + t->len);
	char *apart;
	bool ok;

	if (before && behind)
		return edits_add(e, s->file, t->at, t->len, text);
	if (asprintf(&apart, "%s%s%s", before ? "" : " ", text, behind ? "" : " ") < 0)
		return false;
	ok = edits_add(e, s->file, t->at, t->len, apart);
	free(apart);
	return ok;
}

static bool
remove_word(const struct zone *z, struct edits *e, const struct spot *s, const struct zone_token *t)
{
	const char *bytes = zone_bytes(z, s->file);
	size_t from = t->at;

	while (from > 0 && (bytes[from - 1] == ' ' || bytes[from - 1] == '\t'))
		from--;
	return edits_add(e, s->file, from, t->at + t->len - from, "");
}

/* Words that are too many go, those that lack come behind the last. */
static bool
fit_words(const struct zone *z, struct edits *e, const struct spot *s, const struct zone_words *w)
{
	const struct zone_token *last = &s->data[s->n_data - 1];
	bool ok = true;

	for (size_t i = w->n; ok && i < s->n_data; i++)
		ok = remove_word(z, e, s, &s->data[i]);
	for (size_t i = s->n_data; ok && i < w->n; i++)
		ok = edits_add(e, s->file, last->at + last->len, 0, " ") &&
		     edits_add(e, s->file, last->at + last->len, 0, w->v[i]);
	return ok;
}

static bool
is_relative(const struct zone *z, const struct spot *s, size_t i)
{
	const struct zone_token *t = i < s->n_data ? &s->data[i] : NULL;

	return t && t->len && at_word(z, s, t)[t->len - 1] != '.';
}

static bool
change_data(const struct zone *z, struct edits *e, const struct spot *s, const struct rdata *d)
{
	size_t name_at = s->n_data ? s->n_data - 1 : 0; /* where the types that have a name have it */
	struct zone_words w;
	bool ok = zone_data_words(s->type, d, &s->origin, is_relative(z, s, name_at), &w);

	for (size_t i = 0; ok && i < w.n && i < s->n_data; i++)
		if (!says_the_same(z, s, i, &w))
			ok = replace_word(z, e, s, &s->data[i], w.v[i]);
	ok = ok && (s->n_data == w.n || fit_words(z, e, s, &w));
	zone_words_release(&w);
	return ok;
}

static bool
change_ttl(struct edits *e, const struct spot *s, uint32_t ttl)
{
	char text[16];

	if (s->ttl_s == ttl)
		return true;
	snprintf(text, sizeof(text), s->ttl.len ? "%lu" : "%lu ", (unsigned long)ttl);
	return s->ttl.len ? edits_add(e, s->file, s->ttl.at, s->ttl.len, text)
			  : edits_add(e, s->file, s->fields, 0, text);
}

/* --- a record that comes ------------------------------------------------------------ */

static const char *
line_end_of(const struct zone *z, size_t file)
{
	const char *bytes = zone_bytes(z, file), *lf = memchr(bytes, '\n', z->files[file].len);

	return lf && lf > bytes && lf[-1] == '\r' ? "\r\n" : "\n";
}

/* after: the record behind which it comes, or NULL: at the end of the first file. */
static bool
add_line(const struct zone *z, struct edits *e, const struct rrset *will, const struct rdata *d,
	 const struct spot *after)
{
	size_t file = after ? after->file : 0, at = after ? after->end : z->files[0].len;
	const struct name *origin = after ? &after->origin : NULL;
	const char *eol = line_end_of(z, file), *type = rrset_type_text(will->type);
	char owner[NAME_TEXT_MAX], head[NAME_TEXT_MAX + 64];
	struct zone_words w;
	struct name name;
	bool ok = type && name_from_wire(will->owner, will->owner_len, &name) &&
		  zone_data_words(will->type, d, origin, true, &w);

	if (!ok)
		return false;
	name_text(&name, origin, owner);
	snprintf(head, sizeof(head), "%s%s\t%lu\tIN\t%s", at > 0 && zone_bytes(z, file)[at - 1] != '\n' ? eol : "",
		 owner, (unsigned long)will->ttl, type);
	ok = edits_add(e, file, at, 0, head);
	for (size_t i = 0; ok && i < w.n; i++)
		ok = edits_add(e, file, at, 0, i ? " " : "\t") && edits_add(e, file, at, 0, w.v[i]);
	zone_words_release(&w);
	return ok && edits_add(e, file, at, 0, eol);
}

/* --- an RRset ------------------------------------------------------------------------ */

static bool
has_data(const struct spot *s, const struct rdata *d)
{
	return s->rdata.bytes && s->rdata.len == d->len && !memcmp(s->rdata.bytes, d->bytes, d->len);
}

struct pairing {
	struct spot **of;  /* for each piece of data: the record that has it or will have it */
	struct spot **all; /* the records that are there */
	size_t n_all;
	bool *taken;       /* of all */
};

/* Records keep their data where they can; the others take what is left, in order. */
static void
pair(struct pairing *p, const struct rrset *will)
{
	size_t next = 0;

	for (size_t i = 0; i < will->n; i++)
		for (size_t k = 0; k < p->n_all && !p->of[i]; k++)
			if (!p->taken[k] && has_data(p->all[k], &will->rdata[i])) {
				p->of[i] = p->all[k];
				p->taken[k] = true;
			}
	for (size_t i = 0; i < will->n; i++) {
		while (next < p->n_all && p->taken[next])
			next++;
		if (p->of[i] || next == p->n_all)
			continue;
		p->of[i] = p->all[next];
		p->taken[next] = true;
	}
	for (size_t k = 0; k < p->n_all; k++)
		p->all[k]->gone = !p->taken[k];
}

/* The record behind which new ones come. */
static const struct spot *
last_place(const struct watch *w, const struct pairing *p)
{
	if (p->n_all)
		return p->all[p->n_all - 1];
	return w && w->n ? &w->spots[w->n - 1] : NULL;
}

static bool
write_pairs(struct zone *z, struct edits *e, const struct watch *w, const struct pairing *p,
	    const struct rrset *will)
{
	bool ok = true;

	for (size_t i = 0; ok && i < will->n; i++) {
		const struct rdata *d = &will->rdata[i];

		if (!p->of[i])
			ok = add_line(z, e, will, d, last_place(w, p));
		else
			ok = change_ttl(e, p->of[i], will->ttl) &&
			     (has_data(p->of[i], d) || change_data(z, e, p->of[i], d));
	}
	return ok;
}

static bool
edit_rrset(struct zone *z, struct edits *e, const struct rrset *will)
{
	struct name name;
	struct watch *w = name_from_wire(will->owner, will->owner_len, &name) ? zone_find(z, &name) : NULL;
	size_t n = w ? w->n : 0;
	struct pairing p = {.of = calloc(will->n + 1u, sizeof(*p.of)),
			    .all = calloc(n + 1, sizeof(*p.all)),
			    .taken = calloc(n + 1, sizeof(*p.taken))};
	bool ok = p.of && p.all && p.taken;

	for (size_t i = 0; ok && i < n; i++)
		if (w->spots[i].type == will->type)
			p.all[p.n_all++] = &w->spots[i];
	for (size_t i = 0; ok && i < p.n_all; i++)
		if (p.all[i]->n_data == 0) {
			zone_fail(z, ZONE_BROKEN, "%s:%u: the record has no data", z->files[p.all[i]->file].path,
				  p.all[i]->line);
			ok = false;
		}
	if (ok) {
		pair(&p, will);
		ok = write_pairs(z, e, w, &p, will);
	}
	free(p.of);
	free(p.all);
	free(p.taken);
	return ok;
}

/* --- lines that go ------------------------------------------------------------------- */

/* A line that goes may have been the one that names the owner of lines behind it. */
static bool
remove_lines(struct edits *e, const struct watch *w)
{
	char owner[NAME_TEXT_MAX];
	bool named = true, ok = true;

	for (size_t i = 0; ok && i < w->n; i++) {
		const struct spot *s = &w->spots[i];

		if (s->owner.len || s->first_in_file)
			named = !s->owner.len;
		if (s->gone) {
			ok = edits_add(e, s->file, s->begin, s->end - s->begin, "");
			continue;
		}
		if (!s->owner.len && !named) {
			name_text(&w->name, &s->origin, owner);
			ok = edits_add(e, s->file, s->begin, 0, owner);
		}
		named = true;
	}
	return ok;
}

static bool
edit_serial(struct zone *z, struct edits *e, uint32_t serial)
{
	char text[16];

	if (serial == z->serial)
		return true;
	snprintf(text, sizeof(text), "%lu", (unsigned long)serial);
	return edits_add(e, z->soa.file, z->serial_at.at, z->serial_at.len, text);
}

bool
zone_edit(struct zone *z, const struct rrset *sets, size_t n, uint32_t serial, struct edits *ret)
{
	bool ok;

	z->err[0] = '\0';
	ok = edit_serial(z, ret, serial);
	for (size_t i = 0; ok && i < n; i++)
		ok = edit_rrset(z, ret, &sets[i]);
	for (size_t i = 0; ok && i < n; i++) {
		bool last = i + 1 == n || sets[i].owner_len != sets[i + 1].owner_len ||
			    memcmp(sets[i].owner, sets[i + 1].owner, sets[i].owner_len) != 0;
		struct name name;
		struct watch *w = last && name_from_wire(sets[i].owner, sets[i].owner_len, &name)
					  ? zone_find(z, &name)
					  : NULL;

		ok = !w || remove_lines(ret, w);
	}
	edits_sort(ret);
	if (!ok && !z->err[0])
		zone_fail(z, ZONE_IO, "out of memory");
	return ok;
}
