/* rows.h -- the objects of a response group configuration: rows of six tables. */
#ifndef RESPONSE_GROUPS_ROWS_H
#define RESPONSE_GROUPS_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order in which rows may refer to each other. */
enum rgs_table {
	RGS_SETTINGS,
	RGS_HOURS,
	RGS_HOLIDAYS,
	RGS_GROUPS,
	RGS_QUEUES,
	RGS_WORKFLOWS,
	RGS_TABLES,
};

struct rgs_table_info {
	const char *table; /* its name in the database and in a set */
	const char *word;  /* for people, one of it */
	bool unique_name;  /* no two of a server may have the same name, whoever owns them */
};
extern const struct rgs_table_info rgs_tables[RGS_TABLES];

/* One object.  All strings belong to the rows that it is in. */
struct rgs_row {
	enum rgs_table table;
	char *id, *name;
	char *owner; /* the pool that it belongs to */
	char *body;  /* the whole row but its owner, as the server writes jsonb */
	char *address;  /* of a workflow; NULL: none */
	bool formal;    /* a group whose agents sign in */
	size_t agents;  /* of a group */
};

/* Rows sorted by table, then id. */
struct rgs_rows {
	struct rgs_row *list;
	size_t n;
};

/* Room for what went wrong. */
#define RGS_ERROR_MAX 900
struct rgs_error {
	int rc; /* enum resite_rc */
	const char *param; /* at fault, or NULL */
	char text[RGS_ERROR_MAX];
};
__attribute__((format(printf, 3, 4))) int rgs_fail(struct rgs_error *e, int rc, const char *fmt,
						   ...);

/* The table of that name; RGS_TABLES: none. */
enum rgs_table rgs_table_find(const char *name);
/* Adds a row, whose id, name and other facts are read out of its body.  An unusable row is
 * RESITE_ERR_REFUSED. */
int rgs_rows_add(struct rgs_rows *rows, enum rgs_table table, const char *owner, const char *body,
		 struct rgs_error *e);
/* Sorts; a row that is there twice is RESITE_ERR_REFUSED. */
int rgs_rows_end(struct rgs_rows *rows, const char *where, struct rgs_error *e);
void rgs_rows_release(struct rgs_rows *rows);
struct rgs_row *rgs_rows_find(const struct rgs_rows *rows, enum rgs_table table, const char *id);
/* How many of a table. */
size_t rgs_rows_count(const struct rgs_rows *rows, enum rgs_table table);

#define RGS_DIGEST_HEX 65
/* SHA-256 of all rows, owners included. */
void rgs_rows_digest(const struct rgs_rows *rows, char out[RGS_DIGEST_HEX]);
void rgs_row_digest(const struct rgs_row *row, char out[RGS_DIGEST_HEX]);

#define RGS_LABEL_MAX 200
/* "queue Sales (pool1.contoso.example)": the object's name for people and records. */
void rgs_label(const struct rgs_row *row, char out[RGS_LABEL_MAX]);

#endif
