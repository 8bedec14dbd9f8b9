/* backup-db for PostgreSQL: one snapshot is dumped and counted, the dump is restored into a
 * scratch database and counted again, and only then does the set appear in the vault. */
#include "plugins/groupchat/backup.h"

#include "plugins/groupchat/set.h"
#include "plugins/groupchat/tool.h"
#include "sdk/vault/step.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES (256 * 1024)

struct backup {
	struct call c;
	struct db_login login;
	struct db db;              /* in the database, holds the snapshot */
	struct server server;
	struct database database;
	struct inventory tables;
	char snapshot[64];
	char *roles;               /* one a line */
	int fd;                    /* the dump: a file without a name */
	char path[32];             /* /proc/self/fd/N: also its path for programs that inherit it */
	int64_t bytes;
};

/* --- probe ---------------------------------------------------------------------------- */

static int
tell_state(struct backup *b, const struct vault_set *set)
{
	const struct call *c = &b->c;
	bool fresh = set && set_is_fresh(c, set, SET_KIND);
	char now[300] = "no set", will_be[200], age[AGE_MAX];

	if (set) {
		age_text(age, wall_ms() - vault_set_started_ms(set));
		snprintf(now, sizeof now, "newest set %s of site %s, %s, %" PRIu64 " rows",
			 vault_set_name(set), vault_set_site(set), age,
			 vault_set_count(set, "rows"));
	}
	snprintf(will_be, sizeof will_be, "a new set of %zu tables at WAL %s",
		 inventory_tables(&b->tables), b->server.wal);
	if (!fresh)
		c->host->change(c->op, call_str(c, "name"), now, will_be);
	return c->host->state(c->op, now, set ? vault_set_digest(set) : "none", !fresh, 1);
}

/* --- the server -------------------------------------------------------------------------- */

static int
connect_database(struct backup *b)
{
	const char *name = call_str(&b->c, "database");
	int rc = db_login(&b->c, "server", &b->login);

	if (rc == RESITE_OK)
		rc = db_open(&b->login, name, &b->db);
	if (rc == RESITE_OK)
		rc = server_look(&b->db, &b->server);
	if (rc == RESITE_OK)
		rc = database_look(&b->db, name, &b->database);
	return rc;
}

static void
backup_release(struct backup *b)
{
	db_close(&b->db);
	if (b->fd >= 0)
		close(b->fd);
	inventory_release(&b->tables);
	free(b->roles);
	db_login_wipe(&b->login);
}

int
backup_probe(struct resite_op *op, const struct resite_host *host)
{
	struct backup b = {.c = {.op = op, .host = host}, .fd = -1};
	struct vault_set *set;
	int rc = connect_database(&b);

	if (rc == RESITE_OK)
		rc = inventory_list(&b.db, &b.tables);
	if (rc == RESITE_OK) {
		set = set_newest(&b.c);
		rc = tell_state(&b, set);
		vault_close(set);
	}
	backup_release(&b);
	return rc;
}

/* --- apply ------------------------------------------------------------------------------- */

/* From here on this connection sees what the dump will hold.  The log's position is read
 * before: all that was committed up to it is in the dump. */
