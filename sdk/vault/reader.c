/* Finds a set and proves it. */
#include "sdk/vault/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST_MAX (16 * 1024 * 1024)

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

static bool
is_encrypted(const struct vault_set *s)
{
	return json_object_get(s->manifest, "encryption") != NULL;
}

/* The stored size follows from the plain one; so a wrong plain size is found here. */
static int
take_plain(const struct vault_set *s, struct vault_file *f, const json_t *entry,
	   struct vault_error *err)
{
	json_int_t plain = json_integer_value(json_object_get(entry, "plain"));

	f->plain = plain > 0 ? (uint64_t)plain : 0;
	if (!json_is_integer(json_object_get(entry, "plain")) || plain < 0 ||
	    f->bytes != VAULT_HEADER + f->plain + (f->plain / VAULT_CHUNK + 1) * VAULT_CHUNK_MORE)
		return damaged(err, "%s/" VAULT_MANIFEST ": the sizes of %s do not agree", s->path,
			       f->name);
	return VAULT_OK;
}

static int
take_file(struct vault_set *s, const json_t *entry, struct vault_error *err)
{
	struct vault_file *f = &s->files[s->n_files];
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
	f->bytes = f->plain = (uint64_t)json_integer_value(bytes);
	if (is_encrypted(s) && take_plain(s, f, entry, err) < 0)
		return err->code;
	s->bytes += f->bytes;
	s->plain += f->plain;
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

	if (json_integer_value(json_object_get(s->manifest, "format")) !=
	    (is_encrypted(s) ? VAULT_FORMAT_ENCRYPTED : VAULT_FORMAT))
		return damaged(err,
			       "%s/" VAULT_MANIFEST ": its format is not %d, nor %d with encryption, "
			       "which this version reads", s->path, VAULT_FORMAT,
			       VAULT_FORMAT_ENCRYPTED);
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
	if (!vault__manifest_digest(digest, s->manifest, true))
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	if (strcmp(digest, s->digest))
		return damaged(err,
			       "%s/" VAULT_MANIFEST ": it was altered: its SHA-256 is %s, it says %s",
			       s->path, digest, s->digest);
	return VAULT_OK;
}

