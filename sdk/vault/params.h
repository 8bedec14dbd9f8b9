/* sdk/vault/params.h -- the parameters of steps that keep or read backups: the same names, the
 * same meaning in every plugin.  Rows of a static const struct resite_param table; step.h has
 * what reads them. */
#ifndef RESITE_VAULT_PARAMS_H
#define RESITE_VAULT_PARAMS_H

#include <resite/plugin.h>

/* Where: vault, name, key.  required: RESITE_PARAM_REQUIRED, or 0 where a step may do without. */
#define VAULT_PLACE_PARAMS(default_name, required)                                              \
	{.name = "vault", .summary = "folder of the vault", .type = RESITE_T_PATH,              \
	 .flags = (required)},                                                                  \
	{.name = "name", .summary = "name of the backup in the vault",                          \
	 .type = RESITE_T_STRING, .def = (default_name)},                                       \
	{.name = "key", .summary = "encrypts the sets: 64 hexadecimal digits, or a passphrase", \
	 .type = RESITE_T_SECRET}

/* Which set may be used. */
#define VAULT_READ_PARAMS                                                                       \
	{.name = "set", .summary = "an older set instead of the newest",                        \
	 .type = RESITE_T_STRING},                                                              \
	{.name = "from_site", .summary = "refuse a set that was made at another site",          \
	 .type = RESITE_T_STRING},                                                              \
	VAULT_AGE_PARAMS

#define VAULT_AGE_PARAMS                                                                        \
	{.name = "max_age", .summary = "refuse a set older than this; 0: any age",              \
	 .type = RESITE_T_DURATION, .def = "0s"},                                               \
	{.name = "max_age_reason", .summary = "why an older set is used all the same",          \
	 .type = RESITE_T_STRING}

/* What a new set must be. */
#define VAULT_WRITE_PARAMS                                                                      \
	{.name = "site", .summary = "the site that the data comes from",                        \
	 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED},                              \
	{.name = "fresh_for", .summary = "a set of this site younger than this will do",        \
	 .type = RESITE_T_DURATION, .def = "0s"},                                               \
	VAULT_GROWTH_PARAMS

#define VAULT_GROWTH_PARAMS                                                                     \
	{.name = "shrink_warn",                                                                 \
	 .summary = "warn when a set is more than so many percent smaller than the one before", \
	 .type = RESITE_T_INT, .def = "10", .min = 0, .max = 100},                              \
	{.name = "shrink_refuse",                                                               \
	 .summary = "refuse a set more than so many percent smaller; 0: never",                 \
	 .type = RESITE_T_INT, .def = "50", .min = 0, .max = 100},                              \
	{.name = "shrink_reason", .summary = "why a smaller set is right all the same",         \
	 .type = RESITE_T_STRING}

#endif
