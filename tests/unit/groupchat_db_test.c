/* groupchat's database actions against a real PostgreSQL server. */
#define _GNU_SOURCE
#include "plugins/groupchat/inventory.h"
#include "sdk/testkit/fakehost.h"
#include "tests/unit/postgres_rig.h"
#include "tests/unit/run_suite.h"

#include <glob.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

resite_plugin_v0_fn resite_plugin_v0;

static struct postgres_rig rig;
static char vault[64];

/* Prosody's own tables, and what else a database may have. */
static const char schema[] =
	"CREATE TABLE prosody (host text, \"user\" text, store text, key text, type text, value text);"
	"CREATE TABLE prosodyarchive (sort_id serial PRIMARY KEY, host text NOT NULL, \"user\" text"
	" NOT NULL, store text NOT NULL, key text NOT NULL, \"when\" integer NOT NULL, \"with\" text"
	" NOT NULL, type text NOT NULL, value text NOT NULL);"
	"CREATE UNIQUE INDEX archive_key ON prosodyarchive (host, \"user\", store, key);"
	"CREATE SCHEMA \"odd \"\"name\"; CREATE TABLE \"odd \"\"name\".\"a;b\" (x bytea, t timestamptz, n int);"
	"INSERT INTO \"odd \"\"name\".\"a;b\" VALUES ('\\x00ff', '2026-11-23 06:00+02', NULL),"
	" (NULL, NULL, 1);"
	"ALTER TABLE \"odd \"\"name\".\"a;b\" DROP COLUMN n;";

static void
add_messages(const char *database, int n)
{
	postgres_rig_sql(&rig, database, "INSERT INTO prosodyarchive (host, \"user\", store, key, "
		"\"when\", \"with\", type, value) SELECT 'rooms', 'room' || g %% 7, 'muc_log', "
		"gen_random_uuid(), g, 'message<groupchat', 'xml', '<message>' || g || '</message>' "
		"FROM generate_series(1, %d) g", n);
}

static void
make_chat(void)
{
	postgres_rig_sql(&rig, "postgres", "CREATE DATABASE chat");
	postgres_rig_sql(&rig, "chat", "%s", schema);
	add_messages("chat", 500);
	postgres_rig_sql(&rig, "chat", "INSERT INTO prosody VALUES ('rooms', 'room1', 'config', '', "
			 "'json', '{}')");
}

static void
setup_server(void)
{
	postgres_rig_start(&rig);
	make_chat();
	postgres_rig_sql(&rig, "postgres", "CREATE ROLE weak LOGIN PASSWORD 'weak'");
}

static void
stop_server(void)
{
	postgres_rig_stop(&rig);
}

