/* ldap-homing: what is homed where in a directory.  Tables; the functions are those of
 * actions.h. */
#include "config.h"

#include "plugins/ldap-homing/actions.h"
#include "plugins/ldap-homing/call.h"

static const char *const sasl_choices[] = {"none", "external", "gssapi", NULL};
static const char *const tls_choices[] = {"auto", "starttls", "never", NULL};
static const char *const referral_choices[] = {"fail", "skip", NULL};
static const char *const mid_move_choices[] = {"move", "leave", "refuse", NULL};

/* --- parameters that several actions have ------------------------------------ */

/* Which server, and who we are there: all actions. */
#define CONNECTION_PARAMS                                                                          \
	{.name = "server", .type = RESITE_T_URL, .flags = RESITE_PARAM_REQUIRED,                   \
	 .summary = "the directory server to use, one of the site that is left: ldap://, ldaps:// or " \
		    "ldapi://"},                                                                   \
	{.name = "bind_dn", .type = RESITE_T_STRING, .summary = "who to bind as, with password"},  \
	{.name = "password", .type = RESITE_T_SECRET, .summary = "password of bind_dn"},           \
	{.name = "sasl", .type = RESITE_T_ENUM, .def = "none", .choices = sasl_choices,            \
	 .summary = "external: be who the socket or the client certificate says; gssapi: Kerberos"}, \
	{.name = "credential_cache", .type = RESITE_T_PATH,                                        \
	 .summary = "file with the Kerberos ticket to use (default: as the environment says)"},    \
	{.name = "keytab", .type = RESITE_T_PATH,                                                  \
	 .summary = "file with the key to get a Kerberos ticket with; its first principal is used"}, \
	{.name = "server_name", .type = RESITE_T_STRING,                                           \
	 .summary = "name of the server, for its certificate and Kerberos (default: the host of "  \
		    "the URL)"},                                                                   \
	{.name = "tls", .type = RESITE_T_ENUM, .def = "auto", .choices = tls_choices,              \
	 .summary = "StartTLS on ldap://; auto: when a password would go over it"},             \
	{.name = "allow_plaintext", .type = RESITE_T_BOOL, .def = "false",                         \
	 .summary = "let the password, or what Kerberos protects, go unencrypted"},                               \
	{.name = "ca_file", .type = RESITE_T_PATH,                                                 \
	 .summary = "PEM file of the CAs to trust (default: the system's)"},                       \
	{.name = "pin", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,                   \
	 .summary = "SHA-256 of the server's certificate (hexadecimal) or of its public key "      \
		    "(sha256//BASE64), besides the CA; one of several is enough"},                 \
	{.name = "cert_file", .type = RESITE_T_PATH, .summary = "PEM file of a client certificate"}, \
	{.name = "key_file", .type = RESITE_T_PATH, .summary = "PEM file of its key"},             \
	{.name = "network_timeout", .type = RESITE_T_DURATION, .def = "30s", .min = 100,           \
	 .max = 3600000, .summary = "longest silence of the server"}

/* Those that change something. */
#define VERIFY_PARAM                                                                               \
	{.name = "verify_server", .type = RESITE_T_URL,                                            \
	 .summary = "the server that verify asks, a replica for example (default: server)"}

/* Those that search for many. */
#define SEARCH_PARAMS                                                                              \
	{.name = "referrals", .type = RESITE_T_ENUM, .def = "fail", .choices = referral_choices,   \
	 .summary = "when a part of base is on another server: fail, or skip that part"},          \
	{.name = "page_size", .type = RESITE_T_INT, .def = "1000", .min = 0, .max = 100000,        \
	 .summary = "entries per page of a search; 0: do not page"}

