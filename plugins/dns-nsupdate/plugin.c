/* The actions of dns-nsupdate and what a plan can say to them. */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

/* What the actions share. */
#define WHERE \
	{.name = "zone", .type = RESITE_T_DOMAIN, .flags = RESITE_PARAM_REPEATED, \
	 .summary = "the zones; relative names are of the first; default: server is asked, and every " \
		    "name is absolute"}, \
	{.name = "patience", .type = RESITE_T_DURATION, .def = "5s", .min = 100, .max = 300000, \
	 .summary = "longest silence of a server"}

#define HOW_TO_CHANGE \
	{.name = "server", .type = RESITE_T_ENDPOINT, .flags = RESITE_PARAM_REQUIRED, \
	 .summary = "the zone's primary, which takes the updates"}, \
	{.name = "key", .type = RESITE_T_SECRET, \
	 .summary = "TSIG key: a key file of named, or algorithm:name:base64"}, \
	{.name = "via", .type = RESITE_T_ENUM, .def = "direct", \
	 .choices = (const char *const[]){"direct", "nsupdate", "gss", NULL}, \
	 .summary = "who sends: this plugin, the program nsupdate, or nsupdate -g with Kerberos"}, \
	{.name = "nsupdate", .type = RESITE_T_PATH, .def = "/usr/bin/nsupdate", \
	 .summary = "the program, for via"}, \
	{.name = "ccache", .type = RESITE_T_PATH, \
	 .summary = "via gss: file with the Kerberos tickets; default that of the environment"}, \
	{.name = "realm", .type = RESITE_T_STRING, \
	 .summary = "via gss: Kerberos realm, if not that of the tickets"}, \
	{.name = "transport", .type = RESITE_T_ENUM, .def = "auto", \
	 .choices = (const char *const[]){"auto", "tcp", "udp", NULL}, \
	 .summary = "how to reach the primary; auto is TCP, and UDP when that cannot be connected"}, \
	{.name = "verify_at", .type = RESITE_T_ENDPOINT, .flags = RESITE_PARAM_REPEATED, \
	 .summary = "servers that must serve the new records; default all NS of the zone, on the " \
		    "port of server"}, \
	{.name = "unreachable", .type = RESITE_T_ENUM, .def = "auto", \
	 .choices = (const char *const[]){"auto", "fail", "tolerate", NULL}, \
	 .summary = "servers that cannot be asked in verify; auto tolerates in mode disaster those " \
		    "not named in verify_at"}, \
	{.name = "batch", .type = RESITE_T_INT, .def = "200", .min = 1, .max = 5000, \
	 .summary = "most RRsets in one message (it is also limited to 64 KiB, over UDP to 1232 " \
		    "bytes)"}

static const struct resite_param set_params[] = {
	WHERE,
	HOW_TO_CHANGE,
	{.name = "record", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,
	 .summary = "a record, \"sip 60 A 10.2.0.10\"; those of one owner and type make one RRset"},
	{.name = "remove", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,
	 .summary = "an RRset to be removed, \"sip A\": where an alias takes its place, else only with "
		    "an override"},
	{.name = "records_file", .type = RESITE_T_PATH,
	 .summary = "more records, one a line; ; and # begin a comment line, $ORIGIN changes the zone"},
	{.name = "ttl", .type = RESITE_T_DURATION, .def = "60s", .min = 0, .max = 604800000,
	 .summary = "TTL of records that give none"},
	{.name = "expect_current", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,
	 .summary = "a record that must be there now, else the step is refused"},
	{.name = "srv_target", .type = RESITE_T_ENUM, .def = "strict",
	 .choices = (const char *const[]){"strict", "warn", "any", NULL},
	 .summary = "SRV records of SIP whose target is in another domain: refuse, warn, allow"},
	{.name = "max_changes", .type = RESITE_T_INT, .def = "0", .min = 0, .max = 10000000,
	 .summary = "refuse to change more RRsets than this; 0: no limit"},
	{.name = "max_percent", .type = RESITE_T_INT, .def = "0", .min = 0, .max = 100,
	 .summary = "refuse to change more of the zones' RRsets than this, in percent (they are "
		    "transferred to be counted); 0: no limit"},
	{.name = "override", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,
	 .summary = "allows one thing that a rule refuses, \"rule name: reason\""},
	{.name = NULL},
};

static const struct resite_param ttl_params[] = {
	WHERE,
	HOW_TO_CHANGE,
	{.name = "name", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED | RESITE_PARAM_REPEATED,
	 .summary = "an RRset, \"sip A\", or a name, \"sip\", with all its RRsets"},
	{.name = "ttl", .type = RESITE_T_DURATION, .def = "60s", .min = 1000, .max = 604800000,
	 .summary = "TTL to lower to; one that is lower stays"},
	{.name = "wait_out", .type = RESITE_T_BOOL, .def = "false",
	 .summary = "the step ends only when the old TTLs have run out everywhere (give it the timeout)"},
	{.name = NULL},
};

static const struct resite_param resolvers_params[] = {
	WHERE,
	{.name = "resolver", .type = RESITE_T_ENDPOINT,
	 .flags = RESITE_PARAM_REQUIRED | RESITE_PARAM_REPEATED,
	 .summary = "a resolver that clients use"},
	{.name = "record", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,
	 .summary = "a record, \"sip 60 A 10.2.0.10\"; those of one owner and type make one RRset"},
	{.name = "records_file", .type = RESITE_T_PATH,
	 .summary = "more records, one a line; ; and # begin a comment line, $ORIGIN changes the zone"},
	{.name = "wait", .type = RESITE_T_DURATION, .def = "0s", .min = 0, .max = 604800000,
	 .summary = "how long to wait until all answers are new (give the step the timeout)"},
	{.name = "if_old", .type = RESITE_T_ENUM, .def = "report",
	 .choices = (const char *const[]){"report", "fail", NULL},
	 .summary = "when wait is over and an answer is not new: say so, or fail"},
	{.name = NULL},
};

static const char *const ttl_outputs[] = {"fast_from", "old_ttl", NULL};
static const char *const resolvers_outputs[] = {"old", "until", NULL};

static const struct resite_action actions[] = {
	{.name = "set",
	 .summary = "sets RRsets by dynamic update, each only if it is still what was read",
	 .flags = RESITE_ACT_REVERSIBLE,
	 .default_timeout_ms = 120000,
	 .params = set_params,
	 .check = set_check,
	 .probe = set_probe,
	 .apply = set_apply,
	 .verify = set_verify,
	 .revert = set_revert},
	{.name = "ttl-lower",
	 .summary = "lowers TTLs ahead of a move and says from when on it is fast; undo raises them again",
	 .flags = RESITE_ACT_REVERSIBLE,
	 .default_timeout_ms = 120000,
	 .params = ttl_params,
	 .outputs = ttl_outputs,
	 .check = ttl_check,
	 .probe = ttl_probe,
	 .apply = ttl_apply,
	 .verify = ttl_verify,
	 .revert = set_revert},
	{.name = "resolvers",
	 .summary = "what the clients' resolvers still answer after a change, and until when",
	 .flags = RESITE_ACT_READONLY,
	 .default_timeout_ms = 120000,
	 .params = resolvers_params,
	 .outputs = resolvers_outputs,
	 .check = resolvers_check,
	 .probe = resolvers_probe,
	 .verify = resolvers_verify},
};

RESITE_PLUGIN(.name = "dns-nsupdate", .version = "1",
	      .summary = "sets DNS records by RFC 2136 with TSIG or GSS-TSIG", .actions = actions,
	      .n_actions = sizeof(actions) / sizeof(actions[0]))
