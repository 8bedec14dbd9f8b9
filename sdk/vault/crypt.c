/* Encryption at rest: XChaCha20-Poly1305 in libsodium's secretstream form.  README.md has the
 * format. */
#include "sdk/vault/internal.h"

#include <ctype.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME "xchacha20poly1305-secretstream"
#define KDF_NONE "none"
#define KDF_ARGON "argon2id13"
#define CONTEXT "rsvault1" /* of the keys derived from the master key */
#define ID_BYTES 16
#define CHECK_BYTES 16
#define PASSPHRASE_MIN 12
/* RFC 9106, section 4, the second recommended choice: less memory than the first. */
#define ARGON_OPS 3
#define ARGON_MEM (UINT64_C(64) << 20)
/* What a manifest may ask for: it is read before it is trusted. */
#define ARGON_OPS_MAX 64
#define ARGON_MEM_MAX (UINT64_C(1) << 30)

_Static_assert(crypto_secretstream_xchacha20poly1305_ABYTES == VAULT_CHUNK_MORE, "chunk");
_Static_assert(crypto_secretstream_xchacha20poly1305_HEADERBYTES == VAULT_HEADER, "header");
_Static_assert(crypto_kdf_CONTEXTBYTES == sizeof CONTEXT - 1, "context");

/* Lives in memory of sodium_malloc: not swapped, wiped when freed. */
struct vault_key {
	size_t len; /* of text; 0: master is the key itself */
	uint8_t master[crypto_kdf_KEYBYTES];
	char text[]; /* the passphrase */
};

/* Likewise. */
struct vault_crypt {
	uint8_t files[crypto_secretstream_xchacha20poly1305_KEYBYTES]; /* for payload files */
	uint8_t facts[crypto_generichash_KEYBYTES];                    /* for check and seal */
	char id[2 * ID_BYTES + 1];                                     /* of the set */
};

struct vault_cipher {
	crypto_secretstream_xchacha20poly1305_state state;
	size_t bound_len;
	char bound[200]; /* set and file that each chunk belongs to */
};

static int
no_memory(struct vault_error *err)
{
	return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
}

static bool
is_hex_key(const char *text, size_t len)
{
	if (len != 2 * crypto_kdf_KEYBYTES)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isxdigit((unsigned char)text[i]))
			return false;
	return true;
}

int
vault_key_new(struct vault_key **ret, const char *text, size_t len, struct vault_error *err)
{
	struct vault_key *key;
	bool hex;

	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	hex = is_hex_key(text, len);
	if (!hex && len < PASSPHRASE_MIN)
		return vault__fail(err, VAULT_ERR_KEY,
				   "the key of the vault is too short: 64 hexadecimal digits, or a "
				   "passphrase of at least %d bytes", PASSPHRASE_MIN);
	if (sodium_init() < 0)
		return vault__fail(err, VAULT_ERR_IO, "libsodium cannot start: no random numbers");
	/* A multiple of 16: sodium_malloc aligns the end. */
	key = sodium_malloc((sizeof *key + len + 16) / 16 * 16);
	if (!key)
		return no_memory(err);
	memset(key, 0, sizeof *key);
	if (hex) {
		sodium_hex2bin(key->master, sizeof key->master, text, len, NULL, NULL, NULL);
	} else {
		key->len = len;
		memcpy(key->text, text, len);
	}
	*ret = key;
	return VAULT_OK;
}

void
vault_key_free(struct vault_key *key)
{
	sodium_free(key);
}

/* --- the keys of a set ---------------------------------------------------------------- */

struct argon {
	uint8_t salt[crypto_pwhash_SALTBYTES];
	uint64_t ops, mem;
};

/* Derives the set's keys from key, by way of argon when it is a passphrase. */
static int
derive(struct vault_crypt *c, const struct vault_key *key, const struct argon *argon,
       struct vault_error *err)
{
	uint8_t *master = sodium_malloc(crypto_kdf_KEYBYTES);
	int rc = VAULT_OK;

