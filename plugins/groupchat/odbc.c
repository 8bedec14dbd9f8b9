#include "plugins/groupchat/odbc.h"

#include "plugins/groupchat/aside.h"
#include "sdk/net/net.h"

#include <sql.h>
#include <sqlext.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_CHUNK 4096
#define ROWS_MAX 100000

struct odbc {
	struct call c;
	SQLHENV env;
	SQLHDBC dbc;
	SQLHSTMT stmt;
	char where[360];             /* host:port/database */
	char string[2 * SECRET_MAX + 1200]; /* with the password: wiped once used */
	int64_t patience_ms;
	/* One call: what the thread reads and writes. */
	const char *sql;
	struct odbc_rows rows;
	bool want_rows, ok, lost;    /* lost: a thread still has this */
	char state[8], words[ODBC_WORDS_MAX];
	long native;
};

/* --- what an error means -------------------------------------------------------------- */

int
odbc_state_rc(const char *sqlstate, long native)
{
	/* SQL Server: 1205 deadlock, 3101 in use, 3201 no such backup file, 18456 login failed,
	 * 911 no such database, 4060 cannot open it. */
	static const struct { const char *state; long native; int rc; } table[] = {
		{"", 1205, RESITE_ERR_TRANSIENT}, {"", 3101, RESITE_ERR_REFUSED},
		{"28", 0, RESITE_ERR_REFUSED},    {"", 18456, RESITE_ERR_REFUSED},
		{"08", 0, RESITE_ERR_TRANSIENT},  {"HYT", 0, RESITE_ERR_TRANSIENT},
		{"40", 0, RESITE_ERR_TRANSIENT},  {"IM00", 0, RESITE_ERR_INVALID},
		{"01000", 0, RESITE_ERR_INVALID}, {"S1T00", 0, RESITE_ERR_TRANSIENT},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (!strncmp(sqlstate, table[i].state, strlen(table[i].state)) &&
		    (!table[i].native || table[i].native == native))
			return table[i].rc;
	return RESITE_ERR_REFUSED;
}

/* The first record names the cause; all of their words are told. */
static void
take_words(struct odbc *o, SQLSMALLINT type, SQLHANDLE handle)
{
	SQLCHAR state[8], text[600];
	SQLINTEGER native;
	SQLSMALLINT len;
	size_t used = 0;

	o->words[0] = '\0';
	for (SQLSMALLINT i = 1; used + 2 < sizeof o->words &&
	     SQL_SUCCEEDED(SQLGetDiagRec(type, handle, i, state, &native, text, sizeof text, &len)); i++) {
		if (i == 1) {
			snprintf(o->state, sizeof o->state, "%s", (char *)state);
			o->native = native;
		}
		used += (size_t)snprintf(o->words + used, sizeof o->words - used, "%s[%s] %s",
					 used ? "; " : "", (char *)state, (char *)text);
	}
	o->ok = false;
}

static int
fail(struct odbc *o)
{
	char words[ODBC_WORDS_MAX];

	one_line(words, sizeof words, *o->words ? o->words : "the driver said nothing");
	return call_fail(&o->c, odbc_state_rc(o->state, o->native), NULL, "%s: %s", o->where, words);
}

/* --- in the thread ------------------------------------------------------------------------ */

static void
do_connect(void *arg)
{
	struct odbc *o = arg;
	SQLULEN seconds = (SQLULEN)((o->patience_ms + 999) / 1000);

	if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &o->env)) ||
	    !SQL_SUCCEEDED(SQLSetEnvAttr(o->env, SQL_ATTR_ODBC_VERSION, (SQLPOINTER)SQL_OV_ODBC3, 0)) ||
	    !SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_DBC, o->env, &o->dbc))) {
		snprintf(o->words, sizeof o->words, "ODBC's driver manager cannot be set up");
		return;
	}
	SQLSetConnectAttr(o->dbc, SQL_ATTR_LOGIN_TIMEOUT, (SQLPOINTER)seconds, 0);
	o->ok = true;
	if (!SQL_SUCCEEDED(SQLDriverConnect(o->dbc, NULL, (SQLCHAR *)o->string, SQL_NTS, NULL, 0, NULL,
					    SQL_DRIVER_NOPROMPT)))
		take_words(o, SQL_HANDLE_DBC, o->dbc);
	explicit_bzero(o->string, sizeof o->string);
	if (o->ok && !SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_STMT, o->dbc, &o->stmt)))
		take_words(o, SQL_HANDLE_DBC, o->dbc);
}

