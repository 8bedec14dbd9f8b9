#include "config.h"

#include "plugins/dns-bind/zonescan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TTL_MAX UINT32_C(0x7fffffff)

/* What a byte is to the reader. */
enum { WORD = 0, BLANK, LINE_FEED, RETURN, COMMENT, OPEN, CLOSE, QUOTE, ESCAPE, NOTHING };

static const uint8_t classes[256] = {
	['\0'] = NOTHING, [' '] = BLANK, ['\t'] = BLANK, ['\n'] = LINE_FEED, ['\r'] = RETURN,
	[';'] = COMMENT,  ['('] = OPEN,	 [')'] = CLOSE,	 ['"'] = QUOTE,	     ['\\'] = ESCAPE,
};

enum word { WORD_TAKEN, WORD_END, WORD_BAD };

/* What holds for a file from one entry to the next. */
struct place {
	size_t file;
	const char *bytes;
	const char *p, *end;
	unsigned line, depth;
	struct name origin;
};

struct scan {
	const struct zone_visitor *v;
	struct zone_error *err;
	struct name owner;
	bool has_owner;
	uint64_t owner_digest;
	uint32_t ttl, default_ttl;
	bool has_ttl, has_default_ttl;
	size_t n_files;
	unsigned nesting;
	struct zone_token *words; /* of the entry that is read */
	size_t n_words, cap;
};

__attribute__((format(printf, 3, 4))) static bool
fail(struct scan *s, const struct place *at, const char *fmt, ...)
{
	va_list ap;

	s->err->file = at->file;
	s->err->line = at->line;
	va_start(ap, fmt);
	vsnprintf(s->err->text, sizeof(s->err->text), fmt, ap);
	va_end(ap);
	return false;
}

/* --- digest: the same records, the same sum ---------------------------------------- */

static uint64_t
mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9fb21c651e98df25);
	return h ^ (h >> 32);
}

static uint64_t
mix_bytes(uint64_t h, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t v = 0;

	h = mix(h, len);
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&v, p, 8);
		h = mix(h, v);
	}
	v = 0;
	memcpy(&v, p, len);
	return len ? mix(h, v) : h;
}

/* --- words ------------------------------------------------------------------------ */

/* Moves behind a word that begins at p; NULL: it has no end. */
static const char *
skip_word(const char *p, const char *end)
{
	for (; p < end; p++) {
		uint8_t c = classes[(uint8_t)*p];

		if (c == WORD)
			continue;
		if (c != ESCAPE)
			break;
		if (++p == end || *p == '\n' || *p == '\r')
			return NULL;
	}
	return p;
}

static const char *
skip_quoted(const char *p, const char *end)
{
	for (p++; p < end && *p != '\n'; p++) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\' && ++p == end)
			break;
		if (p < end && *p == '\n')
			break;
	}
	return NULL;
}

static bool
take_parenthesis(struct scan *s, struct place *at, uint8_t c)
{
	if (c == OPEN && at->depth++ > 100)
		return fail(s, at, "too many parentheses are open");
	if (c == CLOSE && at->depth-- == 0)
		return fail(s, at, "a ) without its (");
	at->p++;
	return true;
}

/* The next word of the entry; WORD_END: there is none, and at->p is behind the line end. */
static enum word
next_word(struct scan *s, struct place *at, struct zone_token *ret)
{
	const char *p;

	for (;;) {
		uint8_t c = at->p < at->end ? classes[(uint8_t)*at->p] : LINE_FEED;

		switch (c) {
		case BLANK:
			at->p++;
			continue;
		case RETURN:
			if (at->p + 1 < at->end && at->p[1] == '\n') {
				at->p++;
				continue;
			}
			fail(s, at, "a carriage return without a line feed");
			return WORD_BAD;
		case COMMENT:
			p = memchr(at->p, '\n', (size_t)(at->end - at->p));
			at->p = p ? p : at->end;
			continue;
		case LINE_FEED:
			if (at->depth && at->p >= at->end) {
				fail(s, at, "the file ends inside of parentheses");
				return WORD_BAD;
			}
			if (at->p < at->end) {
				at->p++;
				at->line++;
			}
			if (at->depth)
				continue;
			return WORD_END;
		case OPEN:
		case CLOSE:
			if (!take_parenthesis(s, at, c))
				return WORD_BAD;
			continue;
		case NOTHING:
			fail(s, at, "a NUL byte: this is no zone file");
			return WORD_BAD;
		default:
			p = c == QUOTE ? skip_quoted(at->p, at->end) : skip_word(at->p, at->end);
			if (!p) {
				fail(s, at, c == QUOTE ? "a quoted text that its line does not end"
						       : "a backslash at the end of a line");
				return WORD_BAD;
			}
			ret->at = (size_t)(at->p - at->bytes);
			ret->len = (size_t)(p - at->p);
			at->p = p;
			return WORD_TAKEN;
		}
	}
}

