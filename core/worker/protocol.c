#include "core/base/base.h"
#include "core/worker/protocol.h"

#include <resite/plugin.h>

#include <string.h>

static const char *const phase_names[] = {
	[PHASE_NONE] = "start",
	[PHASE_CHECK] = "check",
	[PHASE_PROBE] = "probe",
	[PHASE_APPLY] = "apply",
	[PHASE_VERIFY] = "verify",
	[PHASE_AFTER] = "after",
	[PHASE_REVERT] = "revert",
};

const char *
phase_name(enum phase phase)
{
	return phase < COUNT_OF(phase_names) ? phase_names[phase] : phase_names[PHASE_NONE];
}

enum phase
phase_from_name(const char *name)
{
	for (size_t i = 0; name && i < COUNT_OF(phase_names); i++)
		if (!strcmp(name, phase_names[i]))
			return (enum phase)i;
	return PHASE_NONE;
}

static const struct {
	int rc;
	const char *name;
} rc_names[] = {
	{RESITE_OK, "ok"},
	{RESITE_PENDING, "pending"},
	{RESITE_ERR_INVALID, "invalid"},
	{RESITE_ERR_TRANSIENT, "transient"},
	{RESITE_ERR_CONFLICT, "conflict"},
	{RESITE_ERR_REFUSED, "refused"},
	{RESITE_ERR_CANCELLED, "cancelled"},
	{RESITE_ERR_BUG, "bug"},
};

const char *
rc_name(int rc)
{
	for (size_t i = 0; i < COUNT_OF(rc_names); i++)
		if (rc_names[i].rc == rc)
			return rc_names[i].name;
	return "unknown";
}

bool
rc_known(int rc)
{
	return rc <= RESITE_PENDING && rc >= RESITE_ERR_BUG;
}

static const char *const way_names[] = {
	[RESITE_LOOK] = "look", [RESITE_PUT_BACK] = "put_back", [RESITE_FORCE] = "force"};
static const char *const reverted_names[] = {
	[RESITE_REVERTED_PUT_BACK] = "put_back", [RESITE_REVERTED_ALREADY] = "already",
	[RESITE_REVERTED_CONFLICT] = "conflict", [RESITE_REVERTED_GONE] = "gone",
	[RESITE_REVERTED_REFUSED] = "refused"};

/* Both tables begin at 1. */
static int
find_name(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 1; name && i < n; i++)
		if (!strcmp(names[i], name))
			return (int)i;
	return 0;
}

const char *
revert_way_name(int way)
{
	return way > 0 && (size_t)way < COUNT_OF(way_names) ? way_names[way] : NULL;
}

int
revert_way_from_name(const char *name)
{
	return find_name(way_names, COUNT_OF(way_names), name);
}

const char *
reverted_name(int result)
{
	return result > 0 && (size_t)result < COUNT_OF(reverted_names) ? reverted_names[result]
								       : NULL;
}

int
reverted_from_name(const char *name)
{
	return find_name(reverted_names, COUNT_OF(reverted_names), name);
}

static void
write_phases(struct strbuf *sb, unsigned phases)
{
	const char *comma = "";

	for (unsigned p = PHASE_CHECK; p < COUNT_OF(phase_names); p++) {
		if (!(phases & PHASE_BIT(p)))
			continue;
		strbuf_addf(sb, "%s\"%s\"", comma, phase_names[p]);
		comma = ",";
	}
}

void
protocol_write_attempt(struct strbuf *sb, const struct attempt_spec *spec)
{
	const char *mode = mode_name(spec->mode);

	strbuf_addf(sb, "{\"kind\":\"attempt\",\"protocol\":%d,\"run\":", PROTOCOL_VERSION);
	json_write_string(sb, spec->run);
	strbuf_addstr(sb, ",\"step\":");
	json_write_string(sb, spec->step);
	strbuf_addstr(sb, ",\"action\":");
	json_write_string(sb, spec->action);
	strbuf_addf(sb, ",\"attempt\":%d,\"mode\":\"%s\",\"timeout_ms\":%" PRId64 ",\"phases\":[",
		    spec->attempt, mode ? mode : "", spec->timeout_ms);
	write_phases(sb, spec->phases);
	strbuf_addf(sb, "],\"hold\":%s", spec->hold ? "true" : "false");
	if (spec->params && json_object_size(spec->params) > 0) {
		strbuf_addstr(sb, ",\"params\":");
		json_write(sb, spec->params);
	}
	if (spec->checkpoint) {
		strbuf_addstr(sb, ",\"checkpoint\":{\"name\":");
		json_write_string(sb, spec->checkpoint);
		strbuf_addstr(sb, ",\"data\":");
		json_write_string(sb, spec->checkpoint_data ? spec->checkpoint_data : "");
		strbuf_addch(sb, '}');
	}
	if (revert_way_name(spec->revert))
		strbuf_addf(sb, ",\"revert\":\"%s\",\"records\":%" PRIu64,
			    revert_way_name(spec->revert), spec->n_records);
	if (revert_way_name(spec->revert) && spec->judge)
		strbuf_addstr(sb, ",\"judge\":true");
	strbuf_addstr(sb, "}\n");
}

