#include "core/base/base.h"
#include "core/plan/read.h"
#include "core/plan/value.h"

#include <stdlib.h>
#include <string.h>

struct place
reader_place(const struct reader *r, const config_setting_t *at)
{
	return plan_text_place(r->text, at ? setting_line(at) : 0);
}

PRINTF_LIKE(4, 0) static void
add(const struct reader *r, int severity, struct place at, const char *fmt, va_list ap)
{
	struct strbuf text = STRBUF_INIT;

	if (r->outer.kind)
		strbuf_addf(&text, "%s %s", r->outer.kind, r->outer.name);
	if (r->inner.kind)
		strbuf_addf(&text, "%s%s %s", text.len ? ", " : "", r->inner.kind, r->inner.name);
	if (text.len)
		strbuf_addstr(&text, ": ");
	strbuf_vaddf(&text, fmt, ap);
	(severity == DIAG_ERROR ? diags_add : diags_warn)(r->d, at.file, at.line, "%s", text.buf);
	r->d->failed |= text.failed;
	strbuf_release(&text);
}

void
reader_error(const struct reader *r, const config_setting_t *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(r, DIAG_ERROR, reader_place(r, at), fmt, ap);
	va_end(ap);
}

void
reader_error_at(const struct reader *r, struct place at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(r, DIAG_ERROR, at, fmt, ap);
	va_end(ap);
}

void
reader_warn_at(const struct reader *r, struct place at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(r, DIAG_WARNING, at, fmt, ap);
	va_end(ap);
}

unsigned
setting_line(const config_setting_t *s)
{
	return config_setting_source_line(s);
}

const char *
setting_string(const config_setting_t *s)
{
	return config_setting_type(s) == CONFIG_TYPE_STRING ? config_setting_get_string(s) : NULL;
}

bool
setting_is_list(const config_setting_t *s)
{
	return config_setting_is_list(s) || config_setting_is_array(s);
}

unsigned
setting_count(const config_setting_t *s)
{
	return setting_is_list(s) ? (unsigned)config_setting_length(s) : 1;
}

const config_setting_t *
setting_item(const config_setting_t *s, unsigned i)
{
	return setting_is_list(s) ? config_setting_get_elem(s, i) : s;
}

static void
unknown_key(const struct reader *r, const config_setting_t *s, const struct key *keys)
{
	char text[SUGGEST_TEXT_MAX];
	const char *name = config_setting_name(s);
	struct suggest suggest;

	suggest_init(&suggest, name);
	for (const struct key *k = keys; k->name; k++)
		suggest_offer(&suggest, k->name);
	reader_error(r, s, "unknown key '%s'%s", name, suggest_text(&suggest, text));
}

void
reader_group(const struct reader *r, const config_setting_t *group, const struct key *keys,
	     void *into)
{
	unsigned n = (unsigned)config_setting_length(group);

	for (unsigned i = 0; i < n; i++) {
		const config_setting_t *s = config_setting_get_elem(group, i);
		const struct key *k = keys;

		while (k->name && strcmp(k->name, config_setting_name(s)))
			k++;
		if (k->name)
			k->read(r, s, into);
		else
			unknown_key(r, s, keys);
	}
}

/* What to call a setting in a message. */
static const char *
name_of(const config_setting_t *s)
{
	while (s && !config_setting_name(s))
		s = config_setting_parent(s);
	return s ? config_setting_name(s) : "plan";
}

bool
reader_is_group(const struct reader *r, const config_setting_t *s)
{
	if (config_setting_is_group(s))
		return true;
	reader_error(r, s, "'%s' must be a group: { ... }", name_of(s));
	return false;
}

bool
reader_is_name(const struct reader *r, const config_setting_t *s, const char *what,
	       const char *name)
{
	if (name_is_valid(name))
		return true;
	reader_error(r, s, "\"%.140s\" cannot be the name of a %s: use letters, digits, - and _ "
		     "(at most 128)", name, what);
	return false;
}

