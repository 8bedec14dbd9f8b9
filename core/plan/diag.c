#include "core/base/base.h"
#include "core/base/json.h"
#include "core/base/vec.h"
#include "core/plan/diag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
diag_clear(struct diag *p)
{
	free(p->file);
	free(p->text);
}

void
diags_release(struct diags *d)
{
	for (size_t i = 0; i < d->len; i++)
		diag_clear(&d->item[i]);
	free(d->item);
	*d = (struct diags)DIAGS_INIT;
}

PRINTF_LIKE(5, 0) static void
add(struct diags *d, int severity, const char *file, unsigned line, const char *fmt, va_list ap)
{
	struct strbuf text = STRBUF_INIT;
	struct diag p = {.line = line, .severity = severity};

	(*(severity == DIAG_ERROR ? &d->errors : &d->warnings))++;
	if (d->len >= DIAGS_MAX)
		return;
	strbuf_vaddf(&text, fmt, ap);
	p.order = (uint32_t)d->len;
	p.text = strbuf_detach(&text);
	p.file = strdup(file);
	if (!p.text || !p.file || vec_reserve(&d->item, d->len + 1, &d->cap) < 0) {
		diag_clear(&p);
		d->failed = true;
		return;
	}
	d->item[d->len++] = p;
}

void
diags_add(struct diags *d, const char *file, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, DIAG_ERROR, file, line, fmt, ap);
	va_end(ap);
}

void
diags_warn(struct diags *d, const char *file, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, DIAG_WARNING, file, line, fmt, ap);
	va_end(ap);
}

static int
by_place(const void *va, const void *vb)
{
	const struct diag *a = va, *b = vb;
	int file = strcmp(a->file, b->file);

	if (file)
		return file;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* Has one of the kept problems of the same place the same text? */
static bool
is_said(const struct diags *d, size_t kept, const struct diag *p)
{
	while (kept > 0) {
		const struct diag *q = &d->item[--kept];

		if (q->line != p->line || strcmp(q->file, p->file))
			return false;
		if (q->severity == p->severity && !strcmp(q->text, p->text))
			return true;
	}
	return false;
}

void
diags_sort(struct diags *d)
{
	size_t kept = 0;

	if (d->len)
		qsort(d->item, d->len, sizeof(*d->item), by_place);
	for (size_t i = 0; i < d->len; i++) {
		struct diag *p = &d->item[i];

		if (is_said(d, kept, p)) {
			(*(p->severity == DIAG_ERROR ? &d->errors : &d->warnings))--;
			diag_clear(p);
		} else {
			d->item[kept++] = *p;
		}
	}
	d->len = kept;
}

void
diags_print(const struct diags *d, struct strbuf *out)
{
	size_t found = d->errors + d->warnings;

	for (size_t i = 0; i < d->len; i++) {
		const struct diag *p = &d->item[i];

		strbuf_addstr(out, p->file);
		if (p->line)
			strbuf_addf(out, ":%u", p->line);
		strbuf_addf(out, ": %s%s\n", p->severity == DIAG_WARNING ? "warning: " : "",
			    p->text);
	}
	if (found > d->len)
		strbuf_addf(out, "and %zu more\n", found - d->len);
}

json_t *
diags_to_json(const struct diags *d)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < d->len; i++) {
		const struct diag *p = &d->item[i];
		json_t *one = json_object();

		if (!one || json_object_set_new(one, "file", json_string_lossy(p->file)) ||
		    json_object_set_new(one, "line", json_integer(p->line)) ||
		    json_object_set_new(one, "severity", json_string(
			p->severity == DIAG_WARNING ? "warning" : "error")) ||
		    json_object_set_new(one, "text", json_string_lossy(p->text)) ||
		    json_array_append(list, one)) {
			json_decref(list);
			list = NULL;
		}
		json_decref(one);
	}
	return list;
}

/* Edits (insert, delete, replace, swap of neighbours) from a to b; both shorter
 * than SUGGEST_WORD_MAX. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned row[3][SUGGEST_WORD_MAX + 1];
	size_t la = strlen(a), lb = strlen(b);
	unsigned *before = row[0], *last = row[1], *now = row[2], *reuse;

	for (size_t j = 0; j <= lb; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
		reuse = before;
		before = last;
		last = now;
		now = reuse;
	}
	return last[lb];
}

void
suggest_init(struct suggest *s, const char *word)
{
	size_t len = strlen(word);

	s->word = word;
	s->best[0] = '\0';
	s->distance = len < 3 ? 1 : len < 6 ? 2 : 3; /* farther is no typing error */
	s->distance++;
}

void
suggest_offer(struct suggest *s, const char *candidate)
{
	unsigned d;

	if (strlen(s->word) >= SUGGEST_WORD_MAX || strlen(candidate) >= SUGGEST_WORD_MAX)
		return;
	d = distance(s->word, candidate);
	if (d < s->distance && d < strlen(candidate)) {
		s->distance = d;
		snprintf(s->best, sizeof(s->best), "%s", candidate);
	}
}

const char *
suggest_text(const struct suggest *s, char buf[SUGGEST_TEXT_MAX])
{
	buf[0] = '\0';
	if (s->best[0])
		snprintf(buf, SUGGEST_TEXT_MAX, " (did you mean '%s'?)", s->best);
	return buf;
}
