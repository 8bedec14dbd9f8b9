#include "plugins/groupchat/mssql.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK "resite.restored"
#define QUOTED_MAX 2100

/* --- quoting ------------------------------------------------------------------------------ */

static void
quote(char *out, size_t cap, const char *before, char twice, const char *text)
{
	size_t n = (size_t)snprintf(out, cap, "%s", before);

	for (; *text && n + 4 < cap; text++) {
		if (*text == twice)
			out[n++] = twice;
		out[n++] = *text;
	}
	out[n++] = twice;
	out[n] = '\0';
}

void
mssql_name(char *out, size_t cap, const char *name)
{
	quote(out, cap, "[", ']', name);
}

void
mssql_text(char *out, size_t cap, const char *text)
{
	quote(out, cap, "N'", '\'', text);
}

__attribute__((format(printf, 2, 3))) static void
add(struct mssql_list *list, const char *fmt, ...)
{
	char *sql = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (list->n == MSSQL_STATEMENTS_MAX || vasprintf(&sql, fmt, ap) < 0)
		list->failed = true;
	else
		list->sql[list->n++] = sql;
	va_end(ap);
}

void
mssql_list_free(struct mssql_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->sql[i]);
	*list = (struct mssql_list){0};
}

/* --- statements -------------------------------------------------------------------------------- */

/* COPY_ONLY: the site's own chain of backups and log shipping goes on undisturbed. */
void
mssql_backup(struct mssql_list *ret, const char *database, const char *file, const char *name)
{
	char db[QUOTED_MAX], disk[QUOTED_MAX], title[QUOTED_MAX];

	mssql_name(db, sizeof db, database);
	mssql_text(disk, sizeof disk, file);
	mssql_text(title, sizeof title, name);
	add(ret, "BACKUP DATABASE %s TO DISK = %s WITH COPY_ONLY, INIT, FORMAT, CHECKSUM, NAME = %s", db,
	    disk, title);
	add(ret, "RESTORE VERIFYONLY FROM DISK = %s WITH CHECKSUM", disk);
}

/* Each file gets a name of its own in the folder: the live database's must not be overwritten. */
static char *
moves(const struct mssql_job *job)
{
	char *text = strdup("");

	for (size_t i = 0; text && i < job->n_files; i++) {
		char logical[QUOTED_MAX], path[QUOTED_MAX], plain[1000], *longer = NULL;
		const struct mssql_file *f = &job->files[i];
		const char *slash = strrchr(f->physical, '\\');
		size_t len = slash ? (size_t)(slash - f->physical) : 0;

		snprintf(plain, sizeof plain, "%.*s\\%s_%zu.%s",
			 (int)(job->folder ? strlen(job->folder) : len),
			 job->folder ? job->folder : f->physical, job->staged, i + 1,
			 f->type == 'L' ? "ldf" : i == 0 ? "mdf" : "ndf");
		mssql_text(logical, sizeof logical, f->logical);
		mssql_text(path, sizeof path, plain);
		if (asprintf(&longer, "%s, MOVE %s TO %s", text, logical, path) < 0)
			longer = NULL;
		free(text);
		text = longer;
	}
	return text;
}

static void
add_mark(struct mssql_list *ret, const char *database, const char *mark)
{
	char db[QUOTED_MAX], text[QUOTED_MAX];

	mssql_name(db, sizeof db, database);
	mssql_text(text, sizeof text, mark);
	/* A backup carries the mark of where its database came from. */
	add(ret, "IF EXISTS (SELECT 1 FROM %s.sys.extended_properties WHERE class = 0 AND name = N'" MARK
	    "') EXEC %s.sys.sp_dropextendedproperty @name = N'" MARK "'", db, db);
	add(ret, "EXEC %s.sys.sp_addextendedproperty @name = N'" MARK "', @value = %s", db, text);
}

void
mssql_restore(struct mssql_list *ret, const struct mssql_job *job)
{
	char db[QUOTED_MAX], disk[QUOTED_MAX], *move = moves(job);

	mssql_name(db, sizeof db, job->staged);
	mssql_text(disk, sizeof disk, job->file);
	if (!move)
		ret->failed = true;
	else
		add(ret, "RESTORE DATABASE %s FROM DISK = %s WITH CHECKSUM, REPLACE, RECOVERY%s", db, disk,
		    move);
	free(move);
	add_mark(ret, job->staged, job->mark);
}

