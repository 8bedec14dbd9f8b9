/* contacts.import with via = "sql" against a real PostgreSQL and the Kamailio that reads from it,
 * and against databases that are not well. */
#define _GNU_SOURCE
#include "plugins/contacts/contacts.h"
#include "plugins/contacts/lists.h"
#include "sdk/testkit/fakehost.h"
#include "tests/unit/contacts_calls.h"
#include "tests/unit/kamailio_rig.h"
#include "tests/unit/postgres_rig.h"
#include "tests/unit/run_suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

const struct resite_plugin *resite_plugin_v0(void);

#define SQL "/usr/share/kamailio/postgres/"
#define DB "kamailio"

static struct postgres_rig pg;
static struct kamailio_rig xcap;
static char dir[64], lync_file[96];
static bool traced, slow;

/* --- what the tests work with ------------------------------------------------------ */

/* An export of n users, each with as many contacts; tweak makes other lists of the same users. */
static void
write_lync(int n, int contacts, const char *tweak)
{
	FILE *out = fopen(lync_file, "w");

	ck_assert_ptr_nonnull(out);
	fputs("<HomedResources xmlns=\"http://schemas.microsoft.com/RtcServer/2002/11/dbimpexp\">\n",
	      out);
	for (int u = 0; u < n; u++) {
		fprintf(out, "<HomedResource UserAtHost=\"u%05d@contoso.example\"><ContactGroups>"
			"<ContactGroup Number=\"1\" DisplayName=\"fg==\"/></ContactGroups><Contacts>",
			u);
		for (int i = 1; i <= contacts; i++)
			fprintf(out, "<Contact Buddy=\"%s%05d@contoso.example\" Groups=\"1\" "
				"DisplayName=\"w4lxdWlwZSBWZW50ZXM=\"/>", tweak, u + i);
		fputs("</Contacts></HomedResource>\n", out);
	}
	fputs("</HomedResources>\n", out);
	fclose(out);
}

static void
set(struct fakehost *fh, const char *name, const char *text)
{
	fakehost_param_clear(fh, name);
	fakehost_param(fh, name, text);
}

static struct fakehost *
importer(void)
{
	struct fakehost *fh = fakehost_new(fakehost_action(resite_plugin_v0(), "import"));

	if (traced)
		fakehost_trace(fh, stderr);
	fakehost_param(fh, "server", xcap.root);
	set(fh, "via", "sql");
	fakehost_param(fh, "database_server", pg.server);
	fakehost_param(fh, "database_user", "kamailio");
	fakehost_param(fh, "database_password", "word");
	fakehost_secret(fh, "word", "kamailio-word\n");
	fakehost_param(fh, "dbimpexp", lync_file);
	return fh;
}

/* A whole life of a step; the second probe must say converged. */
static void
live(struct fakehost *fh)
{
	call(fh, FAKEHOST_CHECK);
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_gt(fakehost_state(fh)->changes, 0);
	call(fh, FAKEHOST_APPLY);
	call(fh, FAKEHOST_PROBE);
	ck_assert_msg(fakehost_state(fh)->changes == 0, "%s", fakehost_state(fh)->now);
}

#define sql(...) postgres_rig_sql(&pg, DB, __VA_ARGS__)

static void
is(const char *query, const char *answer)
{
	char out[2000];

	ck_assert_str_eq(postgres_rig_ask(&pg, DB, out, sizeof out, "%s", query), answer);
}

