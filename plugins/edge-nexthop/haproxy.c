/* edge-nexthop.haproxy: which servers of a backend get requests, over the runtime socket.
 * HAProxy answers a change with an empty line whatever it made of it, so what counts is the
 * state it shows afterwards, and an answer through it. */
#include "config.h"

#include "plugins/edge-nexthop/edge.h"
#include "plugins/edge-nexthop/hastate.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNDO_HAPROXY 1
#define NAMES_MAX 64

/* The servers as they are, and what is to become of them. */
struct work {
	struct ha_servers servers;
	struct ha_changes changes;
	const char *backends[NAMES_MAX], *to[NAMES_MAX];
	struct ha_want want;
};

/* --- what the plan wants ------------------------------------------------------------------- */

static int
read_servers(struct edge *e, struct ha_servers *ret)
{
	char err[HA_ERR], *text;
	int rc = runtime_ask(e, "show servers state", &text);

	*ret = (struct ha_servers){0};
	if (rc != RESITE_OK)
		return rc;
	if (!ha_parse(text, ret, err))
		rc = net_error(&e->net, RESITE_ERR_REFUSED, "what HAProxy answered to 'show servers state' "
			       "is not what is said there: %s", err);
	free(text);
	return rc;
}

static void
work_release(struct work *w)
{
	ha_release(&w->servers);
	free(w->changes.v);
}

static void
read_want(struct edge *e, struct work *w)
{
	const struct resite_host *host = e->host;
	size_t n_backends = host->param_count(e->op, "backend"), n_to = host->param_count(e->op, "to");

	*w = (struct work){0};
	for (uint32_t i = 0; i < n_backends && i < NAMES_MAX; i++)
		w->backends[i] = host->param_str(e->op, "backend", i);
	for (uint32_t i = 0; i < n_to && i < NAMES_MAX; i++)
		w->to[i] = host->param_str(e->op, "to", i);
	w->want = (struct ha_want){
		.backends = w->backends, .n_backends = n_backends, .to = w->to, .n_to = n_to,
		.others = ha_value_of(HA_STATE, edge_str(e, "others")),
		.weight = (int)resite_i64_or(e->op, host, "weight", -1),
	};
}

static int
load(struct edge *e, struct work *w)
{
	char err[HA_ERR];
	int rc;

	read_want(e, w);
	rc = read_servers(e, &w->servers);
	if (rc == RESITE_OK && !ha_plan(&w->servers, &w->want, &w->changes, err))
		rc = net_error(&e->net, RESITE_ERR_REFUSED, "%s in this HAProxy", err);
	return rc;
}

static bool
is_name(const char *s)
{
	return *s && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-") ==
			     strlen(s);
}

static int
check_names(struct resite_op *op, const struct resite_host *host, const char *param)
{
	if (host->param_count(op, param) > NAMES_MAX)
		return resite_fail(op, host, RESITE_ERR_INVALID, param, "more than %d", NAMES_MAX);
	for (uint32_t i = 0; i < host->param_count(op, param); i++)
		if (!is_name(host->param_str(op, param, i)))
			return resite_fail(op, host, RESITE_ERR_INVALID, param,
					   "'%s' is no name of HAProxy's: letters, digits, _ . : -",
					   host->param_str(op, param, i));
	return RESITE_OK;
}

int
haproxy_check(struct resite_op *op, const struct resite_host *host)
{
	struct edge e = edge_of(op, host);
	struct net_endpoint ep;
	int rc = check_names(op, host, "backend");

	if (rc == RESITE_OK)
		rc = check_names(op, host, "to");
	if (rc != RESITE_OK)
		return rc;
	if (!edge_str(&e, "socket") == !edge_str(&e, "address"))
		return resite_fail(op, host, RESITE_ERR_INVALID, "socket",
				   "give socket (a path) or address (host:port), one of them");
	if (edge_str(&e, "address") && !net_endpoint_parse(edge_str(&e, "address"), NULL, &ep))
		return resite_fail(op, host, RESITE_ERR_INVALID, "address", "it is no host:port");
	if (!edge_str(&e, "url") && (edge_str(&e, "look_for") || edge_str(&e, "host")))
		return resite_fail(op, host, RESITE_ERR_INVALID, "url",
				   "where to send the request to is missing");
	for (uint32_t i = 0; i < host->param_count(op, "host"); i++)
		if (!is_name(host->param_str(op, "host", i)))
			return resite_fail(op, host, RESITE_ERR_INVALID, "host", "'%s' is no host name",
					   host->param_str(op, "host", i));
	return RESITE_OK;
}

/* --- the server-state file ---------------------------------------------------------------- */

