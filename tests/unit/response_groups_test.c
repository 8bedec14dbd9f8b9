/* Response groups between two real PostgreSQL servers and the vault. */
#define _GNU_SOURCE
#include "plugins/response-groups/decide.h"
#include "sdk/testkit/fakehost.h"
#include "sdk/vault/vault.h"
#include "tests/unit/postgres_rig.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <unistd.h>

static struct postgres_rig primary, dr;
static char dir[64], vault[80];

#define P1 "pool1.contoso.example"
#define P2 "pool2.contoso.example"

const struct resite_plugin *resite_plugin_v0(void);

#define sql(rig, ...) postgres_rig_sql(rig, "rgs", __VA_ARGS__)

static void
ask(struct postgres_rig *rig, const char *query, const char *answer)
{
	char out[2000];

	ck_assert_str_eq(postgres_rig_ask(rig, "rgs", out, sizeof out, "%s", query), answer);
}

/* --- the world --------------------------------------------------------------------------- */

static char *
slurp(const char *path)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = fopen(path, "r");
	FILE *m = open_memstream(&text, &len);
	int ch;

	ck_assert_ptr_nonnull(f);
	while ((ch = fgetc(f)) != EOF)
		fputc(ch, m);
	fclose(f);
	fclose(m);
	return text;
}

/* The same configuration for any pool: P is its digit, in ids and names. */
static const char config[] =
	"INSERT INTO rgs.settings VALUES ('moh', 'poolP.contoso.example', 'music_on_hold', 'music-P.wav');"
	"INSERT INTO rgs.business_hours VALUES ('P0000000-0000-0000-0000-000000000001', "
	"'poolP.contoso.example', 'office', '9-17', '9-17', '9-17', '9-17', '9-16', NULL, NULL);"
	"INSERT INTO rgs.holiday_sets VALUES ('P0000000-0000-0000-0000-000000000002', "
	"'poolP.contoso.example', 'tide \"of\" \\ days', "
	"'[{\"name\": \"New Year\", \"on\": \"2027-01-01\"}]');"
	"INSERT INTO rgs.agent_groups VALUES ('P0000000-0000-0000-0000-000000000003', "
	"'poolP.contoso.example', 'sales', 'formal', 'serial', 20, '{sip:a@x,sip:b@x,sip:c@x}'), "
	"('P0000000-0000-0000-0000-000000000004', 'poolP.contoso.example', 'help', 'informal', "
	"'parallel', 30, '{sip:d@x}');"
	"INSERT INTO rgs.queues VALUES ('P0000000-0000-0000-0000-000000000005', "
	"'poolP.contoso.example', 'Verkauf \303\244 P', '{P0000000-0000-0000-0000-000000000003}', 60, 10, "
	"'{\"action\": \"voicemail\", \"n\": 1.50}');"
	"INSERT INTO rgs.workflows VALUES ('P0000000-0000-0000-0000-000000000006', "
	"'poolP.contoso.example', 'Hotline P', 'sip:hotlineP@x', 'tel:+1', 'en-US', "
	"'P0000000-0000-0000-0000-000000000005', 'P0000000-0000-0000-0000-000000000001', "
	"'P0000000-0000-0000-0000-000000000002', 'Welcome', true);";

static void
seed(struct postgres_rig *rig, char p)
{
	char *schema = slurp(SRCDIR "/plugins/response-groups/schema.sql"), rows[sizeof config];

	for (size_t i = 0; i < sizeof config; i++)
		rows[i] = config[i];
	for (char *at = rows; (at = strchr(at, 'P')); at++)
		if (at[1] == '0' || at[1] == '.' || at[1] == '\'' || at[1] == '@')
			*at = p;
	sql(rig, "SET client_min_messages = error; DROP SCHEMA IF EXISTS rgs CASCADE; "
		 "DROP SCHEMA IF EXISTS other CASCADE; %s; %s", schema, rows);
	free(schema);
}

static void
start_servers(void)
{
	postgres_rig_start(&primary);
	postgres_rig_start(&dr);
	postgres_rig_sql(&primary, "postgres", "CREATE DATABASE rgs");
	postgres_rig_sql(&dr, "postgres", "CREATE DATABASE rgs");
}

