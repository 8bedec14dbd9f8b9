/* backup-mssql and restore-mssql.  The backup's file is where SQL Server puts it; the set of the
 * vault says which file that is and what must be in it. */
#include "plugins/groupchat/mssql_step.h"

#include "plugins/groupchat/mssql.h"
#include "plugins/groupchat/odbc.h"
#include "plugins/groupchat/set.h"
#include "sdk/vault/step.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQL_MAX 8192
#define SESSIONS_MAX 32
#define LOGS_MAX 48

/* What the server says of a database. */
struct seen {
	bool exists;
	char state[64];   /* ONLINE, RESTORING, … */
	char since[40];   /* when it was created: another one has another time */
	char mark[DATABASE_MARK_MAX];
	int sessions[SESSIONS_MAX];
	size_t n_sessions, more_sessions;
	char who[300];
};

/* --- asking ------------------------------------------------------------------------------- */

static int
ask_sessions(struct odbc *o, const char *database, struct seen *s)
{
	char sql[SQL_MAX];
	struct odbc_rows rows;
	size_t used = 0;
	int rc;

	mssql_ask_sessions(sql, sizeof sql, database);
	rc = odbc_ask(o, sql, &rows);
	if (rc != RESITE_OK)
		return rc;
	for (size_t i = 0; i < rows.n && rows.columns >= 4; i++) {
		if (s->n_sessions == SESSIONS_MAX) {
			s->more_sessions++;
			continue;
		}
		s->sessions[s->n_sessions++] = atoi(rows.row[i][0]);
		if (used < sizeof s->who - 1)
			used += (size_t)snprintf(s->who + used, sizeof s->who - used, "%s%s from %s (%s)",
						 used ? ", " : "", rows.row[i][1], rows.row[i][2],
						 rows.row[i][3]);
	}
	odbc_rows_free(&rows);
	return RESITE_OK;
}

static int
look(struct odbc *o, const char *database, struct seen *ret)
{
	char sql[SQL_MAX];
	struct odbc_rows rows;
	int rc;

	*ret = (struct seen){.exists = false};
	mssql_ask_database(sql, sizeof sql, database);
	rc = odbc_ask(o, sql, &rows);
	if (rc != RESITE_OK)
		return rc;
	if (rows.n == 1 && rows.columns >= 2) {
		ret->exists = true;
		snprintf(ret->state, sizeof ret->state, "%s", rows.row[0][0]);
		snprintf(ret->since, sizeof ret->since, "%s", rows.row[0][1]);
	}
	odbc_rows_free(&rows);
	/* Only a database that is online can be asked more. */
	if (!ret->exists || strcmp(ret->state, "ONLINE"))
		return ret->exists ? ask_sessions(o, database, ret) : RESITE_OK;
	mssql_ask_mark(sql, sizeof sql, database);
	rc = odbc_ask(o, sql, &rows);
	if (rc != RESITE_OK)
		return rc;
	if (rows.n == 1)
		snprintf(ret->mark, sizeof ret->mark, "%s", rows.row[0][0]);
	odbc_rows_free(&rows);
	return ask_sessions(o, database, ret);
}

/* Rows of each table; SQL Server's own CHECKSUM guards the values. */
static int
count(const struct call *c, struct odbc *o, const char *database, struct inventory *ret)
{
	char sql[SQL_MAX];
	struct odbc_rows rows;
	int rc;

	*ret = (struct inventory){0};
	mssql_ask_rows(sql, sizeof sql, database);
	rc = odbc_ask(o, sql, &rows);
	if (rc != RESITE_OK)
		return rc;
	ret->list = calloc(rows.n + 1, sizeof *ret->list);
	for (size_t i = 0; ret->list && i < rows.n && rows.columns >= 2; i++) {
		ret->list[i] = (struct inventory_item){.name = strdup(rows.row[i][0]),
						       .rows = strtoull(rows.row[i][1], NULL, 10),
						       .digest = strdup("-")};
		ret->n++;
	}
	odbc_rows_free(&rows);
	return ret->list ? RESITE_OK : call_no_memory(c);
}

