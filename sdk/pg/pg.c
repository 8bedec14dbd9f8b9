#include "config.h"

#include "sdk/pg/pg.h"

#include "sdk/net/net.h"

#include <resite/easy.h>

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BROKEN "08006"
/* Handed to the server before looking whether it takes more. */
#define COPY_PIECE (64 * 1024)

/* --- what an error means ------------------------------------------------------------ */

/* By the beginning of the SQLSTATE; the first that fits. */
static const struct {
	const char *state;
	int rc;
	const char *advice;
} states[] = {
	{"08", RESITE_ERR_TRANSIENT, ""},
	{"25006", RESITE_ERR_REFUSED, "this server takes no writes: is it a standby, not promoted?"},
	{"28P01", RESITE_ERR_REFUSED, "check user and password"},
	{"28", RESITE_ERR_REFUSED, "check user, and pg_hba.conf of the server"},
	{"3D000", RESITE_ERR_REFUSED, "check the name of the database"},
	{"40", RESITE_ERR_TRANSIENT, ""},
	{"42501", RESITE_ERR_REFUSED, "the user's rights are not enough: see README, Rights"},
	{"53100", RESITE_ERR_REFUSED, "the server's disk is full: make room and retry"},
	{"53", RESITE_ERR_TRANSIENT, ""},
	{"55P03", RESITE_ERR_TRANSIENT, ""},
	{"57", RESITE_ERR_TRANSIENT, ""},
	{"58", RESITE_ERR_REFUSED, "look at the server's disk and log"},
};
#define N_STATES (sizeof states / sizeof *states)

static size_t
find_state(const char *sqlstate)
{
	size_t i = 0;

	while (i < N_STATES && strncmp(sqlstate, states[i].state, strlen(states[i].state)))
		i++;
	return i;
}

int
pg_state_rc(const char *sqlstate)
{
	size_t i = find_state(sqlstate);

	return i < N_STATES ? states[i].rc : RESITE_ERR_REFUSED;
}