static void
start_all(void)
{
	char url[128], cmd[400];

	postgres_rig_start(&pg);
	postgres_rig_sql(&pg, "postgres",
				   "create role kamailio login password 'kamailio-word';"
				   "create role reader login password 'kamailio-word';"
				   "create role frozen login password 'kamailio-word';"
				   "alter role frozen set default_transaction_read_only = on");
	postgres_rig_sql(&pg, "postgres", "create database " DB " owner kamailio");
	snprintf(cmd, sizeof cmd, "PGPASSWORD=kamailio-word psql -Xq -v ON_ERROR_STOP=1 -h 127.0.0.1 "
		 "-p %d -U kamailio -d " DB " -f " SQL "standard-create.sql -f " SQL
		 "presence-create.sql >/dev/null", pg.port);
	ck_assert_int_eq(system(cmd), 0);
	sql("grant select on all tables in schema public to reader, frozen;"
	    "grant insert, update on xcap to frozen; grant usage on sequence xcap_id_seq to frozen");
	snprintf(url, sizeof url, "postgres://kamailio:kamailio-word@%s/" DB, pg.server);
	kamailio_rig_start_on(&xcap, "db_postgres", url);
	traced = getenv("TRACE") != NULL;
	slow = getenv("RESITE_UNDER_VALGRIND") != NULL;
}

static void
stop_all(void)
{
	kamailio_rig_stop(&xcap);
	postgres_rig_stop(&pg);
}

static void
setup(void)
{
	strcpy(dir, "/tmp/contacts-sql-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(lync_file, sizeof lync_file, "%s/lync.xml", dir);
	sql("delete from xcap");
}

static void
teardown(void)
{
	char cmd[128];

	snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
	ck_assert_int_eq(system(cmd), 0);
}

/* --- the life of it ------------------------------------------------------------------ */

START_TEST(lists_go_into_the_table_and_come_out_of_the_server)
{
	struct fakehost *fh = importer();
	int n = slow ? 1200 : 4300; /* more than both connections' first batches */
	char text[64];

	write_lync(n, 12, "w");
	live(fh);
	snprintf(text, sizeof text, "%d", n);
	is("select count(*) from xcap", text);
	snprintf(text, sizeof text, "%d of %d lists confirmed by the server, ", n, n);
	ck_assert_msg(strstr(fakehost_state(fh)->now, text), "%s", fakehost_state(fh)->now);
	/* Other lists of the same users replace them. */
	write_lync(n, 12, "z");
	live(fh);
	is("select count(*) from xcap where position('z00001'::bytea in doc) > 0", "1");
	fakehost_free(fh);
}
END_TEST

/* Every column but the number and the etag. */
#define ROWS "select string_agg(concat_ws(' ', username, domain, doc_type, source, doc_uri, port, "  \
	     "md5(doc)), '; ' order by username) from xcap"
START_TEST(a_row_is_as_the_server_itself_writes_it)
{
	struct fakehost *fh = importer();
	char own[1000];

	write_lync(3, 12, "w");
	call(fh, FAKEHOST_APPLY);
	postgres_rig_ask(&pg, DB, own, sizeof own, ROWS);
	is("select count(*) from xcap where etag ~ '^sr-[0-9]+-[0-9]+-[0-9]+$'", "3");
	sql("delete from xcap");
	set(fh, "via", "http");
	call(fh, FAKEHOST_APPLY);
	is(ROWS, own);
	is("select count(*) from xcap where etag ~ '^sr-[0-9]+-[0-9]+-[0-9]+$'", "3");
	/* Over rows of the server's own it changes nothing but the list. */
	fakehost_new_attempt(fh);
	write_lync(3, 13, "w");
	set(fh, "via", "sql");
	call(fh, FAKEHOST_APPLY);
	is("select count(*) from xcap where position('w00013'::bytea in doc) > 0", "3");
	fakehost_free(fh);
}
END_TEST

/* Of 1,500 users every third has an older list with another contact. */
static struct fakehost *
importer_over(const char *existing)
{
	struct fakehost *fh = importer();

	write_lync(1500, 2, "old");
	call(fh, FAKEHOST_APPLY);
	sql("delete from xcap where right(username, 5)::int %% 3 <> 0");
	fakehost_new_attempt(fh);
	write_lync(1500, 2, "new");
	set(fh, "existing", existing);
	return fh;
}

START_TEST(a_merge_and_a_keep_look_into_the_table_first)
{
	struct fakehost *fh = importer_over("merge");

	live(fh);
	ck_assert_uint_eq(fakehost_state(fh)->total, 1500);
	is("select count(*) from xcap", "1500");
	is("select count(*) from xcap where position('old'::bytea in doc) > 0 and "
	   "position('new'::bytea in doc) > 0", "500");
	is("select count(*) from xcap where position('new'::bytea in doc) > 0", "1500");
	fakehost_free(fh);
	sql("delete from xcap");
	fh = importer_over("keep");
	live(fh);
	is("select count(*) from xcap where position('old'::bytea in doc) > 0 and "
	   "position('new'::bytea in doc) = 0", "500");
	is("select count(*) from xcap where position('new'::bytea in doc) > 0", "1000");
	fakehost_free(fh);
}
END_TEST

/* What was looked at is not what is there when the merged list is written: to us that is an update
 * that finds no row. */
START_TEST(a_list_that_changed_since_it_was_looked_at_is_not_overwritten)
{
	struct fakehost *fh = importer_over("merge");

	sql("create function other() returns trigger language plpgsql as $$ begin "
	    "if new.username = 'u00003' then return null; end if; return new; end $$;"
	    "create trigger t before update on xcap for each row execute function other()");
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_CONFLICT,
	      "lists were not taken, 1499 were imported: sip:u00003@contoso.example: another list is "
	      "there by now");
	sql("drop function other cascade");
	fakehost_free(fh);
}
END_TEST

