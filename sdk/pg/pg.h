/* pg.h -- PostgreSQL through libpq for plugins, with every wait bounded by the host.
 *
 * Functions return enum resite_rc; on anything but RESITE_OK pg->err says why, in the
 * server's words and with what to do about it, and pg->state is the SQLSTATE.
 */
#ifndef RESITE_SDK_PG_PG_H
#define RESITE_SDK_PG_PG_H

#include <resite/plugin.h>

#include <libpq-fe.h>
#include <stdbool.h>

/* How to get into a database; all is the caller's and outlives what is opened with it. */
struct pg_login {
	struct resite_op *op;
	const struct resite_host *host;
	const char *server;      /* host:port as in the plan; 5432 when it says no port */
	const char *database;
	const char *user;
	const char *password;    /* NULL or "": none */
	const char *tls;         /* sslmode of libpq; NULL: prefer */
	const char *ca_file;     /* PEM; NULL: libpq's own */
	const char *application; /* how it is seen in pg_stat_activity */
	const char *session;     /* SQL for each session, besides our own; NULL: none */
	int64_t patience_ms;     /* for an answer that does not depend on how much work there is */
};

struct pg {
	const struct pg_login *login;
	PGconn *conn;
	char where[400]; /* host:port/database, for messages */
	uint64_t touched; /* rows that the last statements inserted, updated, deleted or copied */
	char state[6];   /* of the last error; 08006 for a connection that broke */
	char err[900];
};

/* Connects; RESITE_ERR_TRANSIENT when nobody answers.  pg_close in both cases. */
int pg_open(struct pg *pg, const struct pg_login *login);
void pg_close(struct pg *pg);

/* One statement with text parameters; *ret is the caller's (PQclear).  binary: the rows come in
 * the server's binary form.  An answer that takes longer than patience_ms is TRANSIENT. */
int pg_ask(struct pg *pg, PGresult **ret, bool binary, const char *sql, int n,
	   const char *const *params);
/* Statements without parameters; only the step's deadline ends it.  ret NULL: no result wanted,
 * else that of the last one. */
int pg_do(struct pg *pg, const char *sql, PGresult **ret);
/* The same in two halves: between them the server works and the caller does something else. */
int pg_send(struct pg *pg, const char *sql);
int pg_finish(struct pg *pg, PGresult **ret);
/* Instead of pg_finish: the results one by one, as they come; *ret NULL: there are no more. */
int pg_next(struct pg *pg, PGresult **ret);

/* sql ends with a COPY ... FROM STDIN. */
int pg_copy_begin(struct pg *pg, const char *sql);
/* Waits while the server takes nothing, so that nothing piles up here. */
int pg_copy_data(struct pg *pg, const char *data, size_t len);
int pg_copy_end(struct pg *pg);

/* What the core should do about an error with this SQLSTATE. */
int pg_state_rc(const char *sqlstate);

#endif
