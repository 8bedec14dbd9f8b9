/* groupchat: what it decides and what it writes, without a server; and the ODBC layer against
 * the drivers that are here. */
#define _GNU_SOURCE
#include "plugins/groupchat/database.h"
#include "plugins/groupchat/mssql.h"
#include "plugins/groupchat/odbc.h"
#include "sdk/testkit/fake.h"
#include "sdk/testkit/fakehost.h"
#include "tests/unit/postgres_rig.h"
#include "tests/unit/run_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

resite_plugin_v0_fn resite_plugin_v0;

/* --- names and inventories --------------------------------------------------------------- */

START_TEST(a_name_beside_a_long_one_is_cut_at_a_character_and_keeps_its_suffix)
{
	char out[DATABASE_NAME_MAX + 1], live[80];

	database_name(out, "chat", "_was_20261123t061530z");
	ck_assert_str_eq(out, "chat_was_20261123t061530z");
	memset(live, 'a', 62);
	strcpy(live + 41, "\xc3\xa4\xc3\xa4");
	database_name(out, live, "_was_20261123t061530z");
	ck_assert_uint_le(strlen(out), DATABASE_NAME_MAX);
	ck_assert_str_eq(out + 41, "_was_20261123t061530z");
}
END_TEST

START_TEST(memory_for_an_index_grows_with_the_dump_within_bounds)
{
	const int64_t mb = 1048576;

	ck_assert_int_eq(index_memory(0), 8 * mb);
	ck_assert_int_eq(index_memory(43 * mb), 8 * mb);
	ck_assert_int_eq(index_memory(65 * mb), 16 * mb);
	ck_assert_int_eq(index_memory(430 * mb), 32 * mb);
	ck_assert_int_eq(index_memory(INT64_MAX), 256 * mb);
}
END_TEST

static struct inventory
parsed(const char *json)
{
	struct inventory inv;
	char why[200];

	ck_assert_msg(inventory_parse(&inv, json, strlen(json), why), "%s", why);
	return inv;
}

#define TABLE(name, rows, digest)                                                               \
	"{\"kind\":\"table\",\"name\":\"" name "\",\"rows\":" #rows ",\"digest\":\"" digest "\"}"
#define SEQ(name, last)                                                                         \
	"{\"kind\":\"sequence\",\"name\":\"" name "\",\"rows\":1,\"digest\":\"" #last "\"}"

START_TEST(what_differs_and_what_exceeds_is_named)
{
	static const struct { const char *database, *differs, *exceeds; } cases[] = {
		{"[" TABLE("m", 5, "7") "," SEQ("s", 5) "]", NULL, NULL},
		{"[" TABLE("m", 5, "8") "," SEQ("s", 5) "]", "other values", NULL},
		{"[" TABLE("m", 4, "6") "," SEQ("s", 5) "]", "m has 4 rows, in the set 5", NULL},
		{"[" TABLE("m", 6, "6") "," SEQ("s", 5) "]", "6 rows, in the set 5", "1 more than the set"},
		{"[" TABLE("m", 5, "7") "," SEQ("s", 6) "]", "sequence s is at 6", NULL},
		{"[" TABLE("m", 5, "7") "," SEQ("s", 38) "]", "sequence s is at 38", "sequence s is at 38"},
		{"[" TABLE("m", 5, "7") "]", "s is missing", NULL},
		{"[" TABLE("m", 5, "7") "," SEQ("s", 5) "," TABLE("x", 1, "1") "]", "x is not in the set",
		 "x (1 rows) is not in the set"},
		{"[" TABLE("m", 5, "7") "," SEQ("s", 5) "," TABLE("x", 0, "0") "]", "x is not in the set",
		 NULL},
	};
	struct inventory set = parsed("[" TABLE("m", 5, "7") "," SEQ("s", 5) "]");

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct inventory database = parsed(cases[i].database);
		char why[400] = "";

		ck_assert_msg(inventory_differs(&database, &set, why) == (cases[i].differs != NULL),
			      "case %zu: %s", i, why);
		ck_assert_msg(!cases[i].differs || strstr(why, cases[i].differs), "case %zu: %s", i, why);
		ck_assert_msg(inventory_exceeds(&database, &set, why) == (cases[i].exceeds != NULL),
			      "case %zu: %s", i, why);
		ck_assert_msg(!cases[i].exceeds || strstr(why, cases[i].exceeds), "case %zu: %s", i, why);
		inventory_release(&database);
	}
	inventory_release(&set);
}
END_TEST