static int
run_list(const struct call *c, struct odbc *o, struct mssql_list *list, const char *what)
{
	int rc = list->failed ? call_fail(c, RESITE_ERR_INVALID, NULL, "too many statements: %s", what)
			      : RESITE_OK;

	for (size_t i = 0; rc == RESITE_OK && i < list->n; i++) {
		c->host->progress(c->op, i, list->n, what);
		call_log(c, RESITE_LOG_INFO, "%.200s", list->sql[i]);
		rc = odbc_ask(o, list->sql[i], NULL);
	}
	mssql_list_free(list);
	return rc;
}

/* --- backup ------------------------------------------------------------------------------------- */

int
mssql_backup_probe(struct resite_op *op, const struct resite_host *host)
{
	struct call c = {.op = op, .host = host};
	const char *database = call_str(&c, "database");
	struct odbc *o = NULL;
	struct vault_set *set;
	struct seen seen;
	bool fresh;
	int rc = odbc_open(&c, "master", &o);

	if (rc == RESITE_OK)
		rc = look(o, database, &seen);
	odbc_close(o);
	if (rc == RESITE_OK && (!seen.exists || strcmp(seen.state, "ONLINE")))
		rc = call_fail(&c, RESITE_ERR_REFUSED, "database", "%s at %s: %s: a backup is made of a "
			       "database that is online", database, call_str(&c, "server"),
			       seen.exists ? seen.state : "there is none");
	if (rc != RESITE_OK)
		return rc;
	set = set_newest(&c);
	fresh = set && set_is_fresh(&c, set, SET_MSSQL_KIND);
	if (!fresh)
		host->change(op, call_str(&c, "name"), set ? vault_set_name(set) : "no set", "a new set");
	rc = host->state(op, set ? vault_set_name(set) : "no set", set ? vault_set_digest(set) : "none",
			 !fresh, 1);
	vault_close(set);
	return rc;
}

static int
write_set(const struct call *c, struct vault_writer *w, const char *file, struct inventory *tables,
	  struct vault_error *err)
{
	char *json = inventory_json(tables), note[VAULT_NOTE_MAX];
	const struct { const char *key, *value; } extras[] = {
		{"engine", "mssql"}, {"file", file}, {"database", call_str(c, "database")},
		{"tables", json}, {"checked", "RESTORE VERIFYONLY"},
	};
	int rc = json ? VAULT_OK : VAULT_ERR_MEMORY;

	for (size_t i = 0; rc == VAULT_OK && i < sizeof extras / sizeof *extras; i++)
		rc = vault_writer_extra(w, extras[i].key, extras[i].value, err);
	if (rc == VAULT_OK)
		rc = vault_writer_measure(w, "rows", inventory_rows(tables), err);
	if (rc == VAULT_OK)
		rc = vault_step_commit(c->op, c->host, w, note, err);
	free(json);
	return rc;
}

int
mssql_backup_apply(struct resite_op *op, const struct resite_host *host)
{
	struct call c = {.op = op, .host = host};
	const char *database = call_str(&c, "database");
	struct mssql_list list = {.n = 0};
	struct inventory tables = {0};
	struct vault_writer *w = NULL;
	struct vault_error err;
	struct odbc *o = NULL;
	char file[700], stamp[STAMP_LEN + 1];
	int rc;

	stamp_text(stamp, wall_ms());
	snprintf(file, sizeof file, "%s\\%s_%s.bak", call_str(&c, "server_folder"), database, stamp);
	if (vault_step_write(op, host, SET_MSSQL_KIND, SET_TOOL, &w, &err) < 0)
		return vault_step_fail(op, host, &err);
	rc = odbc_open(&c, "master", &o);
	/* Before: what is written meanwhile is in the backup as well, and more is no loss. */
	if (rc == RESITE_OK)
		rc = count(&c, o, database, &tables);
	mssql_backup(&list, database, file, "resite");
	if (rc == RESITE_OK)
		rc = run_list(&c, o, &list, "backing up");
	if (rc == RESITE_OK && write_set(&c, w, file, &tables, &err) < 0)
		rc = vault_step_fail(op, host, &err);
	if (rc == RESITE_OK)
		rc = host->checkpoint(op, SET_WRITTEN, vault_writer_set(w));
	if (rc == RESITE_OK)
		rc = call_output(&c, "set", "%s", vault_writer_set(w));
	if (rc == RESITE_OK)
		rc = call_output(&c, "file", "%s", file);
	mssql_list_free(&list);
	inventory_release(&tables);
	odbc_close(o);
	vault_writer_free(w);
	return rc;
}