static void
stop_servers(void)
{
	postgres_rig_stop(&primary);
	postgres_rig_stop(&dr);
}

static void
setup(void)
{
	strcpy(dir, "/tmp/rgs-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(vault, sizeof vault, "%s/vault", dir);
	if (primary.pid) {
		seed(&primary, '1');
		seed(&dr, '2');
	}
}

static void
teardown(void)
{
	char cmd[128];

	snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
	ck_assert_int_eq(system(cmd), 0);
}

/* --- steps --------------------------------------------------------------------------------- */

static struct fakehost *
step(const char *name, struct postgres_rig *rig)
{
	struct fakehost *fh = fakehost_new(fakehost_action(resite_plugin_v0(), name));

	fakehost_param(fh, "server", rig->server);
	fakehost_param(fh, "user", POSTGRES_RIG_USER);
	fakehost_param(fh, "password", "word");
	fakehost_secret(fh, "word", POSTGRES_RIG_PASSWORD "\n");
	if (strcmp(name, "clean"))
		fakehost_param(fh, "vault", vault);
	if (!strcmp(name, "export"))
		fakehost_param(fh, "site", "primary");
	return fh;
}

#define must(fh, phase)                                                                          \
	ck_assert_msg(fakehost_call(fh, phase) == RESITE_OK, #phase ": %s", fakehost_failure(fh))

/* One whole attempt, as the core makes it. */
static void
attempt(struct fakehost *fh)
{
	must(fh, FAKEHOST_CHECK);
	must(fh, FAKEHOST_PROBE);
	must(fh, FAKEHOST_APPLY);
	must(fh, FAKEHOST_VERIFY);
	must(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
}

static void
export_of(struct postgres_rig *rig, const char *owner)
{
	struct fakehost *fh = step("export", rig);

	fakehost_param(fh, "owner", owner);
	attempt(fh);
	fakehost_free(fh);
}

static void
says(struct fakehost *fh, enum fakehost_phase phase, int rc, const char *text)
{
	ck_assert_int_eq(fakehost_call(fh, phase), rc);
	ck_assert_msg(strstr(fakehost_failure(fh), text), "%s", fakehost_failure(fh));
	ck_assert_ptr_null(strstr(fakehost_failure(fh), POSTGRES_RIG_PASSWORD));
}

#define COUNTS                                                                                   \
	"SELECT (SELECT count(*) FROM rgs.agent_groups) || ' ' || (SELECT count(*) FROM "        \
	"rgs.queues) || ' ' || (SELECT count(*) FROM rgs.workflows) || ' ' || (SELECT count(*) " \
	"FROM rgs.business_hours) || ' ' || (SELECT value FROM rgs.settings)"

START_TEST(what_was_exported_stands_at_the_other_site_row_by_row_with_its_owner)
{
	struct fakehost *fh;

	export_of(&primary, P1);
	fh = step("import", &dr);
	must(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 6);
	ck_assert_uint_eq(fakehost_state(fh)->total, 7);
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "3 agents of 1 formal groups must sign in again"));
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "1 application-level settings (music_on_hold"));
	attempt(fh);
	ck_assert_str_eq(fakehost_output(fh, "inserted"), "6");
	ask(&dr, COUNTS, "4 2 2 2 music-2.wav");
	ask(&dr, "SELECT count(*) FROM rgs.workflows WHERE owner = '" P1 "'", "1");
	ask(&dr, "SELECT overflow_action->>'n' FROM rgs.queues WHERE owner = '" P1 "'", "1.50");
	ask(&dr, "SELECT count(*) FROM rgs.dispatcher WHERE description = 'sales'", "6");
	fakehost_free(fh);
}
END_TEST

START_TEST(settings_are_replaced_only_when_the_plan_says_so)
{
	struct fakehost *fh;

	export_of(&primary, P1);
	fh = step("import", &dr);
	fakehost_param(fh, "replace_settings", "true");
	attempt(fh);
	ask(&dr, COUNTS, "4 2 2 2 music-1.wav");
	ask(&dr, "SELECT owner FROM rgs.settings", P2);
	ck_assert_ptr_null(strstr(fakehost_losses(fh), "application-level"));
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ask(&dr, COUNTS, "2 1 1 1 music-2.wav");
	fakehost_free(fh);
}
END_TEST

