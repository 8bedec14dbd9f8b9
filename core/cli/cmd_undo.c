#include "core/base/base.h"
#include "core/cli/cli.h"
#include "core/run/undo.h"
#include "core/run/undo_source.h"
#include "core/view/preview_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many objects of one step are shown that would be put back; all of them with --all. */
#define CHANGES_SHOWN 5
#define CHANGES_ALL 1000000

static int
look(struct cli *cli, struct loaded *l)
{
	const struct options *o = cli->options;
	size_t shown = o->all ? CHANGES_ALL : CHANGES_SHOWN;
	struct strbuf out = STRBUF_INIT;
	struct error err = {0};
	struct preview *p;
	int rc;

	if (preview_run(l, &cli->settings, shown, &p, &err) < 0)
		return cli_fail(o, &err);
	if (o->json)
		cli_print_json(preview_to_json(l->graph, p));
	else
		preview_write(&out, l->graph, p, shown, o->all);
	cli_print(&out);
	strbuf_release(&out);
	rc = p->failed || p->conflicts ? EXIT_FAILED : EXIT_DONE;
	preview_free(p);
	return rc;
}

/* What the options say, checked.  0, or an exit status. */
static int
undo_request(const struct options *o, const char *origin, struct undo_request *ret)
{
	bool restore = o->diverged && !strcmp(o->diverged, "restore");

	if (o->diverged && !restore && strcmp(o->diverged, "leave")) {
		fprintf(stderr, "resite: --diverged: '%s' is neither leave nor restore\n", o->diverged);
		return EXIT_USAGE;
	}
	if ((o->past_no_return || restore) && !o->preview && !(o->reason && *o->reason)) {
		fprintf(stderr, "resite: %s needs a reason: --reason '...'\n",
			o->past_no_return ? "--past-no-return" : "--diverged restore");
		return EXIT_USAGE;
	}
	*ret = (struct undo_request){
		.origin = origin,
		.choice = {.only = o->n_only ? o->only : NULL, .n_only = o->n_only,
			   .past_no_return = o->past_no_return},
		.restore = restore,
		.look = o->preview,
		.reason = o->reason,
	};
	return 0;
}

/* A rehearsal is over only when it was compared. */
static void
say_rehearsal(const struct options *o, const struct loaded *l)
{
	const struct loaded *origin = l->source ? undo_source_run(l->source) : NULL;

	if (origin && origin->state->rehearsal && !origin->state->ended && !o->preview)
		fprintf(stderr, "resite: run %s was a rehearsal; to compare with what was before and to "
			"end it: resite rehearse --finish %s\n", origin->run, origin->run);
}

int
cmd_undo(const struct command *command, const struct options *o)
{
	struct loaded l = LOADED_INIT;
	struct undo_request req;
	struct error err = {0};
	char *origin = NULL;
	struct cli cli;
	int rc = cli_open(&cli, o);

	(void)command;
	if (rc == 0)
		rc = cli_store(&cli, !o->preview);
	if (rc == 0 && find_run(cli.store, o->args[0], &origin, &err) < 0)
		rc = cli_fail(o, &err);
	if (rc == 0)
		rc = undo_request(o, origin, &req);
	if (rc == 0 && !o->preview)
		l.run = cli_way_id(&cli, "undo", origin);
	if (rc == 0 && undo_load(&l, &cli.settings, cli.store, &req, &err) < 0)
		rc = cli_fail(o, &err);
	if (rc == 0)
		rc = o->preview ? look(&cli, &l) : cli_carry_out(&cli, &l, NULL, run_start);
	say_rehearsal(o, &l);
	free(origin);
	loaded_release(&l);
	cli_close(&cli);
	return rc;
}
