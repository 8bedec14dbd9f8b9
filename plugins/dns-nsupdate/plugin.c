/* The actions of dns-nsupdate and what a plan can say to them. */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

static const struct resite_param params[] = {
	{.name = "server", .type = RESITE_T_ENDPOINT, .flags = RESITE_PARAM_REQUIRED,
	 .summary = "the zone's primary, which takes the updates"},
	{.name = "zone", .type = RESITE_T_DOMAIN, .flags = RESITE_PARAM_REPEATED,
	 .summary = "the zones; relative names are of the first; default: server is asked, and every "
		    "name is absolute"},
	{.name = "key", .type = RESITE_T_SECRET,
	 .summary = "TSIG key: a key file of named, or algorithm:name:base64"},
	{.name = "via", .type = RESITE_T_ENUM, .def = "direct",
	 .choices = (const char *const[]){"direct", "nsupdate", "gss", NULL},
	 .summary = "who sends: this plugin, the program nsupdate, or nsupdate -g with Kerberos"},
	{.name = "nsupdate", .type = RESITE_T_PATH, .def = "/usr/bin/nsupdate",
	 .summary = "the program, for via"},
	{.name = "ccache", .type = RESITE_T_PATH,
	 .summary = "via gss: file with the Kerberos tickets; default that of the environment"},
	{.name = "realm", .type = RESITE_T_STRING,
	 .summary = "via gss: Kerberos realm, if not that of the tickets"},
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
	{.name = "transport", .type = RESITE_T_ENUM, .def = "auto",
	 .choices = (const char *const[]){"auto", "tcp", "udp", NULL},
	 .summary = "how to reach the primary; auto is TCP, and UDP when that cannot be connected"},
	{.name = "verify_at", .type = RESITE_T_ENDPOINT, .flags = RESITE_PARAM_REPEATED,
	 .summary = "servers that must serve the new records; default all NS of the zone, on the "
		    "port of server"},
	{.name = "unreachable", .type = RESITE_T_ENUM, .def = "auto",
	 .choices = (const char *const[]){"auto", "fail", "tolerate", NULL},
	 .summary = "servers that cannot be asked in verify; auto tolerates in mode disaster those "
		    "not named in verify_at"},
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
	{.name = "batch", .type = RESITE_T_INT, .def = "200", .min = 1, .max = 5000,
	 .summary = "most RRsets in one message (it is also limited to 64 KiB, over UDP to 1232 "
		    "bytes)"},
	{.name = "patience", .type = RESITE_T_DURATION, .def = "5s", .min = 100, .max = 300000,
	 .summary = "longest silence of a server"},
	{.name = NULL},
};

static const struct resite_action actions[] = {
	{.name = "set",
	 .summary = "sets RRsets by dynamic update, each only if it is still what was read",
	 .flags = RESITE_ACT_REVERSIBLE,
	 .default_timeout_ms = 120000,
	 .params = params,
	 .check = set_check,
	 .probe = set_probe,
	 .apply = set_apply,
	 .verify = set_verify,
	 .revert = set_revert},
};

RESITE_PLUGIN(.name = "dns-nsupdate", .version = "1",
	      .summary = "sets DNS records by RFC 2136 with TSIG", .actions = actions, .n_actions = 1)
