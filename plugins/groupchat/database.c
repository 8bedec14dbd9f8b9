#include "plugins/groupchat/database.h"

#include "plugins/groupchat/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What a mark begins with: it is the database's comment, which its owner may set, which stays
 * when it is renamed and which pg_dump leaves out. */
#define MARK "restored by resite from "

void
database_name(char out[DATABASE_NAME_MAX + 1], const char *live, const char *suffix)
{
	size_t keep = DATABASE_NAME_MAX - strlen(suffix), len = strlen(live);

	len = len < keep ? len : keep;
	/* Not in the middle of a UTF-8 character. */
	while (len > 0 && len < strlen(live) && ((unsigned char)live[len] & 0xc0) == 0x80)
		len--;
	snprintf(out, DATABASE_NAME_MAX + 1, "%.*s%s", (int)len, live, suffix);
}

/* A sort of PostgreSQL takes runs as large as its memory and merges as many at once as there are
 * buffers of 256 kB in it.  More than one merge needs does harm: runs that stay in the
 * processor's cache are sorted quicker (1,000,000 messages: 8 MB take a quarter less time of the
 * processor than 256 MB).  A dump is compressed; an index has some of what is in it. */
int64_t
index_memory(int64_t dump_bytes)
{
	const int64_t merge_buffer = 256 * 1024, most = 256 * INT64_C(1048576);
	int64_t memory = 8 * INT64_C(1048576);

	while (memory < most && memory / merge_buffer * memory / 4 < dump_bytes)
		memory *= 2;
	return memory;
}

/* --- looking ---------------------------------------------------------------------------- */

int
server_look(struct db *db, struct server *ret)
{
	static const char sql[] =
		"SELECT current_setting('server_version_num'), current_setting('server_version'),"
		" pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
		" ELSE pg_current_wal_lsn() END";
	PGresult *r;
	int rc = db_ask(db, &r, sql, 0, NULL);

	if (rc != RESITE_OK)
		return rc;
	ret->version = atoi(PQgetvalue(r, 0, 0));
	snprintf(ret->version_text, sizeof ret->version_text, "%s", PQgetvalue(r, 0, 1));
	ret->standby = *PQgetvalue(r, 0, 2) == 't';
	snprintf(ret->wal, sizeof ret->wal, "%s", PQgetvalue(r, 0, 3));
	PQclear(r);
	return RESITE_OK;
}

/* Some columns of pg_database have come and changed their names with versions 15 and 17. */
static const char look_sql[] =
	"SELECT d.oid, pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), d.datcollate,"
	" d.datctype, CASE WHEN to_jsonb(d)->>'datlocprovider' = 'i'"
	"  THEN coalesce(to_jsonb(d)->>'daticulocale', to_jsonb(d)->>'datlocale') ELSE '' END,"
	" coalesce(substr(nullif(shobj_description(d.oid, 'pg_database'), ''),"
	"  length('" MARK "') + 1), ''), coalesce(shobj_description(d.oid, 'pg_database')"
	"  LIKE '" MARK "%', false),"
	" (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid AND a.pid <> pg_backend_pid()"
	"  AND a.backend_type = 'client backend'),"
	" coalesce((SELECT string_agg(w, ', ') FROM (SELECT DISTINCT"
	"  coalesce(usename, '?') || coalesce(' from ' || host(client_addr), ' on a local socket')"
	"  || coalesce(' (' || nullif(application_name, '') || ')', '') AS w FROM pg_stat_activity a"
	"  WHERE a.datid = d.oid AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'"
	"  LIMIT 5) x), '')"
	" FROM pg_database d WHERE d.datname = $1";

#define COPY_VALUE(field, column) \
	snprintf(field, sizeof field, "%.*s", (int)sizeof field - 1, PQgetvalue(r, 0, column))

int
database_look(struct db *db, const char *name, struct database *ret)
{
	PGresult *r;
	int rc = db_ask(db, &r, look_sql, 1, &name);

	*ret = (struct database){0};
	if (rc != RESITE_OK)
		return rc;
	if (PQntuples(r) == 1) {
		ret->exists = true;
		COPY_VALUE(ret->oid, 0);
		COPY_VALUE(ret->form.owner, 1);
		COPY_VALUE(ret->form.encoding, 2);
		COPY_VALUE(ret->form.collate, 3);
		COPY_VALUE(ret->form.ctype, 4);
		COPY_VALUE(ret->form.icu_locale, 5);
		if (*PQgetvalue(r, 0, 7) == 't')
			COPY_VALUE(ret->mark, 6);
		ret->connections = strtoull(PQgetvalue(r, 0, 8), NULL, 10);
		one_line(ret->who, sizeof ret->who, PQgetvalue(r, 0, 9));
	}
	PQclear(r);
	return RESITE_OK;
}

/* --- beside others ------------------------------------------------------------------------- */

#define LOOK_AGAIN_MS 100

#define NUMBER_(n) #n
#define NUMBER(n) NUMBER_(n)
#define TURN NUMBER(DATABASE_TURN)

