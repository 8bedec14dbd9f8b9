/* groupchat's database actions with servers, programs and dumps that are not as they should be. */
#define _GNU_SOURCE
#include "tests/unit/groupchat_rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- servers --------------------------------------------------------------------- */

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
	struct fakehost *fh = fakehost_new(fakehost_action(resite_plugin_v0(), "backup-db"));
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

/* --- dumps ------------------------------------------------------------------------- */

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
	TCase *tc;
	Suite *s = groupchat_suite("groupchat_bad", &tc);

	tcase_add_loop_test(tc, a_backup_that_cannot_be_made_says_why_and_leaves_no_set, 0,
			    (int)(sizeof bad_servers / sizeof *bad_servers));
	tcase_add_loop_test(tc, programs_that_fail_are_quoted, 0, 5);
	tcase_add_test(tc, a_cancel_ends_pg_dump_and_leaves_no_set);
	tcase_add_loop_test(tc, a_dump_that_was_cut_or_altered_is_found_before_anything_is_restored,
			    0, 2);
	tcase_add_test(tc, a_restore_that_the_server_cannot_store_leaves_the_live_database_as_it_is);
	return s;
}

int
main(void)
{
	return run_groupchat(suite);
}
