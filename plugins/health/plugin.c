/* health: asks a service from outside whether it works.  All its actions only verify. */
#include "config.h"

#include "plugins/health/cert.h"

#define PATIENCE                                                                        \
	{.name = "patience", .type = RESITE_T_DURATION, .def = "5s", .min = 50, .max = 300000, \
	 .summary = "longest silence of a server"}
#define INTERVAL                                                                        \
	{.name = "interval", .type = RESITE_T_DURATION, .def = "1s", .min = 50, .max = 3600000, \
	 .summary = "time from one question to the next until it is well"}

static const struct resite_param tcp_params[] = {
	{.name = "endpoint", .type = RESITE_T_ENDPOINT,
	 .flags = RESITE_PARAM_REQUIRED | RESITE_PARAM_REPEATED, .summary = "who must answer"},
	{.name = "send", .type = RESITE_T_STRING,
	 .summary = "text to send first; \\r \\n \\t \\\\ and \\xHH are understood"},
	{.name = "expect", .type = RESITE_T_STRING,
	 .summary = "text that must come within the first 4096 bytes; escapes as in send"},
	{.name = "absent", .type = RESITE_T_BOOL, .def = "false",
	 .summary = "the other way round: well when no endpoint takes a connection"},
	PATIENCE, INTERVAL, {.name = NULL},
};

static const struct resite_param dns_params[] = {
	{.name = "server", .type = RESITE_T_ENDPOINT,
	 .flags = RESITE_PARAM_REQUIRED | RESITE_PARAM_REPEATED,
	 .summary = "DNS servers that must all answer so"},
	{.name = "name", .type = RESITE_T_DOMAIN, .flags = RESITE_PARAM_REQUIRED,
	 .summary = "what to ask for"},
	{.name = "type", .type = RESITE_T_ENUM, .def = "A",
	 .choices = (const char *const[]){"A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV",
					  "TXT", NULL},
	 .summary = "record type"},
	{.name = "expect", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,
	 .summary = "data of the answer, all of it and no more; without it any data will do"},
	{.name = "authoritative", .type = RESITE_T_BOOL, .def = "false",
	 .summary = "the answer must come from an authoritative server, not from a cache"},
	PATIENCE, INTERVAL, {.name = NULL},
};

static const struct resite_param sip_params[] = {
	{.name = "domain", .type = RESITE_T_DOMAIN, .flags = RESITE_PARAM_REQUIRED,
	 .summary = "SIP domain"},
	{.name = "resolver", .type = RESITE_T_ENDPOINT, .flags = RESITE_PARAM_REPEATED,
	 .summary = "DNS servers to find the registrar with; the first that answers counts"},
	{.name = "service", .type = RESITE_T_STRING, .def = "_sip._tcp",
	 .summary = "the SRV record's labels before the domain"},
	{.name = "server", .type = RESITE_T_ENDPOINT,
	 .summary = "the registrar itself, instead of finding it"},
	{.name = "method", .type = RESITE_T_ENUM, .def = "register",
	 .choices = (const char *const[]){"register", "options", NULL},
	 .summary = "sign each user in (and out again), or only ask whether the server is there"},
	{.name = "users", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,
	 .summary = "users to sign in: u1, u1@domain or sip:u1@domain"},
	{.name = "users_file", .type = RESITE_T_PATH, .summary = "more users, one a line"},
	{.name = "sample", .type = RESITE_T_INT, .def = "10", .min = 0, .max = 100000,
	 .summary = "how many of all users, evenly spread; 0: all"},
	{.name = "expect", .type = RESITE_T_INT, .def = "200", .min = 200, .max = 699,
	 .summary = "SIP status that is well"},
	{.name = "follow", .type = RESITE_T_BOOL, .def = "false",
	 .summary = "follow redirects (301, 302) as a client would"},
	{.name = "max_hops", .type = RESITE_T_INT, .def = "3", .min = 1, .max = 10,
	 .summary = "most redirects to follow"},
	{.name = "password", .type = RESITE_T_SECRET,
	 .summary = "password of the users, when the server asks for one (digest)"},
	{.name = "expires", .type = RESITE_T_DURATION, .def = "60s", .min = 1000, .max = 3600000,
	 .summary = "lifetime of the registration, should signing out fail"},
	PATIENCE, INTERVAL, {.name = NULL},
};

static const struct resite_param certificate_params[] = {
	{.name = "endpoint", .type = RESITE_T_ENDPOINT,
	 .flags = RESITE_PARAM_REQUIRED | RESITE_PARAM_REPEATED,
	 .summary = "TLS servers whose certificates are looked at"},
	{.name = "starttls", .type = RESITE_T_ENUM, .def = "none",
	 .choices = (const char *const[]){"none", "ldap", "xmpp-client", NULL},
	 .summary = "how they are asked for TLS, where it does not begin at once"},
	{.name = "names", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,
	 .summary = "names and addresses that each certificate must hold; without it the endpoint's host"},
	{.name = "server_name", .type = RESITE_T_STRING,
	 .summary = "name that the server is asked for (SNI, XMPP domain); without it the first of names"},
	{.name = "ca_file", .type = RESITE_T_PATH,
	 .summary = "certificate authorities to trust; without it the system's"},
	{.name = "min_days", .type = RESITE_T_INT, .def = "14", .min = 0, .max = 3650,
	 .summary = "days for which the whole chain must still be valid"},
	{.name = "revocation", .type = RESITE_T_ENUM, .def = "ignore",
	 .choices = (const char *const[]){"ignore", "reachable", "required", NULL},
	 .summary = "CRL and OCSP addresses in the chain: not looked at, must answer, must be there and answer"},
	{.name = "resolver", .type = RESITE_T_ENDPOINT, .flags = RESITE_PARAM_REPEATED,
	 .summary = "DNS servers for these addresses, of those that survive; without it the system's"},
	{.name = "lost_networks", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,
	 .summary = "networks where these addresses do not count: those of the site that may be lost"},
	PATIENCE, INTERVAL, {.name = NULL},
};

static const char *const certificate_outputs[] = {"days_left", NULL};
static const char *const tcp_outputs[] = {"connect_ms", NULL};
static const char *const dns_outputs[] = {"answer", NULL};
static const char *const sip_outputs[] = {"server", "status", "ms", "signed_in", NULL};

static const struct resite_action actions[] = {
	{.name = "tcp", .summary = "does something answer at host:port, or, for a lost site, nothing?",
	 .flags = RESITE_ACT_READONLY, .default_timeout_ms = 60000, .params = tcp_params,
	 .outputs = tcp_outputs, .check = tcp_check, .verify = tcp_verify},
	{.name = "dns", .summary = "do these DNS servers give this answer?",
	 .flags = RESITE_ACT_READONLY, .default_timeout_ms = 60000, .params = dns_params,
	 .outputs = dns_outputs, .check = dns_check, .verify = dns_verify},
	{.name = "sip", .summary = "can users of this domain sign in, the way their clients do?",
	 .flags = RESITE_ACT_READONLY, .default_timeout_ms = 120000, .params = sip_params,
	 .outputs = sip_outputs, .check = sip_check, .verify = sip_verify},
	{.name = "certificate",
	 .summary = "would clients accept these servers' certificates, and still without the lost site?",
	 .flags = RESITE_ACT_READONLY, .default_timeout_ms = 60000, .params = certificate_params,
	 .outputs = certificate_outputs, .check = certificate_check, .verify = certificate_verify},
};

RESITE_PLUGIN(.name = "health", .version = "1", .summary = "asks services whether they work",
	      .actions = actions, .n_actions = 4)
