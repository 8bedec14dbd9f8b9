/* The plugin "core": what the core does itself, without a process. */
#include "core/base/base.h"
#include "core/plan/schema.h"

static const struct schema_param approve_params[] = {
	{.name = "question", .summary = "what the person is asked", .type = RESITE_T_STRING,
	 .flags = RESITE_PARAM_REQUIRED},
	{.name = "needs", .summary = "how many different people must agree", .type = RESITE_T_INT,
	 .def = "1", .min = 1, .max = 9},
	{.name = "approvers", .summary = "who may approve: users, or principals of signatures; none: "
	 "anybody who can reach the run", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED},
	{.name = "allowed_signers", .summary = "keys of those who approve by signature, a file as "
	 "ssh-keygen knows it", .type = RESITE_T_PATH},
	{.name = "expires", .summary = "an approval that is older does not count",
	 .type = RESITE_T_DURATION, .min = 1000, .max = INT64_C(366) * 24 * 3600 * 1000},
};

static const struct schema_action actions[] = {
	{.name = "approve", .summary = "wait for a person's yes", .flags = RESITE_ACT_READONLY,
	 .params = approve_params, .n_params = COUNT_OF(approve_params)},
	{.name = "none", .summary = "do nothing: a point where branches join",
	 .flags = RESITE_ACT_READONLY},
};

static const struct schema_plugin core_plugin = {
	.name = "core", .version = "1", .summary = "what the core does itself",
	.actions = actions, .n_actions = COUNT_OF(actions), .builtin = true,
};

const struct schema_plugin *
schema_builtin(void)
{
	return &core_plugin;
}