/* Opens a regular file of the set; a symbolic link, a fifo or a device is refused. */
int
vault__open_file(const struct vault_set *s, const char *name, int *ret_fd, uint64_t *ret_bytes,
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

	if (vault__open_file(s, VAULT_MANIFEST, &fd, &bytes, err) < 0)
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

struct vault_file *
vault__find_file(const struct vault_set *s, const char *name)
{
	for (size_t i = 0; i < s->n_files; i++)
		if (!strcmp(s->files[i].name, name))
			return &s->files[i];
	return NULL;
}

static int
check_entry(struct vault_set *s, const char *name, struct vault_error *err)
{
	struct vault_file *f;

	if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, VAULT_MANIFEST))
		return VAULT_OK;
	f = vault__find_file(s, name);
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

		if (vault__open_file(s, s->files[i].name, &fd, &bytes, err) < 0)
			return err->code;
		close(fd);
		if (bytes != s->files[i].bytes)
			return damaged(err,
				       "%s/%s: %" PRIu64 " bytes, the manifest says %" PRIu64,
				       s->path, s->files[i].name, bytes, s->files[i].bytes);
	}
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
	/* Held until it is closed, so that it is not removed meanwhile; where the file system
	 * has no such locks, a removal is found while reading. */
	if (flock(s->fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return vault__fail(err, VAULT_ERR_BUSY, "%s: it is being removed", s->path);
	if (read_manifest(s, err) < 0 || check_listing(s, err) < 0 || check_sizes(s, err) < 0)
		return err->code;
	return flags & VAULT_MANIFEST_ONLY ? VAULT_OK : vault__check_digests(s, tick, arg, err);
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
	s->folder = path;
	s->fd = -1;
	if (open_in(s, path, set, flags, tick, arg, err) < 0) {
		vault_close(s);
		return err->code;
	}
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
	vault__crypt_free(s->crypt);
	json_decref(s->manifest);
	free(s->files);
	free(s->folder);
	free(s->path);
	free(s);
}

static int
check_seal(const struct vault_set *s, const struct vault_crypt *crypt, struct vault_error *err)
{
	const char *said = text_of(s->manifest, "seal");
	char digest[VAULT_HEX], seal[VAULT_HEX];

	if (!vault__manifest_digest(digest, s->manifest, false))
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	vault__crypt_seal(crypt, seal, digest);
	if (said && !strcmp(said, seal))
		return VAULT_OK;
	return damaged(err, "%s/" VAULT_MANIFEST ": it was altered by somebody without the key",
		       s->path);
}

int
vault_unlock(struct vault_set *s, const struct vault_key *key, struct vault_error *err)
{
	struct vault_crypt *crypt;

	if (!is_encrypted(s) || s->crypt)
		return VAULT_OK;
	if (!key)
		return vault__fail(err, VAULT_ERR_KEY, "%s: it is encrypted, and no key is given",
				   s->path);
	if (vault__crypt_open(&crypt, json_object_get(s->manifest, "encryption"), s->path, key,
			      err) < 0)
		return err->code;
	if (check_seal(s, crypt, err) < 0) {
		vault__crypt_free(crypt);
		return err->code;
	}
	s->crypt = crypt;
	return VAULT_OK;
}

/* Opens the newest of names[0..n-1] that is whole and of kind and site; NONE if there is none. */
int
vault__open_like(struct vault_set **ret, const char *folder, char *const *names, size_t n,
		 const char *kind, const char *site, struct vault_error *err)
{
	char *vault = strdup(folder), *slash = vault ? strrchr(vault, '/') : NULL;
	struct vault_set *s;
	int rc = slash ? VAULT_ERR_NONE : VAULT_ERR_MEMORY;

	if (slash)
		*slash = '\0';
	while (rc != VAULT_OK && rc != VAULT_ERR_MEMORY && n-- > 0) {
		rc = vault_open(&s, vault, slash + 1, names[n], VAULT_MANIFEST_ONLY, NULL, NULL, err);
		if (rc == VAULT_OK && (strcmp(s->kind, kind) || strcmp(s->site, site))) {
			vault_close(s);
			rc = VAULT_ERR_NONE;
		}
	}
	free(vault);
	if (rc == VAULT_OK)
		*ret = s;
	else if (rc != VAULT_ERR_MEMORY)
		rc = vault__fail(err, VAULT_ERR_NONE, "%s: no other set of site '%s'", folder, site);
	else
		vault__fail(err, rc, "out of memory");
	return rc;
}

int
vault_open_before(struct vault_set **ret, const struct vault_set *s, struct vault_error *err)
{
	int fd = open(s->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), rc;
	char **names = NULL;
	size_t n = 0, before = 0;

	if (fd < 0)
		return vault__fail_errno(err, "%s", s->folder);
	rc = vault__sets(&names, &n, fd, s->folder, err);
	close(fd);
	while (before < n && strcmp(names[before], s->name) < 0)
		before++;
	if (rc == VAULT_OK)
		rc = vault__open_like(ret, s->folder, names, before, s->kind, s->site, err);
	vault__names_free(names, n);
	return rc;
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

int64_t
vault_set_age_ms(const struct vault_set *s)
{
	return vault__now_ms() - s->started_ms;
}

uint64_t
vault_set_bytes(const struct vault_set *s)
{
	return s->plain;
}

bool
vault_set_encrypted(const struct vault_set *s)
{
	return is_encrypted(s);
}

const char *
vault_set_file(const struct vault_set *s, size_t index)
{
	return index < s->n_files ? s->files[index].name : NULL;
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
