/* groupchat's service and rooms: a real Prosody that keeps its rooms in a real PostgreSQL. */
#define _GNU_SOURCE
#include "plugins/groupchat/alive.h"
#include "sdk/testkit/fakehost.h"
#include "tests/unit/postgres_rig.h"
#include "tests/unit/run_suite.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

resite_plugin_v0_fn resite_plugin_v0;

static struct postgres_rig rig;
static char dir[64], xmpp[32];
static int xmpp_port;

__attribute__((format(printf, 2, 3))) static void
write_file(const char *name, const char *fmt, ...)
{
	char path[128];
	va_list ap;
	FILE *out;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	out = fopen(path, "w");
	ck_assert_ptr_nonnull(out);
	va_start(ap, fmt);
	vfprintf(out, fmt, ap);
	va_end(ap);
	fclose(out);
	chmod(path, 0755);
}

__attribute__((format(printf, 1, 2))) static void
run(const char *fmt, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	ck_assert_msg(system(command) == 0, "%s", command);
}

static int
listen_somewhere(int *ret_port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

/* --- the server ----------------------------------------------------------------------------- */

#define CONFIG \
	"data_path = '%s'\ninterfaces = { '127.0.0.1' }\nc2s_ports = { %d }\n" \
	"modules_enabled = { 'saslauth', 'tls', 'disco', 'roster' }\n" \
	"modules_disabled = { 's2s', 'http', 'posix' }\nc2s_require_encryption = true\n" \
	"ssl = { certificate = '%s/cert.pem'; key = '%s/key.pem'; }\n" \
	"authentication = 'internal_hashed'\nstorage = 'sql'\n" \
	"sql = { driver = 'PostgreSQL'; database = 'chat'; host = '127.0.0.1'; port = %d;\n" \
	"  username = 'lab'; password = 'pa:ss\\\\word'; }\nlog = { info = '*console' }\n" \
	"VirtualHost 'chat.test'\nComponent 'rooms.chat.test' 'muc'\n" \
	"  modules_enabled = { 'muc_mam' }\n  muc_log_expires_after = 'never'\n"

/* Two rooms; the second lets only its members in. */
static const char content[] =
	"CREATE TABLE prosody (host text NOT NULL, \"user\" text NOT NULL, store text NOT NULL, key text"
	" NOT NULL, type text NOT NULL, value text NOT NULL);"
	"CREATE TABLE prosodyarchive (sort_id serial PRIMARY KEY, host text NOT NULL, \"user\" text NOT"
	" NULL, store text NOT NULL, key text NOT NULL, \"when\" integer NOT NULL, \"with\" text NOT NULL,"
	" type text NOT NULL, value text NOT NULL);"
	"INSERT INTO prosody VALUES ('chat.test', 'probe', 'accounts', 'password', 'string', 'secret'),"
	" ('rooms.chat.test', '', 'persistent', 'r1@rooms.chat.test', 'boolean', 'true'),"
	" ('rooms.chat.test', 'r1', 'config', '_jid', 'string', 'r1@rooms.chat.test'),"
	" ('rooms.chat.test', 'r1', 'config', '_data', 'json', '{\"persistent\":true}'),"
	" ('rooms.chat.test', 'r2', 'config', '_jid', 'string', 'r2@rooms.chat.test'),"
	" ('rooms.chat.test', 'r2', 'config', '_data', 'json', '{\"persistent\":true,\"members_only\":true}');"
	"INSERT INTO prosodyarchive (host, \"user\", store, key, \"when\", \"with\", type, value) SELECT "
	"'rooms.chat.test', 'r1', 'muc_log', 'm' || g, 1700000000 + g, 'message<groupchat', 'xml', "
	"'<message xmlns=\"jabber:client\" type=\"groupchat\" id=\"i' || g || '\" from=\"r1@rooms.chat.test/u\">"
	"<body>a &lt;b&gt; &amp; c ' || g || '</body></message>' FROM generate_series(1, 60) g;";

static void
setup(void)
{
	int fd;

	postgres_rig_start(&rig);
	postgres_rig_sql(&rig, "postgres", "CREATE DATABASE chat");
	postgres_rig_sql(&rig, "chat", "%s", content);
	strcpy(dir, "/tmp/groupchat-xmpp-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	fd = listen_somewhere(&xmpp_port);
	close(fd);
	snprintf(xmpp, sizeof xmpp, "127.0.0.1:%d", xmpp_port);
	run("cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9 "
	    "-keyout key.pem -out cert.pem -subj /CN=chat.test -addext subjectAltName=DNS:chat.test "
	    "2>/dev/null && cp cert.pem ca.pem", dir);
	write_file("prosody.cfg.lua", CONFIG, dir, xmpp_port, dir, dir, rig.port);
	/* As nobody where root runs the tests: Prosody will not be root. */
	write_file("start", "#!/bin/sh\ncd %s\n[ $(id -u) != 0 ] || as='setpriv --reuid=nobody --regid=nogroup "
		   "--clear-groups'\nsetsid $as prosody --config %s/prosody.cfg.lua -F >log 2>&1 </dev/null &\n"
		   "echo $! >pid\n", dir, dir);
	write_file("stop", "#!/bin/sh\nkill $(cat %s/pid)\n", dir);
	if (geteuid() == 0)
		run("chown -R nobody:nogroup %s", dir);
}

static void
teardown(void)
{
	run("kill $(cat %s/pid 2>/dev/null) 2>/dev/null; rm -rf %s", dir, dir);
	postgres_rig_stop(&rig);
}

/* --- steps ---------------------------------------------------------------------------------- */

static struct fakehost *
step(const char *name)
{
	return fakehost_new(fakehost_action(resite_plugin_v0(), name));
}

static struct fakehost *
service(const char *name)
{
	struct fakehost *fh = step(name);
	char path[96];

	fakehost_param(fh, "ready", xmpp);
	fakehost_param(fh, "timeout", "20s");
	fakehost_param(fh, "domain", "chat.test");
	snprintf(path, sizeof path, "%s/start", dir);
	fakehost_param(fh, "start_command", path);
	snprintf(path, sizeof path, "%s/stop", dir);
	fakehost_param(fh, "stop_command", path);
	return fh;
}

static struct fakehost *
visit(const char *room)
{
	struct fakehost *fh = step("verify");
	char path[96];

	fakehost_param(fh, "xmpp", xmpp);
	fakehost_param(fh, "jid", "probe@chat.test");
	fakehost_param(fh, "jid_password", "jp");
	fakehost_secret(fh, "jp", "secret");
	fakehost_param(fh, "rooms", room);
	snprintf(path, sizeof path, "%s/ca.pem", dir);
	fakehost_param(fh, "ca_file", path);
	fakehost_param(fh, "timeout", "60s");
	return fh;
}

static void
with_database(struct fakehost *fh)
{
	fakehost_param(fh, "server", rig.server);
	fakehost_param(fh, "database", "chat");
	fakehost_param(fh, "user", POSTGRES_RIG_USER);
	fakehost_param(fh, "password", "pw");
	fakehost_secret(fh, "pw", POSTGRES_RIG_PASSWORD);
}

static void
ck_call(struct fakehost *fh, enum fakehost_phase phase, int rc, const char *words)
{
	int is = fakehost_call(fh, phase);

	ck_assert_msg(is == rc, "rc %d instead of %d: %s\n%s", is, rc, fakehost_failure(fh),
		      fakehost_logs(fh));
	ck_assert_msg(!words || strstr(fakehost_failure(fh), words), "'%s' is not in: %s", words,
		      fakehost_failure(fh));
}

static void
wait_ready(struct fakehost *fh)
{
	int rc = RESITE_PENDING;

	for (int i = 0; i < 200 && rc == RESITE_PENDING; i++) {
		rc = fakehost_call(fh, FAKEHOST_VERIFY);
		usleep(rc == RESITE_PENDING ? 100000 : 0);
	}
	ck_assert_msg(rc == RESITE_OK, "%s", fakehost_failure(fh));
}

static void
start_server(void)
{
	struct fakehost *fh = service("start");

	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, NULL);
	wait_ready(fh);
	fakehost_free(fh);
}

/* --- tests: the service ------------------------------------------------------------------------ */

START_TEST(a_service_is_started_seen_answering_and_stopped_by_its_undo)
{
	struct fakehost *fh = service("start");

	ck_call(fh, FAKEHOST_CHECK, RESITE_OK, NULL);
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, NULL);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	ck_call(fh, FAKEHOST_VERIFY, RESITE_PENDING, "Connection refused");
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, NULL);
	wait_ready(fh);
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, NULL);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_LOOK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 1);
	ck_call(fh, FAKEHOST_VERIFY, RESITE_OK, NULL);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 1);
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, NULL);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_ALREADY), 1);
	fakehost_free(fh);
}
END_TEST