static void
setup_vault(void)
{
	strcpy(vault, "/tmp/groupchat-vault-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(vault));
}

static void
drop_vault(void)
{
	char command[96];

	snprintf(command, sizeof command, "rm -rf '%s'", vault);
	ck_assert_int_eq(system(command), 0);
}

/* --- steps --------------------------------------------------------------------------- */

static const struct resite_action *
action(const char *name)
{
	const struct resite_plugin *p = resite_plugin_v0();

	for (uint64_t i = 0; i < p->n_actions; i++)
		if (!strcmp(p->actions[i].name, name))
			return &p->actions[i];
	ck_abort_msg("no action %s", name);
}

static struct fakehost *
step(const char *name, const char *database)
{
	struct fakehost *fh = fakehost_new(action(name));

	fakehost_param(fh, "server", rig.server);
	fakehost_param(fh, "database", database);
	fakehost_param(fh, "user", POSTGRES_RIG_USER);
	fakehost_param(fh, "password", "pw");
	fakehost_secret(fh, "pw", POSTGRES_RIG_PASSWORD);
	fakehost_param(fh, "vault", vault);
	fakehost_param(fh, "timeout", "60s");
	if (!strcmp(name, "backup-db"))
		fakehost_param(fh, "site", "primary");
	return fh;
}

static void
expect_ok(struct fakehost *fh, enum fakehost_phase phase)
{
	int rc = fakehost_call(fh, phase);

	ck_assert_msg(rc == RESITE_OK, "rc %d: %s\n%s", rc, fakehost_failure(fh), fakehost_logs(fh));
}

/* fakehost_failure has all the words. */
static void
expect_failure(struct fakehost *fh, enum fakehost_phase phase, int rc, const char *words)
{
	int is = fakehost_call(fh, phase);

	ck_assert_msg(is == rc, "rc %d instead of %d: %s", is, rc, fakehost_failure(fh));
	ck_assert_msg(strstr(fakehost_failure(fh), words) != NULL, "'%s' is not in: %s", words,
		      fakehost_failure(fh));
	ck_assert_msg(!strstr(fakehost_failure(fh), "word") || strstr(words, "word"),
		      "a password in: %s", fakehost_failure(fh));
}

static void
backup(void)
{
	struct fakehost *fh = step("backup-db", "chat");

	expect_ok(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	expect_ok(fh, FAKEHOST_APPLY);
	expect_ok(fh, FAKEHOST_VERIFY);
	expect_ok(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	fakehost_free(fh);
}

static const char *
ask(const char *database, const char *sql)
{
	static char buf[256];

	return postgres_rig_ask(&rig, database, buf, sizeof buf, "%s", sql);
}

static void
ck_no_leftovers(void)
{
	ck_assert_str_eq(ask("postgres", "SELECT coalesce(string_agg(datname, ' '), '') FROM pg_database"
			     " WHERE datname LIKE '%_check_%' OR datname LIKE '%_new_%'"), "");
}

static void
drop(const char *database)
{
	postgres_rig_sql(&rig, "postgres", "DROP DATABASE IF EXISTS \"%s\" WITH (FORCE)", database);
}

/* Drops restored and all its former selves. */
static void
drop_restored(void)
{
	char name[80];

	while (*postgres_rig_ask(&rig, "postgres", name, sizeof name,
		"SELECT datname FROM pg_database WHERE datname LIKE 'restored%%' LIMIT 1"))
		drop(name);
}

/* --- there and back --------------------------------------------------------------------- */

START_TEST(a_backup_restores_to_the_same_rows_values_and_sequences)
{
	struct fakehost *fh;

	backup();
	ck_no_leftovers();
	fh = step("restore-db", "restored");
	expect_ok(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "messages written at primary"));
	expect_ok(fh, FAKEHOST_APPLY);
	ck_assert_str_eq(fakehost_output(fh, "rows"), "503");
	expect_ok(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	ck_assert_str_eq(ask("restored", "SELECT count(*) FROM prosodyarchive"), "500");
	ck_assert_str_eq(ask("restored", "SELECT nextval('prosodyarchive_sort_id_seq')"), "501");
	ck_assert_str_eq(ask("restored", "SELECT count(*) FROM \"odd \"\"name\".\"a;b\""), "2");
	ck_no_leftovers();
	fakehost_free(fh);
	drop_restored();
}
END_TEST

START_TEST(an_encrypted_set_is_restored_with_its_key_and_not_without)
{
	struct fakehost *fh = step("backup-db", "chat");

	fakehost_param(fh, "key", "k");
	fakehost_secret(fh, "k", "a passphrase of some length");
	expect_ok(fh, FAKEHOST_APPLY);
	fakehost_free(fh);
	fh = step("restore-db", "restored");
	ck_assert_int_lt(fakehost_call(fh, FAKEHOST_APPLY), 0);
	ck_assert_ptr_nonnull(strstr(fakehost_failure(fh), "key"));
	fakehost_param(fh, "key", "k");
	fakehost_secret(fh, "k", "a passphrase of some length");
	expect_ok(fh, FAKEHOST_APPLY);
	ck_assert_str_eq(ask("restored", "SELECT count(*) FROM prosodyarchive"), "500");
	fakehost_free(fh);
	drop_restored();
}
END_TEST

START_TEST(a_second_restore_of_the_same_set_does_nothing)
{
	struct fakehost *fh;
	char oid[32];

	backup();
	fh = step("restore-db", "restored");
	expect_ok(fh, FAKEHOST_APPLY);
	postgres_rig_ask(&rig, "postgres", oid, sizeof oid,
			 "SELECT oid FROM pg_database WHERE datname = 'restored'");
	/* The service has written meanwhile: that is no reason to restore again. */
	add_messages("restored", 3);
	expect_ok(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	expect_ok(fh, FAKEHOST_APPLY);
	ck_assert_str_eq(ask("postgres", "SELECT oid FROM pg_database WHERE datname = 'restored'"), oid);
	fakehost_free(fh);
	drop_restored();
}
END_TEST

START_TEST(a_database_that_is_the_same_as_the_set_is_left_alone)
{
	struct fakehost *fh;

	backup();
	fh = step("restore-db", "chat");
	expect_ok(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	fakehost_free(fh);
}
END_TEST

START_TEST(an_older_database_is_replaced_and_kept_and_undo_brings_it_back)
{
	struct fakehost *fh;
	char former[80];

	postgres_rig_sql(&rig, "postgres", "CREATE DATABASE restored TEMPLATE chat");
	postgres_rig_sql(&rig, "restored", "DELETE FROM prosodyarchive WHERE sort_id %% 2 = 0");
	backup();
	fh = step("restore-db", "restored");
	expect_ok(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	expect_ok(fh, FAKEHOST_APPLY);
	snprintf(former, sizeof former, "%s", fakehost_output(fh, "former"));
	ck_assert_str_eq(ask("restored", "SELECT count(*) FROM prosodyarchive"), "500");
	ck_assert_str_eq(ask(former, "SELECT count(*) FROM prosodyarchive"), "250");

	ck_assert_int_eq(fakehost_revert(fh, RESITE_LOOK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 1);
	ck_assert_str_eq(ask("restored", "SELECT count(*) FROM prosodyarchive"), "500");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 1);
	ck_assert_str_eq(ask("restored", "SELECT count(*) FROM prosodyarchive"), "250");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_ALREADY), 1);
	/* The restored one was as in the vault: it is not kept twice. */
	ck_assert_str_eq(ask("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'restored%'"),
			 "1");
	fakehost_free(fh);
	drop_restored();
}
END_TEST

START_TEST(undo_leaves_a_database_with_new_messages_alone_unless_forced)
{
	struct fakehost *fh;

	backup();
	fh = step("restore-db", "restored");
	expect_ok(fh, FAKEHOST_APPLY);
	add_messages("restored", 4);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_CONFLICT), 1);
	ck_assert_str_eq(ask("restored", "SELECT count(*) FROM prosodyarchive"), "504");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_FORCE), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 1);
	/* Nobody's message is thrown away. */
	ck_assert_str_eq(ask("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE "
			     "'restored_undone_%'"), "1");
	fakehost_free(fh);
	drop_restored();
}
END_TEST

