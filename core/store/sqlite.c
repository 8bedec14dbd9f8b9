/* The default store: one SQLite database in the state directory.
 *
 * WAL with synchronous=FULL: a commit is one write and one fsync of the log,
 * and readers (status) never block the writer.  An event's key is the run's
 * number in the high bits and its sequence number in the low ones, so that an
 * append is an insert at the end of one b-tree, and two writers of one number
 * collide on the primary key.
 */
#include "core/base/base.h"
#include "core/base/strbuf.h"
#include "core/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEQ_BITS 36
#define SCHEMA_VERSION 1

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS run ("
	"  no INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
	"CREATE TABLE IF NOT EXISTS event ("
	"  id INTEGER PRIMARY KEY, body TEXT NOT NULL);"
	"PRAGMA user_version = 1;";

enum statement { BEGIN, COMMIT, ROLLBACK, FIND_RUN, ADD_RUN, LAST, INSERT, N_STATEMENTS };

static const char *const statement_sql[N_STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[FIND_RUN] = "SELECT no FROM run WHERE name = ?1",
	[ADD_RUN] = "INSERT INTO run(name) VALUES (?1)",
	[LAST] = "SELECT max(id) FROM event WHERE id >= ?1 AND id < ?2",
	[INSERT] = "INSERT INTO event(id, body) VALUES (?1, ?2)",
};

struct sqlite_store {
	struct store base;                 /* must be first */
	sqlite3 *db;                       /* owned */
	sqlite3_stmt *stmt[N_STATEMENTS];  /* prepared at first use */
	char *path;                        /* of the database, for messages */
	bool settled;                      /* nothing of an earlier process is left in the log */
};

static int
db_error(struct sqlite_store *s, struct error *err, const char *doing)
{
	int primary = sqlite3_errcode(s->db) & 0xff;
	int code = primary == SQLITE_FULL ? E_FULL :
		   primary == SQLITE_BUSY || primary == SQLITE_LOCKED ? E_BUSY :
		   primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB ? E_CORRUPT :
		   primary == SQLITE_NOMEM ? E_NOMEM : E_IO;
	int os_errno = sqlite3_system_errno(s->db);

	if (primary == SQLITE_IOERR && (os_errno == ENOSPC || os_errno == EDQUOT))
		code = E_FULL;
	if (primary == SQLITE_IOERR && os_errno)
		return error_set(err, code, "journal %s: cannot %s: %s (%s)", s->path, doing,
				 sqlite3_errmsg(s->db), strerror(os_errno));
	return error_set(err, code, "journal %s: cannot %s: %s", s->path, doing,
			 sqlite3_errmsg(s->db));
}

static sqlite3_stmt *
statement(struct sqlite_store *s, enum statement which)
{
	if (!s->stmt[which])
		sqlite3_prepare_v3(s->db, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
				   &s->stmt[which], NULL);
	return s->stmt[which];
}

/* Runs a bound statement to its first row or its end; *ret_value gets column
 * 0 of a row, 0 where that is NULL or there is none. */
static int
step(struct sqlite_store *s, enum statement which, int64_t *ret_value)
{
	sqlite3_stmt *st = statement(s, which);
	int rc = st ? sqlite3_step(st) : SQLITE_ERROR;

	if (ret_value)
		*ret_value = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	if (st)
		sqlite3_reset(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -1;
}

static int64_t
event_id(int64_t run_no, int64_t seq)
{
	return run_no << SEQ_BITS | seq;
}

/* The run's number, 0 when there is none. */
static int
find_run(struct sqlite_store *s, const char *run, int64_t *ret_no)
{
	sqlite3_stmt *st = statement(s, FIND_RUN);

	if (!st)
		return -1;
	sqlite3_bind_text(st, 1, run, -1, SQLITE_STATIC);
	return step(s, FIND_RUN, ret_no);
}

static int
add_run(struct sqlite_store *s, const char *run, int64_t *ret_no)
{
	sqlite3_stmt *st = statement(s, ADD_RUN);

	if (!st)
		return -1;
	sqlite3_bind_text(st, 1, run, -1, SQLITE_STATIC);
	if (step(s, ADD_RUN, NULL) < 0)
		return -1;
	*ret_no = sqlite3_last_insert_rowid(s->db);
	return 0;
}

static int
last_seq(struct sqlite_store *s, int64_t run_no, int64_t *ret_seq)
{
	sqlite3_stmt *st = statement(s, LAST);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, event_id(run_no, 0));
	sqlite3_bind_int64(st, 2, event_id(run_no + 1, 0));
	if (step(s, LAST, ret_seq) < 0)
		return -1;
	*ret_seq &= (INT64_C(1) << SEQ_BITS) - 1;
	return 0;
}

static int
insert_all(struct sqlite_store *s, int64_t run_no, int64_t seq, const struct store_body *bodies,
	   size_t n)
{
	sqlite3_stmt *st = statement(s, INSERT);

	if (!st)
		return -1;
	for (size_t i = 0; i < n; i++) {
		sqlite3_bind_int64(st, 1, event_id(run_no, seq + (int64_t)i));
		sqlite3_bind_text64(st, 2, bodies[i].text, bodies[i].len, SQLITE_STATIC,
				    SQLITE_UTF8);
		if (step(s, INSERT, NULL) < 0)
			return -1;
	}
	return 0;
}

static int
append_in_transaction(struct sqlite_store *s, const char *run, int64_t expected_seq,
		      const struct store_body *bodies, size_t n, struct error *err)
{
	int64_t run_no, last = 0;

	if (find_run(s, run, &run_no) < 0)
		return db_error(s, err, "find the run");
	if (!run_no && add_run(s, run, &run_no) < 0)
		return db_error(s, err, "add the run");
	if (last_seq(s, run_no, &last) < 0)
		return db_error(s, err, "find the last event");
	if (last + 1 != expected_seq)
		return error_set(err, E_FENCED,
				 "run %s: event %" PRId64 " was to be written, but the journal has "
				 "%" PRId64 ": another resite owns this run now",
				 run, expected_seq, last);
	if (insert_all(s, run_no, expected_seq, bodies, n) < 0)
		return db_error(s, err, "write");
	if (step(s, COMMIT, NULL) < 0)
		return db_error(s, err, "commit");
	return 0;
}

/* What another process has left in the log is moved into the database before anything is
 * written behind it.  Its last sync may have failed: then the kernel has forgotten that those
 * pages were to be written, no later sync of them writes them, and the log would be cut off
 * there when the power fails, with all that was appended since. */
static int
settle(struct sqlite_store *s, struct error *err)
{
	if (!s->settled &&
	    sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) !=
		    SQLITE_OK)
		return db_error(s, err, "write down what was left in the log");
	s->settled = true;
	return 0;
}

