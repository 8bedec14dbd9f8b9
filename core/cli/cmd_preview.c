#include "core/base/base.h"
#include "core/cli/cli.h"
#include "core/run/previewed.h"
#include "core/view/preview_drift.h"
#include "core/view/preview_text.h"

/* How many changes of one step are shown; all of them with --all and in a file. */
#define CHANGES_SHOWN 5
#define CHANGES_ALL 1000000

/* One preview, and what it is compared with. */
struct previewing {
	const struct options *o;
	const struct bind_request *req;
	struct loaded *l;
	json_t *then;            /* --against, or NULL */
	struct preview *found;
	json_t *json;            /* found, with all its changes when they are wanted */
	json_t *drift;           /* from then to found, or NULL */
};

static size_t
shown(const struct options *o)
{
	return o->all ? CHANGES_ALL : CHANGES_SHOWN;
}

static void
print(struct previewing *p)
{
	struct strbuf out = STRBUF_INIT;

	if (p->o->json) {
		if (p->drift)
			json_object_set(p->json, "drift", p->drift);
		cli_print_json(json_incref(p->json));
		return;
	}
	preview_write(&out, p->l->graph, p->found, shown(p->o), p->o->all);
	if (p->drift) {
		strbuf_addf(&out, "against the preview of %s:\n", json_str_or(p->then, "made", "?"));
		preview_drift_write(&out, p->drift, shown(p->o));
	}
	if (p->o->output)
		strbuf_addf(&out, "kept in %s; a run that is bound to it: resite run PLAN %s "
				  "--as-previewed %s\n", p->o->output, p->l->graph->runbook,
			    p->o->output);
	cli_print(&out);
	strbuf_release(&out);
}

/* The file is compared with and written with every change, whatever is shown. */
static int
look(struct previewing *p, struct cli *cli, struct error *err)
{
	bool all = p->o->all || p->o->output || p->then;
	int rc = preview_run(p->l, &cli->settings, all ? CHANGES_ALL : CHANGES_SHOWN, &p->found, err);

	if (rc < 0)
		return rc;
	p->json = preview_to_json(p->l->graph, p->found);
	p->drift = p->then ? preview_drift(p->then, p->json) : NULL;
	if (!p->json || (p->then && !p->drift))
		return error_set(err, E_NOMEM, "out of memory");
	return p->o->output ? previewed_write(p->o->output, p->l, p->req, p->json, err) : 0;
}

static int
show(struct cli *cli, struct loaded *l, const struct bind_request *req)
{
	struct previewing p = {.o = cli->options, .req = req, .l = l};
	struct error err = {0};
	int rc = p.o->against ? previewed_read(p.o->against, l, req, &p.then, &err) : 0;

	if (rc == 0)
		rc = look(&p, cli, &err);
	if (rc == 0)
		print(&p);
	rc = rc < 0 ? cli_fail(p.o, &err) :
	     p.found->failed || p.found->refused || json_array_size(p.drift) ? EXIT_FAILED : EXIT_DONE;
	json_decref(p.then);
	json_decref(p.json);
	json_decref(p.drift);
	preview_free(p.found);
	return rc;
}

int
cmd_preview(const struct command *command, const struct options *o)
{
	struct loaded l = LOADED_INIT;
	struct bind_request req;
	struct cli cli;
	int rc = cli_open(&cli, o);

	(void)command;
	if (rc == 0)
		rc = cli_request(o, o->args[1], true, &req);
	if (rc == 0)
		rc = cli_load_plan(&cli, &req, &l);
	if (rc == 0)
		rc = show(&cli, &l, &req);
	loaded_release(&l);
	cli_close(&cli);
	return rc;
}
