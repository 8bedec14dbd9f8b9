/* A marker in PostgreSQL: written, read back and deleted, each committed. */
#include "plugins/archiving/gate.h"

#include "sdk/pg/pg.h"

#include <inttypes.h>
#include <string.h>

/* What an attempt that never came back left, and nobody's attempt takes so long. */
#define OLD "interval '1 hour'"

struct archive {
	struct resite_op *op;
	const struct resite_host *host;
	struct pg_login login;
	struct pg pg;
	char password[512];
	const char *table, *messages, *writer;
};

/* --- failures -------------------------------------------------------------------------- */

/* What to do about errors that pg knows nothing of; by the beginning of the SQLSTATE. */
static const struct {
	const char *state, *advice;
} advices[] = {
	{"42P01", "make the table as plugins/archiving/schema.sql does, or say its name in 'table'"},
	{"42703", "the table must have the columns id and written, as in plugins/archiving/schema.sql"},
	{"3F000", "make the table as plugins/archiving/schema.sql does, or say its name in 'table'"},
	{"08", "is the server up? Where it is, it may wait for a synchronous standby that is lost with the "
	       "other site: SHOW synchronous_standby_names; ALTER SYSTEM SET synchronous_standby_names = "
	       "''; SELECT pg_reload_conf()"},
	{"", "when that is mended, retry"},
};

static int
refuse(struct archive *a, int rc, const char *what)
{
	size_t i = 0;

	while (strncmp(a->pg.state, advices[i].state, strlen(advices[i].state)))
		i++;
	return resite_fail(a->op, a->host, rc, NULL, "%s: %s; %s; nobody has been moved by this step", what,
			   a->pg.err, advices[i].advice);
}

/* --- connecting ------------------------------------------------------------------------ */

static int
take_password(struct archive *a)
{
	const char *ref = resite_str_or(a->op, a->host, "password", NULL);
	int len = ref ? a->host->secret(a->op, ref, a->password, sizeof a->password - 1) : 0;

	if (len < 0 || len >= (int)sizeof a->password)
		return resite_fail(a->op, a->host, RESITE_ERR_INVALID, "password",
				   "password cannot be read, or is longer than %zu bytes",
				   sizeof a->password - 1);
	while (len && (a->password[len - 1] == '\n' || a->password[len - 1] == '\r'))
		len--;
	a->password[len] = '\0';
	return RESITE_OK;
}

static int
archive_open(struct archive *a, struct resite_op *op, const struct resite_host *host)
{
	int rc;

	*a = (struct archive){.op = op, .host = host};
	a->table = host->param_str(op, "table", 0);
	a->messages = resite_str_or(op, host, "messages", NULL);
	a->writer = resite_str_or(op, host, "writer", NULL);
	a->login = (struct pg_login){
		.op = op, .host = host,
		.server = host->param_str(op, "server", 0),
		.database = host->param_str(op, "database", 0),
		.user = host->param_str(op, "user", 0),
		.password = a->password,
		.tls = resite_str_or(op, host, "sslmode", NULL),
		.ca_file = resite_str_or(op, host, "ca_file", NULL),
		.application = "resite archiving",
		.patience_ms = resite_i64_or(op, host, "timeout", 10000),
	};
	rc = take_password(a);
	if (rc != RESITE_OK)
		return rc;
	rc = pg_open(&a->pg, &a->login);
	return rc == RESITE_OK ? rc : refuse(a, rc, "the archive does not let us in");
}

static void
archive_close(struct archive *a)
{
	pg_close(&a->pg);
	explicit_bzero(a->password, sizeof a->password);
}

/* --- looking --------------------------------------------------------------------------- */

/* What must be so: a query that says true, and what to say and type otherwise.  %s: the table of
 * markers, the archive's own, its writer. */
enum { MARKERS = 1, MESSAGES = 2, WRITER = 4 };
static const struct {
	unsigned params; /* the query's, in this order; all must be given */
	const char *sql, *otherwise;
} needs[] = {
	{0, "SELECT NOT pg_is_in_recovery()",
	 "this server is a standby: promote it first (SELECT pg_promote())"},
	{0, "SELECT current_setting('transaction_read_only') = 'off'",
	 "this server takes no writes: default_transaction_read_only is on"},
	{MARKERS, "SELECT to_regclass($1) IS NOT NULL",
	 "there is no table of markers: make it as plugins/archiving/schema.sql does, or say its name in "
	 "'table'"},
	{MARKERS, "SELECT has_table_privilege($1, 'select') AND has_table_privilege($1, 'insert') AND "
	 "has_table_privilege($1, 'delete')",
	 "this user may not write markers: GRANT SELECT, INSERT, DELETE on the table, and USAGE on its "
	 "schema"},
	{MESSAGES, "SELECT to_regclass($1) IS NOT NULL", "there is no such table of messages"},
	{MESSAGES | WRITER, "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $2) AND "
	 "$1 <> ''", "there is no such role of the archive ('writer')"},
	{MESSAGES | WRITER, "SELECT has_table_privilege($2, $1, 'insert')",
	 "the archive's own role ('writer') may not insert into its table: GRANT INSERT"},
};