	if (!master)
		return no_memory(err);
	if (key->len == 0)
		memcpy(master, key->master, crypto_kdf_KEYBYTES);
	else if (crypto_pwhash(master, crypto_kdf_KEYBYTES, key->text, key->len, argon->salt,
			       argon->ops, (size_t)argon->mem, crypto_pwhash_ALG_ARGON2ID13) < 0)
		rc = vault__fail(err, VAULT_ERR_MEMORY,
				 "not enough memory to make a key from a passphrase: %" PRIu64 " MB",
				 argon->mem >> 20);
	if (rc == VAULT_OK) {
		crypto_kdf_derive_from_key(c->files, sizeof c->files, 1, CONTEXT, master);
		crypto_kdf_derive_from_key(c->facts, sizeof c->facts, 2, CONTEXT, master);
	}
	sodium_free(master);
	return rc;
}

/* Tells one key from another without saying anything about it. */
static void
make_check(const struct vault_crypt *c, char out[2 * CHECK_BYTES + 1])
{
	uint8_t raw[CHECK_BYTES];

	crypto_generichash(raw, sizeof raw, (const uint8_t *)c->id, strlen(c->id), c->facts,
			   sizeof c->facts);
	vault__to_hex(out, raw, sizeof raw);
}

void
vault__crypt_seal(const struct vault_crypt *c, char out[VAULT_HEX], const char *digest)
{
	uint8_t raw[SHA256_DIGEST_SIZE];

	crypto_generichash(raw, sizeof raw, (const uint8_t *)digest, strlen(digest), c->facts,
			   sizeof c->facts);
	vault__to_hex(out, raw, sizeof raw);
}

static json_t *
make_facts(const struct vault_crypt *c, const struct vault_key *key, const struct argon *argon)
{
	char check[2 * CHECK_BYTES + 1], salt[2 * sizeof argon->salt + 1];
	json_t *facts;

	make_check(c, check);
	vault__to_hex(salt, argon->salt, sizeof argon->salt);
	facts = json_pack("{s:s, s:i, s:s, s:s, s:s}", "scheme", SCHEME, "chunk", VAULT_CHUNK, "id",
			  c->id, "check", check, "kdf", key->len ? KDF_ARGON : KDF_NONE);
	if (facts && key->len &&
	    (json_object_set_new(facts, "salt", json_string(salt)) < 0 ||
	     json_object_set_new(facts, "ops", json_integer((json_int_t)argon->ops)) < 0 ||
	     json_object_set_new(facts, "mem", json_integer((json_int_t)argon->mem)) < 0)) {
		json_decref(facts);
		return NULL;
	}
	return facts;
}

int
vault__crypt_new(struct vault_crypt **ret, json_t **ret_facts, const struct vault_key *key,
		 struct vault_error *err)
{
	struct vault_crypt *c = sodium_malloc(sizeof *c);
	struct argon argon = {.ops = ARGON_OPS, .mem = ARGON_MEM};
	uint8_t id[ID_BYTES];

	if (!c)
		return no_memory(err);
	randombytes_buf(argon.salt, sizeof argon.salt);
	randombytes_buf(id, sizeof id);
	vault__to_hex(c->id, id, sizeof id);
	if (derive(c, key, &argon, err) < 0) {
		vault__crypt_free(c);
		return err->code;
	}
	*ret_facts = make_facts(c, key, &argon);
	if (!*ret_facts) {
		vault__crypt_free(c);
		return no_memory(err);
	}
	*ret = c;
	return VAULT_OK;
}

static const char *
fact(const json_t *facts, const char *key)
{
	const char *text = json_string_value(json_object_get(facts, key));

	return text ? text : "";
}

static uint64_t
number(const json_t *facts, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(facts, key));

	return n > 0 ? (uint64_t)n : 0;
}

/* What the manifest says of the passphrase; false: it cannot be. */
static bool
read_argon(struct argon *argon, const json_t *facts)
{
	const char *salt = fact(facts, "salt");
	size_t len = 0;

	argon->ops = number(facts, "ops");
	argon->mem = number(facts, "mem");
	return sodium_hex2bin(argon->salt, sizeof argon->salt, salt, strlen(salt), NULL, &len,
			      NULL) == 0 &&
	       len == sizeof argon->salt && argon->ops >= crypto_pwhash_OPSLIMIT_MIN &&
	       argon->ops <= ARGON_OPS_MAX && argon->mem >= crypto_pwhash_MEMLIMIT_MIN &&
	       argon->mem <= ARGON_MEM_MAX;
}

