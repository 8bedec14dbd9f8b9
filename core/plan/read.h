/* read.h -- reading libconfig settings, with every problem at its file:line.
 * Private to core/plan. */
#ifndef CORE_PLAN_READ_H
#define CORE_PLAN_READ_H

#include "core/base/base.h"
#include "core/plan/diag.h"
#include "core/plan/text.h"

#include <libconfig.h>

/* What is being read: the words before a problem's text. */
struct scope {
	const char *kind, *name; /* "runbook", "move"; kind NULL: nothing */
};

struct reader {
	const struct plan_text *text;
	struct diags *d;
	struct scope outer, inner; /* "runbook move", "step dns" */
};

struct place reader_place(const struct reader *r, const config_setting_t *at);

/* Adds a problem with its scope before it. */
void reader_error(const struct reader *r, const config_setting_t *at, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
void reader_error_at(const struct reader *r, struct place at, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
void reader_warn_at(const struct reader *r, struct place at, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* One key of a group: its name and what reads it into `into`. */
struct key {
	const char *name;
	void (*read)(const struct reader *r, const config_setting_t *s, void *into);
};

/* Reads every member of a group by its key; an unknown key is a problem that
 * names the nearest one.  keys end with a NULL name. */
void reader_group(const struct reader *r, const config_setting_t *group,
		  const struct key *keys, void *into);

/* Each returns false after adding a problem. */
bool reader_is_group(const struct reader *r, const config_setting_t *s);
bool reader_is_name(const struct reader *r, const config_setting_t *s, const char *what,
		    const char *name);
bool reader_string(const struct reader *r, const config_setting_t *s, const char **ret);
bool reader_bool(const struct reader *r, const config_setting_t *s, bool *ret);
bool reader_int(const struct reader *r, const config_setting_t *s, int64_t min, int64_t max,
		int64_t *ret);
bool reader_duration(const struct reader *r, const config_setting_t *s, int64_t *ret_ms);
/* One of words, NULL-terminated; ret is its index. */
bool reader_word(const struct reader *r, const config_setting_t *s, const char *const *words,
		 uint8_t *ret);
void reader_bad_network(const struct reader *r, const config_setting_t *s, const char *text);
/* A string, a whole number, a boolean, or a list of them. */
bool reader_is_value(const struct reader *r, const config_setting_t *s);
/* A string or a list of strings. */
bool reader_is_strings(const struct reader *r, const config_setting_t *s);

/* A string or a list as n strings: setting_count of them, setting_item the i-th. */
unsigned setting_count(const config_setting_t *s);
const config_setting_t *setting_item(const config_setting_t *s, unsigned i);
bool setting_is_list(const config_setting_t *s);

/* call.c: warns of runbooks that only a step can do, when none does. */
struct plan;
void plan_check_calls(const struct plan *plan, const struct reader *r);

/* libconfig's accessors take settings that are not const; reading changes none. */
const char *setting_string(const config_setting_t *s); /* NULL: no string */
unsigned setting_line(const config_setting_t *s);

#endif