START_TEST(a_service_is_stopped_and_started_again_by_its_undo)
{
	struct fakehost *fh = service("stop");

	start_server();
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, NULL);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, NULL);
	wait_ready(fh);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 1);
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, NULL);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, NULL);
	wait_ready(fh);
	fakehost_free(fh);
}
END_TEST

START_TEST(a_start_command_that_fails_is_quoted)
{
	struct fakehost *fh = service("start");

	fakehost_param_clear(fh, "start_command");
	fakehost_param(fh, "start_command", "sh");
	fakehost_param(fh, "start_command", "-c");
	fakehost_param(fh, "start_command", "echo 'unit chat.service not found' >&2; exit 5");
	ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "exit 5: unit chat.service not found");
	fakehost_param_clear(fh, "start_command");
	/* valgrind makes a fork of vfork, which cannot tell that exec failed. */
	if (!getenv("RESITE_UNDER_VALGRIND")) {
		fakehost_param(fh, "start_command", "/nonexistent/start");
		ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_INVALID, "No such file");
	}
	fakehost_param_clear(fh, "start_command");
	fakehost_param(fh, "start_command", "/bin/sleep");
	fakehost_param(fh, "start_command", "60");
	fakehost_cancel_after(fh, 300);
	ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_CANCELLED, NULL);
	fakehost_param_clear(fh, "stop_command");
	ck_call(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID, "must be stopped, too");
	fakehost_free(fh);
}
END_TEST

