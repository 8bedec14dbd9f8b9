#include "config.h"

#include "plugins/dns-nsupdate/tsig_internal.h"

#include <ctype.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <string.h>

#define HEADER 12
#define TYPE_TSIG 250
#define CLASS_ANY 255

static uint64_t
get(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | *p++;
	return v;
}

static uint8_t *
put(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
	return p + bytes;
}

/* --- the digest ------------------------------------------------------------ */

/* A TSIG record taken apart. */
struct tsig_rr {
	size_t start;        /* its offset in the message */
	uint8_t name[256];   /* lower case wire form */
	size_t name_len;
	uint8_t algorithm[256];
	size_t algorithm_len;
	int64_t time_s;
	unsigned fudge, original_id, error;
	const uint8_t *mac, *other;
	size_t mac_len, other_len;
};

union hash_ctx {
	struct sha1_ctx sha1;
	struct sha256_ctx sha256;
	struct sha512_ctx sha512; /* also sha384 */
};

struct hmac {
	const struct nettle_hash *hash;
	union hash_ctx outer, inner, state;
};

static void
feed(struct hmac *h, size_t len, const uint8_t *data)
{
	hmac_update(&h->state, h->hash, len, data);
}

/* RFC 8945 §4.3.3: the request's MAC (answers only), the message without its TSIG, the
 * variables of the TSIG. */
static void
digest(const struct tsig_key *key, const struct tsig_mac *request, const uint8_t *header,
       const uint8_t *body, size_t body_len, const struct tsig_rr *t, uint8_t *ret)
{
	struct hmac h = {.hash = key->algorithm->hash};
	uint8_t b[16], *p;

	hmac_set_key(&h.outer, &h.inner, &h.state, h.hash, key->secret_len, key->secret);
	if (request) {
		put(b, request->len, 2);
		feed(&h, 2, b);
		feed(&h, request->len, request->bytes);
	}
	feed(&h, HEADER, header);
	feed(&h, body_len, body);
	feed(&h, t->name_len, t->name);
	p = put(b, CLASS_ANY, 2);
	p = put(p, 0, 4);
	feed(&h, (size_t)(p - b), b);
	feed(&h, t->algorithm_len, t->algorithm);
	p = put(b, (uint64_t)t->time_s, 6);
	p = put(p, t->fudge, 2);
	p = put(p, t->error, 2);
	p = put(p, t->other_len, 2);
	feed(&h, (size_t)(p - b), b);
	feed(&h, t->other_len, t->other);
	hmac_digest(&h.outer, &h.inner, &h.state, h.hash, h.hash->digest_size, ret);
	explicit_bzero(&h, sizeof(h));
}

size_t
tsig_sign(const struct tsig_key *key, uint8_t *wire, size_t len, int64_t now_s,
	  struct tsig_mac *ret_mac)
{
	size_t algorithm_len = strlen(key->algorithm->wire) + 1;
	struct tsig_rr t = {.name_len = key->name_len, .algorithm_len = algorithm_len,
			    .time_s = now_s, .fudge = TSIG_FUDGE_S,
			    .original_id = (unsigned)get(wire, 2)};
	uint8_t *p = wire + len;

	memcpy(t.name, key->name, key->name_len);
	memcpy(t.algorithm, key->algorithm->wire, algorithm_len);
	ret_mac->len = key->algorithm->hash->digest_size;
	digest(key, NULL, wire, wire + HEADER, len - HEADER, &t, ret_mac->bytes);
	memcpy(p, t.name, t.name_len);
	p = put(p + t.name_len, TYPE_TSIG, 2);
	p = put(p, CLASS_ANY, 2);
	p = put(p, 0, 4);
	p = put(p, algorithm_len + 16 + ret_mac->len, 2);
	memcpy(p, t.algorithm, algorithm_len);
	p = put(p + algorithm_len, (uint64_t)t.time_s, 6);
	p = put(p, t.fudge, 2);
	p = put(p, ret_mac->len, 2);
	memcpy(p, ret_mac->bytes, ret_mac->len);
	p = put(p + ret_mac->len, t.original_id, 2);
	p = put(p, 0, 2);
	p = put(p, 0, 2);
	put(wire + 10, get(wire + 10, 2) + 1, 2);
	return (size_t)(p - wire);
}

/* --- reading an answer's signature ------------------------------------------ */

/* Skips a name that may be compressed; 0 when it runs out of the message. */
static size_t
skip_name(const uint8_t *wire, size_t len, size_t at)
{
	while (at < len) {
		if (wire[at] == 0)
			return at + 1;
		if (wire[at] >= 0xc0)
			return at + 2 <= len ? at + 2 : 0;
		if (wire[at] > 63)
			return 0;
		at += wire[at] + 1u;
	}
	return 0;
}

