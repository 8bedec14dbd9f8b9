/* pin.h -- which server's certificate is the right one, whoever signed it.  Pure. */
#ifndef LDAP_HOMING_PIN_H
#define LDAP_HOMING_PIN_H

#include <lber.h>
#include <stdbool.h>
#include <stdint.h>

#define LH_PIN_BYTES 32
#define LH_PIN_TEXT_MAX 130

struct lh_pin {
	bool of_key;
	uint8_t hash[LH_PIN_BYTES];
};

/* The SHA-256 of a certificate as "openssl x509 -noout -fingerprint -sha256" prints it (64 hexadecimal
 * digits, with or without colons), or of its public key as curl takes it ("sha256//BASE64").
 * NULL, or what is wrong with the text. */
const char *lh_pin_parse(const char *text, struct lh_pin *ret);

/* Does a certificate (DER) hold it? */
bool lh_pin_holds(const struct lh_pin *pin, const struct berval *cert);

/* The SubjectPublicKeyInfo in a certificate, in place; false: this is no certificate. */
bool lh_certificate_key(const struct berval *cert, struct berval *ret);

/* What a plan could pin of this certificate, both ways. */
void lh_pin_suggest(const struct berval *cert, char out[LH_PIN_TEXT_MAX]);

#endif
