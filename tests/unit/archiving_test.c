/* archiving.gate against a real PostgreSQL server, and against commands. */
#define _GNU_SOURCE
#include "plugins/archiving/gate.h"
#include "sdk/testkit/fakehost.h"
#include "tests/unit/postgres_rig.h"
#include "tests/unit/run_suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define DB "archive"

static struct postgres_rig rig;

const struct resite_plugin *resite_plugin_v0(void);

#define sql(...) postgres_rig_sql(&rig, DB, __VA_ARGS__)

#define is(fh, phase, want)                                                                \
	do {                                                                               \
		int rc_ = fakehost_call(fh, phase);                                        \
		ck_assert_msg(rc_ == (want), #phase " gave %d: %s", rc_, fakehost_failure(fh)); \
		ck_assert_ptr_null(strstr(fakehost_failure(fh), POSTGRES_RIG_PASSWORD));   \
	} while (0)

static void
says(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "no '%s' in: %s", part, text);
}

static void
set(struct fakehost *fh, const char *name, const char *value)
{
	fakehost_param_clear(fh, name);
	if (value)
		fakehost_param(fh, name, value);
}

static struct fakehost *
gate(const char *archived)
{
	struct fakehost *fh = fakehost_new(&resite_plugin_v0()->actions[0]);

	fakehost_param(fh, "archived", archived);
	fakehost_param(fh, "server", rig.server);
	fakehost_param(fh, "user", "resite");
	fakehost_param(fh, "password", "word");
	fakehost_param(fh, "timeout", "8s");
	fakehost_secret(fh, "word", POSTGRES_RIG_PASSWORD "\n");
	return fh;
}

static void
markers_are(const char *n)
{
	char out[40];

	ck_assert_str_eq(postgres_rig_ask(&rig, DB, out, sizeof out,
					  "SELECT count(*) FROM archive.resite_marker"), n);
}

static void
attempt(struct fakehost *fh)
{
	is(fh, FAKEHOST_CHECK, RESITE_OK);
	is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	is(fh, FAKEHOST_APPLY, RESITE_OK);
	is(fh, FAKEHOST_VERIFY, RESITE_OK);
	ck_assert_str_eq(fakehost_output(fh, "looked"), "yes");
	is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
}

static void
start_server(void)
{
	char schema[2000];
	FILE *f = fopen(SRCDIR "/plugins/archiving/schema.sql", "r");
	size_t n = f ? fread(schema, 1, sizeof schema - 1, f) : 0;

	if (!n)
		abort();
	fclose(f);
	schema[n] = '\0';
	postgres_rig_start(&rig);
	postgres_rig_sql(&rig, "postgres", "CREATE DATABASE " DB);
	sql("%s", schema);
	sql("CREATE TABLE archive.messages (id bigserial, body text); CREATE TABLE archive.other (number int);"
	    "CREATE ROLE resite LOGIN PASSWORD '" POSTGRES_RIG_PASSWORD "'; CREATE ROLE archiver LOGIN;"
	    "GRANT USAGE ON SCHEMA archive TO resite, archiver;"
	    "GRANT INSERT ON archive.messages TO archiver;"
	    "GRANT SELECT, INSERT, DELETE ON archive.resite_marker, archive.other TO resite");
}

static void
stop_server(void)
{
	postgres_rig_stop(&rig);
}

/* --- the gate ------------------------------------------------------------------------- */

START_TEST(without_archived_users_and_not_critical_nothing_is_looked_at)
{
	struct fakehost *fh = gate("0");

	set(fh, "server", "127.0.0.1:1");
	is(fh, FAKEHOST_CHECK, RESITE_OK);
	is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	says(fakehost_state(fh)->now, "0 users are archived and archiving is not critical: not looked at");
	is(fh, FAKEHOST_VERIFY, RESITE_OK);
	ck_assert_str_eq(fakehost_output(fh, "looked"), "no");
	set(fh, "critical", "true");
	is(fh, FAKEHOST_PROBE, RESITE_ERR_TRANSIENT);
	fakehost_free(fh);
}
END_TEST