/* --- restore ------------------------------------------------------------------------------------ */

struct restore {
	struct call c;
	struct odbc *o;
	struct set set;
	bool beside;            /* else: a secondary is recovered */
	const char *database;
	struct seen live;
	char staged[DATABASE_NAME_MAX + 1], aside[DATABASE_NAME_MAX + 1];
};

static bool
has_converged(const struct restore *r)
{
	if (!r->beside)
		return r->live.exists && !strcmp(r->live.state, "ONLINE");
	return r->live.exists && !strcmp(r->live.mark, r->set.mark);
}

static int
restore_open(struct restore *r)
{
	char stamp[STAMP_LEN + 1], suffix[64];
	int rc = RESITE_OK;

	r->beside = strcmp(call_str(&r->c, "how"), "recover") != 0;
	r->database = call_str(&r->c, "database");
	r->set.fd = -1;
	if (r->beside)
		rc = set_open(&r->c, SET_MSSQL_KIND, 0, &r->set);
	if (rc == RESITE_OK && r->beside && !vault_set_extra(r->set.vault, "file"))
		rc = call_fail(&r->c, RESITE_ERR_REFUSED, NULL, "set %s names no file",
			       vault_set_name(r->set.vault));
	if (rc == RESITE_OK)
		rc = odbc_open(&r->c, "master", &r->o);
	if (rc == RESITE_OK)
		rc = look(r->o, r->database, &r->live);
	if (rc != RESITE_OK)
		return rc;
	if (!r->beside && !r->live.exists)
		return call_fail(&r->c, RESITE_ERR_REFUSED, "database",
				 "%s is not at %s: there is no log shipping secondary to recover",
				 r->database, call_str(&r->c, "server"));
	stamp_text(stamp, wall_ms());
	snprintf(suffix, sizeof suffix, "_was_%s", stamp);
	database_name(r->aside, r->database, suffix);
	if (r->beside) {
		snprintf(suffix, sizeof suffix, "_new_%s", vault_set_name(r->set.vault));
		database_name(r->staged, r->database, suffix);
	}
	return RESITE_OK;
}

static void
restore_close(struct restore *r)
{
	odbc_close(r->o);
	if (r->set.vault)
		set_close(&r->set);
}

int
mssql_restore_check(struct resite_op *op, const struct resite_host *host)
{
	struct call c = {.op = op, .host = host};
	bool beside = strcmp(call_str(&c, "how"), "recover") != 0;

	if (beside && !call_str(&c, "vault"))
		return call_fail(&c, RESITE_ERR_INVALID, "vault", "how = \"beside\" needs a vault");
	if (host->param_count(op, "logs") > (beside ? 0 : LOGS_MAX))
		return call_fail(&c, RESITE_ERR_INVALID, "logs",
				 "log backups are for how = \"recover\", at most %d of them", LOGS_MAX);
	return RESITE_OK;
}

static int
tell(struct restore *r)
{
	const struct resite_host *host = r->c.host;
	char was[300], will_be[200], print[400], age[AGE_MAX], loss[300];
	bool change = !has_converged(r);

	snprintf(was, sizeof was, "%s%s%s", r->live.exists ? r->live.state : "no database",
		 *r->live.mark ? ", restored from " : "", r->live.mark);
	if (r->beside)
		snprintf(will_be, sizeof will_be, "%" PRIu64 " rows of set %s of %s",
			 inventory_rows(&r->set.tables), vault_set_name(r->set.vault),
			 vault_set_site(r->set.vault));
	else
		snprintf(will_be, sizeof will_be, "ONLINE, after %u log backups",
			 host->param_count(r->c.op, "logs"));
	if (change)
		host->change(r->c.op, r->database, was, will_be);
	if (change && r->beside) {
		age_text(age, r->set.age_ms);
		snprintf(loss, sizeof loss, "chat messages written at %s since set %s was begun are not in "
			 "it; it is %s", vault_set_site(r->set.vault), vault_set_name(r->set.vault), age);
		host->loss(r->c.op, loss);
	}
	snprintf(print, sizeof print, "%.60s/%s/%.200s", r->live.since, r->live.state,
		 r->beside ? r->set.mark : "");
	return host->state(r->c.op, was, print, change, 1);
}

