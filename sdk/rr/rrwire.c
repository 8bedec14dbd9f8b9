#include "config.h"

#include "sdk/rr/rrwire.h"

#include "sdk/net/dns.h" /* also ldns, for the names of types */

#include <string.h>

/* Only ASCII letters: the locale has no say in DNS. */
static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* A pointer must point before where the name began that has it, so none goes round. */
size_t
wire_name(const uint8_t *wire, size_t len, size_t *at, uint8_t ret[WIRE_NAME_MAX])
{
	size_t pos = *at, bound = *at, used = 0;
	bool jumped = false;

	while (pos < len) {
		unsigned n = wire[pos];

		if (n >= 0xc0) {
			size_t to = pos + 1 < len ? (size_t)(n & 0x3f) << 8 | wire[pos + 1] : len;

			if (to >= bound)
				return 0;
			if (!jumped)
				*at = pos + 2;
			jumped = true;
			pos = bound = to;
			continue;
		}
		if (n > 63 || pos + n >= len || used + n + 1 > WIRE_NAME_MAX)
			return 0;
		ret[used++] = (uint8_t)n;
		for (unsigned i = 1; i <= n; i++)
			ret[used++] = lower(wire[pos + i]);
		pos += n + 1;
		if (n == 0) {
			if (!jumped)
				*at = pos;
			return used;
		}
	}
	return 0;
}

bool
wire_skip_questions(const uint8_t *wire, size_t len, size_t *at, unsigned n)
{
	uint8_t name[WIRE_NAME_MAX];

	for (; n; n--) {
		if (!wire_name(wire, len, at, name) || len - *at < 4)
			return false;
		*at += 4;
	}
	return true;
}

/* Data that ends in a name: it may be compressed, and must end where the record does. */
static bool
take_named(const uint8_t *wire, size_t at, size_t end, size_t fixed, struct wire_rr *ret)
{
	size_t n, pos = at + fixed;

	if (end - at <= fixed)
		return false;
	memcpy(ret->room, wire + at, fixed);
	n = wire_name(wire, end, &pos, ret->room + fixed);
	ret->rdata = ret->room;
	ret->rdata_len = fixed + n;
	return n && pos == end;
}

static bool
take_soa(const uint8_t *wire, size_t at, size_t end, struct wire_rr *ret)
{
	if (!wire_name(wire, end, &at, ret->room) || !wire_name(wire, end, &at, ret->room) ||
	    end - at != 20)
		return false;
	ret->serial = (uint32_t)dns_get16(wire + at) << 16 | dns_get16(wire + at + 2);
	return true;
}

bool
wire_next(const uint8_t *wire, size_t len, size_t *at, struct wire_rr *ret)
{
	size_t pos = *at, end;

	ret->owner_len = wire_name(wire, len, &pos, ret->owner);
	if (!ret->owner_len || len - pos < 10)
		return false;
	ret->type = dns_get16(wire + pos);
	ret->class = dns_get16(wire + pos + 2);
	ret->ttl = (uint32_t)dns_get16(wire + pos + 4) << 16 | dns_get16(wire + pos + 6);
	ret->rdata_len = dns_get16(wire + pos + 8);
	pos += 10;
	if (len - pos < ret->rdata_len)
		return false;
	ret->rdata = wire + pos;
	*at = end = pos + ret->rdata_len;
	switch (ret->type) {
	case LDNS_RR_TYPE_CNAME:
		return take_named(wire, pos, end, 0, ret);
	case LDNS_RR_TYPE_SRV:
		return take_named(wire, pos, end, 6, ret);
	case LDNS_RR_TYPE_SOA:
		return take_soa(wire, pos, end, ret);
	default:
		return true;
	}
}
