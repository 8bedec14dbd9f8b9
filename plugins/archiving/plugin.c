/* archiving: the table that the core sees. */
#include "plugins/archiving/actions.h"

static const char *const sslmodes[] = {"disable",   "prefer",	   "require",
				       "verify-ca", "verify-full", NULL};

static const struct resite_param gate_params[] = {
	{.name = "archived", .type = RESITE_T_INT, .flags = RESITE_PARAM_REQUIRED, .min = 0,
	 .max = 1000000000,
	 .summary = "how many users are archived: ${step.NAME.count} of an ldap-homing.count"},
	{.name = "critical", .type = RESITE_T_BOOL, .def = "false",
	 .summary = "archiving is critical (BlockOnArchiveFailure): look even when nobody is archived"},
	{.name = "server", .type = RESITE_T_ENDPOINT,
	 .summary = "the PostgreSQL server of the archive, host:port"},
	{.name = "database", .type = RESITE_T_STRING, .def = "archive", .summary = "its database"},
	{.name = "user", .type = RESITE_T_STRING, .def = "resite", .summary = "who to be there"},
	{.name = "password", .type = RESITE_T_SECRET, .summary = "password of user"},
	{.name = "sslmode", .type = RESITE_T_ENUM, .def = "prefer", .choices = sslmodes,
	 .summary = "libpq's sslmode"},
	{.name = "ca_file", .type = RESITE_T_PATH, .summary = "certificates (PEM) to trust"},
	{.name = "table", .type = RESITE_T_STRING, .def = "archive.resite_marker",
	 .summary = "the table for markers, made by the DBA (schema.sql)"},
	{.name = "messages", .type = RESITE_T_STRING,
	 .summary = "the archive's own table, which must exist; nothing is written to it"},
	{.name = "writer", .type = RESITE_T_STRING,
	 .summary = "the role that archives, which must have the right to insert into messages"},
	{.name = "command", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,
	 .summary = "program and arguments that try another kind of archive; must end with 0 and print "
		    "expect"},
	{.name = "expect", .type = RESITE_T_STRING,
	 .summary = "what command prints when the archive has taken a message"},
	{.name = "timeout", .type = RESITE_T_DURATION, .def = "10s", .min = 100, .max = 600000,
	 .summary = "longest wait for one answer of server"},
	{.name = NULL}};

static const char *const gate_outputs[] = {"looked", NULL};

/* Not READONLY: it writes a marker.  Not REVERSIBLE: it removes it itself and leaves nothing to
 * put back. */
static const struct resite_action actions[] = {
	{.name = "gate", .summary = "does the archive take a message? else nobody is moved",
	 .default_timeout_ms = 120000, .params = gate_params, .outputs = gate_outputs,
	 .check = gate_check, .probe = gate_probe, .apply = gate_apply, .verify = gate_verify},
};

RESITE_PLUGIN(.name = "archiving", .version = "0.1.0",
	      .summary = "the archive of messages, before users are moved to it",
	      .actions = actions, .n_actions = sizeof actions / sizeof *actions)
