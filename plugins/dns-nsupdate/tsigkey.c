/* Reading a TSIG key in the two notations that operators have. */
#include "config.h"

#include "plugins/dns-nsupdate/tsig_internal.h"

#include <ctype.h>
#include <ldns/ldns.h>
#include <nettle/base64.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct tsig_algorithm algorithms[] = {
	{"hmac-sha256", "\013hmac-sha256", &nettle_sha256},
	{"hmac-sha1", "\011hmac-sha1", &nettle_sha1},
	{"hmac-sha384", "\013hmac-sha384", &nettle_sha384},
	{"hmac-sha512", "\013hmac-sha512", &nettle_sha512},
};

static bool
set_algorithm(struct tsig_key *key, const char *name)
{
	size_t len = strlen(name);

	if (len && name[len - 1] == '.')
		len--;
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (strlen(algorithms[i].text) == len &&
		    !strncasecmp(algorithms[i].text, name, len))
			key->algorithm = &algorithms[i];
	return key->algorithm != NULL;
}

static bool
set_name(struct tsig_key *key, const char *name)
{
	ldns_rdf *rdf = NULL;
	bool ok = *name && strlen(name) < sizeof(key->name_text) &&
		  ldns_str2rdf_dname(&rdf, name) == LDNS_STATUS_OK;

	if (!ok)
		return false;
	ldns_dname2canonical(rdf);
	key->name_len = ldns_rdf_size(rdf);
	memcpy(key->name, ldns_rdf_data(rdf), key->name_len);
	memcpy(key->name_text, name, strlen(name) + 1);
	ldns_rdf_deep_free(rdf);
	return true;
}

static bool
set_secret(struct tsig_key *key, const char *base64)
{
	struct base64_decode_ctx c;
	size_t len = strlen(base64), got = sizeof(key->secret);

	if (!len || BASE64_DECODE_LENGTH(len) > sizeof(key->secret))
		return false;
	base64_decode_init(&c);
	if (!base64_decode_update(&c, &got, key->secret, len, base64) || !base64_decode_final(&c))
		return false;
	key->secret_len = got;
	return got > 0;
}

/* --- the words of named's configuration ------------------------------------ */

/* Copies the next word of a configuration text into word: a string without its quotes, a
 * run of letters, or one of { } ; -- past comments.  False at the end. */
static bool
next_word(const char **at, char *word, size_t cap)
{
	const char *p = *at;
	size_t n;

	for (;;) {
		p += strspn(p, " \t\r\n");
		if (*p == '#' || !strncmp(p, "//", 2))
			p += strcspn(p, "\n");
		else if (!strncmp(p, "/*", 2))
			p = strstr(p + 2, "*/") ? strstr(p + 2, "*/") + 2 : p + strlen(p);
		else
			break;
	}
	if (*p == '"') {
		n = strcspn(++p, "\"");
		*at = p + n + (p[n] ? 1 : 0);
	} else {
		n = strchr("{};", *p) && *p ? 1 : strcspn(p, "{};\" \t\r\n");
		*at = p + n;
	}
	if (n >= cap)
		return false;
	memcpy(word, p, n);
	word[n] = '\0';
	return n > 0;
}

#define WORD_MAX 768

static const char *
parse_block(const char *text, struct tsig_key *key)
{
	char word[WORD_MAX], value[WORD_MAX];
	const char *why = "it has no key \"name\" { … } block";

	if (next_word(&text, word, sizeof(word)) && !strcmp(word, "key") &&
	    next_word(&text, word, sizeof(word)))
		why = set_name(key, word) ? NULL : "the key's name is no domain name";
	if (!why && (!next_word(&text, word, sizeof(word)) || strcmp(word, "{")))
		why = "after the key's name a { is missing";
	while (!why && next_word(&text, word, sizeof(word)) && strcmp(word, "}")) {
		if (!strcmp(word, ";"))
			continue;
		if (!next_word(&text, value, sizeof(value)))
			why = "it ends in the middle";
		else if (!strcmp(word, "algorithm") && !set_algorithm(key, value))
			why = "its algorithm is none of hmac-sha1, -sha256, -sha384, -sha512";
		else if (!strcmp(word, "secret") && !set_secret(key, value))
			why = "its secret is not base64";
	}
	explicit_bzero(value, sizeof(value));
	explicit_bzero(word, sizeof(word));
	if (!why && !key->algorithm)
		why = "it names no algorithm";
	return !why && !key->secret_len ? "it has no secret" : why;
}

static const char *
parse_colons(const char *text, struct tsig_key *key)
{
	char copy[WORD_MAX], *name, *secret = NULL;
	const char *why = NULL;
	size_t len = strlen(text);

	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	if (len >= sizeof(copy))
		return "it is too long for algorithm:name:base64";
	memcpy(copy, text, len);
	copy[len] = '\0';
	name = strchr(copy, ':');
	if (name)
		secret = strchr(name + 1, ':');
	if (!secret) {
		why = "it is neither a key file of named nor algorithm:name:base64";
	} else {
		*name++ = *secret++ = '\0';
		if (!set_algorithm(key, copy))
			why = "its algorithm is none of hmac-sha1, -sha256, -sha384, -sha512";
		else if (!set_name(key, name))
			why = "the key's name is no domain name";
		else if (!set_secret(key, secret))
			why = "its secret is not base64";
	}
	explicit_bzero(copy, sizeof(copy));
	return why;
}

bool
tsig_key_parse(const char *text, struct tsig_key *ret, const char **ret_why)
{
	memset(ret, 0, sizeof(*ret));
	*ret_why = strchr(text, '{') ? parse_block(text, ret)
				     : parse_colons(text + strspn(text, " \t\r\n"), ret);
	if (*ret_why)
		tsig_key_wipe(ret);
	return !*ret_why;
}

void
tsig_key_wipe(struct tsig_key *key)
{
	explicit_bzero(key, sizeof(*key));
}

const char *
tsig_key_algorithm(const struct tsig_key *key)
{
	return key->algorithm->text;
}
