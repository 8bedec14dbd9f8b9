#include "core/base/base.h"
#include "core/cli/cli.h"
#include "core/view/dot.h"

int
cmd_graph(const struct command *command, const struct options *o)
{
	struct loaded l = LOADED_INIT;
	struct strbuf out = STRBUF_INIT;
	struct bind_request req;
	struct cli cli;
	int rc = cli_open(&cli, o);

	(void)command;
	if (rc == 0)
		rc = cli_request(o, o->args[1], true, &req);
	if (rc == 0) {
		req.skip_secrets = true;
		rc = cli_load_plan(&cli, &req, &l);
	}
	if (rc == 0 && o->json)
		cli_print_json(graph_to_json(l.graph));
	else if (rc == 0)
		dot_write(&out, l.graph, o->all);
	cli_print(&out);
	strbuf_release(&out);
	loaded_release(&l);
	cli_close(&cli);
	return rc;
}