/* --- tests: only one active --------------------------------------------------------------------- */

START_TEST(only_what_is_surely_not_active_opens_the_gate)
{
	static const struct { struct evidence e; bool ok; const char *why; } cases[] = {
		{{.other = ALIVE_REFUSED}, true, "refuses connections"},
		{{.other = ALIVE_UP}, false, "stop it first"},
		{{.other = ALIVE_UP, .fenced = true, .row = true, .silence_is_down = true}, false, "stop it"},
		{{.other = ALIVE_UP, .here_asked = true, .here = ALIVE_UP}, false, "both sites"},
		{{.other = ALIVE_HALF_OPEN}, false, "half-open"},
		{{.other = ALIVE_HALF_OPEN, .fenced = true, .silence_is_down = true}, false, "half-open"},
		{{.other = ALIVE_UNREACHABLE}, false, "lost network looks the same"},
		{{.other = ALIVE_UNREACHABLE, .fenced = true}, true, "is fenced"},
		{{.other = ALIVE_UNREACHABLE, .row = true}, true, "the database says"},
		{{.other = ALIVE_UNREACHABLE, .silence_is_down = true}, true, "the plan takes for down"},
		{{.other = ALIVE_REFUSED, .here_asked = true, .here = ALIVE_UP}, true, "refuses"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *why;

		ck_assert_msg(evidence_judge(&cases[i].e, &why) == cases[i].ok, "case %zu: %s", i, why);
		ck_assert_msg(strstr(why, cases[i].why) != NULL, "case %zu: %s", i, why);
	}
}
END_TEST

/* A server that takes a connection, says text and keeps quiet. */
static pid_t
liar(const char *text, char server[32])
{
	int port, fd = listen_somewhere(&port);
	pid_t pid;

	snprintf(server, 32, "127.0.0.1:%d", port);
	pid = fork();
	if (pid == 0) {
		for (;;) {
			int peer = accept(fd, NULL, NULL);

			if (write(peer, text, strlen(text)) < 0)
				_exit(1);
		}
	}
	close(fd);
	return pid;
}

START_TEST(the_other_site_s_server_is_judged_by_what_it_says)
{
	static const struct { const char *text; int rc; const char *words; } cases[] = {
		{"", RESITE_ERR_REFUSED, "says nothing"},
		{"HTTP/1.1 400 Bad Request\r\n\r\n", RESITE_ERR_REFUSED, "does not speak XMPP: 'HTTP/1.1 400"},
		{"<stream:stream xmlns='x'><stream:features/>", RESITE_ERR_REFUSED, "stop it first"},
		{"<stream:stream><stream:error><host-unknown/></stream:error>", RESITE_ERR_REFUSED, "stop it"},
	};
	struct fakehost *fh = step("only-one-active");
	char server[32];
	pid_t pid = liar(cases[_i].text, server);

	fakehost_param(fh, "other", server);
	fakehost_param(fh, "domain", "chat.test");
	fakehost_param(fh, "timeout", "1s");
	ck_call(fh, FAKEHOST_VERIFY, cases[_i].rc, cases[_i].words);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ck_call(fh, FAKEHOST_VERIFY, RESITE_OK, NULL);
	fakehost_free(fh);
}
END_TEST

/* A machine that does not answer: the queue of connections nobody takes is full, and the
 * kernel drops what comes. */
static void
fall_silent(char server[32])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int port, fd = listen_somewhere(&port);

	listen(fd, 0);
	a.sin_port = htons((uint16_t)port);
	for (int i = 0; i < 3; i++) {
		int peer = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		if (connect(peer, (struct sockaddr *)&a, sizeof a) == 0)
			continue;
	}
	snprintf(server, 32, "127.0.0.1:%d", port);
}

