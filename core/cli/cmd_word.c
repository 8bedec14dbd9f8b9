/* approve, retry, skip, by-hand, stop, continue: an operator's word to a run. */
#include "core/base/base.h"
#include "core/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

static json_t *
make_word(const struct command *command, const struct options *o)
{
	json_t *kind = json_sprintf("operator.%s", command->name);

	return json_pack("{s:o, s:s*, s:s}", "kind", kind, "step", o->args[1], "reason",
			 o->reason ? o->reason : "");
}

int
cmd_word(const struct command *command, const struct options *o)
{
	json_t *word = make_word(command, o);
	struct error err = {E_NOMEM, "out of memory"};
	char *run = NULL;
	bool live = false;
	struct cli cli;
	int rc = cli_open(&cli, o);

	if (rc == 0)
		rc = cli_store(&cli, false);
	if (rc == 0 && (!word || find_run(cli.store, o->args[0], &run, &err) < 0 ||
			run_say(&cli.settings, cli.store, run, word, &live, &err) < 0))
		rc = cli_fail(o, &err);
	if (rc == 0 && o->json)
		cli_print_json(json_pack("{s:s, s:b}", "run", run, "live", live));
	else if (rc == 0 && live)
		printf("%s: the run goes on with it\n", command->name);
	else if (rc == 0)
		printf("%s: in the journal; go on with: resite resume %s\n", command->name, run);
	json_decref(word);
	free(run);
	cli_close(&cli);
	return rc;
}