/* Who has the turn, in a text; nobody: it was given back a moment ago. */
static int
turn_holder(struct db *db, const char *name, char out[300])
{
	static const char sql[] =
		"SELECT format('session %s of %s%s, there since %s', a.pid, a.usename,"
		" coalesce(' from ' || host(a.client_addr), ''), to_char(a.backend_start, 'HH24:MI:SS')),"
		" a.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.granted"
		" AND l.locktype = 'advisory' AND l.classid = " TURN "::oid"
		" AND l.objid::int8 = (hashtext($1)::int8 & 4294967295)"
		" AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())";
	PGresult *r;
	int rc = db_ask(db, &r, sql, 1, &name);

	if (rc != RESITE_OK)
		return rc;
	if (PQntuples(r) == 1)
		snprintf(out, 300, "%.200s (SELECT pg_terminate_backend(%s) ends it)",
			 PQgetvalue(r, 0, 0), PQgetvalue(r, 0, 1));
	else
		snprintf(out, 300, "nobody now");
	PQclear(r);
	return RESITE_OK;
}

static int
try_turn(struct db *db, const char *name, bool *ours)
{
	PGresult *r;
	int rc = db_ask(db, &r, "SELECT pg_try_advisory_lock(" TURN ", hashtext($1))", 1, &name);

	if (rc != RESITE_OK)
		return rc;
	*ours = *PQgetvalue(r, 0, 0) == 't';
	PQclear(r);
	return RESITE_OK;
}

/* RESITE_OK: look again. */
static int
pause_until(const struct call *c, int64_t until)
{
	int rc;

	if (net_now_ms() >= until)
		return RESITE_PENDING;
	rc = c->host->wait(c->op, -1, 0, LOOK_AGAIN_MS);
	return rc == RESITE_PENDING ? RESITE_OK : rc;
}

int
database_turn(struct db *db, const char *name, int64_t ms)
{
	const struct call *c = db->login->c;
	int64_t until = net_now_ms() + ms;
	char who[300] = "";
	bool ours = false;
	int rc = try_turn(db, name, &ours);

	while (rc == RESITE_OK && !ours) {
		if (!*who && (rc = turn_holder(db, name, who)) == RESITE_OK)
			call_log(c, RESITE_LOG_WARN, "waiting until another attempt or run is done with "
				 "database %s: %s", name, who);
		if (rc == RESITE_OK)
			rc = pause_until(c, until);
		if (rc == RESITE_PENDING)
			return call_fail(c, RESITE_ERR_TRANSIENT, NULL, "another attempt or run is at "
					 "work on database %s at %s: %s", name, db->login->at.text, who);
		if (rc == RESITE_OK)
			rc = try_turn(db, name, &ours);
	}
	return rc;
}

int
database_await_unused(struct db *db, const char *name, int64_t ms, struct database *ret)
{
	int64_t until = net_now_ms() + ms;
	int rc = database_look(db, name, ret);

	while (rc == RESITE_OK && ret->connections &&
	       (rc = pause_until(db->login->c, until)) == RESITE_OK)
		rc = database_look(db, name, ret);
	return rc == RESITE_PENDING ? RESITE_OK : rc;
}

/* --- statements with names in them --------------------------------------------------------- */

struct text {
	char buf[2048];
	size_t len;
	bool cut;
};

static void
put(struct text *t, const char *s)
{
	int n = snprintf(t->buf + t->len, sizeof t->buf - t->len, "%s", s);

	t->cut = t->cut || (size_t)n >= sizeof t->buf - t->len;
	t->len = t->cut ? t->len : t->len + (size_t)n;
}

/* Puts before and the quoted name; false: told. */
static bool
put_name(struct db *db, struct text *t, const char *before, const char *name)
{
	char *quoted = db_name(db, name);

	if (!quoted)
		return false;
	put(t, before);
	put(t, quoted);
	PQfreemem(quoted);
	return true;
}

static bool
put_text(struct db *db, struct text *t, const char *before, const char *text)
{
	char *quoted = *text ? db_text(db, text) : NULL;

	if (quoted) {
		put(t, before);
		put(t, quoted);
		PQfreemem(quoted);
	}
	return quoted || !*text;
}

static int
send_text(struct db *db, const struct text *t)
{
	return t->cut ? call_fail(db->login->c, RESITE_ERR_BUG, NULL, "a statement was too long")
		      : db_do(db, t->buf);
}

int
database_mark(struct db *db, const char *name, const char *mark)
{
	struct text t = {.len = 0};
	char comment[DATABASE_MARK_MAX + 32];

	snprintf(comment, sizeof comment, MARK "%s", mark);
	if (!put_name(db, &t, "COMMENT ON DATABASE ", name) || !put_text(db, &t, " IS ", comment))
		return RESITE_ERR_TRANSIENT;
	return send_text(db, &t);
}

