/* vault: what plans do with backup sets themselves: judge, thin out, copy away, try. */
#include "plugins/vault/actions.h"

#define SET_PARAM {.name = "set", .summary = "an older set instead of the newest", .type = RESITE_T_STRING}
#define FROM_PARAM                                                                              \
	{.name = "from_site", .summary = "refuse a set that was made at another site",          \
	 .type = RESITE_T_STRING}
#define PLACE_PARAMS                                                                            \
	{.name = "vault", .summary = "folder of the vault", .type = RESITE_T_PATH,              \
	 .flags = RESITE_PARAM_REQUIRED},                                                       \
	{.name = "name", .summary = "name of the backup in the vault",                          \
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED}

static const struct resite_param check_params[] = {
	PLACE_PARAMS, FROM_PARAM, VAULT_AGE_PARAMS, VAULT_GROWTH_PARAMS, {0},
};

static const struct resite_param retain_params[] = {
	PLACE_PARAMS,
	{.name = "keep", .summary = "keep the newest so many sets", .type = RESITE_T_INT,
	 .def = "7", .min = 1, .max = 100000},
	{.name = "keep_days", .summary = "and the newest of each day, so many days back",
	 .type = RESITE_T_INT, .def = "30", .min = 0, .max = 36500},
	{0},
};

static const struct resite_param copy_params[] = {
	PLACE_PARAMS,
	SET_PARAM,
	{.name = "to", .summary = "where to: host, or user@host, as ssh knows it",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED},
	{.name = "to_vault", .summary = "folder of the vault there, an absolute path",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED},
	{.name = "ssh", .summary = "program and arguments that reach it",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED, .def = "/usr/bin/ssh"},
	{.name = "rsync", .summary = "the rsync program", .type = RESITE_T_PATH,
	 .def = "/usr/bin/rsync"},
	{0},
};

static const struct resite_param trial_params[] = {
	VAULT_PLACE_PARAMS(NULL, RESITE_PARAM_REQUIRED),
	VAULT_READ_PARAMS,
	{.name = "scratch", .summary = "folder in which a folder for the trial is made and removed",
	 .type = RESITE_T_PATH, .def = "/tmp"},
	{.name = "command",
	 .summary = "program and arguments that try what was restored; the folder comes last",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED},
	{0},
};

static const char *const copy_outputs[] = {"set", NULL};

#define MINUTES (60 * 1000)

static const struct resite_action actions[] = {
	{
		.name = "check",
		.summary = "the newest set is whole, young enough, and has not shrunk",
		.flags = RESITE_ACT_READONLY,
		.default_timeout_ms = 30 * MINUTES,
		.params = check_params,
		.probe = check_probe,
		.verify = check_verify,
	},
	{
		.name = "retain",
		.summary = "remove sets that the rule does not keep",
		.default_timeout_ms = 30 * MINUTES,
		.params = retain_params,
		.probe = retain_probe,
		.apply = retain_apply,
	},
	{
		.name = "copy",
		.summary = "copy a set to the other site, and verify it there",
		.flags = RESITE_ACT_CARRIES,
		.default_timeout_ms = 120 * MINUTES,
		.params = copy_params,
		.outputs = copy_outputs,
		.check = copy_check,
		.probe = copy_probe,
		.apply = copy_apply,
		.verify = copy_verify,
	},
	{
		.name = "trial",
		.summary = "restore the newest set into a scratch folder, and try it",
		.flags = RESITE_ACT_READONLY,
		.default_timeout_ms = 60 * MINUTES,
		.params = trial_params,
		.verify = trial_verify,
	},
};

RESITE_PLUGIN(.name = "vault", .version = "0.1.0", .summary = "backup sets: judge, thin out, copy, try",
	      .actions = actions, .n_actions = sizeof actions / sizeof *actions)
