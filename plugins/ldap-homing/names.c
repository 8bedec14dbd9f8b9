#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/names.h"

#include <ctype.h>
#include <ldap.h>
#include <nettle/base64.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- DNs ----------------------------------------------------------------- */

static LDAPDN
dn_parse(const char *text)
{
	LDAPDN dn = NULL;

	if (!text || ldap_str2dn(text, &dn, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS)
		return NULL;
	return dn;
}

bool
lh_dn_valid(const char *text)
{
	LDAPDN dn = dn_parse(text);
	bool valid = dn && dn[0];

	ldap_dnfree(dn);
	return valid;
}

/* The next character as caseIgnoreMatch sees it: a run of spaces is one space,
 * none at either end.  ASCII folds; other bytes compare as they are, which can
 * only call equal names different. */
static int
next_folded(const struct berval *v, size_t *at)
{
	size_t i = *at;

	if (i < v->bv_len && v->bv_val[i] == ' ') {
		while (i < v->bv_len && v->bv_val[i] == ' ')
			i++;
		if (*at != 0 && i < v->bv_len) {
			*at = i;
			return ' ';
		}
	}
	*at = i + 1;
	return i < v->bv_len ? tolower((unsigned char)v->bv_val[i]) : -1;
}

static bool
value_equal(const struct berval *a, const struct berval *b)
{
	size_t i = 0, k = 0;
	int x, y;

	do {
		x = next_folded(a, &i);
		y = next_folded(b, &k);
	} while (x == y && x != -1);
	return x == y;
}

static bool
ava_in(const LDAPAVA *a, LDAPRDN rdn)
{
	for (size_t i = 0; rdn[i]; i++)
		if (a->la_attr.bv_len == rdn[i]->la_attr.bv_len &&
		    !strncasecmp(a->la_attr.bv_val, rdn[i]->la_attr.bv_val, a->la_attr.bv_len) &&
		    value_equal(&a->la_value, &rdn[i]->la_value))
			return true;
	return false;
}

static bool
rdn_equal(LDAPRDN a, LDAPRDN b)
{
	size_t n = 0, m = 0;

	while (b[m])
		m++;
	for (; a[n]; n++)
		if (!ava_in(a[n], b))
			return false;
	return n == m;
}

bool
lh_dn_equal(const char *a, const char *b)
{
	LDAPDN x = dn_parse(a), y = dn_parse(b);
	bool equal = x && y;
	size_t i = 0;

	for (; equal && x[i] && y[i]; i++)
		equal = rdn_equal(x[i], y[i]);
	equal = equal && !x[i] && !y[i];
	ldap_dnfree(x);
	ldap_dnfree(y);
	return equal;
}

bool
lh_same_value(const char *a, const char *b)
{
	return !strcasecmp(a, b) || lh_dn_equal(a, b);
}

/* --- attributes and filters ---------------------------------------------- */

bool
lh_attribute_valid(const char *text)
{
	if (!text || !isalnum((unsigned char)*text))
		return false;
	return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789-.;")] == '\0';
}

char *
lh_filter_equal(const char *attribute, const char *value, const char *extra)
{
	struct berval in = {strlen(value), (char *)(uintptr_t)value}, out = {0, NULL};
	bool more = extra && *extra;
	char *filter;
	int n;

	if (ldap_bv2escaped_filter_value(&in, &out) != 0)
		return NULL;
	n = asprintf(&filter, "%s(%s=%s)%s%s", more ? "(&" : "", attribute,
		     out.bv_val ? out.bv_val : "", more ? extra : "", more ? ")" : "");
	if (out.bv_val != value)
		ldap_memfree(out.bv_val);
	return n < 0 ? NULL : filter;
}

/* --- LDIF by hand -------------------------------------------------------- */

/* RFC 2849 SAFE-STRING, and no space at the end, which would be lost. */
static bool
ldif_safe(const char *v, size_t len)
{
	if (len == 0)
		return true;
	if (strchr(" :<", v[0]) || v[len - 1] == ' ')
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)v[i] > 126 || (unsigned char)v[i] < 32)
			return false;
	return true;
}