/* Would a HAProxy that loads this file have other states than the plan wants? */
static int
file_is_behind(struct edge *e, struct work *w, bool *ret)
{
	const char *path = edge_str(e, "state_file");
	char digest[FILE_DIGEST], err[HA_ERR], *text;
	struct ha_changes changes = {0};
	struct ha_servers servers;
	size_t len;

	*ret = path != NULL;
	if (!path || access(path, F_OK) < 0)
		return RESITE_OK;
	if (file_read(e, path, &text, &len, digest) != RESITE_OK)
		return RESITE_ERR_REFUSED;
	if (ha_parse(text, &servers, err)) {
		*ret = !ha_plan(&servers, &w->want, &changes, err) || changes.n;
		free(changes.v);
		ha_release(&servers);
	}
	free(text);
	return RESITE_OK;
}

static int
write_state_file(struct edge *e)
{
	const char *path = edge_str(e, "state_file");
	char why[sizeof(e->net.err)], *text;
	int rc;

	if (!path)
		return RESITE_OK;
	rc = runtime_ask(e, "show servers state", &text);
	if (rc == RESITE_OK) {
		rc = file_replace(e, path, text, strlen(text), NULL);
		free(text);
	}
	if (rc == RESITE_OK || rc == RESITE_ERR_CANCELLED)
		return rc;
	memcpy(why, e->net.err, sizeof(why));
	return net_error(&e->net, rc, "the servers have their new states, but not the file that a restart "
			 "reads: %.400s", why);
}

/* --- probe --------------------------------------------------------------------------------- */

static void
object_of(const struct ha_change *c, char *buf, size_t cap)
{
	snprintf(buf, cap, "%s/%s %s", c->server->backend, c->server->name, ha_what_name(c->what));
}

/* "meet/primary ready 100, meet/dr maint 100": of the plan's backends; the caller frees. */
static char *
states_text(const struct work *w)
{
	char *text = NULL, buf[16];
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (size_t i = 0; f && i < w->servers.n; i++)
		for (size_t k = 0; k < w->want.n_backends; k++) {
			const struct ha_server *s = &w->servers.v[i];

			if (strcmp(s->backend, w->backends[k]))
				continue;
			fprintf(f, "%s%s/%s %s %d", ftell(f) > 0 ? ", " : "", s->backend, s->name,
				ha_value(HA_STATE, (int)s->admin, buf), s->weight);
		}
	return f && fclose(f) == 0 ? text : NULL;
}

static int
tell_state(struct edge *e, struct work *w, bool behind)
{
	char object[300], was[16], set[16], mark[FILE_DIGEST];
	char *text = states_text(w);
	int rc;

	if (!text)
		return net_error(&e->net, RESITE_ERR_TRANSIENT, "out of memory");
	for (size_t i = 0; i < w->changes.n; i++) {
		const struct ha_change *c = &w->changes.v[i];

		object_of(c, object, sizeof(object));
		e->host->change(e->op, object, ha_value(c->what, c->was, was),
				ha_value(c->what, c->set, set));
	}
	if (behind)
		e->host->change(e->op, edge_str(e, "state_file"), "other states", "as they are then");
	if (!edge_str(e, "state_file") && w->changes.n)
		e->host->loss(e->op, "HAProxy keeps these states in memory alone: its next restart or reload "
				     "goes back to its configuration (state_file, or change it there, too)");
	file_digest(text, strlen(text), mark);
	rc = e->host->state(e->op, text, mark, w->changes.n + behind,
			    w->changes.n + (w->changes.n ? behind : 1));
	free(text);
	return rc;
}

int
haproxy_probe(struct resite_op *op, const struct resite_host *host)
{
	struct edge e = edge_of(op, host);
	struct work w;
	bool behind = false;
	int rc = load(&e, &w);

	if (rc == RESITE_OK)
		rc = file_is_behind(&e, &w, &behind);
	if (rc == RESITE_OK)
		rc = tell_state(&e, &w, behind);
	work_release(&w);
	return edge_fail(&e, rc);
}

/* --- apply ---------------------------------------------------------------------------------- */

static int
set_value(struct edge *e, const char *backend, const char *name, enum ha_what what, int value)
{
	char command[400], buf[16];

	snprintf(command, sizeof(command), "set server %s/%s %s %s", backend, name, ha_what_name(what),
		 ha_value(what, value, buf));
	return runtime_tell(e, command);
}

