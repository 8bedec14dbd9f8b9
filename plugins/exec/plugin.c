/* exec.run: the operator's own commands as a step. */
#define _GNU_SOURCE
#include "sdk/proc/command.h"
#include "report.h"

#include <resite/easy.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGS struct resite_op *op, const struct resite_host *host

enum { SECRET_MAX = 64 * 1024, TEXT_MAX = 900, EXTRA_ALWAYS = 3 };

extern char **environ;

static const struct resite_param params[] = {
	{.name = "probe", .summary = "command that says what is there and what would change",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED},
	{.name = "apply", .summary = "command that does the work; it must bear being run again",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED},
	{.name = "verify", .summary = "command that asks the outside world whether it is done",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED},
	{.name = "revert", .summary = "command that puts back what apply changed",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED},
	{.name = "shell", .summary = "each command is one string for /bin/sh -c",
	 .type = RESITE_T_BOOL, .def = "false"},
	{.name = "cwd", .summary = "folder that the commands run in", .type = RESITE_T_PATH},
	{.name = "env", .summary = "NAME=VALUE for the commands; never a secret",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED},
	{.name = "input", .summary = "what the commands read on stdin", .type = RESITE_T_STRING},
	{.name = "stdin_secret", .summary = "secret that the commands read on stdin",
	 .type = RESITE_T_SECRET},
	{.name = "ok_codes", .summary = "exit codes that mean success",
	 .type = RESITE_T_INT, .flags = RESITE_PARAM_REPEATED, .def = "0", .max = 255},
	{.name = "pending_codes", .summary = "exit codes of verify that mean: not yet, ask again",
	 .type = RESITE_T_INT, .flags = RESITE_PARAM_REPEATED, .def = "75", .max = 255},
	{.name = "transient_codes", .summary = "exit codes that mean: try again later",
	 .type = RESITE_T_INT, .flags = RESITE_PARAM_REPEATED, .def = "75", .max = 255},
	{.name = "conflict_codes", .summary = "exit codes that mean: not what probe saw",
	 .type = RESITE_T_INT, .flags = RESITE_PARAM_REPEATED, .max = 255},
	{.name = "invalid_codes", .summary = "exit codes that mean: the plan is wrong",
	 .type = RESITE_T_INT, .flags = RESITE_PARAM_REPEATED, .def = "64", .max = 255},
	{0},
};

/* In this order; what none of them has is REFUSED: a person must look. */
static const struct {
	const char *param;
	int rc;
	bool only_verify;
} code_table[] = {
	{"ok_codes", RESITE_OK, false},
	{"pending_codes", RESITE_PENDING, true},
	{"transient_codes", RESITE_ERR_TRANSIENT, false},
	{"conflict_codes", RESITE_ERR_CONFLICT, false},
	{"invalid_codes", RESITE_ERR_INVALID, false},
};

/* One command of a step, and what its run needs. */
struct job {
	struct resite_op *op;
	const struct resite_host *host;
	const char *phase; /* the parameter that holds the command, too */
	struct report report;
	char **argv, **env; /* owned arrays */
	char **extra;       /* entries of env that are ours; owned, ends with NULL */
	size_t n_extra;
	char *secret;       /* owned, wiped */
	struct command cmd;
};

/* --- making the command --------------------------------------------------------------- */

static bool
is_set(ARGS, const char *name)
{
	return host->param_count(op, name) > 0;
}

static int
make_argv(struct job *j)
{
	uint32_t n = j->host->param_count(j->op, j->phase), at = 0;
	bool shell = j->host->param_i64(j->op, "shell", 0) != 0;
	const char **argv = calloc(n + 3u, sizeof(*argv));

	if (!argv)
		return RESITE_ERR_TRANSIENT;
	if (shell) {
		argv[at++] = "/bin/sh";
		argv[at++] = "-c";
	}
	for (uint32_t i = 0; i < n; i++)
		argv[at++] = j->host->param_str(j->op, j->phase, i);
	j->argv = (char **)(uintptr_t)argv;
	return RESITE_OK;
}

static bool
same_name(const char *a, const char *b)
{
	size_t len = strcspn(b, "=");

	return !strncmp(a, b, len) && a[len] == '=';
}

/* Sets NAME=VALUE in j->env; a later one wins. */
static void
set_env(struct job *j, char *entry)
{
	size_t i = 0;

	while (j->env[i] && !same_name(j->env[i], entry))
		i++;
	j->env[i] = entry;
}

static int
add_extra(struct job *j, const char *name, const char *value)
{
	char *entry;

	if (asprintf(&entry, "%s=%s", name, value) < 0)
		return RESITE_ERR_TRANSIENT;
	j->extra[j->n_extra++] = entry;
	set_env(j, entry);
	return RESITE_OK;
}

