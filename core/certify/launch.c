#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/strbuf.h"
#include "core/certify/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* A resume waits for workers of the one before, at most 15 s. */
#define LAUNCH_MS 60000
#define NAP_NS 1000000

/* What a launch gets beside what we have ourselves. */
enum { ENV_PRELOAD, ENV_FAULT, ENV_GENERATION, ENV_STATE, ENV_PLUGINS, ENV_WORKER, N_ENV };

static const char *const env_names[N_ENV] = {
	[ENV_PRELOAD] = "LD_PRELOAD", [ENV_FAULT] = FAULT_ENV,
	[ENV_GENERATION] = "RESITE_CERTIFY_GENERATION", [ENV_STATE] = "RESITE_STATE",
	[ENV_PLUGINS] = "RESITE_PLUGINS", [ENV_WORKER] = "RESITE_WORKER",
};

/* --- setup --------------------------------------------------------------- */

static bool
is_set_here(const char *entry)
{
	for (int i = 0; i < N_ENV; i++) {
		size_t len = strlen(env_names[i]);

		if (!strncmp(entry, env_names[i], len) && entry[len] == '=')
			return true;
	}
	return false;
}

static int
set_env(struct launch_setup *s, int which, const char *value)
{
	free(s->env[which]);
	s->env[which] = NULL;
	if (asprintf(&s->env[which], "%s=%s", env_names[which], value) < 0) {
		s->env[which] = NULL;
		return E_NOMEM;
	}
	return 0;
}

static int
copy_env(struct launch_setup *s)
{
	size_t n = 0, kept = N_ENV;

	while (environ[n])
		n++;
	s->env = calloc(n + N_ENV + 1, sizeof(*s->env));
	for (size_t i = 0; s->env && i < n; i++) {
		if (is_set_here(environ[i]))
			continue;
		s->env[kept] = strdup(environ[i]);
		if (!s->env[kept++])
			return E_NOMEM;
	}
	return s->env ? 0 : E_NOMEM;
}

/* In memory, so that it costs the disk nothing. */
static int
map_page(struct launch_setup *s, struct error *err)
{
	s->page_fd = memfd_create("resite-fault", MFD_CLOEXEC);
	if (s->page_fd < 0 || ftruncate(s->page_fd, sizeof(*s->page)) < 0)
		return error_errno(err, errno, "no memory to share");
	s->page = mmap(NULL, sizeof(*s->page), PROT_READ | PROT_WRITE, MAP_SHARED, s->page_fd, 0);
	if (s->page == MAP_FAILED) {
		s->page = NULL;
		return error_errno(err, errno, "no memory to share");
	}
	s->page->magic = FAULT_MAGIC;
	return 0;
}

static int
fill_env(struct launch_setup *s, const struct lane_setup *lane)
{
	struct strbuf state = STRBUF_INIT, page = STRBUF_INIT;
	int rc = copy_env(s);

	strbuf_addf(&state, "%s/disk/state", s->dir);
	strbuf_addf(&page, "/proc/%ld/fd/%d", (long)getpid(), s->page_fd);
	if (rc == 0 && (set_env(s, ENV_PRELOAD, lane->shim) < 0 ||
			set_env(s, ENV_FAULT, page.buf) < 0 ||
			set_env(s, ENV_STATE, state.buf) < 0 ||
			set_env(s, ENV_GENERATION, "0") < 0 ||
			set_env(s, ENV_PLUGINS, lane->settings->plugin_dirs[0]) < 0 ||
			set_env(s, ENV_WORKER, lane->settings->worker_path) < 0))
		rc = E_NOMEM;
	strbuf_release(&state);
	strbuf_release(&page);
	return rc;
}

int
launch_setup_init(struct launch_setup *s, const struct lane_setup *lane, const char *dir,
		  struct fault_page **ret_page, struct error *err)
{
	struct strbuf plan = STRBUF_INIT;
	int rc;

	*s = (struct launch_setup){.resite = lane->resite, .dir = dir, .page_fd = -1};
	strbuf_addf(&plan, "%s/plan.conf", dir);
	s->plan = strbuf_detach(&plan);
	rc = map_page(s, err);
	if (rc == 0 && (!s->plan || fill_env(s, lane) < 0))
		rc = error_set(err, E_NOMEM, "out of memory");
	*ret_page = s->page;
	return rc;
}

void
launch_setup_release(struct launch_setup *s)
{
	/* The first ones may be missing when there was no memory. */
	for (size_t i = 0; s->env && (i < N_ENV || s->env[i]); i++)
		free(s->env[i]);
	free(s->env);
	free(s->plan);
	if (s->page)
		munmap(s->page, sizeof(*s->page));
	if (s->page_fd >= 0)
		close(s->page_fd);
}

