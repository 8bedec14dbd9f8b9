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

struct listing {
	struct store *store;
	json_t *all; /* NULL: text */
};

/* "rehearsed 2h05m ago: zero residue: 6 steps as before", as the end of a rehearsal has it. */
static void
print_rehearsed(const json_t *last)
{
	const char *summary = json_str_or(last, "summary", NULL);
	int64_t ms = clock_wall_ms() - clock_parse_utc(json_str_or(last, "time", ""));
	char ago[CLOCK_TEXT_MAX];

	if (summary)
		printf("  rehearsed %s ago: %s", clock_format_duration(ms > 0 ? ms : 0, ago), summary);
}

static int
list_run(void *ctx, const char *run, int64_t last_seq)
{
	const struct listing *l = ctx;
	json_t *first = journal_event(l->store, run, 1);
	json_t *last = journal_event(l->store, run, last_seq);
	const char *origin = json_str_or(first, "origin", NULL);
	const char *way = json_str_or(first, "way", "run");
	int rc = 0;

	if (l->all) {
		rc = json_array_append_new(l->all, json_pack("{s:s, s:I, s:s, s:s*, s:O*}", "run", run,
					   "events", (json_int_t)last_seq, "way", way, "origin",
					   origin, "rehearsal", json_object_get(last, "summary")));
	} else {
		printf("%-32s %8" PRId64 " events%s%s%s%s", run, last_seq, origin ? "  " : "",
		       origin ? way : "", origin ? " of " : "", origin ? origin : "");
		print_rehearsed(last);
		putchar('\n');
	}
	json_decref(first);
	json_decref(last);
	return rc < 0 ? E_NOMEM : 0;
}

int
cmd_history(const struct command *command, const struct options *o)
{
	struct listing l = {.all = o->json ? json_array() : NULL};
	struct error err = {0};
	struct cli cli;
	int rc = cli_open(&cli, o);

	(void)command;
	if (rc == 0)
		rc = cli_store(&cli, false);
	l.store = cli.store;
	if (rc == 0 && store_list(cli.store, list_run, &l, &err) < 0)
		rc = cli_fail(o, &err);
	if (rc == 0 && l.all)
		cli_print_json(json_incref(l.all));
	json_decref(l.all);
	cli_close(&cli);
	return rc;
}
