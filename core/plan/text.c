/* Reading a plan: includes are found by a scanner that knows just enough of
 * libconfig's syntax (comments and strings) to see which @include is one. */
#include "core/base/base.h"
#include "core/base/json.h"
#include "core/base/vec.h"
#include "core/plan/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
plan_text_init(struct plan_text *text)
{
	*text = (struct plan_text){.flat = STRBUF_INIT};
}

void
plan_text_release(struct plan_text *text)
{
	for (size_t i = 0; i < text->n_files; i++)
		free(text->file[i]);
	free(text->file);
	free(text->seg);
	free(text->dir);
	strbuf_release(&text->flat);
	plan_text_init(text);
}

static int
add_file(struct plan_text *text, const char *name)
{
	char *copy = strdup(name);

	if (!copy || vec_reserve(&text->file, text->n_files + 1, &text->files_cap) < 0) {
		free(copy);
		return E_NOMEM;
	}
	text->file[text->n_files++] = copy;
	return 0;
}

static int
add_segment(struct plan_text *text, unsigned flat_line, size_t file, unsigned line)
{
	if (vec_reserve(&text->seg, text->n_segs + 1, &text->segs_cap) < 0)
		return E_NOMEM;
	text->seg[text->n_segs++] = (struct plan_segment){flat_line, (uint32_t)file, line};
	return 0;
}

struct place
plan_text_place(const struct plan_text *text, unsigned flat_line)
{
	size_t lo = 0, hi = text->n_segs;

	if (!hi)
		return (struct place){text->n_files ? text->file[0] : "plan", flat_line};
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (text->seg[mid].flat_line <= flat_line)
			lo = mid;
		else
			hi = mid;
	}
	return (struct place){text->file[text->seg[lo].file],
			      text->seg[lo].line + (flat_line - text->seg[lo].flat_line)};
}

/* "DIR/" of name, with its slash; "" when it has none. */
static size_t
folder_len(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? (size_t)(slash - name) + 1 : 0;
}

struct reading {
	struct plan_text *text;
	struct diags *d;
	unsigned flat_line;                    /* of the next byte of text->flat */
	const char *open[PLAN_INCLUDE_DEPTH];  /* files being read, outermost first */
	size_t n_open;
	int rc;                                /* 0 or E_NOMEM */
};

enum scan_state { IN_PLAN, IN_LINE_COMMENT, IN_COMMENT, IN_STRING };

struct scan { /* of one file */
	struct reading *r;
	size_t file;           /* its index */
	const char *p, *end;   /* no NUL but the one at end */
	unsigned line;         /* of p */
	unsigned opened;       /* line where the comment or string began */
	const char *copied;    /* all before is in the flat text */
	enum scan_state state;
	bool in_word;          /* the byte before p is part of a name or number */
};

static void read_file(struct reading *r, const char *name, const char *by, unsigned by_line);

static void
copy_to(struct scan *s, const char *upto)
{
	strbuf_add(&s->r->text->flat, s->copied, (size_t)(upto - s->copied));
	s->copied = upto;
}

static bool
is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '_' || c == '*';
}

/* libconfig cuts numbers over 32 bits without a word: refuse them here. */
static void
check_number(struct scan *s)
{
	const char *digits = s->p, *q = digits;
	bool hex = q[0] == '0' && q + 1 < s->end && (q[1] == 'x' || q[1] == 'X');
	char copy[24];
	size_t len;

	while (q < s->end && is_word(*q))
		q++;
	len = (size_t)(q - digits);
	if (q < s->end && *q == '.')
		return;
	if (len < sizeof(copy)) {
		char *end;
		unsigned long long n;

		memcpy(copy, digits, len);
		copy[len] = '\0';
		errno = 0;
		n = strtoull(copy, &end, hex ? 16 : 10);
		if (!errno && n <= (*end == 'L' ? (unsigned long long)INT64_MAX : INT32_MAX))
			return;
		if (!errno && *end && *end != 'L')
			return; /* no number: libconfig says so */
	}
	diags_add(s->r->d, s->r->text->file[s->file], s->line, "the number %.*s is too large%s",
		  (int)(len < 40 ? len : 40), digits,
		  len < 19 && digits[len - 1] != 'L' ? ": write an L after it" : "");
}