static bool
keep_word(struct scan *s, struct place *at, const struct zone_token *word)
{
	if (s->n_words == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 32;
		struct zone_token *grown = realloc(s->words, cap * sizeof(*grown));

		if (!grown || cap > ZONE_TOKENS_MAX)
			return grown ? (s->words = grown, fail(s, at, "a record of too many words"))
				     : fail(s, at, "out of memory");
		s->words = grown;
		s->cap = cap;
	}
	s->words[s->n_words++] = *word;
	return true;
}

/* All words of an entry; false: they cannot be read. */
static bool
take_entry(struct scan *s, struct place *at)
{
	struct zone_token word;
	enum word w;

	s->n_words = 0;
	while ((w = next_word(s, at, &word)) == WORD_TAKEN)
		if (!keep_word(s, at, &word))
			return false;
	return w == WORD_END;
}

/* --- fields of a record ------------------------------------------------------------- */

static bool
is_word(const struct place *at, const struct zone_token *t, const char *text)
{
	return t->len == strlen(text) && !strncasecmp(at->bytes + t->at, text, t->len);
}

bool
zone_ttl_parse(const char *text, size_t len, uint32_t *ret)
{
	static const char units[] = "wdhms";
	static const uint32_t seconds[] = {604800, 86400, 3600, 60, 1};
	uint64_t sum = 0, n = 0;
	bool digits = false, bare = false;

	for (size_t i = 0; i < len; i++) {
		const char *unit;

		if (text[i] >= '0' && text[i] <= '9') {
			n = 10 * n + (uint64_t)(text[i] - '0');
			digits = bare = true;
			if (n > UINT32_MAX)
				return false;
			continue;
		}
		unit = memchr(units, text[i] | 0x20, sizeof(units) - 1);
		if (!unit || !bare)
			return false;
		sum += n * seconds[unit - units];
		n = 0;
		bare = false;
	}
	sum += n;
	if (!digits || sum > UINT32_MAX)
		return false;
	/* As BIND: RFC 2181 8 allows no more than 31 bits. */
	*ret = sum > TTL_MAX ? 0 : (uint32_t)sum;
	return true;
}

#define TYPE(name, number) {name, sizeof(name) - 1, number}
static const struct {
	const char *text;
	size_t len;
	uint16_t type;
} types[] = {
	TYPE("A", 1),	 TYPE("AAAA", 28), TYPE("CNAME", 5), TYPE("NS", 2),
	TYPE("MX", 15),	 TYPE("SRV", 33),  TYPE("TXT", 16),  TYPE("PTR", 12),
	TYPE("SOA", 6),	 TYPE("RRSIG", ZONE_RRSIG), TYPE("NSEC", 47), TYPE("DNAME", 39),
};

static bool
take_type(const struct place *at, const struct zone_token *t, uint16_t *ret)
{
	const char *text = at->bytes + t->at;
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].len == t->len && !strncasecmp(text, types[i].text, t->len)) {
			*ret = types[i].type;
			return true;
		}
	for (size_t i = 0; i < t->len; i++)
		if (!((text[i] | 0x20) >= 'a' && (text[i] | 0x20) <= 'z') && text[i] != '-' &&
		    (i == 0 || text[i] < '0' || text[i] > '9'))
			return false;
	*ret = ZONE_OTHER;
	if (t->len < 5 || t->len > 9 || strncasecmp(text, "TYPE", 4) != 0)
		return true;
	for (size_t i = 4; i < t->len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return true;
		n = 10 * n + (unsigned)(text[i] - '0');
	}
	*ret = n <= UINT16_MAX ? (uint16_t)n : ZONE_OTHER;
	return true;
}

/* The TTL of a record that gives none, as BIND finds it. */
static bool
implied_ttl(struct scan *s, struct place *at, const struct zone_record *r)
{
	const struct zone_token *minimum = r->n_data > 6 ? &r->data[6] : NULL;

	if (s->has_default_ttl) {
		s->ttl = s->default_ttl;
		s->has_ttl = true;
	} else if (!s->has_ttl && r->type == 6 && minimum &&
		   zone_ttl_parse(at->bytes + minimum->at, minimum->len, &s->ttl)) {
		s->default_ttl = s->ttl;
		s->has_default_ttl = s->has_ttl = true;
	}
	return s->has_ttl || fail(s, at, "a record without a TTL, before the first $TTL");
}