/* The server's words on one line, without what a terminal would obey. */
static void
one_line(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c != 0x7f)
			out[n++] = *text;
		else if (n && out[n - 1] != ' ')
			out[n++] = ' ';
	}
	while (n && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

static int
fail_words(struct pg *pg, const char *state, const char *text)
{
	size_t i = find_state(state);
	const char *advice = i < N_STATES ? states[i].advice : "";
	char words[400];

	one_line(words, sizeof words, text);
	snprintf(pg->state, sizeof pg->state, "%s", state);
	snprintf(pg->err, sizeof pg->err, "%s: %s%s%s", pg->where, words, *advice ? "; " : "", advice);
	return pg_state_rc(state);
}

static int
fail_conn(struct pg *pg)
{
	return fail_words(pg, BROKEN, PQerrorMessage(pg->conn));
}

static int
fail_silent(struct pg *pg)
{
	snprintf(pg->state, sizeof pg->state, BROKEN);
	snprintf(pg->err, sizeof pg->err,
		 "%s: no answer within %lld ms: is this PostgreSQL, and does it still work?",
		 pg->where, (long long)pg->login->patience_ms);
	return RESITE_ERR_TRANSIENT;
}

static int
fail_wait(struct pg *pg, int rc)
{
	if (rc == RESITE_PENDING)
		return fail_silent(pg);
	snprintf(pg->err, sizeof pg->err, "%s: stopped before the answer came", pg->where);
	return rc;
}

/* --- connecting ------------------------------------------------------------------------- */

static int
resolve(struct pg *pg, const struct net_endpoint *ep, char address[64])
{
	const struct pg_login *l = pg->login;
	struct net net = {.op = l->op, .host = l->host, .patience_ms = l->patience_ms};
	struct net_addrs addrs;
	int rc = net_resolve(&net, ep, &addrs);

	if (rc != RESITE_OK) {
		snprintf(pg->err, sizeof pg->err, "%s", net.err);
		return rc;
	}
	if (getnameinfo((struct sockaddr *)&addrs.v[0].sa, addrs.v[0].len, address, 64, NULL, 0,
			NI_NUMERICHOST) == 0)
		return RESITE_OK;
	snprintf(pg->err, sizeof pg->err, "%s has no numeric address", ep->host);
	return RESITE_ERR_TRANSIENT;
}

/* Before there is a result an SQLSTATE is only in the words: "FATAL:  28P01: password ...". */
static int
fail_connect(struct pg *pg)
{
	const char *text = PQerrorMessage(pg->conn), *end = strstr(text, "LOCATION:");
	const char *colon = strstr(text, ":  ");
	char state[6] = "08001", words[400];

	if (colon && strlen(colon) > 9 && colon[8] == ':' &&
	    strspn(colon + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5)
		memcpy(state, colon + 3, 5);
	snprintf(words, sizeof words, "%.*s", end ? (int)(end - text) : (int)strlen(text), text);
	return fail_words(pg, state, words);
}

static int
wait_connected(struct pg *pg)
{
	const struct pg_login *l = pg->login;
	int64_t until = net_now_ms() + l->patience_ms;
	PostgresPollingStatusType want = PGRES_POLLING_WRITING;

	while (want != PGRES_POLLING_OK && want != PGRES_POLLING_FAILED) {
		short events = want == PGRES_POLLING_READING ? POLLIN : POLLOUT;
		int64_t left = until - net_now_ms();
		int rc = left > 0 ? l->host->wait(l->op, PQsocket(pg->conn), events, left)
				  : RESITE_PENDING;

		if (rc != RESITE_OK)
			return fail_wait(pg, rc);
		want = PQconnectPoll(pg->conn);
	}
	return want == PGRES_POLLING_OK ? RESITE_OK : fail_connect(pg);
}

static void
on_notice(void *arg, const PGresult *notice)
{
	const struct pg_login *l = arg;
	const char *text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
	char words[400];

	one_line(words, sizeof words, text ? text : PQresultErrorMessage(notice));
	l->host->log(l->op, RESITE_LOG_DEBUG, words);
}

/* A server that can do so ends our work when we are gone. */
static const char session_sql[] =
	"SET client_encoding = 'UTF8'; SET statement_timeout = 0; SET lock_timeout = 0;"
	"SET idle_in_transaction_session_timeout = 0; SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC';"
	"SELECT pg_catalog.set_config(name, '1000', false) FROM pg_catalog.pg_settings "
	"WHERE name = 'client_connection_check_interval'";

int
pg_open(struct pg *pg, const struct pg_login *l)
{
	char patience[24], address[64];
	struct net_endpoint ep;
	int rc;

	*pg = (struct pg){.login = l};
	if (!net_endpoint_parse(l->server, "5432", &ep)) {
		snprintf(pg->err, sizeof pg->err, "'%s' is not host:port", l->server);
		return RESITE_ERR_INVALID;
	}
	snprintf(pg->where, sizeof pg->where, "%s/%.100s", ep.text, l->database);
	rc = resolve(pg, &ep, address);
	if (rc != RESITE_OK)
		return rc;
	snprintf(patience, sizeof patience, "%lld", (long long)l->patience_ms);
	pg->conn = PQconnectStartParams(
		(const char *[]){"host", "hostaddr", "port", "user", "password", "dbname",
				 "sslmode", "sslrootcert", "gssencmode", "application_name",
				 "keepalives_idle", "keepalives_interval", "keepalives_count",
				 "tcp_user_timeout", NULL},
		(const char *[]){ep.host, address, ep.port, l->user,
				 l->password && *l->password ? l->password : NULL, l->database,
				 l->tls ? l->tls : "prefer", l->ca_file, "disable", l->application,
				 "10", "5", "3", patience, NULL}, 0);
	if (!pg->conn) {
		snprintf(pg->err, sizeof pg->err, "out of memory");
		return RESITE_ERR_TRANSIENT;
	}
	PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE);
	PQsetNoticeReceiver(pg->conn, on_notice, (void *)(uintptr_t)l);
	rc = PQstatus(pg->conn) == CONNECTION_BAD ? fail_connect(pg) : wait_connected(pg);
	PQsetErrorVerbosity(pg->conn, PQERRORS_DEFAULT);
	if (rc == RESITE_OK && PQsetnonblocking(pg->conn, 1) < 0)
		rc = fail_conn(pg);
	if (rc == RESITE_OK)
		rc = pg_do(pg, session_sql, NULL);
	return rc == RESITE_OK && l->session ? pg_do(pg, l->session, NULL) : rc;
}

void
pg_close(struct pg *pg)
{
	PQfinish(pg->conn);
	pg->conn = NULL;
}

/* --- asking ------------------------------------------------------------------------------ */

/* Until libpq has nothing left to send.  The server may say something meanwhile. */
static int
flush(struct pg *pg)
{
	const struct pg_login *l = pg->login;
	int left;

	while ((left = PQflush(pg->conn)) > 0) {
		int rc = l->host->wait(l->op, PQsocket(pg->conn), POLLIN | POLLOUT, -1);

		if (rc != RESITE_OK)
			return fail_wait(pg, rc);
		if (!PQconsumeInput(pg->conn))
			return fail_conn(pg);
	}
	return left < 0 ? fail_conn(pg) : RESITE_OK;
}

/* Waits at most ms (< 0: until the deadline) for the next result. */
static int
next_result(struct pg *pg, int64_t ms, PGresult **ret)
{
	const struct pg_login *l = pg->login;
	int64_t until = net_now_ms() + ms;

	while (PQisBusy(pg->conn)) {
		int64_t left = ms < 0 ? -1 : until - net_now_ms();
		int rc = ms >= 0 && left <= 0
				 ? RESITE_PENDING
				 : l->host->wait(l->op, PQsocket(pg->conn), POLLIN, left);

		if (rc != RESITE_OK)
			return fail_wait(pg, rc);
		if (!PQconsumeInput(pg->conn))
			return fail_conn(pg);
	}
	*ret = PQgetResult(pg->conn);
	return RESITE_OK;
}

static int
judge(struct pg *pg, const PGresult *r)
{
	ExecStatusType status = PQresultStatus(r);
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *words = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(r, PG_DIAG_MESSAGE_HINT);
	char text[400];

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_COPY_IN)
		return RESITE_OK;
	snprintf(text, sizeof text, "%s%s%s%s%s", words ? words : PQresultErrorMessage(r),
		 detail ? ": " : "", detail ? detail : "", hint ? "; " : "", hint ? hint : "");
	return fail_words(pg, state ? state : BROKEN, text);
}