static int
look_at(struct archive *a, size_t i)
{
	const struct {
		unsigned flag;
		const char *value;
	} all[] = {{MARKERS, a->table}, {MESSAGES, a->messages}, {WRITER, a->writer}};
	const char *params[3], *of = "";
	PGresult *r = NULL;
	int n = 0, rc;
	bool good;

	for (size_t k = 0; k < 3; k++)
		if (needs[i].params & all[k].flag) {
			if (!all[k].value)
				return RESITE_OK;
			params[n++] = all[k].value;
			of = *of ? of : all[k].value;
		}
	rc = pg_ask(&a->pg, &r, false, needs[i].sql, n, params);
	if (rc != RESITE_OK)
		return refuse(a, rc, "the archive cannot be looked at");
	good = PQntuples(r) == 1 && !strcmp(PQgetvalue(r, 0, 0), "t");
	PQclear(r);
	return good ? RESITE_OK
		    : resite_fail(a->op, a->host, RESITE_ERR_REFUSED, NULL, "%s: %s%s%s; nobody has been "
				  "moved by this step", a->pg.where, of, *of ? ": " : "", needs[i].otherwise);
}

int
marker_look(struct resite_op *op, const struct resite_host *host, char *where, size_t size)
{
	struct archive a;
	int rc = archive_open(&a, op, host);

	for (size_t i = 0; rc == RESITE_OK && i < sizeof needs / sizeof *needs; i++)
		rc = look_at(&a, i);
	snprintf(where, size, "%s, table %s", a.pg.where, a.table);
	archive_close(&a);
	return rc;
}

/* --- the marker ------------------------------------------------------------------------ */

static int
statement(struct archive *a, const char *before, const char *after, const char *id, uint64_t *ret_rows)
{
	char sql[400];
	PGresult *r = NULL;
	int rc;

	/* gate_is_table has seen the name. */
	snprintf(sql, sizeof sql, "%s %s %s", before, a->table, after);
	rc = pg_ask(&a->pg, &r, false, sql, 1, &id);
	if (rc == RESITE_OK && ret_rows)
		*ret_rows = PQresultStatus(r) == PGRES_TUPLES_OK ? (uint64_t)PQntuples(r) : a->pg.touched;
	PQclear(r);
	return rc;
}

static int
sweep(struct archive *a, const char *known)
{
	uint64_t n = 0;
	int rc = statement(a, "DELETE FROM",
			   "WHERE id = $1 OR (id LIKE '" MARKER_PREFIX "%' AND written < now() - " OLD ")",
			   known ? known : "", &n);

	if (rc != RESITE_OK)
		return refuse(a, rc, "markers of earlier attempts cannot be removed");
	if (n)
		resite_log(a->op, a->host, RESITE_LOG_INFO,
			   "%s: %" PRIu64 " marker%s that an earlier attempt left in %s removed", a->pg.where,
			   n, n == 1 ? "" : "s", a->table);
	return RESITE_OK;
}

static int
lies(struct archive *a, const char *what)
{
	return resite_fail(a->op, a->host, RESITE_ERR_REFUSED, NULL,
			   "%s: table %s %s: is there a trigger, a rule or row security on it? Nobody has "
			   "been moved by this step", a->pg.where, a->table, what);
}

/* What is left is named, and the next attempt removes it. */
static int
left_behind(struct archive *a, int rc, const char *id)
{
	resite_log(a->op, a->host, RESITE_LOG_WARN,
		   "%s: the marker may still be there; the next attempt removes it, or: DELETE FROM %s WHERE "
		   "id = '%s'", a->pg.where, a->table, id);
	return rc;
}

/* *ret_there: the marker can be there.  A server that says no has not taken it. */
static int
write_and_read(struct archive *a, const char *id, bool *ret_there)
{
	uint64_t written = 0, read = 0;
	int rc = statement(a, "INSERT INTO", "(id) VALUES ($1)", id, &written);

	*ret_there = rc == RESITE_OK || !strncmp(a->pg.state, "08", 2) || !*a->pg.state;
	if (rc != RESITE_OK)
		return refuse(a, rc, "the archive does not take a marker");
	rc = statement(a, "SELECT id FROM", "WHERE id = $1", id, &read);
	if (rc != RESITE_OK)
		return refuse(a, rc, "the marker cannot be read back");
	if (written != 1 || read != 1)
		return lies(a, "took the marker without an error and does not have it");
	return RESITE_OK;
}

/* Also after a failure: what was written must not stay. */
static int
take_away(struct archive *a, int before, const char *id)
{
	uint64_t deleted = 0;
	int rc = statement(a, "DELETE FROM", "WHERE id = $1", id, &deleted);

	if (before != RESITE_OK)
		return rc == RESITE_OK ? before : left_behind(a, before, id);
	if (rc != RESITE_OK)
		return left_behind(a, refuse(a, rc, "the marker cannot be deleted"), id);
	return deleted == 1 ? RESITE_OK : left_behind(a, lies(a, "does not give the marker up"), id);
}

int
marker_prove(struct resite_op *op, const struct resite_host *host, const char *known,
	     const char *id)
{
	struct archive a;
	bool there = false;
	int rc = archive_open(&a, op, host);

	if (rc == RESITE_OK)
		rc = sweep(&a, known);
	if (rc == RESITE_OK)
		rc = write_and_read(&a, id, &there);
	if (there)
		rc = take_away(&a, rc, id);
	archive_close(&a);
	return rc;
}

int
marker_is_gone(struct resite_op *op, const struct resite_host *host, const char *id)
{
	struct archive a;
	uint64_t n = 0;
	int rc = archive_open(&a, op, host);

	if (rc == RESITE_OK) {
		rc = statement(&a, "SELECT id FROM", "WHERE id = $1", id, &n);
		if (rc != RESITE_OK)
			rc = refuse(&a, rc, "the archive cannot be looked at");
		else if (n)
			rc = left_behind(&a, lies(&a, "still has the marker that was deleted"), id);
	}
	archive_close(&a);
	return rc;
}
