/* retry, skip, by-hand, pause, stop, continue, mode, abandon: an operator's word to a
 * run. */
#include "core/base/base.h"
#include "core/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *
cli_word(const struct command *command, const struct options *o)
{
	json_t *kind = json_sprintf("operator.%s", command->name);
	const char *what = !strcmp(command->name, "mode") ? "mode" : "step";
	json_t *word = json_pack("{s:o, s:s*, s:s}", "kind", kind, what, o->args[1], "reason",
				 o->reason ? o->reason : "");

	/* A hint for those who read the journal; the actor is who the kernel knows. */
	if (word && getenv("SUDO_USER"))
		json_object_set_new(word, "sudo", json_string_lossy(getenv("SUDO_USER")));
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

/* Whom to speak to.  One who may only reach the run's socket cannot read the journal: then
 * the run's whole name is wanted. */
static int
find(struct cli *cli, char **ret, struct error *err)
{
	const char *said = cli->options->args[0];
	int rc = store_open_sqlite(cli->settings.state_dir, false, &cli->store, err);

	if (rc == 0)
		return find_run(cli->store, said, ret, err);
	if (!control_reachable(cli->settings.state_dir, said))
		return rc;
	*ret = strdup(said);
	return *ret ? 0 : error_set(err, E_NOMEM, "out of memory");
}

int
cli_say(const struct options *o, json_t *word)
{
	struct run_answer answer = {.live = false};
	struct error err = {E_NOMEM, "out of memory"};
	char *run = NULL;
	struct cli cli;
	int rc = cli_open(&cli, o);

	if (rc == 0 && (!word || find(&cli, &run, &err) < 0 ||
			run_say(&cli.settings, cli.store, run, word, &answer, &err) < 0))
		rc = cli_fail(o, &err);
	if (rc == 0)
		show(o, run, &answer);
	json_decref(word);
	free(run);
	cli_close(&cli);
	return rc;
}

int
cmd_word(const struct command *command, const struct options *o)
{
	return cli_say(o, cli_word(command, o));
}
