/* odbc.h -- one ODBC connection, its answers as text, its errors by SQLSTATE.  Drivers wait as
 * they like, so each call runs aside (aside.h) and can be cancelled. */
#ifndef GROUPCHAT_ODBC_H
#define GROUPCHAT_ODBC_H

#include "plugins/groupchat/call.h"

#include <stddef.h>

#define ODBC_WORDS_MAX 900

struct odbc;

/* What one statement gave: rows of texts, NULL as "". */
struct odbc_rows {
	char ***row; /* row[i][k] */
	size_t n, columns;
};

/* Connects by the step's server, user, password, odbc_driver and odbc_options to database. */
int odbc_open(const struct call *c, const char *database, struct odbc **ret);
void odbc_close(struct odbc *o); /* NULL is allowed */
/* Runs one statement, to its last result: a BACKUP says that it failed only at its end.  ret:
 * the rows of the first result that has some; may be NULL. */
int odbc_ask(struct odbc *o, const char *sql, struct odbc_rows *ret);
void odbc_rows_free(struct odbc_rows *rows);

/* Puts a value into a connection string, in braces when it must be: PWD={a;b}}c} (pure). */
void odbc_quote(char *out, size_t cap, const char *value);
/* What the core should do about an error with this SQLSTATE and native error (pure). */
int odbc_state_rc(const char *sqlstate, long native);

#endif
