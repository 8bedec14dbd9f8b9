/* groupchat: the tables that the core sees. */
#include "plugins/groupchat/backup.h"
#include "plugins/groupchat/call.h"
#include "plugins/groupchat/restore.h"
#include "sdk/vault/params.h"

static const char *const sslmodes[] = {"disable", "prefer", "require", "verify-ca", "verify-full",
				       NULL};

#define SERVER_PARAMS(what)                                                                     \
	{.name = "server", .summary = "database server " what ", host:port",                    \
	 .type = RESITE_T_ENDPOINT, .flags = RESITE_PARAM_REQUIRED},                            \
	{.name = "database", .summary = "the chat service's database",                          \
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED},                              \
	{.name = "user", .summary = "who logs in at the server",                                \
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED},                              \
	{.name = "password", .summary = "the user's password", .type = RESITE_T_SECRET},        \
	{.name = "sslmode", .summary = "as in libpq; verify-full checks the server's name",     \
	 .type = RESITE_T_ENUM, .def = "prefer", .choices = sslmodes},                          \
	{.name = "ca_file", .summary = "certificates (PEM) to trust",                           \
	 .type = RESITE_T_PATH},                                                                \
	{.name = "timeout", .summary = "longest wait for one answer",                           \
	 .type = RESITE_T_DURATION, .def = "10s", .min = 100, .max = 600000},                   \
	{.name = "maintenance_db", .summary = "database to connect to when another is renamed", \
	 .type = RESITE_T_STRING, .def = "postgres"},                                           \
	{.name = "bin_dir", .summary = "folder of pg_dump and pg_restore; default: the newest", \
	 .type = RESITE_T_PATH},                                                                \
	{.name = "jobs", .summary = "connections that pg_restore uses at once",                 \
	 .type = RESITE_T_INT, .def = "2", .min = 1, .max = 64},                                \
	{.name = "memory", .summary = "memory for each index that is built",                    \
	 .type = RESITE_T_SIZE, .def = "256M", .min = 1024 * 1024, .max = INT64_C(1) << 40}

static const struct resite_param backup_params[] = {
	SERVER_PARAMS("to save from"),
	VAULT_PLACE_PARAMS("groupchat", RESITE_PARAM_REQUIRED),
	VAULT_WRITE_PARAMS,
	{.name = "compression", .summary = "of the dump, 0 to 9; 0 is quickest",
	 .type = RESITE_T_INT, .def = "1", .min = 0, .max = 9},
	{.name = "restore_check", .summary = "restore the dump into a scratch database and compare",
	 .type = RESITE_T_BOOL, .def = "true"},
	{.name = "scratch_server", .summary = "where, host:port; default: server",
	 .type = RESITE_T_ENDPOINT},
	{0},
};

static const char *const replaces[] = {"absent", "older", "any", NULL};

static const struct resite_param restore_params[] = {
	SERVER_PARAMS("to restore to"),
	VAULT_PLACE_PARAMS("groupchat", RESITE_PARAM_REQUIRED),
	VAULT_READ_PARAMS,
	{.name = "replace", .summary = "what may be replaced: nothing (absent), what has no more than "
	 "the set (older), any database",
	 .type = RESITE_T_ENUM, .def = "older", .choices = replaces},
	{.name = "disconnect", .summary = "end connections to the database that is replaced",
	 .type = RESITE_T_BOOL, .def = "false"},
	{.name = "keep_owner", .summary = "owners and rights as they were saved; their roles must exist",
	 .type = RESITE_T_BOOL, .def = "true"},
	{0},
};

static const char *const backup_outputs[] = {"set", "rows", "bytes", "wal", NULL};
static const char *const restore_outputs[] = {"set", "rows", "former", NULL};

static const struct resite_action actions[] = {
	{
		.name = "backup-db",
		.summary = "save the chat database into the vault, proven by restoring it",
		.flags = RESITE_ACT_CARRIES,
		.default_timeout_ms = 60 * 60 * 1000,
		.params = backup_params,
		.outputs = backup_outputs,
		.probe = backup_probe,
		.apply = backup_apply,
		.verify = backup_verify,
	},
	{
		.name = "restore-db",
		.summary = "restore the newest set beside the live database and swap them",
		.flags = RESITE_ACT_CARRIES | RESITE_ACT_REVERSIBLE,
		.default_timeout_ms = 60 * 60 * 1000,
		.params = restore_params,
		.outputs = restore_outputs,
		.probe = restore_probe,
		/* No verify: the probe after apply asks the server, and every table was compared
		 * before the swap. */
		.apply = restore_apply,
		.revert = restore_revert,
	},
};

RESITE_PLUGIN(.name = "groupchat", .version = GROUPCHAT_VERSION,
	      .summary = "group chat: its database, its service, its rooms",
	      .actions = actions, .n_actions = sizeof actions / sizeof *actions)
