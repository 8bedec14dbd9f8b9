#include "config.h"

#include "sdk/rr/rrplain.h"

#include <arpa/inet.h>
#include <ldns/ldns.h>
#include <string.h>

#define BLANKS " \t"
#define LABEL_MAX 63
#define TTL_DIGITS 9 /* fewer than 2^31 in any case */

/* The next word of *text, which moves behind it; NULL when there is none, or a long one. */
static const char *
next_word(const char **text, char buf[256])
{
	size_t len;

	*text += strspn(*text, BLANKS);
	len = strcspn(*text, BLANKS);
	if (len == 0 || len > 255)
		return NULL;
	memcpy(buf, *text, len);
	buf[len] = '\0';
	*text += len;
	return buf;
}

static uint8_t
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : (uint8_t)c;
}

static bool
is_plain(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* "a.b" becomes \1a\1b and the zone. */
static bool
take_owner(const char *name, const uint8_t *zone, size_t zone_len, struct plain_rr *ret)
{
	size_t len = strlen(name), at = 0;

	if (len + 1 + zone_len > sizeof(ret->owner))
		return false;
	for (size_t i = 0; i <= len; i++) {
		size_t label = i - at;

		if (i < len && name[i] != '.') {
			ret->owner[i + 1] = lower(name[i]);
			if (!is_plain(ret->owner[i + 1]))
				return false;
			continue;
		}
		if (label == 0 || label > LABEL_MAX)
			return false;
		ret->owner[at] = (uint8_t)label;
		at = i + 1;
	}
	memcpy(ret->owner + at, zone, zone_len);
	ret->owner_len = at + zone_len;
	return true;
}

static bool
take_ttl(const char *word, uint32_t *ret)
{
	size_t digits = strspn(word, "0123456789");

	if (!digits || digits > TTL_DIGITS || word[digits])
		return false;
	*ret = 0;
	for (size_t i = 0; i < digits; i++)
		*ret = 10 * *ret + (uint32_t)(word[i] - '0');
	return true;
}

static bool
take_address(const char *type, const char *text, struct plain_rr *ret)
{
	bool v6 = !strcmp(type, "AAAA");

	if (!v6 && strcmp(type, "A") != 0)
		return false;
	ret->type = v6 ? LDNS_RR_TYPE_AAAA : LDNS_RR_TYPE_A;
	ret->address_len = v6 ? 16 : 4;
	return inet_pton(v6 ? AF_INET6 : AF_INET, text, ret->address) == 1;
}

bool
plain_rr_parse(const char *text, const uint8_t *zone, size_t zone_len, uint32_t default_ttl,
	       struct plain_rr *ret)
{
	char buf[256], type[256];
	const char *word;

	/* A line that begins with a blank has the owner of the line before it, or none. */
	if (strspn(text, BLANKS) || !(word = next_word(&text, buf)) ||
	    !take_owner(word, zone, zone_len, ret))
		return false;
	ret->ttl = default_ttl;
	word = next_word(&text, type);
	if (word && take_ttl(word, &ret->ttl))
		word = next_word(&text, type);
	if (word && !strcmp(word, "IN"))
		word = next_word(&text, type);
	if (!word || !next_word(&text, buf) || text[strspn(text, BLANKS)])
		return false;
	return take_address(type, buf, ret);
}