/* A value of any length, in pieces. */
static char *
get_text(struct odbc *o, SQLUSMALLINT column)
{
	char *text = NULL;
	size_t len = 0;
	SQLLEN left = 0;
	SQLRETURN rc;

	do {
		char *grown = realloc(text, len + TEXT_CHUNK + 1);

		if (!grown)
			break;
		text = grown;
		text[len] = '\0';
		rc = SQLGetData(o->stmt, column, SQL_C_CHAR, text + len, TEXT_CHUNK, &left);
		if (rc == SQL_NO_DATA || left == SQL_NULL_DATA)
			break;
		if (!SQL_SUCCEEDED(rc)) {
			take_words(o, SQL_HANDLE_STMT, o->stmt);
			break;
		}
		len += strlen(text + len);
	} while (rc == SQL_SUCCESS_WITH_INFO);
	return text;
}

static void
get_rows(struct odbc *o, SQLSMALLINT columns)
{
	struct odbc_rows *rows = &o->rows;
	SQLRETURN rc = SQL_SUCCESS;

	rows->columns = (size_t)columns;
	while (o->ok && rows->n < ROWS_MAX && SQL_SUCCEEDED(rc = SQLFetch(o->stmt))) {
		char ***grown = realloc(rows->row, (rows->n + 1) * sizeof *grown);
		char **row = calloc((size_t)columns, sizeof *row);

		if (grown)
			rows->row = grown;
		if (!grown || !row) {
			free(row);
			snprintf(o->words, sizeof o->words, "out of memory");
			o->ok = false;
			return;
		}
		grown[rows->n++] = row;
		for (SQLSMALLINT i = 0; i < columns; i++)
			row[i] = get_text(o, (SQLUSMALLINT)(i + 1));
	}
	if (o->ok && rc != SQL_NO_DATA)
		take_words(o, SQL_HANDLE_STMT, o->stmt);
}

static void
do_ask(void *arg)
{
	struct odbc *o = arg;
	SQLSMALLINT columns = 0;
	SQLRETURN rc = SQLExecDirect(o->stmt, (SQLCHAR *)(uintptr_t)o->sql, SQL_NTS);

	o->ok = true;
	while (o->ok && (SQL_SUCCEEDED(rc) || (rc == SQL_NO_DATA && columns == 0))) {
		columns = 0;
		SQLNumResultCols(o->stmt, &columns);
		if (columns > 0 && o->want_rows && !o->rows.row)
			get_rows(o, columns);
		rc = SQLMoreResults(o->stmt);
		if (rc == SQL_NO_DATA)
			break;
	}
	if (o->ok && rc != SQL_NO_DATA)
		take_words(o, SQL_HANDLE_STMT, o->stmt);
	SQLFreeStmt(o->stmt, SQL_CLOSE);
}

/* --- the other side ----------------------------------------------------------------------------- */

void
odbc_quote(char *out, size_t cap, const char *value)
{
	size_t n = 0;

	/* Some drivers take braces for part of a user's name. */
	if (!strpbrk(value, ";{}[](),?*=!@ ")) {
		snprintf(out, cap, "%s", value);
		return;
	}
	out[n++] = '{';
	for (; *value && n + 3 < cap; value++) {
		if (*value == '}')
			out[n++] = '}';
		out[n++] = *value;
	}
	out[n++] = '}';
	out[n] = '\0';
}