/* [TTL] [class] or [class] [TTL]; returns the index of the type's word, or -1. */
static int
take_ttl_and_class(struct scan *s, struct place *at, size_t i, struct zone_record *r)
{
	bool has_class = false;

	for (; i < s->n_words; i++) {
		const struct zone_token *t = &s->words[i];

		if (!has_class && (is_word(at, t, "IN") || is_word(at, t, "CLASS1")))
			has_class = true;
		else if (!r->ttl.len && zone_ttl_parse(at->bytes + t->at, t->len, &r->ttl_s))
			r->ttl = *t;
		else
			return (int)i;
	}
	return -1;
}

static uint64_t
record_digest(const struct scan *s, const struct place *at, const struct zone_record *r,
	      const struct zone_token *type)
{
	char folded[16] = {0};
	uint64_t h = mix(s->owner_digest, r->ttl_s);

	for (size_t i = 0; i < type->len && i < sizeof(folded); i++)
		folded[i] = (char)(at->bytes[type->at + i] | 0x20);
	h = mix_bytes(h, folded, sizeof(folded));
	for (size_t i = 0; i < r->n_data; i++)
		h = mix_bytes(h, at->bytes + r->data[i].at, r->data[i].len);
	return mix(h, r->n_data);
}

static bool
take_owner(struct scan *s, struct place *at, const struct zone_token *word)
{
	if (at->bytes[word->at] == '"')
		return fail(s, at, "an owner cannot be quoted");
	if (!name_parse(at->bytes + word->at, word->len, &at->origin, &s->owner))
		return fail(s, at, "the owner is no domain name");
	s->has_owner = true;
	s->owner_digest = mix_bytes(1, s->owner.wire, s->owner.len);
	return true;
}

static bool
take_record(struct scan *s, struct place *at, struct zone_record *r, bool has_owner)
{
	size_t first = has_owner ? 1 : 0;
	int type;

	if (has_owner && !take_owner(s, at, &s->words[0]))
		return false;
	if (!s->has_owner)
		return fail(s, at, "the first record has no owner");
	r->owner = has_owner ? s->words[0] : (struct zone_token){0, 0};
	type = take_ttl_and_class(s, at, first, r);
	if (type < 0 || !take_type(at, &s->words[type], &r->type))
		return fail(s, at, "a record without a type");
	r->fields = s->words[first].at;
	r->data = s->words + type + 1;
	r->n_data = s->n_words - (size_t)type - 1;
	if (r->ttl.len) {
		s->ttl = r->ttl_s;
		s->has_ttl = true;
	} else if (!implied_ttl(s, at, r)) {
		return false;
	}
	r->ttl_s = s->ttl;
	r->name = &s->owner;
	r->origin = &at->origin;
	r->digest = record_digest(s, at, r, &s->words[type]);
	s->v->record(s->v->ctx, r);
	return true;
}

/* --- directives -------------------------------------------------------------------- */

static bool scan_file(struct scan *s, struct place *at);

/* The text of a word without its quotes. */
static struct zone_token
unquoted(const struct place *at, struct zone_token t)
{
	if (t.len >= 2 && at->bytes[t.at] == '"') {
		t.at++;
		t.len -= 2;
	}
	return t;
}

static bool
take_include(struct scan *s, struct place *at)
{
	struct place in = {.line = 1, .origin = at->origin};
	struct name owner = s->owner;
	uint64_t owner_digest = s->owner_digest;
	struct zone_text text;
	struct zone_token path;
	char why[300] = "it cannot be opened";
	bool ok, had_owner = s->has_owner;

	if (s->n_words < 2)
		return fail(s, at, "$INCLUDE without a file");
	path = unquoted(at, s->words[1]);
	if (s->n_words > 2 && !name_parse(at->bytes + s->words[2].at, s->words[2].len, &at->origin,
					  &in.origin))
		return fail(s, at, "the origin of $INCLUDE is no domain name");
	if (s->nesting >= ZONE_DEPTH_MAX || s->n_files >= ZONE_FILES_MAX)
		return fail(s, at, "too many files are included, or they include each other");
	if (s->v->open(s->v->ctx, at->file, at->bytes + path.at, path.len, &text, why, sizeof(why)) < 0)
		return fail(s, at, "$INCLUDE: %s", why);
	in.file = s->n_files++;
	in.bytes = in.p = text.bytes;
	in.end = text.bytes + text.len;
	if (s->v->include)
		s->v->include(s->v->ctx, at->file, &s->words[1], in.file);
	s->nesting++;
	ok = scan_file(s, &in);
	s->nesting--;
	s->v->close(s->v->ctx);
	/* RFC 1035 5.1: what it did to origin and owner is over with it. */
	s->owner = owner;
	s->has_owner = had_owner;
	s->owner_digest = owner_digest;
	return ok;
}

