#include "plugins/groupchat/pg.h"

#include "sdk/net/net.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what an error means ------------------------------------------------------------ */

/* By the beginning of the SQLSTATE, the first that fits. */
static const struct {
	const char *state;
	int rc;
	const char *advice;
} states[] = {
	{"08", RESITE_ERR_TRANSIENT, ""},
	{"28P01", RESITE_ERR_REFUSED, "check user and password"},
	{"28", RESITE_ERR_REFUSED, "check user, and pg_hba.conf of the server"},
	{"3D000", RESITE_ERR_REFUSED, "check the name of the database"},
	{"40", RESITE_ERR_TRANSIENT, ""},
	{"42501", RESITE_ERR_REFUSED, "the user's rights are not enough: see README, Rights"},
	{"42704", RESITE_ERR_REFUSED, "create it on the server first"},
	{"53100", RESITE_ERR_REFUSED, "the server's disk is full: make room and retry"},
	{"53300", RESITE_ERR_TRANSIENT, ""},
	{"53", RESITE_ERR_TRANSIENT, ""},
	{"55006", RESITE_ERR_REFUSED, "stop who uses it, or say disconnect = true"},
	{"55P03", RESITE_ERR_TRANSIENT, ""},
	{"57P", RESITE_ERR_TRANSIENT, ""},
	{"58", RESITE_ERR_REFUSED, "look at the server's disk and log"},
};

static size_t
find_state(const char *sqlstate)
{
	size_t i = 0, n = sizeof states / sizeof *states;

	while (sqlstate && i < n && strncmp(sqlstate, states[i].state, strlen(states[i].state)))
		i++;
	return sqlstate ? i : n;
}

int
pg_state_rc(const char *sqlstate)
{
	size_t i = find_state(sqlstate);

	return i < sizeof states / sizeof *states ? states[i].rc : RESITE_ERR_REFUSED;
}

const char *
pg_state_advice(const char *sqlstate)
{
	size_t i = find_state(sqlstate);

	return i < sizeof states / sizeof *states ? states[i].advice : "";
}

static int
fail_words(struct pg *pg, const char *state, const char *text)
{
	char words[PG_WORDS_MAX];
	const char *advice = pg_state_advice(state);

	one_line(words, sizeof words, text);
	if (pg->quiet) {
		call_log(pg->login->c, RESITE_LOG_WARN, "%s: %s", pg->where, words);
		return pg_state_rc(state);
	}
	return call_fail(pg->login->c, pg_state_rc(state), NULL, "%s: %s%s%s", pg->where, words,
			 *advice ? "; " : "", advice);
}

/* A connection that broke has no SQLSTATE. */
static int
fail_conn(struct pg *pg)
{
	return fail_words(pg, "08006", PQerrorMessage(pg->conn));
}

static int
fail_result(struct pg *pg, const PGresult *r)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);

	return fail_words(pg, state ? state : "08006", PQresultErrorMessage(r));
}

/* --- login ---------------------------------------------------------------------------- */

static int
resolve(struct pg_login *l, const struct net_endpoint *ep)
{
	struct net net = {.op = l->c->op, .host = l->c->host, .patience_ms = l->patience_ms};
	struct net_addrs addrs;
	int rc = net_resolve(&net, ep, &addrs);

	if (rc != RESITE_OK)
		return rc == RESITE_ERR_CANCELLED ? rc : call_fail(l->c, rc, NULL, "%s", net.err);
	if (getnameinfo((struct sockaddr *)&addrs.v[0].sa, addrs.v[0].len, l->address,
			sizeof l->address, NULL, 0, NI_NUMERICHOST) != 0)
		return call_fail(l->c, RESITE_ERR_TRANSIENT, NULL, "%s has no numeric address",
				 ep->host);
	return RESITE_OK;
}

int
pg_login(const struct call *c, const char *server_param, struct pg_login *ret)
{
	const char *server = call_str(c, server_param);
	struct net_endpoint ep;
	int rc;

	*ret = (struct pg_login){.c = c, .user = call_str(c, "user"),
				 .sslmode = call_str(c, "sslmode"),
				 .ca_file = call_str(c, "ca_file"),
				 .patience_ms = call_i64(c, "timeout")};
	if (!net_endpoint_parse(server, "5432", &ep))
		return call_fail(c, RESITE_ERR_INVALID, server_param, "'%s' is not host:port",
				 server);
	snprintf(ret->host, sizeof ret->host, "%s", ep.host);
	snprintf(ret->port, sizeof ret->port, "%s", ep.port);
	rc = resolve(ret, &ep);
	return rc == RESITE_OK ? call_secret(c, "password", ret->password) : rc;
}