START_TEST(a_row_of_the_database_and_a_fence_are_asked)
{
	struct fakehost *fh = step("only-one-active");
	char server[32];

	fall_silent(server);
	fakehost_param(fh, "other", server);
	fakehost_param(fh, "timeout", "300ms");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED, "fence it");
	fakehost_param(fh, "fence", "sh");
	fakehost_param(fh, "fence", "-c");
	fakehost_param(fh, "fence", "echo power is off");
	fakehost_param(fh, "fence_expect", "power is on");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED, "the fence says: exit 0, 'power is off'");
	fakehost_param_clear(fh, "fence_expect");
	fakehost_param(fh, "fence_expect", "power is off");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_OK, NULL);
	fakehost_param_clear(fh, "fence");
	with_database(fh);
	fakehost_param_clear(fh, "timeout");
	fakehost_param(fh, "timeout", getenv("RESITE_UNDER_VALGRIND") ? "20s" : "3s");
	fakehost_param(fh, "row_query", "SELECT 'dr'");
	ck_call(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID, "row_query needs it");
	fakehost_param(fh, "row_value", "primary");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED, "by the database: 'dr'");
	fakehost_param_clear(fh, "row_value");
	fakehost_param(fh, "row_value", "dr");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_OK, NULL);
	fakehost_param_clear(fh, "row_query");
	fakehost_param(fh, "row_query", "VALUES ('dr'), ('dr')");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED, "2 rows say which server is active");
	fakehost_free(fh);
}
END_TEST

/* --- tests: rooms ---------------------------------------------------------------------------------- */

START_TEST(a_client_sees_the_rooms_history_and_it_is_what_the_database_has)
{
	struct fakehost *fh = visit("r1@rooms.chat.test");

	start_server();
	ck_call(fh, FAKEHOST_CHECK, RESITE_OK, NULL);
	ck_call(fh, FAKEHOST_VERIFY, RESITE_OK, NULL);
	ck_assert_str_eq(fakehost_output(fh, "messages"), "60");
	with_database(fh);
	ck_call(fh, FAKEHOST_VERIFY, RESITE_OK, NULL);
	ck_assert_str_eq(fakehost_output(fh, "compared"), "20");
	fakehost_param_clear(fh, "min_messages");
	fakehost_param(fh, "min_messages", "61");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED, "has 60 messages for a client, fewer than 61");
	fakehost_free(fh);
}
END_TEST

