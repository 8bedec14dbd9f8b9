#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/cli/cli.h"

#include <stdio.h>
#include <string.h>

int
cli_fail(const struct options *options, const struct error *err)
{
	if (options->json)
		cli_print_json(json_pack("{s:s, s:s}", "error", err->text, "kind",
					 error_name(err->code)));
	fprintf(stderr, "resite: %s\n", err->text);
	switch (err->code) {
	case E_INVALID:
	case E_NOTFOUND:
		return EXIT_USAGE;
	case E_FENCED:
		return EXIT_FENCED;
	}
	return EXIT_FAILED;
}

int
cli_open(struct cli *cli, const struct options *options)
{
	struct error err = {0};

	*cli = (struct cli){.options = options};
	if (settings_init(&cli->settings, options->state_dir,
			  options->plugins[0] ? options->plugins : NULL, options->jobs,
			  options->group, &err) < 0)
		return cli_fail(options, &err);
	return 0;
}

int
cli_store(struct cli *cli, bool create)
{
	struct error err = {0};

	if (store_open_sqlite(cli->settings.state_dir, create, &cli->store, &err) < 0)
		return cli_fail(cli->options, &err);
	return 0;
}

void
cli_close(struct cli *cli)
{
	store_close(cli->store);
	settings_release(&cli->settings);
}

int
cli_request(const struct options *o, const char *runbook, bool need_mode,
	    struct bind_request *ret)
{
	*ret = (struct bind_request){
		.runbook = runbook,
		.from = o->from,
		.to = o->to,
		.mode = o->mode ? mode_parse(o->mode) : need_mode ? RESITE_PLANNED : 0,
		.only = o->n_only ? o->only : NULL,
		.n_only = o->n_only,
	};
	if (o->mode && !ret->mode) {
		fprintf(stderr, "resite: --mode: '%s' is none of disaster, planned, rehearsal\n",
			o->mode);
		return EXIT_USAGE;
	}
	return 0;
}

int
cli_diags(const struct options *options, struct diags *d)
{
	struct strbuf text = STRBUF_INIT;

	diags_sort(d);
	if (options->json) {
		cli_print_json(json_pack("{s:b, s:o}", "valid", d->errors == 0, "problems",
					 diags_to_json(d)));
	} else {
		diags_print(d, &text);
		fputs(text.buf, stderr);
	}
	strbuf_release(&text);
	return d->errors ? EXIT_USAGE : 0;
}

int
cli_load_plan(struct cli *cli, const struct bind_request *req, struct loaded *l)
{
	const struct options *o = cli->options;
	struct diags d = DIAGS_INIT;
	struct error err = {0};
	int rc = 0;

	if (load_plan(l, &cli->settings, o->args[0], req, &d, &err) < 0)
		rc = d.errors ? cli_diags(o, &d) : cli_fail(o, &err);
	else if (d.warnings && !o->json)
		cli_diags(o, &d);
	diags_release(&d);
	return rc;
}

void
cli_print(const struct strbuf *text)
{
	fwrite(text->buf, 1, text->len, stdout);
}

void
cli_print_json(json_t *value)
{
	struct strbuf text = STRBUF_INIT;

	json_write(&text, value);
	json_decref(value);
	strbuf_addch(&text, '\n');
	cli_print(&text);
	strbuf_release(&text);
}

/* An id begins with its time, as long in each. */
#define ID_TIME_LEN (sizeof("20261122-235501-") - 1)

char *
cli_way_id(const struct cli *cli, const char *way, const char *origin)
{
	const char *runbook = strlen(origin) > ID_TIME_LEN ? origin + ID_TIME_LEN : origin;
	struct strbuf name = STRBUF_INIT;
	char *id;

	strbuf_addf(&name, "%s-%s", way, runbook);
	id = name.failed ? NULL : run_new_id(cli->settings.state_dir, name.buf, clock_wall_ms());
	strbuf_release(&name);
	return id;
}