static int
sqlite_append(struct store *store, const char *run, int64_t expected_seq,
	      const struct store_body *bodies, size_t n, struct error *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	int rc = settle(s, err);

	if (rc < 0)
		return rc;
	if (step(s, BEGIN, NULL) < 0)
		return db_error(s, err, "begin to write");
	rc = append_in_transaction(s, run, expected_seq, bodies, n, err);
	if (rc < 0 && !sqlite3_get_autocommit(s->db))
		step(s, ROLLBACK, NULL);
	return rc;
}

static int
sqlite_read(struct store *store, const char *run, int64_t from_seq, store_event_fn *fn, void *ctx,
	    struct error *err)
{
	static const char sql[] = "SELECT id, body FROM event WHERE id >= ?1 AND id < ?2 "
				  "ORDER BY id";
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st;
	int64_t no;
	int step_rc = SQLITE_DONE, rc = 0;

	if (find_run(s, run, &no) < 0)
		return db_error(s, err, "find the run");
	if (!no)
		return error_set(err, E_NOTFOUND, "there is no run %s in %s", run, s->path);
	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
		return db_error(s, err, "read");
	sqlite3_bind_int64(st, 1, event_id(no, from_seq));
	sqlite3_bind_int64(st, 2, event_id(no + 1, 0));
	while (rc >= 0 && (step_rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(st, 1);

		rc = fn(ctx, sqlite3_column_int64(st, 0) & ((INT64_C(1) << SEQ_BITS) - 1),
			text ? text : "", (size_t)sqlite3_column_bytes(st, 1));
	}
	if (rc >= 0 && step_rc != SQLITE_DONE)
		rc = db_error(s, err, "read");
	sqlite3_finalize(st);
	return rc < 0 ? rc : 0;
}

static int
sqlite_list(struct store *store, store_run_fn *fn, void *ctx, struct error *err)
{
	static const char sql[] = "SELECT name, no FROM run ORDER BY no";
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st;
	int step_rc, rc = 0;

	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
		return db_error(s, err, "list the runs");
	while (rc >= 0 && (step_rc = sqlite3_step(st)) == SQLITE_ROW) {
		int64_t last;

		if (last_seq(s, sqlite3_column_int64(st, 1), &last) < 0)
			rc = db_error(s, err, "list the runs");
		else
			rc = fn(ctx, (const char *)sqlite3_column_text(st, 0), last);
	}
	if (rc >= 0 && step_rc != SQLITE_DONE)
		rc = db_error(s, err, "list the runs");
	sqlite3_finalize(st);
	return rc < 0 ? rc : 0;
}

static void
sqlite_close(struct store *store)
{
	struct sqlite_store *s = (struct sqlite_store *)store;

	for (int i = 0; i < N_STATEMENTS; i++)
		sqlite3_finalize(s->stmt[i]);
	sqlite3_close(s->db);
	free(s->path);
	free(s);
}

static const struct store_ops sqlite_ops = {
	.append = sqlite_append,
	.read = sqlite_read,
	.list = sqlite_list,
	.close = sqlite_close,
};

/* What is in a folder survives a power cut only if the folder's own name does. */
static int
sync_parent(const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX] = ".";
	int fd, rc = 0;

