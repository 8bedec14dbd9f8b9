/* verify: signs in, joins rooms, reads their history and compares a sample with the database. */
#include "plugins/groupchat/visit.h"

#include "plugins/groupchat/aside.h"
#include "plugins/groupchat/db.h"
#include "plugins/groupchat/room.h"
#include "sdk/net/net.h"

#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_MS 500

/* Of a message in Prosody's table: $1 host and $2 name of the room, $3 the archive's id. */
static const char sample_sql[] =
	"SELECT value FROM public.prosodyarchive WHERE host = $1 AND \"user\" = $2"
	" AND store = 'muc_log' AND key = $3";
static const char count_sql[] =
	"SELECT count(*) FROM public.prosodyarchive WHERE host = $1 AND \"user\" = $2"
	" AND store = 'muc_log'";

struct look {
	struct call c;
	char address[64], secret[SECRET_MAX];
	uint16_t port;
	uint64_t messages;   /* in the archives of all rooms */
	uint64_t compared;
	struct db_login login;
	struct db db;        /* in the database, when the step names it */
};

/* --- one room ------------------------------------------------------------------------------- */

/* Everything that can be a server that is still starting is "not yet". */
static int
not_yet(const struct call *c, const char *text)
{
	c->host->fail(c->op, NULL, RETRY_MS, text);
	return RESITE_PENDING;
}

static int
judge_visit(const struct look *l, const struct room_visit *v)
{
	const char *server = call_str(&l->c, "xmpp");
	int64_t least = call_i64(&l->c, "min_messages");
	uint64_t has = v->has_count ? v->count : v->n;
	char text[900];

	if (!v->done) {
		snprintf(text, sizeof text, "%s: %s", server, v->words);
		return v->rc == RESITE_ERR_TRANSIENT ? not_yet(&l->c, text)
						     : call_fail(&l->c, v->rc, NULL, "%s", text);
	}
	if (has < (uint64_t)least)
		return call_fail(&l->c, RESITE_ERR_REFUSED, "min_messages",
				 "%s: room %s has %" PRIu64 " messages for a client, fewer than %lld",
				 server, v->room, has, (long long)least);
	return RESITE_OK;
}

/* What a body looks like within the stored stanza. */
static void
escape(char *out, size_t cap, const char *body)
{
	size_t n = 0;

	for (; *body && n + 8 < cap; body++) {
		const char *as = *body == '&' ? "&amp;" : *body == '<' ? "&lt;" : *body == '>' ? "&gt;"
			       : *body == '\'' ? "&apos;" : *body == '"' ? "&quot;" : NULL;

		n += as ? (size_t)snprintf(out + n, cap - n, "%s", as) : (out[n] = *body, 1u);
	}
	out[n] = '\0';
}

static int
compare_message(struct look *l, const char *const where[2], const struct room_message *m)
{
	const char *params[] = {where[0], where[1], m->id};
	size_t cap = 6 * strlen(m->body) + 16;
	char *body = malloc(cap);
	PGresult *r;
	int rc = body ? db_ask(&l->db, &r, sample_sql, 3, params) : call_no_memory(&l->c);

	if (rc != RESITE_OK) {
		free(body);
		return rc;
	}
	escape(body, cap, m->body);
	if (PQntuples(r) != 1)
		rc = call_fail(&l->c, RESITE_ERR_REFUSED, NULL,
			       "%s: message %s of room %s@%s, as a client sees it, is not in the "
			       "database: does the server use another one?", l->db.pg.where, m->id, where[1],
			       where[0]);
	else if (!strstr(PQgetvalue(r, 0, 0), body) && !strstr(PQgetvalue(r, 0, 0), m->body))
		rc = call_fail(&l->c, RESITE_ERR_REFUSED, NULL,
			       "%s: message %s of room %s@%s has another text in the database than for a "
			       "client", l->db.pg.where, m->id, where[1], where[0]);
	l->compared += rc == RESITE_OK;
	PQclear(r);
	free(body);
	return rc;
}

static int
compare_room(struct look *l, const struct room_visit *v)
{
	const char *at = strchr(v->room, '@');
	char name[256];
	const char *where[] = {at + 1, name};
	PGresult *r;
	int rc;

	snprintf(name, sizeof name, "%.*s", (int)(at - v->room), v->room);
	rc = db_ask(&l->db, &r, count_sql, 2, where);
	if (rc != RESITE_OK)
		return rc;
	/* People may write between our two questions. */
	if (v->has_count && v->count > strtoull(PQgetvalue(r, 0, 0), NULL, 10))
		rc = call_fail(&l->c, RESITE_ERR_REFUSED, NULL,
			       "room %s has %" PRIu64 " messages for a client, %s in %s", v->room,
			       v->count, PQgetvalue(r, 0, 0), l->db.pg.where);
	PQclear(r);
	for (size_t i = 0; rc == RESITE_OK && v->archived && i < v->n; i++)
		rc = compare_message(l, where, &v->messages[i]);
	return rc;
}