START_TEST(an_archive_that_takes_a_marker_passes_and_keeps_none)
{
	struct fakehost *fh = gate("3");

	fakehost_param(fh, "messages", "archive.messages");
	fakehost_param(fh, "writer", "archiver");
	attempt(fh);
	says(fakehost_state(fh)->now, "3 users are archived");
	markers_are("0");
	fakehost_free(fh);
	fh = gate("0");
	fakehost_param(fh, "critical", "true");
	attempt(fh);
	markers_are("0");
	fakehost_free(fh);
}
END_TEST

START_TEST(what_earlier_attempts_left_is_cleared_and_what_others_wrote_is_not)
{
	struct fakehost *fh = gate("1");
	const char *data = NULL;

	sql("CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
	    "CREATE TRIGGER keep BEFORE DELETE ON archive.resite_marker FOR EACH ROW EXECUTE FUNCTION keep()");
	is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
	says(fakehost_failure(fh), "does not give the marker up");
	says(fakehost_logs(fh), "DELETE FROM archive.resite_marker WHERE id = 'resite-");
	says(fakehost_logs(fh), (fakehost_checkpoint(fh, &data), data));
	is(fh, FAKEHOST_VERIFY, RESITE_ERR_CONFLICT);
	sql("DROP FUNCTION keep CASCADE;"
	    "INSERT INTO archive.resite_marker VALUES ('resite-old', now() - interval '2 hours'), "
	    "('resite-new', now()), ('theirs', now() - interval '2 hours')");
	attempt(fh);
	markers_are("2");
	sql("DELETE FROM archive.resite_marker");
	fakehost_free(fh);
}
END_TEST

/* --- the bad world -------------------------------------------------------------------- */

#define T "archive.resite_marker"

static const struct {
	const char *name, *before, *after; /* SQL */
	const char *param, *value;
	enum fakehost_phase phase;
	int rc;
	const char *says;
} bad[] = {
	{"nobody answers", NULL, NULL, "server", "127.0.0.1:1", FAKEHOST_PROBE, RESITE_ERR_TRANSIENT,
	 "127.0.0.1:1"},
	{"half open", NULL, NULL, "server", "half open", FAKEHOST_PROBE, RESITE_ERR_TRANSIENT,
	 "no answer within"},
	{"wrong password", "ALTER ROLE resite PASSWORD 'x'",
	 "ALTER ROLE resite PASSWORD '" POSTGRES_RIG_PASSWORD "'", NULL, NULL, FAKEHOST_PROBE,
	 RESITE_ERR_REFUSED, "check user and password"},
	{"no such database", NULL, NULL, "database", "none", FAKEHOST_PROBE, RESITE_ERR_REFUSED,
	 "check the name of the database"},
	{"no such table", NULL, NULL, "table", "archive.nothing", FAKEHOST_PROBE, RESITE_ERR_REFUSED,
	 "schema.sql"},
	{"no such table, late", NULL, NULL, "table", "archive.nothing", FAKEHOST_APPLY, RESITE_ERR_REFUSED,
	 "schema.sql"},
	{"another table", NULL, NULL, "table", "archive.other", FAKEHOST_APPLY, RESITE_ERR_REFUSED,
	 "must have the columns id and written"},
	{"no right", "REVOKE INSERT ON " T " FROM resite", "GRANT INSERT ON " T " TO resite", NULL, NULL,
	 FAKEHOST_PROBE, RESITE_ERR_REFUSED, "GRANT SELECT, INSERT, DELETE"},
	{"no right, late", "REVOKE INSERT ON " T " FROM resite", "GRANT INSERT ON " T " TO resite", NULL,
	 NULL, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "rights"},
	{"the archive's own table is not there", NULL, NULL, "messages", "archive.mesages", FAKEHOST_PROBE,
	 RESITE_ERR_REFUSED, "archive.mesages: there is no such table of messages"},
	{"its writer may not write", "REVOKE INSERT ON archive.messages FROM archiver",
	 "GRANT INSERT ON archive.messages TO archiver", "writer", "archiver", FAKEHOST_PROBE,
	 RESITE_ERR_REFUSED, "may not insert"},
	{"no such writer", NULL, NULL, "writer", "nobody", FAKEHOST_PROBE, RESITE_ERR_REFUSED,
	 "no such role"},
	{"read only", "ALTER ROLE resite SET default_transaction_read_only = on",
	 "ALTER ROLE resite RESET default_transaction_read_only", NULL, NULL, FAKEHOST_PROBE,
	 RESITE_ERR_REFUSED, "takes no writes"},
	{"read only, late", "ALTER ROLE resite SET default_transaction_read_only = on",
	 "ALTER ROLE resite RESET default_transaction_read_only", NULL, NULL, FAKEHOST_APPLY,
	 RESITE_ERR_REFUSED, "is it a standby"},
	{"it lies", "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
	 "CREATE TRIGGER lose BEFORE INSERT ON " T " FOR EACH ROW EXECUTE FUNCTION lose()",
	 "DROP FUNCTION lose CASCADE", NULL, NULL, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "does not have it"},
	{"its disk is full", "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE "
	 "EXCEPTION USING ERRCODE = ''53100'', MESSAGE = ''No space left on device''; END';"
	 "CREATE TRIGGER no_space BEFORE INSERT ON " T " FOR EACH ROW EXECUTE FUNCTION no_space()",
	 "DROP FUNCTION no_space CASCADE", NULL, NULL, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "make room"},
};

