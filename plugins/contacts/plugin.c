/* contacts: the tables that the core sees. */
#include "plugins/contacts/contacts.h"
#include "plugins/contacts/convert.h"
#include "plugins/contacts/diff.h"
#include "plugins/contacts/export.h"
#include "plugins/contacts/handover.h"
#include "plugins/contacts/import.h"
#include "plugins/contacts/open.h"
#include "sdk/vault/params.h"

#define SERVER_PARAMS                                                                           \
	{.name = "server", .summary = "XCAP root, http://host:port/xcap-root",                  \
	 .type = RESITE_T_URL, .flags = RESITE_PARAM_REQUIRED},                                 \
	{.name = "ca_file", .summary = "certificates (PEM) to trust for https",                 \
	 .type = RESITE_T_PATH},                                                                \
	{.name = "timeout", .summary = "longest wait for one answer",                           \
	 .type = RESITE_T_DURATION, .def = "10s", .min = 100, .max = 600000}

#define NAME_PARAM                                                                              \
	{.name = "name", .summary = "name of the backup in the vault",                          \
	 .type = RESITE_T_STRING, .def = "contacts"}

#define VERIFY_PARAM                                                                            \
	{.name = "verify_sample", .summary = "lists that verify reads from the server",         \
	 .type = RESITE_T_INT, .def = CONTACTS_SAMPLE, .min = 1, .max = 100000000}

/* The names in formats[]; a test compares them. */
static const char *const format_choices[] = {
	FORMAT_AUTO, "dbimpexp", "docitemset", "resource-lists", "xep0227", NULL};

#define SOURCE_PARAMS                                                                           \
	{.name = "source", .summary = "file or folder of another system, instead of a vault set", \
	 .type = RESITE_T_PATH},                                                                \
	{.name = "format", .summary = "of the source; auto: told by its content",               \
	 .type = RESITE_T_ENUM, .def = FORMAT_AUTO, .choices = format_choices}

static const char *const via_choices[] = {"http", "sql", NULL};
static const char *const existing_choices[] = {"replace", "merge", "keep", NULL};
static const char *const tls_choices[] = {"disable", "prefer", "require", "verify-ca",
					  "verify-full", NULL};

/* Where an import puts the lists. */
#define TARGET_PARAMS                                                                           \
	{.name = "via", .summary = "how lists get there: XCAP over HTTP, or the server's own table", \
	 .type = RESITE_T_ENUM, .choices = via_choices, .def = "http"},                         \
	{.name = "database_server", .summary = "sql: PostgreSQL of the XCAP server, host:port",  \
	 .type = RESITE_T_ENDPOINT},                                                            \
	{.name = "database", .summary = "sql: its database", .type = RESITE_T_STRING,           \
	 .def = "kamailio"},                                                                    \
	{.name = "database_user", .summary = "sql: role that may write the table",              \
	 .type = RESITE_T_STRING},                                                              \
	{.name = "database_password", .summary = "sql: its password", .type = RESITE_T_SECRET}, \
	{.name = "database_tls", .summary = "sql: sslmode of libpq; ca_file is trusted",        \
	 .type = RESITE_T_ENUM, .choices = tls_choices, .def = "prefer"},                       \
	{.name = "table", .summary = "sql: Kamailio's table (xcap_table)",                      \
	 .type = RESITE_T_STRING, .def = "xcap"}

static const struct resite_param export_params[] = {
	SERVER_PARAMS,
	{.name = "connections", .summary = "connections to the server at once",
	 .type = RESITE_T_INT, .def = "4", .min = 1, .max = 64},
	{.name = "users", .summary = "addresses, sip:user@host",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED},
	{.name = "users_file", .summary = "file with one address a line", .type = RESITE_T_PATH},
	VAULT_PLACE_PARAMS("contacts", RESITE_PARAM_REQUIRED),
	VAULT_WRITE_PARAMS,
	VERIFY_PARAM,
	{0},
};

