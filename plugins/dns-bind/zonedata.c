#include "config.h"

#include "plugins/dns-bind/zonedata.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* numbers: 16-bit fields before the name. */
static const struct {
	uint16_t type;
	size_t numbers;
	bool name;
} shapes[] = {
	{LDNS_RR_TYPE_CNAME, 0, true}, {LDNS_RR_TYPE_NS, 0, true},  {LDNS_RR_TYPE_PTR, 0, true},
	{LDNS_RR_TYPE_MX, 1, true},    {LDNS_RR_TYPE_SRV, 3, true},
};

static int
shape_of(uint16_t type)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (shapes[i].type == type)
			return (int)i;
	return -1;
}

static bool
take_number(const char *text, size_t len, unsigned *ret)
{
	*ret = 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		*ret = 10 * *ret + (unsigned)(text[i] - '0');
		if (*ret > UINT16_MAX)
			return false;
	}
	return len > 0;
}

static int
take_address(const char *text, size_t len, uint16_t type, uint8_t *buf)
{
	char copy[INET6_ADDRSTRLEN + 1];

	if (len >= sizeof(copy))
		return -1;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (inet_pton(type == LDNS_RR_TYPE_A ? AF_INET : AF_INET6, copy, buf) != 1)
		return -1;
	return type == LDNS_RR_TYPE_A ? 4 : 16;
}

static int
take_shaped(const char *bytes, const struct zone_record *r, int shape, uint8_t *buf)
{
	size_t n = shapes[shape].numbers;
	struct name name;
	unsigned number;

	if (r->n_data != n + 1)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (!take_number(bytes + r->data[i].at, r->data[i].len, &number))
			return -1;
		buf[2 * i] = (uint8_t)(number >> 8);
		buf[2 * i + 1] = (uint8_t)number;
	}
	if (!name_parse(bytes + r->data[n].at, r->data[n].len, r->origin, &name))
		return -1;
	memcpy(buf + 2 * n, name.wire, name.len);
	return (int)(2 * n + name.len);
}

/* One character string; its length on the wire, or -1. */
static int
take_string(const char *p, size_t len, uint8_t *buf)
{
	const char *end;
	size_t n = 0;

	if (len >= 2 && *p == '"') {
		p++;
		len -= 2;
	}
	for (end = p + len; p < end; n++) {
		unsigned c = (uint8_t)*p++;

		if (n >= 255 || (c == '\\' && p >= end))
			return -1;
		if (c == '\\' && *p >= '0' && *p <= '9') {
			if (end - p < 3 || !take_number(p, 3, &c) || c > 255)
				return -1;
			p += 3;
		} else if (c == '\\') {
			c = (uint8_t)*p++;
		}
		buf[1 + n] = (uint8_t)c;
	}
	buf[0] = (uint8_t)n;
	return (int)n + 1;
}

static int
take_strings(const char *bytes, const struct zone_record *r, uint8_t *buf)
{
	int at = 0;

	for (size_t i = 0; i < r->n_data; i++) {
		int n = at > ZONE_DATA_MAX - 256 ? -1
						 : take_string(bytes + r->data[i].at, r->data[i].len, buf + at);

		if (n < 0)
			return -1;
		at += n;
	}
	return at ? at : -1;
}

static int
hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* \# LENGTH HEX... */
static int
take_unknown(const char *bytes, const struct zone_record *r, uint8_t *buf)
{
	unsigned len, digits = 0;

	if (r->n_data < 2 || !take_number(bytes + r->data[1].at, r->data[1].len, &len))
		return -1;
	for (size_t i = 2; i < r->n_data; i++)
		for (size_t k = 0; k < r->data[i].len; k++) {
			int v = hex(bytes[r->data[i].at + k]);

			if (v < 0 || digits / 2 >= len)
				return -1;
			buf[digits / 2] = (uint8_t)(digits % 2 ? buf[digits / 2] | v : v << 4);
			digits++;
		}
	return digits == 2 * len ? (int)len : -1;
}

