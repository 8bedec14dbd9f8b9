/* mssql.h -- the statements by which Microsoft SQL Server is backed up, restored and recovered.
 * Pure: texts in, texts out. */
#ifndef GROUPCHAT_MSSQL_H
#define GROUPCHAT_MSSQL_H

#include <stdbool.h>
#include <stddef.h>

#define MSSQL_STATEMENTS_MAX 64
#define MSSQL_NAME_MAX 128

/* [name], with ] doubled; N'text', with ' doubled.  Cut when they do not fit: cap at least
 * 2 * strlen + 8 is enough. */
void mssql_name(char *out, size_t cap, const char *name);
void mssql_text(char *out, size_t cap, const char *text);

/* A list of statements, to be run in this order. */
struct mssql_list {
	char *sql[MSSQL_STATEMENTS_MAX];
	size_t n;
	bool failed; /* no memory, or too many */
};
void mssql_list_free(struct mssql_list *list);

/* A file of a backup, as RESTORE FILELISTONLY tells. */
struct mssql_file {
	const char *logical, *physical;
	char type; /* D data, L log, S, F */
};

enum mssql_how {
	MSSQL_BESIDE = 1,  /* restore under another name, then rename */
	MSSQL_RECOVER = 2, /* a log shipping secondary: last logs, then WITH RECOVERY */
};

struct mssql_job {
	const char *database, *staged, *aside; /* live; restored; what was live */
	const char *file;                 /* of the backup, as the server sees it */
	const char *folder;               /* where the server puts the files; NULL: where they were */
	const struct mssql_file *files;
	size_t n_files;
	const char *const *logs;          /* log backups, oldest first */
	size_t n_logs;
	const int *sessions;              /* to be ended */
	size_t n_sessions;
	bool live_exists;
	const char *mark;
};

/* BACKUP and the proof that its file can be read. */
void mssql_backup(struct mssql_list *ret, const char *database, const char *file, const char *name);
/* Restores job->file as job->staged, and marks it. */
void mssql_restore(struct mssql_list *ret, const struct mssql_job *job);
/* Ends the sessions of the live database and renames both. */
void mssql_swap(struct mssql_list *ret, const struct mssql_job *job);
/* Brings a log shipping secondary up: it stops being one, takes the last logs, recovers. */
void mssql_recover(struct mssql_list *ret, const struct mssql_job *job);

/* --- questions --- */
/* sys.databases: name, state_desc, the mark (or ''). */
void mssql_ask_database(char *out, size_t cap, const char *database);
void mssql_ask_sessions(char *out, size_t cap, const char *database);
void mssql_ask_rows(char *out, size_t cap, const char *database);
void mssql_ask_files(char *out, size_t cap, const char *file);
void mssql_ask_mark(char *out, size_t cap, const char *database);

#endif