static int
begin_snapshot(struct backup *b)
{
	PGresult *r;
	int rc = server_look(&b->db, &b->server);

	if (rc == RESITE_OK)
		rc = db_do(&b->db, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
	if (rc == RESITE_OK)
		rc = db_ask(&b->db, &r, "SELECT pg_export_snapshot()", 0, NULL);
	if (rc != RESITE_OK)
		return rc;
	snprintf(b->snapshot, sizeof b->snapshot, "%s", PQgetvalue(r, 0, 0));
	PQclear(r);
	return RESITE_OK;
}

/* Who must exist before the dump can be restored with its owners and rights. */
static int
read_roles(struct backup *b)
{
	static const char sql[] =
		"SELECT coalesce(string_agg(DISTINCT r, E'\\n' ORDER BY r), '') FROM ("
		" SELECT pg_get_userbyid(c.relowner) r, c.relnamespace ns FROM pg_class c"
		"  WHERE c.oid >= 16384"
		" UNION ALL SELECT pg_get_userbyid(a.grantee), c.relnamespace FROM pg_class c,"
		"  aclexplode(c.relacl) a WHERE c.oid >= 16384 AND a.grantee <> 0"
		" UNION ALL SELECT pg_get_userbyid(n.nspowner), n.oid FROM pg_namespace n"
		"  WHERE n.oid >= 16384) x JOIN pg_namespace n ON n.oid = x.ns"
		" WHERE n.nspname !~ '^pg_' AND r IS NOT NULL";
	PGresult *r;
	int rc = db_ask(&b->db, &r, sql, 0, NULL);

	if (rc != RESITE_OK)
		return rc;
	b->roles = strdup(PQgetvalue(r, 0, 0));
	PQclear(r);
	return b->roles ? RESITE_OK : call_no_memory(&b->c);
}

static int
run_dump(struct backup *b)
{
	char program[512], file[64], snapshot[96], level[24];
	const char *argv[] = {program, "--format=custom", "--no-password", level, snapshot, file,
			"--dbname", call_str(&b->c, "database"), NULL};
	struct tool_end end;
	struct stat st;
	int rc = tool_find(&b->c, "pg_dump", program);

	if (rc != RESITE_OK)
		return rc;
	snprintf(level, sizeof level, "--compress=%lld", (long long)call_i64(&b->c, "compression"));
	snprintf(snapshot, sizeof snapshot, "--snapshot=%s", b->snapshot);
	snprintf(file, sizeof file, "--file=%s", b->path);
	rc = tool_run(&b->db, NULL, argv, &end);
	if (rc == RESITE_OK && end.exit_code != 0)
		rc = tool_failed(&b->db, program, &end);
	if (rc == RESITE_OK && fstat(b->fd, &st) == 0)
		b->bytes = st.st_size;
	return rc;
}

/* The tables are counted by one session of the server while another one dumps them.  When the
 * count fails the snapshot is gone, and what pg_dump says then is not the cause. */
static int
dump_and_count(struct backup *b)
{
	int rc = run_dump(b), counted = RESITE_OK;

	if (rc != RESITE_ERR_CANCELLED)
		counted = inventory_collect(&b->db, &b->tables);
	return counted != RESITE_OK ? counted : rc;
}

static int
dump(struct backup *b)
{
	int rc = begin_snapshot(b);

	if (rc == RESITE_OK)
		rc = read_roles(b);
	if (rc == RESITE_OK)
		rc = inventory_list(&b->db, &b->tables);
	if (rc == RESITE_OK && inventory_tables(&b->tables) == 0)
		rc = call_fail(&b->c, RESITE_ERR_REFUSED, "database",
			       "%s has no table: is this the chat service's database?", b->db.pg.where);
	if (rc == RESITE_OK)
		rc = nameless_file(&b->c, &b->fd, b->path);
	if (rc == RESITE_OK)
		rc = inventory_send(&b->db, &b->tables);
	if (rc == RESITE_OK)
		rc = dump_and_count(b);
	/* An old snapshot would keep the server from cleaning up during the check. */
	if (rc == RESITE_OK)
		rc = db_do(&b->db, "ROLLBACK");
	return rc;
}

static int
check_in(struct backup *b, struct db_login *login)
{
	const struct load load = {.file = b->path, .should = &b->tables,
				  .form = &b->database.form, .jobs = call_i64(&b->c, "jobs"),
				  .memory = call_i64(&b->c, "memory"), .keep_owner = false};
	char suffix[48], name[DATABASE_NAME_MAX + 1];
	struct db db;
	int rc = db_open(login, call_str(&b->c, "maintenance_db"), &db);

	if (rc != RESITE_OK)
		return rc;
	/* The same in each attempt: the next one drops what a lost one has left. */
	snprintf(suffix, sizeof suffix, "_check_%s", call_str(&b->c, "site"));
	database_name(name, call_str(&b->c, "database"), suffix);
	b->c.host->progress(b->c.op, 0, 0, "restoring into a scratch database");
	rc = database_turn(&db, name, login->pg.patience_ms);
	if (rc == RESITE_OK)
		rc = database_load(&db, &load, name);
	if (rc == RESITE_OK)
		rc = database_drop(&db, name);
	db_close(&db);
	return rc;
}

/* A dump that was never restored is a hope, not a backup. */
static int
check_dump(struct backup *b)
{
	struct db_login other;
	int rc;

	if (!call_i64(&b->c, "restore_check"))
		return RESITE_OK;
	if (b->server.standby && !call_str(&b->c, "scratch_server"))
		return call_fail(&b->c, RESITE_ERR_INVALID, "scratch_server",
				 "%s is a standby: a scratch database cannot be made there; name a "
				 "server for it, or say restore_check = false", b->db.pg.where);
	if (!call_str(&b->c, "scratch_server"))
		return check_in(b, &b->login);
	rc = db_login(&b->c, "scratch_server", &other);
	if (rc == RESITE_OK)
		rc = check_in(b, &other);
	db_login_wipe(&other);
	return rc;
}

/* --- into the vault -------------------------------------------------------------------- */

static int
write_dump(struct backup *b, struct vault_writer *w, struct vault_error *err)
{
	char *buf = malloc(COPY_BYTES);
	off_t at = 0;
	ssize_t n = 1;
	int rc = buf ? vault_writer_file(w, SET_DUMP, err) : VAULT_ERR_MEMORY;

	while (rc == VAULT_OK && n > 0) {
		n = pread(b->fd, buf, COPY_BYTES, at);
		if (n > 0)
			rc = vault_writer_write(w, buf, (size_t)n, err);
		at += n > 0 ? n : 0;
		b->c.host->progress(b->c.op, (uint64_t)at, (uint64_t)b->bytes, "bytes saved");
		if (rc == VAULT_OK && b->c.host->time_left_ms(b->c.op) <= 0)
			rc = VAULT_ERR_STOPPED;
	}
	free(buf);
	if (rc == VAULT_OK && (n < 0 || at != b->bytes)) {
		snprintf(err->text, sizeof err->text, "the dump cannot be read back: %s",
			 n < 0 ? strerror(errno) : "it is shorter than it was");
		rc = VAULT_ERR_IO;
	}
	err->code = rc;
	return rc;
}

static int
write_facts(struct backup *b, struct vault_writer *w, struct vault_error *err)
{
	char digest[INVENTORY_DIGEST_LEN + 1];
	const struct database_form *form = &b->database.form;
	const struct { const char *key, *value; } extras[] = {
		{"engine", "postgresql"}, {"server_version", b->server.version_text},
		{"database", call_str(&b->c, "database")}, {"wal", b->server.wal},
		{"digest", digest}, {"roles", b->roles}, {"owner", form->owner},
		{"encoding", form->encoding}, {"collate", form->collate}, {"ctype", form->ctype},
		{"icu_locale", form->icu_locale}, {"restored_from", b->database.mark},
		{"checked", call_i64(&b->c, "restore_check") ? "restored" : "no"},
	};

	inventory_digest(&b->tables, digest);
	for (size_t i = 0; i < sizeof extras / sizeof *extras; i++)
		if (vault_writer_extra(w, extras[i].key, extras[i].value, err) < 0)
			return err->code;
	if (vault_writer_measure(w, "rows", inventory_rows(&b->tables), err) < 0 ||
	    vault_writer_count(w, "tables", inventory_tables(&b->tables), err) < 0)
		return err->code;
	return vault_writer_count(w, "server_version_num", (uint64_t)b->server.version, err);
}

static int
write_set(struct backup *b, struct vault_writer *w, struct vault_error *err)
{
	char *tables = inventory_json(&b->tables), note[VAULT_NOTE_MAX];
	int rc = tables ? write_dump(b, w, err) : VAULT_ERR_MEMORY;

	if (rc == VAULT_OK)
		rc = vault_writer_extra(w, "tables", tables, err);
	if (rc == VAULT_OK)
		rc = write_facts(b, w, err);
	if (rc == VAULT_OK)
		rc = vault_step_commit(b->c.op, b->c.host, w, note, err);
	free(tables);
	return rc;
}

static int
tell_outputs(struct backup *b, const char *set)
{
	const struct call *c = &b->c;
	int rc = call_output(c, "set", "%s", set);

	if (rc == RESITE_OK)
		rc = call_output(c, "rows", "%" PRIu64, inventory_rows(&b->tables));
	if (rc == RESITE_OK)
		rc = call_output(c, "bytes", "%lld", (long long)b->bytes);
	if (rc == RESITE_OK)
		rc = call_output(c, "wal", "%s", b->server.wal);
	return rc == RESITE_OK ? c->host->checkpoint(c->op, SET_WRITTEN, set) : rc;
}

static int
save(struct backup *b)
{
	struct vault_error err = {.code = 0};
	struct vault_writer *w = NULL;
	int rc;

	/* Two backups of the same name at once: the second one learns it before its work. */
	if (vault_step_write(b->c.op, b->c.host, SET_KIND, SET_TOOL, &w, &err) < 0)
		return vault_step_fail(b->c.op, b->c.host, &err);
	rc = dump(b);
	if (rc == RESITE_OK)
		rc = check_dump(b);
	if (rc == RESITE_OK && write_set(b, w, &err) < 0)
		rc = vault_step_fail(b->c.op, b->c.host, &err);
	if (rc == RESITE_OK)
		rc = tell_outputs(b, vault_writer_set(w));
	vault_writer_free(w);
	return rc;
}

int
backup_apply(struct resite_op *op, const struct resite_host *host)
{
	struct backup b = {.c = {.op = op, .host = host}, .fd = -1};
	int rc = connect_database(&b);

	if (rc == RESITE_OK)
		rc = save(&b);
	backup_release(&b);
	return rc;
}

/* --- verify ------------------------------------------------------------------------------ */

/* From the disk: every byte of the newest set. */
int
backup_verify(struct resite_op *op, const struct resite_host *host)
{
	struct vault_step step = {.op = op, .host = host};
	struct call c = {.op = op, .host = host};
	struct vault_set *set;
	struct vault_error err;

	if (vault_open(&set, call_str(&c, "vault"), call_str(&c, "name"), NULL, 0, vault_step_tick,
		       &step, &err) < 0)
		return vault_step_fail(op, host, &err);
	vault_close(set);
	return RESITE_OK;
}