/* Writes text inside single quotes; a quote in it becomes '\''. */
static char *
put_quoted(char *out, const char *text)
{
	*out++ = '\'';
	for (; *text; text++) {
		if (*text == '\'') {
			memcpy(out, "'\\''", 4);
			out += 4;
		} else {
			*out++ = *text;
		}
	}
	*out++ = '\'';
	*out = '\0';
	return out;
}

char *
lh_shell_quote(const char *text)
{
	char *out = malloc(4 * strlen(text) + 3);

	if (out)
		put_quoted(out, text);
	return out;
}

/* "name: value", or "name:: base64" for what LDIF cannot hold, quoted. */
static char *
ldif_word(const char *name, const char *value)
{
	size_t len = strlen(value), name_len = strlen(name);
	size_t room = name_len + 3 + (ldif_safe(value, len) ? len : BASE64_ENCODE_RAW_LENGTH(len)) + 1;
	char *line = malloc(room), *word;

	if (!line)
		return NULL;
	if (ldif_safe(value, len)) {
		snprintf(line, room, "%s: %s", name, value);
	} else {
		snprintf(line, room, "%s:: ", name);
		base64_encode_raw(line + name_len + 3, len, (const uint8_t *)value);
		line[name_len + 3 + BASE64_ENCODE_RAW_LENGTH(len)] = '\0';
	}
	word = lh_shell_quote(line);
	free(line);
	return word;
}

int
lh_hand_init(struct lh_hand *h, const char *tool, const char *attribute, const char *now,
	     const char *back_to)
{
	char *gone = ldif_word(attribute, now), *put = ldif_word(attribute, back_to);
	int n = -1;

	h->tail = NULL;
	if (gone && put)
		n = asprintf(&h->tail, " 'changetype: modify' 'delete: %s' %s - 'add: %s' %s - | %s",
			     attribute, gone, attribute, put, tool);
	free(gone);
	free(put);
	if (n < 0)
		h->tail = NULL;
	return n < 0 ? -1 : 0;
}

void
lh_hand_release(struct lh_hand *h)
{
	free(h->tail);
	h->tail = NULL;
}

char *
lh_hand_line(const struct lh_hand *h, const char *dn)
{
	static const char head[] = "printf '%s\\n' ";
	char *word = ldif_word("dn", dn), *line = NULL;
	size_t word_len = word ? strlen(word) : 0, tail_len = strlen(h->tail);

	if (word)
		line = malloc(sizeof(head) + word_len + tail_len);
	if (line) {
		memcpy(line, head, sizeof(head) - 1);
		memcpy(line + sizeof(head) - 1, word, word_len);
		memcpy(line + sizeof(head) - 1 + word_len, h->tail, tail_len + 1);
	}
	free(word);
	return line;
}

/* --- fingerprint --------------------------------------------------------- */

void
lh_digest_add(struct lh_digest *d, const char *text, size_t len)
{
	struct sha256_ctx ctx;
	uint8_t hash[SHA256_DIGEST_SIZE];
	unsigned carry = 0;

	sha256_init(&ctx);
	sha256_update(&ctx, len, (const uint8_t *)text);
	sha256_digest(&ctx, sizeof(hash), hash);
	for (int i = 0; i < 4; i++) {
		uint64_t word, sum;

		memcpy(&word, hash + 8 * i, sizeof(word));
		sum = d->sum[i] + word;
		d->sum[i] = sum + carry;
		carry = (sum < word) | (d->sum[i] < sum);
	}
	d->count++;
}

void
lh_digest_hex(const struct lh_digest *d, const char *seed, char hex[LH_DIGEST_HEX])
{
	struct sha256_ctx ctx;
	uint8_t hash[SHA256_DIGEST_SIZE];

	sha256_init(&ctx);
	sha256_update(&ctx, strlen(seed) + 1, (const uint8_t *)seed);
	sha256_update(&ctx, sizeof(*d), (const uint8_t *)d);
	sha256_digest(&ctx, sizeof(hash), hash);
	for (size_t i = 0; i < sizeof(hash); i++)
		snprintf(hex + 2 * i, 3, "%02x", hash[i]);
}