/* --- processes ----------------------------------------------------------- */

static void
nap(void)
{
	struct timespec ts = {.tv_nsec = NAP_NS};

	nanosleep(&ts, NULL);
}

/* Whether one of our children is left; those that have ended are forgotten. */
static bool
any_left(void)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		;
	return pid == 0;
}

/* What our children have left becomes ours (lane_init), so this finds all of them. */
void
launch_kill_all(void)
{
	while (any_left()) {
		FILE *children = fopen("/proc/thread-self/children", "re");
		int pid;

		while (children && fscanf(children, "%d", &pid) == 1)
			kill(pid, SIGKILL);
		if (children)
			fclose(children);
		nap();
	}
}

bool
launch_all_gone(int64_t ms)
{
	int64_t until = clock_mono_ms() + ms;

	while (any_left() && clock_mono_ms() < until)
		nap();
	if (!any_left())
		return true;
	launch_kill_all();
	return false;
}

static int
add_output(posix_spawn_file_actions_t *fa, int fd, const char *dir, const char *name, uint32_t n,
	   int flags)
{
	struct strbuf path = STRBUF_INIT;
	int rc;

	strbuf_addf(&path, "%s/%s.%" PRIu32, dir, name, n);
	rc = path.failed ? ENOMEM : posix_spawn_file_actions_addopen(fa, fd, path.buf,
								     O_WRONLY | O_CREAT | flags, 0600);
	strbuf_release(&path);
	return rc;
}

/* Its own group: Ctrl-C is for us alone. */
static int
spawn(struct launch_setup *s, char *const argv[], uint32_t n, int flags, pid_t *ret_pid,
      struct error *err)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	char number[16];
	int rc;

	snprintf(number, sizeof(number), "%" PRIu32, n);
	if (set_env(s, ENV_GENERATION, number) < 0)
		return error_set(err, E_NOMEM, "out of memory");
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	rc = posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = add_output(&fa, 1, s->dir, "out", n, flags);
	if (rc == 0)
		rc = add_output(&fa, 2, s->dir, "err", n, flags);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	if (rc == 0)
		rc = posix_spawn(ret_pid, s->resite, &fa, &attr, argv, s->env);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	return rc ? error_errno(err, rc, "cannot start %s", s->resite) : 0;
}

static void
wait_end(pid_t pid, struct launch_end *ret)
{
	struct pollfd pfd = {.fd = pidfd_open(pid, 0), .events = POLLIN};
	int status = 0;

	*ret = (struct launch_end){0};
	while (pfd.fd >= 0 && (status = poll(&pfd, 1, LAUNCH_MS)) < 0 && errno == EINTR)
		;
	ret->hung = pfd.fd >= 0 && status == 0;
	if (ret->hung)
		kill(pid, SIGKILL);
	if (pfd.fd >= 0)
		close(pfd.fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		ret->signal = WTERMSIG(status);
	else
		ret->status = WEXITSTATUS(status);
}

/* posix_spawn changes no argument, it only says so in no way. */
static int
launch(struct launch_setup *s, const char *const *words, uint32_t n, int flags,
       struct launch_end *ret, struct error *err)
{
	char *argv[8];
	size_t i = 0;
	pid_t pid;
	int rc;

	do
		argv[i] = (char *)(uintptr_t)words[i];
	while (words[i++]);
	rc = spawn(s, argv, n, flags, &pid, err);
	if (rc == 0)
		wait_end(pid, ret);
	return rc;
}

int
launch_orchestrator(struct launch_setup *s, bool resume, uint32_t n, struct launch_end *ret,
		    struct error *err)
{
	const char *again[] = {s->resite, "resume", "--json", NULL};
	const char *first[] = {s->resite, "run", s->plan, "move", "--json", NULL};

	return launch(s, resume ? again : first, n, O_TRUNC, ret, err);
}

int
launch_word(struct launch_setup *s, const char *word, const char *run, const char *step, uint32_t n,
	    struct error *err)
{
	const char *words[] = {s->resite, word, run, step, "--reason", "the certificate's operator",
			       NULL};
	struct launch_end end;
	int rc = launch(s, words, n, O_APPEND, &end, err);

	if (rc == 0 && (end.hung || end.signal || end.status))
		rc = error_set(err, E_REFUSED, "resite %s %s %s ended with %d", word, run, step,
			       end.signal ? end.signal : end.status);
	return rc;
}
