#include "plugins/response-groups/db.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQL_MAX 16384

static int
fail_pg(struct rgs_db *db, struct rgs_error *e, int rc)
{
	return rgs_fail(e, rc, "%s", db->pg.err);
}

/* A statement with the table's qualified name in the place of each %s. */
#define TABLE_SQL(buf, fmt, db, t) \
	snprintf(buf, sizeof buf, fmt, (db)->schema, rgs_tables[t].table)

/* --- the schema ------------------------------------------------------------------------- */

/* In the order of the names, so that two servers can be compared. */
static const char columns_sql[] =
	"SELECT ' ' || string_agg(attname, ' ' ORDER BY attname) || ' ',"
	" string_agg(format('%I = EXCLUDED.%I', attname, attname), ', ') "
	"FROM pg_catalog.pg_attribute WHERE attrelid = pg_catalog.to_regclass($1) "
	"AND attnum > 0 AND NOT attisdropped";

static int
take_columns(struct rgs_db *db, enum rgs_table t, const PGresult *r, struct rgs_error *e)
{
	const char *columns = PQgetvalue(r, 0, 0);

	if (PQgetisnull(r, 0, 0))
		return rgs_fail(e, RESITE_ERR_REFUSED,
				"%s: there is no table %s.%s: is this the database of response groups?",
				db->pg.where, db->schema, rgs_tables[t].table);
	if (!strstr(columns, " id ") || !strstr(columns, " name ") || !strstr(columns, " owner "))
		return rgs_fail(e, RESITE_ERR_REFUSED,
				"%s: the table %s.%s has no column id, name or owner: it is of another "
				"version", db->pg.where, db->schema, rgs_tables[t].table);
	db->columns[t] = strdup(columns);
	db->updates[t] = strdup(PQgetvalue(r, 0, 1));
	return db->columns[t] && db->updates[t] ? RESITE_OK
						: rgs_fail(e, RESITE_ERR_TRANSIENT, "out of memory");
}

static int
read_columns(struct rgs_db *db, enum rgs_table t, struct rgs_error *e)
{
	char name[300];
	const char *params[] = {name};
	PGresult *r;
	int rc;

	TABLE_SQL(name, "%s.%s", db, t);
	rc = pg_ask(&db->pg, &r, false, columns_sql, 1, params);
	if (rc < 0)
		return fail_pg(db, e, rc);
	rc = take_columns(db, t, r, e);
	PQclear(r);
	return rc;
}

int
rgs_db_open(struct rgs_db *db, const struct pg_login *login, const char *schema,
	    struct rgs_error *e)
{
	int rc;

	*db = (struct rgs_db){0};
	rc = pg_open(&db->pg, login);
	if (rc < 0)
		return fail_pg(db, e, rc);
	db->schema = PQescapeIdentifier(db->pg.conn, schema, strlen(schema));
	if (!db->schema)
		return rgs_fail(e, RESITE_ERR_INVALID, "'%s' cannot name a schema", schema);
	for (enum rgs_table t = 0; t < RGS_TABLES; t++)
		if (read_columns(db, t, e) < 0)
			return e->rc;
	return RESITE_OK;
}

void
rgs_db_close(struct rgs_db *db)
{
	for (enum rgs_table t = 0; t < RGS_TABLES; t++) {
		free(db->columns[t]);
		free(db->updates[t]);
	}
	PQfreemem(db->schema);
	pg_close(&db->pg);
	*db = (struct rgs_db){0};
}

/* --- reading ------------------------------------------------------------------------------ */

static int
take_rows(enum rgs_table t, const PGresult *r, struct rgs_rows *rows, struct rgs_error *e)
{
	for (int i = 0; i < PQntuples(r); i++)
		if (rgs_rows_add(rows, t, PQgetvalue(r, i, 0), PQgetvalue(r, i, 1), e) < 0)
			return e->rc;
	return RESITE_OK;
}

static int
read_table(struct rgs_db *db, enum rgs_table t, const char *owner, struct rgs_rows *rows,
	   struct rgs_error *e)
{
	const char *params[] = {t == RGS_SETTINGS ? NULL : owner};
	char sql[512];
	PGresult *r;
	int rc;

	TABLE_SQL(sql, "SELECT t.owner, (pg_catalog.to_jsonb(t) - 'owner')::text FROM %s.%s t "
		       "WHERE $1::text IS NULL OR t.owner = $1", db, t);
	rc = pg_ask(&db->pg, &r, false, sql, 1, params);
	if (rc < 0)
		return fail_pg(db, e, rc);
	rc = take_rows(t, r, rows, e);
	PQclear(r);
	return rc;
}

static int
read_tables(struct rgs_db *db, const char *owner, struct rgs_rows *ret, struct rgs_error *e)
{
	for (enum rgs_table t = 0; t < RGS_TABLES; t++)
		if (read_table(db, t, owner, ret, e) < 0)
			return e->rc;
	return rgs_rows_end(ret, db->pg.where, e);
}

