#include "core/base/base.h"
#include "core/cli/cli.h"
#include "core/run/failback.h"
#include "core/run/previewed.h"
#include "core/view/failback_text.h"
#include "core/view/preview_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many objects of one step are shown of each kind; all of them with --all and in a file. */
#define OBJECTS_SHOWN 5
#define OBJECTS_ALL 1000000

/* The divergence report. */
struct report {
	const struct options *o;
	const struct loaded *l;
	const char *origin;
	const struct preview *found;
	struct divergence diverged;
};

static json_t *
to_json(const struct report *r)
{
	json_t *json = preview_to_json(r->l->graph, r->found);

	if (json) {
		json_object_set_new(json, "origin", json_string(r->origin));
		json_object_set_new(json, "diverged", divergence_to_json(&r->diverged));
	}
	return json;
}

static void
print(const struct report *r)
{
	size_t shown = r->o->all ? OBJECTS_ALL : OBJECTS_SHOWN;
	struct strbuf out = STRBUF_INIT;

	if (r->o->json) {
		cli_print_json(to_json(r));
		return;
	}
	preview_write(&out, r->l->graph, r->found, shown, r->o->all);
	divergence_write(&out, &r->diverged, r->origin);
	if (r->o->output)
		strbuf_addf(&out, "kept with every object in %s\n", r->o->output);
	cli_print(&out);
	strbuf_release(&out);
}

static int
keep(const struct report *r, struct error *err)
{
	json_t *json;
	int rc;

	if (!r->o->output)
		return 0;
	json = to_json(r);
	rc = json ? previewed_keep(r->o->output, json, err) : error_set(err, E_NOMEM, "out of memory");
	json_decref(json);
	return rc;
}

/* What has to be said before it starts; 0: nothing, or it was said with --diverged. */
static int
refuse_diverged(const struct report *r)
{
	fprintf(stderr, "resite: the failback was not started: say what is to become of what has "
		"diverged: resite failback %s --diverged leave, or restore --reason '...'\n", r->origin);
	return EXIT_FAILED;
}

/* Looks before anything is put back.  0: it may start, or an exit status. */
static int
look(struct cli *cli, struct loaded *l, const char *origin)
{
	const struct options *o = cli->options;
	size_t max = o->all || o->output || o->json ? OBJECTS_ALL : OBJECTS_SHOWN;
	struct report r = {.o = o, .l = l, .origin = origin};
	struct preview *found;
	struct error err = {0};
	bool none;
	int rc;

	if (preview_run(l, &cli->settings, max, &found, &err) < 0)
		return cli_fail(o, &err);
	r.found = found;
	r.diverged = divergence_of(found);
	none = divergence_is_none(&r.diverged);
	if (o->preview || o->output || !none)
		print(&r);
	rc = keep(&r, &err) < 0 ? cli_fail(o, &err) : 0;
	if (rc == 0 && (o->preview || o->output))
		rc = !none || found->failed ? EXIT_FAILED : EXIT_DONE;
	else if (rc == 0 && !none)
		rc = refuse_diverged(&r);
	preview_free(found);
	return rc;
}

static int
check_options(const struct options *o)
{
	bool restore = o->diverged && !strcmp(o->diverged, "restore");

	if (o->diverged && !restore && strcmp(o->diverged, "leave")) {
		fprintf(stderr, "resite: --diverged: '%s' is neither leave nor restore\n", o->diverged);
		return EXIT_USAGE;
	}
	if (restore && !o->preview && !(o->reason && *o->reason)) {
		fprintf(stderr, "resite: --diverged restore needs a reason: --reason '...'\n");
		return EXIT_USAGE;
	}
	return 0;
}

static int
go_back(struct cli *cli, struct loaded *l, const char *origin)
{
	const struct options *o = cli->options;
	struct failback_request req = {.origin = origin, .diverged = o->diverged, .reason = o->reason};
	bool report_only = o->preview || o->output;
	struct error err = {0};
	int rc;

	if (!report_only)
		l->run = cli_way_id(cli, "failback", origin);
	if (failback_load(l, &cli->settings, cli->store, &req, &err) < 0)
		return cli_fail(o, &err);
	/* Who has said --diverged has seen the report, and a swap looks once more anyway. */
	rc = report_only || !o->diverged ? look(cli, l, origin) : 0;
	return rc || report_only ? rc : cli_carry_out(cli, l, NULL, run_start);
}

int
cmd_failback(const struct command *command, const struct options *o)
{
	struct loaded l = LOADED_INIT;
	struct error err = {0};
	char *origin = NULL;
	struct cli cli;
	int rc = cli_open(&cli, o);

	(void)command;
	if (rc == 0)
		rc = check_options(o);
	if (rc == 0)
		rc = cli_store(&cli, !o->preview);
	if (rc == 0 && find_run(cli.store, o->args[0], &origin, &err) < 0)
		rc = cli_fail(o, &err);
	if (rc == 0)
		rc = go_back(&cli, &l, origin);
	free(origin);
	loaded_release(&l);
	cli_close(&cli);
	return rc;
}
