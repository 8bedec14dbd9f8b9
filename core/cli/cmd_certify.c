#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/certify/certify.h"
#include "core/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* On a terminal: how far it is. */
static void
show_progress(void *ctx, size_t done, size_t total, size_t failed)
{
	const struct options *o = ctx;

	if (o->verbose < 0 || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%zu of %zu cases, %zu failed%s", done, total, failed,
		done == total ? "\n" : "");
}

static int
print_and_save(const struct options *o, const char *dir, const json_t *certificate)
{
	struct strbuf out = STRBUF_INIT;
	struct error err = {0};
	char *path = NULL;
	int rc = certificate_passed(certificate) ? EXIT_DONE : EXIT_FAILED;

	/* One case, a part of them, or something broken on purpose: that is no certificate. */
	if (!o->only_case && !o->broken && certificate_whole(certificate) &&
	    certificate_save(certificate, dir, &path, &err) < 0)
		rc = cli_fail(o, &err);
	if (o->json) {
		cli_print_json(json_incref((json_t *)(uintptr_t)certificate));
	} else {
		certificate_write(&out, certificate);
		cli_print(&out);
		if (path)
			printf("saved as %s, and .json beside it\n", path);
	}
	strbuf_release(&out);
	free(path);
	return rc;
}

int
cmd_certify(const struct command *command, const struct options *o)
{
	struct error err = {0};
	json_t *certificate = NULL;
	struct cli cli;
	int rc = cli_open(&cli, o);
	struct certify_options options = {
		.dir = o->n_args ? o->args[0] : cli.settings.state_dir,
		.seed = o->seed ? o->seed : (uint64_t)clock_wall_ms(),
		.cases = o->all ? 0 : o->cases ? o->cases : CERTIFY_POINTS_DEFAULT,
		.only = o->only_case,
		.broken = o->broken,
		.jobs = o->jobs,
	};

	(void)command;
	if (rc == 0 &&
	    certify_run(&cli.settings, &options, show_progress, (void *)(uintptr_t)o, &certificate,
			&err) < 0)
		rc = cli_fail(o, &err);
	if (rc == 0)
		rc = print_and_save(o, options.dir, certificate);
	json_decref(certificate);
	cli_close(&cli);
	return rc;
}