int
rgs_db_read(struct rgs_db *db, const char *owner, struct rgs_rows *ret, struct rgs_error *e)
{
	/* Within rgs_db_lock the tables stand still; else one snapshot makes them. */
	bool own = PQtransactionStatus(db->pg.conn) == PQTRANS_IDLE;
	int rc = own ? pg_do(&db->pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", NULL)
		     : RESITE_OK;

	if (rc < 0)
		return fail_pg(db, e, rc);
	*ret = (struct rgs_rows){0};
	rc = read_tables(db, owner, ret, e);
	if (own && rc == RESITE_OK && (rc = pg_do(&db->pg, "COMMIT", NULL)) < 0)
		fail_pg(db, e, rc);
	if (rc < 0)
		rgs_rows_release(ret);
	return rc;
}

/* --- changing ------------------------------------------------------------------------------- */

int
rgs_db_lock(struct rgs_db *db, struct rgs_error *e)
{
	char sql[SQL_MAX];
	int len, rc;

	len = snprintf(sql, sizeof sql,
		       "BEGIN; SET LOCAL lock_timeout = %lld; SET CONSTRAINTS ALL DEFERRED; LOCK TABLE ",
		       (long long)db->pg.login->patience_ms);
	for (enum rgs_table t = 0; t < RGS_TABLES; t++)
		len += snprintf(sql + len, sizeof sql - (size_t)len, "%s%s.%s", t ? ", " : "",
				db->schema, rgs_tables[t].table);
	snprintf(sql + len, sizeof sql - (size_t)len, " IN SHARE ROW EXCLUSIVE MODE");
	rc = pg_do(&db->pg, sql, NULL);
	return rc < 0 ? fail_pg(db, e, rc) : RESITE_OK;
}

static bool
has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = words; (p = strstr(p, word)); p++)
		if (p > words && p[-1] == ' ' && p[len] == ' ')
			return true;
	return false;
}

int
rgs_db_fits(const struct rgs_db *db, const struct rgs_row *row, struct rgs_error *e)
{
	json_t *json = json_loads(row->body, 0, NULL), *value;
	const char *columns = db->columns[row->table], *key;
	char label[RGS_LABEL_MAX];
	size_t have = 1, want = 0; /* owner is not in the body */
	int rc = RESITE_OK;

	rgs_label(row, label);
	for (const char *p = columns; (p = strchr(p + 1, ' '));)
		want++;
	json_object_foreach(json, key, value) {
		have++;
		if (!has_word(columns, key) && rc == RESITE_OK)
			rc = rgs_fail(e, RESITE_ERR_REFUSED,
				      "%s has '%.60s', which %s.%s at %s has not: the two sites have "
				      "different versions", label, key, db->schema,
				      rgs_tables[row->table].table, db->pg.where);
	}
	json_decref(json);
	if (rc == RESITE_OK && have != want)
		rc = rgs_fail(e, RESITE_ERR_REFUSED,
			      "%s has %zu columns, %s.%s at %s has %zu: the two sites have different "
			      "versions", label, have, db->schema, rgs_tables[row->table].table,
			      db->pg.where, want);
	return rc;
}

static int
change(struct rgs_db *db, const char *sql, const char *const *params, int n, const char *label,
       struct rgs_error *e)
{
	PGresult *r;
	int rc = pg_ask(&db->pg, &r, false, sql, n, params);

	if (rc < 0)
		return rgs_fail(e, rc, "%s: %s", label, db->pg.err);
	PQclear(r);
	return RESITE_OK;
}

int
rgs_db_put(struct rgs_db *db, enum rgs_table table, const char *owner, const char *body,
	   const char *label, struct rgs_error *e)
{
	const char *params[] = {body, owner};
	char sql[SQL_MAX];
	int len;

	len = snprintf(sql, sizeof sql,
		       "INSERT INTO %s.%s SELECT r.* FROM pg_catalog.jsonb_populate_record("
		       "NULL::%s.%s, $1::jsonb || pg_catalog.jsonb_build_object('owner', $2::text)) r "
		       "ON CONFLICT (id) DO UPDATE SET %s",
		       db->schema, rgs_tables[table].table, db->schema, rgs_tables[table].table,
		       db->updates[table]);
	if (len < 0 || (size_t)len >= sizeof sql)
		return rgs_fail(e, RESITE_ERR_REFUSED, "%s: the table has too many columns", label);
	return change(db, sql, params, 2, label, e);
}

int
rgs_db_delete(struct rgs_db *db, enum rgs_table table, const char *id, const char *label,
	      struct rgs_error *e)
{
	char sql[512];

	TABLE_SQL(sql, "DELETE FROM %s.%s WHERE id::text = $1", db, table);
	return change(db, sql, &id, 1, label, e);
}

int
rgs_db_commit(struct rgs_db *db, struct rgs_error *e)
{
	int rc = pg_do(&db->pg, "COMMIT", NULL);

	/* A commit whose answer did not come may have been carried out or not: probe says. */
	return rc < 0 ? fail_pg(db, e, rc) : RESITE_OK;
}
