/* json.h -- the few things that every user of jansson here does the same way.
 *
 * The getters read an object that came from outside (a worker, the journal, a
 * socket): a missing or mistyped member is a value, never a crash.
 */
#ifndef CORE_BASE_JSON_H
#define CORE_BASE_JSON_H

#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/strbuf.h"

#include <jansson.h>

/* The member as a string, or fallback when it is absent or no string.  The
 * result belongs to obj. */
const char *json_str_or(const json_t *obj, const char *key, const char *fallback);
int64_t json_int_or(const json_t *obj, const char *key, int64_t fallback);
bool json_bool_or(const json_t *obj, const char *key, bool fallback);

/* Appends the compact text of value, without a newline, keys in the order in
 * which they were put in.  A failure marks sb as failed. */
void json_write(struct strbuf *sb, const json_t *value);

/* Appends s as a JSON string with its quotes.  Bytes that are not UTF-8 become
 * U+FFFD: a server's words must never make a line unreadable. */
void json_write_string(struct strbuf *sb, const char *s);

/* Bytes of the well-formed UTF-8 sequence (RFC 3629) at s; 0 when there is none.  s is
 * NUL-terminated; a NUL itself is one byte. */
size_t json_utf8_len(const char *s);

/* A JSON string from bytes that may not be UTF-8 (see json_write_string);
 * NULL only without memory.  New reference. */
json_t *json_string_lossy(const char *s);

/* Parses exactly one value of len bytes; NULL with E_INVALID or E_NOMEM in
 * err.  New reference. */
json_t *json_parse(const char *text, size_t len, struct error *err);

/* The same for an object of which nobody wants the member key: in a large text its value
 * is passed over without being looked at, and is null in the result.  What cannot be
 * passed over, or is small, is parsed as it is. */
json_t *json_parse_without(const char *text, size_t len, const char *key, struct error *err);

#endif