START_TEST(a_server_that_shows_other_messages_than_its_database_is_found)
{
	struct fakehost *fh = visit("r1@rooms.chat.test");

	/* The plan names a database that is not the server's own. */
	postgres_rig_sql(&rig, "postgres", "CREATE DATABASE other TEMPLATE template0");
	postgres_rig_sql(&rig, "other", "%s", content);
	postgres_rig_sql(&rig, "other", "UPDATE prosodyarchive SET value = 'forged' WHERE key = 'm55'");
	with_database(fh);
	fakehost_param_clear(fh, "database");
	fakehost_param(fh, "database", "other");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED, "m55");
	postgres_rig_sql(&rig, "other", "DELETE FROM prosodyarchive WHERE key = 'm50'");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED, "60 messages for a client, 59 in");
	fakehost_free(fh);
	postgres_rig_sql(&rig, "postgres", "DROP DATABASE other");
}
END_TEST

START_TEST(a_visit_that_fails_says_at_what_and_in_the_server_s_words)
{
	static const struct { const char *room, *param, *value; int rc; const char *words; } cases[] = {
		{"nowhere@rooms.chat.test", NULL, NULL, RESITE_ERR_REFUSED, "item-not-found"},
		{"r2@rooms.chat.test", NULL, NULL, RESITE_ERR_REFUSED, "registration-required"},
		{"r1@rooms.chat.test", "jid", "nobody@chat.test", RESITE_ERR_REFUSED, "signing in"},
		{"r1@rooms.chat.test", "ca_file", "/etc/hostname", RESITE_ERR_REFUSED, "signing in"},
		{"r1@rooms.chat.test", "xmpp", "127.0.0.1:1", RESITE_PENDING, "Connection refused"},
	};
	struct fakehost *fh = visit(cases[_i].room);

	if (cases[_i].param) {
		fakehost_param_clear(fh, cases[_i].param);
		fakehost_param(fh, cases[_i].param, cases[_i].value);
	}
	ck_call(fh, FAKEHOST_VERIFY, cases[_i].rc, cases[_i].words);
	ck_assert_ptr_null(strstr(fakehost_failure(fh), "secret"));
	fakehost_free(fh);
}
END_TEST

START_TEST(a_half_open_chat_server_costs_no_more_than_the_timeout_and_a_cancel_ends_the_visit)
{
	struct fakehost *fh = visit("r1@rooms.chat.test");
	char server[32];
	pid_t pid = liar("", server);

	fakehost_param_clear(fh, "xmpp");
	fakehost_param(fh, "xmpp", server);
	fakehost_param_clear(fh, "timeout");
	fakehost_param(fh, "timeout", "400ms");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_PENDING, "no answer within 400 ms");
	/* The visit's thread is still there, as it is when the worker ends: lost, to valgrind. */
	if (!getenv("RESITE_UNDER_VALGRIND")) {
		fakehost_param_clear(fh, "timeout");
		fakehost_param(fh, "timeout", "60s");
		fakehost_cancel_after(fh, 300);
		ck_call(fh, FAKEHOST_VERIFY, RESITE_ERR_CANCELLED, NULL);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	fakehost_free(fh);
	_exit(0);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("groupchat_service");
	TCase *tc = tcase_create("service");

	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, setup, teardown);
	tcase_add_test(tc, only_what_is_surely_not_active_opens_the_gate);
	tcase_add_test(tc, a_service_is_started_seen_answering_and_stopped_by_its_undo);
	tcase_add_test(tc, a_service_is_stopped_and_started_again_by_its_undo);
	tcase_add_test(tc, a_start_command_that_fails_is_quoted);
	tcase_add_loop_test(tc, the_other_site_s_server_is_judged_by_what_it_says, 0, 4);
	tcase_add_test(tc, a_row_of_the_database_and_a_fence_are_asked);
	/* From the first of these on it runs. */
	tcase_add_test(tc, a_client_sees_the_rooms_history_and_it_is_what_the_database_has);
	tcase_add_test(tc, a_server_that_shows_other_messages_than_its_database_is_found);
	tcase_add_loop_test(tc, a_visit_that_fails_says_at_what_and_in_the_server_s_words, 0, 5);
	tcase_add_test(tc,
		a_half_open_chat_server_costs_no_more_than_the_timeout_and_a_cancel_ends_the_visit);
	suite_add_tcase(s, tc);
	return s;
}

int
main(void)
{
	if (!postgres_rig_possible() || access("/usr/bin/prosody", X_OK)) {
		fputs("skipped: no PostgreSQL server or no Prosody here\n", stderr);
		return 77;
	}
	return run_suite(suite());
}