/* Those that move many. */
#define MOVING_PARAMS                                                                              \
	{.name = "from", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED,                  \
	 .summary = "DN of the home that they leave"},                                             \
	{.name = "to", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED,                    \
	 .summary = "DN of the home that they get"},                                               \
	{.name = "attribute", .type = RESITE_T_STRING, .def = "msRTCSIP-PrimaryHomeServer",        \
	 .summary = "attribute that holds the DN of the home"},                                    \
	{.name = "moving_attribute", .type = RESITE_T_STRING, .def = "msRTCSIP-TargetHomeServer",  \
	 .summary = "attribute that is set while another tool moves somebody; empty: do not look"}, \
	{.name = "mid_move", .type = RESITE_T_ENUM, .def = "move", .choices = mid_move_choices,     \
	 .summary = "those whom another tool is moving: move them, leave them, or refuse all"},    \
	{.name = "require_target", .type = RESITE_T_BOOL, .def = "true",                           \
	 .summary = "refuse when the entry named by to cannot be read on the server"},             \
	SEARCH_PARAMS,                                                                             \
	{.name = "window", .type = RESITE_T_INT, .def = "64", .min = 1, .max = LH_WINDOW_MAX,      \
	 .summary = "changes in flight at once"},                                                  \
	{.name = "transaction_size", .type = RESITE_T_INT, .def = "1000", .min = 0, .max = 100000, \
	 .summary = "changes per transaction where the server offers them; 0: never"}

/* --- move -------------------------------------------------------------------- */

static const struct resite_param move_params[] = {
	CONNECTION_PARAMS,
	VERIFY_PARAM,
	{.name = "base", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED,
	 .summary = "DN under which the users are"},
	MOVING_PARAMS,
	{.name = "filter", .type = RESITE_T_STRING,
	 .summary = "only users that match this filter too (RFC 4515)"},
	{.name = "exclude", .type = RESITE_T_STRING,
	 .summary = "not the users that match this filter (RFC 4515)"},
	{.name = "users_file", .type = RESITE_T_PATH,
	 .summary = "only the users whose addresses are in this file, one a line"},
	{.name = "exclude_file", .type = RESITE_T_PATH,
	 .summary = "not the users whose addresses are in this file, one a line"},
	{.name = "address_attribute", .type = RESITE_T_STRING, .def = "msRTCSIP-PrimaryUserAddress",
	 .summary = "attribute that holds a user's address, with or without sip:"},
	{.name = "capacity", .type = RESITE_T_INT, .def = "0", .min = 0, .max = 1000000000,
	 .summary = "refuse when more users than this would then be on to; 0: do not count"},
	{.name = "report", .type = RESITE_T_PATH,
	 .summary = "file to write: who was not moved and why, a JSON object a line"},
	{.name = NULL}};

static const char *const move_outputs[] = {
	"moved",  "already",  "total",	  "conflicts", "refused", "transactions",
	"stayed", "excluded", "unlisted", "mid_move",  NULL};

/* --- contacts-objects ---------------------------------------------------------- */

static const struct resite_param contacts_params[] = {
	CONNECTION_PARAMS,
	VERIFY_PARAM,
	{.name = "base", .type = RESITE_T_STRING,
	 .summary = "DN under which they are (default: CN=RTC Service,CN=Services of the "
		    "configuration that the server names)"},
	MOVING_PARAMS,
	{.name = "directory_attribute", .type = RESITE_T_STRING,
	 .def = "msRTCSIP-ConferenceDirectoryHomePool",
	 .summary = "attribute of a conference directory that names its pool"},
	{.name = "directory_moving_attribute", .type = RESITE_T_STRING,
	 .def = "msRTCSIP-ConferenceDirectoryTargetPool",
	 .summary = "attribute that is set while another tool moves one; empty: do not look"},
	{.name = "directory_from", .type = RESITE_T_STRING,
	 .summary = "pool that conference directories leave, as they name it (default: from)"},
	{.name = "directory_to", .type = RESITE_T_STRING,
	 .summary = "pool that they get, likewise (default: to)"},
	{.name = NULL}};

static const char *const contacts_outputs[] = {"moved",   "already",      "total", "conflicts",
					       "refused", "transactions", NULL};

/* --- find-pool ------------------------------------------------------------------- */

