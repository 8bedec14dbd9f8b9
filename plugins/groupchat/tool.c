#include "plugins/groupchat/tool.h"

#include "sdk/proc/command.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

struct watch {
	const struct call *c;
	struct tool_end *end;
	bool has_error; /* words holds a line that says "error" */
};

/* --- finding -------------------------------------------------------------------------- */

/* Debian has each major version in a folder of its own, and in PATH a wrapper that may
 * choose an old one: the newest reads and writes what every older server has. */
static bool
newest_of_system(const char *program, char path[512])
{
	char pattern[128];
	long best = -1;
	glob_t g;

	snprintf(pattern, sizeof pattern, "/usr/lib/postgresql/*/bin/%s", program);
	if (glob(pattern, 0, NULL, &g) != 0)
		return false;
	for (size_t i = 0; i < g.gl_pathc; i++) {
		long major = strtol(g.gl_pathv[i] + strlen("/usr/lib/postgresql/"), NULL, 10);

		if (major > best && !access(g.gl_pathv[i], X_OK)) {
			best = major;
			snprintf(path, 512, "%s", g.gl_pathv[i]);
		}
	}
	globfree(&g);
	return best >= 0;
}

static bool
in_path(const char *program, char path[512])
{
	const char *dirs = getenv("PATH");

	for (dirs = dirs ? dirs : "/usr/bin:/bin"; *dirs; dirs += strspn(dirs, ":")) {
		size_t len = strcspn(dirs, ":");

		snprintf(path, 512, "%.*s/%s", (int)len, dirs, program);
		if (!access(path, X_OK))
			return true;
		dirs += len;
	}
	return false;
}

int
tool_find(const struct call *c, const char *program, char path[512])
{
	const char *dir = call_str(c, "bin_dir");

	if (dir) {
		snprintf(path, 512, "%s/%s", dir, program);
		return access(path, X_OK) ? call_fail(c, RESITE_ERR_INVALID, "bin_dir", "%s: %s", path,
						      strerror(errno)) : RESITE_OK;
	}
	if (newest_of_system(program, path) || in_path(program, path))
		return RESITE_OK;
	return call_fail(c, RESITE_ERR_INVALID, "bin_dir",
			 "%s is not on this machine (Debian: apt-get install postgresql-client), or say "
			 "where it is with bin_dir", program);
}

/* --- running -------------------------------------------------------------------------- */

static void
on_line(void *ctx, bool is_stderr, char *text)
{
	struct watch *w = ctx;
	bool error = is_stderr && (strstr(text, "error") || strstr(text, "ERROR"));

	call_log(w->c, is_stderr ? RESITE_LOG_WARN : RESITE_LOG_INFO, "%s", text);
	if (w->has_error || (!error && !*text))
		return;
	w->has_error = error;
	one_line(w->end->words, sizeof w->end->words, text);
}

static int
on_wait(void *ctx, int fd)
{
	struct watch *w = ctx;

	return w->c->host->wait(w->c->op, fd, POLLIN, -1) != RESITE_OK;
}

static int
run(const struct call *c, const char *param, bool leaves_service, const char *const argv[],
    char *const env[], struct tool_end *ret)
{
	const struct command cmd = {.argv = (char **)(uintptr_t)argv, .env = env,
				    .leaves_service = leaves_service};
	struct watch w = {.c = c, .end = ret};
	const struct command_io io = {.ctx = &w, .line = on_line, .wait = on_wait};
	struct command_end end;
	const char *what;
	int errnum;

	*ret = (struct tool_end){0};
	errnum = command_run(&cmd, &io, &end, &what);
	if (errnum != 0)
		return call_fail(c, errnum == EAGAIN || errnum == ENOMEM || errnum == EMFILE
			? RESITE_ERR_TRANSIENT : RESITE_ERR_INVALID, param, "cannot run %s: %s: %s",
			argv[0], what, strerror(errnum));
	ret->exit_code = end.signal ? -1 : end.exit_code;
	ret->signal = end.signal;
	return end.stopped ? call_fail(c, RESITE_ERR_CANCELLED, NULL, "%s was stopped", argv[0])
			   : RESITE_OK;
}

/* A file in memory that only this user's processes can read, gone with them. */
static int
password_file(const struct db_login *l)
{
	char line[2 * SECRET_MAX + 16] = "*:*:*:*:";
	size_t n = strlen(line);
	int fd = memfd_create("pgpass", 0);
	bool ok;

	for (const char *p = l->password; *p; p++) {
		if (*p == ':' || *p == '\\')
			line[n++] = '\\';
		line[n++] = *p;
	}
	line[n++] = '\n';
	ok = fd >= 0 && fchmod(fd, 0600) == 0 && write(fd, line, n) == (ssize_t)n;
	explicit_bzero(line, sizeof line);
	if (!ok && fd >= 0)
		close(fd);
	return ok ? fd : -1;
}

