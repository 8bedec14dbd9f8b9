/* Finds a set, proves it, and reads from it. */
#include "sdk/vault/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST_MAX (16 * 1024 * 1024)

struct file {
	const char *name; /* in the manifest */
	uint64_t bytes;
	const char *sha256;
	bool found; /* seen in the directory */
};

struct vault_set {
	int fd;     /* the set's directory */
	char *path; /* of it, for texts */
	char name[VAULT_SET_NAME_LEN + 1];
	json_t *manifest;
	const char *kind, *site, *digest; /* in the manifest */
	int64_t started_ms, finished_ms;
	struct file *files;
	size_t n_files;
	uint64_t bytes;
};

struct vault_stream {
	const struct vault_set *set;
	const struct file *file;
	int fd;
	uint64_t bytes;
	bool ended; /* the digest was checked; it can be taken once */
	struct sha256_ctx hash;
};

#define damaged(err, ...) vault__fail(err, VAULT_ERR_DAMAGED, __VA_ARGS__)

/* --- the manifest ---------------------------------------------------------- */

static const char *
text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool
hex_ok(const char *hex)
{
	return hex && strlen(hex) == VAULT_HEX - 1 &&
	       strspn(hex, "0123456789abcdef") == VAULT_HEX - 1;
}

static int
take_file(struct vault_set *s, const json_t *entry, struct vault_error *err)
{
	struct file *f = &s->files[s->n_files];
	json_t *bytes = json_object_get(entry, "bytes");

	f->name = text_of(entry, "name");
	f->sha256 = text_of(entry, "sha256");
	if (!f->name || !hex_ok(f->sha256) || !json_is_integer(bytes) ||
	    json_integer_value(bytes) < 0)
		return damaged(err, "%s/" VAULT_MANIFEST ": file %zu has no name, size or digest",
			       s->path, s->n_files + 1);
	if (!vault__name_ok(f->name) || !strcmp(f->name, VAULT_MANIFEST))
		return damaged(err, "%s/" VAULT_MANIFEST ": '%s' cannot name a file of a set",
			       s->path, vault__printable(f->name));
	for (size_t i = 0; i < s->n_files; i++)
		if (!strcmp(s->files[i].name, f->name))
			return damaged(err, "%s/" VAULT_MANIFEST ": file %s is there twice",
				       s->path, f->name);
	f->bytes = (uint64_t)json_integer_value(bytes);
	s->bytes += f->bytes;
	s->n_files++;
	return VAULT_OK;
}

static int
take_files(struct vault_set *s, struct vault_error *err)
{
	json_t *list = json_object_get(s->manifest, "files"), *entry;
	size_t i;

	if (!json_is_array(list))
		return damaged(err, "%s/" VAULT_MANIFEST ": it has no list of files", s->path);
	s->files = calloc(json_array_size(list) + 1, sizeof *s->files);
	if (!s->files)
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	json_array_foreach(list, i, entry)
		if (take_file(s, entry, err) < 0)
			return err->code;
	return VAULT_OK;
}

static int
take_facts(struct vault_set *s, struct vault_error *err)
{
	const char *started = text_of(s->manifest, "started");
	const char *finished = text_of(s->manifest, "finished");
	char digest[VAULT_HEX];

	if (json_integer_value(json_object_get(s->manifest, "format")) != VAULT_FORMAT)
		return damaged(err,
			       "%s/" VAULT_MANIFEST ": its format is not %d, which this version reads",
			       s->path, VAULT_FORMAT);
	s->kind = text_of(s->manifest, "kind");
	s->site = text_of(s->manifest, "site");
	s->digest = text_of(s->manifest, "digest");
	s->started_ms = started ? vault__time_parse(started) : -1;
	s->finished_ms = finished ? vault__time_parse(finished) : -1;
	if (!s->kind || !s->site || !*s->site || !hex_ok(s->digest) || s->started_ms < 0 ||
	    s->finished_ms < 0)
		return damaged(err,
			       "%s/" VAULT_MANIFEST ": kind, site, digest or a time is missing",
			       s->path);
	if (!vault__manifest_digest(digest, s->manifest))
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	if (strcmp(digest, s->digest))
		return damaged(err,
			       "%s/" VAULT_MANIFEST ": it was altered: its SHA-256 is %s, it says %s",
			       s->path, digest, s->digest);
	return VAULT_OK;
}

/* Opens a regular file of the set; a symbolic link, a fifo or a device is refused. */
static int
open_file(const struct vault_set *s, const char *name, int *ret_fd, uint64_t *ret_bytes,
	  struct vault_error *err)
{
	int fd = openat(s->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return damaged(err, "%s/%s: the file is missing", s->path, name);
	if (fd < 0 && errno == ELOOP)
		return damaged(err, "%s/%s: it is a symbolic link", s->path, name);
	if (fd < 0 || fstat(fd, &st) < 0) {
		vault__fail_errno(err, "%s/%s", s->path, name);
		if (fd >= 0)
			close(fd);
		return err->code;
	}
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return damaged(err, "%s/%s: it is not a regular file", s->path, name);
	}
	*ret_fd = fd;
	*ret_bytes = (uint64_t)st.st_size;
	return VAULT_OK;
}

