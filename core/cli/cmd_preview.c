#include "core/base/base.h"
#include "core/cli/cli.h"
#include "core/view/preview_text.h"

/* How many changes of one step are shown; all of them with --all. */
#define CHANGES_SHOWN 5
#define CHANGES_ALL 1000000

static int
show(struct cli *cli, struct loaded *l)
{
	const struct options *o = cli->options;
	struct strbuf out = STRBUF_INIT;
	struct error err = {0};
	struct preview *p;
	int rc;

	if (preview_run(l, &cli->settings, o->all ? CHANGES_ALL : CHANGES_SHOWN, &p, &err) < 0)
		return cli_fail(o, &err);
	if (o->json)
		cli_print_json(preview_to_json(l->graph, p));
	else
		preview_write(&out, l->graph, p);
	cli_print(&out);
	strbuf_release(&out);
	rc = p->failed || p->refused ? EXIT_FAILED : EXIT_DONE;
	preview_free(p);
	return rc;
}

int
cmd_preview(const struct command *command, const struct options *o)
{
	struct loaded l = LOADED_INIT;
	struct bind_request req;
	struct cli cli;
	int rc = cli_open(&cli, o);

	(void)command;
	if (rc == 0)
		rc = cli_request(o, o->args[1], true, &req);
	if (rc == 0)
		rc = cli_load_plan(&cli, &req, &l);
	if (rc == 0)
		rc = show(&cli, &l);
	loaded_release(&l);
	cli_close(&cli);
	return rc;
}
