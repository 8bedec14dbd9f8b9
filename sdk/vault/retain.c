/* Retention: which sets may go, and how one goes. */
#include "sdk/vault/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define DAY_MS INT64_C(86400000)

static void
say(struct vault_kept *k, bool remove, const char *why)
{
	k->remove = remove;
	snprintf(k->why, sizeof k->why, "%s", why);
}

/* Pure: sets in order, oldest first.  A set is kept for the first reason that holds. */
void
vault__decide(struct vault_kept *sets, size_t n, const struct vault_keep *keep)
{
	uint32_t last = keep->last > 0 ? keep->last : 1, whole = 0;
	int64_t newest_day = -1, seen_day = -1;

	while (n-- > 0) {
		struct vault_kept *k = &sets[n];
		int64_t day = k->started_ms / DAY_MS;

		if (!k->whole) {
			k->remove = false; /* why says what is wrong with it */
			continue;
		}
		if (newest_day < 0)
			newest_day = day;
		if (whole++ < last)
			say(k, false, "one of the newest");
		else if (day != seen_day && llabs(newest_day - day) < (int64_t)keep->days)
			say(k, false, "the newest of its day");
		else if (k->proven)
			say(k, false, "the newest that was verified");
		else
			say(k, true, "older than the rule keeps");
		seen_day = day;
	}
}

/* Looks at one set; proven asks for a proof byte by byte. */
static int
look(struct vault_kept *k, const char *vault, const char *name, bool prove, vault_tick *tick,
     void *arg, struct vault_error *err)
{
	struct vault_set *s;
	int rc = vault_open(&s, vault, name, k->set, prove ? 0 : VAULT_MANIFEST_ONLY, tick, arg,
			    err);

	if (rc == VAULT_ERR_DAMAGED || rc == VAULT_ERR_BUSY) {
		snprintf(k->why, sizeof k->why, "%.*s", (int)sizeof k->why - 1, err->text);
		return VAULT_OK;
	}
	if (rc < 0)
		return rc;
	k->whole = true;
	k->proven = prove;
	k->started_ms = s->started_ms;
	vault_close(s);
	return VAULT_OK;
}

/* From the newest on, until one is proven; the others by their manifests alone. */
static int
look_at_all(struct vault_kept *sets, size_t n, const char *vault, const char *name,
	    vault_tick *tick, void *arg, struct vault_error *err)
{
	bool proven = false;

	while (n-- > 0) {
		if (look(&sets[n], vault, name, !proven, tick, arg, err) < 0)
			return err->code;
		proven = proven || sets[n].proven;
	}
	return VAULT_OK;
}

static int
list(struct vault_kept **ret, size_t *ret_n, const char *vault, const char *name,
     struct vault_error *err)
{
	struct vault_kept *sets;
	char *path, **names;
	int fd, rc;

	if (!vault__name_ok(name) || asprintf(&path, "%s/%s", vault, name) < 0)
		return vault__fail(err, VAULT_ERR_INVALID, "'%s' cannot name a backup",
				   vault__printable(name));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		rc = errno == ENOENT
			     ? vault__fail(err, VAULT_ERR_NONE, "%s: there is no backup here", path)
			     : vault__fail_errno(err, "%s", path);
	else
		rc = vault__sets(&names, ret_n, fd, path, err);
	free(path);
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		return rc;
	sets = calloc(*ret_n + 1, sizeof *sets);
	for (size_t i = 0; sets && i < *ret_n; i++)
		snprintf(sets[i].set, sizeof sets[i].set, "%s", names[i]);
	vault__names_free(names, *ret_n);
	*ret = sets;
	return sets ? VAULT_OK : vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
}

int
vault_retention(struct vault_kept **ret, size_t *ret_n, const char *vault, const char *name,
		const struct vault_keep *keep, vault_tick *tick, void *arg,
		struct vault_error *err)
{
	struct vault_kept *sets;
	size_t n;

	if (list(&sets, &n, vault, name, err) < 0)
		return err->code;
	if (look_at_all(sets, n, vault, name, tick, arg, err) < 0) {
		free(sets);
		return err->code;
	}
	vault__decide(sets, n, keep);
	*ret = sets;
	*ret_n = n;
	return VAULT_OK;
}

/* --- removal ------------------------------------------------------------------------------ */

/* Nobody reads it, and it is ours: its name, its manifest and its listing say so. */
static int
take_hold(struct vault_set **ret, const char *vault, const char *name, const char *set,
	  struct vault_error *err)
{
	struct vault_set *s;

	if (vault_open(&s, vault, name, set, VAULT_MANIFEST_ONLY, NULL, NULL, err) < 0)
		return err->code;
	if (flock(s->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
		*ret = s;
		return VAULT_OK;
	}
	vault__fail(err, VAULT_ERR_BUSY, "%s: somebody is reading it", s->path);
	vault_close(s);
	return err->code;
}

static int
remove_held(int dir_fd, const char *path, const char *set, struct vault_error *err)
{
	char gone[sizeof VAULT_REMOVING + VAULT_SET_NAME_LEN];

	snprintf(gone, sizeof gone, VAULT_REMOVING "%s", set);
	if (renameat(dir_fd, set, dir_fd, gone) < 0)
		return vault__fail_errno(err, "%s/%s: cannot be removed", path, set);
	if (fsync(dir_fd) < 0)
		return vault__fail_errno(err, "%s: fsync", path);
	if (vault__remove_dir(dir_fd, gone) < 0)
		return vault__fail_errno(err, "%s/%s: cannot be removed", path, gone);
	return VAULT_OK;
}

int
vault_remove(const char *vault, const char *name, const char *set, struct vault_error *err)
{
	struct vault_set *s = NULL;
	char *path;
	int dir_fd, rc;

	if (!set)
		return vault__fail(err, VAULT_ERR_INVALID, "which set is to be removed?");
	if (vault__lock_folder(&dir_fd, &path, vault, name, err) < 0)
		return err->code;
	rc = vault__remove_leftovers(dir_fd, path, err);
	if (rc == VAULT_OK)
		rc = take_hold(&s, vault, name, set, err);
	if (rc == VAULT_OK) {
		rc = remove_held(dir_fd, path, set, err);
		vault_close(s);
	}
	free(path);
	close(dir_fd);
	return rc;
}