static int
put_undo(struct edge *e, const struct work *w)
{
	for (size_t i = 0; i < w->changes.n; i++) {
		const struct ha_change *c = &w->changes.v[i];
		char was[16], set[16], by_hand[400], object[300];
		const struct resite_kv kv[] = {
			{"backend", c->server->backend}, {"server", c->server->name},
			{"what", ha_what_name(c->what)}, {"was.value", ha_value(c->what, c->was, was)},
			{"set.value", ha_value(c->what, c->set, set)},
		};
		int rc;

		object_of(c, object, sizeof(object));
		snprintf(by_hand, sizeof(by_hand), "at HAProxy's runtime socket: set server %s/%s %s %s",
			 c->server->backend, c->server->name, ha_what_name(c->what), kv[3].value);
		rc = e->host->undo_add(e->op, UNDO_HAPROXY, by_hand, kv, sizeof(kv) / sizeof(*kv));
		if (rc != RESITE_OK)
			return rc;
	}
	return e->host->sync(e->op);
}

/* Between the look and the change: has each still the value that its undo record says? */
static int
still_as_they_were(struct edge *e, const struct work *w)
{
	struct ha_servers now;
	int rc = read_servers(e, &now);

	for (size_t i = 0; rc == RESITE_OK && i < w->changes.n; i++) {
		const struct ha_change *c = &w->changes.v[i];
		const struct ha_server *s = ha_find(&now, c->server->backend, c->server->name);

		if (!s || ha_now(s, c->what) != c->was)
			rc = net_error(&e->net, RESITE_ERR_CONFLICT,
				       "%s/%s was changed by somebody else meanwhile", c->server->backend,
				       c->server->name);
	}
	ha_release(&now);
	return rc;
}

static int
carry_out(struct edge *e, const struct work *w)
{
	struct work after;
	int rc = RESITE_OK;

	for (size_t i = 0; rc == RESITE_OK && i < w->changes.n; i++) {
		const struct ha_change *c = &w->changes.v[i];

		e->host->progress(e->op, i, w->changes.n, c->server->backend);
		rc = e->host->time_left_ms(e->op) > 0
			     ? set_value(e, c->server->backend, c->server->name, c->what, c->set)
			     : RESITE_ERR_CANCELLED;
	}
	if (rc != RESITE_OK)
		return rc;
	rc = load(e, &after);
	if (rc == RESITE_OK && after.changes.n)
		rc = net_error(&e->net, RESITE_ERR_REFUSED, "HAProxy took the commands, but %s/%s is as it was",
			       after.changes.v[0].server->backend, after.changes.v[0].server->name);
	work_release(&after);
	return rc;
}

int
haproxy_apply(struct resite_op *op, const struct resite_host *host)
{
	struct edge e = edge_of(op, host);
	struct work w;
	int rc = load(&e, &w);

	if (rc == RESITE_OK && w.changes.n)
		rc = put_undo(&e, &w);
	if (rc == RESITE_OK && w.changes.n)
		rc = still_as_they_were(&e, &w);
	if (rc == RESITE_OK)
		rc = carry_out(&e, &w);
	if (rc == RESITE_OK)
		rc = write_state_file(&e);
	work_release(&w);
	return edge_fail(&e, rc);
}

/* --- verify ---------------------------------------------------------------------------------- */

static int
servers_are_up(struct edge *e, const struct work *w)
{
	char status[64], *csv;
	int rc = runtime_ask(e, "show stat", &csv);

	if (rc != RESITE_OK)
		return rc;
	for (size_t i = 0; rc == RESITE_OK && i < w->want.n_backends; i++)
		for (size_t k = 0; rc == RESITE_OK && k < w->want.n_to; k++) {
			ha_stat_status(csv, w->backends[i], w->to[k], status, sizeof(status));
			if (strncmp(status, "UP", 2) && strcmp(status, "no check"))
				rc = net_error(&e->net, RESITE_PENDING, "HAProxy has %s/%s %s",
					       w->backends[i], w->to[k],
					       *status ? status : "not in its statistics");
		}
	free(csv);
	return rc;
}

static int
judge(struct edge *e, const char *url, const char *host_name, const struct http *h)
{
	long want = (long)e->host->param_i64(e->op, "http_status", 0);
	char from[200];

	snprintf(from, sizeof(from), "%.120s%s%.60s", url, host_name ? " as " : "",
		 host_name ? host_name : "");
	if (h->status != want)
		return net_error(&e->net, RESITE_PENDING, "%s answers HTTP %ld, not %ld", from, h->status,
				 want);
	for (uint32_t i = 0; i < e->host->param_count(e->op, "look_for"); i++) {
		const char *text = e->host->param_str(e->op, "look_for", i);

		if (!strcasestr(h->head, text) && !memmem(h->body, h->body_len, text, strlen(text)))
			return net_error(&e->net, RESITE_PENDING,
					 "%s answers, but '%s' is neither in head nor body", from, text);
	}
	return RESITE_OK;
}