void
mssql_swap(struct mssql_list *ret, const struct mssql_job *job)
{
	char live[QUOTED_MAX], aside[QUOTED_MAX], staged[QUOTED_MAX];

	mssql_name(live, sizeof live, job->database);
	mssql_name(aside, sizeof aside, job->live_exists ? job->aside : "");
	mssql_name(staged, sizeof staged, job->staged);
	for (size_t i = 0; i < job->n_sessions; i++)
		add(ret, "KILL %d", job->sessions[i]);
	if (job->live_exists)
		add(ret, "ALTER DATABASE %s MODIFY NAME = %s", live, aside);
	add(ret, "ALTER DATABASE %s MODIFY NAME = %s", staged, live);
}

/* In Microsoft's order: the secondary is forgotten, the last logs are applied, users that look
 * into a standby copy are sent away, and only then it is recovered. */
void
mssql_recover(struct mssql_list *ret, const struct mssql_job *job)
{
	char db[QUOTED_MAX], name[QUOTED_MAX], disk[QUOTED_MAX];

	mssql_name(db, sizeof db, job->database);
	mssql_text(name, sizeof name, job->database);
	add(ret, "IF EXISTS (SELECT 1 FROM msdb.dbo.log_shipping_secondary_databases WHERE "
	    "secondary_database = %s) EXEC master.sys.sp_delete_log_shipping_secondary_database %s", name,
	    name);
	for (size_t i = 0; i < job->n_sessions; i++)
		add(ret, "KILL %d", job->sessions[i]);
	for (size_t i = 0; i < job->n_logs; i++) {
		mssql_text(disk, sizeof disk, job->logs[i]);
		add(ret, "RESTORE LOG %s FROM DISK = %s WITH CHECKSUM, NORECOVERY", db, disk);
	}
	add(ret, "RESTORE DATABASE %s WITH RECOVERY", db);
}

/* --- questions ----------------------------------------------------------------------------------- */

void
mssql_ask_database(char *out, size_t cap, const char *database)
{
	char name[QUOTED_MAX];

	mssql_text(name, sizeof name, database);
	snprintf(out, cap, "SELECT state_desc, CONVERT(varchar(30), create_date, 126) FROM sys.databases "
		 "WHERE name = %s", name);
}

void
mssql_ask_sessions(char *out, size_t cap, const char *database)
{
	char name[QUOTED_MAX];

	/* What sp_who2 shows, without its padding. */
	mssql_text(name, sizeof name, database);
	snprintf(out, cap, "SELECT session_id, login_name, COALESCE(host_name, ''), COALESCE(program_name, "
		 "'') FROM sys.dm_exec_sessions WHERE database_id = DB_ID(%s) AND session_id <> @@SPID AND "
		 "is_user_process = 1", name);
}

void
mssql_ask_rows(char *out, size_t cap, const char *database)
{
	char db[QUOTED_MAX];

	mssql_name(db, sizeof db, database);
	snprintf(out, cap, "SELECT s.name + '.' + t.name, SUM(p.rows) FROM %s.sys.tables t JOIN "
		 "%s.sys.schemas s ON s.schema_id = t.schema_id JOIN %s.sys.partitions p ON p.object_id = "
		 "t.object_id AND p.index_id IN (0, 1) WHERE t.is_ms_shipped = 0 GROUP BY s.name, t.name "
		 "ORDER BY 1", db, db, db);
}

void
mssql_ask_files(char *out, size_t cap, const char *file)
{
	char disk[QUOTED_MAX];

	mssql_text(disk, sizeof disk, file);
	snprintf(out, cap, "RESTORE FILELISTONLY FROM DISK = %s", disk);
}

void
mssql_ask_mark(char *out, size_t cap, const char *database)
{
	char db[QUOTED_MAX];

	mssql_name(db, sizeof db, database);
	snprintf(out, cap, "SELECT CONVERT(nvarchar(400), value) FROM %s.sys.extended_properties WHERE class "
		 "= 0 AND name = N'" MARK "'", db);
}
