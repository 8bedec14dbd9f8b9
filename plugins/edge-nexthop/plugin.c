/* edge-nexthop: where the edge sends what comes from outside: schema and glue. */
#include "plugins/edge-nexthop/edge.h"

#define PATIENCE                                                                        \
	{.name = "patience", .type = RESITE_T_DURATION, .def = "5s", .min = 50, .max = 300000, \
	 .summary = "longest silence of the proxy"}
#define INTERVAL                                                                        \
	{.name = "interval", .type = RESITE_T_DURATION, .def = "1s", .min = 50, .max = 3600000, \
	 .summary = "verify: time from one look to the next until it is well"}
#define CA_FILE                                                                         \
	{.name = "ca_file", .type = RESITE_T_PATH,                                      \
	 .summary = "certificate authorities of https URLs; without it the system's"}

#define LIST_PARAMS(what)                                                               \
	{.name = "list", .type = RESITE_T_PATH, .flags = RESITE_PARAM_REQUIRED,         \
	 .summary = what},                                                              \
	{.name = "set", .type = RESITE_T_INT, .def = "1", .min = 0, .max = INT32_MAX,   \
	 .summary = "id of the set of next hops"},                                      \
	{.name = "to", .type = RESITE_T_STRING,                                         \
	 .flags = RESITE_PARAM_REQUIRED | RESITE_PARAM_REPEATED,                        \
	 .summary = "the next hops that shall take calls, as SIP URIs; no others will"}, \
	{.name = "others", .type = RESITE_T_ENUM, .def = "replace",                     \
	 .choices = (const char *const[]){"replace", "disable", NULL},                  \
	 .summary = "the set's other next hops: their lines become those of new ones or go, or they " \
		    "stay, disabled"},                                                  \
	{.name = "attrs", .type = RESITE_T_STRING,                                      \
	 .summary = "attributes of lines that are new or get another URI; without it they keep theirs"}, \
	{.name = "priority", .type = RESITE_T_INT, .def = "0", .min = 0, .max = 1000000, \
	 .summary = "priority of new lines; those that are there keep theirs"},         \
	{.name = "fqdn", .type = RESITE_T_BOOL, .def = "false",                         \
	 .summary = "refuse next hops that are addresses, not names"},                  \
	{.name = "rpc_user", .type = RESITE_T_STRING, .summary = "user name for rpc (HTTP basic)"}, \
	{.name = "rpc_password", .type = RESITE_T_SECRET, .summary = "password for rpc"}, \
	{.name = "reload_wait", .type = RESITE_T_DURATION, .def = "15s", .min = 0, .max = 300000, \
	 .summary = "longest wait while the proxy says that a reload is under way"},    \
	{.name = "sip", .type = RESITE_T_ENDPOINT,                                      \
	 .summary = "SIP address (TCP) of the proxy: verify sends OPTIONS through it"}, \
	{.name = "sip_domain", .type = RESITE_T_DOMAIN, .summary = "domain of that request"}, \
	{.name = "sip_status", .type = RESITE_T_INT, .def = "200", .min = 200, .max = 699, \
	 .summary = "SIP status that is well"},                                         \
	{.name = "look_for", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,   \
	 .summary = "text in a header of the answer that only the new next hop sends"}

static const struct resite_param kamailio_params[] = {
	LIST_PARAMS("Kamailio's dispatcher list, as this machine sees it"),
	{.name = "rpc", .type = RESITE_T_URL,
	 .summary = "Kamailio's JSON-RPC over HTTP (modules xhttp and jsonrpcs)"},
	{.name = "kamcmd_socket", .type = RESITE_T_STRING,
	 .summary = "instead of rpc: Kamailio's control socket as kamcmd -s takes it, unix:/run/…"},
	{.name = "kamcmd", .type = RESITE_T_PATH, .def = "/usr/sbin/kamcmd",
	 .summary = "the program kamcmd"},
	CA_FILE, PATIENCE, INTERVAL, {.name = NULL},
};

