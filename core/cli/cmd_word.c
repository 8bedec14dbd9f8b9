/* approve, retry, skip, by-hand, pause, stop, continue, abandon: an operator's word to a
 * run. */
#include "core/base/base.h"
#include "core/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

static json_t *
make_word(const struct command *command, const struct options *o)
{
	json_t *kind = json_sprintf("operator.%s", command->name);
	json_t *word = json_pack("{s:o, s:s*, s:s}", "kind", kind, "step", o->args[1], "reason",
				 o->reason ? o->reason : "");

	if (word && o->now)
		json_object_set_new(word, "now", json_true());
	return word;
}

static void
show(const struct options *o, const char *run, const struct run_answer *answer)
{
	if (o->json)
		cli_print_json(json_pack("{s:s, s:b, s:b, s:s}", "run", run, "live", answer->live,
					 "said_before", answer->a.said, "text", answer->a.text));
	else
		puts(answer->a.text);
}

int
cmd_word(const struct command *command, const struct options *o)
{
	json_t *word = make_word(command, o);
	struct run_answer answer = {.live = false};
	struct error err = {E_NOMEM, "out of memory"};
	char *run = NULL;
	struct cli cli;
	int rc = cli_open(&cli, o);

	if (rc == 0)
		rc = cli_store(&cli, false);
	if (rc == 0 && (!word || find_run(cli.store, o->args[0], &run, &err) < 0 ||
			run_say(&cli.settings, cli.store, run, word, &answer, &err) < 0))
		rc = cli_fail(o, &err);
	if (rc == 0)
		show(o, run, &answer);
	json_decref(word);
	free(run);
	cli_close(&cli);
	return rc;
}
