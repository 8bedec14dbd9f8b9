/* Writes a set aside, then makes it appear by one rename. */
#include "sdk/vault/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct vault_writer {
	int dir_fd;   /* VAULT/NAME, locked */
	int set_fd;   /* the set's directory */
	int file_fd;  /* the payload file being written, or -1 */
	char *path;   /* VAULT/NAME, for texts */
	char *file;   /* name of the open payload file */
	char temp[sizeof VAULT_WRITING + VAULT_SET_NAME_LEN];
	char set[VAULT_SET_NAME_LEN + 1];
	bool committed;
	json_t *manifest;
	struct sha256_ctx hash; /* of the open file */
	uint64_t bytes;         /* of the open file, as stored */
	uint64_t plain;         /* of the open file, with what is in buf */
	uint64_t all_plain;     /* of all files of the set */
	struct vault_crypt *crypt;   /* NULL: plain */
	struct vault_cipher *cipher; /* of the open file */
	size_t used;                 /* bytes in buf */
	uint8_t buf[VAULT_BUF];
	uint8_t stored[VAULT_BUF + VAULT_CHUNK_MORE]; /* buf, encrypted */
};

static int
make_dir(const char *path, struct vault_error *err)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return vault__fail_errno(err, "%s: cannot be made", path);
	return VAULT_OK;
}

/* A new folder is durable only when its parent is synced. */
static int
sync_path(const char *path, struct vault_error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = VAULT_OK;

	if (fd < 0)
		return vault__fail_errno(err, "%s", path);
	if (fsync(fd) < 0)
		rc = vault__fail_errno(err, "%s: fsync", path);
	close(fd);
	return rc;
}

static int
open_folder(struct vault_writer *w, const char *vault, const char *name, struct vault_error *err)
{
	char *path;
	int rc;

	if (asprintf(&path, "%s/%s", vault, name) < 0)
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	rc = make_dir(vault, err) < 0 || make_dir(path, err) < 0 ? err->code : sync_path(vault, err);
	free(path);
	return rc < 0 ? rc : vault__lock_folder(&w->dir_fd, &w->path, vault, name, err);
}

/* Names the set: now, or just after the newest set where the clock says otherwise. */
static int
choose_name(struct vault_writer *w, struct vault_error *err)
{
	time_t now = (time_t)(vault__now_ms() / 1000);
	unsigned long number = 0;
	struct tm tm;
	char **names;
	size_t n;

	if (vault__sets(&names, &n, w->dir_fd, w->path, err) < 0)
		return err->code;
	gmtime_r(&now, &tm);
	strftime(w->set, sizeof w->set, "%Y%m%dT%H%M%SZ", &tm);
	if (n && strncmp(names[n - 1], w->set, 16) >= 0) {
		memcpy(w->set, names[n - 1], 16);
		number = strtoul(names[n - 1] + 17, NULL, 16) + 1;
	}
	vault__names_free(names, n);
	if (number > 0xffff)
		return vault__fail(err, VAULT_ERR_INVALID,
				   "%s: the newest set's name leaves none after it", w->path);
	snprintf(w->set + 16, sizeof w->set - 16, "-%04lX", number);
	snprintf(w->temp, sizeof w->temp, VAULT_WRITING "%s", w->set);
	return VAULT_OK;
}

static int
begin_manifest(struct vault_writer *w, const struct vault_about *about, struct vault_error *err)
{
	char started[VAULT_TIME_LEN];

	vault__time_text(started, vault__now_ms());
	w->manifest = json_pack("{s:i, s:s, s:s, s:s, s:s, s:{}, s:{}, s:[]}", "format",
				VAULT_FORMAT, "kind", about->kind, "site", about->site, "tool",
				about->tool, "started", started, "counts", "extra", "files");
	if (!w->manifest)
		return vault__fail(err, VAULT_ERR_INVALID,
				   "the manifest's kind, site or tool is not UTF-8");
	return VAULT_OK;
}