START_TEST(a_list_that_the_table_does_not_take_is_named_and_the_rest_goes_in)
{
	struct fakehost *fh = importer();
	FILE *out;

	write_lync(1500, 2, "w");
	out = fopen(lync_file, "r+");
	ck_assert_ptr_nonnull(out);
	fseek(out, -(long)strlen("</HomedResources>\n"), SEEK_END);
	fprintf(out, "<HomedResource UserAtHost=\"%070d@contoso.example\"><Contacts>"
		"<Contact Buddy=\"a@b\" Groups=\"1\"/></Contacts></HomedResource></HomedResources>\n",
		7);
	fclose(out);
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED,
	      "1 of 1501 lists were not taken, 1500 were imported: sip:00000");
	ck_assert_ptr_nonnull(strstr(fakehost_failure(fh), "value too long"));
	is("select count(*) from xcap", "1500");
	fakehost_free(fh);
}
END_TEST

START_TEST(an_import_that_was_stopped_goes_on_where_it_was)
{
	struct fakehost *fh = importer();

	write_lync(4300, 2, "w");
	fakehost_at_progress(fh, 2500, NULL, NULL);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_CANCELLED);
	call(fh, FAKEHOST_APPLY);
	ck_assert_msg(strstr(fakehost_logs(fh), ": going on from there"), "%s", fakehost_logs(fh));
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	is("select count(*) from xcap", "4300");
	fakehost_free(fh);
}
END_TEST

static void
kill_database(void *arg)
{
	(void)arg;
	postgres_rig_end(&pg);
}

START_TEST(a_database_that_dies_in_the_middle_is_survived)
{
	struct fakehost *fh = importer();

	write_lync(4300, 2, "w");
	fakehost_at_progress(fh, 1500, kill_database, NULL);
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_TRANSIENT, pg.server);
	postgres_rig_again(&pg);
	call(fh, FAKEHOST_APPLY);
	is("select count(*) from xcap", "4300");
	fakehost_free(fh);
}
END_TEST

/* --- what a client would be given ------------------------------------------------------ */

START_TEST(a_server_that_does_not_hand_out_what_is_stored_is_told)
{
	struct fakehost *fh = importer();
	struct kamailio_rig other;

	kamailio_rig_start(&other);
	set(fh, "server", other.root);
	write_lync(600, 2, "w");
	call(fh, FAKEHOST_APPLY);
	fails(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "does not hand out what is stored");
	fakehost_free(fh);
	kamailio_rig_stop(&other);
}
END_TEST

