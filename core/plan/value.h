/* value.h -- the types of parameters: from the text in a plan to what a plugin gets. */
#ifndef CORE_PLAN_VALUE_H
#define CORE_PLAN_VALUE_H

#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/strbuf.h"
#include "core/plan/schema.h"

#define DNS_NAME_MAX 253 /* characters, without the last dot */

/* Appends text as the JSON value of param's type, in canonical form: durations in
 * ms, sizes in bytes, domains absolute and in lower case, paths absolute (dir is
 * the base).  A secret's text is its name.  E_INVALID: err says what is wrong and
 * what to write; nothing is appended then. */
int value_to_json(const struct schema_param *param, const char *text, const char *dir,
		  struct strbuf *out, struct error *err);

/* "30s" -> 30000; units ms s m h d.  "64M" -> bytes; units B K M G T of 1024. */
int value_parse_duration(const char *text, int64_t *ret_ms, struct error *err);
int value_parse_size(const char *text, int64_t *ret_bytes, struct error *err);

/* The host in an endpoint or URL that is well formed, in lower case and without
 * brackets; "" when there is none (ldapi). */
void value_host(int32_t type, const char *text, char host[DNS_NAME_MAX + 2]);

/* [A-Za-z0-9][A-Za-z0-9_-]*, at most 128: names of steps, sites, variables, ... */
bool name_is_valid(const char *name);

#endif