static int
begin(struct vault_writer *w, const char *vault, const char *name,
      const struct vault_about *about, struct vault_error *err)
{
	if (!vault__name_ok(name))
		return vault__fail(err, VAULT_ERR_INVALID,
				   "'%s' cannot name a backup: letters, digits, '.', '_' and '-'",
				   vault__printable(name));
	if (!about->site || !*about->site)
		return vault__fail(err, VAULT_ERR_INVALID, "a set needs the name of its site");
	if (begin_manifest(w, about, err) < 0 || open_folder(w, vault, name, err) < 0 ||
	    vault__remove_leftovers(w->dir_fd, w->path, err) < 0 || choose_name(w, err) < 0)
		return err->code;
	if (mkdirat(w->dir_fd, w->temp, 0700) < 0)
		return vault__fail_errno(err, "%s/%s: cannot be made", w->path, w->temp);
	w->set_fd = openat(w->dir_fd, w->temp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (w->set_fd < 0)
		return vault__fail_errno(err, "%s/%s", w->path, w->temp);
	return VAULT_OK;
}

int
vault_writer_new(struct vault_writer **ret, const char *vault, const char *name,
		 const struct vault_about *about, struct vault_error *err)
{
	struct vault_writer *w = calloc(1, sizeof *w);

	if (!w)
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	w->dir_fd = w->set_fd = w->file_fd = -1;
	if (begin(w, vault, name, about, err) < 0) {
		vault_writer_free(w);
		return err->code;
	}
	*ret = w;
	return VAULT_OK;
}

/* Puts bytes into the open file as they shall be stored. */
static int
store(struct vault_writer *w, const uint8_t *p, size_t len, struct vault_error *err)
{
	sha256_update(&w->hash, len, p);
	w->bytes += len;
	while (len > 0) {
		ssize_t n = write(w->file_fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vault__fail_errno(err, "%s/%s/%s: write", w->path, w->temp, w->file);
		p += n;
		len -= (size_t)n;
	}
	return VAULT_OK;
}

static int
flush(struct vault_writer *w, bool last, struct vault_error *err)
{
	size_t len = w->used;

	w->used = 0;
	if (!w->cipher)
		return store(w, w->buf, len, err);
	vault__encrypt(w->cipher, w->stored, w->buf, len, last);
	return store(w, w->stored, len + VAULT_CHUNK_MORE, err);
}

static int
open_file(struct vault_writer *w, const char *file, struct vault_error *err)
{
	free(w->file);
	w->file = strdup(file);
	if (!w->file)
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	w->file_fd = openat(w->set_fd, file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    0600);
	if (w->file_fd < 0)
		return vault__fail_errno(err, "%s/%s/%s", w->path, w->temp, file);
	sha256_init(&w->hash);
	w->bytes = w->plain = 0;
	w->used = 0;
	return VAULT_OK;
}

static int
begin_cipher(struct vault_writer *w, struct vault_error *err)
{
	uint8_t header[VAULT_HEADER];

	if (!w->crypt)
		return VAULT_OK;
	if (vault__encrypt_begin(&w->cipher, w->crypt, w->file, header, err) < 0)
		return err->code;
	return store(w, header, sizeof header, err);
}

/* Flushes, syncs and closes the open file. */
static int
close_file(struct vault_writer *w, struct vault_error *err)
{
	int fd = w->file_fd, rc = flush(w, true, err);

	vault__cipher_free(w->cipher);
	w->cipher = NULL;
	if (rc == VAULT_OK && fsync(fd) < 0)
		rc = vault__fail_errno(err, "%s/%s/%s: fsync", w->path, w->temp, w->file);
	w->file_fd = -1;
	if (close(fd) < 0 && rc == VAULT_OK)
		rc = vault__fail_errno(err, "%s/%s/%s: close", w->path, w->temp, w->file);
	return rc;
}

/* Closes the open payload file and enters it in the manifest. */
static int
end_file(struct vault_writer *w, struct vault_error *err)
{
	char hex[VAULT_HEX];
	json_t *entry;

	if (w->file_fd < 0)
		return VAULT_OK;
	if (close_file(w, err) < 0)
		return err->code;
	vault__hex(hex, &w->hash);
	entry = json_pack("{s:s, s:I, s:s}", "name", w->file, "bytes", (json_int_t)w->bytes,
			  "sha256", hex);
	w->all_plain += w->plain;
	if (entry && w->crypt)
		json_object_set_new(entry, "plain", json_integer((json_int_t)w->plain));
	if (!entry || json_array_append_new(json_object_get(w->manifest, "files"), entry) < 0)
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	return VAULT_OK;
}

int
vault_writer_file(struct vault_writer *w, const char *file, struct vault_error *err)
{
	if (!vault__name_ok(file) || !strcmp(file, VAULT_MANIFEST))
		return vault__fail(err, VAULT_ERR_INVALID, "'%s' cannot name a file of a set",
				   vault__printable(file));
	if (end_file(w, err) < 0)
		return err->code;
	return open_file(w, file, err) < 0 ? err->code : begin_cipher(w, err);
}

int
vault_writer_write(struct vault_writer *w, const void *data, size_t len,
		   struct vault_error *err)
{
	const uint8_t *p = data;

	if (w->file_fd < 0)
		return vault__fail(err, VAULT_ERR_INVALID, "no file of the set is open");
	w->plain += len;
	while (len > 0) {
		size_t n = len < VAULT_BUF - w->used ? len : VAULT_BUF - w->used;

		memcpy(w->buf + w->used, p, n);
		w->used += n;
		p += n;
		len -= n;
		if (w->used == VAULT_BUF && flush(w, false, err) < 0)
			return err->code;
	}
	return VAULT_OK;
}

static int
put(struct vault_writer *w, const char *table, const char *key, json_t *value,
    struct vault_error *err)
{
	if (!value || json_object_set_new(json_object_get(w->manifest, table), key, value) < 0)
		return vault__fail(err, VAULT_ERR_INVALID, "the manifest cannot hold '%s'",
				   vault__printable(key));
	return VAULT_OK;
}

int
vault_writer_encrypt(struct vault_writer *w, const struct vault_key *key, struct vault_error *err)
{
	json_t *facts;

	if (!key)
		return VAULT_OK;
	if (w->crypt || w->file)
		return vault__fail(err, VAULT_ERR_INVALID, "a set is encrypted as a whole, or not");
	if (vault__crypt_new(&w->crypt, &facts, key, err) < 0)
		return err->code;
	if (json_object_set_new(w->manifest, "encryption", facts) < 0 ||
	    json_object_set_new(w->manifest, "format", json_integer(VAULT_FORMAT_ENCRYPTED)) < 0)
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	return VAULT_OK;
}

int
vault_writer_measure(struct vault_writer *w, const char *key, uint64_t n, struct vault_error *err)
{
	json_t *list = json_object_get(w->manifest, "measures"), *one;
	size_t i;

	if (vault_writer_count(w, key, n, err) < 0)
		return err->code;
	if (!list && json_object_set_new(w->manifest, "measures", list = json_array()) < 0)
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	json_array_foreach(list, i, one)
		if (!strcmp(json_string_value(one), key))
			return VAULT_OK;
	if (json_array_append_new(list, json_string(key)) < 0)
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	return VAULT_OK;
}

int
vault_writer_count(struct vault_writer *w, const char *key, uint64_t n, struct vault_error *err)
{
	return put(w, "counts", key, json_integer((json_int_t)n), err);
}

int
vault_writer_extra(struct vault_writer *w, const char *key, const char *value,
		   struct vault_error *err)
{
	return put(w, "extra", key, json_string(value), err);
}

int
vault_writer_check_growth(struct vault_writer *w, const struct vault_shrink *rule,
			  char note[VAULT_NOTE_MAX], struct vault_error *err)
{
	const char *kind = json_string_value(json_object_get(w->manifest, "kind"));
	const char *site = json_string_value(json_object_get(w->manifest, "site"));
	struct vault_set *before;
	char **names;
	size_t n;
	int rc;

	note[0] = '\0';
	if (vault__sets(&names, &n, w->dir_fd, w->path, err) < 0)
		return err->code;
	rc = vault__open_like(&before, w->path, names, n, kind, site, err);
	vault__names_free(names, n);
	if (rc < 0)
		return rc == VAULT_ERR_NONE ? VAULT_OK : rc;
	rc = vault__check_growth_of(w->manifest, w->all_plain + (w->file_fd >= 0 ? w->plain : 0),
				    before, rule, note, err);
	vault_close(before);
	return rc;
}

/* A manifest of an encrypted set says that whoever wrote it had the key. */
static bool
put_seal(struct vault_writer *w)
{
	char digest[VAULT_HEX], seal[VAULT_HEX];

	if (!w->crypt)
		return true;
	if (!vault__manifest_digest(digest, w->manifest, false))
		return false;
	vault__crypt_seal(w->crypt, seal, digest);
	return json_object_set_new(w->manifest, "seal", json_string(seal)) == 0;
}

static int
write_manifest(struct vault_writer *w, struct vault_error *err)
{
	char finished[VAULT_TIME_LEN], digest[VAULT_HEX];
	char *text;
	int rc;

	vault__time_text(finished, vault__now_ms());
	if (json_object_set_new(w->manifest, "finished", json_string(finished)) < 0 ||
	    !put_seal(w) || !vault__manifest_digest(digest, w->manifest, true) ||
	    json_object_set_new(w->manifest, "digest", json_string(digest)) < 0 ||
	    !(text = json_dumps(w->manifest, JSON_INDENT(2))))
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	rc = open_file(w, VAULT_MANIFEST, err);
	if (rc == VAULT_OK)
		rc = vault_writer_write(w, text, strlen(text), err);
	if (rc == VAULT_OK)
		rc = vault_writer_write(w, "\n", 1, err);
	free(text);
	return rc == VAULT_OK ? close_file(w, err) : rc;
}

int
vault_writer_commit(struct vault_writer *w, struct vault_error *err)
{
	if (end_file(w, err) < 0 || write_manifest(w, err) < 0)
		return err->code;
	if (fsync(w->set_fd) < 0)
		return vault__fail_errno(err, "%s/%s: fsync", w->path, w->temp);
	if (renameat(w->dir_fd, w->temp, w->dir_fd, w->set) < 0)
		return vault__fail_errno(err, "%s/%s: rename", w->path, w->set);
	w->committed = true;
	if (fsync(w->dir_fd) < 0)
		return vault__fail_errno(err, "%s: fsync", w->path);
	return VAULT_OK;
}

const char *
vault_writer_set(const struct vault_writer *w)
{
	return w->set;
}

void
vault_writer_free(struct vault_writer *w)
{
	if (!w)
		return;
	if (w->file_fd >= 0)
		close(w->file_fd);
	if (w->set_fd >= 0) {
		close(w->set_fd);
		if (!w->committed)
			vault__remove_dir(w->dir_fd, w->temp);
	}
	if (w->dir_fd >= 0)
		close(w->dir_fd); /* and the lock */
	vault__cipher_free(w->cipher);
	vault__crypt_free(w->crypt);
	json_decref(w->manifest);
	free(w->path);
	free(w->file);
	free(w);
}