/* Letters of names count as small ones. */
static int
fold(uint16_t type, uint8_t *buf, int len)
{
	int shape = shape_of(type);
	size_t at = shape < 0 ? 0 : 2 * shapes[shape].numbers;

	if (len < 0 || (type == LDNS_RR_TYPE_A && len != 4) || (type == LDNS_RR_TYPE_AAAA && len != 16))
		return -1;
	if (shape < 0)
		return len;
	while (at < (size_t)len && buf[at]) {
		size_t end = at + buf[at] + 1u;

		if (buf[at] > 63 || end >= (size_t)len)
			return -1;
		for (at++; at < end; at++)
			if (buf[at] >= 'A' && buf[at] <= 'Z')
				buf[at] |= 0x20;
	}
	return at + 1 == (size_t)len ? len : -1;
}

int
zone_data_wire(const char *bytes, const struct zone_record *r, uint8_t *buf)
{
	int shape = shape_of(r->type);

	if (shape < 0 && r->type != LDNS_RR_TYPE_A && r->type != LDNS_RR_TYPE_AAAA &&
	    r->type != LDNS_RR_TYPE_TXT)
		return -1;
	if (r->n_data && r->data[0].len == 2 && !memcmp(bytes + r->data[0].at, "\\#", 2))
		return fold(r->type, buf, take_unknown(bytes, r, buf));
	if (shape >= 0)
		return take_shaped(bytes, r, shape, buf);
	if (r->type == LDNS_RR_TYPE_TXT)
		return take_strings(bytes, r, buf);
	return r->n_data == 1 ? take_address(bytes + r->data[0].at, r->data[0].len, r->type, buf) : -1;
}

/* --- words ------------------------------------------------------------------------ */

void
zone_words_release(struct zone_words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	*w = (struct zone_words){.name_at = SIZE_MAX};
}

static bool
add_word(struct zone_words *w, const char *text)
{
	char **grown = realloc(w->v, (w->n + 1) * sizeof(*grown));

	if (grown)
		w->v = grown;
	return grown && text && (w->v[w->n] = strdup(text)) != NULL && ++w->n;
}

static bool
add_string(struct zone_words *w, const uint8_t *p, size_t len)
{
	char text[4 * 255 + 3], *at = text;

	*at++ = '"';
	for (size_t i = 0; i < len; i++) {
		if (p[i] < ' ' || p[i] >= 0x7f) {
			snprintf(at, 5, "\\%03u", p[i]);
			at += 4;
			continue;
		}
		if (p[i] == '"' || p[i] == '\\')
			*at++ = '\\';
		*at++ = (char)p[i];
	}
	*at++ = '"';
	*at = '\0';
	return add_word(w, text);
}

static bool
add_strings(struct zone_words *w, const struct rdata *d)
{
	bool ok = d->len > 0;

	for (size_t at = 0; ok && at < d->len; at += d->bytes[at] + 1u)
		ok = at + d->bytes[at] < d->len && add_string(w, d->bytes + at + 1, d->bytes[at]);
	return ok;
}

static bool
add_shaped(struct zone_words *w, int shape, const struct rdata *d, const struct name *origin)
{
	size_t n = shapes[shape].numbers;
	char text[NAME_TEXT_MAX];
	bool ok = d->len > 2 * n;

	for (size_t i = 0; i < n && ok; i++) {
		snprintf(text, sizeof(text), "%u", d->bytes[2 * i] << 8 | d->bytes[2 * i + 1]);
		ok = add_word(w, text);
	}
	if (!ok || !name_from_wire(d->bytes + 2 * n, d->len - 2 * n, &w->name))
		return false;
	name_text(&w->name, origin, text);
	w->name_at = n;
	return add_word(w, text);
}

bool
zone_data_words(uint16_t type, const struct rdata *d, const struct name *origin, bool relative,
		struct zone_words *ret)
{
	bool v4 = type == LDNS_RR_TYPE_A && d->len == 4, v6 = type == LDNS_RR_TYPE_AAAA && d->len == 16;
	char text[INET6_ADDRSTRLEN];
	int shape = shape_of(type);
	bool ok = false;

	*ret = (struct zone_words){.name_at = SIZE_MAX};
	if (v4 || v6)
		ok = add_word(ret, inet_ntop(v4 ? AF_INET : AF_INET6, d->bytes, text, sizeof(text)));
	else if (shape >= 0)
		ok = add_shaped(ret, shape, d, relative ? origin : NULL);
	else if (type == LDNS_RR_TYPE_TXT)
		ok = add_strings(ret, d);
	if (!ok)
		zone_words_release(ret);
	return ok;
}