void
pg_login_wipe(struct pg_login *login)
{
	explicit_bzero(login->password, sizeof login->password);
}

/* --- connecting ------------------------------------------------------------------------- */

/* The words, and in them the SQLSTATE: "FATAL:  28P01: password authentication failed". */
static int
fail_connect(struct pg *pg)
{
	const char *text = PQerrorMessage(pg->conn), *end = strstr(text, "\nLOCATION:");
	const char *colon = strstr(text, ":  ");
	char state[6] = "08001", words[PG_WORDS_MAX];

	if (colon && strlen(colon) > 9 && colon[8] == ':' && strspn(colon + 3,
	    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5)
		memcpy(state, colon + 3, 5);
	snprintf(words, sizeof words, "%.*s", (int)(end ? end - text : (long)strlen(text)), text);
	return fail_words(pg, state, words);
}

static int
wait_connected(struct pg *pg)
{
	const struct call *c = pg->login->c;
	int64_t until = net_now_ms() + pg->login->patience_ms;
	PostgresPollingStatusType want = PGRES_POLLING_WRITING;

	while (want != PGRES_POLLING_OK && want != PGRES_POLLING_FAILED) {
		short events = want == PGRES_POLLING_READING ? POLLIN : POLLOUT;
		int64_t left = until - net_now_ms();
		int rc = left > 0 ? c->host->wait(c->op, PQsocket(pg->conn), events, left)
				  : RESITE_PENDING;

		if (rc == RESITE_PENDING)
			return call_fail(c, RESITE_ERR_TRANSIENT, NULL,
					 "%s: no answer within %lld ms: is this PostgreSQL, and does "
					 "it still work?", pg->where,
					 (long long)pg->login->patience_ms);
		if (rc != RESITE_OK)
			return rc;
		want = PQconnectPoll(pg->conn);
	}
	return want == PGRES_POLLING_OK ? RESITE_OK : fail_connect(pg);
}

static void
on_notice(void *arg, const char *message)
{
	const struct call *c = arg;
	char words[PG_WORDS_MAX];

	one_line(words, sizeof words, message);
	call_log(c, RESITE_LOG_DEBUG, "%s", words);
}

/* Values must read the same from every server, and no schema may come between us and the
 * catalog.  A server that can do so ends our query when we are gone. */
static const char session_sql[] =
	"SET search_path = pg_catalog; SET client_encoding = 'UTF8'; SET TimeZone = 'UTC';"
	"SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET extra_float_digits = 1;"
	"SET bytea_output = 'hex'; SET statement_timeout = 0; SET lock_timeout = 0;"
	"SET idle_in_transaction_session_timeout = 0; SET row_security = off;"
	"SELECT set_config(name, '1000', false) FROM pg_settings "
	"WHERE name = 'client_connection_check_interval'";

int
pg_open(const struct pg_login *login, const char *database, struct pg *ret)
{
	char patience[24];
	const char *keys[] = {"host", "hostaddr", "port", "user", "password", "dbname", "sslmode",
			      "sslrootcert", "gssencmode", "application_name", "keepalives_idle",
			      "keepalives_interval", "keepalives_count", "tcp_user_timeout", NULL};
	const char *values[] = {login->host, login->address, login->port, login->user,
				*login->password ? login->password : NULL, database,
				login->sslmode, login->ca_file, "disable", "resite groupchat",
				"10", "5", "3", patience, NULL};
	int rc;

	snprintf(patience, sizeof patience, "%lld", (long long)login->patience_ms);
	*ret = (struct pg){.login = login};
	snprintf(ret->where, sizeof ret->where, "%s:%s/%s", login->host, login->port, database);
	ret->conn = PQconnectStartParams(keys, values, 0);
	if (!ret->conn)
		return call_no_memory(login->c);
	PQsetErrorVerbosity(ret->conn, PQERRORS_VERBOSE);
	PQsetNoticeProcessor(ret->conn, on_notice, (void *)(uintptr_t)login->c);
	rc = PQstatus(ret->conn) == CONNECTION_BAD ? fail_connect(ret) : wait_connected(ret);
	PQsetErrorVerbosity(ret->conn, PQERRORS_DEFAULT);
	if (rc == RESITE_OK && PQsetnonblocking(ret->conn, 1) < 0)
		rc = fail_conn(ret);
	if (rc == RESITE_OK)
		rc = pg_do(ret, session_sql);
	if (rc != RESITE_OK)
		pg_close(ret);
	return rc;
}

void
pg_close(struct pg *pg)
{
	PQfinish(pg->conn);
	pg->conn = NULL;
}

/* --- asking ------------------------------------------------------------------------------ */

static int
flush(struct pg *pg)
{
	const struct call *c = pg->login->c;
	int left;

	while ((left = PQflush(pg->conn)) > 0) {
		int rc = c->host->wait(c->op, PQsocket(pg->conn), POLLIN | POLLOUT, -1);

		if (rc != RESITE_OK)
			return rc;
		if (!PQconsumeInput(pg->conn))
			return fail_conn(pg);
	}
	return left < 0 ? fail_conn(pg) : RESITE_OK;
}

/* Waits at most ms (< 0: until the deadline) for the next result. */
static int
next_result(struct pg *pg, int64_t ms, PGresult **ret)
{
	const struct call *c = pg->login->c;
	int64_t until = net_now_ms() + ms;

	while (PQisBusy(pg->conn)) {
		int64_t left = ms < 0 ? -1 : until - net_now_ms();
		int rc = ms >= 0 && left <= 0
				 ? RESITE_PENDING
				 : c->host->wait(c->op, PQsocket(pg->conn), POLLIN, left);

		if (rc == RESITE_PENDING)
			return call_fail(c, RESITE_ERR_TRANSIENT, NULL,
					 "%s: no answer within %lld ms", pg->where, (long long)ms);
		if (rc != RESITE_OK)
			return rc;
		if (!PQconsumeInput(pg->conn))
			return fail_conn(pg);
	}
	*ret = PQgetResult(pg->conn);
	return RESITE_OK;
}

/* Takes a result that is no error. */
static int
judge(struct pg *pg, PGresult *r)
{
	ExecStatusType status = PQresultStatus(r);
	int rc;

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return RESITE_OK;
	rc = fail_result(pg, r);
	PQclear(r);
	return rc;
}

/* Reads all results of what was sent; the last one is handed out when ret is not NULL. */
static int
finish(struct pg *pg, int64_t ms, PGresult **ret)
{
	PGresult *r = NULL, *last = NULL;
	int rc = flush(pg);

	while (rc == RESITE_OK && (rc = next_result(pg, ms, &r)) == RESITE_OK && r) {
		PQclear(last);
		last = NULL;
		rc = judge(pg, r);
		if (rc == RESITE_OK)
			last = r;
	}
	if (rc == RESITE_OK && ret && !last)
		rc = call_fail(pg->login->c, RESITE_ERR_TRANSIENT, NULL, "%s: an empty answer",
			       pg->where);
	if (rc != RESITE_OK || !ret)
		PQclear(last);
	else
		*ret = last;
	return rc;
}

int
pg_ask(struct pg *pg, PGresult **ret, const char *sql, int n, const char *const *params)
{
	if (!PQsendQueryParams(pg->conn, sql, n, NULL, params, NULL, NULL, 0))
		return fail_conn(pg);
	return finish(pg, pg->login->patience_ms, ret);
}

int
pg_send(struct pg *pg, const char *sql)
{
	return PQsendQuery(pg->conn, sql) ? flush(pg) : fail_conn(pg);
}

int
pg_do(struct pg *pg, const char *sql)
{
	int rc = pg_send(pg, sql);

	return rc == RESITE_OK ? finish(pg, -1, NULL) : rc;
}

int
pg_collect(struct pg *pg, PGresult **ret)
{
	int rc = next_result(pg, -1, ret);

	return rc == RESITE_OK && *ret ? judge(pg, *ret) : rc;
}

char *
pg_name(struct pg *pg, const char *name)
{
	char *quoted = PQescapeIdentifier(pg->conn, name, strlen(name));

	if (!quoted)
		fail_conn(pg);
	return quoted;
}

char *
pg_text(struct pg *pg, const char *text)
{
	char *quoted = PQescapeLiteral(pg->conn, text, strlen(text));

	if (!quoted)
		fail_conn(pg);
	return quoted;
}
