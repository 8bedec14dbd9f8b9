/* bad.c -- one action for each way in which a plugin can misbehave. */
#define _GNU_SOURCE
#include <resite/easy.h>
#include <resite/plugin.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS struct resite_op *op, const struct resite_host *host
#define UNUSED ((void)op, (void)host)


static int
crash(ARGS)
{
	UNUSED;
	signal(SIGSEGV, SIG_DFL); /* a sanitizer's handler would exit instead */
	raise(SIGSEGV);
	return RESITE_OK;
}

static int aborts(ARGS) { UNUSED; abort(); }
static int exit_zero(ARGS) { UNUSED; _exit(0); }
static int unknown_rc(ARGS) { UNUSED; return 42; }
static int no_reason(ARGS) { UNUSED; return RESITE_ERR_REFUSED; }
static int pending(ARGS) { UNUSED; return RESITE_PENDING; }
static int apply_ok(ARGS) { UNUSED; return RESITE_OK; }

static int
hang(ARGS)
{
	UNUSED;
	signal(SIGTERM, SIG_IGN);
	for (;;)
		pause();
	return RESITE_OK;
}

/* Stopped, as by a debugger or a full terminal: not even TERM reaches it. */
static int
stops(ARGS)
{
	raise(SIGSTOP);
	return hang(op, host);
}

/* Its parent hears no more of it than that it lives. */
static int
shuts(ARGS)
{
	close(3);
	return hang(op, host);
}

static int
polite_hang(ARGS)
{
	UNUSED;
	for (;;)
		pause();
	return RESITE_OK;
}

static int
liar_probe(ARGS)
{
	return host->state(op, "as ever", "f", 3, 5);
}

/* Which attempts of this plugin the process table has, and which one this is. */
static int
watchful_probe(ARGS)
{
	char path[64], line[512] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)getppid(), (int)getppid());
	f = fopen(path, "re");
	if (!f || !fgets(line, sizeof(line), f))
		return RESITE_ERR_BUG;
	fclose(f);
	resite_log(op, host, RESITE_LOG_INFO, "attempt %d of: %s", (int)getpid(), line);
	return host->state(op, "as ever", "f", 3, 5);
}

static int
converged_probe(ARGS)
{
	return host->state(op, "as wanted", "f", 0, 5);
}

static int
flood_output(ARGS)
{
	static char block[64 * 1024];

	UNUSED;
	memset(block, 'x', sizeof(block));
	for (size_t i = 79; i < sizeof(block); i += 80)
		block[i] = '\n';
	for (int i = 0; i < 64; i++)
		if (write(STDOUT_FILENO, block, sizeof(block)) < 0)
			return RESITE_ERR_BUG;
	return RESITE_OK;
}

static int
long_line(ARGS)
{
	UNUSED;
	for (int i = 0; i < 100000; i++)
		fputs("0123456789", stdout);
	putchar('\n');
	return RESITE_OK;
}

static int
flood_messages(ARGS)
{
	for (int i = 0; i < 50000; i++)
		resite_log(op, host, RESITE_LOG_INFO, "line %d of far too many", i);
	return RESITE_OK;
}

static int
say(const char *line)
{
	return write(3, line, strlen(line)) < 0 ? RESITE_ERR_BUG : RESITE_OK;
}

static int garbage(ARGS) { UNUSED; say("this is no JSON\n"); pause(); return RESITE_OK; }

static int
unknown_kind(ARGS)
{
	UNUSED;
	say("{\"kind\":\"format-disk\"}\n");
	pause();
	return RESITE_OK;
}

static int
endless_line(ARGS)
{
	static char block[64 * 1024];

	UNUSED;
	memset(block, 'a', sizeof(block));
	for (;;)
		if (write(3, block, sizeof(block)) < 0)
			pause();
	return RESITE_OK;
}

#define RESULT "{\"kind\":\"result\",\"phase\":\"apply\",\"rc\":0,\"retry_after_ms\":0,\"text\":\"\"}\n"