START_TEST(a_list_of_tables_that_is_none_is_refused_with_its_place)
{
	static const char *const bad[] = {"", "{}", "[1]", "[{\"kind\":\"table\"}]", "[" TABLE("m", -1, "1") "]",
		"[{\"kind\":\"view\",\"name\":\"m\",\"rows\":1,\"digest\":\"1\"}]", "[" TABLE("m", 5, "7")};
	struct inventory inv;
	char why[200];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		why[0] = '\0';
		ck_assert_msg(!inventory_parse(&inv, bad[i], strlen(bad[i]), why), "%s", bad[i]);
		ck_assert_str_ne(why, "");
	}
}
END_TEST

START_TEST(the_digest_does_not_depend_on_the_order_of_the_tables)
{
	struct inventory a = parsed("[" TABLE("m", 5, "7") "," TABLE("n", 1, "2") "," SEQ("s", 5) "]");
	struct inventory b = parsed("[" SEQ("s", 5) "," TABLE("n", 1, "2") "," TABLE("m", 5, "7") "]");
	struct inventory other = parsed("[" SEQ("s", 5) "," TABLE("n", 1, "3") "," TABLE("m", 5, "7") "]");
	char x[INVENTORY_DIGEST_LEN + 1], y[INVENTORY_DIGEST_LEN + 1];

	inventory_digest(&a, x);
	inventory_digest(&b, y);
	ck_assert_str_eq(x, y);
	inventory_digest(&other, y);
	ck_assert_str_ne(x, y);
	inventory_release(&a);
	inventory_release(&b);
	inventory_release(&other);
}
END_TEST

/* --- SQL Server's statements, as text -------------------------------------------------------- */

static void
ck_list(struct mssql_list *list, const char *const *expected)
{
	size_t n = 0;

	ck_assert(!list->failed);
	for (; expected[n]; n++) {
		ck_assert_uint_lt(n, list->n);
		ck_assert_str_eq(list->sql[n], expected[n]);
	}
	ck_assert_uint_eq(n, list->n);
	mssql_list_free(list);
}

static const struct mssql_file files[] = {
	{"mgc", "D:\\Data\\mgc.mdf", 'D'}, {"mgc_2", "D:\\Data\\mgc_2.ndf", 'D'},
	{"mgc_log", "E:\\Log\\mgc_log.ldf", 'L'}};
static const int sessions[] = {57, 61};

START_TEST(a_backup_is_checked_and_disturbs_no_chain)
{
	struct mssql_list list = {.n = 0};

	mssql_backup(&list, "mgc", "\\\\share\\chat\\mgc_1.bak", "resite");
	ck_list(&list, (const char *const[]){
		"BACKUP DATABASE [mgc] TO DISK = N'\\\\share\\chat\\mgc_1.bak' WITH COPY_ONLY, INIT, FORMAT, "
		"CHECKSUM, NAME = N'resite'",
		"RESTORE VERIFYONLY FROM DISK = N'\\\\share\\chat\\mgc_1.bak' WITH CHECKSUM", NULL});
}
END_TEST