START_TEST(a_lost_restore_is_made_again_and_a_whole_one_is_only_swapped)
{
	struct fakehost *fh = step("restore-db", "restored");
	char staged[80], set[96];
	glob_t g;

	backup();
	snprintf(set, sizeof set, "%s/groupchat/2*", vault);
	ck_assert_int_eq(glob(set, 0, NULL, &g), 0);
	snprintf(staged, sizeof staged, "restored_new_%s", strrchr(g.gl_pathv[0], '/') + 1);
	globfree(&g);
	/* What a kill -9 amid pg_restore leaves: a database with some of the tables. */
	postgres_rig_sql(&rig, "postgres", "CREATE DATABASE \"%s\"", staged);
	postgres_rig_sql(&rig, staged, "CREATE TABLE prosody (half text)");
	/* And one after it, before the swap: the staged database stays, with its mark. */
	fakehost_fail_undo(fh, 1);
	ck_assert_int_lt(fakehost_call(fh, FAKEHOST_APPLY), 0);
	ck_assert_str_eq(ask(staged, "SELECT count(*) FROM prosodyarchive"), "500");
	expect_ok(fh, FAKEHOST_APPLY);
	ck_assert_ptr_nonnull(strstr(fakehost_logs(fh), "whole already"));
	ck_assert_str_eq(ask("restored", "SELECT count(*) FROM prosodyarchive"), "500");
	ck_no_leftovers();
	fakehost_free(fh);
	drop_restored();
}
END_TEST