static int exit_after_ok(ARGS) { UNUSED; say(RESULT); _exit(3); }
static int double_result(ARGS) { UNUSED; return say(RESULT); }

/* A background process that stays in the attempt's group and keeps its pipes. */
static int
left_behind(ARGS)
{
	UNUSED;
	if (fork() == 0) {
		signal(SIGTERM, SIG_IGN);
		for (;;)
			pause();
	}
	return RESITE_OK;
}

/* One that leaves the group as a daemon does, keeps the pipes, and tells its pid. */
static int
daemonizes(ARGS)
{
	UNUSED;
	if (fork() == 0) {
		setsid();
		if (fork() != 0)
			_exit(0);
		printf("daemon %d\n", (int)getpid());
		fflush(stdout);
		sleep(60);
		_exit(0);
	}
	return RESITE_OK;
}

/* A daemon that has let go of its group, session and parent, and of all descriptors
 * but those from 4 to first_fd - 1.  It tells its pid. */
static void
hide_daemon(unsigned first_fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		pid = fork();
		if (pid != 0) {
			printf("daemon %d\n", (int)pid);
			fflush(stdout);
			_exit(0);
		}
		close_range(0, 3, 0);
		close_range(first_fd, ~0U, 0);
		for (;;)
			pause();
	}
	waitpid(pid, NULL, 0);
}

static int hidden_daemon(ARGS) { UNUSED; hide_daemon(4); return hang(op, host); }
static int lock_daemon(ARGS) { UNUSED; hide_daemon(5); return hang(op, host); }
static int polite_daemon(ARGS) { UNUSED; hide_daemon(4); return polite_hang(op, host); }
static int service(ARGS) { UNUSED; hide_daemon(4); return RESITE_OK; }

static int
huge_undo(ARGS)
{
	size_t size = 8 << 20;
	char *big = malloc(size);
	struct resite_kv kv = {.key = "was.thing", .value = big};
	int rc;

	memset(big, 'u', size - 1);
	big[size - 1] = '\0';
	rc = host->undo_put(op, 1, "put it back", &kv, 1);
	free(big);
	return rc;
}

/* 5,000 records of some size. */
static int
write_undo(ARGS, int width)
{
	char was[1024];
	struct resite_kv kv[] = {{"was.home", was}, {"set.home", "CN=2:1"}};

	for (int i = 0; i < 5000; i++) {
		snprintf(was, sizeof(was), "CN=1:%0*d", width, i);
		if (host->undo_add(op, 1, "set it back", kv, 2) != RESITE_OK)
			return RESITE_ERR_BUG;
		host->progress(op, (uint64_t)i + 1, 5000, "users");
	}
	return host->sync(op);
}

/* Pulls its records and says nothing of them. */
static int
deaf_revert(ARGS)
{
	const struct resite_kv *kv;
	uint32_t version, n;
	int rc;

	while ((rc = host->undo_next(op, &version, &kv, &n)) == 1)
		;
	return rc;
}

static int many_undo(ARGS) { return write_undo(op, host, 1); }
static int large_undo(ARGS) { return write_undo(op, host, 800); }

static int
undeclared_output(ARGS)
{
	return host->output(op, "nobody-knows-me", "x");
}

static int
leak_fds(ARGS)
{
	UNUSED;
	while (open("/dev/null", O_RDONLY) >= 0)
		;
	return RESITE_OK;
}