/* Is the byte before `to` part of a name or number?  was: so it was at `from`. */
static bool
ends_in_word(const char *from, const char *to, bool was)
{
	while (to > from && to[-1] == '-')
		to--;
	return to > from ? is_word(to[-1]) : was;
}

/* One step of the scanner in plain text: where do comments, strings and numbers begin? */
static void
scan_plain(struct scan *s)
{
	const char *from = s->p;
	char c, next;
	bool in_word;

	s->p += strcspn(s->p, "\n\"#/0123456789");
	s->in_word = in_word = ends_in_word(from, s->p, s->in_word);
	if (s->p == s->end || *s->p == '\n')
		return;
	c = *s->p;
	next = s->p + 1 < s->end ? s->p[1] : '\0';
	s->in_word = is_word(c) || (in_word && c == '-');
	if (c >= '0' && c <= '9' && !in_word)
		check_number(s);
	s->p++;
	s->opened = s->line;
	if (c == '#' || (c == '/' && next == '/'))
		s->state = IN_LINE_COMMENT;
	else if (c == '"')
		s->state = IN_STRING;
	else if (c == '/' && next == '*') {
		s->state = IN_COMMENT;
		s->p++;
	}
}

static void
scan_one(struct scan *s)
{
	char c = *s->p, next = s->p + 1 < s->end ? s->p[1] : '\0';

	switch (s->state) {
	case IN_PLAN:
		scan_plain(s);
		return;
	case IN_LINE_COMMENT:
		s->p += strcspn(s->p, "\n");
		return;
	case IN_COMMENT:
		s->p += c == '*' && next == '/' ? 2 : 1;
		if (c == '*' && next == '/')
			s->state = IN_PLAN;
		return;
	case IN_STRING:
		s->p += strcspn(s->p, "\"\\\n");
		if (s->p == s->end || *s->p == '\n')
			return;
		c = *s->p;
		next = s->p + 1 < s->end ? s->p[1] : '\0';
		s->p += c == '\\' && (next == '\\' || next == '"') ? 2 : 1;
		if (c == '"')
			s->state = IN_PLAN;
		return;
	}
}

/* "@include" with its spaces at p, the start of a line?  Its length, or 0. */
static size_t
include_len(const char *p, const char *end)
{
	static const char word[] = "@include";
	const char *q = p;

	while (q < end && (*q == ' ' || *q == '\t'))
		q++;
	if ((size_t)(end - q) < sizeof(word) - 1 || strncmp(q, word, sizeof(word) - 1))
		return 0;
	for (q += sizeof(word) - 1; q < end && (*q == ' ' || *q == '\t');)
		q++;
	return (size_t)(q - p);
}

/* The rest of the line after an include: nothing, or a comment. */
static bool
ends_line(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == ';'))
		p++;
	return p == end || *p == '\n' || *p == '#' || (*p == '/' && p + 1 < end && p[1] == '/');
}

/* At an @include: puts the file in its place; what stays of the line follows on a
 * flat line of its own. */
static void
scan_include(struct scan *s, size_t len)
{
	struct reading *r = s->r;
	const char *from = s->p + len, *eol = memchr(s->p, '\n', (size_t)(s->end - s->p)), *quote;
	struct strbuf name = STRBUF_INIT;

	if (!eol)
		eol = s->end;
	quote = from < eol && *from == '"' ? memchr(from + 1, '"', (size_t)(eol - from - 1)) : NULL;
	copy_to(s, s->p);
	s->p = s->copied = eol;
	if (!quote || quote == from + 1 || !ends_line(quote + 1, eol)) {
		diags_add(r->d, r->text->file[s->file], s->line,
			  "@include: write @include \"FILE\" on a line of its own");
		return;
	}
	if (from[1] != '/')
		strbuf_add(&name, r->text->file[s->file], folder_len(r->text->file[s->file]));
	strbuf_add(&name, from + 1, (size_t)(quote - from - 1));
	if (name.failed)
		r->rc = E_NOMEM;
	else
		read_file(r, name.buf, r->text->file[s->file], s->line);
	strbuf_release(&name);
	if (r->rc == 0)
		r->rc = add_segment(r->text, r->flat_line, s->file, s->line);
}