	if (slash) {
		size_t len = slash > path ? (size_t)(slash - path) : 1;

		memcpy(parent, path, len);
		parent[len] = '\0';
	}
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		rc = error_errno(err, errno, "cannot make the state directory %s durable", path);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
make_dir(const char *path, struct error *err)
{
	if (mkdir(path, 0700) == 0)
		return sync_parent(path, err);
	/* Of those above, one that may not be made may be there. */
	return errno == EEXIST || access(path, F_OK) == 0 ? 0 :
	       error_errno(err, errno, "cannot make the state directory %s", path);
}

/* mkdir -p with mode 0700 for what is new. */
static int
make_dirs(const char *dir, struct error *err)
{
	char path[PATH_MAX];
	size_t len = strlen(dir);
	int rc = 0;

	if (len >= sizeof(path))
		return error_set(err, E_INVALID, "state directory: the path is too long");
	memcpy(path, dir, len + 1);
	for (char *p = path + 1; rc == 0 && *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		rc = make_dir(path, err);
		*p = '/';
	}
	return rc == 0 ? make_dir(path, err) : rc;
}

static int
check_version(struct sqlite_store *s, struct error *err)
{
	sqlite3_stmt *st;
	int version = -1;

	if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		version = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	if (version < 0)
		return db_error(s, err, "open");
	if (version > SCHEMA_VERSION)
		return error_set(err, E_INVALID,
				 "journal %s has format %d, this resite knows %d: use a newer "
				 "resite", s->path, version, SCHEMA_VERSION);
	return version;
}

static int
prepare_database(struct sqlite_store *s, struct error *err)
{
	int version;

	sqlite3_busy_timeout(s->db, 10000);
	if (sqlite3_exec(s->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;", NULL,
			 NULL, NULL) != SQLITE_OK)
		return db_error(s, err, "open");
	version = check_version(s, err);
	if (version < 0)
		return version;
	if (version == 0 && sqlite3_exec(s->db, schema, NULL, NULL, NULL) != SQLITE_OK)
		return db_error(s, err, "create");
	return 0;
}

static int
open_database(struct sqlite_store *s, const char *dir, bool create, struct error *err)
{
	struct strbuf path = STRBUF_INIT;
	int flags = SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0);

	strbuf_addf(&path, "%s/journal.db", dir);
	s->path = strbuf_detach(&path);
	if (!s->path)
		return error_set(err, E_NOMEM, "out of memory");
	if (sqlite3_open_v2(s->path, &s->db, flags, NULL) != SQLITE_OK) {
		if (!create && (sqlite3_errcode(s->db) & 0xff) == SQLITE_CANTOPEN)
			return error_set(err, E_NOTFOUND, "there is no journal in %s (give "
					 "--state DIR, or RESITE_STATE)", dir);
		return db_error(s, err, "open");
	}
	return prepare_database(s, err);
}

int
store_open_sqlite(const char *dir, bool create, struct store **ret, struct error *err)
{
	struct sqlite_store *s;
	int rc;

	rc = create ? make_dirs(dir, err) : 0;
	if (rc < 0)
		return rc;
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(err, E_NOMEM, "out of memory");
	s->base.ops = &sqlite_ops;
	rc = open_database(s, dir, create, err);
	if (rc < 0) {
		sqlite_close(&s->base);
		return rc;
	}
	*ret = &s->base;
	return 0;
}
