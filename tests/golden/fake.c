#include "core/base/base.h"
#include "tests/golden/fake.h"

#include <string.h>

static const char *const outputs[] = {"value"};

static const struct schema_param params[] = {
	{.name = "value", .summary = "anything", .type = RESITE_T_STRING},
};

static const struct schema_action actions[] = {
	[FAKE_DO] = {.name = "do", .summary = "probes, applies, verifies, reverts",
		     .params = params, .n_params = COUNT_OF(params),
		     .outputs = outputs, .n_outputs = COUNT_OF(outputs),
		     .has = SCHEMA_HAS_CHECK | SCHEMA_HAS_PROBE | SCHEMA_HAS_APPLY |
			    SCHEMA_HAS_VERIFY | SCHEMA_HAS_REVERT},
	[FAKE_BLIND] = {.name = "blind", .summary = "applies, and cannot look",
			.has = SCHEMA_HAS_APPLY},
	[FAKE_LOOK] = {.name = "look", .summary = "looks, and changes nothing",
		       .flags = RESITE_ACT_READONLY, .has = SCHEMA_HAS_VERIFY},
};

const struct schema_plugin fake_plugin = {
	.name = "t", .version = "1", .summary = "for tests",
	.actions = actions, .n_actions = COUNT_OF(actions),
};

static int
find(void *ctx, const char *plugin, const struct schema_plugin **ret, struct error *err)
{
	(void)ctx;
	if (strcmp(plugin, fake_plugin.name))
		return error_set(err, E_NOTFOUND, "no such plugin");
	*ret = &fake_plugin;
	return 0;
}

const struct schema_source fake_source = {.find = find};