static const struct resite_param import_params[] = {
	SERVER_PARAMS,
	TARGET_PARAMS,
	{.name = "connections", .summary = "connections to the server at once",
	 .type = RESITE_T_INT, .def = "8", .min = 1, .max = 64},
	{.name = "vault", .summary = "folder of the vault", .type = RESITE_T_PATH},
	NAME_PARAM,
	{.name = "key", .summary = "of an encrypted set: 64 hexadecimal digits, or a passphrase",
	 .type = RESITE_T_SECRET},
	{.name = "set", .summary = "an older set instead of the newest", .type = RESITE_T_STRING},
	SOURCE_PARAMS,
	{.name = "dbimpexp", .summary = "the same as source with format dbimpexp",
	 .type = RESITE_T_PATH},
	{.name = "from_site", .summary = "refuse a set that was made at another site",
	 .type = RESITE_T_STRING},
	{.name = "max_age", .summary = "refuse a source older than this; 0: any age",
	 .type = RESITE_T_DURATION, .def = "0s"},
	{.name = "existing", .summary = "a list that the target has: replaced, united, or kept",
	 .type = RESITE_T_ENUM, .choices = existing_choices, .def = "replace"},
	{.name = "users_file", .summary = "import these users alone (who moved), one address a line",
	 .type = RESITE_T_PATH},
	{.name = "not_moved", .summary = "leave out the users of this report of ldap-homing",
	 .type = RESITE_T_PATH},
	{.name = "probe_sample", .summary = "lists that probe reads before it reads all",
	 .type = RESITE_T_INT, .def = CONTACTS_SAMPLE, .min = 1, .max = 100000000},
	{.name = "read_back", .summary = "lists read back after an import that the server confirmed; 0: all",
	 .type = RESITE_T_INT, .def = "500", .min = 0, .max = 100000000},
	{0},
};

static const char *const target_choices[] = {
	"dbimpexp", "docitemset", "resource-lists", "xep0227", NULL};

/* Those that hold many users in one file. */
static const char *const handover_choices[] = {"dbimpexp", "docitemset", "xep0227", NULL};

static const struct resite_param convert_params[] = {
	SOURCE_PARAMS,
	VAULT_PLACE_PARAMS("contacts", 0),
	VAULT_READ_PARAMS,
	{.name = "users_file", .summary = "these users alone, one address a line",
	 .type = RESITE_T_PATH},
	{.name = "target", .summary = "file or folder to be made, instead of a vault set",
	 .type = RESITE_T_PATH},
	{.name = "target_format", .summary = "format of the target",
	 .type = RESITE_T_ENUM, .choices = target_choices},
	{.name = "split", .summary = "the target is a folder with a file for each user",
	 .type = RESITE_T_BOOL, .def = "false"},
	{.name = "site", .summary = "the site that the lists of a new set come from",
	 .type = RESITE_T_STRING},
	VAULT_GROWTH_PARAMS,
	{0},
};

static const struct resite_param diff_params[] = {
	SOURCE_PARAMS,
	VAULT_PLACE_PARAMS("contacts", 0),
	{.name = "set", .summary = "a set of the vault; the newest when not given",
	 .type = RESITE_T_STRING},
	{.name = "other", .summary = "file or folder to compare with", .type = RESITE_T_PATH},
	{.name = "other_format", .summary = "of the other; auto: told by its content",
	 .type = RESITE_T_ENUM, .def = FORMAT_AUTO, .choices = format_choices},
	{.name = "other_vault", .summary = "folder of a vault to compare with a set of",
	 .type = RESITE_T_PATH},
	{.name = "other_name", .summary = "name of the backup there",
	 .type = RESITE_T_STRING, .def = "contacts"},
	{.name = "other_set", .summary = "the set there; the newest when not given",
	 .type = RESITE_T_STRING},
	{.name = "lines", .summary = "differences that are listed; all are counted",
	 .type = RESITE_T_INT, .def = "1000", .min = 0, .max = 100000000},
	{0},
};

