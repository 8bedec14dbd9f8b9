/* Digest authentication of SIP (RFC 3261 §22, RFC 7616). */
#include "config.h"

#include "sdk/sip/sipmsg.h"

#include <ctype.h>
#include <nettle/md5.h>
#include <nettle/nettle-meta.h>
#include <nettle/sha2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEX_MAX (2 * SHA256_DIGEST_SIZE + 1)
#define VALUE_MAX 512

/* Copies the value of name in "Digest realm="x", nonce="y", …"; false when it is not there. */
static bool
challenge_value(const char *p, const char *name, char ret[VALUE_MAX])
{
	while (*p) {
		const char *key, *value;
		size_t key_len, n;

		p += strspn(p, " \t,");
		key = p;
		key_len = strcspn(p, "= \t,");
		p += key_len + strspn(p + key_len, " \t");
		if (*p != '=')
			continue;
		p += 1 + strspn(p + 1, " \t");
		value = *p == '"' ? p + 1 : p;
		n = *p == '"' ? strcspn(value, "\"") : strcspn(value, ", \t");
		p = value + n + (value[n] == '"');
		if (strlen(name) != key_len || strncasecmp(key, name, key_len) || n >= VALUE_MAX)
			continue;
		memcpy(ret, value, n);
		ret[n] = '\0';
		return true;
	}
	return false;
}

/* The hash in hex of the texts joined by ':'; ends with NULL. */
static void
hash(bool sha256, char ret[HEX_MAX], ...)
{
	const struct nettle_hash *h = sha256 ? &nettle_sha256 : &nettle_md5;
	union {
		struct md5_ctx md5;
		struct sha256_ctx sha256;
	} c;
	uint8_t sum[SHA256_DIGEST_SIZE];
	const char *text;
	bool first = true;
	va_list ap;

	h->init(&c);
	va_start(ap, ret);
	while ((text = va_arg(ap, const char *))) {
		if (!first)
			h->update(&c, 1, (const uint8_t *)":");
		h->update(&c, strlen(text), (const uint8_t *)text);
		first = false;
	}
	va_end(ap);
	h->digest(&c, h->digest_size, sum);
	for (size_t i = 0; i < h->digest_size; i++)
		snprintf(ret + 2 * i, 3, "%02x", sum[i]);
}

static bool
offers_auth(const char *qop)
{
	for (const char *p = qop; *p; p += strcspn(p, ","), p += *p == ',') {
		p += strspn(p, " \t");
		if (!strncasecmp(p, "auth", 4) && (!p[4] || strchr(", \t", p[4])))
			return true;
	}
	return false;
}

char *
sip_authorization(const char *challenge, bool proxy, const struct sip_request *request,
		  const char *password, const char *cnonce, const char **ret_why)
{
	char realm[VALUE_MAX], nonce[VALUE_MAX], qop[VALUE_MAX] = "", opaque[VALUE_MAX];
	char algorithm[VALUE_MAX] = "MD5", user[VALUE_MAX], uri[VALUE_MAX];
	char a1[HEX_MAX], a2[HEX_MAX], response[HEX_MAX], *text = NULL;
	bool sha256, has_opaque;
	size_t len;
	FILE *f;

	*ret_why = "the server's challenge is not Digest with realm and nonce";
	if (strncasecmp(challenge, "Digest ", 7) || !challenge_value(challenge + 7, "realm", realm) ||
	    !challenge_value(challenge + 7, "nonce", nonce))
		return NULL;
	challenge_value(challenge + 7, "algorithm", algorithm);
	sha256 = !strcasecmp(algorithm, "SHA-256");
	*ret_why = "the server wants a digest that is neither MD5 nor SHA-256";
	if (!sha256 && strcasecmp(algorithm, "MD5"))
		return NULL;
	*ret_why = "the server wants another quality of protection than auth";
	if (challenge_value(challenge + 7, "qop", qop) && !offers_auth(qop))
		return NULL;
	has_opaque = challenge_value(challenge + 7, "opaque", opaque);
	snprintf(user, sizeof(user), "%.*s", (int)strcspn(request->user, "@"), request->user);
	snprintf(uri, sizeof(uri), "sip:%s", request->domain);
	hash(sha256, a1, user, realm, password, NULL);
	hash(sha256, a2, request->method, uri, NULL);
	if (*qop)
		hash(sha256, response, a1, nonce, "00000001", cnonce, "auth", a2, NULL);
	else
		hash(sha256, response, a1, nonce, a2, NULL);
	explicit_bzero(a1, sizeof(a1));
	*ret_why = "out of memory";
	f = open_memstream(&text, &len);
	if (!f)
		return NULL;
	fprintf(f, "%s: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"%s\", response=\"%s\", "
		"algorithm=%s", proxy ? "Proxy-Authorization" : "Authorization", user, realm, nonce,
		uri, response, algorithm);
	if (*qop)
		fprintf(f, ", qop=auth, nc=00000001, cnonce=\"%s\"", cnonce);
	if (has_opaque)
		fprintf(f, ", opaque=\"%s\"", opaque);
	return fclose(f) == 0 ? text : NULL;
}