static void
scan_file(struct scan *s)
{
	bool line_start = true;

	while (s->p < s->end && s->r->rc == 0) {
		size_t len = line_start && s->state == IN_PLAN ? include_len(s->p, s->end) : 0;

		line_start = false;
		if (len) {
			scan_include(s, len);
		} else if (*s->p == '\n') {
			s->p++;
			s->line++;
			s->r->flat_line++;
			line_start = true;
			s->in_word = false;
			if (s->state == IN_LINE_COMMENT)
				s->state = IN_PLAN;
		} else {
			scan_one(s);
		}
	}
	copy_to(s, s->end);
	if (s->end[-1] != '\n') {
		strbuf_addch(&s->r->text->flat, '\n');
		s->r->flat_line++;
	}
	if (s->state == IN_COMMENT || s->state == IN_STRING)
		diags_add(s->r->d, s->r->text->file[s->file], s->opened, "this %s is never closed",
			  s->state == IN_COMMENT ? "comment" : "string");
}

static bool
is_ascii(const struct strbuf *raw)
{
	unsigned char high = 0;

	for (size_t i = 0; i < raw->len; i++)
		high |= (unsigned char)raw->buf[i];
	return high < 0x80 && !memchr(raw->buf, '\0', raw->len);
}

/* Text for people and for JSON: UTF-8 without NULs, or a problem with its line. */
static bool
is_text(struct diags *d, const char *name, const struct strbuf *raw)
{
	unsigned line = 1;
	json_t *whole;

	if (is_ascii(raw))
		return true;
	whole = memchr(raw->buf, '\0', raw->len) ? NULL : json_stringn(raw->buf, raw->len);
	if (whole) {
		json_decref(whole);
		return true;
	}
	for (const char *p = raw->buf, *end = p + raw->len; p < end; line++) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((eol ? eol : end) - p);
		json_t *one = memchr(p, '\0', len) ? NULL : json_stringn(p, len);

		if (!one)
			break;
		json_decref(one);
		p += len + 1;
	}
	diags_add(d, name, line, "not text: a byte here is no UTF-8");
	return false;
}

static void
read_open(struct reading *r, const char *name, const char *by, unsigned by_line)
{
	struct strbuf raw = STRBUF_INIT;
	struct error err = {0};
	struct scan s = {.r = r, .line = 1};

	if (strbuf_read_file(&raw, name, PLAN_TEXT_MAX_BYTES - r->text->flat.len, &err) < 0) {
		diags_add(r->d, by ? by : name, by_line, "%s%s", by ? "@include: " : "", err.text);
	} else if (raw.len == 0) {
		if (!by)
			diags_add(r->d, name, 0, "the file is empty");
	} else if (is_text(r->d, name, &raw)) {
		s.file = r->text->n_files;
		s.p = s.copied = raw.buf;
		s.end = raw.buf + raw.len;
		r->rc = add_file(r->text, name);
		if (r->rc == 0)
			r->rc = add_segment(r->text, r->flat_line, s.file, 1);
		if (r->rc == 0)
			scan_file(&s);
	}
	strbuf_release(&raw);
}

static void
read_file(struct reading *r, const char *name, const char *by, unsigned by_line)
{
	for (size_t i = 0; i < r->n_open; i++)
		if (!strcmp(r->open[i], name)) {
			diags_add(r->d, by, by_line, "@include: %s includes itself", name);
			return;
		}
	if (r->n_open == PLAN_INCLUDE_DEPTH) {
		diags_add(r->d, by, by_line, "@include: %s: more than %d files deep", name,
			  PLAN_INCLUDE_DEPTH);
		return;
	}
	if (r->text->flat.len >= PLAN_TEXT_MAX_BYTES) {
		diags_add(r->d, by, by_line, "@include: the plan is larger than %u MiB",
			  PLAN_TEXT_MAX_BYTES >> 20);
		return;
	}
	r->open[r->n_open++] = name;
	read_open(r, name, by, by_line);
	r->n_open--;
}