/* Reads "encryption"; argon->ops stays 0 for a key that is no passphrase. */
static int
read_facts(struct vault_crypt *c, struct argon *argon, const json_t *facts, const char *path,
	   const struct vault_key *key, struct vault_error *err)
{
	const char *id = fact(facts, "id"), *kdf = fact(facts, "kdf");
	bool passphrase = !strcmp(kdf, KDF_ARGON);

	if (strcmp(fact(facts, "scheme"), SCHEME) || number(facts, "chunk") != VAULT_CHUNK ||
	    strlen(id) != 2 * ID_BYTES || (!passphrase && strcmp(kdf, KDF_NONE)) ||
	    (passphrase && !read_argon(argon, facts)))
		return vault__fail(err, VAULT_ERR_DAMAGED,
				   "%s/" VAULT_MANIFEST ": encrypted in a way that this version does "
				   "not read", path);
	if (passphrase != (key->len > 0))
		return vault__fail(err, VAULT_ERR_KEY,
				   "%s: encrypted with %s, the key given is %s", path,
				   passphrase ? "a passphrase" : "a key of 64 hexadecimal digits",
				   passphrase ? "a key of 64 hexadecimal digits" : "a passphrase");
	memcpy(c->id, id, sizeof c->id);
	return VAULT_OK;
}

static int
check_key(const struct vault_crypt *c, const json_t *facts, const char *path,
	  struct vault_error *err)
{
	char check[2 * CHECK_BYTES + 1];
	const char *said = fact(facts, "check");

	make_check(c, check);
	if (strlen(said) == 2 * CHECK_BYTES && sodium_memcmp(check, said, sizeof check) == 0)
		return VAULT_OK;
	return vault__fail(err, VAULT_ERR_KEY,
			   "%s: wrong key: it was encrypted with another one", path);
}

int
vault__crypt_open(struct vault_crypt **ret, const json_t *facts, const char *path,
		  const struct vault_key *key, struct vault_error *err)
{
	struct vault_crypt *c = sodium_malloc(sizeof *c);
	struct argon argon = {0};

	if (!c)
		return no_memory(err);
	if (read_facts(c, &argon, facts, path, key, err) < 0 || derive(c, key, &argon, err) < 0 ||
	    check_key(c, facts, path, err) < 0) {
		vault__crypt_free(c);
		return err->code;
	}
	*ret = c;
	return VAULT_OK;
}

void
vault__crypt_free(struct vault_crypt *c)
{
	sodium_free(c);
}

/* --- files ---------------------------------------------------------------------------- */

/* Each chunk is bound to its set and file: files cannot be exchanged unseen. */
static struct vault_cipher *
new_cipher(const struct vault_crypt *c, const char *file)
{
	struct vault_cipher *x = sodium_malloc(sizeof *x);

	if (x)
		x->bound_len = (size_t)snprintf(x->bound, sizeof x->bound, "%s/%s", c->id, file);
	return x;
}

int
vault__encrypt_begin(struct vault_cipher **ret, const struct vault_crypt *c, const char *file,
		     uint8_t header[VAULT_HEADER], struct vault_error *err)
{
	struct vault_cipher *x = new_cipher(c, file);

	if (!x)
		return no_memory(err);
	crypto_secretstream_xchacha20poly1305_init_push(&x->state, header, c->files);
	*ret = x;
	return VAULT_OK;
}

void
vault__encrypt(struct vault_cipher *x, uint8_t *out, const uint8_t *plain, size_t len, bool last)
{
	crypto_secretstream_xchacha20poly1305_push(
		&x->state, out, NULL, plain, len, (const uint8_t *)x->bound, x->bound_len,
		last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL
		     : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
}

int
vault__decrypt_begin(struct vault_cipher **ret, const struct vault_crypt *c, const char *file,
		     const uint8_t header[VAULT_HEADER], struct vault_error *err)
{
	struct vault_cipher *x = new_cipher(c, file);

	if (!x)
		return no_memory(err);
	crypto_secretstream_xchacha20poly1305_init_pull(&x->state, header, c->files);
	*ret = x;
	return VAULT_OK;
}

bool
vault__decrypt(struct vault_cipher *x, uint8_t *out, const uint8_t *stored, size_t len,
	       bool *ret_last)
{
	unsigned char tag;

	if (len < VAULT_CHUNK_MORE ||
	    crypto_secretstream_xchacha20poly1305_pull(&x->state, out, NULL, &tag, stored, len,
						       (const uint8_t *)x->bound,
						       x->bound_len) < 0)
		return false;
	*ret_last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
	return true;
}

void
vault__cipher_free(struct vault_cipher *x)
{
	sodium_free(x);
}