bool
reader_string(const struct reader *r, const config_setting_t *s, const char **ret)
{
	const char *text = setting_string(s);

	if (text)
		*ret = text;
	else
		reader_error(r, s, "'%s' must be a string: \"...\"", name_of(s));
	return text;
}

bool
reader_bool(const struct reader *r, const config_setting_t *s, bool *ret)
{
	if (config_setting_type(s) == CONFIG_TYPE_BOOL) {
		*ret = config_setting_get_bool(s);
		return true;
	}
	reader_error(r, s, "'%s' must be true or false, without quotes", name_of(s));
	return false;
}

bool
reader_int(const struct reader *r, const config_setting_t *s, int64_t min, int64_t max,
	   int64_t *ret)
{
	int type = config_setting_type(s);
	int64_t n;

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
		reader_error(r, s, "'%s' must be a whole number, without quotes", name_of(s));
		return false;
	}
	n = config_setting_get_int64(s);
	if (n < min || n > max) {
		reader_error(r, s, "'%s' = %" PRId64 " is out of range: %" PRId64 " to %" PRId64,
			     name_of(s), n, min, max);
		return false;
	}
	*ret = n;
	return true;
}

bool
reader_duration(const struct reader *r, const config_setting_t *s, int64_t *ret_ms)
{
	const char *text = setting_string(s);
	struct error err = {0};

	if (!text && config_setting_is_number(s))
		reader_error(r, s, "'%s' is a number without a unit: write \"%llds\" for seconds "
			     "(units: ms s m h d)", name_of(s), config_setting_get_int64(s));
	else if (!text)
		reader_error(r, s, "'%s' must be a duration, as in \"30s\"", name_of(s));
	else if (value_parse_duration(text, ret_ms, &err) < 0)
		reader_error(r, s, "'%s': %s", name_of(s), err.text);
	else
		return true;
	return false;
}

bool
reader_word(const struct reader *r, const config_setting_t *s, const char *const *words,
	    uint8_t *ret)
{
	struct strbuf list = STRBUF_INIT;
	char near_text[SUGGEST_TEXT_MAX];
	const char *text = setting_string(s);
	struct suggest suggest;

	suggest_init(&suggest, text ? text : "");
	for (uint8_t i = 0; words[i]; i++) {
		if (text && !strcmp(words[i], text)) {
			*ret = i;
			strbuf_release(&list);
			return true;
		}
		suggest_offer(&suggest, words[i]);
		strbuf_addf(&list, "%s\"%s\"", i ? ", " : "", words[i]);
	}
	reader_error(r, s, "'%s' must be one of %s%s", name_of(s), list.buf,
		     suggest_text(&suggest, near_text));
	strbuf_release(&list);
	return false;
}

static bool
is_scalar(const config_setting_t *s)
{
	int type = config_setting_type(s);

	return type == CONFIG_TYPE_STRING || type == CONFIG_TYPE_BOOL ||
	       type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
}

bool
reader_is_value(const struct reader *r, const config_setting_t *s)
{
	for (unsigned i = 0, n = setting_count(s); i < n; i++) {
		if (is_scalar(setting_item(s, i)))
			continue;
		reader_error(r, s, "'%s' must be a string, a whole number, true or false, or a list of "
			     "them", config_setting_name(s));
		return false;
	}
	return true;
}

bool
reader_is_strings(const struct reader *r, const config_setting_t *s)
{
	for (unsigned i = 0, n = setting_count(s); i < n; i++)
		if (!setting_string(setting_item(s, i))) {
			reader_error(r, s, "'%s' must be a string or a list of strings: [\"a\", \"b\"]",
				     name_of(s));
			return false;
		}
	return true;
}

void
reader_bad_network(const struct reader *r, const config_setting_t *s, const char *text)
{
	reader_error(r, s, "'networks': \"%s\" is no network, as in \"10.1.0.0/16\" or "
		     "\"2001:db8::/32\"", text);
}
