/* What the writer and the reader of the vault share. */
#ifndef RESITE_VAULT_INTERNAL_H
#define RESITE_VAULT_INTERNAL_H

#include "sdk/vault/vault.h"

#include <jansson.h>
#include <nettle/sha2.h>
#include <stdbool.h>

#define VAULT_MANIFEST "manifest.json"
#define VAULT_FORMAT 1
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
/* Digest of a manifest, its "digest" key left out; false when memory is short. */
bool vault__manifest_digest(char out[VAULT_HEX], const json_t *manifest);

/* Names of all sets in the folder open as dir_fd, oldest first, freed with vault__names_free. */
int vault__sets(char ***ret, size_t *ret_n, int dir_fd, const char *path,
		struct vault_error *err);
void vault__names_free(char **names, size_t n);

#endif
