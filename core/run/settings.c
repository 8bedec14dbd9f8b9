#include "core/base/base.h"
#include "core/base/strbuf.h"
#include "core/base/vec.h"
#include "core/run/settings.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder of the running program, without a slash at the end. */
static int
program_dir(struct strbuf *dir, struct error *err)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n < 0)
		return error_errno(err, errno, "cannot find the program's own path");
	path[n] = '\0';
	*strrchr(path, '/') = '\0';
	strbuf_addstr(dir, path);
	return 0;
}

static char *
default_state(void)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	struct strbuf path = STRBUF_INIT;

	if (geteuid() == 0)
		strbuf_addstr(&path, "/var/lib/resite");
	else if (xdg && *xdg)
		strbuf_addf(&path, "%s/resite", xdg);
	else
		strbuf_addf(&path, "%s/.local/state/resite", home ? home : "/tmp");
	return strbuf_detach(&path);
}

static char *
absolute(const char *path)
{
	struct strbuf full = STRBUF_INIT;
	char cwd[PATH_MAX];

	if (*path != '/' && getcwd(cwd, sizeof(cwd)))
		strbuf_addf(&full, "%s/", cwd);
	strbuf_addstr(&full, path);
	return strbuf_detach(&full);
}

static char *
find_state(const char *given)
{
	const char *env = getenv("RESITE_STATE");

	if (given)
		return absolute(given);
	return env && *env ? absolute(env) : default_state();
}

static char *
find_worker(const char *program)
{
	const char *env = getenv("RESITE_WORKER");
	struct strbuf path = STRBUF_INIT;

	strbuf_addf(&path, "%s/resite-worker", program);
	if (env && *env) {
		strbuf_reset(&path);
		strbuf_addstr(&path, env);
	} else if (access(path.buf, X_OK) < 0) {
		strbuf_reset(&path);
		strbuf_addstr(&path, RESITE_LIBEXECDIR "/resite-worker");
	}
	return strbuf_detach(&path);
}

struct dirs {
	char **item;
	size_t len, cap;
};

static int
dirs_add(struct dirs *dirs, const char *path, size_t len)
{
	if (vec_reserve(&dirs->item, dirs->len + 2, &dirs->cap) < 0)
		return E_NOMEM;
	dirs->item[dirs->len] = strndup(path, len);
	dirs->item[dirs->len + 1] = NULL;
	return dirs->item[dirs->len++] ? 0 : E_NOMEM;
}

static int
dirs_add_colons(struct dirs *dirs, const char *list)
{
	int rc = 0;

	while (rc == 0 && *list) {
		size_t len = strcspn(list, ":");

		rc = len ? dirs_add(dirs, list, len) : 0;
		list += len + (list[len] == ':');
	}
	return rc;
}

static int
find_plugins(struct dirs *dirs, const char *const *given, const char *program)
{
	const char *env = getenv("RESITE_PLUGINS");
	struct strbuf beside = STRBUF_INIT;
	int rc = 0;

	for (; rc == 0 && given && *given; given++)
		rc = dirs_add(dirs, *given, strlen(*given));
	if (rc == 0 && env)
		rc = dirs_add_colons(dirs, env);
	strbuf_addf(&beside, "%s/modules", program);
	if (rc == 0 && !beside.failed && access(beside.buf, R_OK | X_OK) == 0)
		rc = dirs_add(dirs, beside.buf, beside.len);
	if (rc == 0)
		rc = dirs_add(dirs, RESITE_PLUGINDIR, strlen(RESITE_PLUGINDIR));
	strbuf_release(&beside);
	return rc;
}

int
settings_init(struct settings *s, const char *state_dir, const char *const *plugin_dirs,
	      uint32_t jobs, const char *group, struct error *err)
{
	struct strbuf program = STRBUF_INIT;
	struct dirs dirs = {0};
	int rc;

	*s = (struct settings){.jobs = jobs ? jobs : SETTINGS_JOBS_DEFAULT};
	group = group ? group : getenv("RESITE_GROUP");
	if (group && *group && !(s->group = strdup(group)))
		return error_set(err, E_NOMEM, "out of memory");
	rc = program_dir(&program, err);
	if (rc == 0) {
		s->state_dir = find_state(state_dir);
		s->worker_path = find_worker(program.buf);
		rc = find_plugins(&dirs, plugin_dirs, program.buf);
		s->plugin_dirs = dirs.item;
		if (rc < 0 || !s->state_dir || !s->worker_path)
			rc = error_set(err, E_NOMEM, "out of memory");
	}
	strbuf_release(&program);
	return rc;
}

static int
share_file(const char *dir, const char *name, gid_t gid, mode_t mode, struct error *err)
{
	struct strbuf path = STRBUF_INIT;
	int rc = 0;

	strbuf_addf(&path, "%s%s", dir, name);
	if (path.failed)
		rc = error_set(err, E_NOMEM, "out of memory");
	else if ((chown(path.buf, (uid_t)-1, gid) < 0 || chmod(path.buf, mode) < 0) && errno != ENOENT)
		rc = error_errno(err, errno, "cannot give %s to the group", path.buf);
	strbuf_release(&path);
	return rc;
}

int
settings_share(const struct settings *s, struct error *err)
{
	static const char *const files[] = {"/journal.db", "/journal.db-wal", "/journal.db-shm"};
	const struct group *group = s->group ? getgrnam(s->group) : NULL;
	int rc;

	if (!s->group)
		return 0;
	if (!group)
		return error_set(err, E_INVALID, "there is no group '%s' (--group, RESITE_GROUP)",
				 s->group);
	/* Set-group-ID: what is made there is the group's. */
	rc = share_file(s->state_dir, "", group->gr_gid, 02750, err);
	for (size_t i = 0; i < COUNT_OF(files) && rc == 0; i++)
		rc = share_file(s->state_dir, files[i], group->gr_gid, 0640, err);
	return rc;
}

void
settings_release(struct settings *s)
{
	for (char **d = s->plugin_dirs; d && *d; d++)
		free(*d);
	free(s->plugin_dirs);
	free(s->state_dir);
	free(s->group);
	free(s->worker_path);
	*s = (struct settings){0};
}
