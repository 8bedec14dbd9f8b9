#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/cli/cli.h"
#include "core/engine/rehearsal.h"
#include "core/run/previewed.h"
#include "core/run/rehearse.h"
#include "core/run/undo.h"
#include "core/view/preview_text.h"
#include "core/view/residue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every change is kept and compared; so many objects of one step are shown, or all. */
#define CHANGES_ALL 1000000
#define OBJECTS_SHOWN 20

static void
say(const struct options *o, const char *what, const char *run)
{
	if (!o->json && o->verbose >= 0) {
		printf("%s%s\n", what, run);
		fflush(stdout);
	}
}

/* Not finished: how it is. */
static int
say_finish(const char *run, int rc)
{
	fprintf(stderr, "resite: rehearsal %s is not finished; to put back what is left of it and "
		"compare: resite rehearse --finish %s\n", run, run);
	return rc;
}

static int
probe_all(struct cli *cli, struct loaded *l, json_t **ret, struct error *err)
{
	struct preview *found;
	int rc = preview_run(l, &cli->settings, CHANGES_ALL, &found, err);

	if (rc < 0)
		return rc;
	*ret = preview_to_json(l->graph, found);
	preview_free(found);
	return *ret ? 0 : error_set(err, E_NOMEM, "out of memory");
}

/* --- 1: what is before ---------------------------------------------------- */

static int
keep_before(struct cli *cli, struct loaded *l, const struct bind_request *req, json_t **ret,
	    struct error *err)
{
	char made[CLOCK_TEXT_MAX], *path = rehearse_path(&cli->settings, l->run);
	json_t *before = NULL;
	int rc;

	clock_format_utc(clock_wall_ms(), made);
	*ret = json_pack("{s:s}", "approvals", cli->options->wait ? "asked" : "passed");
	rehearsal_bind(l->graph, *ret);
	json_decref(*ret);
	*ret = NULL;
	rc = probe_all(cli, l, &before, err);
	if (rc == 0)
		rc = rehearsal_check(l->graph, before, err);
	if (rc == 0) {
		*ret = rehearsal_new(before, made, cli->options->wait, cli->options->faults);
		rc = *ret && path ? previewed_write(path, l, req, before, err) :
				    error_set(err, E_NOMEM, "out of memory");
	}
	json_decref(before);
	free(path);
	return rc;
}

/* --- 2: the run ------------------------------------------------------------- */

/* *ret_begun: there is a rehearsal to finish. */
static int
rehearse(struct cli *cli, struct loaded *l, const struct bind_request *req, bool *ret_begun)
{
	const struct options *o = cli->options;
	json_t *rehearsal = NULL;
	struct run_options more = {.alone = true, .faults = o->faults};
	struct error err = {0};
	int rc;

	say(o, "1. before: every step's probe", "");
	rc = keep_before(cli, l, req, &rehearsal, &err);
	if (rc < 0) {
		json_decref(rehearsal);
		return cli_fail(o, &err);
	}
	if (o->faults && !o->json)
		printf("faults: seed %" PRIu64 "\n", o->faults);
	say(o, "2. the rehearsal: run ", l->run);
	more.rehearsal = rehearsal;
	rc = cli_carry_out(cli, l, &more, run_start);
	*ret_begun = l->state && l->state->started_ms && rc != EXIT_FENCED;
	json_decref(rehearsal);
	return rc;
}

/* --- 3: back ------------------------------------------------------------------ */

static bool
has_records(const struct run_state *state)
{
	for (uint32_t i = 0; i < state->graph->n_steps; i++)
		if (state->facts[i].undo_records)
			return true;
	return false;
}

static int
load_undo(struct cli *cli, const char *run, const char *undo, struct loaded *l, struct error *err)
{
	struct undo_request req = {.origin = run, .choice = {.past_no_return = true},
				   .reason = "the rehearsal is over"};

	if (undo)
		return load_run(l, &cli->settings, cli->store, undo, true, err);
	l->run = cli_way_id(cli, "undo", run);
	return undo_load(l, &cli->settings, cli->store, &req, err);
}

/* Carries the undo of run to its end: begun, or gone on with. */
static int
put_back(struct cli *cli, const char *run)
{
	struct run_options more = {.alone = true, .faults = cli->options->faults};
	struct rehearse_undo undo;
	struct loaded l = LOADED_INIT;
	struct error err = {0};
	int rc = rehearse_find_undo(cli->store, run, &undo, &err);

	if (rc == 0 && undo.outcome) {
		rehearse_undo_release(&undo);
		return EXIT_DONE;
	}
	if (rc == 0)
		rc = load_undo(cli, run, undo.run, &l, &err);
	if (rc < 0) {
		rc = cli_fail(cli->options, &err);
	} else {
		say(cli->options, "3. back: run ", l.run);
		rc = cli_carry_out(cli, &l, &more, undo.run ? run_resume : run_start);
	}
	loaded_release(&l);
	rehearse_undo_release(&undo);
	return rc;
}

/* --- 4: what is left ------------------------------------------------------------ */