/* What stands in the way at the target. */
static const struct {
	const char *there;
	int rc;
	const char *says;
} taken[] = {
	{"UPDATE rgs.queues SET name = 'verkauf \303\244 1'", RESITE_ERR_REFUSED,
	 "queue Verkauf \303\244 1 (pool1.contoso.example) has the name of queue verkauf \303\244 1 (" P2 ")"},
	{"UPDATE rgs.workflows SET name = 'Hotline 1'", RESITE_ERR_REFUSED, "has the name of workflow"},
	{"UPDATE rgs.workflows SET address = 'SIP:hotline1@x'", RESITE_ERR_REFUSED,
	 "has the address of workflow"},
	{"UPDATE rgs.agent_groups SET id = '10000000-0000-0000-0000-000000000004' WHERE name = 'help'",
	 RESITE_ERR_REFUSED, "is there already, but belongs to " P2},
	{"UPDATE rgs.agent_groups SET name = 'sales'", RESITE_OK, ""},
	{"ALTER TABLE rgs.queues DROP COLUMN timeout_seconds", RESITE_ERR_REFUSED,
	 "has 'timeout_seconds', which \"rgs\".queues at"},
	{"ALTER TABLE rgs.queues ADD COLUMN more text", RESITE_ERR_REFUSED,
	 "the two sites have different versions"},
	{"DROP VIEW rgs.dispatcher; ALTER TABLE rgs.agent_groups RENAME COLUMN owner TO o",
	 RESITE_ERR_REFUSED, "has no column id, name or owner"},
	{"ALTER SCHEMA rgs RENAME TO other", RESITE_ERR_REFUSED, "there is no table \"rgs\".settings"},
	{"UPDATE rgs.queues SET name = E'a\\nb'", RESITE_ERR_REFUSED, "control characters"},
};

START_TEST(what_cannot_come_is_refused_before_the_first_change)
{
	struct fakehost *fh;

	export_of(&primary, P1);
	sql(&dr, "%s", taken[_i].there);
	fh = step("import", &dr);
	if (taken[_i].rc == RESITE_OK) {
		attempt(fh);
	} else {
		says(fh, FAKEHOST_PROBE, taken[_i].rc, taken[_i].says);
		says(fh, FAKEHOST_APPLY, taken[_i].rc, taken[_i].says);
	}
	fakehost_free(fh);
}
END_TEST

START_TEST(there_and_back_the_newer_configuration_returns_and_the_standby_is_clean)
{
	struct fakehost *fh;

	export_of(&primary, P1);
	fh = step("import", &dr);
	attempt(fh);
	fakehost_free(fh);
	/* At the standby life goes on. */
	sql(&dr, "UPDATE rgs.agent_groups SET alert_seconds = 99 WHERE name = 'sales' AND owner = '" P1 "'");
	sql(&dr, "INSERT INTO rgs.queues VALUES ('10000000-0000-0000-0000-0000000000aa', '" P1
		 "', 'New one', '{}')");
	sql(&dr, "DELETE FROM rgs.agent_groups WHERE name = 'help' AND owner = '" P1 "'");
	/* Not before the primary has it. */
	fh = step("clean", &dr);
	fakehost_param(fh, "owner", P1);
	fakehost_param(fh, "own", P2);
	fakehost_param(fh, "held_by", primary.server);
	says(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "2 objects would be lost");
	ck_assert_ptr_nonnull(strstr(fakehost_failure(fh), "agent group sales (" P1 ") differs there"));
	fakehost_free(fh);

	export_of(&dr, P1);
	fh = step("import", &primary);
	fakehost_param(fh, "owner", P1);
	fakehost_param(fh, "overwrite_owner", "true");
	must(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 2);
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "1 objects that the set no longer has stay at the "
				     "target (agent group help (" P1 ")"));
	fakehost_param_clear(fh, "delete_missing");
	fakehost_param(fh, "delete_missing", "true");
	attempt(fh);
	ck_assert_str_eq(fakehost_output(fh, "deleted"), "1");
	ask(&primary, COUNTS, "1 2 1 1 music-1.wav");
	fakehost_free(fh);

	fh = step("clean", &dr);
	fakehost_param(fh, "owner", P1);
	fakehost_param(fh, "own", P2);
	fakehost_param(fh, "held_by", primary.server);
	attempt(fh);
	ask(&dr, COUNTS, "2 1 1 1 music-2.wav");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ask(&dr, COUNTS, "3 3 2 2 music-2.wav");
	fakehost_free(fh);
}
END_TEST