static const struct resite_param opensips_params[] = {
	LIST_PARAMS("OpenSIPS's dispatcher table, a db_text file"),
	{.name = "rpc", .type = RESITE_T_URL, .flags = RESITE_PARAM_REQUIRED,
	 .summary = "OpenSIPS's management interface (module mi_http)"},
	CA_FILE, PATIENCE, INTERVAL, {.name = NULL},
};

static const struct resite_param haproxy_params[] = {
	{.name = "socket", .type = RESITE_T_PATH,
	 .summary = "HAProxy's runtime socket ('stats socket' with level admin)"},
	{.name = "address", .type = RESITE_T_ENDPOINT,
	 .summary = "instead of socket: a runtime socket that listens on TCP"},
	{.name = "backend", .type = RESITE_T_STRING,
	 .flags = RESITE_PARAM_REQUIRED | RESITE_PARAM_REPEATED, .summary = "backends to change, all alike"},
	{.name = "to", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED | RESITE_PARAM_REPEATED,
	 .summary = "servers of each backend that shall be ready"},
	{.name = "others", .type = RESITE_T_ENUM, .def = "maint",
	 .choices = (const char *const[]){"maint", "drain", "leave", NULL},
	 .summary = "the other servers of the backends: no more requests, no new sessions, or as they are"},
	{.name = "weight", .type = RESITE_T_INT, .min = 0, .max = 256,
	 .summary = "weight of the servers of to; without it they keep theirs"},
	{.name = "state_file", .type = RESITE_T_PATH,
	 .summary = "server-state file to write, which HAProxy reads when it starts"},
	{.name = "url", .type = RESITE_T_URL, .summary = "verify: an address at this HAProxy to ask"},
	{.name = "host", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,
	 .summary = "host names to ask it for, as meet.contoso.example; without it that of url"},
	{.name = "requests", .type = RESITE_T_INT, .def = "2", .min = 1, .max = 1000,
	 .summary = "requests for each, all of which must be answered well"},
	{.name = "http_status", .type = RESITE_T_INT, .def = "200", .min = 100, .max = 599,
	 .summary = "HTTP status that is well"},
	{.name = "look_for", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,
	 .summary = "text in head or body of the answer that only the new server sends"},
	CA_FILE, PATIENCE, INTERVAL, {.name = NULL},
};

static const char *const haproxy_outputs[] = {"servers", NULL};
static const char *const list_outputs[] = {"next_hops", NULL};

static const struct resite_action actions[] = {
	{.name = "kamailio", .summary = "changes the next hops in Kamailio's dispatcher list",
	 .flags = RESITE_ACT_REVERSIBLE, .default_timeout_ms = 120000, .params = kamailio_params,
	 .outputs = list_outputs, .check = kamailio_check, .probe = kamailio_probe,
	 .apply = kamailio_apply, .verify = kamailio_verify, .revert = kamailio_revert},
	{.name = "opensips", .summary = "the same for OpenSIPS's dispatcher table in a text file",
	 .flags = RESITE_ACT_REVERSIBLE, .default_timeout_ms = 120000, .params = opensips_params,
	 .outputs = list_outputs, .check = opensips_check, .probe = opensips_probe,
	 .apply = opensips_apply, .verify = opensips_verify, .revert = opensips_revert},
	{.name = "haproxy", .summary = "changes which servers of HAProxy's backends get requests",
	 .flags = RESITE_ACT_REVERSIBLE, .default_timeout_ms = 60000, .params = haproxy_params,
	 .outputs = haproxy_outputs, .check = haproxy_check, .probe = haproxy_probe,
	 .apply = haproxy_apply, .verify = haproxy_verify, .revert = haproxy_revert},
};

RESITE_PLUGIN(.name = "edge-nexthop", .version = "1",
	      .summary = "changes where edge proxies send what comes from outside",
	      .actions = actions, .n_actions = 3)