START_TEST(a_restore_goes_beside_the_live_database_into_files_of_its_own_and_then_swaps)
{
	struct mssql_list list = {.n = 0};
	const struct mssql_job job = {
		.database = "mgc", .staged = "mgc_new", .aside = "mgc_was", .file = "\\\\s\\c\\m.bak",
		.folder = "F:\\New", .files = files, .n_files = 3, .sessions = sessions, .n_sessions = 2,
		.live_exists = true, .mark = "primary set digest",
	};

	mssql_restore(&list, &job);
	ck_list(&list, (const char *const[]){
		"RESTORE DATABASE [mgc_new] FROM DISK = N'\\\\s\\c\\m.bak' WITH CHECKSUM, REPLACE, RECOVERY, "
		"MOVE N'mgc' TO N'F:\\New\\mgc_new_1.mdf', MOVE N'mgc_2' TO N'F:\\New\\mgc_new_2.ndf', "
		"MOVE N'mgc_log' TO N'F:\\New\\mgc_new_3.ldf'",
		"IF EXISTS (SELECT 1 FROM [mgc_new].sys.extended_properties WHERE class = 0 AND name = "
		"N'resite.restored') EXEC [mgc_new].sys.sp_dropextendedproperty @name = N'resite.restored'",
		"EXEC [mgc_new].sys.sp_addextendedproperty @name = N'resite.restored', @value = N'primary set "
		"digest'", NULL});
	mssql_swap(&list, &job);
	ck_list(&list, (const char *const[]){
		"KILL 57", "KILL 61", "ALTER DATABASE [mgc] MODIFY NAME = [mgc_was]",
		"ALTER DATABASE [mgc_new] MODIFY NAME = [mgc]", NULL});
}
END_TEST

START_TEST(without_a_folder_the_files_go_where_the_old_ones_were_and_without_a_live_database_nothing_is_renamed)
{
	struct mssql_list list = {.n = 0};
	const struct mssql_job job = {.database = "mgc", .staged = "mgc_new", .file = "m.bak",
				      .files = files + 2, .n_files = 1, .mark = "m"};

	mssql_restore(&list, &job);
	ck_assert_ptr_nonnull(strstr(list.sql[0], "MOVE N'mgc_log' TO N'E:\\Log\\mgc_new_1.ldf'"));
	mssql_list_free(&list);
	mssql_swap(&list, &job);
	ck_list(&list, (const char *const[]){"ALTER DATABASE [mgc_new] MODIFY NAME = [mgc]", NULL});
}
END_TEST

START_TEST(a_log_shipping_secondary_is_recovered_in_microsoft_s_order)
{
	static const char *const logs[] = {"\\\\s\\l\\1.trn", "\\\\s\\l\\2.trn"};
	struct mssql_list list = {.n = 0};
	const struct mssql_job job = {.database = "mgc", .logs = logs, .n_logs = 2, .sessions = sessions,
				      .n_sessions = 1};

	mssql_recover(&list, &job);
	ck_list(&list, (const char *const[]){
		"IF EXISTS (SELECT 1 FROM msdb.dbo.log_shipping_secondary_databases WHERE secondary_database = "
		"N'mgc') EXEC master.sys.sp_delete_log_shipping_secondary_database N'mgc'",
		"KILL 57",
		"RESTORE LOG [mgc] FROM DISK = N'\\\\s\\l\\1.trn' WITH CHECKSUM, NORECOVERY",
		"RESTORE LOG [mgc] FROM DISK = N'\\\\s\\l\\2.trn' WITH CHECKSUM, NORECOVERY",
		"RESTORE DATABASE [mgc] WITH RECOVERY", NULL});
}
END_TEST

START_TEST(hostile_names_stay_names)
{
	char out[200];

	mssql_name(out, sizeof out, "a]; DROP DATABASE b --");
	ck_assert_str_eq(out, "[a]]; DROP DATABASE b --]");
	mssql_text(out, sizeof out, "it's'); SHUTDOWN --");
	ck_assert_str_eq(out, "N'it''s''); SHUTDOWN --'");
	odbc_quote(out, sizeof out, "p};UID=sa;{");
	ck_assert_str_eq(out, "{p}};UID=sa;{}");
}
END_TEST