/* Tells every descriptor that it has, as log lines. */
static int
tell_fds(ARGS)
{
	UNUSED;
	for (int fd = 0; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("fd %d\n", fd);
	return RESITE_OK;
}

struct talker {
	struct resite_op *op;
	const struct resite_host *host;
	int n;
};

static void *
talk(void *arg)
{
	struct talker *t = arg;

	for (int i = 0; i < 200; i++) {
		resite_log(t->op, t->host, RESITE_LOG_INFO, "thread %d line %d", t->n, i);
		if (t->host->time_left_ms(t->op) <= 0)
			break;
	}
	return NULL;
}

static int
threads(ARGS)
{
	struct talker t[4];
	pthread_t id[4];

	for (int i = 0; i < 4; i++) {
		t[i] = (struct talker){op, host, i};
		if (pthread_create(&id[i], NULL, talk, &t[i]) != 0)
			return RESITE_ERR_BUG;
	}
	for (int i = 0; i < 50; i++)
		if (host->sync(op) != RESITE_OK)
			return RESITE_ERR_BUG;
	for (int i = 0; i < 4; i++)
		pthread_join(id[i], NULL);
	return RESITE_OK;
}

static int
secret(ARGS)
{
	char buf[64] = "";
	int len = host->secret(op, "bind", buf, sizeof(buf) - 1);

	if (len < 0)
		return len;
	return !strcmp(buf, "sesame") && len == 6 ? RESITE_OK : RESITE_ERR_BUG;
}

static int
slow_cancel(ARGS)
{
	/* Cancelling never disables undo: it is told of the cancel and still records. */
	const struct resite_kv kv = {"was.x", "1"};

	while (host->wait(op, host->cancel_fd(op), 1 /* POLLIN */, -1) == RESITE_PENDING)
		;
	if (host->undo_put(op, 1, "x", &kv, 1) != RESITE_OK ||
	    host->checkpoint(op, "here", "42") != RESITE_OK)
		return RESITE_ERR_BUG;
	return host->time_left_ms(op) == 0 ? RESITE_ERR_CANCELLED : RESITE_ERR_BUG;
}

#define ACT(name_, fn) \
	{.name = name_, .summary = "misbehaves", .default_timeout_ms = 60000, .apply = fn}

static const struct resite_action actions[] = {
	ACT("crash", crash), ACT("abort", aborts), ACT("exit-zero", exit_zero),
	ACT("unknown-rc", unknown_rc), ACT("no-reason", no_reason), ACT("hang", hang),
	ACT("apply-pending", pending), ACT("polite-hang", polite_hang),
	ACT("flood-output", flood_output), ACT("long-line", long_line),
	ACT("flood-messages", flood_messages), ACT("garbage", garbage),
	ACT("unknown-kind", unknown_kind), ACT("endless-line", endless_line),
	ACT("exit-after-ok", exit_after_ok), ACT("double-result", double_result),
	ACT("left-behind", left_behind), ACT("daemonizes", daemonizes),
	ACT("hidden-daemon", hidden_daemon), ACT("lock-daemon", lock_daemon),
	ACT("polite-daemon", polite_daemon), ACT("service", service),
	ACT("huge-undo", huge_undo), ACT("many-undo", many_undo), ACT("large-undo", large_undo),
	ACT("undeclared-output", undeclared_output), ACT("leak-fds", leak_fds),
	ACT("tell-fds", tell_fds), ACT("threads", threads), ACT("secret", secret),
	ACT("slow-cancel", slow_cancel),
	{.name = "liar", .summary = "says OK, changes nothing", .default_timeout_ms = 60000,
	 .probe = liar_probe, .apply = apply_ok},
	{.name = "hangs", .summary = "ignores cancel and TERM", .default_timeout_ms = 60000,
	 .probe = watchful_probe, .apply = hang},
	{.name = "stops", .summary = "is stopped", .default_timeout_ms = 60000,
	 .probe = watchful_probe, .apply = stops},
	{.name = "shuts", .summary = "closes its socket and ignores TERM",
	 .default_timeout_ms = 60000, .probe = watchful_probe, .apply = shuts},
	{.name = "deaf-revert", .summary = "says nothing of its records",
	 .default_timeout_ms = 60000, .apply = apply_ok, .revert = deaf_revert},
	{.name = "never-verified", .summary = "verify is never content",
	 .default_timeout_ms = 60000, .apply = apply_ok, .verify = pending},
	{.name = "lagging", .summary = "applied before, not yet seen outside",
	 .default_timeout_ms = 60000, .probe = converged_probe, .apply = crash, .verify = pending},
};

RESITE_PLUGIN(.name = "bad", .version = "1", .summary = "misbehaves in every known way",
	      .actions = actions, .n_actions = sizeof(actions) / sizeof(actions[0]))
