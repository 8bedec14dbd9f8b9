#include "lab/gen/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
text_add(struct text *t, const char *data, size_t len)
{
	if (t->size - t->len < len) {
		size_t size = (t->size + len) * 2 + 4096;
		char *grown = realloc(t->data, size);

		if (!grown) {
			fprintf(stderr, "gen: out of memory for %zu bytes\n", size);
			exit(1);
		}
		t->data = grown;
		t->size = size;
	}
	if (len)
		memcpy(t->data + t->len, data, len);
	t->len += len;
}

void
text_str(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void
text_xml(struct text *t, const char *s)
{
	while (*s) {
		size_t plain = strcspn(s, "&<>\"'");

		text_add(t, s, plain);
		s += plain;
		switch (*s) {
		case '&': text_str(t, "&amp;"); break;
		case '<': text_str(t, "&lt;"); break;
		case '>': text_str(t, "&gt;"); break;
		case '"': text_str(t, "&quot;"); break;
		case '\'': text_str(t, "&apos;"); break;
		default: return;
		}
		s++;
	}
}

void
text_base64(struct text *t, const char *s)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t left = strlen(s);

	for (; left; s += 3) {
		size_t n = left < 3 ? left : 3;
		unsigned bits = (unsigned)(unsigned char)s[0] << 16;
		char quad[4];

		if (n > 1)
			bits |= (unsigned)(unsigned char)s[1] << 8;
		if (n > 2)
			bits |= (unsigned char)s[2];
		quad[0] = digits[bits >> 18];
		quad[1] = digits[bits >> 12 & 63];
		quad[2] = n > 1 ? digits[bits >> 6 & 63] : '=';
		quad[3] = n > 2 ? digits[bits & 63] : '=';
		text_add(t, quad, sizeof(quad));
		left -= n;
	}
}

void
text_release(struct text *t)
{
	free(t->data);
	*t = (struct text){ 0 };
}