/* Reads all results, so that the connection can be used again even after an error; the first
 * error counts.  A COPY that begins is the end. */
static int
finish(struct pg *pg, int64_t ms, PGresult **ret)
{
	PGresult *r = NULL, *last = NULL;
	int rc = flush(pg), told = RESITE_OK;

	pg->touched = 0;
	while (rc == RESITE_OK && (rc = next_result(pg, ms, &r)) == RESITE_OK && r) {
		bool copy = PQresultStatus(r) == PGRES_COPY_IN;

		if (told == RESITE_OK)
			told = judge(pg, r);
		if (PQresultStatus(r) == PGRES_COMMAND_OK)
			pg->touched += strtoull(PQcmdTuples(r), NULL, 10);
		PQclear(last);
		last = r;
		if (copy)
			break;
	}
	if (rc == RESITE_OK)
		rc = told;
	if (rc == RESITE_OK && ret && !last)
		rc = fail_words(pg, BROKEN, "an empty answer");
	if (rc != RESITE_OK || !ret)
		PQclear(last);
	else
		*ret = last;
	return rc;
}

int
pg_ask(struct pg *pg, PGresult **ret, bool binary, const char *sql, int n,
       const char *const *params)
{
	if (!PQsendQueryParams(pg->conn, sql, n, NULL, params, NULL, NULL, binary))
		return fail_conn(pg);
	return finish(pg, pg->login->patience_ms, ret);
}

int
pg_send(struct pg *pg, const char *sql)
{
	return PQsendQuery(pg->conn, sql) ? flush(pg) : fail_conn(pg);
}

int
pg_finish(struct pg *pg, PGresult **ret)
{
	return finish(pg, -1, ret);
}

int
pg_next(struct pg *pg, PGresult **ret)
{
	int rc = next_result(pg, -1, ret);

	if (rc == RESITE_OK && *ret && (rc = judge(pg, *ret)) != RESITE_OK)
		PQclear(*ret);
	return rc;
}

int
pg_do(struct pg *pg, const char *sql, PGresult **ret)
{
	int rc = pg_send(pg, sql);

	return rc == RESITE_OK ? finish(pg, -1, ret) : rc;
}

/* --- COPY -------------------------------------------------------------------------------- */

int
pg_copy_begin(struct pg *pg, const char *sql)
{
	PGresult *r = NULL;
	int rc = pg_do(pg, sql, &r);

	if (rc == RESITE_OK && PQresultStatus(r) != PGRES_COPY_IN)
		rc = fail_words(pg, BROKEN, "the server does not begin the COPY");
	PQclear(r);
	return rc;
}

int
pg_copy_data(struct pg *pg, const char *data, size_t len)
{
	while (len > 0) {
		int piece = len < COPY_PIECE ? (int)len : COPY_PIECE;
		int rc;

		if (PQputCopyData(pg->conn, data, piece) < 0)
			return fail_conn(pg);
		rc = flush(pg);
		if (rc != RESITE_OK)
			return rc;
		data += piece;
		len -= (size_t)piece;
	}
	return RESITE_OK;
}

int
pg_copy_end(struct pg *pg)
{
	if (PQputCopyEnd(pg->conn, NULL) < 0)
		return fail_conn(pg);
	return pg_finish(pg, NULL);
}