static bool
take_directive(struct scan *s, struct place *at, unsigned line)
{
	const struct zone_token *word = &s->words[0], *arg = &s->words[1];
	struct name origin = at->origin;
	bool ok = true;

	if (is_word(at, word, "$INCLUDE")) {
		ok = take_include(s, at);
	} else if (is_word(at, word, "$ORIGIN")) {
		ok = (s->n_words == 2 &&
		      name_parse(at->bytes + arg->at, arg->len, &origin, &at->origin)) ||
		     fail(s, at, "$ORIGIN without a domain name");
	} else if (is_word(at, word, "$TTL")) {
		ok = (s->n_words == 2 && zone_ttl_parse(at->bytes + arg->at, arg->len, &s->default_ttl)) ||
		     fail(s, at, "$TTL without a time");
		s->has_default_ttl = ok;
	} else if (is_word(at, word, "$GENERATE")) {
		struct zone_generate g = {at->file, line, &at->origin, s->words[s->n_words > 2 ? 2 : 0]};

		if (s->n_words < 5)
			return fail(s, at, "$GENERATE is cut");
		s->v->generate(s->v->ctx, &g);
	} else if (!is_word(at, word, "$DATE")) {
		ok = fail(s, at, "a directive that is none of $ORIGIN, $TTL, $INCLUDE and $GENERATE");
	}
	return ok;
}

static bool
could_be_made(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '.';
}

/* Matches a template, where $ and ${...} stand for digits (hexadecimal, nibbles). */
static bool
matches(const char *t, const char *t_end, const char *text)
{
	while (t < t_end && *t != '$') {
		if (*t == '\\' && t + 1 < t_end)
			t++;
		if ((*t | (*t >= 'A' && *t <= 'Z' ? 0x20 : 0)) != *text)
			return false;
		t++;
		text++;
	}
	if (t == t_end)
		return *text == '\0';
	t++;
	if (t < t_end && *t == '{')
		while (t < t_end && *t++ != '}')
			;
	for (; could_be_made(*text); text++)
		if (matches(t, t_end, text + 1))
			return true;
	return false;
}

bool
zone_generate_may_make(const struct zone_generate *g, const char *text, const struct name *name)
{
	const char *t = text + g->owner.at;
	bool absolute = g->owner.len && t[g->owner.len - 1] == '.';
	char owner[NAME_TEXT_MAX];
	size_t dollars = 0;

	for (size_t i = 0; i < g->owner.len; i++)
		dollars += t[i] == '$';
	if (!absolute && !name_is_in(name, g->origin))
		return false;
	/* A template with several $ could take for ever. */
	if (g->owner.len > NAME_WIRE_MAX || dollars > 3)
		return true;
	name_text(name, absolute ? NULL : g->origin, owner);
	return matches(t, t + g->owner.len, owner);
}

/* --- files ------------------------------------------------------------------------- */

static bool
scan_file(struct scan *s, struct place *at)
{
	while (at->p < at->end) {
		struct zone_record r = {.file = at->file, .line = at->line,
					.begin = (size_t)(at->p - at->bytes)};
		bool blank = *at->p == ' ' || *at->p == '\t', ok = take_entry(s, at);

		r.end = (size_t)(at->p - at->bytes);
		if (!ok || s->n_words == 0)
			;
		else if (!blank && at->bytes[s->words[0].at] == '$')
			ok = take_directive(s, at, r.line);
		else
			ok = take_record(s, at, &r, !blank);
		if (!ok && s->err->file == at->file)
			s->err->line = r.line;
		if (!ok)
			return false;
	}
	return true;
}

bool
zone_scan(const struct zone_text *text, const struct name *zone, const struct zone_visitor *v,
	  struct zone_error *err)
{
	struct scan s = {.v = v, .err = err, .n_files = 1};
	struct place at = {.bytes = text->bytes, .p = text->bytes, .end = text->bytes + text->len,
			   .line = 1, .origin = *zone};
	bool ok = scan_file(&s, &at);

	free(s.words);
	return ok;
}