static int
requests_arrive(struct edge *e)
{
	uint32_t n_hosts = e->host->param_count(e->op, "host");
	int64_t times = e->host->param_i64(e->op, "requests", 0);
	const char *url = edge_str(e, "url");
	int rc = RESITE_OK;

	for (uint32_t i = 0; url && rc == RESITE_OK && i < (n_hosts ? n_hosts : 1); i++) {
		const char *host_name = n_hosts ? e->host->param_str(e->op, "host", i) : NULL;

		for (int64_t k = 0; rc == RESITE_OK && k < times; k++) {
			struct http h;

			rc = http_ask(e, url, NULL, host_name, NULL, &h);
			if (rc == RESITE_OK) {
				rc = judge(e, url, host_name, &h);
				http_release(&h);
			}
		}
	}
	return rc;
}

int
haproxy_verify(struct resite_op *op, const struct resite_host *host)
{
	struct edge e = edge_of(op, host);
	struct work w;
	int rc = load(&e, &w);

	if (rc == RESITE_OK && w.changes.n)
		rc = net_error(&e.net, RESITE_ERR_CONFLICT, "%s/%s is not as it was set",
			       w.changes.v[0].server->backend, w.changes.v[0].server->name);
	if (rc == RESITE_OK)
		rc = servers_are_up(&e, &w);
	if (rc == RESITE_OK)
		rc = requests_arrive(&e);
	if (rc == RESITE_OK) {
		char *text = states_text(&w);

		if (text)
			host->output(op, "servers", text);
		free(text);
	}
	work_release(&w);
	return edge_not_yet(&e, rc);
}

/* --- revert ---------------------------------------------------------------------------------- */

static int
revert_one(struct edge *e, const struct ha_servers *servers, const struct resite_kv *kv, uint32_t n)
{
	const char *backend = resite_kv_get(kv, n, "backend"), *name = resite_kv_get(kv, n, "server");
	const char *what_text = resite_kv_get(kv, n, "what"), *was = resite_kv_get(kv, n, "was.value");
	const char *set = resite_kv_get(kv, n, "set.value"), *now_text;
	int way = e->host->revert_way(e->op), result = RESITE_REVERTED_PUT_BACK, now, rc = RESITE_OK;
	const struct ha_server *server;
	char object[300], buf[16];
	enum ha_what what;

	if (!backend || !name || !what_text || !was || !set)
		return net_error(&e->net, RESITE_ERR_INVALID, "an undo record lacks a field");
	what = strcmp(what_text, "weight") ? HA_STATE : HA_WEIGHT;
	if (ha_value_of(what, was) < 0 || !is_name(backend) || !is_name(name))
		return net_error(&e->net, RESITE_ERR_INVALID, "an undo record has %s %s", what_text, was);
	snprintf(object, sizeof(object), "%s/%s %s", backend, name, what_text);
	server = ha_find(servers, backend, name);
	if (!server)
		return e->host->reverted(e->op, object, RESITE_REVERTED_GONE, was, set, NULL);
	now = ha_now(server, what);
	now_text = ha_value(what, now, buf);
	if (now == ha_value_of(what, was))
		result = RESITE_REVERTED_ALREADY;
	else if (now != ha_value_of(what, set) && way != RESITE_FORCE)
		result = RESITE_REVERTED_CONFLICT;
	else if (way != RESITE_LOOK)
		rc = set_value(e, backend, name, what, ha_value_of(what, was));
	return rc == RESITE_OK ? e->host->reverted(e->op, object, result, was, set, now_text) : rc;
}

static int
revert_all(struct edge *e, const struct ha_servers *servers)
{
	const struct resite_kv *kv;
	uint32_t version, n;
	int rc;

	while ((rc = e->host->undo_next(e->op, &version, &kv, &n)) == 1) {
		if (e->host->time_left_ms(e->op) <= 0)
			return RESITE_ERR_CANCELLED;
		rc = version == UNDO_HAPROXY
			     ? revert_one(e, servers, kv, n)
			     : net_error(&e->net, RESITE_ERR_INVALID, "an undo record of version %u, which "
					 "this plugin did not write", version);
		if (rc != RESITE_OK)
			return rc;
	}
	return rc;
}

int
haproxy_revert(struct resite_op *op, const struct resite_host *host)
{
	struct edge e = edge_of(op, host);
	struct ha_servers servers;
	int rc = read_servers(&e, &servers);

	if (rc == RESITE_OK)
		rc = revert_all(&e, &servers);
	if (rc == RESITE_OK && host->revert_way(op) != RESITE_LOOK)
		rc = write_state_file(&e);
	ha_release(&servers);
	return edge_fail(&e, rc);
}
