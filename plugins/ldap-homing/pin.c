#include "config.h"
#include "plugins/ldap-homing/pin.h"

#include <ctype.h>
#include <nettle/base64.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#define OF_KEY "sha256//"

static const char *
parse_hex(const char *text, uint8_t hash[LH_PIN_BYTES])
{
	size_t n = 0;

	for (const char *p = text; *p; p++) {
		int c = tolower((unsigned char)*p);
		int digit = isdigit(c) ? c - '0' : c - 'a' + 10;

		if (c == ':' && n % 2 == 0 && n)
			continue;
		if (!isxdigit(c) || n == 2 * LH_PIN_BYTES)
			return "is neither 64 hexadecimal digits nor sha256//BASE64";
		hash[n / 2] = (uint8_t)(n % 2 ? hash[n / 2] << 4 | digit : digit);
		n++;
	}
	return n == 2 * LH_PIN_BYTES ? NULL : "has fewer digits than a SHA-256 (64)";
}

const char *
lh_pin_parse(const char *text, struct lh_pin *ret)
{
	struct base64_decode_ctx ctx;
	size_t len, n = strlen(OF_KEY);
	uint8_t raw[BASE64_DECODE_LENGTH(60)];

	ret->of_key = !strncmp(text, OF_KEY, n);
	if (!ret->of_key)
		return parse_hex(text, ret->hash);
	base64_decode_init(&ctx);
	len = sizeof(raw);
	if (strlen(text + n) > 60 ||
	    !base64_decode_update(&ctx, &len, raw, strlen(text + n), text + n) ||
	    !base64_decode_final(&ctx) || len != LH_PIN_BYTES)
		return "is not the base64 of a SHA-256 after sha256//";
	memcpy(ret->hash, raw, LH_PIN_BYTES);
	return NULL;
}

/* --- DER ------------------------------------------------------------------- */

/* Cuts the element at the start of *rest off it: whole, with its header, and its content. */
static bool
take(struct berval *rest, unsigned char *ret_tag, struct berval *ret_whole, struct berval *ret_content)
{
	const unsigned char *p = (const unsigned char *)rest->bv_val;
	size_t head = 2, len;

	if (rest->bv_len < 2)
		return false;
	len = p[1];
	if (len & 0x80) {
		size_t n = len & 0x7f;

		if (n == 0 || n > 4 || rest->bv_len < 2 + n)
			return false;
		len = 0;
		for (size_t i = 0; i < n; i++)
			len = len << 8 | p[2 + i];
		head += n;
	}
	if (len > rest->bv_len - head)
		return false;
	*ret_tag = p[0];
	*ret_whole = (struct berval){head + len, rest->bv_val};
	*ret_content = (struct berval){len, rest->bv_val + head};
	rest->bv_val += head + len;
	rest->bv_len -= head + len;
	return true;
}

/* Certificate ::= SEQUENCE { tbs SEQUENCE { [0] version OPTIONAL, serialNumber, signature,
 * issuer, validity, subject, subjectPublicKeyInfo, … }, … }   (RFC 5280 4.1) */
bool
lh_certificate_key(const struct berval *cert, struct berval *ret)
{
	struct berval rest = *cert, whole, inside, tbs;
	unsigned char tag;

	if (!take(&rest, &tag, &whole, &inside) || tag != 0x30 ||
	    !take(&inside, &tag, &whole, &tbs) || tag != 0x30)
		return false;
	for (int before = 5; before >= 0;) {
		if (!take(&tbs, &tag, &whole, &inside))
			return false;
		if (tag == 0xa0) /* the version */
			continue;
		if (before-- == 0 && tag == 0x30) {
			*ret = whole;
			return true;
		}
	}
	return false;
}

/* --- comparing --------------------------------------------------------------- */

static void
hash_of(const struct berval *bytes, uint8_t hash[LH_PIN_BYTES])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, bytes->bv_len, (const uint8_t *)bytes->bv_val);
	sha256_digest(&ctx, LH_PIN_BYTES, hash);
}

bool
lh_pin_holds(const struct lh_pin *pin, const struct berval *cert)
{
	struct berval what = *cert;
	uint8_t hash[LH_PIN_BYTES];

	if (pin->of_key && !lh_certificate_key(cert, &what))
		return false;
	hash_of(&what, hash);
	return memcmp(hash, pin->hash, LH_PIN_BYTES) == 0;
}

void
lh_pin_suggest(const struct berval *cert, char out[LH_PIN_TEXT_MAX])
{
	char base64[BASE64_ENCODE_RAW_LENGTH(LH_PIN_BYTES) + 1] = "";
	uint8_t hash[LH_PIN_BYTES];
	struct berval key;
	size_t used = 0;

	hash_of(cert, hash);
	for (size_t i = 0; i < LH_PIN_BYTES; i++)
		used += (size_t)snprintf(out + used, LH_PIN_TEXT_MAX - used, "%02x", hash[i]);
	if (!lh_certificate_key(cert, &key))
		return;
	hash_of(&key, hash);
	base64_encode_raw(base64, LH_PIN_BYTES, hash);
	base64[sizeof(base64) - 1] = '\0';
	snprintf(out + used, LH_PIN_TEXT_MAX - used, ", its key " OF_KEY "%s", base64);
}