START_TEST(the_own_objects_of_a_site_are_never_cleaned_away)
{
	struct fakehost *fh = step("clean", &primary);

	fakehost_param(fh, "owner", P1);
	fakehost_param(fh, "own", P1);
	fakehost_param(fh, "held_by", dr.server);
	must(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	must(fh, FAKEHOST_APPLY);
	must(fh, FAKEHOST_VERIFY);
	ask(&primary, COUNTS, "2 1 1 1 music-1.wav");
	/* Nor is a database its own witness. */
	fakehost_param_clear(fh, "own");
	fakehost_param_clear(fh, "held_by");
	fakehost_param(fh, "held_by", primary.server);
	says(fh, FAKEHOST_PROBE, RESITE_ERR_INVALID, "held_by is the very database");
	fakehost_free(fh);
}
END_TEST

START_TEST(undo_puts_back_what_still_is_as_we_wrote_it_and_reports_the_rest)
{
	struct fakehost *fh;

	export_of(&primary, P1);
	fh = step("import", &dr);
	attempt(fh);
	sql(&dr, "UPDATE rgs.agent_groups SET alert_seconds = 99 WHERE name = 'sales' AND owner = '" P1 "'");
	sql(&dr, "DELETE FROM rgs.agent_groups WHERE name = 'help' AND owner = '" P1 "'");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_LOOK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 4);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_CONFLICT), 1);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_ALREADY), 1);
	ask(&dr, COUNTS, "3 2 2 2 music-2.wav");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ask(&dr, COUNTS, "3 1 1 1 music-2.wav");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_FORCE), RESITE_OK);
	ask(&dr, COUNTS, "2 1 1 1 music-2.wav");
	fakehost_free(fh);
}
END_TEST

static void
meddle(void *arg)
{
	(void)arg;
	sql(&dr, "SELECT 1");
}

START_TEST(nothing_is_changed_before_its_undo_records_are_durable)
{
	struct fakehost *fh;

	export_of(&primary, P1);
	fh = step("import", &dr);
	must(fh, FAKEHOST_PROBE);
	fakehost_fail_undo(fh, 3);
	ck_assert_int_lt(fakehost_call(fh, FAKEHOST_APPLY), 0);
	ask(&dr, COUNTS, "2 1 1 1 music-2.wav");
	fakehost_on_sync(fh, meddle, NULL);
	attempt(fh);
	ask(&dr, COUNTS, "4 2 2 2 music-2.wav");
	fakehost_free(fh);
}
END_TEST

START_TEST(what_changed_between_probe_and_apply_is_a_conflict)
{
	struct fakehost *fh;

	export_of(&primary, P1);
	fh = step("import", &dr);
	must(fh, FAKEHOST_PROBE);
	sql(&dr, "UPDATE rgs.agent_groups SET alert_seconds = 33 WHERE name = 'help'");
	says(fh, FAKEHOST_APPLY, RESITE_ERR_CONFLICT, "changed the configuration since probe");
	ask(&dr, COUNTS, "2 1 1 1 music-2.wav");
	fakehost_free(fh);
}
END_TEST

START_TEST(an_object_that_the_server_refuses_leaves_nothing_half_done)
{
	struct fakehost *fh;

	export_of(&primary, P1);
	sql(&dr, "ALTER TABLE rgs.workflows ADD CHECK (welcome <> 'Welcome') NOT VALID");
	fh = step("import", &dr);
	must(fh, FAKEHOST_PROBE);
	says(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "workflow Hotline 1 (" P1 "): ");
	ask(&dr, COUNTS, "2 1 1 1 music-2.wav");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_ALREADY), 6);
	fakehost_free(fh);
}
END_TEST

/* --- the bad world -------------------------------------------------------------------------- */

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