/* The step runs in a process of its own that is killed amid pg_restore. */
START_TEST(killed_amid_the_restore_the_next_attempt_finishes_it)
{
	struct fakehost *fh;
	pid_t pid;

	backup();
	fh = step("restore-db", "restored");
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		fakehost_call(fh, FAKEHOST_APPLY);
		_exit(0);
	}
	for (int i = 0; i < 500 && !*ask("postgres", "SELECT datname FROM pg_database WHERE datname LIKE"
					" 'restored_new_%'"); i++)
		usleep(2000);
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ck_assert_str_eq(ask("postgres", "SELECT count(*) FROM pg_database WHERE datname = 'restored'"),
			 "0");
	expect_ok(fh, FAKEHOST_APPLY);
	ck_assert_str_eq(ask("restored", "SELECT count(*) FROM prosodyarchive"), "500");
	ck_no_leftovers();
	fakehost_free(fh);
	drop_restored();
}
END_TEST

START_TEST(the_dump_and_the_counts_are_of_one_moment)
{
	struct fakehost *fh = step("backup-db", "chat");
	pid_t writer = fork();

	/* Somebody writes all the time: a count of another moment than the dump would differ in
	 * the check. */
	if (writer == 0) {
		for (;;)
			postgres_rig_sql(&rig, "chat", "INSERT INTO prosody VALUES ('h', 'u', 's', 'k', "
					 "'t', 'v')");
	}
	for (int i = 0; i < 2; i++)
		expect_ok(fh, FAKEHOST_APPLY);
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
	postgres_rig_sql(&rig, "chat", "DELETE FROM prosody WHERE host = 'h'");
	fakehost_free(fh);
}
END_TEST

/* --- what must be refused ---------------------------------------------------------------- */

START_TEST(newer_or_foreign_data_is_not_replaced_unless_the_plan_says_so)
{
	struct fakehost *fh;

	backup();
	postgres_rig_sql(&rig, "postgres", "CREATE DATABASE restored TEMPLATE chat");
	add_messages("restored", 2);
	fh = step("restore-db", "restored");
	expect_failure(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "502 rows, 2 more than the set");
	ck_assert_str_eq(ask("restored", "SELECT count(*) FROM prosodyarchive"), "502");
	postgres_rig_sql(&rig, "restored", "TRUNCATE prosodyarchive; CREATE TABLE alien (a int); "
			 "INSERT INTO alien VALUES (1)");
	expect_failure(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "alien (1 rows) is not in the set");
	fakehost_param_clear(fh, "replace");
	fakehost_param(fh, "replace", "any");
	expect_ok(fh, FAKEHOST_PROBE);
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "alien"));
	expect_ok(fh, FAKEHOST_APPLY);
	ck_assert_str_eq(ask("restored", "SELECT count(*) FROM prosodyarchive"), "500");
	fakehost_free(fh);
	drop_restored();
}
END_TEST

START_TEST(a_database_in_use_is_refused_with_who_uses_it_unless_the_plan_says_so)
{
	struct fakehost *fh;
	pid_t user;

	backup();
	postgres_rig_sql(&rig, "postgres", "CREATE DATABASE restored");
	user = fork();
	if (user == 0) {
		postgres_rig_sql(&rig, "restored", "SELECT pg_sleep(60)");
		_exit(0);
	}
	for (int i = 0; i < 500 && strcmp(ask("postgres", "SELECT count(*) FROM pg_stat_activity WHERE "
					      "datname = 'restored'"), "1"); i++)
		usleep(10000);
	fh = step("restore-db", "restored");
	expect_failure(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "in use: 1 connections, by lab");
	fakehost_param_clear(fh, "disconnect");
	fakehost_param(fh, "disconnect", "true");
	expect_ok(fh, FAKEHOST_APPLY);
	ck_assert_str_eq(ask("restored", "SELECT count(*) FROM prosodyarchive"), "500");
	kill(user, SIGKILL);
	waitpid(user, NULL, 0);
	fakehost_free(fh);
	drop_restored();
}
END_TEST

START_TEST(a_set_of_another_site_or_too_old_is_refused)
{
	struct fakehost *fh;

	backup();
	fh = step("restore-db", "restored");
	fakehost_param(fh, "from_site", "dr");
	expect_failure(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "primary");
	fakehost_param_clear(fh, "from_site");
	fakehost_param_clear(fh, "max_age");
	fakehost_param(fh, "max_age", "1ms");
	expect_failure(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "old");
	fakehost_free(fh);
}
END_TEST