static int
half_open(char server[32])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(server, 32, "127.0.0.1:%d", ntohs(a.sin_port));
	return fd;
}

START_TEST(an_archive_that_would_not_take_messages_stops_and_says_what_to_type)
{
	struct fakehost *fh = gate("1");
	char server[32] = "";
	const char *value = bad[_i].value;
	int fd = -1;

	if (bad[_i].before)
		sql("%s", bad[_i].before);
	if (value && !strcmp(value, "half open")) {
		fd = half_open(server);
		set(fh, "timeout", "300ms");
		value = server;
	}
	fakehost_param(fh, "messages", "archive.messages");
	if (bad[_i].param)
		set(fh, bad[_i].param, value);
	is(fh, FAKEHOST_CHECK, RESITE_OK);
	is(fh, bad[_i].phase, bad[_i].rc);
	says(fakehost_failure(fh), bad[_i].says);
	says(fakehost_failure(fh), "obody has been moved");
	ck_assert(!fakehost_state(fh)->told);
	if (bad[_i].after)
		sql("%s", bad[_i].after);
	markers_are("0");
	if (fd >= 0)
		close(fd);
	fakehost_free(fh);
}
END_TEST

/* The other site was its synchronous standby: the row is there, and no commit is answered. */
START_TEST(a_server_that_waits_for_a_lost_standby_is_told_and_its_marker_goes_later)
{
	struct fakehost *fh = gate("1");

	sql("ALTER SYSTEM SET synchronous_standby_names = 'lost'");
	sql("SELECT pg_reload_conf()");
	usleep(300000);
	is(fh, FAKEHOST_PROBE, RESITE_OK);
	set(fh, "timeout", "3s"); /* enough to get in, under valgrind too */
	is(fh, FAKEHOST_APPLY, RESITE_ERR_TRANSIENT);
	says(fakehost_failure(fh), "synchronous_standby_names");
	says(fakehost_logs(fh), "the marker may still be there");
	sql("ALTER SYSTEM RESET synchronous_standby_names");
	sql("SELECT pg_reload_conf()");
	usleep(300000);
	attempt(fh);
	markers_are("0");
	fakehost_free(fh);
}
END_TEST