static const struct {
	const char *param, *value; /* in the place of the right one */
	const char *sql;           /* done at dr before */
	int rc;
	const char *says;
} bad[] = {
	{"server", "127.0.0.1:1", NULL, RESITE_ERR_TRANSIENT, "127.0.0.1:1"},
	{"server", "half open", NULL, RESITE_ERR_TRANSIENT, "no answer within"},
	{"user", "nobody", NULL, RESITE_ERR_REFUSED, "check user and password"},
	{"database", "none", NULL, RESITE_ERR_REFUSED, "check the name of the database"},
	{"schema", "a\"b; DROP TABLE", NULL, RESITE_ERR_REFUSED, "there is no table"},
	{"user", "reader", "DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD '"
	 POSTGRES_RIG_PASSWORD "'", RESITE_ERR_REFUSED, "rights"},
	{"server", NULL, "locked", RESITE_ERR_TRANSIENT, ""},
};

START_TEST(a_bad_server_is_told_from_a_bad_plan)
{
	struct fakehost *fh;
	char server[32];
	int fd = -1;
	pid_t locker = 0;

	export_of(&primary, P1);
	fh = step("import", &dr);
	fakehost_param(fh, "timeout", getenv("RESITE_UNDER_VALGRIND") ? "4s" : "300ms");
	if (bad[_i].value && !strcmp(bad[_i].value, "half open")) {
		fd = half_open(server);
		fakehost_param_clear(fh, "server");
		fakehost_param(fh, "server", server);
	} else if (bad[_i].value) {
		fakehost_param_clear(fh, bad[_i].param);
		fakehost_param(fh, bad[_i].param, bad[_i].value);
	}
	if (bad[_i].sql && !strcmp(bad[_i].sql, "locked")) {
		must(fh, FAKEHOST_PROBE);
		locker = fork();
		if (locker == 0) {
			sql(&dr, "BEGIN; LOCK TABLE rgs.queues IN EXCLUSIVE MODE; SELECT pg_sleep(%d); COMMIT",
			    getenv("RESITE_UNDER_VALGRIND") ? 15 : 3);
			_exit(0);
		}
		sleep(1);
		ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), bad[_i].rc);
	} else {
		if (bad[_i].sql)
			sql(&dr, "%s", bad[_i].sql);
		says(fh, FAKEHOST_PROBE, bad[_i].rc, bad[_i].says);
		says(fh, FAKEHOST_APPLY, bad[_i].rc, bad[_i].says);
	}
	if (fd >= 0)
		close(fd);
	fakehost_free(fh);
	ask(&dr, COUNTS, "2 1 1 1 music-2.wav");
}
END_TEST

START_TEST(a_server_that_dies_in_the_middle_is_transient_and_half_of_nothing_stays)
{
	struct fakehost *fh;

	export_of(&primary, P1);
	fh = step("import", &dr);
	must(fh, FAKEHOST_PROBE);
	sql(&dr, "CREATE OR REPLACE FUNCTION rgs.die() RETURNS trigger LANGUAGE plpgsql AS "
		 "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END'");
	sql(&dr, "CREATE TRIGGER die BEFORE INSERT ON rgs.queues FOR EACH ROW EXECUTE FUNCTION rgs.die()");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_TRANSIENT);
	ask(&dr, COUNTS, "2 1 1 1 music-2.wav");
	sql(&dr, "DROP TRIGGER die ON rgs.queues");
	attempt(fh);
	fakehost_free(fh);
}
END_TEST

START_TEST(an_empty_site_is_not_exported_and_a_shrunken_one_needs_a_reason)
{
	struct fakehost *fh = step("export", &primary);

	fakehost_param(fh, "owner", "pool9");
	says(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "has no object of pool9");
	fakehost_free(fh);
	export_of(&primary, P1);
	sql(&primary, "DELETE FROM rgs.agent_groups");
	fh = step("export", &primary);
	says(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "agent_groups fell by 100 %");
	fakehost_param(fh, "shrink_reason", "the groups were closed");
	attempt(fh);
	fakehost_free(fh);
}
END_TEST

