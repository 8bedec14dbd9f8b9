/* Writes a set aside, then makes it appear by one rename. */
#include "sdk/vault/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEMP_PREFIX ".writing-"

struct vault_writer {
	int dir_fd;   /* VAULT/NAME, locked */
	int set_fd;   /* the set's directory */
	int file_fd;  /* the payload file being written, or -1 */
	char *path;   /* VAULT/NAME, for texts */
	char *file;   /* name of the open payload file */
	char temp[sizeof TEMP_PREFIX + VAULT_SET_NAME_LEN];
	char set[VAULT_SET_NAME_LEN + 1];
	bool committed;
	json_t *manifest;
	struct sha256_ctx hash; /* of the open file */
	uint64_t bytes;         /* of the open file, with what is in buf */
	size_t used;            /* bytes in buf */
	uint8_t buf[VAULT_BUF];
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

/* Removes one level of files and the directory itself: a set has no folders. */
static int
remove_temp(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			unlinkat(fd, entry->d_name, 0);
	closedir(dir);
	return unlinkat(dir_fd, name, AT_REMOVEDIR);
}

/* Only the holder of the lock comes here, so whatever was being written is abandoned. */
static int
remove_leftovers(struct vault_writer *w, struct vault_error *err)
{
	int fd = openat(w->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = VAULT_OK;

	if (!dir) {
		vault__fail_errno(err, "%s", w->path);
		if (fd >= 0)
			close(fd);
		return err->code;
	}
	while (rc == VAULT_OK && (entry = readdir(dir)) != NULL)
		if (!strncmp(entry->d_name, TEMP_PREFIX, strlen(TEMP_PREFIX)) &&
		    remove_temp(w->dir_fd, entry->d_name) < 0)
			rc = vault__fail_errno(err, "%s/%s: an unfinished set cannot be removed",
					       w->path, vault__printable(entry->d_name));
	closedir(dir);
	return rc;
}

static int
open_folder(struct vault_writer *w, const char *vault, const char *name, struct vault_error *err)
{
	if (asprintf(&w->path, "%s/%s", vault, name) < 0) {
		w->path = NULL;
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	}
	if (make_dir(vault, err) < 0 || make_dir(w->path, err) < 0 || sync_path(vault, err) < 0)
		return err->code;
	w->dir_fd = open(w->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (w->dir_fd < 0)
		return vault__fail_errno(err, "%s", w->path);
	if (flock(w->dir_fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return vault__fail(err, VAULT_ERR_BUSY,
					   "%s: another process is writing a set here", w->path);
		return vault__fail_errno(err, "%s: lock", w->path);
	}
	return VAULT_OK;
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
	snprintf(w->temp, sizeof w->temp, TEMP_PREFIX "%s", w->set);
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
	    remove_leftovers(w, err) < 0 || choose_name(w, err) < 0)
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

static int
flush(struct vault_writer *w, struct vault_error *err)
{
	const uint8_t *p = w->buf;

	sha256_update(&w->hash, w->used, w->buf);
	while (w->used > 0) {
		ssize_t n = write(w->file_fd, p, w->used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vault__fail_errno(err, "%s/%s/%s: write", w->path, w->temp, w->file);
		p += n;
		w->used -= (size_t)n;
	}
	return VAULT_OK;
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
	w->bytes = 0;
	w->used = 0;
	return VAULT_OK;
}

/* Flushes, syncs and closes the open file. */
static int
close_file(struct vault_writer *w, struct vault_error *err)
{
	int fd = w->file_fd, rc = flush(w, err);

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
	return open_file(w, file, err);
}

int
vault_writer_write(struct vault_writer *w, const void *data, size_t len,
		   struct vault_error *err)
{
	const uint8_t *p = data;

	if (w->file_fd < 0)
		return vault__fail(err, VAULT_ERR_INVALID, "no file of the set is open");
	w->bytes += len;
	while (len > 0) {
		size_t n = len < VAULT_BUF - w->used ? len : VAULT_BUF - w->used;

		memcpy(w->buf + w->used, p, n);
		w->used += n;
		p += n;
		len -= n;
		if (w->used == VAULT_BUF && flush(w, err) < 0)
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

static int
write_manifest(struct vault_writer *w, struct vault_error *err)
{
	char finished[VAULT_TIME_LEN], digest[VAULT_HEX];
	char *text;
	int rc;

	vault__time_text(finished, vault__now_ms());
	if (json_object_set_new(w->manifest, "finished", json_string(finished)) < 0 ||
	    !vault__manifest_digest(digest, w->manifest) ||
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
			remove_temp(w->dir_fd, w->temp);
	}
	if (w->dir_fd >= 0)
		close(w->dir_fd); /* and the lock */
	json_decref(w->manifest);
	free(w->path);
	free(w->file);
	free(w);
}