/* RESITE_UNDO_was_home=… for the key was.home. */
static int
add_undo_env(struct job *j, const struct resite_kv *kv)
{
	char *name;
	int rc;

	if (asprintf(&name, "RESITE_UNDO_%s", kv->key) < 0)
		return RESITE_ERR_TRANSIENT;
	for (char *p = name; *p; p++)
		*p = strchr(".-=", *p) ? '_' : *p;
	rc = add_extra(j, name, kv->value);
	free(name);
	return rc;
}

static int
make_env(struct job *j, const struct resite_kv *undo, uint32_t n_undo)
{
	static const char *const modes[] = {"", "disaster", "planned", "rehearsal"};
	bool force = n_undo && j->host->revert_way(j->op) == RESITE_FORCE;
	uint32_t n_env = j->host->param_count(j->op, "env");
	size_t n = 0;
	int mode = j->host->mode(j->op), rc;

	while (environ[n])
		n++;
	j->env = calloc(n + n_env + n_undo + EXTRA_ALWAYS + 1, sizeof(char *));
	j->extra = calloc(n_undo + EXTRA_ALWAYS + 1u, sizeof(char *));
	if (!j->env || !j->extra)
		return RESITE_ERR_TRANSIENT;
	memcpy(j->env, environ, n * sizeof(char *));
	for (uint32_t i = 0; i < n_env; i++)
		set_env(j, (char *)(uintptr_t)j->host->param_str(j->op, "env", i));
	rc = add_extra(j, "RESITE_PHASE", j->phase);
	if (rc == RESITE_OK)
		rc = add_extra(j, "RESITE_MODE", mode > 0 && mode < 4 ? modes[mode] : "");
	if (rc == RESITE_OK && n_undo)
		rc = add_extra(j, "RESITE_REVERT", force ? "force" : "put_back");
	for (uint32_t i = 0; rc == RESITE_OK && i < n_undo; i++)
		rc = add_undo_env(j, &undo[i]);
	return rc;
}

static int
take_secret(struct job *j)
{
	const char *ref = j->host->param_str(j->op, "stdin_secret", 0);
	int len;

	j->secret = malloc(SECRET_MAX);
	if (!j->secret)
		return RESITE_ERR_TRANSIENT;
	len = j->host->secret(j->op, ref, j->secret, SECRET_MAX);
	if (len < 0)
		return len;
	if (len > SECRET_MAX)
		return resite_fail(j->op, j->host, RESITE_ERR_INVALID, "stdin_secret",
				   "the secret has %d bytes, more than %d", len, SECRET_MAX);
	j->cmd.input = j->secret;
	j->cmd.input_len = (size_t)len;
	return RESITE_OK;
}

static int
make_command(struct job *j, const struct resite_kv *undo, uint32_t n_undo)
{
	int rc = make_argv(j);

	if (rc == RESITE_OK)
		rc = make_env(j, undo, n_undo);
	if (rc != RESITE_OK)
		return rc;
	j->cmd.argv = j->argv;
	j->cmd.env = j->env;
	j->cmd.cwd = resite_str_or(j->op, j->host, "cwd", NULL);
	if (is_set(j->op, j->host, "stdin_secret"))
		return take_secret(j);
	j->cmd.input = resite_str_or(j->op, j->host, "input", NULL);
	j->cmd.input_len = j->cmd.input ? strlen(j->cmd.input) : 0;
	return RESITE_OK;
}

static void
job_release(struct job *j)
{
	if (j->secret)
		explicit_bzero(j->secret, SECRET_MAX);
	free(j->secret);
	for (size_t i = 0; i < j->n_extra; i++)
		free(j->extra[i]);
	free(j->extra);
	free(j->argv);
	free(j->env);
	report_release(&j->report);
}

/* --- running it -------------------------------------------------------------------------- */

static void
on_line(void *ctx, bool is_stderr, char *text)
{
	report_line(&((struct job *)ctx)->report, is_stderr, text);
}

static int
on_wait(void *ctx, int fd)
{
	struct job *j = ctx;

	return j->host->wait(j->op, fd, POLLIN, -1) != RESITE_OK || j->report.rc != RESITE_OK;
}

static bool
has_code(struct job *j, const char *param, int code)
{
	uint32_t n = j->host->param_count(j->op, param);

	for (uint32_t i = 0; i < n; i++)
		if (j->host->param_i64(j->op, param, i) == code)
			return true;
	return false;
}

static int
rc_of_code(struct job *j, int code)
{
	for (size_t i = 0; i < sizeof(code_table) / sizeof(code_table[0]); i++)
		if ((!code_table[i].only_verify || !strcmp(j->phase, "verify")) &&
		    has_code(j, code_table[i].param, code))
			return code_table[i].rc;
	return RESITE_ERR_REFUSED;
}

