#include "sdk/proc/step.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* Keeps a line whole or not at all. */
static void
keep_line(struct proc_step *p, const char *text)
{
	size_t len = strlen(text) + 1;

	if (p->out_len + len > p->keep)
		return;
	if (!p->out && !(p->out = malloc(p->keep + 1)))
		return;
	memcpy(p->out + p->out_len, text, len - 1);
	p->out_len += len;
	p->out[p->out_len - 1] = '\n';
	p->out[p->out_len] = '\0';
}

static void
on_line(void *ctx, bool is_stderr, char *text)
{
	struct proc_step *p = ctx;

	if (!is_stderr)
		keep_line(p, text);
	if (*text && (is_stderr || !p->quiet))
		p->host->log(p->op, 1, text);
	p->host->progress(p->op, 0, 0, "waiting for the command");
}

static int
on_wait(void *ctx, int fd)
{
	struct proc_step *p = ctx;

	return p->host->wait(p->op, fd, POLLIN, -1);
}

int
proc_step_run(struct proc_step *p, char *const *argv, const void *input, size_t input_len)
{
	const struct command cmd = {.argv = argv, .env = environ, .input = input,
				    .input_len = input_len};
	const struct command_io io = {.ctx = p, .line = on_line, .wait = on_wait};
	const char *what = "";
	int errnum;

	p->out = NULL;
	p->out_len = 0;
	errnum = command_run(&cmd, &io, &p->end, &what);
	if (errnum) {
		snprintf(p->err, sizeof p->err, "%s: cannot be run: %s: %s", argv[0], what,
			 strerror(errnum));
		return RESITE_ERR_REFUSED;
	}
	if (p->end.stopped) {
		snprintf(p->err, sizeof p->err, "%s: stopped before its end", argv[0]);
		return RESITE_ERR_CANCELLED;
	}
	if (p->end.signal == 0 && p->end.exit_code == 0)
		return RESITE_OK;
	snprintf(p->err, sizeof p->err, "%s: %s %d: %s", argv[0],
		 p->end.signal ? "killed by signal" : "exit code",
		 p->end.signal ? p->end.signal : p->end.exit_code,
		 *p->end.tail ? p->end.tail : "it said nothing");
	return RESITE_ERR_REFUSED;
}

int
proc_step_param(struct proc_step *p, const char *param)
{
	uint32_t n = p->host->param_count(p->op, param);
	const char **argv = calloc(n + 1u, sizeof *argv);
	int rc;

	if (!argv || n == 0) {
		free(argv);
		snprintf(p->err, sizeof p->err, "%s: %s", param, n ? "out of memory" : "no command");
		return n ? RESITE_ERR_TRANSIENT : RESITE_ERR_INVALID;
	}
	for (uint32_t i = 0; i < n; i++)
		argv[i] = p->host->param_str(p->op, param, i);
	rc = proc_step_run(p, (char *const *)(uintptr_t)argv, NULL, 0);
	free(argv);
	return rc;
}
