/* What the writer and the reader of the vault share. */
#ifndef RESITE_VAULT_INTERNAL_H
#define RESITE_VAULT_INTERNAL_H

#include "sdk/vault/vault.h"

#include <jansson.h>
#include <nettle/sha2.h>
#include <stdbool.h>

#define VAULT_MANIFEST "manifest.json"
#define VAULT_FORMAT 1           /* of a plain set */
#define VAULT_FORMAT_ENCRYPTED 2 /* of one with an "encryption" object */
#define VAULT_WRITING ".writing-"
#define VAULT_REMOVING ".removing-"
#define VAULT_BUF (64 * 1024)
#define VAULT_HEX (2 * SHA256_DIGEST_SIZE + 1)
#define VAULT_TIME_LEN 25 /* 2026-11-22T23:15:00.123Z and NUL */

__attribute__((format(printf, 3, 4))) int vault__fail(struct vault_error *err, int code,
						      const char *fmt, ...);
/* VAULT_ERR_IO with errno's text. */
__attribute__((format(printf, 2, 3))) int vault__fail_errno(struct vault_error *err,
							    const char *fmt, ...);

/* A name that is safe as one path component: [A-Za-z0-9._-], no leading dot, at most 100. */
bool vault__name_ok(const char *name);
/* A name as this library gives to sets. */
bool vault__set_name_ok(const char *name);
/* For texts: the name itself, or "?" when it has bytes that a terminal may obey. */
const char *vault__printable(const char *name);

void vault__hex(char out[VAULT_HEX], struct sha256_ctx *hash);
void vault__time_text(char out[VAULT_TIME_LEN], int64_t wall_ms);
/* The time in ms, or -1. */
int64_t vault__time_parse(const char *text);
int64_t vault__now_ms(void);
/* Digest of a manifest, its "digest" key left out, and its "seal" too when that is being made;
 * false when memory is short. */
bool vault__manifest_digest(char out[VAULT_HEX], const json_t *manifest, bool with_seal);
void vault__to_hex(char *out, const uint8_t *raw, size_t len);
/* Removes a set's directory, which holds files alone; 0, or -1 with errno. */
int vault__remove_dir(int dir_fd, const char *name);
/* Removes what a crash left of sets being written or removed.  Only for the folder's locker. */
int vault__remove_leftovers(int dir_fd, const char *path, struct vault_error *err);
/* Opens VAULT/NAME, which exists, and locks it for one writer; *ret_path is freed. */
int vault__lock_folder(int *ret_fd, char **ret_path, const char *vault, const char *name,
		       struct vault_error *err);

/* Names of all sets in the folder open as dir_fd, oldest first, freed with vault__names_free. */
int vault__sets(char ***ret, size_t *ret_n, int dir_fd, const char *path,
		struct vault_error *err);
void vault__names_free(char **names, size_t n);

/* --- an open set ------------------------------------------------------------ */

/* What tells a file from another one, or an altered one, without reading it. */
struct vault_stamp {
	uint64_t dev, ino, bytes;
	int64_t mtime_ns, ctime_ns;
};

struct vault_file {
	const char *name; /* in the manifest */
	uint64_t bytes;   /* as stored */
	uint64_t plain;   /* decrypted; the same when the set is not encrypted */
	const char *sha256;
	bool found; /* seen in the directory */
	struct vault_stamp proven; /* of the file that was verified */
};

struct vault_set {
	int fd;       /* the set's directory */
	char *folder; /* VAULT/NAME */
	char *path;   /* of the set, for texts */
	char name[VAULT_SET_NAME_LEN + 1];
	json_t *manifest;
	const char *kind, *site, *digest; /* in the manifest */
	int64_t started_ms, finished_ms;
	struct vault_file *files;
	size_t n_files;
	uint64_t bytes, plain;           /* of all files */
	struct vault_crypt *crypt;       /* once it was unlocked */
};

/* Opens a regular file of the set; a symbolic link, a fifo or a device is refused. */
int vault__open_file(const struct vault_set *s, const char *name, int *ret_fd,
		     uint64_t *ret_bytes, struct vault_error *err);
int vault__stamp(int fd, struct vault_stamp *ret); /* 0, or -1 with errno */
struct vault_file *vault__find_file(const struct vault_set *s, const char *name);
/* Reads all files, as stored, and compares their digests with the manifest. */
int vault__check_digests(struct vault_set *s, vault_tick *tick, void *arg,
			 struct vault_error *err);
/* The newest of names that is whole (by its manifest) and of kind and site. */
int vault__open_like(struct vault_set **ret, const char *folder, char *const *names, size_t n,
		     const char *kind, const char *site, struct vault_error *err);

/* vault_check_growth for a set that is being written. */
int vault__check_growth_of(const json_t *manifest, uint64_t bytes, const struct vault_set *before,
			   const struct vault_shrink *rule, char note[VAULT_NOTE_MAX],
			   struct vault_error *err);
/* The rule of retention, pure: sets oldest first, with started_ms, whole and proven. */
void vault__decide(struct vault_kept *sets, size_t n, const struct vault_keep *keep);

/* --- encryption --------------------------------------------------------------- */

#define VAULT_CHUNK VAULT_BUF /* plain bytes of each chunk but the last */
#define VAULT_CHUNK_MORE 17   /* bytes that encryption adds to a chunk */
#define VAULT_HEADER 24       /* bytes before the first chunk */

/* The keys of one set. */
struct vault_crypt;

/* For a new set: *ret_facts is the manifest's "encryption" object. */
int vault__crypt_new(struct vault_crypt **ret, json_t **ret_facts, const struct vault_key *key,
		     struct vault_error *err);
/* From a manifest: VAULT_ERR_KEY when key is another one. */
int vault__crypt_open(struct vault_crypt **ret, const json_t *facts, const char *path,
		      const struct vault_key *key, struct vault_error *err);
void vault__crypt_free(struct vault_crypt *c);
/* The keyed digest of a manifest's digest. */
void vault__crypt_seal(const struct vault_crypt *c, char out[VAULT_HEX], const char *digest);

/* One file on its way in or out. */
struct vault_cipher;

int vault__encrypt_begin(struct vault_cipher **ret, const struct vault_crypt *c, const char *file,
			 uint8_t header[VAULT_HEADER], struct vault_error *err);
/* out has len + VAULT_CHUNK_MORE bytes. */
void vault__encrypt(struct vault_cipher *x, uint8_t *out, const uint8_t *plain, size_t len,
		    bool last);
int vault__decrypt_begin(struct vault_cipher **ret, const struct vault_crypt *c, const char *file,
			 const uint8_t header[VAULT_HEADER], struct vault_error *err);
/* out has len - VAULT_CHUNK_MORE bytes; false: it is not what was encrypted. */
bool vault__decrypt(struct vault_cipher *x, uint8_t *out, const uint8_t *stored, size_t len,
		    bool *ret_last);
void vault__cipher_free(struct vault_cipher *x);

#endif
