#include "config.h"

#include "plugins/edge-nexthop/hastate.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bits of srv_admin_state that an administrator sets; the others come from the configuration,
 * from DNS or from another server. */
#define FORCED_MAINT 0x01
#define FORCED_DRAIN 0x08

static const char *const admin_names[] = {[HA_READY] = "ready", [HA_DRAIN] = "drain",
					  [HA_MAINT] = "maint"};

enum column { C_BACKEND, C_SERVER, C_ADMIN, C_WEIGHT, C_COUNT };
static const char *const columns[C_COUNT] = {"be_name", "srv_name", "srv_admin_state", "srv_uweight"};

void
ha_release(struct ha_servers *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].backend);
		free(s->v[i].name);
	}
	free(s->v);
	*s = (struct ha_servers){0};
}

/* Word n of a line; len 0: it has fewer. */
static const char *
word(const char *line, size_t n, size_t *ret_len)
{
	for (;; n--) {
		line += strspn(line, " ");
		*ret_len = strcspn(line, " \r\n");
		if (n == 0 || !*ret_len)
			return line;
		line += *ret_len;
	}
}

/* The header begins with "# "; its words number the columns from there. */
static bool
read_header(const char *line, size_t at[C_COUNT])
{
	size_t found = 0, len;

	if (strncmp(line, "# ", 2))
		return false;
	for (size_t n = 0;; n++) {
		const char *w = word(line + 2, n, &len);

		if (!len)
			return found == C_COUNT;
		for (size_t c = 0; c < C_COUNT; c++)
			if (len == strlen(columns[c]) && !strncmp(w, columns[c], len)) {
				at[c] = n;
				found++;
			}
	}
}

static bool
number(const char *line, size_t column, int *ret)
{
	size_t len;
	const char *w = word(line, column, &len);

	if (!len || len > 6 || strspn(w, "0123456789") < len)
		return false;
	*ret = atoi(w);
	return true;
}

static bool
read_server(const char *line, const size_t at[C_COUNT], struct ha_servers *ret)
{
	struct ha_server *grown = realloc(ret->v, (ret->n + 1) * sizeof(*grown)), *server;
	size_t backend_len, name_len;
	const char *backend = word(line, at[C_BACKEND], &backend_len);
	const char *name = word(line, at[C_SERVER], &name_len);
	int admin, weight;

	if (grown)
		ret->v = grown;
	if (!grown || !backend_len || !name_len || !number(line, at[C_ADMIN], &admin) ||
	    !number(line, at[C_WEIGHT], &weight))
		return false;
	server = &ret->v[ret->n++];
	*server = (struct ha_server){.backend = strndup(backend, backend_len),
				     .name = strndup(name, name_len), .weight = weight};
	server->admin = admin & FORCED_MAINT ? HA_MAINT : admin & FORCED_DRAIN ? HA_DRAIN : HA_READY;
	return server->backend && server->name;
}

bool
ha_parse(const char *text, struct ha_servers *ret, char err[HA_ERR])
{
	const char *p = text;
	size_t at[C_COUNT], len = strcspn(p, "\n");

	*ret = (struct ha_servers){0};
	if (strncmp(p, "1\n", 2) && strncmp(p, "1\r\n", 3)) {
		snprintf(err, HA_ERR, "it does not begin with version 1 but with '%.*s'",
			 (int)(len < 80 ? len : 80), p);
		goto bad;
	}
	p += len + 1;
	if (!read_header(p, at)) {
		snprintf(err, HA_ERR, "its second line does not name the columns be_name, srv_name, "
			 "srv_admin_state and srv_uweight");
		return false;
	}
	for (p += strcspn(p, "\n"); *p; p += strcspn(p, "\n")) {
		p++;
		if (!*p || *p == '\n' || *p == '\r' || *p == '#')
			continue;
		if (read_server(p, at, ret))
			continue;
		snprintf(err, HA_ERR, "a line of a server is not complete: '%.*s'",
			 (int)(strcspn(p, "\n") < 120 ? strcspn(p, "\n") : 120), p);
		goto bad;
	}
	return true;
bad:
	for (char *q = err; *q; q++)
		if (!isprint((unsigned char)*q))
			*q = '?';
	ha_release(ret);
	return false;
}

const struct ha_server *
ha_find(const struct ha_servers *s, const char *backend, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->v[i].backend, backend) && !strcmp(s->v[i].name, name))
			return &s->v[i];
	return NULL;
}

/* --- values ---------------------------------------------------------------------------- */