static const struct resite_param handover_params[] = {
	SOURCE_PARAMS,
	VAULT_PLACE_PARAMS("contacts", 0),
	VAULT_READ_PARAMS,
	{.name = "users_file", .summary = "these users alone, one address a line",
	 .type = RESITE_T_PATH},
	{.name = "target", .summary = "the file that is handed over",
	 .type = RESITE_T_PATH, .flags = RESITE_PARAM_REQUIRED},
	{.name = "target_format", .summary = "its format",
	 .type = RESITE_T_ENUM, .def = "dbimpexp", .choices = handover_choices},
	{.name = "command",
	 .summary = "the importer, program and arguments; {file} is the target, which it also has on stdin",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED | RESITE_PARAM_REPEATED},
	{.name = "verify",
	 .summary = "program and arguments that write to stdout what the other side has now",
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED},
	{0},
};

static const char *const handover_outputs[] = {"users", "bytes", "file", "exit_code", NULL};
static const char *const convert_outputs[] = {"users", "bytes", "file", "set", NULL};
static const char *const diff_outputs[] = {
	"users", "other_users", "users_same", "users_only", "users_only_other", "users_changed",
	"contacts_added", "contacts_removed", "contacts_renamed", "contacts_moved",
	"contacts_watched", "groups_added", "groups_removed", "groups_changed", NULL};
static const char *const export_outputs[] = {"set", "users", "documents", "bytes", NULL};
static const char *const import_outputs[] = {"documents", "source", NULL};

static const struct resite_action actions[] = {
	{
		.name = "export",
		.summary = "save contact lists from an XCAP server into the vault",
		.flags = RESITE_ACT_CARRIES,
		.default_timeout_ms = 30 * 60 * 1000,
		.params = export_params,
		.outputs = export_outputs,
		.check = export_check,
		.probe = export_probe,
		.apply = export_apply,
		.verify = export_verify,
	},
	{
		.name = "import",
		.summary = "put saved contact lists into an XCAP server",
		.flags = RESITE_ACT_CARRIES,
		.default_timeout_ms = 30 * 60 * 1000,
		.params = import_params,
		.outputs = import_outputs,
		.check = import_check,
		.probe = import_probe,
		/* No verify: the probe after apply asks the server, and once is enough. */
		.apply = import_apply,
	},
	{
		.name = "convert",
		.summary = "make a file or a vault set of contact lists in another format",
		.flags = RESITE_ACT_CARRIES,
		.default_timeout_ms = 30 * 60 * 1000,
		.params = convert_params,
		.outputs = convert_outputs,
		.check = convert_check,
		.probe = convert_probe,
		/* No verify: the probe after apply reads what was written, byte for byte. */
		.apply = convert_apply,
	},
	{
		.name = "hand-over",
		.summary = "write a file for another system's importer, run it, and look what it did",
		.flags = RESITE_ACT_CARRIES,
		.default_timeout_ms = 60 * 60 * 1000,
		.params = handover_params,
		.outputs = handover_outputs,
		.check = handover_check,
		.probe = handover_probe,
		.apply = handover_apply,
		.verify = handover_verify,
	},
	{
		.name = "diff",
		.summary = "compare two sets of contact lists, whatever their formats, user by user",
		.flags = RESITE_ACT_READONLY,
		.default_timeout_ms = 30 * 60 * 1000,
		.params = diff_params,
		.outputs = diff_outputs,
		.check = diff_check,
		.probe = diff_probe,
	},
};

RESITE_PLUGIN(.name = "contacts", .version = CONTACTS_VERSION,
	      .summary = "contact lists of XCAP servers, Lync and XMPP",
	      .actions = actions, .n_actions = sizeof actions / sizeof *actions)
