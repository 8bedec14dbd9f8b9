#include "core/base/base.h"
#include "core/base/json.h"

#include <string.h>

const char *
json_str_or(const json_t *obj, const char *key, const char *fallback)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s ? s : fallback;
}

int64_t
json_int_or(const json_t *obj, const char *key, int64_t fallback)
{
	const json_t *v = json_object_get(obj, key);

	return json_is_integer(v) ? (int64_t)json_integer_value(v) : fallback;
}

bool
json_bool_or(const json_t *obj, const char *key, bool fallback)
{
	const json_t *v = json_object_get(obj, key);

	return json_is_boolean(v) ? json_boolean_value(v) : fallback;
}

static int
write_chunk(const char *data, size_t len, void *sb)
{
	strbuf_add(sb, data, len);
	return ((struct strbuf *)sb)->failed ? -1 : 0;
}

void
json_write(struct strbuf *sb, const json_t *value)
{
	if (!value || json_dump_callback(value, write_chunk, sb,
					 JSON_COMPACT | JSON_ENCODE_ANY) < 0)
		sb->failed = true;
}

size_t
json_utf8_len(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = s[0] < 0x80 ? 1 : (s[0] & 0xe0) == 0xc0 ? 2 :
		   (s[0] & 0xf0) == 0xe0 ? 3 : (s[0] & 0xf8) == 0xf0 ? 4 : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((n == 2 && s[0] < 0xc2) || (n == 3 && s[0] == 0xe0 && s[1] < 0xa0) ||
	    (n == 3 && s[0] == 0xed && s[1] > 0x9f) ||
	    (n == 4 && s[0] == 0xf0 && s[1] < 0x90) ||
	    (n == 4 && (s[0] > 0xf4 || (s[0] == 0xf4 && s[1] > 0x8f))))
		return 0;
	return n;
}

static void
write_control(struct strbuf *sb, unsigned char c)
{
	switch (c) {
	case '\n': strbuf_add(sb, "\\n", 2); break;
	case '\r': strbuf_add(sb, "\\r", 2); break;
	case '\t': strbuf_add(sb, "\\t", 2); break;
	default: strbuf_addf(sb, "\\u%04x", c);
	}
}

void
json_write_string(struct strbuf *sb, const char *s)
{
	const unsigned char *p = (const unsigned char *)s, *plain = p;

	strbuf_addch(sb, '"');
	while (*p) {
		size_t n = *p < 0x80 ? 1 : json_utf8_len((const char *)p);

		if (n && *p >= 0x20 && *p != '"' && *p != '\\') {
			p += n;
			continue;
		}
		strbuf_add(sb, plain, (size_t)(p - plain));
		if (!n)
			strbuf_addstr(sb, "\xef\xbf\xbd");
		else if (*p < 0x20)
			write_control(sb, *p);
		else
			strbuf_add(sb, (char[]){'\\', (char)*p}, 2);
		plain = ++p;
	}
	strbuf_add(sb, plain, (size_t)(p - plain));
	strbuf_addch(sb, '"');
}

json_t *
json_string_lossy(const char *s)
{
	struct strbuf sb = STRBUF_INIT;
	json_t *v = json_string(s);

	if (v)
		return v;
	json_write_string(&sb, s);
	v = sb.failed ? NULL : json_loadb(sb.buf, sb.len, JSON_DECODE_ANY, NULL);
	strbuf_release(&sb);
	return v;
}

json_t *
json_parse(const char *text, size_t len, struct error *err)
{
	json_error_t why;
	json_t *v = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);

	if (v)
		return v;
	if (json_error_code(&why) == json_error_out_of_memory)
		error_set(err, E_NOMEM, "out of memory");
	else
		error_set(err, E_INVALID, "byte %d: %s", why.position, why.text);
	return NULL;
}

/* --- passing over ------------------------------------------------------------ */

/* Below this, a tree is as cheap as looking for what could be left out. */
#define SMALL_BYTES 2048

/* Whether the character at p is escaped: an odd number of backslashes is before it. */
static bool
is_escaped(const char *from, const char *p)
{
	const char *q = p;

	while (q > from && q[-1] == '\\')
		q--;
	return (p - q) & 1;
}

/* Behind the string that begins at p; NULL when it does not end. */
static const char *
skip_string(const char *p, const char *end)
{
	const char *from = ++p;

	do {
		p = memchr(p, '"', (size_t)(end - p));
		if (!p)
			return NULL;
	} while (is_escaped(from, p++));
	return p;
}

/* Behind the array or object that begins at p; NULL when it does not end. */
static const char *
skip_nested(const char *p, const char *end)
{
	unsigned depth = 0;

	while (p && p < end) {
		switch (*p) {
		case '"':
			p = skip_string(p, end);
			continue;
		case '[':
		case '{':
			depth++;
			break;
		case ']':
		case '}':
			if (--depth == 0)
				return p + 1;
			break;
		}
		p++;
	}
	return NULL;
}

/* Finds the array or object that is the member key of the object in text, as json_write
 * would have written it: no space between the tokens. */
static bool
find_member(const char *text, const char *end, const char *key, const char **ret_from,
	    const char **ret_to)
{
	size_t key_len = strlen(key);
	const char *p = text + 1;

	while (p && p < end && *p == '"') {
		const char *name = p + 1;
		bool wanted;

		p = skip_string(p, end);
		if (!p || end - p < 2 || *p != ':')
			return false;
		wanted = (size_t)(p - name) == key_len + 1 && !memcmp(name, key, key_len);
		*ret_from = ++p;
		if (*p == '"')
			p = skip_string(p, end);
		else if (*p == '[' || *p == '{')
			p = skip_nested(p, end);
		else
			while (p < end && *p != ',' && *p != '}')
				p++;
		*ret_to = p;
		if (wanted)
			return p && (**ret_from == '[' || **ret_from == '{');
		if (p && p < end && *p == ',')
			p++;
	}
	return false;
}

json_t *
json_parse_without(const char *text, size_t len, const char *key, struct error *err)
{
	struct strbuf rest = STRBUF_INIT;
	const char *from, *to;
	json_t *v;

	if (len < SMALL_BYTES || *text != '{' || !find_member(text, text + len, key, &from, &to))
		return json_parse(text, len, err);
	strbuf_add(&rest, text, (size_t)(from - text));
	strbuf_addstr(&rest, "null");
	strbuf_add(&rest, to, len - (size_t)(to - text));
	v = rest.failed ? NULL : json_parse(rest.buf, rest.len, err);
	if (rest.failed)
		error_set(err, E_NOMEM, "out of memory");
	strbuf_release(&rest);
	return v;
}