/* --- what a message must have ------------------------------------------------ */

#define MEMBERS_MAX 8

struct message_rule {
	const char *kind;
	struct member {
		const char *name;
		char type; /* s string, i integer, n integer >= 0, b bool, a array, o object */
	} member[MEMBERS_MAX];
};

static const struct message_rule attempt_rules[] = {
	{"begin", {{"phase", 's'}}},
	{"log", {{"level", 'n'}, {"text", 's'}}},
	{"change", {{"object", 's'}, {"was", 's'}, {"will_be", 's'}}},
	{"state", {{"phase", 's'}, {"told", 'b'}, {"now", 's'}, {"fingerprint", 's'},
		   {"changes", 'n'}, {"total", 'n'}}},
	{"loss", {{"text", 's'}}},
	{"undo", {{"records", 'a'}}},
	{"sync", {{"id", 'n'}}},
	{"checkpoint", {{"id", 'n'}, {"name", 's'}, {"data", 's'}}},
	{"output", {{"name", 's'}, {"value", 's'}}},
	{"progress", {{"done", 'n'}, {"total", 'n'}, {"what", 's'}}},
	{"secret", {{"id", 'n'}, {"ref", 's'}}},
	{"pull", {{"id", 'n'}}},
	{"reverted", {{"put_back", 'n'}, {"already", 'n'}, {"items", 'a'}}},
	{"result", {{"phase", 's'}, {"rc", 'i'}, {"retry_after_ms", 'n'}, {"text", 's'}}},
};

static const struct message_rule nursery_rules[] = {
	{"hello", {{"protocol", 'n'}, {"abi", 'a'}, {"plugin", 'o'}}},
	{"refused", {{"text", 's'}}},
	{"exited", {{"id", 'n'}}},
};

static bool
has_type(const json_t *v, char type)
{
	switch (type) {
	case 's': return json_is_string(v);
	case 'i': return json_is_integer(v);
	case 'n': return json_is_integer(v) && json_integer_value(v) >= 0;
	case 'b': return json_is_boolean(v);
	case 'a': return json_is_array(v);
	default: return json_is_object(v);
	}
}

static int
check_records(const json_t *records, struct error *err)
{
	size_t i;
	json_t *rec;

	json_array_foreach(records, i, rec) {
		const json_t *kv = json_object_get(rec, "kv");
		const char *key;
		json_t *value;

		if (!has_type(json_object_get(rec, "version"), 'n') ||
		    !json_is_string(json_object_get(rec, "by_hand")) || !json_is_object(kv))
			return error_set(err, E_PROTOCOL, "undo: record %zu is malformed", i);
		json_object_foreach((json_t *)(uintptr_t)kv, key, value)
			if (!json_is_string(value))
				return error_set(err, E_PROTOCOL,
						 "undo: \"%s\" is no string", key);
	}
	return 0;
}

static int
check_reverted(const json_t *items, struct error *err)
{
	static const char *const texts[] = {"object", "was", "set", "now"};
	size_t i;
	json_t *item;

	json_array_foreach(items, i, item) {
		if (!reverted_from_name(json_str_or(item, "result", NULL)))
			return error_set(err, E_PROTOCOL, "reverted: item %zu has no known result", i);
		for (size_t k = 0; k < COUNT_OF(texts); k++)
			if (!json_is_string(json_object_get(item, texts[k])))
				return error_set(err, E_PROTOCOL,
						 "reverted: \"%s\" of item %zu is no string",
						 texts[k], i);
	}
	return 0;
}

