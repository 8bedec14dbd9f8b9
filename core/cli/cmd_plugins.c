#include "core/base/base.h"
#include "core/cli/cli.h"
#include "core/view/schema_text.h"

#include <stdio.h>
#include <string.h>

/* A plugin that cannot be used is listed with the reason: it is why a plan fails. */
static void
list_one(struct registry *registry, const char *name, json_t *all)
{
	struct error err = {0};
	const json_t *hello, *plugin = NULL;

	if (registry_describe(registry, name, &hello, &err) == 0)
		plugin = json_object_get(hello, "plugin");
	if (all)
		json_array_append_new(all, plugin ? json_incref((json_t *)(uintptr_t)plugin) :
						    json_pack("{s:s, s:s}", "name", name, "error",
							      err.text));
	else if (plugin)
		printf("%-16s %-8s %s\n", name, json_str_or(plugin, "version", ""),
		       json_str_or(plugin, "summary", ""));
	else
		printf("%-16s cannot be used: %s\n", name, err.text);
}

static int
list_all(struct registry *registry, const struct options *o)
{
	char **names = registry_names(registry);
	json_t *all = o->json ? json_array() : NULL;

	for (char **n = names; n && *n; n++)
		list_one(registry, *n, all);
	if (!o->json && (!names || !*names))
		puts("no plugins found (--plugins DIR, or RESITE_PLUGINS)");
	if (all)
		cli_print_json(all);
	registry_free_names(names);
	return 0;
}

static int
show_one(struct registry *registry, const struct options *o)
{
	const char *name = o->args[1];
	struct schema_plugin *read = NULL;
	struct strbuf out = STRBUF_INIT;
	struct error err = {0};
	const json_t *hello = NULL;
	bool builtin = !strcmp(name, "core");
	int rc = builtin ? 0 : registry_describe(registry, name, &hello, &err);

	if (rc == 0 && !builtin)
		rc = schema_from_json(hello, &read, &err);
	if (rc < 0)
		return cli_fail(o, &err);
	if (o->json && hello) {
		cli_print_json(json_incref(json_object_get(hello, "plugin")));
	} else if (o->markdown) {
		schema_write_markdown(&out, builtin ? schema_builtin() : read);
		cli_print(&out);
	} else {
		schema_write(&out, builtin ? schema_builtin() : read);
		cli_print(&out);
	}
	strbuf_release(&out);
	schema_free(read);
	return 0;
}

int
cmd_plugins(const struct command *command, const struct options *o)
{
	struct registry *registry = NULL;
	struct cli cli;
	int rc = cli_open(&cli, o);

	if (rc == 0) {
		registry = registry_new(cli.settings.worker_path,
					(const char *const *)cli.settings.plugin_dirs);
		if (!registry)
			rc = cli_fail(o, &(struct error){E_NOMEM, "out of memory"});
	}
	if (rc == 0 && !strcmp(o->args[0], "list") && o->n_args == 1) {
		rc = list_all(registry, o);
	} else if (rc == 0 && !strcmp(o->args[0], "show") && o->n_args == 2) {
		rc = show_one(registry, o);
	} else if (rc == 0) {
		fprintf(stderr, "usage: resite %s %s\n", command->name, command->synopsis);
		rc = EXIT_USAGE;
	}
	registry_free(registry);
	cli_close(&cli);
	return rc;
}
