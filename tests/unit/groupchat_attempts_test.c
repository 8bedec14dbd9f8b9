/* groupchat's database actions beside others: attempts that were killed, other runs, services. */
#define _GNU_SOURCE
#include "plugins/groupchat/database.h"
#include "tests/unit/groupchat_rig.h"

#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Until the server's answer to sql has a row; false: it had none before pid ended. */
static bool
seen_before_end(const char *sql, pid_t pid)
{
	while (!*ask("postgres", sql)) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return false;
		usleep(2000);
	}
	return true;
}

/* Carries sql out in a process and a session of its own, and comes back when the server's answer
 * to seen has a row. */
static pid_t
in_session(const char *database, const char *sql, const char *seen)
{
	pid_t pid = fork();

	if (pid == 0) {
		postgres_rig_sql(&rig, database, "%s", sql);
		_exit(0);
	}
	ck_assert(seen_before_end(seen, pid));
	return pid;
}

/* --- attempts that were killed ------------------------------------------------------------ */

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

/* Applies the step in a process of its own and kills that as soon as the server says that
 * there is what sql asks for; false: the step was faster. */
static bool
kill_when(struct fakehost *fh, const char *sql)
{
	pid_t pid = fork();
	bool seen;

	if (pid == 0) {
		setpgid(0, 0);
		fakehost_call(fh, FAKEHOST_APPLY);
		_exit(0);
	}
	seen = seen_before_end(sql, pid);
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return seen;
}

static const char restore_begun[] = "SELECT datname FROM pg_database WHERE datname LIKE "
				    "'restored_new_%'";
static const char creating[] = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND "
			       "query LIKE 'CREATE DATABASE%'";

START_TEST(killed_amid_the_restore_the_next_attempt_finishes_it)
{
	struct fakehost *fh;

	backup();
	fh = step("restore-db", "restored");
	ck_assert(kill_when(fh, restore_begun));
	ck_assert_str_eq(ask("postgres", "SELECT count(*) FROM pg_database WHERE datname = 'restored'"),
			 "0");
	expect_ok(fh, FAKEHOST_APPLY);
	ck_assert_str_eq(ask("restored", "SELECT count(*) FROM prosodyarchive"), "500");
	ck_no_leftovers();
	fakehost_free(fh);
	drop_restored();
}
END_TEST

/* The server carries a statement out to its end, whether or not anybody waits for it. */
START_TEST(what_the_server_still_does_for_a_killed_attempt_is_waited_for)
{
	struct fakehost *fh;
	int killed = 0;

	backup();
	fh = step("restore-db", "restored");
	for (int i = 0; i < 5; i++) {
		killed += kill_when(fh, creating);
		expect_ok(fh, FAKEHOST_APPLY);
		ck_assert_str_eq(ask("restored", "SELECT count(*) FROM prosodyarchive"), "500");
		ck_no_leftovers();
		drop_restored();
	}
	ck_assert_int_gt(killed, 0);
	fakehost_free(fh);
}
END_TEST

START_TEST(another_run_at_work_on_the_same_database_is_named)
{
	struct fakehost *fh;
	char sql[120];
	pid_t other;

	backup();
	snprintf(sql, sizeof sql, "SELECT pg_advisory_lock(%d, hashtext('restored')); "
		 "SELECT pg_sleep(60)", DATABASE_TURN);
	other = in_session("postgres", sql, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'");
	fh = step("restore-db", "restored");
	fakehost_param_clear(fh, "timeout");
	fakehost_param(fh, "timeout", "3s");
	expect_failure(fh, FAKEHOST_APPLY, RESITE_ERR_TRANSIENT, "SELECT pg_terminate_backend(");
	/* The server goes on for it; as advised: */
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	postgres_rig_sql(&rig, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE "
			 "locktype = 'advisory'");
	expect_ok(fh, FAKEHOST_APPLY);
	fakehost_free(fh);
	drop_restored();
}
END_TEST

START_TEST(a_killed_check_of_a_backup_leaves_its_scratch_database_only_until_the_next)
{
	struct fakehost *fh = step("backup-db", "chat");
	char restore[96], dump[96];
	FILE *out;

	/* A restore that is still under way whenever it is killed. */
	snprintf(restore, sizeof restore, "%s/pg_restore", vault);
	snprintf(dump, sizeof dump, "%s/pg_dump", vault);
	out = fopen(restore, "w");
	fputs("#!/bin/sh\nexec sleep 60\n", out);
	fclose(out);
	chmod(restore, 0755);
	ck_assert_int_eq(symlink("/usr/lib/postgresql/15/bin/pg_dump", dump), 0);
	fakehost_param(fh, "bin_dir", vault);
	ck_assert(kill_when(fh, "SELECT datname FROM pg_database WHERE datname LIKE 'chat_check_%'"));
	fakehost_free(fh);
	ck_assert_str_eq(ask("postgres", "SELECT datname FROM pg_database WHERE datname LIKE '%_check_%'"),
			 "chat_check_primary");
	backup();
	ck_no_leftovers();
}
END_TEST

/* --- a database in use -------------------------------------------------------------------- */

static const char in_use[] = "SELECT pid FROM pg_stat_activity WHERE datname = 'restored'";

START_TEST(a_database_in_use_is_refused_with_who_uses_it_unless_the_plan_says_so)
{
	struct fakehost *fh;
	pid_t user;

	backup();
	postgres_rig_sql(&rig, "postgres", "CREATE DATABASE restored");
	user = in_session("restored", "SELECT pg_sleep(60)", in_use);
	fh = step("restore-db", "restored");
	fakehost_param_clear(fh, "timeout");
	fakehost_param(fh, "timeout", "3s");
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

/* A service that was just stopped, or the look of an attempt that was killed. */
START_TEST(a_connection_that_ends_in_a_moment_is_not_in_use)
{
	struct fakehost *fh;
	pid_t user;

	backup();
	postgres_rig_sql(&rig, "postgres", "CREATE DATABASE restored");
	user = in_session("restored", "SELECT pg_sleep(1.5)", in_use);
	fh = step("restore-db", "restored");
	expect_ok(fh, FAKEHOST_APPLY);
	ck_assert_str_eq(ask("restored", "SELECT count(*) FROM prosodyarchive"), "500");
	waitpid(user, NULL, 0);
	fakehost_free(fh);
	drop_restored();
}
END_TEST

static Suite *
suite(void)
{
	TCase *tc;
	Suite *s = groupchat_suite("groupchat_attempts", &tc);

	tcase_add_test(tc, a_lost_restore_is_made_again_and_a_whole_one_is_only_swapped);
	tcase_add_test(tc, killed_amid_the_restore_the_next_attempt_finishes_it);
	tcase_add_test(tc, what_the_server_still_does_for_a_killed_attempt_is_waited_for);
	tcase_add_test(tc, another_run_at_work_on_the_same_database_is_named);
	tcase_add_test(tc, a_killed_check_of_a_backup_leaves_its_scratch_database_only_until_the_next);
	tcase_add_test(tc, a_database_in_use_is_refused_with_who_uses_it_unless_the_plan_says_so);
	tcase_add_test(tc, a_connection_that_ends_in_a_moment_is_not_in_use);
	return s;
}

int
main(void)
{
	return run_groupchat(suite);
}