/* Kamailio hands out 8 kB, and the table takes more; the longest list is always read back. */
START_TEST(the_longest_list_is_always_read_back)
{
	struct fakehost *fh = importer();
	FILE *out;

	write_lync(700, 2, "w");
	out = fopen(lync_file, "r+");
	ck_assert_ptr_nonnull(out);
	fseek(out, -(long)strlen("</HomedResources>\n"), SEEK_END);
	fputs("<HomedResource UserAtHost=\"long@contoso.example\"><Contacts>", out);
	for (int i = 0; i < 300; i++)
		fprintf(out, "<Contact Buddy=\"somebody%05d@contoso.example\" Groups=\"1\"/>", i);
	fputs("</Contacts></HomedResource>\n", out);
	for (int i = 0; i < 700; i++)
		fprintf(out, "<HomedResource UserAtHost=\"x%05d@contoso.example\"><Contacts>"
			"<Contact Buddy=\"a@b\" Groups=\"1\"/></Contacts></HomedResource>\n", i);
	fputs("</HomedResources>\n", out);
	fclose(out);
	set(fh, "read_back", "1");
	call(fh, FAKEHOST_APPLY);
	fails(fh, FAKEHOST_PROBE, RESITE_ERR_TRANSIENT, "sip:long@contoso.example: 500");
	fakehost_free(fh);
}
END_TEST

/* --- databases that are not well -------------------------------------------------------- */

static const struct {
	const char *before; /* SQL, as the superuser */
	const char *param, *value;
	const char *says;
	int rc;
	const char *after;
} bad[] = {
	{"", "database_password", "wrong", "password authentication failed", RESITE_ERR_REFUSED, ""},
	{"", "database", "no_such", "database \"no_such\" does not exist", RESITE_ERR_REFUSED, ""},
	{"", "database_user", "reader", "the rights SELECT, INSERT and UPDATE", RESITE_ERR_REFUSED,
	 ""},
	{"", "database_user", "frozen", "takes no writes", RESITE_ERR_REFUSED, ""},
	{"", "table", "no_such", "there is no table of that name", RESITE_ERR_REFUSED, ""},
	{"", "table", "presentity", "names another version", RESITE_ERR_REFUSED, ""},
	{"update version set table_version = 3 where table_name = 'xcap'", NULL, NULL,
	 "names another version", RESITE_ERR_REFUSED,
	 "update version set table_version = 4 where table_name = 'xcap'"},
	{"alter table version rename to no_version", NULL, NULL, "\"version\" does not exist",
	 RESITE_ERR_REFUSED, "alter table no_version rename to version"},
	{"revoke temporary on database " DB " from public, kamailio", NULL, NULL,
	 "the right TEMPORARY", RESITE_ERR_REFUSED,
	 "grant temporary on database " DB " to public, kamailio"},
	{"alter table xcap drop constraint xcap_doc_uri_idx", NULL, NULL, "no unique",
	 RESITE_ERR_REFUSED, "alter table xcap add constraint xcap_doc_uri_idx unique (doc_uri)"},
	{"create function full() returns trigger language plpgsql as $$ begin raise exception "
	 "'could not extend file: No space left on device' using errcode = 'disk_full'; end $$;"
	 "create trigger t before insert on xcap for each row execute function full()", NULL, NULL,
	 "could not extend file: No space left on device; the server's disk is full: make room",
	 RESITE_ERR_REFUSED, "drop function full cascade"},
	{"create function lie() returns trigger language plpgsql as $$ begin return null; end $$;"
	 "create trigger t before insert on xcap for each row execute function lie()", NULL, NULL,
	 "took 0 of 50 rows and said no error", RESITE_ERR_REFUSED, "drop function lie cascade"},
};