static int
make_string(struct odbc *o, const char *database)
{
	char password[SECRET_MAX], quoted[2 * SECRET_MAX + 4] = "", driver[200], user[200], base[200];
	const char *options = call_str(&o->c, "odbc_options");
	struct net_endpoint ep;
	int rc;

	if (!net_endpoint_parse(call_str(&o->c, "server"), "1433", &ep))
		return call_fail(&o->c, RESITE_ERR_INVALID, "server", "'%s' is not host:port",
				 call_str(&o->c, "server"));
	rc = call_secret(&o->c, "password", password);
	if (rc != RESITE_OK)
		return rc;
	odbc_quote(quoted, sizeof quoted, password);
	odbc_quote(driver, sizeof driver, call_str(&o->c, "odbc_driver"));
	odbc_quote(user, sizeof user, call_str(&o->c, "user"));
	odbc_quote(base, sizeof base, database);
	snprintf(o->where, sizeof o->where, "%s/%s", ep.text, database);
	snprintf(o->string, sizeof o->string, "DRIVER=%s;SERVER=%s;PORT=%s;UID=%s;PWD=%s;DATABASE=%s;%s",
		 driver, ep.host, ep.port, user, quoted, base, options ? options : "");
	explicit_bzero(password, sizeof password);
	explicit_bzero(quoted, sizeof quoted);
	return RESITE_OK;
}

/* Runs work aside; a thread that did not come back keeps o. */
static int
aside(struct odbc *o, void (*work)(void *), int64_t ms, const char *what)
{
	int rc = aside_run(&o->c, work, o, ms);

	o->lost = rc != RESITE_OK;
	if (rc == RESITE_PENDING)
		return call_fail(&o->c, RESITE_ERR_TRANSIENT, NULL, "%s: %s: no answer within %lld ms",
				 o->where, what, (long long)ms);
	if (rc != RESITE_OK)
		return rc;
	return o->ok ? RESITE_OK : fail(o);
}

int
odbc_open(const struct call *c, const char *database, struct odbc **ret)
{
	struct odbc *o = calloc(1, sizeof *o);
	int rc;

	if (!o)
		return call_no_memory(c);
	o->c = *c;
	o->patience_ms = call_i64(c, "timeout");
	rc = make_string(o, database);
	if (rc == RESITE_OK)
		rc = aside(o, do_connect, o->patience_ms, "connecting");
	if (rc == RESITE_OK)
		*ret = o;
	else
		odbc_close(o);
	return rc;
}

void
odbc_close(struct odbc *o)
{
	/* A thread that waits for the server still uses it; the process ends soon. */
	if (!o || o->lost)
		return;
	explicit_bzero(o->string, sizeof o->string);
	if (o->stmt)
		SQLFreeHandle(SQL_HANDLE_STMT, o->stmt);
	if (o->dbc) {
		SQLDisconnect(o->dbc);
		SQLFreeHandle(SQL_HANDLE_DBC, o->dbc);
	}
	if (o->env)
		SQLFreeHandle(SQL_HANDLE_ENV, o->env);
	free(o);
}

int
odbc_ask(struct odbc *o, const char *sql, struct odbc_rows *ret)
{
	int rc;

	o->sql = sql;
	o->want_rows = ret != NULL;
	o->rows = (struct odbc_rows){0};
	rc = aside(o, do_ask, -1, "a statement");
	if (rc == RESITE_OK && ret)
		*ret = o->rows;
	else if (!o->lost)
		odbc_rows_free(&o->rows);
	return rc;
}

void
odbc_rows_free(struct odbc_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++) {
		for (size_t k = 0; k < rows->columns; k++)
			free(rows->row[i][k]);
		free(rows->row[i]);
	}
	free(rows->row);
	*rows = (struct odbc_rows){0};
}
