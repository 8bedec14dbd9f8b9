/* groupchat: the tables that the core sees. */
#include "plugins/groupchat/backup.h"
#include "plugins/groupchat/call.h"
#include "plugins/groupchat/mssql_step.h"
#include "plugins/groupchat/restore.h"
#include "plugins/groupchat/service.h"
#include "plugins/groupchat/visit.h"
#include "sdk/vault/params.h"

static const char *const sslmodes[] = {"disable", "prefer", "require", "verify-ca", "verify-full",
				       NULL};

#define LOGIN_PARAMS(what, required, wait)                                                      \
	{.name = "server", .summary = "database server " what ", host:port",                    \
	 .type = RESITE_T_ENDPOINT, .flags = (required)},                                       \
	{.name = "database", .summary = "the chat service's database",                          \
	 .type = RESITE_T_STRING, .flags = (required)},                                         \
	{.name = "user", .summary = "who logs in at the server",                                \
	 .type = RESITE_T_STRING, .flags = (required)},                                         \
	{.name = "password", .summary = "the user's password", .type = RESITE_T_SECRET},        \
	{.name = "sslmode", .summary = "as in libpq; verify-full checks the server's name",     \
	 .type = RESITE_T_ENUM, .def = "prefer", .choices = sslmodes},                          \
	{.name = "ca_file", .summary = "certificates (PEM) to trust",                           \
	 .type = RESITE_T_PATH},                                                                \
	{.name = "timeout", .summary = "longest wait for one answer" wait,                      \
	 .type = RESITE_T_DURATION, .def = "10s", .min = 100, .max = 600000}

#define SERVER_PARAMS(what)                                                                     \
	LOGIN_PARAMS(what, RESITE_PARAM_REQUIRED, ", or for others to be done"),                \
	{.name = "maintenance_db", .summary = "database to connect to when another is renamed", \
	 .type = RESITE_T_STRING, .def = "postgres"},                                           \
	{.name = "bin_dir", .summary = "folder of pg_dump and pg_restore; default: the newest", \
	 .type = RESITE_T_PATH},                                                                \
	{.name = "jobs", .summary = "connections that pg_restore uses at once",                 \
	 .type = RESITE_T_INT, .def = "2", .min = 1, .max = 64},                                \
	{.name = "memory", .summary = "memory for each index; default: by the dump's size",     \
	 .type = RESITE_T_SIZE, .min = 1024 * 1024, .max = INT64_C(1) << 40}

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

static const struct resite_param service_params[] = {
	{.name = "ready", .summary = "where the service answers, host:port",
	 .type = RESITE_T_ENDPOINT, .flags = RESITE_PARAM_REQUIRED},
	{.name = "domain", .summary = "XMPP domain that must answer there; default: a connection is enough",
	 .type = RESITE_T_STRING},
	{.name = "timeout", .summary = "longest wait for one answer",
	 .type = RESITE_T_DURATION, .def = "5s", .min = 100, .max = 600000},
	{.name = "unit", .summary = "systemd unit of the service", .type = RESITE_T_STRING},
	{.name = "start_command", .summary = "or the words of a command that starts it",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED},
	{.name = "stop_command", .summary = "and of one that stops it",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED},
	{.name = "ssh", .summary = "run it there, [user@]host; keys, no password",
	 .type = RESITE_T_STRING},
	{0},
};

static const char *const silences[] = {"unknown", "down", NULL};

static const struct resite_param one_active_params[] = {
	{.name = "other", .summary = "the other site's server, host:port; may lie in a site that is lost",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED},
	{.name = "here", .summary = "this site's server: both active is told as such",
	 .type = RESITE_T_STRING},
	{.name = "domain", .summary = "XMPP domain that they serve; default: a connection is enough",
	 .type = RESITE_T_STRING},
	{.name = "silence", .summary = "what no answer at all means: a cut network looks like that, too",
	 .type = RESITE_T_ENUM, .def = "unknown", .choices = silences},
	{.name = "fence", .summary = "words of a command that ends with 0 when the other site is fenced",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED},
	{.name = "fence_expect", .summary = "and what its last line must say",
	 .type = RESITE_T_STRING},
	{.name = "row_query", .summary = "SQL that gives the active server's name: one row, one column",
	 .type = RESITE_T_STRING},
	{.name = "row_value", .summary = "and what it must be", .type = RESITE_T_STRING},
	LOGIN_PARAMS("for row_query", 0, ""),
	{0},
};

static const struct resite_param visit_params[] = {
	{.name = "xmpp", .summary = "the chat server, host:port",
	 .type = RESITE_T_ENDPOINT, .flags = RESITE_PARAM_REQUIRED},
	{.name = "jid", .summary = "who signs in, user@domain; the certificate must be the domain's",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED},
	{.name = "jid_password", .summary = "and the password",
	 .type = RESITE_T_SECRET, .flags = RESITE_PARAM_REQUIRED},
	{.name = "rooms", .summary = "rooms to join, room@service",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED | RESITE_PARAM_REPEATED},
	{.name = "sample", .summary = "newest messages to read in each room",
	 .type = RESITE_T_INT, .def = "20", .min = 1, .max = 250},
	{.name = "min_messages", .summary = "fewer in a room's history is a failure",
	 .type = RESITE_T_INT, .def = "1", .min = 0, .max = INT64_C(1) << 40},
	{.name = "allow_plaintext", .summary = "sign in without TLS when the server offers none",
	 .type = RESITE_T_BOOL, .def = "false"},
	LOGIN_PARAMS("of Prosody, to compare the sample with", 0, ""),
	{0},
};

