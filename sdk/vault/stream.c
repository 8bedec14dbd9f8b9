/* Reads the files of a set: hashed on the way, decrypted when the set is. */
#include "sdk/vault/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct vault_stream {
	const struct vault_set *set;
	const struct vault_file *file;
	int fd;
	uint64_t bytes; /* read so far, as stored */
	bool ended;     /* the digest was checked; it can be taken once */
	struct sha256_ctx hash;
	/* Of an encrypted file. */
	struct vault_cipher *cipher;
	bool last;         /* the last chunk was decrypted */
	size_t at, len;    /* what of plain was not handed out yet */
	uint8_t plain[VAULT_CHUNK];
	uint8_t stored[VAULT_CHUNK + VAULT_CHUNK_MORE];
};

#define damaged(err, ...) vault__fail(err, VAULT_ERR_DAMAGED, __VA_ARGS__)

/* Without decryption: this is how a set is verified. */
static int
open_stored(struct vault_stream **ret, const struct vault_set *s, const char *file,
	    struct vault_error *err)
{
	struct vault_stream *st = calloc(1, sizeof *st);
	uint64_t bytes;

	if (!st)
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	st->set = s;
	st->file = vault__find_file(s, file);
	if (!st->file) {
		free(st);
		return damaged(err, "%s: the set has no file %s", s->path, file);
	}
	if (vault__open_file(s, file, &st->fd, &bytes, err) < 0) {
		free(st);
		return err->code;
	}
	sha256_init(&st->hash);
	*ret = st;
	return VAULT_OK;
}

static int
check_end(struct vault_stream *st, struct vault_error *err)
{
	char hex[VAULT_HEX];

	vault__hex(hex, &st->hash);
	if (st->bytes != st->file->bytes)
		return damaged(err, "%s/%s: %" PRIu64 " bytes, the manifest says %" PRIu64,
			       st->set->path, st->file->name, st->bytes, st->file->bytes);
	if (strcmp(hex, st->file->sha256))
		return damaged(err, "%s/%s: its SHA-256 is %s, the manifest says %s",
			       st->set->path, st->file->name, hex, st->file->sha256);
	return VAULT_OK;
}

static int
read_stored(struct vault_stream *st, void *buf, size_t cap, size_t *ret_len,
	    struct vault_error *err)
{
	ssize_t n = 0;

	*ret_len = 0;
	if (st->ended)
		return VAULT_OK;
	do
		n = read(st->fd, buf, cap);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return vault__fail_errno(err, "%s/%s: read", st->set->path, st->file->name);
	if (n == 0) {
		st->ended = true;
		return check_end(st, err);
	}
	sha256_update(&st->hash, (size_t)n, buf);
	st->bytes += (uint64_t)n;
	*ret_len = (size_t)n;
	return VAULT_OK;
}

/* As many bytes as there are, at most cap. */
static int
fill_stored(struct vault_stream *st, uint8_t *buf, size_t cap, size_t *ret_len,
	    struct vault_error *err)
{
	size_t n = 1;

	*ret_len = 0;
	while (n > 0 && *ret_len < cap) {
		if (read_stored(st, buf + *ret_len, cap - *ret_len, &n, err) < 0)
			return err->code;
		*ret_len += n;
	}
	return VAULT_OK;
}

/* --- encrypted files -------------------------------------------------------------------- */

static int
begin_decrypt(struct vault_stream *st, struct vault_error *err)
{
	uint8_t header[VAULT_HEADER];
	size_t len;

	if (!st->set->crypt)
		return vault__fail(err, VAULT_ERR_KEY, "%s: it is encrypted, and no key is given",
				   st->set->path);
	if (fill_stored(st, header, sizeof header, &len, err) < 0)
		return err->code;
	if (len < sizeof header)
		return damaged(err, "%s/%s: it ends in its header", st->set->path, st->file->name);
	return vault__decrypt_begin(&st->cipher, st->set->crypt, st->file->name, header, err);
}

static int
next_chunk(struct vault_stream *st, struct vault_error *err)
{
	size_t len;

	st->at = st->len = 0;
	if (fill_stored(st, st->stored, sizeof st->stored, &len, err) < 0)
		return err->code;
	if (st->last && len == 0)
		return VAULT_OK;
	if (st->last || len == 0 ||
	    !vault__decrypt(st->cipher, st->plain, st->stored, len, &st->last))
		return damaged(err, "%s/%s: it is not what was encrypted: %s at byte %" PRIu64,
			       st->set->path, st->file->name,
			       st->last    ? "there is more after its end"
			       : len == 0 ? "its end is missing"
					  : "a chunk is false",
			       st->bytes - len);
	st->len = len - VAULT_CHUNK_MORE;
	return VAULT_OK;
}

