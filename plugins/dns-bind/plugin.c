/* dns-bind: RRsets in the zone files of BIND. */
#include "config.h"

#include "plugins/dns-bind/step.h"

/* Which zones, and how their files are changed: what both actions take. */
#define WHERE \
	{.name = "zone", .type = RESITE_T_DOMAIN, .flags = RESITE_PARAM_REQUIRED | RESITE_PARAM_REPEATED, \
	 .summary = "the zone, or several"}, \
	{.name = "file", .type = RESITE_T_PATH, .flags = RESITE_PARAM_REQUIRED | RESITE_PARAM_REPEATED, \
	 .summary = "the file of each zone, in the order of zone"}, \
	{.name = "server", .type = RESITE_T_ENDPOINT, .flags = RESITE_PARAM_REQUIRED, \
	 .summary = "named, where it answers questions: the primary that loads these files"}

#define HOW \
	{.name = "directory", .type = RESITE_T_PATH, \
	 .summary = "named's working directory, for relative $INCLUDE; default the folder of the file"}, \
	{.name = "include_from", .type = RESITE_T_PATH, .flags = RESITE_PARAM_REPEATED, \
	 .summary = "folders that $INCLUDE may read from, besides that of the zone's file and directory"}, \
	{.name = "serial", .type = RESITE_T_ENUM, .def = "auto", \
	 .choices = (const char *const[]){"auto", "date", "counter", NULL}, \
	 .summary = "how the serial is raised: YYYYMMDDnn or by one; auto goes on as it is written"}, \
	{.name = "dynamic", .type = RESITE_T_ENUM, .def = "refuse", \
	 .choices = (const char *const[]){"refuse", "freeze", NULL}, \
	 .summary = "zones that take dynamic updates: refuse, or freeze, edit and thaw them"}, \
	{.name = "reload", .type = RESITE_T_ENUM, .def = "rndc", \
	 .choices = (const char *const[]){"rndc", "none", NULL}, \
	 .summary = "who tells named: rndc, or somebody else (verify waits for it)"}, \
	{.name = "rndc", .type = RESITE_T_PATH, .def = "/usr/sbin/rndc", .summary = "the program rndc"}, \
	{.name = "rndc_conf", .type = RESITE_T_PATH, .summary = "its configuration (-c)"}, \
	{.name = "rndc_key", .type = RESITE_T_PATH, .summary = "its key file (-k)"}, \
	{.name = "rndc_server", .type = RESITE_T_ENDPOINT, \
	 .summary = "where named takes commands (-s, -p), when rndc_conf does not say"}, \
	{.name = "rndc_timeout", .type = RESITE_T_DURATION, .def = "30s", .min = 100, .max = 600000, \
	 .summary = "longest time that rndc may take"}, \
	{.name = "view", .type = RESITE_T_STRING, .summary = "the view that the zones are in"}, \
	{.name = "check", .type = RESITE_T_ENUM, .def = "local", \
	 .choices = (const char *const[]){"local", "none", "full", "off", NULL}, \
	 .summary = "how named-checkzone looks at the new file (-i); full asks the network; off: not at all"}, \
	{.name = "checkzone", .type = RESITE_T_PATH, .def = "/usr/bin/named-checkzone", \
	 .summary = "the program named-checkzone"}, \
	{.name = "verify_at", .type = RESITE_T_ENDPOINT, .flags = RESITE_PARAM_REPEATED, \
	 .summary = "servers that must serve the new records; default server and all NS of the zone, on " \
		    "the port of server"}, \
	{.name = "unreachable", .type = RESITE_T_ENUM, .def = "auto", \
	 .choices = (const char *const[]){"auto", "fail", "tolerate", NULL}, \
	 .summary = "servers that cannot be asked in verify; auto tolerates in mode disaster those not " \
		    "named in verify_at"}, \
	{.name = "max_changes", .type = RESITE_T_INT, .def = "0", .min = 0, .max = 1000000, \
	 .summary = "refuse to change more RRsets of a zone than this; 0: no limit"}, \
	{.name = "max_percent", .type = RESITE_T_INT, .def = "0", .min = 0, .max = 100, \
	 .summary = "refuse to change more of a zone's RRsets than this, in percent; 0: no limit"}, \
	{.name = "override", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED, \
	 .summary = "\"rule name: reason\": allows what a rule (empty, orphan, domain, alias, serial, " \
		    "changes, percent) refuses, for this name alone"}, \
	{.name = "patience", .type = RESITE_T_DURATION, .def = "5s", .min = 100, .max = 300000, \
	 .summary = "longest silence of a server"}

static const struct resite_param set_params[] = {
	WHERE,
	{.name = "record", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED | RESITE_PARAM_REPEATED,
	 .summary = "a record, \"sip 60 A 10.2.0.10\": relative to the first zone, or absolute with a last "
		    "dot; those of one owner and type make one RRset"},
	{.name = "ttl", .type = RESITE_T_DURATION, .def = "60s", .min = 0, .max = 604800000,
	 .summary = "TTL of records that give none"},
	{.name = "expect_current", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,
	 .summary = "a record that must be there now, else the step is refused"},
	{.name = "srv_target", .type = RESITE_T_ENUM, .def = "strict",
	 .choices = (const char *const[]){"strict", "warn", "any", NULL},
	 .summary = "SRV records of SIP whose target is in another domain: refuse, warn, allow"},
	HOW,
	{.name = NULL},
};

static const struct resite_param ttl_params[] = {
	WHERE,
	{.name = "name", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED | RESITE_PARAM_REPEATED,
	 .summary = "an RRset, \"sip A\", or a name, \"sip\", with all its RRsets; relative to the first zone, or "
		    "absolute with a last dot"},
	{.name = "ttl", .type = RESITE_T_DURATION, .def = "60s", .min = 1000, .max = 604800000,
	 .summary = "TTL to lower to; one that is lower stays"},
	{.name = "wait_out", .type = RESITE_T_BOOL, .def = "false",
	 .summary = "the step ends only when the old TTLs have run out everywhere (give it the timeout)"},
	HOW,
	{.name = NULL},
};

static const char *const ttl_outputs[] = {"fast_from", "old_ttl", NULL};

static const struct resite_action actions[] = {
	{.name = "set",
	 .summary = "sets RRsets in zone files: checked, replaced whole, reloaded, and asked for at every server",
	 .flags = RESITE_ACT_REVERSIBLE,
	 .default_timeout_ms = 300000,
	 .params = set_params,
	 .check = set_check,
	 .probe = set_probe,
	 .apply = set_apply,
	 .verify = set_verify,
	 .revert = set_revert},
	{.name = "ttl-lower",
	 .summary = "lowers TTLs ahead of a move and says from when on it is fast; undo raises them again",
	 .flags = RESITE_ACT_REVERSIBLE,
	 .default_timeout_ms = 300000,
	 .params = ttl_params,
	 .outputs = ttl_outputs,
	 .check = ttl_check,
	 .probe = ttl_probe,
	 .apply = ttl_apply,
	 .verify = ttl_verify,
	 .revert = set_revert},
};

RESITE_PLUGIN(.name = "dns-bind", .version = "1",
	      .summary = "edits the zone files of BIND as a person would", .actions = actions, .n_actions = 2)
