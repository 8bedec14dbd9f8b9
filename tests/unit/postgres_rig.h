/* postgres_rig.h -- a PostgreSQL server of a test's own, on a free port of loopback. */
#ifndef RESITE_TESTS_POSTGRES_RIG_H
#define RESITE_TESTS_POSTGRES_RIG_H

#include <stdbool.h>
#include <sys/types.h>

struct postgres_rig {
	char dir[64];      /* its cluster, log and socket; removed at the end */
	char server[32];   /* 127.0.0.1:port */
	int port;
	pid_t pid;
	long file_limit;   /* bytes: the server can make no larger file; 0: as large as it likes */
};

#define POSTGRES_RIG_USER "lab"
#define POSTGRES_RIG_PASSWORD "pa:ss\\word" /* with what a password file must escape */

/* Are PostgreSQL's programs here? */
bool postgres_rig_possible(void);
/* Makes a cluster with a superuser and starts it; ends the test when that fails.  Over TCP a
 * password is asked for (scram-sha-256). */
void postgres_rig_start(struct postgres_rig *rig);
/* Starts it again after postgres_rig_end. */
void postgres_rig_again(struct postgres_rig *rig);
/* Ends the server; its data stays. */
void postgres_rig_end(struct postgres_rig *rig);
void postgres_rig_stop(struct postgres_rig *rig);
/* Carries out SQL as superuser; ends the test when it fails. */
__attribute__((format(printf, 3, 4))) void postgres_rig_sql(const struct postgres_rig *rig,
							    const char *database, const char *fmt,
							    ...);
/* The first value that a query gives, in a buffer of the caller. */
__attribute__((format(printf, 5, 6))) const char *
postgres_rig_ask(const struct postgres_rig *rig, const char *database, char *buf, size_t cap,
		 const char *fmt, ...);

#endif