static int
visit_room(struct look *l, const char *room)
{
	struct room_visit *v = calloc(1, sizeof *v);
	char nick[64];
	int rc;

	if (!v)
		return call_no_memory(&l->c);
	/* Two looks at once must not take each other's name. */
	snprintf(nick, sizeof nick, "resite-%llx", (unsigned long long)wall_ms());
	*v = (struct room_visit){
		.jid = call_str(&l->c, "jid"), .password = l->secret, .address = l->address,
		.port = l->port, .ca_file = call_str(&l->c, "ca_file"), .room = room, .nick = nick,
		.plaintext = call_i64(&l->c, "allow_plaintext") != 0,
		.sample = (unsigned)call_i64(&l->c, "sample"),
		.patience_ms = call_i64(&l->c, "timeout"),
	};
	rc = aside_run(&l->c, room_visit, v, -1);
	if (rc != RESITE_OK) {
		/* It still uses v, until it has seen this or the process ends. */
		atomic_store(&v->stop, true);
		return rc;
	}
	rc = judge_visit(l, v);
	if (rc == RESITE_OK && l->db.pg.conn)
		rc = compare_room(l, v);
	if (rc == RESITE_OK) {
		l->messages += v->has_count ? v->count : v->n;
		call_log(&l->c, RESITE_LOG_INFO, "room %s: %" PRIu64 " messages%s", room,
			 v->has_count ? v->count : v->n, v->archived ? "" : " of the room's own history");
	}
	room_release(v);
	free(v);
	return rc;
}

/* --- the step --------------------------------------------------------------------------------- */

static int
resolve(struct look *l)
{
	struct net net = {.op = l->c.op, .host = l->c.host, .patience_ms = call_i64(&l->c, "timeout")};
	struct net_endpoint ep;
	struct net_addrs addrs;
	int rc;

	if (!net_endpoint_parse(call_str(&l->c, "xmpp"), "5222", &ep))
		return call_fail(&l->c, RESITE_ERR_INVALID, "xmpp", "'%s' is not host:port",
				 call_str(&l->c, "xmpp"));
	l->port = (uint16_t)strtoul(ep.port, NULL, 10);
	rc = net_resolve(&net, &ep, &addrs);
	if (rc == RESITE_OK && getnameinfo((struct sockaddr *)&addrs.v[0].sa, addrs.v[0].len, l->address,
					   sizeof l->address, NULL, 0, NI_NUMERICHOST) != 0)
		return call_fail(&l->c, RESITE_ERR_TRANSIENT, "xmpp", "%s has no numeric address", ep.host);
	return rc == RESITE_OK || rc == RESITE_ERR_CANCELLED ? rc : not_yet(&l->c, net.err);
}

/* libstrophe says no more of a server that is not there than that it ended. */
static int
knock(struct look *l)
{
	struct net net = {.op = l->c.op, .host = l->c.host, .patience_ms = call_i64(&l->c, "timeout")};
	struct net_endpoint ep;
	int fd, rc;

	if (!net_endpoint_parse(call_str(&l->c, "xmpp"), "5222", &ep))
		return RESITE_ERR_INVALID;
	rc = net_connect(&net, &ep, SOCK_STREAM, &fd);
	if (rc == RESITE_OK)
		close(fd);
	return rc == RESITE_OK || rc == RESITE_ERR_CANCELLED ? rc : not_yet(&l->c, net.err);
}

int
visit_check(struct resite_op *op, const struct resite_host *host)
{
	struct call c = {.op = op, .host = host};

	for (uint32_t i = 0; i < host->param_count(op, "rooms"); i++) {
		const char *room = host->param_str(op, "rooms", i), *at = strchr(room, '@');

		if (!at || at == room || !at[1] || strpbrk(room, "/ <>'\"&"))
			return call_fail(&c, RESITE_ERR_INVALID, "rooms", "'%s' is not room@service", room);
	}
	if (!strchr(call_str(&c, "jid"), '@'))
		return call_fail(&c, RESITE_ERR_INVALID, "jid", "'%s' is not user@domain",
				 call_str(&c, "jid"));
	if (call_str(&c, "server") && (!call_str(&c, "database") || !call_str(&c, "user")))
		return call_fail(&c, RESITE_ERR_INVALID, "server", "it needs database and user, too");
	return RESITE_OK;
}

int
visit_verify(struct resite_op *op, const struct resite_host *host)
{
	struct look l = {.c = {.op = op, .host = host}};
	int rc = call_secret(&l.c, "jid_password", l.secret);

	if (rc == RESITE_OK)
		rc = resolve(&l);
	if (rc == RESITE_OK)
		rc = knock(&l);
	if (rc == RESITE_OK && call_str(&l.c, "server")) {
		rc = db_login(&l.c, "server", &l.login);
		if (rc == RESITE_OK)
			rc = db_open(&l.login, call_str(&l.c, "database"), &l.db);
	}
	for (uint32_t i = 0; rc == RESITE_OK && i < host->param_count(op, "rooms"); i++)
		rc = visit_room(&l, host->param_str(op, "rooms", i));
	db_close(&l.db);
	db_login_wipe(&l.login);
	explicit_bzero(l.secret, sizeof l.secret);
	if (rc == RESITE_OK)
		rc = call_output(&l.c, "messages", "%" PRIu64, l.messages);
	return rc == RESITE_OK ? call_output(&l.c, "compared", "%" PRIu64, l.compared) : rc;
}
