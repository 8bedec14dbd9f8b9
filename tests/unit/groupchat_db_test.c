/* groupchat's database actions against a real PostgreSQL server: there and back. */
#define _GNU_SOURCE
#include "tests/unit/groupchat_rig.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

static Suite *
suite(void)
{
	TCase *tc;
	Suite *s = groupchat_suite("groupchat_db", &tc);

	tcase_add_test(tc, a_backup_restores_to_the_same_rows_values_and_sequences);
	tcase_add_test(tc, an_encrypted_set_is_restored_with_its_key_and_not_without);
	tcase_add_test(tc, a_second_restore_of_the_same_set_does_nothing);
	tcase_add_test(tc, a_database_that_is_the_same_as_the_set_is_left_alone);
	tcase_add_test(tc, an_older_database_is_replaced_and_kept_and_undo_brings_it_back);
	tcase_add_test(tc, undo_leaves_a_database_with_new_messages_alone_unless_forced);
	tcase_add_test(tc, the_dump_and_the_counts_are_of_one_moment);
	tcase_add_test(tc, newer_or_foreign_data_is_not_replaced_unless_the_plan_says_so);
	tcase_add_test(tc, a_set_of_another_site_or_too_old_is_refused);
	tcase_add_test(tc, a_role_that_the_server_does_not_have_is_named_before_anything_is_done);
	return s;
}

int
main(void)
{
	return run_groupchat(suite);
}
