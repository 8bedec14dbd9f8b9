#include "core/base/base.h"
#include "core/cli/cli.h"
#include "core/view/verify_text.h"

#include <stdlib.h>

static int
show(const struct cli *cli, const struct verified *v)
{
	struct strbuf out = STRBUF_INIT;

	if (cli->options->json)
		cli_print_json(verify_to_json(v));
	else
		verify_write(&out, v, cli->settings.state_dir, cli->options->all);
	cli_print(&out);
	strbuf_release(&out);
	return verified_whole(v) ? EXIT_DONE : EXIT_FAILED;
}

int
cmd_verify(const struct command *command, const struct options *o)
{
	struct verified v = {.l = LOADED_INIT};
	struct verify_head kept;
	struct error err = {0};
	char *run = NULL;
	struct cli cli;
	int rc = cli_open(&cli, o);

	(void)command;
	if (rc == 0 && o->expect_head && verify_head_parse(o->expect_head, &kept, &err) < 0)
		rc = cli_fail(o, &err);
	if (rc == 0)
		rc = cli_store(&cli, false);
	if (rc == 0 && (find_run(cli.store, o->args[0], &run, &err) < 0 ||
			verify_run(&cli.settings, cli.store, run, o->expect_head ? &kept : NULL, &v,
				   &err) < 0))
		rc = cli_fail(o, &err);
	if (rc == 0)
		rc = show(&cli, &v);
	free(run);
	verified_release(&v);
	cli_close(&cli);
	return rc;
}
