/* db.h -- the database servers of a step: sdk/pg with the step's parameters, its failures told. */
#ifndef GROUPCHAT_DB_H
#define GROUPCHAT_DB_H

#include "plugins/groupchat/call.h"
#include "sdk/net/net.h"
#include "sdk/pg/pg.h"

#include <stdbool.h>

/* How to get into a server; points into itself and is not copied. */
struct db_login {
	const struct call *c;
	struct net_endpoint at;    /* the server, as the plan says */
	struct pg_login pg;        /* but for the database */
	char password[SECRET_MAX];
};

/* Fills *ret from the parameter that names the server (server, scratch_server) and the
 * parameters of the login. */
int db_login(const struct call *c, const char *server_param, struct db_login *ret);
void db_login_wipe(struct db_login *login);

struct db {
	const struct db_login *login;
	struct pg_login to;        /* login->pg with the database's name */
	struct pg pg;
	bool quiet;                /* failures go to the log: something else is being told */
};

/* Connects; RESITE_ERR_TRANSIENT when nobody answers. */
int db_open(const struct db_login *login, const char *database, struct db *ret);
/* Closes the connection, if there is one; the server drops what it was still doing for it. */
void db_close(struct db *db);

/* The functions of sdk/pg with the same names; every failure is told. */
int db_ask(struct db *db, PGresult **ret, const char *sql, int n, const char *const *params);
int db_do(struct db *db, const char *sql);
int db_send(struct db *db, const char *sql);
int db_next(struct db *db, PGresult **ret);

/* A name quoted for SQL; to be freed with PQfreemem.  NULL: told. */
char *db_name(struct db *db, const char *name);
/* The same for a text. */
char *db_text(struct db *db, const char *text);

#endif
