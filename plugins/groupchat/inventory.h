/* inventory.h -- what is in a database: each table's rows and a digest of their values.
 *
 * The digest is a sum over the rows of hashes of their columns' text forms, made by the
 * server: it does not depend on the order of the rows, one session can compute it beside
 * others, and it needs no sort.  It finds damage and loss, not an enemy's work.
 */
#ifndef GROUPCHAT_INVENTORY_H
#define GROUPCHAT_INVENTORY_H

#include "plugins/groupchat/db.h"

#include <stdbool.h>

struct inventory_item {
	char *name;    /* quoted, schema.table */
	bool sequence; /* rows: whether it was used; digest: its last value */
	uint64_t rows;
	char *digest;
};

struct inventory {
	struct inventory_item *list; /* by kind and name */
	size_t n;
	char **queries; /* n of them, until inventory_collect */
};

#define INVENTORY_DIGEST_LEN 64

/* The list of tables and sequences of the database that db is connected to; nothing is
 * read of them yet. */
int inventory_list(struct db *db, struct inventory *ret);
/* Starts to count; the answers come with inventory_collect. */
int inventory_send(struct db *db, const struct inventory *inv);
int inventory_collect(struct db *db, struct inventory *inv);
/* All three. */
int inventory_take(struct db *db, struct inventory *ret);
/* The rows alone, which is quicker: every digest of a table is "-". */
int inventory_count(struct db *db, struct inventory *ret);
void inventory_release(struct inventory *inv);

uint64_t inventory_rows(const struct inventory *inv); /* of all tables */
size_t inventory_tables(const struct inventory *inv);
/* SHA-256 of all of it, in hex. */
void inventory_digest(const struct inventory *inv, char out[INVENTORY_DIGEST_LEN + 1]);
/* The item of that name and kind, or NULL. */
const struct inventory_item *inventory_find(const struct inventory *inv, const char *name,
					    bool sequence);

/* As JSON text for the set, to be freed; NULL: no memory. */
char *inventory_json(const struct inventory *inv);
/* From such text; false when it is none, why says what is wrong. */
bool inventory_parse(struct inventory *ret, const char *text, size_t len, char why[200]);

/* --- decisions about two of them (pure) --- */

/* The first difference as a sentence; false: they are the same. */
bool inventory_differs(const struct inventory *is, const struct inventory *should, char why[400]);
/* Does a database hold what the set does not?  Newer: more rows, a sequence further on.
 * Foreign: a table with rows that the set has not.  false: nothing of that kind. */
bool inventory_exceeds(const struct inventory *database, const struct inventory *set,
		       char why[400]);

#endif