static const struct resite_param find_pool_params[] = {
	CONNECTION_PARAMS,
	{.name = "pool", .type = RESITE_T_DOMAIN, .flags = RESITE_PARAM_REQUIRED,
	 .summary = "full name of the pool"},
	{.name = "base", .type = RESITE_T_STRING,
	 .summary = "DN under which pools are (default: CN=Pools,CN=RTC Service,CN=Services of the "
		    "configuration that the server names)"},
	{.name = "pool_class", .type = RESITE_T_STRING, .def = "msRTCSIP-Pool",
	 .summary = "class of a pool's entry"},
	{.name = "host_attribute", .type = RESITE_T_STRING, .def = "dNSHostName",
	 .summary = "attribute of it that holds the pool's name"},
	{.name = "service_class", .type = RESITE_T_STRING, .def = "msRTCSIP-PoolService",
	 .summary = "class of the entry below it that users name as their home"},
	{.name = NULL}};

static const char *const find_pool_outputs[] = {"dn", NULL};

/* --- count ----------------------------------------------------------------------- */

static const struct resite_param count_params[] = {
	CONNECTION_PARAMS,
	{.name = "base", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED,
	 .summary = "DN under which they are"},
	{.name = "filter", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED,
	 .summary = "who is counted (RFC 4515)"},
	SEARCH_PARAMS,
	{.name = NULL}};

static const char *const count_outputs[] = {"count", NULL};

/* --- cms ----------------------------------------------------------------------- */

static const struct resite_param cms_params[] = {
	CONNECTION_PARAMS,
	VERIFY_PARAM,
	{.name = "lost", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED | RESITE_PARAM_REPEATED,
	 .summary = "database servers of the site that is left behind, by full name"},
	{.name = "surviving", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REPEATED,
	 .summary = "those of the site that goes on (default: that of set_to)"},
	{.name = "set_to", .type = RESITE_T_STRING,
	 .summary = "FQDN\\instance that the pointer is moved to; without it this is a gate"},
	{.name = "base", .type = RESITE_T_STRING,
	 .summary = "DN under which the pointer is (default: CN=RTC Service,CN=Services of the "
		    "configuration that the server names)"},
	{.name = "class", .type = RESITE_T_STRING, .def = "msRTCSIP-GlobalTopologySetting",
	 .summary = "class of the entry that holds the pointer"},
	{.name = "attribute", .type = RESITE_T_STRING, .def = "msRTCSIP-BackEndServer",
	 .summary = "attribute that is the pointer"},
	{.name = NULL}};

static const char *const cms_outputs[] = {"where", "surviving", NULL};

/* --- all ----------------------------------------------------------------------- */

static const struct resite_action actions[] = {
	{.name = "move", .summary = "moves all users of one home pool to another",
	 .flags = RESITE_ACT_REVERSIBLE, .default_timeout_ms = 600000,
	 .params = move_params, .outputs = move_outputs,
	 .check = move_check, .probe = move_probe, .apply = move_apply, .verify = move_verify,
	 .revert = homing_revert},
	{.name = "contacts-objects",
	 .summary = "moves the application contacts and conference directories of one pool to another",
	 .flags = RESITE_ACT_REVERSIBLE, .default_timeout_ms = 300000,
	 .params = contacts_params, .outputs = contacts_outputs,
	 .check = contacts_check, .probe = contacts_probe, .apply = contacts_apply,
	 .verify = contacts_verify, .revert = homing_revert},
	{.name = "find-pool", .summary = "finds the home DN of a pool by the pool's name",
	 .flags = RESITE_ACT_READONLY, .default_timeout_ms = 60000,
	 .params = find_pool_params, .outputs = find_pool_outputs,
	 .check = find_pool_check, .verify = find_pool_verify},
	{.name = "count", .summary = "counts the entries that match a filter",
	 .flags = RESITE_ACT_READONLY, .default_timeout_ms = 60000,
	 .params = count_params, .outputs = count_outputs,
	 .check = count_check, .verify = count_verify},
	{.name = "cms", .summary = "is the central management store in the site that survives? else moves "
				   "the pointer to it",
	 .flags = RESITE_ACT_REVERSIBLE, .default_timeout_ms = 60000,
	 .params = cms_params, .outputs = cms_outputs,
	 .check = cms_check, .probe = cms_probe, .apply = cms_apply, .verify = cms_verify,
	 .revert = cms_revert},
};

RESITE_PLUGIN(.name = "ldap-homing", .version = "2",
	      .summary = "users' home pools, and what else is homed, in an LDAP directory",
	      .actions = actions, .n_actions = sizeof(actions) / sizeof(actions[0]))
