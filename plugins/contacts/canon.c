#include "plugins/contacts/canon.h"

#include <stdlib.h>
#include <string.h>

struct canon_line {
	const char *s;
	size_t at; /* in c->text, which moves while it grows */
};

static void
add_value(struct buf *out, const char *s, bool lower)
{
	static const char special[] = "\t\n\r\\", written[] = "tnr\\";

	for (; *s; s++) {
		const char *at = strchr(special, *s);
		char c = lower && *s >= 'A' && *s <= 'Z' ? (char)(*s + 'a' - 'A') : *s;

		if (at) {
			buf_add(out, "\\", 1);
			c = written[at - special];
		}
		buf_add(out, &c, 1);
	}
}

/* Ends the line that was begun at that place of c->text. */
static void
end_line(struct canon *c, size_t at)
{
	buf_add(&c->text, "", 1);
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 256;
		struct canon_line *lines = realloc(c->lines, cap * sizeof *lines);

		if (!lines) {
			c->text.failed = true;
			return;
		}
		c->lines = lines;
		c->cap = cap;
	}
	c->lines[c->n++].at = at;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of one contact's groups, sorted: their order means nothing. */
static void
add_groups(struct canon *c, const struct model_user *u, const struct model_member *from, uint32_t n)
{
	const char **names = calloc(n ? n : 1, sizeof *names);

	if (!names) {
		c->text.failed = true;
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		names[i] = model_text(u, u->groups[from[i].group].name);
	qsort(names, n, sizeof *names, by_name);
	for (uint32_t i = 0; i < n; i++) {
		if (i && !strcmp(names[i], names[i - 1]))
			continue;
		buf_add(&c->text, "\t", 1);
		add_value(&c->text, names[i], false);
	}
	free(names);
}

static void
add_contacts(struct canon *c, const struct model_user *u)
{
	for (uint32_t i = 0, m = 0, begin; i < u->n_contacts; i++) {
		const struct model_contact *contact = &u->contacts[i];
		size_t at = c->text.len;

		for (begin = m; m < u->n_members && u->members[m].contact == i;)
			m++;
		buf_puts(&c->text, "c\t");
		add_value(&c->text, model_bare(model_text(u, contact->buddy)), true);
		buf_puts(&c->text, "\t");
		add_value(&c->text, model_text(u, contact->name), false);
		buf_puts(&c->text, contact->unwatched ? "\tunwatched" : "\t");
		add_groups(c, u, u->members + begin, m - begin);
		end_line(c, at);
	}
}

static void
add_group_lines(struct canon *c, const struct model_user *u)
{
	for (uint32_t i = 0; i < u->n_groups; i++) {
		const struct model_group *g = &u->groups[i];
		size_t at = c->text.len;

		/* Everybody has that one, in a format or another without saying so. */
		if (!strcmp(model_text(u, g->name), MODEL_OTHER) && !*model_text(u, g->external))
			continue;
		buf_puts(&c->text, "g\t");
		add_value(&c->text, model_text(u, g->name), false);
		buf_puts(&c->text, "\t");
		add_value(&c->text, model_text(u, g->external), false);
		end_line(c, at);
	}
}

static int
by_line(const void *a, const void *b)
{
	return strcmp(((const struct canon_line *)a)->s, ((const struct canon_line *)b)->s);
}

int
canon_user(struct canon *c, struct buf *out, const struct model_user *u, struct fault *f)
{
	buf_clear(&c->text);
	buf_clear(out);
	c->n = 0;
	add_contacts(c, u);
	add_group_lines(c, u);
	for (size_t i = 0; i < c->n; i++)
		c->lines[i].s = c->text.p + c->lines[i].at;
	if (c->n && !c->text.failed)
		qsort(c->lines, c->n, sizeof *c->lines, by_line);
	for (size_t i = 0; i < c->n && !c->text.failed; i++) {
		if (i && !strcmp(c->lines[i].s, c->lines[i - 1].s))
			continue;
		buf_puts(out, c->lines[i].s);
		buf_puts(out, "\n");
	}
	return c->text.failed || out->failed ? fault_memory(f) : RESITE_OK;
}

void
canon_key(struct buf *out, const struct model_user *u)
{
	buf_clear(out);
	add_value(out, model_text(u, u->name), true);
	buf_add(out, "", 1);
}

/* --- reading one ------------------------------------------------------------------ */

static struct slice
cut(struct slice *from)
{
	const char *tab = memchr(from->s, '\t', from->len);
	struct slice field = {from->s, tab ? (size_t)(tab - from->s) : from->len};
	size_t used = field.len + (tab ? 1 : 0);

	from->s += used;
	from->len -= used;
	return field;
}

bool
canon_next(struct slice *text, struct canon_item *ret)
{
	const char *end = text->len ? memchr(text->s, '\n', text->len) : NULL;
	struct slice left;

	if (!end)
		return false;
	ret->all = (struct slice){text->s, (size_t)(end - text->s) + 1};
	left = (struct slice){text->s, ret->all.len - 1};
	cut(&left);
	cut(&left);
	ret->key = (struct slice){text->s, (size_t)(left.s - text->s)};
	ret->field[0] = cut(&left);
	ret->field[1] = cut(&left);
	ret->rest = left;
	text->s += ret->all.len;
	text->len -= ret->all.len;
	return true;
}

int
canon_order(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int rc = memcmp(a.s, b.s, n);

	return rc ? rc : (a.len > b.len) - (a.len < b.len);
}

void
canon_release(struct canon *c)
{
	buf_release(&c->text);
	free(c->lines);
	*c = (struct canon){0};
}
