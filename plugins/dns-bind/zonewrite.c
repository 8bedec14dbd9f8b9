#include "config.h"

#include "plugins/dns-bind/zonewrite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- one file beside ------------------------------------------------------------------ */

/* ".NAME.resite-WHAT" in the same folder; always the same, so that what a killed attempt has
 * left is replaced. */
static char *
path_beside(const char *path, const char *what)
{
	const char *slash = strrchr(path, '/');
	char *ret;

	if (!slash || asprintf(&ret, "%.*s/.%s.resite-%s", (int)(slash - path), path, slash + 1, what) < 0)
		return NULL;
	return ret;
}

static bool
put(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool
put_edited(int fd, const struct zone_file *f, size_t file, const struct edits *e)
{
	size_t at = 0;

	for (size_t i = 0; i < e->n; i++) {
		const struct edit *d = &e->v[i];

		if (d->file != file)
			continue;
		/* Of two removals that overlap, the second adds nothing. */
		if (d->at > at && !put(fd, f->bytes + at, d->at - at))
			return false;
		if (!put(fd, d->text, strlen(d->text)))
			return false;
		at = d->at + d->len > at ? d->at + d->len : at;
	}
	return put(fd, f->bytes + at, f->len - at);
}

static bool
keep_rights(int fd, const struct stat *st)
{
	struct stat now;

	if (fstat(fd, &now) < 0)
		return false;
	if ((now.st_uid != st->st_uid || now.st_gid != st->st_gid) &&
	    fchown(fd, st->st_uid, st->st_gid) < 0)
		return false;
	return fchmod(fd, st->st_mode & 07777) == 0;
}

static enum zone_rc
write_beside(struct zone *z, size_t file, const struct edits *e, const char *path)
{
	const struct zone_file *f = &z->files[file];
	enum zone_rc rc = ZONE_OK;
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return zone_errno(z, "cannot create", path);
	if (!put_edited(fd, f, file, e))
		rc = zone_errno(z, "cannot write", path);
	else if (!keep_rights(fd, &f->st))
		rc = zone_errno(z, "cannot give the owner and mode of the old file to", path);
	else if (fsync(fd) < 0)
		rc = zone_errno(z, "cannot write", path);
	if (close(fd) < 0 && rc == ZONE_OK)
		rc = zone_errno(z, "cannot write", path);
	return rc;
}

/* --- which files ------------------------------------------------------------------------ */

static bool
is_edited(const struct zone_write *w, size_t file)
{
	for (size_t i = 0; i < w->edits.n; i++)
		if (w->edits.v[i].file == file)
			return true;
	return false;
}

/* A file that is included twice would have to be edited in two ways at once. */
static enum zone_rc
refuse_twice(struct zone *z, size_t file)
{
	for (size_t i = 0; i < z->n_files; i++)
		if (i != file && !strcmp(z->files[i].path, z->files[file].path))
			return zone_fail(z, ZONE_BROKEN, "%s is included more than once, so a change in it "
					 "would be several: edit it by hand", z->files[i].path);
	return ZONE_OK;
}

static enum zone_rc
write_new(struct zone_write *w, size_t file)
{
	enum zone_rc rc = refuse_twice(w->z, file);

	if (rc == ZONE_OK)
		w->new_paths[file] = path_beside(w->z->files[file].path, "new");
	if (rc == ZONE_OK && !w->new_paths[file])
		rc = zone_fail(w->z, ZONE_IO, "out of memory");
	return rc == ZONE_OK ? write_beside(w->z, file, &w->edits, w->new_paths[file]) : rc;
}

/* The files above an included one include, for the check, the new one. */
static enum zone_rc
write_check(struct zone_write *w, size_t file, struct edits *e)
{
	struct zone *z = w->z;
	const struct zone_file *f = &z->files[file];
	const char *path = w->check_paths[file] ? w->check_paths[file] : w->new_paths[file];
	char *quoted;
	bool ok;

	if (file == 0 || !path)
		return ZONE_OK;
	ok = asprintf(&quoted, "\"%s\"", path) >= 0;
	ok = ok && edits_add(e, f->parent, f->at_parent.at, f->at_parent.len, quoted);
	if (ok)
		free(quoted);
	if (ok && !w->check_paths[f->parent])
		w->check_paths[f->parent] = path_beside(z->files[f->parent].path, "check");
	return ok && w->check_paths[f->parent] ? ZONE_OK : zone_fail(z, ZONE_IO, "out of memory");
}

/* From the last file to the first: a file comes after the one that includes it. */
static enum zone_rc
write_checks(struct zone_write *w)
{
	struct edits e = {0};
	enum zone_rc rc = ZONE_OK;

	for (size_t i = 0; i < w->edits.n && rc == ZONE_OK; i++) {
		const struct edit *d = &w->edits.v[i];

		if (!edits_add(&e, d->file, d->at, d->len, d->text))
			rc = zone_fail(w->z, ZONE_IO, "out of memory");
	}
	for (size_t i = w->z->n_files; i-- > 0 && rc == ZONE_OK;)
		rc = write_check(w, i, &e);
	edits_sort(&e);
	for (size_t i = 0; i < w->z->n_files && rc == ZONE_OK; i++)
		if (w->check_paths[i])
			rc = write_beside(w->z, i, &e, w->check_paths[i]);
	edits_release(&e);
	return rc;
}

/* --- does it say what it should? ---------------------------------------------------------- */

static enum zone_rc
compare_sets(struct zone *z, struct zone *new, const struct rrset *sets, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct rrset now = {.owner = sets[i].owner, .owner_len = sets[i].owner_len,
				    .type = sets[i].type};
		bool mixed, same = zone_rrset(new, &now, &mixed) && rrset_same(&now, &sets[i]) && !mixed;
		char *name = same ? NULL : rrset_name(&sets[i]);

		rrset_clear(&now);
		if (!same) {
			zone_fail(z, ZONE_BROKEN, "the edited file would not say what it should of %s: "
				  "nothing was changed, edit it by hand", name ? name : "?");
			free(name);
			return ZONE_BROKEN;
		}
	}
	return ZONE_OK;
}