/* Lines of a set, as a hostile or garbled file may have them; the manifest is right. */
static const char *const bad_lines[] = {
	"queues\tp\t{\"id\": \"1\"}\n",
	"queues\tp\t{\"id\": \"1\", \"name\": \"a\\u001b[2J\"}\n",
	"queues\tp\t[]\n",
	"queues\tp\n",
	"tables\tp\t{\"id\": \"1\", \"name\": \"a\"}\n",
	"queues\tp\t{\"id\": \"1\", \"name\": \"a\"}",
	"queues\t\t{\"id\": \"1\", \"name\": \"a\"}\n",
	"queues\tp\t{\"id\": \"1\", \"name\": \"a\"}\nqueues\tp\t{\"id\": \"1\", \"name\": \"b\"}\n",
	"queues\tp\t{\"id\": \"1\", \"name\": \"a\", \"name\": \"b\"}\n",
	"queues\tp\t{\"id\": \"1\", \"name\": \"\xff\"}\n",
};

START_TEST(a_garbled_set_is_refused)
{
	static const struct vault_about about = {"response-groups/1", "primary", "test"};
	struct vault_writer *w;
	struct vault_error err;
	struct fakehost *fh;

	ck_assert_int_eq(vault_writer_new(&w, vault, "response-groups", &about, &err), 0);
	ck_assert_int_eq(vault_writer_file(w, "configuration.txt", &err), 0);
	ck_assert_int_eq(vault_writer_write(w, "response-groups/1\n", 18, &err), 0);
	ck_assert_int_eq(vault_writer_write(w, bad_lines[_i], strlen(bad_lines[_i]), &err), 0);
	ck_assert_int_eq(vault_writer_commit(w, &err), 0);
	vault_writer_free(w);
	fh = step("import", &(struct postgres_rig){.server = "127.0.0.1:1"}); /* is not asked */
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_ERR_REFUSED);
	ck_assert_str_ne(fakehost_failure(fh), "");
	ck_assert_ptr_null(strpbrk(fakehost_failure(fh), "\x1b\n"));
	fakehost_free(fh);
}
END_TEST

START_TEST(an_encrypted_configuration_is_imported_with_its_key)
{
	struct fakehost *fh = step("export", &primary);

	fakehost_param(fh, "key", "key");
	fakehost_secret(fh, "key", "correct horse battery staple");
	attempt(fh);
	fakehost_free(fh);
	fh = step("import", &dr);
	says(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "no key is given");
	fakehost_param(fh, "key", "key");
	fakehost_secret(fh, "key", "correct horse battery staple");
	attempt(fh);
	fakehost_free(fh);
}
END_TEST

START_TEST(owner_and_overwrite_owner_go_together)
{
	struct fakehost *fh = step("import", &(struct postgres_rig){.server = "127.0.0.1:1"});

	fakehost_param(fh, "overwrite_owner", "true");
	says(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID, "whose shall the objects be?");
	fakehost_param_clear(fh, "overwrite_owner");
	fakehost_param(fh, "owner", P1);
	says(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID, "has no effect");
	fakehost_free(fh);
}
END_TEST

/* --- a product's own export ------------------------------------------------------------------ */

#define ZIP "UEsDBAoAAAAAAAAAIQAAAAAAAAAAAAAAAAABAAAAYVBLAQIKAAoAAAAAAAAAIQAAAAAAAAAAAAAAAAABAAAAAAAAAAAA" \
	    "AAAAAAAAAABhUEsFBgAAAAABAAEALwAAAB8AAAAAAA=="

static struct fakehost *
command_step(const char *name, const char *script)
{
	struct fakehost *fh = fakehost_new(fakehost_action(resite_plugin_v0(), name));
	char file[100], text[600];

	snprintf(file, sizeof file, "%s/x.zip", dir);
	snprintf(text, sizeof text, "F=%s; %s", file, script);
	fakehost_param(fh, "vault", vault);
	fakehost_param(fh, "file", file);
	fakehost_param(fh, "command", "/bin/sh");
	fakehost_param(fh, "command", "-c");
	fakehost_param(fh, "command", text);
	if (!strcmp(name, "command-export"))
		fakehost_param(fh, "site", "primary");
	return fh;
}

