#include "plugins/groupchat/db.h"

#include <stdio.h>
#include <string.h>

/* Values must read the same from every server, and no schema may come between us and the
 * catalog.  What we say is done is done, whatever the server's or the role's settings: the
 * swap makes durable all that was restored before it. */
static const char session_sql[] =
	"SET search_path = pg_catalog; SET IntervalStyle = 'postgres'; SET extra_float_digits = 1;"
	"SET bytea_output = 'hex'; SET row_security = off;"
	"SELECT set_config(name, 'on', false) FROM pg_settings"
	" WHERE name = 'synchronous_commit' AND setting = 'off'";

/* What to do about errors that sdk/pg cannot know: they are about whole databases. */
static const struct {
	const char *state, *advice;
} advices[] = {
	{"42704", "; create it on the server first"},
	{"55006", "; stop who uses it, or say disconnect = true"},
	{"", ""},
};

/* Hands the failure to the host; a cancelled step needs no words. */
static int
told(struct db *db, int rc)
{
	const struct call *c = db->login->c;
	size_t i = 0;

	if (rc == RESITE_OK || rc == RESITE_ERR_CANCELLED)
		return rc;
	while (strncmp(db->pg.state, advices[i].state, strlen(advices[i].state)))
		i++;
	if (!db->quiet)
		return call_fail(c, rc, NULL, "%s%s", db->pg.err, advices[i].advice);
	call_log(c, RESITE_LOG_WARN, "%s", db->pg.err);
	return rc;
}

/* --- login ---------------------------------------------------------------------------- */

int
db_login(const struct call *c, const char *server_param, struct db_login *ret)
{
	const char *server = call_str(c, server_param);

	*ret = (struct db_login){.c = c};
	if (!net_endpoint_parse(server, "5432", &ret->at))
		return call_fail(c, RESITE_ERR_INVALID, server_param, "'%s' is not host:port", server);
	ret->pg = (struct pg_login){
		.op = c->op, .host = c->host, .server = ret->at.text, .user = call_str(c, "user"),
		.password = ret->password, .tls = call_str(c, "sslmode"),
		.ca_file = call_str(c, "ca_file"), .application = "resite groupchat",
		.session = session_sql, .patience_ms = call_i64(c, "timeout"),
	};
	return call_secret(c, "password", ret->password);
}

void
db_login_wipe(struct db_login *login)
{
	explicit_bzero(login->password, sizeof login->password);
}

int
db_open(const struct db_login *login, const char *database, struct db *ret)
{
	int rc;

	*ret = (struct db){.login = login, .to = login->pg};
	ret->to.database = database;
	rc = told(ret, pg_open(&ret->pg, &ret->to));
	if (rc != RESITE_OK)
		db_close(ret);
	return rc;
}

void
db_close(struct db *db)
{
	pg_close(&db->pg);
}

/* --- asking ------------------------------------------------------------------------------ */

int
db_ask(struct db *db, PGresult **ret, const char *sql, int n, const char *const *params)
{
	return told(db, pg_ask(&db->pg, ret, false, sql, n, params));
}

int
db_do(struct db *db, const char *sql)
{
	return told(db, pg_do(&db->pg, sql, NULL));
}

int
db_send(struct db *db, const char *sql)
{
	return told(db, pg_send(&db->pg, sql));
}

int
db_next(struct db *db, PGresult **ret)
{
	return told(db, pg_next(&db->pg, ret));
}

static char *
quoted(struct db *db, char *text)
{
	if (!text)
		call_fail(db->login->c, RESITE_ERR_TRANSIENT, NULL, "%s: %s", db->pg.where,
			  PQerrorMessage(db->pg.conn));
	return text;
}

char *
db_name(struct db *db, const char *name)
{
	return quoted(db, PQescapeIdentifier(db->pg.conn, name, strlen(name)));
}

char *
db_text(struct db *db, const char *text)
{
	return quoted(db, PQescapeLiteral(db->pg.conn, text, strlen(text)));
}