static enum zone_rc
compare_rest(struct zone *z, const struct zone *new, uint64_t rest, uint32_t serial,
	     const struct rrset *sets, size_t n)
{
	if (zone_digest_without(new, sets, n) != rest)
		return zone_fail(z, ZONE_BROKEN, "the edit would change other records of %s too (is there a "
				 "record without a TTL of its own behind one of these, in a zone without "
				 "$TTL?): nothing was changed, edit it by hand", z->text);
	if (new->serial != serial)
		return zone_fail(z, ZONE_BROKEN, "the edited file would not have the serial %lu",
				 (unsigned long)serial);
	return ZONE_OK;
}

static enum zone_rc
read_again(struct zone_write *w, const struct rrset *sets, size_t n, uint32_t serial)
{
	struct zone *z = w->z, new;
	uint64_t rest = zone_digest_without(z, sets, n);
	enum zone_rc rc = ZONE_OK;

	if (!zone_init(&new, z->text))
		return zone_fail(z, ZONE_IO, "out of memory");
	new.directory = z->directory;
	new.roots = z->roots;
	new.n_roots = z->n_roots;
	for (size_t i = 0; i < n && rc == ZONE_OK; i++) {
		struct name name;

		if (!name_from_wire(sets[i].owner, sets[i].owner_len, &name) || !zone_watch(&new, &name))
			rc = zone_fail(z, ZONE_IO, "out of memory");
	}
	if (rc == ZONE_OK && zone_read(&new, zone_write_check_path(w)) != ZONE_OK)
		rc = zone_fail(z, ZONE_BROKEN, "the edited file could not be read again: %s", new.err);
	if (rc == ZONE_OK)
		rc = compare_sets(z, &new, sets, n);
	if (rc == ZONE_OK)
		rc = compare_rest(z, &new, rest, serial, sets, n);
	zone_release(&new);
	return rc;
}

/* --- all of it --------------------------------------------------------------------------- */

enum zone_rc
zone_write_begin(struct zone *z, const struct rrset *sets, size_t n, uint32_t serial,
		 struct zone_write *ret)
{
	enum zone_rc rc = ZONE_OK;

	*ret = (struct zone_write){.z = z, .new_paths = calloc(z->n_files + 1, sizeof(char *)),
				   .check_paths = calloc(z->n_files + 1, sizeof(char *))};
	if (!ret->new_paths || !ret->check_paths)
		return zone_fail(z, ZONE_IO, "out of memory");
	if (!zone_edit(z, sets, n, serial, &ret->edits))
		return ZONE_BROKEN;
	for (size_t i = 0; i < z->n_files && rc == ZONE_OK; i++)
		if (is_edited(ret, i))
			rc = write_new(ret, i);
	if (rc == ZONE_OK)
		rc = write_checks(ret);
	zone_forget_bytes(z);
	return rc == ZONE_OK ? read_again(ret, sets, n, serial) : rc;
}

const char *
zone_write_check_path(const struct zone_write *w)
{
	return w->check_paths[0] ? w->check_paths[0] : w->new_paths[0] ? w->new_paths[0]
								       : w->z->files[0].path;
}

static enum zone_rc
sync_folder(struct zone *z, const char *path)
{
	char *folder = strdup(path);
	enum zone_rc rc = ZONE_OK;
	int fd;

	if (!folder)
		return zone_fail(z, ZONE_IO, "out of memory");
	folder[strrchr(folder, '/') - folder + (strrchr(folder, '/') == folder)] = '\0';
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		rc = zone_errno(z, "cannot sync", folder);
	if (fd >= 0)
		close(fd);
	free(folder);
	return rc;
}

enum zone_rc
zone_write_commit(struct zone_write *w)
{
	struct zone *z = w->z;
	enum zone_rc rc = ZONE_OK;

	for (size_t i = 0; i < z->n_files && rc == ZONE_OK; i++)
		rc = zone_file_same(z, &z->files[i]);
	for (size_t i = z->n_files; i-- > 0 && rc == ZONE_OK;) {
		if (!w->new_paths[i])
			continue;
		if (rename(w->new_paths[i], z->files[i].path) < 0) {
			rc = zone_errno(z, "cannot replace", z->files[i].path);
			break;
		}
		free(w->new_paths[i]);
		w->new_paths[i] = NULL;
		rc = sync_folder(z, z->files[i].path);
	}
	return rc;
}

static void
remove_paths(char **v, size_t n)
{
	for (size_t i = 0; v && i < n; i++) {
		if (v[i])
			unlink(v[i]);
		free(v[i]);
	}
	free(v);
}

void
zone_write_end(struct zone_write *w)
{
	remove_paths(w->new_paths, w->z->n_files);
	remove_paths(w->check_paths, w->z->n_files);
	edits_release(&w->edits);
	w->new_paths = w->check_paths = NULL;
}