const char *
ha_value(enum ha_what what, int value, char buf[16])
{
	if (what == HA_STATE)
		return admin_names[value];
	snprintf(buf, 16, "%d", value);
	return buf;
}

int
ha_now(const struct ha_server *server, enum ha_what what)
{
	return what == HA_STATE ? (int)server->admin : server->weight;
}

int
ha_value_of(enum ha_what what, const char *text)
{
	if (what == HA_WEIGHT)
		return isdigit((unsigned char)*text) && strlen(text) <= 3 ? atoi(text) : -1;
	for (int i = HA_READY; i <= HA_MAINT; i++)
		if (!strcmp(text, admin_names[i]))
			return i;
	return -1;
}

const char *
ha_what_name(enum ha_what what)
{
	return what == HA_STATE ? "state" : "weight";
}

/* --- the plan ----------------------------------------------------------------------------- */

static bool
add(struct ha_changes *all, const struct ha_server *server, enum ha_what what, int set)
{
	int was = ha_now(server, what);
	struct ha_change *grown;

	if (set < 0 || set == was)
		return true;
	grown = realloc(all->v, (all->n + 1) * sizeof(*grown));
	if (!grown)
		return false;
	all->v = grown;
	grown[all->n++] = (struct ha_change){.server = server, .what = what, .was = was, .set = set};
	return true;
}

static bool
plan_to(const struct ha_servers *s, const char *backend, const struct ha_want *want,
	struct ha_changes *ret, char err[HA_ERR])
{
	for (size_t i = 0; i < want->n_to; i++) {
		const struct ha_server *server = ha_find(s, backend, want->to[i]);

		if (!server) {
			snprintf(err, HA_ERR, "there is no server %s/%s", backend, want->to[i]);
			return false;
		}
		if (!add(ret, server, HA_WEIGHT, want->weight) || !add(ret, server, HA_STATE, HA_READY))
			return false;
	}
	return true;
}

static bool
plan_others(const struct ha_servers *s, const char *backend, const struct ha_want *want,
	    struct ha_changes *ret)
{
	for (size_t i = 0; i < s->n; i++) {
		bool wanted = strcmp(s->v[i].backend, backend) != 0;

		for (size_t k = 0; k < want->n_to && !wanted; k++)
			wanted = !strcmp(s->v[i].name, want->to[k]);
		if (!wanted && !add(ret, &s->v[i], HA_STATE, want->others))
			return false;
	}
	return true;
}

bool
ha_plan(const struct ha_servers *s, const struct ha_want *want, struct ha_changes *ret, char err[HA_ERR])
{
	bool ok = true;

	*ret = (struct ha_changes){0};
	snprintf(err, HA_ERR, "out of memory");
	for (size_t i = 0; ok && i < want->n_backends; i++)
		ok = plan_to(s, want->backends[i], want, ret, err);
	for (size_t i = 0; ok && i < want->n_backends; i++)
		ok = plan_others(s, want->backends[i], want, ret);
	if (!ok) {
		free(ret->v);
		*ret = (struct ha_changes){0};
	}
	return ok;
}

/* --- show stat ------------------------------------------------------------------------------ */

/* Field n of a line of comma-separated values; quotes come only after those that we read. */
static const char *
csv_field(const char *line, size_t n, size_t *ret_len)
{
	while (n--) {
		line += strcspn(line, ",\n");
		if (*line != ',')
			break;
		line++;
	}
	*ret_len = strcspn(line, ",\r\n");
	return line;
}

static bool
csv_is(const char *line, size_t n, const char *text)
{
	size_t len;
	const char *p = csv_field(line, n, &len);

	return len == strlen(text) && !strncmp(p, text, len);
}

void
ha_stat_status(const char *csv, const char *backend, const char *name, char *buf, size_t cap)
{
	size_t status = 0, len;

	snprintf(buf, cap, "%s", "");
	if (strncmp(csv, "# pxname,svname,", 16))
		return;
	while (!csv_is(csv, status, "status")) {
		csv_field(csv, status++, &len);
		if (!len || status > 200)
			return;
	}
	for (const char *p = csv + strcspn(csv, "\n"); *p; p += strcspn(p, "\n")) {
		p++;
		if (!csv_is(p, 0, backend) || !csv_is(p, 1, name))
			continue;
		p = csv_field(p, status, &len);
		snprintf(buf, cap, "%.*s", (int)(len < cap ? len : cap - 1), p);
		return;
	}
}