START_TEST(a_role_that_the_server_does_not_have_is_named_before_anything_is_done)
{
	struct fakehost *fh = step("backup-db", "owned");

	postgres_rig_sql(&rig, "postgres", "CREATE ROLE prosody LOGIN; ");
	postgres_rig_sql(&rig, "postgres", "CREATE DATABASE owned TEMPLATE chat OWNER prosody");
	postgres_rig_sql(&rig, "owned", "ALTER TABLE prosody OWNER TO prosody");
	expect_ok(fh, FAKEHOST_APPLY);
	fakehost_free(fh);
	drop("owned");
	postgres_rig_sql(&rig, "postgres", "DROP ROLE prosody");
	fh = step("restore-db", "restored");
	expect_failure(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "prosody");
	ck_no_leftovers();
	fakehost_param_clear(fh, "keep_owner");
	fakehost_param(fh, "keep_owner", "false");
	expect_ok(fh, FAKEHOST_APPLY);
	fakehost_free(fh);
	drop_restored();
}
END_TEST

/* --- bad input: servers --------------------------------------------------------------------- */

static int silent_fd = -1;

/* A server that takes connections and says nothing. */
static void
listen_silently(char server[32])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;

	silent_fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(silent_fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(silent_fd, 8), 0);
	getsockname(silent_fd, (struct sockaddr *)&a, &len);
	snprintf(server, 32, "127.0.0.1:%d", ntohs(a.sin_port));
}

static const struct bad_server {
	const char *server, *user, *password, *database, *key, *value; /* key: one parameter more */
	int rc;
	const char *words;
} bad_servers[] = {
	{"127.0.0.1:1", NULL, NULL, NULL, NULL, NULL, RESITE_ERR_TRANSIENT, "Connection refused"},
	{"silent", NULL, NULL, NULL, "timeout", "300ms", RESITE_ERR_TRANSIENT, "no answer within 300 ms"},
	{NULL, NULL, "wrong one", NULL, NULL, NULL, RESITE_ERR_REFUSED, "password authentication failed"},
	{NULL, "nobody-here", NULL, NULL, NULL, NULL, RESITE_ERR_REFUSED, "authentication failed"},
	{NULL, NULL, NULL, "nothing", NULL, NULL, RESITE_ERR_REFUSED, "\"nothing\" does not exist"},
	{NULL, NULL, NULL, NULL, "sslmode", "require", RESITE_ERR_TRANSIENT, "does not support SSL"},
	{NULL, NULL, NULL, NULL, "bin_dir", "/nonexistent", RESITE_ERR_INVALID, "No such file"},
	{NULL, "weak", "weak", NULL, NULL, NULL, RESITE_ERR_REFUSED, "permission denied"},
	{NULL, NULL, NULL, "postgres", NULL, NULL, RESITE_ERR_REFUSED, "has no table"},
	{NULL, NULL, NULL, NULL, "scratch_server", "127.0.0.1:1", RESITE_ERR_TRANSIENT, "refused"},
};

START_TEST(a_backup_that_cannot_be_made_says_why_and_leaves_no_set)
{
	const struct bad_server *bad = &bad_servers[_i];
	struct fakehost *fh = fakehost_new(action("backup-db"));
	char server[32], pattern[96];
	glob_t g;

	/* valgrind makes a fork of vfork, which cannot tell that exec failed. */
	if (bad->rc == RESITE_ERR_INVALID && getenv("RESITE_UNDER_VALGRIND")) {
		fakehost_free(fh);
		return;
	}
	snprintf(server, sizeof server, "%s", bad->server ? bad->server : rig.server);
	if (!strcmp(server, "silent"))
		listen_silently(server);
	fakehost_param(fh, "server", server);
	fakehost_param(fh, "database", bad->database ? bad->database : "chat");
	fakehost_param(fh, "user", bad->user ? bad->user : POSTGRES_RIG_USER);
	fakehost_param(fh, "password", "pw");
	fakehost_secret(fh, "pw", bad->password ? bad->password : POSTGRES_RIG_PASSWORD);
	fakehost_param(fh, "vault", vault);
	fakehost_param(fh, "site", "primary");
	if (bad->key)
		fakehost_param(fh, bad->key, bad->value);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), bad->rc);
	ck_assert_msg(strstr(fakehost_failure(fh), bad->words) != NULL, "'%s' is not in: %s", bad->words,
		      fakehost_failure(fh));
	ck_assert_ptr_null(strstr(fakehost_logs(fh), POSTGRES_RIG_PASSWORD));
	snprintf(pattern, sizeof pattern, "%s/groupchat/*", vault);
	ck_assert_int_eq(glob(pattern, 0, NULL, &g), GLOB_NOMATCH);
	ck_no_leftovers();
	close(silent_fd);
	fakehost_free(fh);
}
END_TEST