static int
compare(struct cli *cli, struct loaded *l, json_t **ret, struct error *err)
{
	struct rehearse_undo undo;
	json_t *before = rehearse_before(&cli->settings, l), *after = NULL;
	int rc = rehearse_find_undo(cli->store, l->run, &undo, err);

	if (rc == 0 && has_records(l->state) && !undo.outcome)
		rc = error_set(err, E_REFUSED, "what the rehearsal has changed is not put back yet");
	if (rc == 0)
		rc = probe_all(cli, l, &after, err);
	if (rc == 0)
		rc = rehearsal_check_after(after, err);
	if (rc == 0) {
		*ret = residue_of(l->state, before, after, undo.run, undo.outcome);
		rc = *ret ? 0 : error_set(err, E_NOMEM, "out of memory");
	}
	json_decref(before);
	json_decref(after);
	rehearse_undo_release(&undo);
	return rc;
}

static void
show(const struct cli *cli, const struct loaded *l, const json_t *residue, const char *outcome)
{
	struct strbuf out = STRBUF_INIT;

	if (cli->options->json) {
		cli_print_json(json_pack("{s:s, s:s, s:O}", "rehearsal", l->run, "outcome", outcome,
					 "residue", residue));
		return;
	}
	residue_write(&out, residue, cli->options->all ? CHANGES_ALL : OBJECTS_SHOWN);
	if (!strcmp(outcome, "failed"))
		strbuf_addf(&out, "but the rehearsal did not come to its end: resite status %s\n", l->run);
	cli_print(&out);
	strbuf_release(&out);
}

/* Ends the rehearsal: an exit status. */
static int
conclude(struct cli *cli, struct loaded *l)
{
	struct run_lock lock = RUN_LOCK_INIT;
	struct error err = {0};
	json_t *residue = NULL;
	const char *outcome = "";
	int rc = rehearse_hold(&cli->settings, l, &lock, &err);

	say(cli->options, "4. after: every step's probe again", "");
	if (rc == 0)
		rc = compare(cli, l, &residue, &err);
	if (rc == 0) {
		outcome = rehearsal_outcome(l->state, residue_any(residue));
		rc = rehearse_end(l, cli->store, json_incref(residue), outcome, &err);
	}
	run_lock_release(&lock);
	if (rc == 0)
		show(cli, l, residue, outcome);
	json_decref(residue);
	if (rc < 0)
		return say_finish(l->run, cli_fail(cli->options, &err));
	return strcmp(outcome, "rehearsed") ? EXIT_FAILED : EXIT_DONE;
}

/* --- from wherever it is, to its end ------------------------------------------------ */

static int
check_open(struct cli *cli, const struct loaded *l)
{
	struct run_lock lock = RUN_LOCK_INIT;
	struct error err = {0};
	int rc = rehearse_hold(&cli->settings, l, &lock, &err);

	run_lock_release(&lock);
	return rc < 0 ? cli_fail(cli->options, &err) : 0;
}

static int
finish(struct cli *cli, const char *run)
{
	struct loaded l = LOADED_INIT;
	struct error err = {0};
	int rc = 0;

	if (load_run(&l, &cli->settings, cli->store, run, true, &err) < 0)
		rc = say_finish(run, cli_fail(cli->options, &err));
	else
		rc = check_open(cli, &l);
	if (rc == 0 && has_records(l.state)) {
		rc = put_back(cli, run);
		/* Conflicts are told with the rest of what is left. */
		rc = rc == EXIT_DONE || rc == EXIT_FAILED ? 0 : say_finish(run, rc);
	}
	if (rc == 0)
		rc = conclude(cli, &l);
	loaded_release(&l);
	return rc;
}

static int
begin(struct cli *cli, const struct options *o)
{
	struct loaded l = LOADED_INIT;
	struct bind_request req;
	struct strbuf name = STRBUF_INIT;
	bool begun = false;
	int rc = cli_request(o, o->args[1], true, &req);

	req.mode = RESITE_REHEARSAL;
	strbuf_addf(&name, "rehearse-%s", o->args[1]);
	if (rc == 0) {
		l.run = run_new_id(cli->settings.state_dir, name.buf, clock_wall_ms());
		req.run_id = l.run;
		rc = cli_load_plan(cli, &req, &l);
	}
	if (rc == 0)
		rc = cli_store(cli, true);
	if (rc == 0)
		rc = rehearse(cli, &l, &req, &begun);
	if (begun && o->keep)
		say_finish(l.run, rc);
	else if (begun)
		rc = finish(cli, l.run);
	strbuf_release(&name);
	loaded_release(&l);
	return rc;
}

int
cmd_rehearse(const struct command *command, const struct options *o)
{
	struct error err = {0};
	char *run = NULL;
	struct cli cli;
	int rc;

	if (o->n_args != (o->finish ? 1 : 2)) {
		fprintf(stderr, "usage: resite %s %s, or resite rehearse --finish RUN\n", command->name,
			command->synopsis);
		return EXIT_USAGE;
	}
	rc = cli_open(&cli, o);
	if (rc == 0 && !o->finish) {
		rc = begin(&cli, o);
		cli_close(&cli);
		return rc;
	}
	if (rc == 0)
		rc = cli_store(&cli, false);
	if (rc == 0 && find_run(cli.store, o->args[0], &run, &err) < 0)
		rc = cli_fail(o, &err);
	if (rc == 0)
		rc = finish(&cli, run);
	free(run);
	cli_close(&cli);
	return rc;
}