/* A real one, whose primary is gone. */
START_TEST(a_standby_is_refused_before_and_at_the_marker)
{
	struct postgres_rig other = {.pid = 0};
	struct fakehost *fh = gate("1");
	char path[100];
	FILE *f;

	postgres_rig_start(&other);
	postgres_rig_sql(&other, "postgres", "CREATE TABLE resite_marker (id text, written timestamptz)");
	postgres_rig_end(&other);
	snprintf(path, sizeof path, "%s/data/standby.signal", other.dir);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fclose(f);
	chmod(path, 0666);
	postgres_rig_again(&other);
	set(fh, "server", other.server);
	set(fh, "database", "postgres");
	set(fh, "user", POSTGRES_RIG_USER);
	set(fh, "table", "resite_marker");
	is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	says(fakehost_failure(fh), "this server is a standby: promote it first (SELECT pg_promote())");
	is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
	says(fakehost_failure(fh), "is it a standby, not promoted?");
	fakehost_free(fh);
	postgres_rig_stop(&other);
}
END_TEST

/* --- commands and parameters ---------------------------------------------------------- */

static struct fakehost *
command(const char *script, const char *expect)
{
	struct fakehost *fh = gate("1");

	set(fh, "server", NULL);
	fakehost_param(fh, "command", "/bin/sh");
	fakehost_param(fh, "command", "-c");
	fakehost_param(fh, "command", script);
	set(fh, "expect", expect);
	return fh;
}

START_TEST(a_command_passes_only_when_it_ends_well_and_prints_what_is_expected)
{
	static const struct {
		const char *script, *says; /* NULL: it passes */
	} cases[] = {
		{"echo before; echo archived: yes", NULL},
		{"echo archived: yes; exit 3", "exit code 3"},
		{"echo ArchivingServer is not reachable", "did not print 'archived: yes'"},
		{"true", "last line: nothing"},
		{"echo archived: yes >&2", "did not print"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fakehost *fh = command(cases[i].script, "archived: yes");

		if (cases[i].says) {
			is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
			says(fakehost_failure(fh), cases[i].says);
			is(fh, FAKEHOST_VERIFY, RESITE_ERR_CONFLICT);
		} else {
			attempt(fh);
		}
		fakehost_free(fh);
	}
}
END_TEST

START_TEST(a_parameter_that_cannot_be_meant_is_named)
{
	static const struct {
		const char *drop, *param, *value, *at;
	} cases[] = {
		{"server", "table", "archive.resite_marker", "server"},
		{NULL, "command", "/bin/true", "command"},
		{"server", "command", "true", "command"},
		{"server", "command", "/bin/true", "expect"},
		{NULL, "table", "a\"; DROP TABLE b", "table"},
		{NULL, "table", "a.b.c", "table"},
		{NULL, "messages", "", "messages"},
		{NULL, "writer", "archiver", "writer"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fakehost *fh = gate("1");

		if (cases[i].drop)
			set(fh, cases[i].drop, NULL);
		set(fh, cases[i].param, cases[i].value);
		is(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID);
		ck_assert_str_eq(fakehost_failure_param(fh), cases[i].at);
		fakehost_free(fh);
	}
	ck_assert(gate_is_table("resite_marker") && gate_is_table("archive.resite_marker"));
	ck_assert(!gate_is_table(".a") && !gate_is_table("a.") && !gate_is_table("1a"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("archiving");
	TCase *tc = tcase_create("gate");

	if (!postgres_rig_possible()) {
		fprintf(stderr, "SKIP: PostgreSQL is not installed\n");
		return 77;
	}
	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, start_server, stop_server);
	tcase_add_test(tc, without_archived_users_and_not_critical_nothing_is_looked_at);
	tcase_add_test(tc, an_archive_that_takes_a_marker_passes_and_keeps_none);
	tcase_add_test(tc, what_earlier_attempts_left_is_cleared_and_what_others_wrote_is_not);
	tcase_add_loop_test(tc, an_archive_that_would_not_take_messages_stops_and_says_what_to_type, 0,
			    sizeof bad / sizeof *bad);
	tcase_add_test(tc, a_server_that_waits_for_a_lost_standby_is_told_and_its_marker_goes_later);
	tcase_add_test(tc, a_standby_is_refused_before_and_at_the_marker);
	tcase_add_test(tc, a_command_passes_only_when_it_ends_well_and_prints_what_is_expected);
	tcase_add_test(tc, a_parameter_that_cannot_be_meant_is_named);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