int
database_disconnect(struct db *db, const char *name)
{
	static const char sql[] = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
				  "WHERE datname = $1 AND pid <> pg_backend_pid()";
	PGresult *r;
	int rc = db_ask(db, &r, sql, 1, &name);

	if (rc == RESITE_OK)
		PQclear(r);
	return rc;
}

int
database_drop(struct db *db, const char *name)
{
	struct text t = {.len = 0};
	int rc;

	if (PQserverVersion(db->pg.conn) < 130000) {
		rc = database_disconnect(db, name);
		if (rc != RESITE_OK)
			return rc;
	}
	if (!put_name(db, &t, "DROP DATABASE IF EXISTS ", name))
		return RESITE_ERR_TRANSIENT;
	if (PQserverVersion(db->pg.conn) >= 130000)
		put(&t, " WITH (FORCE)");
	return send_text(db, &t);
}

int
database_swap(struct db *db, const char *live, const char *aside, const char *staged)
{
	struct text t = {.len = 0};

	/* Two statements in one message are one transaction. */
	if (aside && (!put_name(db, &t, "ALTER DATABASE ", live) ||
		      !put_name(db, &t, " RENAME TO ", aside)))
		return RESITE_ERR_TRANSIENT;
	if (!put_name(db, &t, aside ? "; ALTER DATABASE " : "ALTER DATABASE ", staged) ||
	    !put_name(db, &t, " RENAME TO ", live))
		return RESITE_ERR_TRANSIENT;
	return send_text(db, &t);
}

/* --- loading --------------------------------------------------------------------------------- */

static int
create(struct db *db, const struct database_form *form, const char *name, bool keep_owner)
{
	struct text t = {.len = 0};

	if (!put_name(db, &t, "CREATE DATABASE ", name))
		return RESITE_ERR_TRANSIENT;
	put(&t, " TEMPLATE template0");
	if (keep_owner && *form->owner && !put_name(db, &t, " OWNER ", form->owner))
		return RESITE_ERR_TRANSIENT;
	if (!put_text(db, &t, " ENCODING ", form->encoding) ||
	    !put_text(db, &t, " LC_COLLATE ", form->collate) ||
	    !put_text(db, &t, " LC_CTYPE ", form->ctype) ||
	    !put_text(db, &t, " LOCALE_PROVIDER icu ICU_LOCALE ", form->icu_locale))
		return RESITE_ERR_TRANSIENT;
	return send_text(db, &t);
}

static int64_t
memory_of(const struct load *load)
{
	struct stat st;

	if (load->memory)
		return load->memory;
	/* A file that cannot be read is pg_restore's to tell. */
	return index_memory(stat(load->file, &st) == 0 ? st.st_size : 0);
}

static int
run_restore(const struct db *db, const struct load *load, const char *name)
{
	char program[512], jobs[24], database[DATABASE_NAME_MAX + 16], options[96];
	const char *argv[] = {program, "--exit-on-error", "--no-password", jobs, database,
			load->keep_owner ? load->file : "--no-owner",
			load->keep_owner ? NULL : "--no-privileges",
			load->file, NULL};
	struct tool_end end;
	int rc = tool_find(db->login->c, "pg_restore", program);

	if (rc != RESITE_OK)
		return rc;
	snprintf(jobs, sizeof jobs, "--jobs=%lld", (long long)load->jobs);
	snprintf(database, sizeof database, "--dbname=%s", name);
	/* Nothing of this is seen before the swap, and that is flushed: what was written before
	 * it then is, too. */
	snprintf(options, sizeof options, "-c synchronous_commit=off -c maintenance_work_mem=%lldkB",
		 (long long)memory_of(load) / 1024);
	rc = tool_run(db, options, argv, &end);
	if (rc == RESITE_OK && end.exit_code != 0)
		rc = tool_failed(db, program, &end);
	return rc;
}

static int
compare(const struct db_login *login, const struct inventory *should, const char *name)
{
	struct inventory is = {0};
	char why[400];
	struct db db;
	int rc = db_open(login, name, &db);

	if (rc != RESITE_OK)
		return rc;
	rc = inventory_take(&db, &is);
	if (rc == RESITE_OK && inventory_differs(&is, should, why))
		rc = call_fail(login->c, RESITE_ERR_REFUSED, NULL,
			       "%s: restored, but it is not what was saved: %s", db.pg.where, why);
	inventory_release(&is);
	db_close(&db);
	return rc;
}

int
database_load(struct db *db, const struct load *load, const char *name)
{
	int rc = database_drop(db, name);

	if (rc == RESITE_OK)
		rc = create(db, load->form, name, load->keep_owner);
	if (rc != RESITE_OK)
		return rc;
	rc = run_restore(db, load, name);
	if (rc == RESITE_OK)
		rc = compare(db->login, load->should, name);
	/* Cancelled: the next attempt drops it; its time may be over now. */
	if (rc != RESITE_OK && rc != RESITE_ERR_CANCELLED) {
		/* What failed is told already. */
		db->quiet = true;
		database_drop(db, name);
		db->quiet = false;
	}
	return rc;
}
