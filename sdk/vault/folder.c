/* The folder of a backup: its sets, its lock, and what is removed from it. */
#include "sdk/vault/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
add_name(char ***names, size_t *n, const char *name)
{
	char **grown, *copy = strdup(name);

	if (!copy)
		return false;
	grown = realloc(*names, (*n + 1) * sizeof *grown);
	if (!grown) {
		free(copy);
		return false;
	}
	*names = grown;
	grown[(*n)++] = copy;
	return true;
}

int
vault__sets(char ***ret, size_t *ret_n, int dir_fd, const char *path, struct vault_error *err)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	char **names = NULL;
	size_t n = 0;

	if (!dir) {
		vault__fail_errno(err, "%s", path);
		if (fd >= 0)
			close(fd);
		return err->code;
	}
	while (errno = 0, (entry = readdir(dir)) != NULL) {
		if (vault__set_name_ok(entry->d_name) && !add_name(&names, &n, entry->d_name)) {
			errno = ENOMEM;
			break;
		}
	}
	if (errno) {
		vault__fail_errno(err, "%s: cannot list the sets", path);
		closedir(dir);
		vault__names_free(names, n);
		return err->code;
	}
	closedir(dir);
	if (n)
		qsort(names, n, sizeof *names, by_name);
	*ret = names;
	*ret_n = n;
	return VAULT_OK;
}

void
vault__names_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

/* Removes one level of files and the directory itself: a set has no folders. */
int
vault__remove_dir(int dir_fd, const char *name)
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

static bool
is_leftover(const char *name)
{
	return !strncmp(name, VAULT_WRITING, strlen(VAULT_WRITING)) ||
	       !strncmp(name, VAULT_REMOVING, strlen(VAULT_REMOVING));
}

/* Only the holder of the lock comes here, so whatever was being written or removed is abandoned. */
int
vault__remove_leftovers(int dir_fd, const char *path, struct vault_error *err)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = VAULT_OK;

	if (!dir) {
		vault__fail_errno(err, "%s", path);
		if (fd >= 0)
			close(fd);
		return err->code;
	}
	while (rc == VAULT_OK && (entry = readdir(dir)) != NULL)
		if (is_leftover(entry->d_name) &&
		    vault__remove_dir(dir_fd, entry->d_name) < 0)
			rc = vault__fail_errno(err, "%s/%s: an unfinished set cannot be removed",
					       path, vault__printable(entry->d_name));
	closedir(dir);
	return rc;
}

int
vault__lock_folder(int *ret_fd, char **ret_path, const char *vault, const char *name,
		   struct vault_error *err)
{
	char *path;
	int fd;

	if (!vault__name_ok(name))
		return vault__fail(err, VAULT_ERR_INVALID,
				   "'%s' cannot name a backup: letters, digits, '.', '_' and '-'",
				   vault__printable(name));
	if (asprintf(&path, "%s/%s", vault, name) < 0)
		return vault__fail(err, VAULT_ERR_MEMORY, "out of memory");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		vault__fail(err, VAULT_ERR_NONE, "%s: there is no backup here", path);
	else if (fd < 0)
		vault__fail_errno(err, "%s", path);
	else if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		*ret_fd = fd;
		*ret_path = path;
		return VAULT_OK;
	} else if (errno == EWOULDBLOCK)
		vault__fail(err, VAULT_ERR_BUSY,
			    "%s: another process is writing or removing a set here", path);
	else
		vault__fail_errno(err, "%s: lock", path);
	if (fd >= 0)
		close(fd);
	free(path);
	return err->code;
}
