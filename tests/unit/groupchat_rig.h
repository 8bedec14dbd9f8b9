/* groupchat_rig.h -- what the tests of groupchat's database actions share: a server with a chat
 * database of 500 messages, a vault, and the steps of the plugin. */
#ifndef RESITE_TESTS_GROUPCHAT_RIG_H
#define RESITE_TESTS_GROUPCHAT_RIG_H

#include "sdk/testkit/fakehost.h"
#include "tests/unit/postgres_rig.h"

#include <check.h>

extern struct postgres_rig rig;
extern char vault[64];

resite_plugin_v0_fn resite_plugin_v0;

/* A suite of one case, with the server and database chat for the case and a vault for each test;
 * *ret_case is for the tests. */
Suite *groupchat_suite(const char *name, TCase **ret_case);
/* Makes a suite and runs it, as run_suite, where there is a PostgreSQL server. */
int run_groupchat(Suite *(*suite)(void));

/* A step of the plugin with what all of them need. */
struct fakehost *step(const char *name, const char *database);
void expect_ok(struct fakehost *fh, enum fakehost_phase phase);
/* It fails with rc, says words, and no password. */
void expect_failure(struct fakehost *fh, enum fakehost_phase phase, int rc, const char *words);
/* Database chat into the vault. */
void backup(void);

void add_messages(const char *database, int n);
/* The first value of a query, until the next one. */
const char *ask(const char *database, const char *sql);
/* No database of a restore or a check under way is left. */
void ck_no_leftovers(void);
void drop(const char *database);
/* Drops database restored and all its former selves. */
void drop_restored(void);

#endif
