/* db.h -- a response group configuration in PostgreSQL. */
#ifndef RESPONSE_GROUPS_DB_H
#define RESPONSE_GROUPS_DB_H

#include "plugins/response-groups/decide.h"
#include "sdk/pg/pg.h"

struct rgs_db {
	struct pg pg;
	char *schema;              /* quoted for SQL */
	char *columns[RGS_TABLES]; /* of each table: " name name ... " */
	char *updates[RGS_TABLES]; /* "a = EXCLUDED.a, ..." */
};

/* Connects and sees that the schema is one that we know.  rgs_db_close in both cases. */
int rgs_db_open(struct rgs_db *db, const struct pg_login *login, const char *schema,
		struct rgs_error *e);
void rgs_db_close(struct rgs_db *db);

/* All rows of owner (NULL: of everybody) and all settings, as of one moment. */
int rgs_db_read(struct rgs_db *db, const char *owner, struct rgs_rows *ret, struct rgs_error *e);

/* Begins a transaction in which nobody else can change the tables. */
int rgs_db_lock(struct rgs_db *db, struct rgs_error *e);
/* RESITE_ERR_REFUSED when the row's columns are not the table's: another version. */
int rgs_db_fits(const struct rgs_db *db, const struct rgs_row *row, struct rgs_error *e);
/* Puts a row as body with that owner, new or in the place of the one with its id. */
int rgs_db_put(struct rgs_db *db, enum rgs_table table, const char *owner, const char *body,
	       const char *label, struct rgs_error *e);
int rgs_db_delete(struct rgs_db *db, enum rgs_table table, const char *id, const char *label,
		  struct rgs_error *e);
int rgs_db_commit(struct rgs_db *db, struct rgs_error *e);

#endif
