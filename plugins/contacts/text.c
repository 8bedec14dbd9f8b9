#include "plugins/contacts/text.h"

#include <stdint.h>
#include <string.h>

/* Length of the UTF-8 sequence at s for a character that XML allows; 0 when it is none. */
static size_t
xml_char(const unsigned char *s, size_t len)
{
	uint32_t c;
	size_t n;

	if (s[0] < 0x80)
		return s[0] >= 0x20 || s[0] == '\t' || s[0] == '\n' || s[0] == '\r';
	n = s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xc2 &&
	    s[0] < 0xe0 ? 2 : 0;
	if (n == 0 || n > len)
		return 0;
	c = s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10ffff)) ||
	    (c >= 0xd800 && c < 0xe000) || c == 0xfffe || c == 0xffff)
		return 0;
	return n;
}

bool
text_is_xml(const char *s, size_t len)
{
	for (size_t i = 0, n; i < len; i += n) {
		unsigned char c = (unsigned char)s[i];

		n = c >= 0x20 && c < 0x80 ? 1
					  : xml_char((const unsigned char *)s + i, len - i);
		if (n == 0)
			return false;
	}
	return true;
}

/* Value of each base64 digit plus one; 0 for other bytes.  A third of an export is base64, and
 * nettle's decoder, made for keys, takes a call for each byte: 12 % of the whole import's time. */
static const uint8_t digits[256] = {
	['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6,
	['G'] = 7, ['H'] = 8, ['I'] = 9, ['J'] = 10, ['K'] = 11, ['L'] = 12,
	['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18,
	['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
	['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30,
	['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36,
	['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
	['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
	['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54,
	['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60,
	['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

/* Decodes four digits without padding. */
static bool
decode_four(const unsigned char *s, unsigned char *out)
{
	uint32_t a = digits[s[0]], b = digits[s[1]], c = digits[s[2]], d = digits[s[3]], v;

	if (!a || !b || !c || !d)
		return false;
	v = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
	out[0] = (unsigned char)(v >> 16);
	out[1] = (unsigned char)(v >> 8);
	out[2] = (unsigned char)v;
	return true;
}

bool
text_from_base64(const char *s, size_t len, char *out, size_t *ret_len)
{
	size_t pad = 0, n = len / 4 * 3;
	unsigned char last[4];

	if (len == 0 || len % 4)
		return false;
	while (pad < 2 && s[len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0, o = 0; i + 4 < len; i += 4, o += 3)
		if (!decode_four((const unsigned char *)s + i, (unsigned char *)out + o))
			return false;
	memcpy(last, s + len - 4, 4);
	memset(last + 4 - pad, 'A', pad);
	if (!decode_four(last, last))
		return false;
	memcpy(out + n - 3, last, 3 - pad);
	/* Bits that the padding throws away must be zero, or two texts would mean one name. */
	for (size_t i = 3 - pad; i < 3; i++)
		if (last[i])
			return false;
	*ret_len = n - pad;
	return text_is_xml(out, *ret_len);
}

bool
text_is_address(const char *s, size_t len)
{
	const char *at = memchr(s, '@', len);

	if (!at || at == s || at == s + len - 1 || len > TEXT_ADDRESS_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] <= 0x20 || s[i] == 0x7f)
			return false;
	return true;
}

void
text_to_base64(struct buf *out, const char *s, size_t len)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)s;
	char *to = buf_room(out, (len + 2) / 3 * 4);

	if (!to)
		return;
	out->len += (len + 2) / 3 * 4;
	for (; len > 0; to += 4, p += 3, len -= len < 3 ? len : 3) {
		uint32_t v = (uint32_t)p[0] << 16 | (len > 1 ? (uint32_t)p[1] << 8 : 0) |
			     (len > 2 ? p[2] : 0);

		to[0] = set[v >> 18];
		to[1] = set[v >> 12 & 63];
		to[2] = len > 1 ? set[v >> 6 & 63] : '=';
		to[3] = len > 2 ? set[v & 63] : '=';
	}
}

/* --- UTF-16 ------------------------------------------------------------------------ */

static uint32_t
unit(const unsigned char *s, bool big)
{
	return big ? (uint32_t)s[0] << 8 | s[1] : (uint32_t)s[1] << 8 | s[0];
}

static size_t
put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

bool
text_from_utf16(const char *s, size_t len, bool big, struct buf *out, size_t *ret_used)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + (len & ~(size_t)1);
	char *to = buf_room(out, len / 2 * 3 + 1), *begin = to;

	*ret_used = 0;
	if (!to)
		return true; /* out->failed says it */
	while (p < end) {
		uint32_t c = unit(p, big), low;

		if (c < 0x80) {
			*to++ = (char)c;
			p += 2;
			continue;
		}
		if (c >= 0xd800 && c < 0xe000) {
			if (c < 0xdc00 && end - p < 4)
				break;
			low = c < 0xdc00 ? unit(p + 2, big) : 0;
			if (low < 0xdc00 || low > 0xdfff)
				return false;
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			p += 2;
		}
		p += 2;
		to += put_utf8(to, c);
	}
	out->len += (size_t)(to - begin);
	*ret_used = (size_t)(p - (const unsigned char *)s);
	return true;
}

static void
put_unit(char **to, uint32_t u)
{
	*(*to)++ = (char)(u & 0xff);
	*(*to)++ = (char)(u >> 8);
}

void
text_to_utf16le(struct buf *out, const char *s, size_t len)
{
	char *to = buf_room(out, len * 2), *begin = to;

	if (!to)
		return;
	for (size_t i = 0, n; i < len; i += n) {
		const unsigned char *p = (const unsigned char *)s + i;
		uint32_t c = p[0];

		n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
		if (n > len - i)
			break;
		if (n > 1) {
			c &= 0x7fu >> n;
			for (size_t k = 1; k < n; k++)
				c = c << 6 | (p[k] & 0x3f);
		}
		if (c >= 0x10000) {
			put_unit(&to, 0xd800 + ((c - 0x10000) >> 10));
			c = 0xdc00 + ((c - 0x10000) & 0x3ff);
		}
		put_unit(&to, c);
	}
	out->len += (size_t)(to - begin);
}

/* --- XML --------------------------------------------------------------------------- */

static const char *
escape_of(char c)
{
	switch (c) {
	case '&': return "&amp;";
	case '<': return "&lt;";
	case '>': return "&gt;";
	case '"': return "&quot;";
	/* A parser would turn these into spaces inside an attribute. */
	case '\t': return "&#9;";
	case '\n': return "&#10;";
	case '\r': return "&#13;";
	}
	return NULL;
}

void
text_escape(struct buf *out, const char *s)
{
	for (;;) {
		size_t plain = strcspn(s, "&<>\"\t\n\r");

		buf_add(out, s, plain);
		s += plain;
		if (!*s)
			return;
		buf_puts(out, escape_of(*s++));
	}
}