enum { OWN_VARIABLES = 11 };

/* Our environment without what libpq reads from it, and what it shall read: names and
 * their values, in one array of pointers that ends with NULL. */
static char **
make_env(const struct db *db, int password_fd, const char *options,
	 char own[OWN_VARIABLES][PATH_MAX + 32])
{
	const struct db_login *l = db->login;
	size_t n = 0, at = 0, mine = 0;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + OWN_VARIABLES + 1, sizeof *env);
	if (!env)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "PG", 2) && strncmp(environ[i], "LC_ALL=", 7))
			env[at++] = environ[i];
#define OWN(...) (snprintf(own[mine], sizeof own[0], __VA_ARGS__), env[at++] = own[mine++])
	OWN("LC_ALL=C");
	OWN("PGHOST=%s", l->at.host);
	OWN("PGHOSTADDR=%s", PQhostaddr(db->pg.conn));
	OWN("PGPORT=%s", l->at.port);
	OWN("PGUSER=%s", l->pg.user);
	OWN("PGAPPNAME=%s", l->pg.application);
	OWN("PGSSLMODE=%s", l->pg.tls ? l->pg.tls : "prefer");
	OWN("PGCONNECT_TIMEOUT=%lld", (long long)(l->pg.patience_ms + 999) / 1000);
	if (options)
		OWN("PGOPTIONS=%s", options);
	if (l->pg.ca_file)
		OWN("PGSSLROOTCERT=%s", l->pg.ca_file);
	if (password_fd >= 0)
		OWN("PGPASSFILE=/proc/self/fd/%d", password_fd);
#undef OWN
	return env;
}

int
tool_run(const struct db *db, const char *options, const char *const argv[],
	 struct tool_end *ret)
{
	const struct db_login *login = db->login;
	int fd = *login->password ? password_file(login) : -1, rc;
	char (*own)[PATH_MAX + 32] = calloc(OWN_VARIABLES, sizeof *own);
	char **env = own ? make_env(db, fd, options, own) : NULL;

	if (!env || (*login->password && fd < 0))
		rc = call_no_memory(login->c);
	else
		rc = run(login->c, NULL, false, argv, env, ret);
	if (fd >= 0)
		close(fd);
	free(env);
	free(own);
	return rc;
}

/* What the server said through a program has no SQLSTATE, but words that do not change with
 * LC_ALL=C. */
static int
rc_of_words(const char *words)
{
	static const char *const transient[] = {
		"could not connect", "connection to server", "server closed the connection",
		"terminating connection", "starting up", "shutting down", "too many clients",
		"timeout expired", NULL};

	for (size_t i = 0; transient[i]; i++)
		if (strstr(words, transient[i]) && !strstr(words, "authentication"))
			return RESITE_ERR_TRANSIENT;
	return RESITE_ERR_REFUSED;
}

int
tool_failed(const struct db *db, const char *program, const struct tool_end *end)
{
	const struct db_login *login = db->login;
	const char *name = strrchr(program, '/') ? strrchr(program, '/') + 1 : program;

	if (end->signal)
		return call_fail(login->c, RESITE_ERR_REFUSED, NULL,
				 "%s at %s was killed by signal %d (%s): %s", name,
				 login->at.text, end->signal, strsignal(end->signal), end->words);
	return call_fail(login->c, rc_of_words(end->words), NULL, "%s at %s: exit %d: %s", name,
			 login->at.text, end->exit_code,
			 *end->words ? end->words : "it said nothing");
}

int
command_run_plan(const struct call *c, const char *param, const char *argv[], struct tool_end *ret)
{
	const char *name = argv[0];
	char path[512];
	int rc;

	if (!strchr(name, '/') && in_path(name, path))
		argv[0] = path;
	rc = run(c, param, true, argv, environ, ret);
	argv[0] = name;
	return rc;
}

int
command_of_plan(const struct call *c, const char *param, struct tool_end *ret)
{
	uint32_t n = c->host->param_count(c->op, param);
	const char **argv = calloc(n + 1u, sizeof *argv);
	int rc;

	if (!argv)
		return call_no_memory(c);
	for (uint32_t i = 0; i < n; i++)
		argv[i] = c->host->param_str(c->op, param, i);
	rc = command_run_plan(c, param, argv, ret);
	free(argv);
	return rc;
}