/* What the command's end means. */
static int
judge(struct job *j, const struct command_end *end)
{
	const char *colon = *end->tail ? ": " : "";
	int rc;

	if (j->report.rc != RESITE_OK)
		return j->report.rc;
	if (end->stopped)
		return resite_fail(j->op, j->host, RESITE_ERR_CANCELLED, NULL,
				   "%s %s was stopped%s%s", j->phase, j->argv[0], colon, end->tail);
	if (end->signal)
		return resite_fail(j->op, j->host, RESITE_ERR_REFUSED, NULL,
				   "%s %s was killed by signal %d (%s)%s%s", j->phase, j->argv[0],
				   end->signal, strsignal(end->signal), colon, end->tail);
	rc = rc_of_code(j, end->exit_code);
	if (rc != RESITE_OK)
		resite_fail(j->op, j->host, rc, NULL, "%s %s: exit %d%s%s", j->phase, j->argv[0],
			    end->exit_code, colon, end->tail);
	return rc;
}

/* Runs the command of a phase, if there is one; j->report holds what it told. */
static int
run_job(struct job *j, const struct resite_kv *undo, uint32_t n_undo)
{
	struct command_io io = {.ctx = j, .line = on_line, .wait = on_wait};
	struct command_end end;
	const char *what;
	int rc = make_command(j, undo, n_undo), errnum;

	if (rc != RESITE_OK)
		return rc;
	errnum = command_run(&j->cmd, &io, &end, &what);
	if (errnum != 0)
		return resite_fail(j->op, j->host,
				   errnum == EAGAIN || errnum == ENOMEM || errnum == EMFILE
					   ? RESITE_ERR_TRANSIENT : RESITE_ERR_INVALID,
				   j->phase, "cannot run %s: %s: %s", j->argv[0], what,
				   strerror(errnum));
	return judge(j, &end);
}

static struct job
job_for(ARGS, const char *phase)
{
	return (struct job){.op = op, .host = host, .phase = phase,
			    .report = {.op = op, .host = host, .probing = !strcmp(phase, "probe")}};
}

/* --- the five functions -------------------------------------------------------------------- */

static int
check_command(ARGS, const char *name)
{
	uint32_t n = host->param_count(op, name);
	bool shell = host->param_i64(op, "shell", 0) != 0;

	if (n == 0)
		return RESITE_OK;
	if (shell && n != 1)
		return resite_fail(op, host, RESITE_ERR_INVALID, name,
				   "with shell = true it must be one string, not a list of %u", n);
	if (!shell && host->param_str(op, name, 0)[0] != '/')
		return resite_fail(op, host, RESITE_ERR_INVALID, name,
				   "\"%.200s\": the program must be given with its whole path, as "
				   "the first of a list", host->param_str(op, name, 0));
	return RESITE_OK;
}

static int
check(ARGS)
{
	static const char *const names[] = {"probe", "apply", "verify", "revert"};
	uint32_t n_env = host->param_count(op, "env");
	int rc = RESITE_OK;

	for (size_t i = 0; rc == RESITE_OK && i < 4; i++)
		rc = check_command(op, host, names[i]);
	if (rc != RESITE_OK)
		return rc;
	if (!is_set(op, host, "apply") && !is_set(op, host, "verify"))
		return resite_fail(op, host, RESITE_ERR_INVALID, "apply",
				   "nothing to run: give apply or verify");
	if (is_set(op, host, "input") && is_set(op, host, "stdin_secret"))
		return resite_fail(op, host, RESITE_ERR_INVALID, "input",
				   "there is one stdin: give input or stdin_secret, not both");
	for (uint32_t i = 0; i < n_env; i++)
		if (strcspn(host->param_str(op, "env", i), "=") == 0 ||
		    !strchr(host->param_str(op, "env", i), '='))
			return resite_fail(op, host, RESITE_ERR_INVALID, "env",
					   "\"%.200s\" is not NAME=VALUE",
					   host->param_str(op, "env", i));
	return RESITE_OK;
}

/* One process is one attempt: what probe reads for the undo is kept for apply. */
static json_t **
kept_undo(void)
{
	static json_t *undo;

	return &undo;
}

static int
probe(ARGS)
{
	struct job j = job_for(op, host, "probe");
	int rc;

	if (!is_set(op, host, "probe"))
		return RESITE_OK; /* cannot tell */
	rc = run_job(&j, NULL, 0);
	json_decref(*kept_undo());
	*kept_undo() = json_incref(j.report.undo);
	job_release(&j);
	return rc;
}

static void
write_by_hand(struct job *j, char *buf, size_t size)
{
	uint32_t n = j->host->param_count(j->op, "revert");
	size_t len = (size_t)snprintf(buf, size, "run:");

	for (uint32_t i = 0; i < n && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, " %s",
					j->host->param_str(j->op, "revert", i));
}