/* Programs of another version, and ones that fail, as scripts in a folder of their own. */
START_TEST(programs_that_fail_are_quoted)
{
	static const struct { const char *script, *words; int rc; } cases[] = {
		{"#!/bin/sh\necho 'pg_dump: error: aborting because of server version mismatch' >&2\n"
		 "echo 'pg_dump: detail: server version: 15; pg_dump version: 11' >&2\nexit 1\n",
		 "aborting because of server version mismatch", RESITE_ERR_REFUSED},
		{"#!/bin/sh\nkill -9 $$\n", "killed by signal 9", RESITE_ERR_REFUSED},
		{"#!/bin/sh\necho 'pg_dump: error: server closed the connection unexpectedly' >&2\nexit 1\n",
		 "server closed the connection", RESITE_ERR_TRANSIENT},
		/* It says that all is well, and has written nothing, or something else. */
		{"#!/bin/sh\nexit 0\n", "pg_restore", RESITE_ERR_REFUSED},
		{"#!/bin/sh\nfor a; do case $a in --file=*) echo no dump >${a#--file=};; esac; done\n",
		 "does not appear to be a valid archive", RESITE_ERR_REFUSED},
	};
	struct fakehost *fh = step("backup-db", "chat");
	char path[96], link[96];
	FILE *out;

	snprintf(path, sizeof path, "%s/pg_dump", vault);
	snprintf(link, sizeof link, "%s/pg_restore", vault);
	out = fopen(path, "w");
	fputs(cases[_i].script, out);
	fclose(out);
	chmod(path, 0755);
	ck_assert_int_eq(symlink("/usr/lib/postgresql/15/bin/pg_restore", link), 0);
	fakehost_param(fh, "bin_dir", vault);
	expect_failure(fh, FAKEHOST_APPLY, cases[_i].rc, cases[_i].words);
	ck_no_leftovers();
	fakehost_free(fh);
}
END_TEST

START_TEST(a_cancel_ends_pg_dump_and_leaves_no_set)
{
	struct fakehost *fh = step("backup-db", "chat");
	char pattern[96], path[96];
	FILE *out;
	glob_t g;

	snprintf(path, sizeof path, "%s/pg_dump", vault);
	out = fopen(path, "w");
	fputs("#!/bin/sh\nexec sleep 60\n", out);
	fclose(out);
	chmod(path, 0755);
	fakehost_param(fh, "bin_dir", vault);
	fakehost_cancel_after(fh, 400);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_CANCELLED);
	snprintf(pattern, sizeof pattern, "%s/groupchat/*", vault);
	ck_assert_int_eq(glob(pattern, 0, NULL, &g), GLOB_NOMATCH);
	fakehost_free(fh);
}
END_TEST

/* --- bad input: dumps ------------------------------------------------------------------------- */

/* pg_restore -l passes on a dump whose data is cut; the set's digests do not. */
START_TEST(a_dump_that_was_cut_or_altered_is_found_before_anything_is_restored)
{
	struct fakehost *fh;
	char pattern[96];
	struct stat st;
	glob_t g;
	int fd;

	backup();
	snprintf(pattern, sizeof pattern, "%s/groupchat/2*/chat.dump", vault);
	ck_assert_int_eq(glob(pattern, 0, NULL, &g), 0);
	fd = open(g.gl_pathv[0], O_RDWR);
	ck_assert_int_ge(fd, 0);
	fstat(fd, &st);
	if (_i == 0)
		ck_assert_int_eq(ftruncate(fd, st.st_size - 100), 0);
	else
		ck_assert_int_eq(pwrite(fd, "X", 1, st.st_size / 2), 1);
	close(fd);
	globfree(&g);
	fh = step("restore-db", "restored");
	expect_failure(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "chat.dump");
	ck_assert_str_eq(ask("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'restored%'"),
			 "0");
	fakehost_free(fh);
}
END_TEST

