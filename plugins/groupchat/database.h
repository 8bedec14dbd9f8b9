/* database.h -- whole databases of a PostgreSQL server: looked at, loaded, swapped. */
#ifndef GROUPCHAT_DATABASE_H
#define GROUPCHAT_DATABASE_H

#include "plugins/groupchat/inventory.h"
#include "plugins/groupchat/db.h"

#define DATABASE_NAME_MAX 63 /* of PostgreSQL, in bytes */
#define DATABASE_MARK_MAX 200

/* How a database is made: its owner and the properties that cannot be changed later. */
struct database_form {
	char owner[64], encoding[32], collate[128], ctype[128], icu_locale[128]; /* "": not said */
};

/* What a server says about one of its databases. */
struct database {
	bool exists;
	char oid[16];
	char mark[DATABASE_MARK_MAX]; /* what database_mark put there; "": none */
	struct database_form form;
	uint64_t connections;
	char who[300];                /* some of them: user, program, address */
};

/* What a server says about itself. */
struct server {
	int version;          /* 150020 */
	char version_text[64];
	bool standby;
	char wal[32];         /* position in its log */
};

int server_look(struct db *db, struct server *ret);
int database_look(struct db *db, const char *name, struct database *ret);

/* "rs": the first key of the advisory lock that is database_turn; the second is hashtext(name). */
#define DATABASE_TURN 29299

/* From here until db_close nobody else of resite makes, renames or drops databases for name at
 * this server: no other run, and nothing that the server still does for an attempt that was
 * killed, for it carries a statement out to its end whether or not anybody waits.  Waits at
 * most ms; then RESITE_ERR_TRANSIENT, with who it is. */
int database_turn(struct db *db, const char *name, int64_t ms);
/* Waits at most ms for those who are connected to it to go; *ret is how it is then. */
int database_await_unused(struct db *db, const char *name, int64_t ms, struct database *ret);

/* Remembers a text with a database: it stays when the database is renamed and is in no
 * dump of it. */
int database_mark(struct db *db, const char *name, const char *mark);
/* Ends what is connected to it and drops it; not there: that is fine. */
int database_drop(struct db *db, const char *name);
/* Ends what is connected to it. */
int database_disconnect(struct db *db, const char *name);
/* Renames live to aside (NULL: there is no live one) and staged to live, both or neither. */
int database_swap(struct db *db, const char *live, const char *aside, const char *staged);

/* A dump, and what must be in the database that is made of it. */
struct load {
	const char *file;              /* in pg_dump's custom format */
	const struct inventory *should;
	const struct database_form *form;
	int64_t jobs, memory;          /* of pg_restore; memory for an index, 0: by the dump's size */
	bool keep_owner;
};

/* Makes the database name of a dump: drops what has that name, creates it, runs pg_restore
 * and compares every table with what it should be.  db is connected to another database.
 * What could not be made whole is dropped again. */
int database_load(struct db *db, const struct load *load, const char *name);

/* --- names and sizes (pure) --- */

/* live and a suffix, shortened at live's end so that the server takes it whole. */
void database_name(char out[DATABASE_NAME_MAX + 1], const char *live, const char *suffix);
/* What it takes to sort an index of a dump of that many bytes in one merge, and no more. */
int64_t index_memory(int64_t dump_bytes);

#endif