/* Before apply runs: what probe told about the state, or at least that apply ran. */
static int
put_undo(struct job *j)
{
	json_t *records = *kept_undo(), *one;
	size_t n_records = json_array_size(records);
	char by_hand[TEXT_MAX];
	int rc = RESITE_OK;
	size_t i;

	write_by_hand(j, by_hand, sizeof(by_hand));
	json_array_foreach(records, i, one)
		if (rc == RESITE_OK)
			rc = report_put_undo(&j->report, one, by_hand);
	json_decref(records);
	*kept_undo() = NULL;
	if (n_records == 0 && is_set(j->op, j->host, "revert")) {
		const struct resite_kv kv = {"set.applied", "true"};

		rc = j->host->undo_put(j->op, 1, by_hand, &kv, 1);
	}
	return rc;
}

static int
apply(ARGS)
{
	struct job j = job_for(op, host, "apply");
	int rc;

	if (!is_set(op, host, "apply"))
		return RESITE_OK;
	rc = put_undo(&j);
	if (rc != RESITE_OK)
		resite_fail(op, host, rc, NULL, "an undo record was not kept, so nothing was run");
	else
		rc = run_job(&j, NULL, 0);
	if (rc == RESITE_OK && j.report.last_line)
		rc = host->output(op, "stdout", j.report.last_line);
	job_release(&j);
	return rc;
}

static int
verify(ARGS)
{
	struct job j = job_for(op, host, "verify");
	int rc;

	if (!is_set(op, host, "verify"))
		return RESITE_OK;
	rc = run_job(&j, NULL, 0);
	job_release(&j);
	return rc;
}

/* "mx=a, ttl=60" of was.mx and was.ttl, for people. */
static void
write_values(const struct resite_kv *kv, uint32_t n, const char *prefix, char buf[TEXT_MAX])
{
	size_t len = 0, cut = strlen(prefix);

	buf[0] = '\0';
	for (uint32_t i = 0; i < n && len < TEXT_MAX; i++)
		if (!strncmp(kv[i].key, prefix, cut))
			len += (size_t)snprintf(buf + len, TEXT_MAX - len, "%s%s=%s", len ? ", " : "",
						kv[i].key + cut, kv[i].value);
}

static int
tell_reverted(ARGS, const struct resite_kv *kv, uint32_t n, int result, const char *now)
{
	const char *object = resite_kv_get(kv, n, "object");
	char was[TEXT_MAX], set[TEXT_MAX];

	write_values(kv, n, "was.", was);
	write_values(kv, n, "set.", set);
	return host->reverted(op, object ? object : host->param_str(op, "revert", 0), result, was,
			      set, now);
}

/* Only the command knows whether what it finds is still ours: an exit code of
 * conflict_codes says that it is not. */
static int
revert_one(ARGS, uint32_t version, const struct resite_kv *kv, uint32_t n)
{
	struct job j = job_for(op, host, "revert");
	const char *now;
	int rc;

	if (version != 1)
		return resite_fail(op, host, RESITE_ERR_REFUSED, NULL,
				   "an undo record of version %u is from a newer exec plugin", version);
	if (host->revert_way(op) == RESITE_LOOK)
		return tell_reverted(op, host, kv, n, RESITE_REVERTED_PUT_BACK, NULL);
	rc = run_job(&j, kv, n);
	now = j.report.last_line ? j.report.last_line : "the command does not say";
	if (rc == RESITE_OK)
		rc = tell_reverted(op, host, kv, n, RESITE_REVERTED_PUT_BACK, now);
	else if (rc == RESITE_ERR_CONFLICT)
		rc = tell_reverted(op, host, kv, n, RESITE_REVERTED_CONFLICT, now);
	job_release(&j);
	return rc;
}

static int
revert(ARGS)
{
	if (!is_set(op, host, "revert"))
		return resite_fail(op, host, RESITE_ERR_REFUSED, "revert",
				   "the plan gives no revert command: put it back by hand");
	return resite_revert_each(op, host, revert_one);
}

static const struct resite_action actions[] = {
	{.name = "run",
	 .summary = "runs own commands for probe, apply, verify and revert",
	 .flags = RESITE_ACT_REVERSIBLE,
	 .default_timeout_ms = 10 * 60 * 1000,
	 .params = params,
	 .outputs = report_outputs,
	 .check = check,
	 .probe = probe,
	 .apply = apply,
	 .verify = verify,
	 .revert = revert},
};

RESITE_PLUGIN(.name = "exec", .version = "0.1.0", .summary = "own commands as steps",
	      .actions = actions, .n_actions = sizeof(actions) / sizeof(actions[0]))
