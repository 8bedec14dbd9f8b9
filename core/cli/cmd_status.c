#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/cli/cli.h"
#include "core/run/lock.h"
#include "core/view/status.h"

#include <stdio.h>
#include <stdlib.h>

static int
show(struct cli *cli, const char *run)
{
	const struct options *o = cli->options;
	struct loaded l = LOADED_INIT;
	struct strbuf out = STRBUF_INIT;
	struct error err = {0};
	struct status_about about = {
		.run = run,
		.owner_pid = run_lock_owner(cli->settings.state_dir, run),
		.now_ms = clock_wall_ms(),
		.all_steps = o->all,
	};
	int rc = 0;

	if (load_run(&l, &cli->settings, cli->store, run, false, &err) < 0)
		rc = cli_fail(o, &err);
	about.origin = json_str_or(l.first, "origin", NULL);
	if (rc)
		;
	else if (o->json)
		cli_print_json(status_to_json(l.state, &about));
	else
		status_write(&out, l.state, &about);
	cli_print(&out);
	strbuf_release(&out);
	loaded_release(&l);
	return rc;
}

int
cmd_status(const struct command *command, const struct options *o)
{
	struct error err = {0};
	char *run = NULL;
	struct cli cli;
	int rc = cli_open(&cli, o);

	(void)command;
	if (rc == 0)
		rc = cli_store(&cli, false);
	if (rc == 0 && find_run(cli.store, o->args[0], &run, &err) < 0)
		rc = cli_fail(o, &err);
	if (rc == 0)
		rc = show(&cli, run);
	free(run);
	cli_close(&cli);
	return rc;
}

static int
list_run(void *ctx, const char *run, int64_t last_seq)
{
	json_t *all = ctx;

	if (all)
		return json_array_append_new(all, json_pack("{s:s, s:I}", "run", run, "events",
							    (json_int_t)last_seq)) < 0 ? E_NOMEM : 0;
	printf("%-32s %8" PRId64 " events\n", run, last_seq);
	return 0;
}

int
cmd_history(const struct command *command, const struct options *o)
{
	json_t *all = o->json ? json_array() : NULL;
	struct error err = {0};
	struct cli cli;
	int rc = cli_open(&cli, o);

	(void)command;
	if (rc == 0)
		rc = cli_store(&cli, false);
	if (rc == 0 && store_list(cli.store, list_run, all, &err) < 0)
		rc = cli_fail(o, &err);
	if (rc == 0 && all)
		cli_print_json(json_incref(all));
	json_decref(all);
	cli_close(&cli);
	return rc;
}