/* --- ODBC --------------------------------------------------------------------------------------- */

static struct fakehost *
odbc_step(const char *driver, const char *server)
{
	struct fakehost *fh = fakehost_new(fakehost_action(resite_plugin_v0(), "restore-mssql"));

	fakehost_param(fh, "server", server);
	fakehost_param(fh, "database", "postgres");
	fakehost_param(fh, "user", POSTGRES_RIG_USER);
	fakehost_param(fh, "password", "pw");
	fakehost_secret(fh, "pw", POSTGRES_RIG_PASSWORD);
	fakehost_param(fh, "odbc_driver", driver);
	fakehost_param(fh, "odbc_options", "");
	fakehost_param(fh, "timeout", "60s");
	fh->op.cancel_fd = -1;
	/* A call of an action prepares the host; its answer does not matter here. */
	fakehost_call(fh, FAKEHOST_CHECK);
	return fh;
}

static bool
has_driver(const char *name)
{
	char command[96];

	snprintf(command, sizeof command, "odbcinst -q -d -n '%s' >/dev/null 2>&1", name);
	return system(command) == 0;
}

START_TEST(rows_nulls_long_values_and_several_results_come_through_odbc)
{
	struct fakehost *fh = odbc_step("SQLite3", "127.0.0.1:1");
	struct call c = {.op = &fh->op, .host = &fake_host};
	struct odbc_rows rows;
	struct odbc *o;

	ck_assert_msg(odbc_open(&c, ":memory:", &o) == RESITE_OK, "%s", fakehost_failure(fh));
	ck_assert_int_eq(odbc_ask(o, "CREATE TABLE t (a TEXT, n INTEGER)", NULL), RESITE_OK);
	ck_assert_int_eq(odbc_ask(o, "INSERT INTO t VALUES (replace(hex(zeroblob(5000)), '0', 'x'), 7), "
				  "(NULL, 8)", NULL), RESITE_OK);
	ck_assert_msg(odbc_ask(o, "SELECT a, n FROM t ORDER BY n", &rows) == RESITE_OK, "%s",
		      fakehost_failure(fh));
	ck_assert_uint_eq(rows.n, 2);
	ck_assert_uint_eq(rows.columns, 2);
	ck_assert_uint_eq(strlen(rows.row[0][0]), 10000);
	ck_assert_str_eq(rows.row[0][1], "7");
	ck_assert_str_eq(rows.row[1][0], "");
	odbc_rows_free(&rows);
	ck_assert_int_eq(odbc_ask(o, "SELECT * FROM missing", &rows), RESITE_ERR_REFUSED);
	ck_assert_ptr_nonnull(strstr(fakehost_failure(fh), "no such table: missing"));
	odbc_close(o);
	fakehost_free(fh);
}
END_TEST

static struct postgres_rig rig;

static void
setup_server(void)
{
	postgres_rig_start(&rig);
}

static void
stop_server(void)
{
	postgres_rig_stop(&rig);
}

