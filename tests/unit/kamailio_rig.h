/* A real Kamailio as XCAP server, for tests: private directory, free port, own pid. */
#ifndef TESTS_KAMAILIO_RIG_H
#define TESTS_KAMAILIO_RIG_H

#include <stdbool.h>
#include <sys/types.h>

struct kamailio_rig {
	char dir[64];   /* everything of it is in here */
	char root[64];  /* http://127.0.0.1:PORT/xcap-root */
	int port;
	pid_t pid;
};

/* Are kamailio, its modules and sqlite3 installed? */
bool kamailio_rig_possible(void);
/* Starts one with an empty database; aborts with a message when it does not answer. */
void kamailio_rig_start(struct kamailio_rig *rig);
/* The same with a database of the caller's: "db_postgres", "postgres://user:password@host:port/db". */
void kamailio_rig_start_on(struct kamailio_rig *rig, const char *db_module, const char *db_url);
/* Ends it, and waits; kamailio_rig_again starts it with the documents that it had. */
void kamailio_rig_end(struct kamailio_rig *rig);
void kamailio_rig_again(struct kamailio_rig *rig);
/* Ends it and removes its directory. */
void kamailio_rig_stop(struct kamailio_rig *rig);
/* A TCP port of 127.0.0.1 that nobody listens on. */
int kamailio_rig_free_port(void);

#endif
