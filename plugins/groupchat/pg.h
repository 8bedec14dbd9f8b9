/* pg.h -- PostgreSQL through libpq, every wait bounded by the host. */
#ifndef GROUPCHAT_PG_H
#define GROUPCHAT_PG_H

#include "plugins/groupchat/call.h"

#include <libpq-fe.h>
#include <stdbool.h>

#define PG_ADDRESS_MAX 64
#define PG_WORDS_MAX 700

/* How to get into a server: from the parameters of a step. */
struct pg_login {
	const struct call *c;
	char host[256], port[6];      /* as the plan says */
	char address[PG_ADDRESS_MAX]; /* what the name resolved to */
	const char *user, *sslmode, *ca_file;
	char password[SECRET_MAX];
	int64_t patience_ms;          /* for one answer, but not for long work */
};

/* Fills *ret from the parameter that names the server (server, scratch_server) and the
 * parameters of the login. */
int pg_login(const struct call *c, const char *server_param, struct pg_login *ret);
void pg_login_wipe(struct pg_login *login);

struct pg {
	const struct pg_login *login;
	PGconn *conn;
	char where[360]; /* host:port/database */
	bool quiet;      /* failures go to the log: something else is being told */
};

/* Connects; RESITE_ERR_TRANSIENT when nobody answers. */
int pg_open(const struct pg_login *login, const char *database, struct pg *ret);
/* Closes the connection; the server drops what it was still doing for it. */
void pg_close(struct pg *pg);

/* Runs one statement with text parameters; the result, whose rows the caller may read, is
 * freed by the caller.  An answer that takes longer than the login's patience is
 * RESITE_ERR_TRANSIENT. */
int pg_ask(struct pg *pg, PGresult **ret, const char *sql, int n, const char *const *params);
/* The same for work that may take long: only the step's deadline ends it; no result. */
int pg_do(struct pg *pg, const char *sql);
/* Sends several statements at once, to be collected later one by one.  While they run,
 * the caller may do something else. */
int pg_send(struct pg *pg, const char *sql);
/* The next result of what was sent; *ret NULL: there are no more. */
int pg_collect(struct pg *pg, PGresult **ret);

/* A name quoted for SQL; to be freed with PQfreemem.  NULL: told. */
char *pg_name(struct pg *pg, const char *name);
/* The same for a text. */
char *pg_text(struct pg *pg, const char *text);

/* What the core should do about an error with this SQLSTATE. */
int pg_state_rc(const char *sqlstate);
/* What the operator should do about it; "" when the server's words say it all. */
const char *pg_state_advice(const char *sqlstate);

#endif