/* The absolute folder of path. */
static char *
folder_of(const char *path)
{
	size_t len = folder_len(path);
	char *part = len ? strndup(path, len) : strdup("."), *whole;

	if (!part)
		return NULL;
	whole = realpath(part, NULL);
	free(part);
	return whole;
}

int
plan_read(const char *path, struct plan_text *text, struct diags *d)
{
	struct reading r = {.text = text, .d = d, .flat_line = 1};
	size_t errors = d->errors;

	text->dir = folder_of(path);
	if (!text->dir) {
		if (errno == ENOMEM)
			return E_NOMEM;
		diags_add(d, path, 0, "cannot open: %s", strerror(errno));
		return E_INVALID;
	}
	read_file(&r, path, NULL, 0);
	if (r.rc < 0 || text->flat.failed || d->failed)
		return E_NOMEM;
	return d->errors > errors ? E_INVALID : 0;
}

json_t *
plan_text_to_json(const struct plan_text *text)
{
	json_t *files = json_array(), *map = json_array(), *obj = json_object();
	bool ok = files && map && obj;

	for (size_t i = 0; ok && i < text->n_files; i++)
		ok = !json_array_append_new(files, json_string_lossy(text->file[i]));
	for (size_t i = 0; ok && i < text->n_segs; i++)
		ok = !json_array_append_new(map, json_integer(text->seg[i].flat_line)) &&
		     !json_array_append_new(map, json_integer(text->seg[i].file)) &&
		     !json_array_append_new(map, json_integer(text->seg[i].line));
	ok = ok && !json_object_set_new(obj, "dir", json_string_lossy(text->dir)) &&
	     !json_object_set(obj, "files", files) && !json_object_set(obj, "map", map) &&
	     !json_object_set_new(obj, "text", json_stringn(text->flat.buf, text->flat.len));
	json_decref(files);
	json_decref(map);
	if (!ok) {
		json_decref(obj);
		return NULL;
	}
	return obj;
}

static int
segments_from_json(const json_t *map, struct plan_text *text)
{
	size_t n = json_array_size(map);
	unsigned last = 0;

	if (n % 3)
		return E_CORRUPT;
	for (size_t i = 0; i < n; i += 3) {
		json_int_t flat = json_integer_value(json_array_get(map, i));
		json_int_t file = json_integer_value(json_array_get(map, i + 1));
		json_int_t line = json_integer_value(json_array_get(map, i + 2));

		if (flat < 1 || flat > INT32_MAX || flat < last || line < 1 || line > INT32_MAX ||
		    file < 0 || (size_t)file >= text->n_files)
			return E_CORRUPT;
		last = (unsigned)flat;
		if (add_segment(text, last, (size_t)file, (unsigned)line) < 0)
			return E_NOMEM;
	}
	return 0;
}

static int
text_from_json(const json_t *obj, struct plan_text *text)
{
	const json_t *files = json_object_get(obj, "files"), *flat = json_object_get(obj, "text");
	const char *dir = json_str_or(obj, "dir", NULL);

	if (!json_is_string(flat) || !dir || dir[0] != '/' || !json_array_size(files))
		return E_CORRUPT;
	text->dir = strdup(dir);
	strbuf_add(&text->flat, json_string_value(flat), json_string_length(flat));
	if (!text->dir || text->flat.failed)
		return E_NOMEM;
	for (size_t i = 0; i < json_array_size(files); i++) {
		const char *name = json_string_value(json_array_get(files, i));

		if (!name)
			return E_CORRUPT;
		if (add_file(text, name) < 0)
			return E_NOMEM;
	}
	return segments_from_json(json_object_get(obj, "map"), text);
}

int
plan_text_from_json(const json_t *obj, struct plan_text *text, struct error *err)
{
	int rc = text_from_json(obj, text);

	if (rc == E_NOMEM)
		return error_set(err, rc, "out of memory");
	if (rc < 0)
		return error_set(err, rc, "the plan in the journal does not fit together");
	return 0;
}