static int
read_plain(struct vault_stream *st, void *buf, size_t cap, size_t *ret_len,
	   struct vault_error *err)
{
	size_t n;

	*ret_len = 0;
	while (st->at == st->len && !(st->last && st->ended))
		if (next_chunk(st, err) < 0)
			return err->code;
	n = st->len - st->at < cap ? st->len - st->at : cap;
	memcpy(buf, st->plain + st->at, n);
	st->at += n;
	*ret_len = n;
	return VAULT_OK;
}

/* --- for readers ------------------------------------------------------------------------- */

int
vault_stream_open(struct vault_stream **ret, const struct vault_set *s, const char *file,
		  struct vault_error *err)
{
	struct vault_stream *st;

	if (open_stored(&st, s, file, err) < 0)
		return err->code;
	if (vault_set_encrypted(s) && begin_decrypt(st, err) < 0) {
		vault_stream_close(st);
		return err->code;
	}
	*ret = st;
	return VAULT_OK;
}

int
vault_stream_read(struct vault_stream *st, void *buf, size_t cap, size_t *ret_len,
		  struct vault_error *err)
{
	return st->cipher ? read_plain(st, buf, cap, ret_len, err)
			  : read_stored(st, buf, cap, ret_len, err);
}

void
vault_stream_close(struct vault_stream *st)
{
	if (!st)
		return;
	vault__cipher_free(st->cipher);
	close(st->fd);
	free(st);
}

/* --- proof ------------------------------------------------------------------------------- */

int
vault__stamp(int fd, struct vault_stamp *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	*ret = (struct vault_stamp){
		.dev = st.st_dev, .ino = st.st_ino, .bytes = (uint64_t)st.st_size,
		.mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec,
		.ctime_ns = st.st_ctim.tv_sec * INT64_C(1000000000) + st.st_ctim.tv_nsec,
	};
	return 0;
}

static int
check_digest(const struct vault_set *s, struct vault_file *f, uint64_t *done, vault_tick *tick,
	     void *arg, struct vault_error *err)
{
	uint8_t *buf = malloc(VAULT_BUF);
	struct vault_stream *st = NULL;
	size_t n = 1;
	int rc = buf ? open_stored(&st, s, f->name, err)
		     : vault__fail(err, VAULT_ERR_MEMORY, "out of memory");

	if (rc == VAULT_OK && vault__stamp(st->fd, &f->proven) < 0)
		rc = vault__fail_errno(err, "%s/%s", s->path, f->name);
	while (rc == VAULT_OK && n > 0) {
		rc = read_stored(st, buf, VAULT_BUF, &n, err);
		*done += rc == VAULT_OK ? n : 0;
		if (rc == VAULT_OK && tick && tick(arg, *done, s->bytes))
			rc = vault__fail(err, VAULT_ERR_STOPPED, "stopped while verifying %s",
					 s->path);
	}
	vault_stream_close(st);
	free(buf);
	return rc;
}

int
vault__check_digests(struct vault_set *s, vault_tick *tick, void *arg, struct vault_error *err)
{
	uint64_t done = 0;

	for (size_t i = 0; i < s->n_files; i++)
		if (check_digest(s, &s->files[i], &done, tick, arg, err) < 0)
			return err->code;
	return VAULT_OK;
}

static int
recheck(const struct vault_set *s, const struct vault_file *f, struct vault_error *err)
{
	struct vault_stamp now = {0};
	uint64_t bytes;
	int fd, rc;

	if (vault__open_file(s, f->name, &fd, &bytes, err) < 0)
		return err->code;
	rc = vault__stamp(fd, &now);
	close(fd);
	if (rc < 0)
		return vault__fail_errno(err, "%s/%s", s->path, f->name);
	if (memcmp(&now, &f->proven, sizeof now))
		return damaged(err, "%s/%s: it was altered since it was verified", s->path, f->name);
	return VAULT_OK;
}

int
vault_recheck(const struct vault_set *s, struct vault_error *err)
{
	for (size_t i = 0; i < s->n_files; i++)
		if (recheck(s, &s->files[i], err) < 0)
			return err->code;
	return VAULT_OK;
}
