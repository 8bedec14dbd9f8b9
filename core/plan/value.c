#include "core/base/base.h"
#include "core/base/json.h"
#include "core/plan/value.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 128

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit durations[] = {
	{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit sizes[] = {
	{"B", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", INT64_C(1) << 40}, {NULL, 0}};

static bool
is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alnum(char c)
{
	return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z');
}

static char
to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool
name_is_valid(const char *name)
{
	size_t i = 0;

	while (is_alnum(name[i]) || (i && (name[i] == '_' || name[i] == '-')))
		i++;
	return i && !name[i] && i <= NAME_MAX_LEN;
}

static int
parse_int(const char *text, int64_t *ret, const char **ret_end)
{
	char *end;
	long long n;

	if (!is_digit(text[text[0] == '-']))
		return E_INVALID;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno)
		return E_INVALID;
	*ret = n;
	*ret_end = end;
	return 0;
}

static int
parse_with_unit(const char *text, const struct unit *units, const char *what,
		int64_t *ret, struct error *err)
{
	const char *end;
	int64_t n;

	if (parse_int(text, &n, &end) < 0 || n < 0)
		return error_set(err, E_INVALID, "\"%s\" is no %s", text, what);
	if (!*end && n == 0) {
		*ret = 0;
		return 0;
	}
	if (!*end)
		return error_set(err, E_INVALID, "\"%s\" has no unit: %s", text, what);
	for (; units->name; units++)
		if (!strcmp(units->name, end)) {
			if (n > INT64_MAX / units->factor)
				return error_set(err, E_INVALID, "\"%s\" is too large", text);
			*ret = n * units->factor;
			return 0;
		}
	return error_set(err, E_INVALID, "\"%s\" has an unknown unit '%s': %s", text, end, what);
}

int
value_parse_duration(const char *text, int64_t *ret_ms, struct error *err)
{
	return parse_with_unit(text, durations,
			       "duration (a number and one of ms s m h d, as in \"30s\")",
			       ret_ms, err);
}

int
value_parse_size(const char *text, int64_t *ret_bytes, struct error *err)
{
	return parse_with_unit(text, sizes,
			       "size (a number and one of B K M G T, as in \"64M\")",
			       ret_bytes, err);
}

/* The length of a DNS name at s: letters, digits, - and _ in labels of 1..63,
 * a * as the first label, at most DNS_NAME_MAX in all; 0: there is none. */
static size_t
domain_len(const char *s)
{
	size_t i = 0, label = 0;

	if (s[0] == '*' && s[1] == '.')
		i = 2;
	for (;; i++) {
		if (is_alnum(s[i]) || s[i] == '-' || s[i] == '_') {
			if (++label > 63)
				return 0;
		} else if (s[i] == '.' && label) {
			label = 0;
		} else {
			break;
		}
	}
	return i && i - (label == 0) <= DNS_NAME_MAX ? i : 0;
}

static void
add_lower(struct strbuf *out, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		strbuf_addch(out, to_lower(s[i]));
}

static int
domain_to_json(const char *text, struct strbuf *out, struct error *err)
{
	size_t len = domain_len(text);

	if (!strcmp(text, ".")) {
		strbuf_addstr(out, "\".\"");
		return 0;
	}
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p >= 0x80)
			return error_set(err, E_INVALID, "\"%s\" is no domain name in ASCII: "
					 "write its xn-- form", text);
	if (!len || text[len])
		return error_set(err, E_INVALID, "\"%s\" is no domain name", text);
	strbuf_addch(out, '"');
	add_lower(out, text, len);
	strbuf_addstr(out, text[len - 1] == '.' ? "\"" : ".\"");
	return 0;
}

/* The length of host (name, IPv4 or [IPv6]) at s, 0: none. */
static size_t
host_len(const char *s)
{
	char v6[INET6_ADDRSTRLEN];
	struct in6_addr addr;
	const char *close = s[0] == '[' ? strchr(s, ']') : NULL;
	size_t len = close ? (size_t)(close - s) - 1 : 0;

	if (s[0] != '[')
		return s[0] == '*' ? 0 : domain_len(s);
	if (!close || len >= sizeof(v6))
		return 0;
	memcpy(v6, s + 1, len);
	v6[len] = '\0';
	return inet_pton(AF_INET6, v6, &addr) == 1 ? len + 2 : 0;
}

/* The length of ":PORT" at s, 0: none. */
static size_t
port_len(const char *s)
{
	const char *end;
	int64_t port;

	if (s[0] != ':' || !is_digit(s[1]) || parse_int(s + 1, &port, &end) < 0 ||
	    port < 1 || port > 65535)
		return 0;
	return (size_t)(end - s);
}

static int
endpoint_to_json(const char *text, struct strbuf *out, struct error *err)
{
	size_t host = host_len(text), port = host ? port_len(text + host) : 0;
	struct in6_addr addr;

	if (inet_pton(AF_INET6, text, &addr) == 1)
		return error_set(err, E_INVALID, "\"%s\": write an IPv6 address and its port as "
				 "[%s]:PORT", text, text);
	if (!host)
		return error_set(err, E_INVALID, "\"%s\" is no HOST:PORT", text);
	if (!text[host])
		return error_set(err, E_INVALID, "\"%s\" has no port: write HOST:PORT", text);
	if (!port || text[host + port])
		return error_set(err, E_INVALID, "\"%s\" has no port of 1..65535 after its host",
				 text);
	strbuf_addch(out, '"');
	add_lower(out, text, host);
	strbuf_add(out, text + host, port);
	strbuf_addch(out, '"');
	return 0;
}

struct url {
	size_t scheme;     /* length */
	const char *user;  /* NULL or where "user:password@" begins */
	const char *host;  /* after // and user */
	size_t host_len;
};

static size_t
scheme_len(const char *s)
{
	size_t i = 0;

	while (is_alnum(s[i]) || (i && (s[i] == '+' || s[i] == '-' || s[i] == '.')))
		i++;
	return i && !is_digit(s[0]) && !strncmp(s + i, "://", 3) ? i : 0;
}

/* Splits; false when text has no scheme://. */
static bool
url_split(const char *text, struct url *u)
{
	size_t authority;
	const char *at;

	u->scheme = scheme_len(text);
	if (!u->scheme)
		return false;
	u->host = text + u->scheme + 3;
	authority = strcspn(u->host, "/?#");
	at = memchr(u->host, '@', authority);
	u->user = at ? u->host : NULL;
	if (at)
		u->host = at + 1;
	u->host_len = host_len(u->host);
	return true;
}

/* A local socket's path stands where other schemes have a host. */
static bool
is_local_scheme(const char *text, size_t len)
{
	return (len == 5 && !strncmp(text, "ldapi", 5)) || (len == 4 && !strncmp(text, "file", 4));
}

static int
check_url(const char *text, struct url *u, struct error *err)
{
	const char *rest;

	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return error_set(err, E_INVALID, "\"%s\": a URL has no spaces", text);
	if (!url_split(text, u))
		return error_set(err, E_INVALID, "\"%s\" is no URL: write SCHEME://HOST…", text);
	if (is_local_scheme(text, u->scheme))
		return 0;
	if (u->user && memchr(u->user, ':', (size_t)(u->host - u->user)))
		return error_set(err, E_INVALID, "the URL has a password in it, which would be in "
				 "the journal: give it as a secret");
	rest = u->host + u->host_len;
	if (u->host_len && *rest == ':')
		rest += port_len(rest);
	if (!u->host_len || (*rest && !strchr("/?#", *rest)))
		return error_set(err, E_INVALID, "\"%s\" has no valid host (and port) after ://",
				 text);
	return 0;
}

static int
url_to_json(const char *text, struct strbuf *out, struct error *err)
{
	struct url u;
	int rc = check_url(text, &u, err);

	if (rc == 0)
		json_write_string(out, text);
	return rc;
}

void
value_host(int32_t type, const char *text, char host[DNS_NAME_MAX + 2])
{
	struct url u = {.host = text};
	size_t len;

	host[0] = '\0';
	if (type == RESITE_T_URL &&
	    (!url_split(text, &u) || is_local_scheme(text, u.scheme)))
		return;
	len = host_len(u.host);
	if (len && u.host[0] == '[') {
		u.host++;
		len -= 2;
	}
	if (len && u.host[len - 1] == '.')
		len--;
	for (size_t i = 0; i < len; i++)
		host[i] = to_lower(u.host[i]);
	host[len] = '\0';
}

static int
path_to_json(const char *text, const char *dir, struct strbuf *out, struct error *err)
{
	struct strbuf path = STRBUF_INIT;

	if (!*text)
		return error_set(err, E_INVALID, "an empty path");
	if (*text != '/') {
		strbuf_addf(&path, "%s%s", dir, strcmp(dir, "/") ? "/" : "");
		while (text[0] == '.' && text[1] == '/')
			text += 2;
	}
	strbuf_addstr(&path, text);
	json_write_string(out, path.buf);
	out->failed |= path.failed;
	strbuf_release(&path);
	return 0;
}

static int
check_range(const struct schema_param *param, int64_t n, const char *unit, struct error *err)
{
	if ((param->min == 0 && param->max == 0) || (n >= param->min && n <= param->max))
		return 0;
	return error_set(err, E_INVALID, "%" PRId64 "%s is out of range: %" PRId64 "%s to %"
			 PRId64 "%s", n, unit, param->min, unit, param->max, unit);
}

static int
number_to_json(const struct schema_param *param, const char *text, struct strbuf *out,
	       struct error *err)
{
	const char *end = "", *unit = "";
	int64_t n = 0;
	int rc = 0;

	if (param->type == RESITE_T_DURATION) {
		rc = value_parse_duration(text, &n, err);
		unit = " ms";
	} else if (param->type == RESITE_T_SIZE) {
		rc = value_parse_size(text, &n, err);
		unit = " bytes";
	} else if (parse_int(text, &n, &end) < 0 || *end) {
		rc = error_set(err, E_INVALID, "\"%s\" is no whole number", text);
	}
	if (rc == 0)
		rc = check_range(param, n, unit, err);
	if (rc == 0)
		strbuf_addf(out, "%" PRId64, n);
	return rc;
}

static int
enum_to_json(const struct schema_param *param, const char *text, struct strbuf *out,
	     struct error *err)
{
	struct strbuf list = STRBUF_INIT;

	for (size_t i = 0; i < param->n_choices; i++) {
		if (!strcmp(param->choices[i], text)) {
			json_write_string(out, text);
			strbuf_release(&list);
			return 0;
		}
		strbuf_addf(&list, "%s%s", i ? ", " : "", param->choices[i]);
	}
	error_set(err, E_INVALID, "\"%s\" is none of: %s", text, list.buf);
	strbuf_release(&list);
	return E_INVALID;
}

int
value_to_json(const struct schema_param *param, const char *text, const char *dir,
	      struct strbuf *out, struct error *err)
{
	switch (param->type) {
	case RESITE_T_BOOL:
		if (strcmp(text, "true") && strcmp(text, "false"))
			return error_set(err, E_INVALID, "\"%s\" is neither true nor false", text);
		strbuf_addstr(out, text);
		return 0;
	case RESITE_T_INT:
	case RESITE_T_DURATION:
	case RESITE_T_SIZE:
		return number_to_json(param, text, out, err);
	case RESITE_T_ENUM:
		return enum_to_json(param, text, out, err);
	case RESITE_T_DOMAIN:
		return domain_to_json(text, out, err);
	case RESITE_T_ENDPOINT:
		return endpoint_to_json(text, out, err);
	case RESITE_T_URL:
		return url_to_json(text, out, err);
	case RESITE_T_PATH:
		return path_to_json(text, dir, out, err);
	default: /* RESITE_T_STRING, RESITE_T_SECRET */
		json_write_string(out, text);
		return 0;
	}
}