START_TEST(a_database_that_is_not_well_is_told_in_its_own_words)
{
	struct fakehost *fh = importer();

	write_lync(50, 2, "w");
	fakehost_secret(fh, "wrong", "wrong-word");
	if (*bad[_i].before)
		sql("%s", bad[_i].before);
	if (bad[_i].param)
		set(fh, bad[_i].param, bad[_i].value);
	fails(fh, FAKEHOST_APPLY, bad[_i].rc, bad[_i].says);
	ck_assert_ptr_null(strstr(fakehost_failure(fh), "-word"));
	if (*bad[_i].after)
		sql("%s", bad[_i].after);
	is("select count(*) from xcap", "0");
	fakehost_free(fh);
}
END_TEST

/* Servers of one answer, NULL: it accepts and stays silent. */
static const struct {
	const char *answer, *says;
} strange[] = {
	{NULL, "no answer within 400 ms: is this PostgreSQL"},
	{"HTTP/1.1 400 Bad Request\r\n\r\n", "127.0.0.1"},
	{"", "127.0.0.1"},
};

START_TEST(what_is_no_database_is_told)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	const char *answer = strange[_i].answer;
	struct fakehost *fh = importer();
	char text[32];
	pid_t pid;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	getsockname(fd, (struct sockaddr *)&at, &len);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		for (;;) {
			char buf[1000];
			int c = accept(fd, NULL, NULL);

			if (answer && c >= 0 && read(c, buf, sizeof buf) > 0 &&
			    write(c, answer, strlen(answer)) >= 0)
				close(c);
		}
	}
	close(fd);
	write_lync(5, 2, "w");
	snprintf(text, sizeof text, "127.0.0.1:%d", ntohs(at.sin_port));
	set(fh, "database_server", text);
	set(fh, "timeout", "400ms");
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_TRANSIENT, strange[_i].says);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* And nobody listens there now. */
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_TRANSIENT, "refused");
	fakehost_free(fh);
}
END_TEST

START_TEST(a_plan_that_says_too_little_is_invalid)
{
	struct fakehost *fh = importer();

	fakehost_param_clear(fh, "database_user");
	fails(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID, "via = \"sql\" needs 'database_user'");
	ck_assert_str_eq(fakehost_failure_param(fh), "database_user");
	set(fh, "database_user", "x");
	set(fh, "table", "xcap; drop table xcap");
	fails(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID, "is no name of a table");
	fakehost_free(fh);
}
END_TEST

static TCase *
cases(void)
{
	TCase *tc = tcase_create("contacts_sql");

	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, start_all, stop_all);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, lists_go_into_the_table_and_come_out_of_the_server);
	tcase_add_test(tc, a_row_is_as_the_server_itself_writes_it);
	tcase_add_test(tc, a_merge_and_a_keep_look_into_the_table_first);
	tcase_add_test(tc, a_list_that_changed_since_it_was_looked_at_is_not_overwritten);
	tcase_add_test(tc, a_list_that_the_table_does_not_take_is_named_and_the_rest_goes_in);
	tcase_add_test(tc, an_import_that_was_stopped_goes_on_where_it_was);
	tcase_add_test(tc, a_server_that_does_not_hand_out_what_is_stored_is_told);
	tcase_add_test(tc, the_longest_list_is_always_read_back);
	tcase_add_loop_test(tc, a_database_that_is_not_well_is_told_in_its_own_words, 0,
			    sizeof bad / sizeof *bad);
	tcase_add_loop_test(tc, what_is_no_database_is_told, 0, sizeof strange / sizeof *strange);
	tcase_add_test(tc, a_plan_that_says_too_little_is_invalid);
	/* The last one: the database that it starts again ends with the process that this test is. */
	tcase_add_test(tc, a_database_that_dies_in_the_middle_is_survived);
	return tc;
}

int
main(void)
{
	Suite *suite = suite_create("contacts_sql");

	if (!kamailio_rig_possible() || !postgres_rig_possible() ||
	    access(SQL "presence-create.sql", R_OK)) {
		fputs("skipped: kamailio with db_postgres and xcap_server, or postgresql, is not "
		      "installed\n", stderr);
		return 77;
	}
	suite_add_tcase(suite, cases());
	return run_suite(suite);
}