/* Copies an uncompressed name in lower case; returns the offset after it, 0 if it is none. */
static size_t
take_name(const uint8_t *wire, size_t len, size_t at, uint8_t *ret, size_t *ret_len)
{
	size_t end = skip_name(wire, len, at);

	if (!end || end - at > 255 || wire[end - 1] != 0)
		return 0;
	for (size_t i = at; i < end; i++)
		ret[i - at] = (uint8_t)tolower(wire[i]);
	*ret_len = end - at;
	return end;
}

static size_t
skip_rr(const uint8_t *wire, size_t len, size_t at)
{
	at = skip_name(wire, len, at);
	if (!at || len - at < 10)
		return 0;
	at += 10 + (size_t)get(wire + at + 8, 2);
	return at <= len ? at : 0;
}

/* Finds the last record of the message; 0 when the message is broken or has none. */
static size_t
last_rr(const uint8_t *wire, size_t len)
{
	size_t at = HEADER, last = 0;
	unsigned questions, records;

	if (len < HEADER)
		return 0;
	questions = (unsigned)get(wire + 4, 2);
	records = (unsigned)(get(wire + 6, 2) + get(wire + 8, 2) + get(wire + 10, 2));
	while (questions-- && at) {
		at = skip_name(wire, len, at);
		at = at && len - at >= 4 ? at + 4 : 0;
	}
	while (records-- && at) {
		last = at;
		at = skip_rr(wire, len, at);
	}
	return at == len ? last : 0;
}

static bool
take_rdata(const uint8_t *p, size_t len, struct tsig_rr *ret)
{
	size_t at = take_name(p, len, 0, ret->algorithm, &ret->algorithm_len);

	if (!at || len - at < 10)
		return false;
	ret->time_s = (int64_t)get(p + at, 6);
	ret->fudge = (unsigned)get(p + at + 6, 2);
	ret->mac_len = (size_t)get(p + at + 8, 2);
	ret->mac = p + at + 10;
	at += 10 + ret->mac_len;
	if (at > len || len - at < 6)
		return false;
	ret->original_id = (unsigned)get(p + at, 2);
	ret->error = (unsigned)get(p + at + 2, 2);
	ret->other_len = (size_t)get(p + at + 4, 2);
	ret->other = p + at + 6;
	return len - at - 6 == ret->other_len;
}

static enum tsig_verdict
find_tsig(const uint8_t *wire, size_t len, struct tsig_rr *ret)
{
	size_t at;

	if (len >= HEADER && get(wire + 10, 2) == 0)
		return TSIG_UNSIGNED;
	ret->start = last_rr(wire, len);
	if (!ret->start)
		return TSIG_MALFORMED;
	at = skip_name(wire, len, ret->start);
	if (get(wire + at, 2) != TYPE_TSIG)
		return TSIG_UNSIGNED;
	if (get(wire + at + 2, 2) != CLASS_ANY || get(wire + at + 4, 4) != 0 ||
	    !take_name(wire, len, ret->start, ret->name, &ret->name_len) ||
	    !take_rdata(wire + at + 10, (size_t)get(wire + at + 8, 2), ret))
		return TSIG_MALFORMED;
	return TSIG_VALID;
}

static bool
ours(const struct tsig_key *key, const struct tsig_rr *t)
{
	return t->name_len == key->name_len && !memcmp(t->name, key->name, t->name_len) &&
	       t->algorithm_len == strlen(key->algorithm->wire) + 1 &&
	       !memcmp(t->algorithm, key->algorithm->wire, t->algorithm_len);
}

enum tsig_verdict
tsig_verify(const struct tsig_key *key, const uint8_t *wire, size_t len,
	    const struct tsig_mac *request, int64_t now_s, struct tsig_result *ret)
{
	size_t size = key->algorithm->hash->digest_size;
	struct tsig_rr t = {0};
	uint8_t header[HEADER], mac[TSIG_MAC_MAX];
	enum tsig_verdict v = find_tsig(wire, len, &t);

	*ret = (struct tsig_result){0};
	if (v != TSIG_VALID)
		return v;
	ret->error = t.error;
	ret->signed_s = t.time_s;
	if (t.error == TSIG_BADTIME && t.other_len == 6)
		ret->server_time_s = (int64_t)get(t.other, 6);
	/* A truncated MAC is not accepted: we never ask for one (RFC 8945 §5.2.2.1). */
	if (!ours(key, &t) || t.mac_len != size)
		return TSIG_INVALID;
	memcpy(header, wire, HEADER);
	put(header, t.original_id, 2);
	put(header + 10, get(header + 10, 2) - 1, 2);
	digest(key, request, header, wire + HEADER, t.start - HEADER, &t, mac);
	if (!memeql_sec(mac, t.mac, size))
		return TSIG_INVALID;
	if (t.error != TSIG_BADTIME &&
	    (t.time_s > now_s + t.fudge || t.time_s < now_s - t.fudge))
		return TSIG_LATE;
	return TSIG_VALID;
}