int
mssql_restore_probe(struct resite_op *op, const struct resite_host *host)
{
	struct restore r = {.c = {.op = op, .host = host}};
	int rc = restore_open(&r);

	if (rc == RESITE_OK)
		rc = tell(&r);
	restore_close(&r);
	return rc;
}

static int
judge(const struct restore *r)
{
	if (r->live.n_sessions && !call_i64(&r->c, "disconnect"))
		return call_fail(&r->c, RESITE_ERR_REFUSED, "disconnect",
				 "database %s at %s is in use: %zu sessions, by %s; stop the service there, or "
				 "say disconnect = true", r->database, call_str(&r->c, "server"),
				 r->live.n_sessions + r->live.more_sessions, r->live.who);
	if (r->live.more_sessions)
		return call_fail(&r->c, RESITE_ERR_REFUSED, "disconnect",
				 "database %s at %s has more than %d sessions: stop the service there",
				 r->database, call_str(&r->c, "server"), SESSIONS_MAX);
	if (r->beside && r->live.exists && !strcmp(r->live.state, "RESTORING"))
		return call_fail(&r->c, RESITE_ERR_REFUSED, "how",
				 "database %s at %s is RESTORING: a log shipping secondary? then how = "
				 "\"recover\"", r->database, call_str(&r->c, "server"));
	return RESITE_OK;
}

/* The files in the backup, as its own header says; then the restore, and a count of it. */
static int
stage(struct restore *r, struct mssql_job *job)
{
	struct mssql_list list = {.n = 0};
	struct mssql_file files[64];
	struct inventory is = {0};
	struct odbc_rows rows;
	char sql[SQL_MAX], why[400];
	int rc;

	mssql_ask_files(sql, sizeof sql, job->file);
	rc = odbc_ask(r->o, sql, &rows);
	if (rc != RESITE_OK)
		return rc;
	for (; job->n_files < rows.n && job->n_files < 64 && rows.columns >= 3; job->n_files++)
		files[job->n_files] = (struct mssql_file){rows.row[job->n_files][0],
			rows.row[job->n_files][1], *rows.row[job->n_files][2]};
	job->files = files;
	mssql_restore(&list, job);
	rc = run_list(&r->c, r->o, &list, "restoring");
	odbc_rows_free(&rows);
	if (rc == RESITE_OK)
		rc = count(&r->c, r->o, job->staged, &is);
	/* The count was taken before the backup: it may only have grown. */
	if (rc == RESITE_OK && inventory_exceeds(&r->set.tables, &is, why))
		rc = call_fail(&r->c, RESITE_ERR_REFUSED, NULL,
			       "%s: restored, but with fewer rows than were saved: %s", job->staged,
			       why);
	inventory_release(&is);
	return rc;
}

static int
restore(struct restore *r)
{
	struct mssql_list list = {.n = 0};
	const char *logs[LOGS_MAX];
	struct mssql_job job = {
		.database = r->database, .staged = r->staged, .aside = r->aside, .logs = logs,
		.folder = call_str(&r->c, "data_folder"), .sessions = r->live.sessions,
		.n_sessions = r->live.n_sessions, .live_exists = r->live.exists, .mark = r->set.mark,
	};
	int rc = RESITE_OK;

	if (r->beside) {
		job.file = vault_set_extra(r->set.vault, "file");
		rc = stage(r, &job);
		if (rc != RESITE_OK)
			return rc;
		mssql_swap(&list, &job);
	} else {
		for (; job.n_logs < r->c.host->param_count(r->c.op, "logs"); job.n_logs++)
			logs[job.n_logs] = r->c.host->param_str(r->c.op, "logs", (uint32_t)job.n_logs);
		mssql_recover(&list, &job);
	}
	rc = run_list(&r->c, r->o, &list, r->beside ? "swapping" : "recovering");
	if (rc == RESITE_OK)
		rc = call_output(&r->c, "former", "%s", r->beside && r->live.exists ? r->aside : "");
	return rc;
}

int
mssql_restore_apply(struct resite_op *op, const struct resite_host *host)
{
	struct restore r = {.c = {.op = op, .host = host}};
	int rc = restore_open(&r);

	if (rc == RESITE_OK && !has_converged(&r)) {
		rc = judge(&r);
		if (rc == RESITE_OK)
			rc = restore(&r);
	}
	restore_close(&r);
	return rc;
}