static const struct {
	const char *script, *says;
} bad_exports[] = {
	{"true", "left no file there"},
	{"echo no rights >&2; exit 3", "exit code 3: no rights"},
	{"kill -9 $$", "killed by signal 9"},
	{"echo text >$F", "no whole zip file"},
	{"echo " ZIP " | base64 -d | head -c 60 >$F", "no whole zip file: was the export cut?"},
	{"ln -s /etc/passwd $F", "Too many levels of symbolic links"},
	{"mkfifo $F; exit 1", "exit code 1"},
};

START_TEST(an_export_that_is_not_whole_never_becomes_a_set)
{
	struct fakehost *fh = command_step("command-export", bad_exports[_i].script);

	says(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, bad_exports[_i].says);
	must(fh, FAKEHOST_PROBE);
	ck_assert_str_eq(fakehost_state(fh)->now, "no set");
	fakehost_free(fh);
}
END_TEST

START_TEST(a_products_own_export_travels_unread)
{
	struct fakehost *fh = command_step("command-export", "echo " ZIP " | base64 -d >$F");
	char cmd[400], file[100];

	attempt(fh);
	fakehost_free(fh);
	snprintf(file, sizeof file, "%s/x.zip", dir);
	ck_assert_int_ne(access(file, F_OK), 0);
	snprintf(cmd, sizeof cmd, "base64 -w0 $F >%s/seen", dir);
	fh = command_step("command-import", cmd);
	must(fh, FAKEHOST_CHECK);
	must(fh, FAKEHOST_PROBE);
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "formal agents must sign in again"));
	must(fh, FAKEHOST_APPLY);
	must(fh, FAKEHOST_VERIFY);
	snprintf(cmd, sizeof cmd, "test \"$(cat %s/seen)\" = " ZIP " && test ! -e %s", dir, file);
	ck_assert_int_eq(system(cmd), 0);
	fakehost_free(fh);
}
END_TEST

#define add_table(tc, test, table) \
	tcase_add_loop_test(tc, test, 0, (int)(sizeof(table) / sizeof *(table)))

static TCase *
server_tests(void)
{
	TCase *tc = tcase_create("servers");

	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, start_servers, stop_servers);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_was_exported_stands_at_the_other_site_row_by_row_with_its_owner);
	tcase_add_test(tc, settings_are_replaced_only_when_the_plan_says_so);
	add_table(tc, what_cannot_come_is_refused_before_the_first_change, taken);
	tcase_add_test(tc, there_and_back_the_newer_configuration_returns_and_the_standby_is_clean);
	tcase_add_test(tc, the_own_objects_of_a_site_are_never_cleaned_away);
	tcase_add_test(tc, undo_puts_back_what_still_is_as_we_wrote_it_and_reports_the_rest);
	tcase_add_test(tc, nothing_is_changed_before_its_undo_records_are_durable);
	tcase_add_test(tc, what_changed_between_probe_and_apply_is_a_conflict);
	tcase_add_test(tc, an_object_that_the_server_refuses_leaves_nothing_half_done);
	add_table(tc, a_bad_server_is_told_from_a_bad_plan, bad);
	tcase_add_test(tc, a_server_that_dies_in_the_middle_is_transient_and_half_of_nothing_stays);
	tcase_add_test(tc, an_empty_site_is_not_exported_and_a_shrunken_one_needs_a_reason);
	tcase_add_test(tc, an_encrypted_configuration_is_imported_with_its_key);
	return tc;
}

static TCase *
other_tests(void)
{
	TCase *tc = tcase_create("no servers");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	add_table(tc, a_garbled_set_is_refused, bad_lines);
	tcase_add_test(tc, owner_and_overwrite_owner_go_together);
	add_table(tc, an_export_that_is_not_whole_never_becomes_a_set, bad_exports);
	tcase_add_test(tc, a_products_own_export_travels_unread);
	return tc;
}

int
main(void)
{
	Suite *suite;

	if (!postgres_rig_possible()) {
		fprintf(stderr, "SKIP: PostgreSQL is not installed\n");
		return 77;
	}
	suite = suite_create("response groups");
	suite_add_tcase(suite, other_tests());
	suite_add_tcase(suite, server_tests());
	return run_suite(suite);
}