static void
restart_with_limit(long bytes)
{
	postgres_rig_end(&rig);
	rig.file_limit = bytes;
	postgres_rig_again(&rig);
}

/* The server's disk is full: no file of it may be larger than 3 MB.  The last of its case,
 * because each test has a process of its own, and the rig's pid is another one afterwards. */
START_TEST(a_restore_that_the_server_cannot_store_leaves_the_live_database_as_it_is)
{
	struct fakehost *fh;

	postgres_rig_sql(&rig, "postgres", "CREATE DATABASE big TEMPLATE chat");
	postgres_rig_sql(&rig, "postgres", "CREATE DATABASE restored");
	add_messages("big", 40000);
	fh = step("backup-db", "big");
	fakehost_param(fh, "restore_check", "false");
	expect_ok(fh, FAKEHOST_APPLY);
	fakehost_free(fh);
	fh = step("restore-db", "restored");
	restart_with_limit(3 << 20);
	expect_failure(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "could not extend file");
	restart_with_limit(0);
	ck_assert_str_eq(ask("restored", "SELECT count(*) FROM pg_class WHERE oid >= 16384"), "0");
	ck_no_leftovers();
	expect_ok(fh, FAKEHOST_APPLY);
	ck_assert_str_eq(ask("restored", "SELECT count(*) FROM prosodyarchive"), "40500");
	fakehost_free(fh);
	postgres_rig_end(&rig);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("groupchat_db");
	TCase *tc = tcase_create("there and back"), *bad = tcase_create("bad input");

	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, setup_server, stop_server);
	tcase_add_checked_fixture(tc, setup_vault, drop_vault);
	tcase_add_test(tc, a_backup_restores_to_the_same_rows_values_and_sequences);
	tcase_add_test(tc, an_encrypted_set_is_restored_with_its_key_and_not_without);
	tcase_add_test(tc, a_second_restore_of_the_same_set_does_nothing);
	tcase_add_test(tc, a_database_that_is_the_same_as_the_set_is_left_alone);
	tcase_add_test(tc, an_older_database_is_replaced_and_kept_and_undo_brings_it_back);
	tcase_add_test(tc, undo_leaves_a_database_with_new_messages_alone_unless_forced);
	tcase_add_test(tc, a_lost_restore_is_made_again_and_a_whole_one_is_only_swapped);
	tcase_add_test(tc, killed_amid_the_restore_the_next_attempt_finishes_it);
	tcase_add_test(tc, the_dump_and_the_counts_are_of_one_moment);
	tcase_add_test(tc, newer_or_foreign_data_is_not_replaced_unless_the_plan_says_so);
	tcase_add_test(tc, a_database_in_use_is_refused_with_who_uses_it_unless_the_plan_says_so);
	tcase_add_test(tc, a_set_of_another_site_or_too_old_is_refused);
	tcase_add_test(tc, a_role_that_the_server_does_not_have_is_named_before_anything_is_done);
	suite_add_tcase(s, tc);
	tcase_set_timeout(bad, 120);
	tcase_add_unchecked_fixture(bad, setup_server, stop_server);
	tcase_add_checked_fixture(bad, setup_vault, drop_vault);
	tcase_add_loop_test(bad, a_backup_that_cannot_be_made_says_why_and_leaves_no_set, 0,
			    (int)(sizeof bad_servers / sizeof *bad_servers));
	tcase_add_loop_test(bad, programs_that_fail_are_quoted, 0, 5);
	tcase_add_test(bad, a_cancel_ends_pg_dump_and_leaves_no_set);
	tcase_add_loop_test(bad, a_dump_that_was_cut_or_altered_is_found_before_anything_is_restored,
			    0, 2);
	tcase_add_test(bad, a_restore_that_the_server_cannot_store_leaves_the_live_database_as_it_is);
	suite_add_tcase(s, bad);
	return s;
}

int
main(void)
{
	if (!postgres_rig_possible()) {
		fputs("skipped: no PostgreSQL server here\n", stderr);
		return 77;
	}
	return run_suite(suite());
}
