#define _GNU_SOURCE
#include "tests/unit/groupchat_rig.h"

#include "tests/unit/run_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct postgres_rig rig;
char vault[64];

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

void
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

Suite *
groupchat_suite(const char *name, TCase **ret_case)
{
	Suite *s = suite_create(name);
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, setup_server, stop_server);
	tcase_add_checked_fixture(tc, setup_vault, drop_vault);
	suite_add_tcase(s, tc);
	*ret_case = tc;
	return s;
}

int
run_groupchat(Suite *(*suite)(void))
{
	if (!postgres_rig_possible()) {
		fputs("skipped: no PostgreSQL server here\n", stderr);
		return 77;
	}
	return run_suite(suite());
}

/* --- steps --------------------------------------------------------------------------- */

struct fakehost *
step(const char *name, const char *database)
{
	struct fakehost *fh = fakehost_new(fakehost_action(resite_plugin_v0(), name));

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

void
expect_ok(struct fakehost *fh, enum fakehost_phase phase)
{
	int rc = fakehost_call(fh, phase);

	ck_assert_msg(rc == RESITE_OK, "rc %d: %s\n%s", rc, fakehost_failure(fh), fakehost_logs(fh));
}

void
expect_failure(struct fakehost *fh, enum fakehost_phase phase, int rc, const char *words)
{
	int is = fakehost_call(fh, phase);

	ck_assert_msg(is == rc, "rc %d instead of %d: %s", is, rc, fakehost_failure(fh));
	ck_assert_msg(strstr(fakehost_failure(fh), words) != NULL, "'%s' is not in: %s", words,
		      fakehost_failure(fh));
	ck_assert_msg(!strstr(fakehost_failure(fh), "word") || strstr(words, "word"),
		      "a password in: %s", fakehost_failure(fh));
}

void
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

const char *
ask(const char *database, const char *sql)
{
	static char buf[256];

	return postgres_rig_ask(&rig, database, buf, sizeof buf, "%s", sql);
}

void
ck_no_leftovers(void)
{
	ck_assert_str_eq(ask("postgres", "SELECT coalesce(string_agg(datname, ' '), '') FROM pg_database"
			     " WHERE datname LIKE '%_check_%' OR datname LIKE '%_new_%'"), "");
}

void
drop(const char *database)
{
	postgres_rig_sql(&rig, "postgres", "DROP DATABASE IF EXISTS \"%s\" WITH (FORCE)", database);
}

void
drop_restored(void)
{
	char name[80];

	while (*postgres_rig_ask(&rig, "postgres", name, sizeof name,
		"SELECT datname FROM pg_database WHERE datname LIKE 'restored%%' LIMIT 1"))
		drop(name);
}