START_TEST(odbc_s_errors_become_what_the_core_should_do)
{
	static const struct { const char *driver, *server, *password, *sql; int rc; const char *words; }
	cases[] = {
		{"PostgreSQL Unicode", NULL, NULL, "SELECT 1", RESITE_OK, ""},
		{"PostgreSQL Unicode", NULL, "wrong}", NULL, RESITE_ERR_REFUSED, "authentication failed"},
		{"PostgreSQL Unicode", "127.0.0.1:1", NULL, NULL, RESITE_ERR_TRANSIENT, "refused"},
		{"PostgreSQL Unicode", NULL, NULL, "SELEC 1", RESITE_ERR_REFUSED, "syntax error"},
		{"PostgreSQL Unicode", NULL, NULL, "SELECT 1/0", RESITE_ERR_REFUSED, "division by zero"},
		{"No such driver", NULL, NULL, NULL, RESITE_ERR_INVALID, "No such driver"},
	};
	struct fakehost *fh = odbc_step(cases[_i].driver, cases[_i].server ? cases[_i].server : rig.server);
	struct call c = {.op = &fh->op, .host = &fake_host};
	struct odbc *o = NULL;
	int rc;

	if (cases[_i].password)
		fakehost_secret(fh, "pw", cases[_i].password);
	rc = odbc_open(&c, "postgres", &o);
	if (rc == RESITE_OK && cases[_i].sql)
		rc = odbc_ask(o, cases[_i].sql, NULL);
	ck_assert_msg(rc == cases[_i].rc ||
		      /* psqlODBC gives the state of a lost connection to a wrong password, too. */
		      (cases[_i].password && rc == RESITE_ERR_TRANSIENT), "rc %d: %s", rc,
		      fakehost_failure(fh));
	ck_assert_msg(strstr(fakehost_failure(fh), cases[_i].words) != NULL, "'%s' is not in: %s",
		      cases[_i].words, fakehost_failure(fh));
	ck_assert_ptr_null(strstr(fakehost_failure(fh), POSTGRES_RIG_PASSWORD));
	odbc_close(o);
	fakehost_free(fh);
}
END_TEST

START_TEST(what_sql_server_says_is_judged_by_state_and_number)
{
	static const struct { const char *state; long native; int rc; } cases[] = {
		{"08S01", 0, RESITE_ERR_TRANSIENT}, {"HYT00", 0, RESITE_ERR_TRANSIENT},
		{"40001", 1205, RESITE_ERR_TRANSIENT}, {"28000", 18456, RESITE_ERR_REFUSED},
		{"42000", 3101, RESITE_ERR_REFUSED}, {"42000", 3201, RESITE_ERR_REFUSED},
		{"42000", 18456, RESITE_ERR_REFUSED}, {"IM002", 0, RESITE_ERR_INVALID},
		{"42000", 1205, RESITE_ERR_TRANSIENT},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		ck_assert_msg(odbc_state_rc(cases[i].state, cases[i].native) == cases[i].rc, "%s %ld",
			      cases[i].state, cases[i].native);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("groupchat");
	TCase *tc = tcase_create("pure"), *odbc = tcase_create("odbc");

	tcase_add_test(tc, a_name_beside_a_long_one_is_cut_at_a_character_and_keeps_its_suffix);
	tcase_add_test(tc, memory_for_an_index_grows_with_the_dump_within_bounds);
	tcase_add_test(tc, what_differs_and_what_exceeds_is_named);
	tcase_add_test(tc, a_list_of_tables_that_is_none_is_refused_with_its_place);
	tcase_add_test(tc, the_digest_does_not_depend_on_the_order_of_the_tables);
	tcase_add_test(tc, a_backup_is_checked_and_disturbs_no_chain);
	tcase_add_test(tc, a_restore_goes_beside_the_live_database_into_files_of_its_own_and_then_swaps);
	tcase_add_test(tc, without_a_folder_the_files_go_where_the_old_ones_were_and_without_a_live_database_nothing_is_renamed);
	tcase_add_test(tc, a_log_shipping_secondary_is_recovered_in_microsoft_s_order);
	tcase_add_test(tc, hostile_names_stay_names);
	tcase_add_test(tc, what_sql_server_says_is_judged_by_state_and_number);
	if (has_driver("SQLite3"))
		tcase_add_test(tc, rows_nulls_long_values_and_several_results_come_through_odbc);
	suite_add_tcase(s, tc);
	tcase_set_timeout(odbc, 60);
	if (has_driver("PostgreSQL Unicode") && postgres_rig_possible()) {
		tcase_add_unchecked_fixture(odbc, setup_server, stop_server);
		tcase_add_loop_test(odbc, odbc_s_errors_become_what_the_core_should_do, 0, 6);
	}
	suite_add_tcase(s, odbc);
	return s;
}

int
main(void)
{
	return run_suite(suite());
}
