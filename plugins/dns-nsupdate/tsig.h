/* tsig.h -- transaction signatures of DNS messages (RFC 8945).  Pure.
 *
 * Over wire messages and not ldns_pkt: ldns would build and serialise each message
 * twice to sign it, and its check of an answer looks at neither time nor key name.
 */
#ifndef DNS_NSUPDATE_TSIG_H
#define DNS_NSUPDATE_TSIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TSIG_MAC_MAX 64      /* bytes, hmac-sha512 */
#define TSIG_RR_MAX 640      /* most bytes that signing adds to a message */
#define TSIG_FUDGE_S 300     /* seconds of clock difference that a server accepts */
#define TSIG_SECRET_MAX 512

struct tsig_algorithm;

struct tsig_key {
	const struct tsig_algorithm *algorithm;
	char name_text[256]; /* as the operator wrote it, for messages */
	uint8_t name[256];   /* wire form, lower case */
	size_t name_len;
	uint8_t secret[TSIG_SECRET_MAX];
	size_t secret_len;
};

/* The signature of a request, which its answer's covers. */
struct tsig_mac {
	uint8_t bytes[TSIG_MAC_MAX];
	size_t len;
};

enum tsig_error { TSIG_BADSIG = 16, TSIG_BADKEY = 17, TSIG_BADTIME = 18, TSIG_BADTRUNC = 22 };

enum tsig_verdict {
	TSIG_VALID,
	TSIG_UNSIGNED,  /* the answer has no signature */
	TSIG_INVALID,   /* it has one that is not of our key or does not fit */
	TSIG_LATE,      /* a good one, of a time outside the fudge */
	TSIG_MALFORMED, /* not a DNS message */
};

struct tsig_result {
	unsigned error;        /* the TSIG error field; 0 without a signature */
	int64_t server_time_s; /* BADTIME: what the server's clock says; else 0 */
	int64_t signed_s;      /* when the answer was signed */
};

/* Reads a key: the text of a file for named ( key "name" { algorithm …; secret "…"; }; )
 * or "algorithm:name:base64".  False, with the reason in *ret_why (static, it never holds
 * the secret), when it is neither.  Wipe the key with tsig_key_wipe. */
bool tsig_key_parse(const char *text, struct tsig_key *ret, const char **ret_why);
void tsig_key_wipe(struct tsig_key *key);
const char *tsig_key_algorithm(const struct tsig_key *key);

/* Appends a signature to the len bytes of wire, which has room for TSIG_RR_MAX more; returns
 * the new length. now_s: seconds since 1970. */
size_t tsig_sign(const struct tsig_key *key, uint8_t *wire, size_t len, int64_t now_s,
		 struct tsig_mac *ret_mac);
/* Judges the signature of an answer to a request whose signature was *request. */
enum tsig_verdict tsig_verify(const struct tsig_key *key, const uint8_t *wire, size_t len,
			      const struct tsig_mac *request, int64_t now_s,
			      struct tsig_result *ret);

#endif
