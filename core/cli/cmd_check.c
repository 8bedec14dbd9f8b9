#include "core/base/base.h"
#include "core/cli/cli.h"

#include <stdio.h>

int
cmd_check(const struct command *command, const struct options *o)
{
	struct diags d = DIAGS_INIT;
	struct error err = {0};
	struct bind_request req;
	struct cli cli;
	int rc = cli_open(&cli, o);

	(void)command;
	if (rc == 0)
		rc = cli_request(o, o->args[1], false, &req);
	if (rc == 0 && check_plan(&cli.settings, o->args[0], &req, &d, &err) < 0)
		rc = cli_fail(o, &err);
	if (rc == 0)
		rc = cli_diags(o, &d);
	if (rc == 0 && !o->json)
		printf("%s: no errors%s\n", o->args[0], d.warnings ? ", see the warnings" : "");
	diags_release(&d);
	cli_close(&cli);
	return rc;
}
