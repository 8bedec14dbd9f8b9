/* The parts of the target of via = "sql": what it knows, and its putting side. */
#ifndef CONTACTS_TARGET_SQL_H
#define CONTACTS_TARGET_SQL_H

#include "plugins/contacts/contacts.h"
#include "plugins/contacts/target.h"
#include "sdk/pg/pg.h"

/* A batch is a transaction: lost whole, repeated whole, and held in memory until then. */
#define BATCH_ROWS 1000
#define BATCH_BYTES (4u << 20)
#define LANES 2

struct item {
	uint64_t index;
	size_t user;      /* offset in names */
	size_t row, end;  /* of its bytes in rows; in a look: of the document that was handed in */
	size_t uri, etag; /* offsets in names */
	size_t bad;       /* offset in names of what is wrong with it; 0: nothing, it has a row */
};

/* One connection and the batch that is on its way over it. */
struct lane {
	struct pg pg;
	struct item items[BATCH_ROWS];
	size_t n;
	struct buf rows, names;
	size_t sent;      /* of rows */
	bool inserting;   /* all rows are there; the answer to the INSERT is awaited */
};

struct sql {
	struct pg_login login;
	char password[512];
	char path[512];       /* of the XCAP root, as it stands in doc_uri */
	char table[130];
	struct lane *lanes;   /* LANES of them */
	unsigned n_lanes;     /* connected */
	unsigned at;          /* the lane that takes rows */
	bool conditional;     /* some row of the batch says what must be there still */
	uint64_t etags;       /* the number of the last one */
	int64_t began_s;
	struct xcap *xcap;    /* of a read-back */
	struct fault fault;   /* rc 0: none */
};

/* The fault of a connection; returns rc. */
int sql_failed(struct sql *s, const struct pg *pg, int rc);
/* Appends text and a NUL; returns where it begins. */
size_t sql_add_name(struct buf *names, const char *text);
/* ROOT/resource-lists/users/XUI/index and a NUL, as xcap_server keeps the path of a request. */
void sql_add_uri(const struct sql *s, struct buf *names, const char *user);
/* Appends an array of SQL with the addresses, or the etags, of items lo to hi, and a NUL. */
void sql_add_array(struct buf *out, const struct lane *lane, size_t lo, size_t hi, bool etags);
void sql_empty_lane(struct lane *lane);

/* Queues a row; full batches go out.  Failures are in the target's fault. */
int sql_put_row(struct target *t, const struct document *d, const char *etag);
/* Sends what is queued, and waits for all answers. */
int sql_put_rest(struct target *t);

#endif