#define MSSQL_PARAMS                                                                            \
	{.name = "server", .summary = "SQL Server, host:port",                                  \
	 .type = RESITE_T_ENDPOINT, .flags = RESITE_PARAM_REQUIRED},                            \
	{.name = "database", .summary = "the chat service's database",                          \
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED},                              \
	{.name = "user", .summary = "who logs in at the server",                                \
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED},                              \
	{.name = "password", .summary = "the user's password", .type = RESITE_T_SECRET},        \
	{.name = "odbc_driver", .summary = "as odbcinst -q -d lists it",                        \
	 .type = RESITE_T_STRING, .def = "FreeTDS"},                                            \
	{.name = "odbc_options", .summary = "more of the connection string; no secret",         \
	 .type = RESITE_T_STRING, .def = "TDS_Version=7.4;Encryption=require"},                 \
	{.name = "timeout", .summary = "longest wait for a connection",                         \
	 .type = RESITE_T_DURATION, .def = "15s", .min = 100, .max = 600000}

static const struct resite_param mssql_backup_params[] = {
	MSSQL_PARAMS,
	{.name = "server_folder", .summary = "where SQL Server writes the backup: both sites' must read it",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED},
	VAULT_PLACE_PARAMS("groupchat", RESITE_PARAM_REQUIRED),
	VAULT_WRITE_PARAMS,
	{0},
};

static const char *const hows[] = {"beside", "recover", NULL};

static const struct resite_param mssql_restore_params[] = {
	MSSQL_PARAMS,
	{.name = "how", .summary = "restore beside the live one and swap; or recover a log shipping secondary",
	 .type = RESITE_T_ENUM, .def = "beside", .choices = hows},
	{.name = "data_folder", .summary = "where SQL Server puts the files; default: where they were",
	 .type = RESITE_T_STRING},
	{.name = "logs", .summary = "log backups that the secondary has not had, oldest first",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED},
	{.name = "disconnect", .summary = "end sessions in the database that is replaced",
	 .type = RESITE_T_BOOL, .def = "false"},
	VAULT_PLACE_PARAMS("groupchat", 0),
	VAULT_READ_PARAMS,
	{0},
};

static const char *const mssql_backup_outputs[] = {"set", "file", NULL};
static const char *const mssql_restore_outputs[] = {"former", NULL};
static const char *const one_active_outputs[] = {"other", NULL};
static const char *const visit_outputs[] = {"messages", "compared", NULL};
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
	{
		.name = "only-one-active",
		.summary = "the other site's chat server is down or fenced, or stop",
		.flags = RESITE_ACT_READONLY,
		.default_timeout_ms = 60 * 1000,
		.params = one_active_params,
		.outputs = one_active_outputs,
		.check = one_active_check,
		.verify = one_active_verify,
	},
	{
		.name = "start",
		.summary = "start the chat service and see it answer",
		/* The way back is to start the other site's, not only to stop this one. */
		.flags = RESITE_ACT_REVERSIBLE | RESITE_ACT_CARRIES,
		.default_timeout_ms = 2 * 60 * 1000,
		.params = service_params,
		.check = service_check,
		.probe = start_probe,
		.apply = start_apply,
		.verify = start_verify,
		.revert = start_revert,
	},
	{
		.name = "stop",
		.summary = "stop the chat service and see that it is gone",
		.flags = RESITE_ACT_REVERSIBLE | RESITE_ACT_CARRIES,
		.default_timeout_ms = 2 * 60 * 1000,
		.params = service_params,
		.check = service_check,
		.probe = stop_probe,
		.apply = stop_apply,
		.verify = stop_verify,
		.revert = stop_revert,
	},
	{
		.name = "verify",
		.summary = "sign in, join rooms, read their history, compare a sample",
		.flags = RESITE_ACT_READONLY,
		.default_timeout_ms = 2 * 60 * 1000,
		.params = visit_params,
		.outputs = visit_outputs,
		.check = visit_check,
		.verify = visit_verify,
	},
	{
		.name = "backup-mssql",
		.summary = "BACKUP DATABASE of a SQL Server, proven by RESTORE VERIFYONLY",
		.flags = RESITE_ACT_CARRIES,
		.default_timeout_ms = 60 * 60 * 1000,
		.params = mssql_backup_params,
		.outputs = mssql_backup_outputs,
		.probe = mssql_backup_probe,
		.apply = mssql_backup_apply,
	},
	{
		.name = "restore-mssql",
		.summary = "RESTORE DATABASE beside the live one and swap, or recover a secondary",
		.flags = RESITE_ACT_CARRIES,
		.default_timeout_ms = 60 * 60 * 1000,
		.params = mssql_restore_params,
		.outputs = mssql_restore_outputs,
		.check = mssql_restore_check,
		.probe = mssql_restore_probe,
		.apply = mssql_restore_apply,
	},
};

RESITE_PLUGIN(.name = "groupchat", .version = GROUPCHAT_VERSION,
	      .summary = "group chat: its database, its service, its rooms",
	      .actions = actions, .n_actions = sizeof actions / sizeof *actions)
