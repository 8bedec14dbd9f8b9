#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/cli/cli.h"
#include "core/run/lock.h"
#include "core/run/previewed.h"
#include "core/view/progress.h"
#include "core/view/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum progress_style
style_of(const struct options *o)
{
	if (o->json)
		return PROGRESS_JSON;
	if (o->verbose < 0)
		return PROGRESS_QUIET;
	return isatty(STDOUT_FILENO) ? PROGRESS_TERMINAL : PROGRESS_LOG;
}

/* Paused: stay when somebody sits at the terminal, who can answer from another one. */
static struct run_options
run_options(const struct options *o, const struct run_options *more)
{
	bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

	return (struct run_options){
		.only = o->only,
		.n_only = o->n_only,
		.beside = o->beside,
		.n_beside = o->n_beside,
		.reason = o->reason,
		.previewed = more ? more->previewed : NULL,
		.rehearsal = more ? more->rehearsal : NULL,
		.faults = more ? more->faults : 0,
		.wait_for_person = o->wait || (terminal && !(more && more->alone)),
	};
}

/* What is left to say when the loop has ended. */
static void
report(const struct options *o, const struct loaded *l)
{
	struct status_about about = {.run = l->run, .now_ms = clock_wall_ms(),
				     .origin = json_str_or(l->first, "origin", NULL)};
	struct strbuf out = STRBUF_INIT;

	if (l->state->rehearsal && !o->keep)
		about.owner_pid = getpid(); /* which goes on with it */
	if (o->json) {
		cli_print_json(status_to_json(l->state, &about));
		return;
	}
	if (o->verbose < 0)
		status_write_asks(&out, l->state, l->run, about.now_ms);
	else
		status_write(&out, l->state, &about);
	cli_print(&out);
	strbuf_release(&out);
}

int
cli_carry_out(struct cli *cli, struct loaded *l, const struct run_options *more, cli_run_fn *fn)
{
	const struct options *o = cli->options;
	struct progress *p = progress_new(style_of(o), o->verbose > 0 ? LOG_DEBUG : LOG_INFO);
	struct run_options options = run_options(o, more);
	struct run_observer observer;
	struct error err = {E_NOMEM, "out of memory"};
	int status = EXIT_FAILED, rc;

	if (!p)
		return cli_fail(o, &err);
	observer = progress_observer(p);
	rc = fn(l, &cli->settings, cli->store, &options, &observer, &status, &err);
	progress_free(p);
	if (rc < 0) {
		status = cli_fail(o, &err);
		if (l->state && sched_phase(l->state->sched) != RUN_DONE && err.code != E_BUSY &&
		    err.code != E_REFUSED)
			fprintf(stderr, "resite: nothing was started after that; when it is mended: "
				"resite %s %s\n", l->state->rehearsal ? "rehearse --finish" : "resume",
				l->run);
		return status;
	}
	report(o, l);
	return status;
}

/* What --as-previewed binds the run to; *ret stays NULL without it. */
static int
load_previewed(const struct options *o, const struct loaded *l, const struct bind_request *req,
	       json_t **ret)
{
	struct error err = {0};
	json_t *file = NULL;
	int rc;

	if (!o->as_previewed)
		return 0;
	rc = previewed_read(o->as_previewed, l, req, &file, &err);
	if (rc == 0)
		rc = previewed_bind(file, ret, &err);
	json_decref(file);
	return rc < 0 ? cli_fail(o, &err) : 0;
}

int
cmd_run(const struct command *command, const struct options *o)
{
	struct loaded l = LOADED_INIT;
	struct bind_request req;
	json_t *previewed = NULL;
	struct cli cli;
	int rc = cli_open(&cli, o);

	(void)command;
	if (rc == 0 && o->n_beside && !(o->reason && *o->reason))
		rc = cli_fail(o, &(struct error){E_INVALID, "--beside-unfinished wants a reason, for "
			      "the journal: --reason TEXT"});
	if (rc == 0)
		rc = cli_request(o, o->args[1], true, &req);
	if (rc == 0) {
		l.run = run_new_id(cli.settings.state_dir, o->args[1], clock_wall_ms());
		req.run_id = l.run;
		req.may_switch = true;
		rc = cli_load_plan(&cli, &req, &l);
	}
	if (rc == 0)
		rc = load_previewed(o, &l, &req, &previewed);
	if (rc == 0)
		rc = cli_store(&cli, true);
	if (rc == 0)
		rc = cli_carry_out(&cli, &l, &(struct run_options){.previewed = previewed}, run_start);
	json_decref(previewed);
	loaded_release(&l);
	cli_close(&cli);
	return rc;
}

int
cmd_resume(const struct command *command, const struct options *o)
{
	struct loaded l = LOADED_INIT;
	struct error err = {0};
	char *run = NULL;
	struct cli cli;
	int rc = cli_open(&cli, o);

	(void)command;
	if (rc == 0)
		rc = cli_store(&cli, false);
	if (rc == 0 && find_run(cli.store, o->args[0], &run, &err) < 0)
		rc = cli_fail(o, &err);
	if (rc == 0 && load_run(&l, &cli.settings, cli.store, run, true, &err) < 0)
		rc = cli_fail(o, &err);
	if (rc == 0)
		rc = cli_carry_out(&cli, &l, NULL, run_resume);
	free(run);
	loaded_release(&l);
	cli_close(&cli);
	return rc;
}