static int
check_rules(const struct message_rule *rules, size_t n, const json_t *msg, struct error *err)
{
	const char *kind = json_str_or(msg, "kind", NULL);

	if (!kind)
		return error_set(err, E_PROTOCOL, "a message without a kind");
	for (size_t i = 0; i < n; i++) {
		if (strcmp(kind, rules[i].kind) != 0)
			continue;
		for (const struct member *m = rules[i].member; m->name; m++)
			if (!has_type(json_object_get(msg, m->name), m->type))
				return error_set(err, E_PROTOCOL,
						 "%s: \"%s\" is missing or of the wrong type",
						 kind, m->name);
		return 0;
	}
	return error_set(err, E_PROTOCOL, "a message of unknown kind \"%.64s\"", kind);
}

int
protocol_check_attempt(const json_t *msg, struct error *err)
{
	int r = check_rules(attempt_rules, COUNT_OF(attempt_rules), msg, err);

	if (r == 0 && !strcmp(json_str_or(msg, "kind", ""), "undo"))
		r = check_records(json_object_get(msg, "records"), err);
	if (r == 0 && !strcmp(json_str_or(msg, "kind", ""), "reverted"))
		r = check_reverted(json_object_get(msg, "items"), err);
	return r;
}

int
protocol_check_nursery(const json_t *msg, struct error *err)
{
	return check_rules(nursery_rules, COUNT_OF(nursery_rules), msg, err);
}

/* --- lines -------------------------------------------------------------------- */

int
lines_feed(struct lines *lines, char *buf, size_t len,
	   int (*each)(void *ctx, char *line, size_t len), void *ctx)
{
	char *end = buf + len, *nl;
	int r;

	if (!lines->held.buf)
		strbuf_init(&lines->held);
	while ((nl = memchr(buf, '\n', (size_t)(end - buf)))) {
		size_t n = (size_t)(nl - buf);

		if (lines->held.len + n + 1 > lines->max)
			return E_PROTOCOL;
		*nl = '\0';
		if (lines->held.len > 0) {
			/* The rest of a line that began in an earlier read. */
			strbuf_add(&lines->held, buf, n);
			if (lines->held.failed)
				return E_NOMEM;
			r = each(ctx, lines->held.buf, lines->held.len);
			strbuf_reset(&lines->held);
		} else {
			r = each(ctx, buf, n);
		}
		if (r != 0)
			return r;
		buf = nl + 1;
	}
	if (buf == end)
		return 0;
	if (lines->held.len + (size_t)(end - buf) >= lines->max)
		return E_PROTOCOL;
	strbuf_add(&lines->held, buf, (size_t)(end - buf));
	return lines->held.failed ? E_NOMEM : 0;
}

void
lines_release(struct lines *lines)
{
	if (lines->held.buf)
		strbuf_release(&lines->held);
}

/* --- base64 ------------------------------------------------------------------- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct strbuf *sb, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
			     (left > 2 ? p[i + 2] : 0);

		strbuf_addch(sb, digits[v >> 18]);
		strbuf_addch(sb, digits[v >> 12 & 63]);
		strbuf_addch(sb, left > 1 ? digits[v >> 6 & 63] : '=');
		strbuf_addch(sb, left > 2 ? digits[v & 63] : '=');
	}
}

static int
digit_value(char c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

int64_t
base64_decode(const char *text, void *buf)
{
	size_t len = strlen(text);
	unsigned char *out = buf;

	if (len % 4 != 0)
		return E_INVALID;
	for (size_t i = 0; i < len; i += 4) {
		int pad = i + 4 < len || text[i + 3] != '=' ? 0 : text[i + 2] == '=' ? 2 : 1;
		uint32_t v = 0;

		for (int k = 0; k < 4; k++) {
			int d = k >= 4 - pad ? 0 : digit_value(text[i + (size_t)k]);

			if (d < 0)
				return E_INVALID;
			v = v << 6 | (uint32_t)d;
		}
		*out++ = (unsigned char)(v >> 16);
		if (pad < 2)
			*out++ = (unsigned char)(v >> 8 & 255);
		if (pad < 1)
			*out++ = (unsigned char)(v & 255);
	}
	return out - (unsigned char *)buf;
}