static int
read_manifest(struct vault_set *s, struct vault_error *err)
{
	json_error_t why;
	uint64_t bytes;
	int fd;

	if (open_file(s, VAULT_MANIFEST, &fd, &bytes, err) < 0)
		return err->code;
	if (bytes > MANIFEST_MAX) {
		close(fd);
		return damaged(err, "%s/" VAULT_MANIFEST ": %" PRIu64 " bytes are too many",
			       s->path, bytes);
	}
	s->manifest = json_loadfd(fd, JSON_REJECT_DUPLICATES, &why);
	close(fd);
	if (!json_is_object(s->manifest))
		return damaged(err, "%s/" VAULT_MANIFEST ": line %d: %s", s->path,
			       s->manifest ? 1 : why.line,
			       s->manifest ? "not an object" : vault__printable(why.text));
	return take_facts(s, err) < 0 ? err->code : take_files(s, err);
}

/* --- proof ----------------------------------------------------------------- */

static struct file *
find_file(const struct vault_set *s, const char *name)
{
	for (size_t i = 0; i < s->n_files; i++)
		if (!strcmp(s->files[i].name, name))
			return &s->files[i];
	return NULL;
}

static int
check_entry(struct vault_set *s, const char *name, struct vault_error *err)
{
	struct file *f;

	if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, VAULT_MANIFEST))
		return VAULT_OK;
	f = find_file(s, name);
	if (!f)
		return damaged(err, "%s: file '%s' is not in the manifest", s->path,
			       vault__printable(name));
	f->found = true;
	return VAULT_OK;
}

static int
check_listing(struct vault_set *s, struct vault_error *err)
{
	int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = VAULT_OK;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		vault__fail_errno(err, "%s", s->path);
		if (fd >= 0)
			close(fd);
		return err->code;
	}
	while (rc == VAULT_OK && (entry = readdir(dir)) != NULL)
		rc = check_entry(s, entry->d_name, err);
	closedir(dir);
	for (size_t i = 0; rc == VAULT_OK && i < s->n_files; i++)
		if (!s->files[i].found)
			rc = damaged(err, "%s/%s: the file is missing", s->path,
				     s->files[i].name);
	return rc;
}

/* Sizes first: a truncated file is found without reading the others. */
static int
check_sizes(const struct vault_set *s, struct vault_error *err)
{
	for (size_t i = 0; i < s->n_files; i++) {
		uint64_t bytes;
		int fd;

		if (open_file(s, s->files[i].name, &fd, &bytes, err) < 0)
			return err->code;
		close(fd);
		if (bytes != s->files[i].bytes)
			return damaged(err,
				       "%s/%s: %" PRIu64 " bytes, the manifest says %" PRIu64,
				       s->path, s->files[i].name, bytes, s->files[i].bytes);
	}
	return VAULT_OK;
}

static int
check_digest(const struct vault_set *s, const char *name, uint64_t *done, vault_tick *tick,
	     void *arg, struct vault_error *err)
{
	uint8_t *buf = malloc(VAULT_BUF);
	struct vault_stream *st = NULL;
	size_t n = 1;
	int rc = buf ? vault_stream_open(&st, s, name, err)
		     : vault__fail(err, VAULT_ERR_MEMORY, "out of memory");

	while (rc == VAULT_OK && n > 0) {
		rc = vault_stream_read(st, buf, VAULT_BUF, &n, err);
		*done += rc == VAULT_OK ? n : 0;
		if (rc == VAULT_OK && tick && tick(arg, *done, s->bytes))
			rc = vault__fail(err, VAULT_ERR_STOPPED, "stopped while verifying %s",
					 s->path);
	}
	vault_stream_close(st);
	free(buf);
	return rc;
}

static int
check_digests(const struct vault_set *s, vault_tick *tick, void *arg, struct vault_error *err)
{
	uint64_t done = 0;

	for (size_t i = 0; i < s->n_files; i++)
		if (check_digest(s, s->files[i].name, &done, tick, arg, err) < 0)
			return err->code;
	return VAULT_OK;
}

/* --- opening --------------------------------------------------------------- */

/* Index of the set asked for in the sorted names, or a failure. */
static int
choose(const char *path, char *const *names, size_t n, const char *set, size_t *ret,
       struct vault_error *err)
{
	if (set && !vault__set_name_ok(set))
		return vault__fail(err, VAULT_ERR_INVALID,
				   "'%s' is not the name of a set: YYYYMMDDThhmmssZ-XXXX",
				   vault__printable(set));
	if (n == 0)
		return vault__fail(err, VAULT_ERR_NONE, "%s: there is no set here", path);
	*ret = n - 1;
	if (!set)
		return VAULT_OK;
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(names[i], set)) {
			*ret = i;
			return VAULT_OK;
		}
	}
	return vault__fail(err, VAULT_ERR_NONE, "%s: there is no set %s; the newest is %s", path,
			   set, names[n - 1]);
}

