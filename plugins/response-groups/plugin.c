/* response-groups: the tables that the core sees. */
#include "plugins/response-groups/call.h"

static const char *const tls_choices[] = {"disable",   "prefer",      "require",
					  "verify-ca", "verify-full", NULL};

#define SERVER_PARAMS                                                                           \
	{.name = "server", .summary = "PostgreSQL, host:port", .type = RESITE_T_ENDPOINT,       \
	 .flags = RESITE_PARAM_REQUIRED},                                                       \
	{.name = "database", .summary = "its database", .type = RESITE_T_STRING,                \
	 .def = "rgs"},                                                                         \
	{.name = "schema", .summary = "schema of the tables", .type = RESITE_T_STRING,          \
	 .def = "rgs"},                                                                         \
	{.name = "user", .summary = "who to be there", .type = RESITE_T_STRING, .def = "rgs"},  \
	{.name = "password", .summary = "password of user", .type = RESITE_T_SECRET},           \
	{.name = "tls", .summary = "libpq's sslmode", .type = RESITE_T_ENUM, .def = "prefer",   \
	 .choices = tls_choices},                                                               \
	{.name = "ca_file", .summary = "certificates (PEM) to trust", .type = RESITE_T_PATH},   \
	{.name = "timeout", .summary = "longest wait for one answer, and for a lock",           \
	 .type = RESITE_T_DURATION, .def = "10s", .min = 100, .max = 600000}

static const struct resite_param export_params[] = {
	SERVER_PARAMS,
	{.name = "owner", .summary = "objects of this pool alone (default: of all)",
	 .type = RESITE_T_STRING},
	VAULT_PLACE_PARAMS("response-groups", RESITE_PARAM_REQUIRED),
	VAULT_WRITE_PARAMS,
	{0},
};

static const struct resite_param import_params[] = {
	SERVER_PARAMS,
	VAULT_PLACE_PARAMS("response-groups", RESITE_PARAM_REQUIRED),
	VAULT_READ_PARAMS,
	{.name = "overwrite_owner",
	 .summary = "all objects get owner, and replace those of their id whosever they are",
	 .type = RESITE_T_BOOL, .def = "false"},
	{.name = "owner", .summary = "the pool that they get, with overwrite_owner",
	 .type = RESITE_T_STRING},
	{.name = "replace_settings", .summary = "the application-level settings are the set's, too",
	 .type = RESITE_T_BOOL, .def = "false"},
	{.name = "delete_missing",
	 .summary = "remove objects of the set's owners that the set does not have",
	 .type = RESITE_T_BOOL, .def = "false"},
	{0},
};

static const struct resite_param clean_params[] = {
	SERVER_PARAMS,
	{.name = "owner", .summary = "the pool whose objects are removed",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED},
	{.name = "own", .summary = "the pool of server itself: when it is owner, nothing is removed",
	 .type = RESITE_T_STRING},
	{.name = "held_by", .summary = "PostgreSQL, host:port, that must have all of them first",
	 .type = RESITE_T_ENDPOINT, .flags = RESITE_PARAM_REQUIRED},
	{0},
};

#define COMMAND_PARAMS(command_summary, copy_summary)                                           \
	{.name = "command", .summary = command_summary, .type = RESITE_T_STRING,                \
	 .flags = RESITE_PARAM_REQUIRED | RESITE_PARAM_REPEATED},                               \
	{.name = "copy", .summary = copy_summary, .type = RESITE_T_STRING,                      \
	 .flags = RESITE_PARAM_REPEATED},                                                       \
	{.name = "file", .summary = "the zip on this machine; it is removed afterwards",        \
	 .type = RESITE_T_PATH, .flags = RESITE_PARAM_REQUIRED},                                \
	VAULT_PLACE_PARAMS("response-groups", RESITE_PARAM_REQUIRED)

static const struct resite_param command_export_params[] = {
	COMMAND_PARAMS("program and arguments that make the export",
		       "program and arguments that then fetch it to file"),
	VAULT_WRITE_PARAMS,
	{0},
};

static const struct resite_param command_import_params[] = {
	COMMAND_PARAMS("program and arguments that import it",
		       "program and arguments that bring file to where that is done, before"),
	VAULT_READ_PARAMS,
	{.name = "verify", .summary = "program and arguments that say whether it is there",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED},
	{0},
};

static const char *const export_outputs[] = {"set", "objects", NULL};
static const char *const import_outputs[] = {"set", "inserted", "updated", "deleted", NULL};
static const char *const clean_outputs[] = {"deleted", NULL};
static const char *const command_outputs[] = {"set", NULL};

#define MINUTES (60 * 1000)

static const struct resite_action actions[] = {
	{
		.name = "export",
		.summary = "save a site's response groups into the vault",
		.flags = RESITE_ACT_CARRIES,
		.default_timeout_ms = 10 * MINUTES,
		.params = export_params,
		.outputs = export_outputs,
		.probe = export_probe,
		.apply = export_apply,
		.verify = export_verify,
	},
	{
		.name = "import",
		.summary = "put saved response groups into a site",
		.flags = RESITE_ACT_CARRIES | RESITE_ACT_REVERSIBLE,
		.default_timeout_ms = 10 * MINUTES,
		.params = import_params,
		.outputs = import_outputs,
		.check = import_check,
		.probe = import_probe,
		.apply = import_apply,
		.verify = import_verify,
		.revert = call_revert,
	},
	{
		.name = "clean",
		.summary = "remove a site's response groups from its standby, once it has them again",
		.flags = RESITE_ACT_CARRIES | RESITE_ACT_REVERSIBLE,
		.default_timeout_ms = 10 * MINUTES,
		.params = clean_params,
		.outputs = clean_outputs,
		.probe = clean_probe,
		.apply = clean_apply,
		.verify = clean_verify,
		.revert = call_revert,
	},
	{
		.name = "command-export",
		.summary = "save what a product's own export writes (Export-CsRgsConfiguration)",
		.flags = RESITE_ACT_CARRIES,
		.default_timeout_ms = 30 * MINUTES,
		.params = command_export_params,
		.outputs = command_outputs,
		.check = command_check,
		.probe = command_export_probe,
		.apply = command_export_apply,
		.verify = command_export_verify,
	},
	{
		.name = "command-import",
		.summary = "hand a saved export to a product's own import (Import-CsRgsConfiguration)",
		.flags = RESITE_ACT_CARRIES,
		.default_timeout_ms = 30 * MINUTES,
		.params = command_import_params,
		.check = command_import_check,
		.probe = command_import_probe,
		.apply = command_import_apply,
		.verify = command_import_verify,
	},
};

RESITE_PLUGIN(.name = "response-groups", .version = RGS_VERSION,
	      .summary = "response groups: agent groups, queues, workflows, hours, settings",
	      .actions = actions, .n_actions = sizeof actions / sizeof *actions)