/* The newest set is damaged: say which older ones the operator may name. */
static void
name_older(struct vault_error *err, char *const *names, size_t newest)
{
	size_t len = strlen(err->text);

	if (newest == 0) {
		snprintf(err->text + len, sizeof err->text - len, "; there is no older set");
		return;
	}
	snprintf(err->text + len, sizeof err->text - len,
		 "; the newest set is not used, an older one only by name: ");
	for (size_t i = newest, shown = 0; i-- > 0 && shown < 3; shown++) {
		len = strlen(err->text);
		snprintf(err->text + len, sizeof err->text - len, "%s%s", shown ? ", " : "",
			 names[i]);
	}
}

static int
open_set(struct vault_set *s, int dir_fd, const char *path, unsigned flags, vault_tick *tick,
	 void *arg, struct vault_error *err)
{
	if (asprintf(&s->path, "%s/%s", path, s->name) < 0) {
		s->path = NULL;
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	}
	s->fd = openat(dir_fd, s->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return damaged(err, "%s: it is not a directory", s->path);
	if (s->fd < 0)
		return vault__fail_errno(err, "%s", s->path);
	if (read_manifest(s, err) < 0 || check_listing(s, err) < 0 || check_sizes(s, err) < 0)
		return err->code;
	return flags & VAULT_MANIFEST_ONLY ? VAULT_OK : check_digests(s, tick, arg, err);
}

static int
open_in(struct vault_set *s, const char *path, const char *set, unsigned flags,
	vault_tick *tick, void *arg, struct vault_error *err)
{
	int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), rc;
	char **names = NULL;
	size_t n = 0, which = 0;

	if (dir_fd < 0)
		return errno == ENOENT
			       ? vault__fail(err, VAULT_ERR_NONE, "%s: there is no backup here", path)
			       : vault__fail_errno(err, "%s", path);
	rc = vault__sets(&names, &n, dir_fd, path, err);
	if (rc == VAULT_OK)
		rc = choose(path, names, n, set, &which, err);
	if (rc == VAULT_OK) {
		memcpy(s->name, names[which], sizeof s->name);
		rc = open_set(s, dir_fd, path, flags, tick, arg, err);
		if (rc == VAULT_ERR_DAMAGED && !set)
			name_older(err, names, which);
	}
	vault__names_free(names, n);
	close(dir_fd);
	return rc;
}

int
vault_open(struct vault_set **ret, const char *vault, const char *name, const char *set,
	   unsigned flags, vault_tick *tick, void *arg, struct vault_error *err)
{
	struct vault_set *s;
	char *path;

	if (!vault__name_ok(name))
		return vault__fail(err, VAULT_ERR_INVALID,
				   "'%s' cannot name a backup: letters, digits, '.', '_' and '-'",
				   vault__printable(name));
	s = calloc(1, sizeof *s);
	if (!s || asprintf(&path, "%s/%s", vault, name) < 0) {
		free(s);
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	}
	s->fd = -1;
	if (open_in(s, path, set, flags, tick, arg, err) < 0) {
		vault_close(s);
		free(path);
		return err->code;
	}
	free(path);
	*ret = s;
	return VAULT_OK;
}

void
vault_close(struct vault_set *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	json_decref(s->manifest);
	free(s->files);
	free(s->path);
	free(s);
}

/* --- facts ----------------------------------------------------------------- */

const char *
vault_set_name(const struct vault_set *s)
{
	return s->name;
}

const char *
vault_set_kind(const struct vault_set *s)
{
	return s->kind;
}

const char *
vault_set_site(const struct vault_set *s)
{
	return s->site;
}

const char *
vault_set_digest(const struct vault_set *s)
{
	return s->digest;
}

int64_t
vault_set_started_ms(const struct vault_set *s)
{
	return s->started_ms;
}

int64_t
vault_set_finished_ms(const struct vault_set *s)
{
	return s->finished_ms;
}

uint64_t
vault_set_bytes(const struct vault_set *s)
{
	return s->bytes;
}

uint64_t
vault_set_count(const struct vault_set *s, const char *key)
{
	json_t *n = json_object_get(json_object_get(s->manifest, "counts"), key);

	return json_integer_value(n) > 0 ? (uint64_t)json_integer_value(n) : 0;
}

const char *
vault_set_extra(const struct vault_set *s, const char *key)
{
	return text_of(json_object_get(s->manifest, "extra"), key);
}

/* --- streams --------------------------------------------------------------- */

int
vault_stream_open(struct vault_stream **ret, const struct vault_set *s, const char *file,
		  struct vault_error *err)
{
	struct vault_stream *st = calloc(1, sizeof *st);
	uint64_t bytes;

	if (!st)
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	st->set = s;
	st->file = find_file(s, file);
	if (!st->file) {
		free(st);
		return damaged(err, "%s: the set has no file %s", s->path, file);
	}
	if (open_file(s, file, &st->fd, &bytes, err) < 0) {
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

int
vault_stream_read(struct vault_stream *st, void *buf, size_t cap, size_t *ret_len,
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

void
vault_stream_close(struct vault_stream *st)
{
	if (!st)
		return;
	close(st->fd);
	free(st);
}
