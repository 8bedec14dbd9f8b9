/* edge-nexthop: a real HAProxy; OpenSIPS's interface as its documentation has it; and proxies
 * that are down, slow, cut their answers or lie. */
#include "config.h"

#include "plugins/edge-nexthop/hastate.h"
#include "sdk/testkit/fakehost.h"
#include "tests/unit/run_suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <resite/plugin.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define HAPROXY "/usr/sbin/haproxy"

resite_plugin_v0_fn resite_plugin_v0;

static struct {
	char dir[64], socket[96], limited[96], state[96], url[64], list[96];
	int ports[3]; /* the front, primary, dr */
	pid_t pid;
} rig;

static int
listen_somewhere(int *ret_port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 16) == 0 &&
		  getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

static bool
answers(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				.sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;

	close(fd);
	return ok;
}

static bool
socket_answers(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool ok;

	strcpy(a.sun_path, rig.socket);
	ok = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
	close(fd);
	return ok;
}

static struct fakehost *
new_action(const char *name)
{
	struct fakehost *fh = fakehost_new(fakehost_action(resite_plugin_v0(), name));

	fakehost_param(fh, "patience", getenv("RESITE_UNDER_VALGRIND") ? "3s" : "300ms");
	if (getenv("TRACE"))
		fakehost_trace(fh, stderr);
	return fh;
}

static void
ck_call(struct fakehost *fh, enum fakehost_phase phase, int rc, const char *says)
{
	int got = fakehost_call(fh, phase);

	ck_assert_msg(got == rc, "%d: %s", got, fakehost_failure(fh));
	ck_assert_msg(strstr(fakehost_failure(fh), says), "'%s' lacks '%s'", fakehost_failure(fh), says);
}

static void
make_folder(void)
{
	strcpy(rig.dir, "/tmp/edge-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(rig.dir));
	snprintf(rig.socket, sizeof(rig.socket), "%s/sock", rig.dir);
	snprintf(rig.limited, sizeof(rig.limited), "%s/limited", rig.dir);
	snprintf(rig.state, sizeof(rig.state), "%s/state", rig.dir);
	snprintf(rig.list, sizeof(rig.list), "%s/dispatcher", rig.dir);
}

static void
drop_folder(void)
{
	char cmd[128];

	if (rig.pid > 0) {
		kill(rig.pid, SIGKILL);
		waitpid(rig.pid, NULL, 0);
	}
	rig.pid = 0;
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", rig.dir);
	ck_assert_int_eq(system(cmd), 0);
}

/* --- HAProxy on paper --------------------------------------------------------------------- */

#define HEAD "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight x\n"

START_TEST(what_haproxy_says_is_read_by_its_column_names)
{
	struct ha_servers s;
	char err[HA_ERR], status[20];

	ck_assert(ha_parse(HEAD "3 meet 1 primary 127.0.0.1 2 0 100 1\n3 meet 2 dr - 0 5 50 1\n"
				"4 web 1 dr - 2 12 7 1\n\n", &s, err));
	ck_assert_uint_eq(s.n, 3);
	ck_assert_int_eq(ha_find(&s, "meet", "primary")->admin, HA_READY);
	ck_assert_int_eq(ha_find(&s, "meet", "dr")->admin, HA_MAINT);
	ck_assert_int_eq(ha_find(&s, "web", "dr")->admin, HA_DRAIN);
	ck_assert_int_eq(ha_find(&s, "web", "dr")->weight, 7);
	ck_assert_ptr_null(ha_find(&s, "web", "primary"));
	ha_release(&s);
	ha_stat_status("# pxname,svname,qcur,status,x\nmeet,primary,0,UP 1/2,\nmeet,dr,0,MAINT,\n", "meet",
		       "dr", status, sizeof(status));
	ck_assert_str_eq(status, "MAINT");
	ha_stat_status("# pxname,svname,qcur\nmeet,dr,0\n", "meet", "dr", status, sizeof(status));
	ck_assert_str_eq(status, "");
}
END_TEST

START_TEST(what_haproxy_would_not_say_is_refused)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"", "does not begin with version 1"},
		{"2\n# x\n", "does not begin with version 1 but with '2'"},
		{"Permission denied\n\n", "but with 'Permission denied'"},
		{"1\n# be_id be_name\n", "does not name the columns"},
		{"1\nbe_name srv_name srv_admin_state srv_uweight\n", "does not name the columns"},
		{HEAD "3 meet 1 primary 127.0.0.1 2 0", "not complete: '3 meet 1 primary"},
		{HEAD "3 meet 1 primary 127.0.0.1 2 up 100 1\n", "not complete"},
		{HEAD "3 me\x01t 1", "not complete: '3 me?t"},
	};
	struct ha_servers s;
	char err[HA_ERR];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ck_assert(!ha_parse(cases[i].text, &s, err));
		ck_assert_msg(strstr(err, cases[i].says), "'%s' lacks '%s'", err, cases[i].says);
	}
}
END_TEST

/* --- a real HAProxy ------------------------------------------------------------------------ */

static const char config[] =
	"global\n  nbthread 1\n  stats socket %s mode 600 level admin\n"
	"  stats socket %s mode 666 level operator\n"
	"  server-state-file %s\n"
	"defaults\n  mode http\n  timeout connect 1s\n  timeout client 2s\n  timeout server 2s\n"
	"  load-server-state-from-file global\n"
	"frontend web\n  bind 127.0.0.1:%d\n  use_backend admin if { hdr_beg(host) -i admin. }\n"
	"  default_backend meet\n"
	"backend meet\n  server primary 127.0.0.1:%d check inter 100ms\n"
	"  server dr 127.0.0.1:%d check inter 100ms disabled\n"
	"backend admin\n  server primary 127.0.0.1:%d\n  server dr 127.0.0.1:%d disabled\n"
	"frontend p\n  bind 127.0.0.1:%d\n"
	"  http-request return status 200 content-type text/plain string primary\n"
	"frontend d\n  bind 127.0.0.1:%d\n"
	"  http-request return status 200 content-type text/plain string dr hdr X-Site dr\n";

static void
start_haproxy(void)
{
	char cfg[96], log[96];
	FILE *f;

	snprintf(cfg, sizeof(cfg), "%s/haproxy.cfg", rig.dir);
	snprintf(log, sizeof(log), "%s/log", rig.dir);
	f = fopen(cfg, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, config, rig.socket, rig.limited, rig.state, rig.ports[0], rig.ports[1], rig.ports[2],
		rig.ports[1], rig.ports[2], rig.ports[1], rig.ports[2]);
	fclose(f);
	rig.pid = fork();
	if (rig.pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(fd, 1);
		dup2(fd, 2);
		execl(HAPROXY, "haproxy", "-db", "-f", cfg, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && !(answers(rig.ports[0]) && socket_answers()); i++)
		usleep(20000);
	ck_assert_msg(socket_answers(), "no answer; see %s", log);
}

static void
make_haproxy(void)
{
	make_folder();
	for (size_t i = 0; i < 3; i++)
		close(listen_somewhere(&rig.ports[i]));
	snprintf(rig.url, sizeof(rig.url), "http://127.0.0.1:%d/", rig.ports[0]);
	start_haproxy();
}

static struct fakehost *
new_step(void)
{
	struct fakehost *fh = new_action("haproxy");

	fakehost_param(fh, "socket", rig.socket);
	fakehost_param(fh, "backend", "meet");
	fakehost_param(fh, "backend", "admin");
	fakehost_param(fh, "to", "dr");
	fakehost_param(fh, "url", rig.url);
	fakehost_param(fh, "host", "meet.contoso.example");
	fakehost_param(fh, "host", "admin.contoso.example");
	fakehost_param(fh, "look_for", "X-Site: dr");
	return fh;
}

/* HAProxy's own checks take a moment. */
static void
ck_verifies(struct fakehost *fh)
{
	for (int i = 0; i < 100 && fakehost_call(fh, FAKEHOST_VERIFY) == RESITE_PENDING; i++)
		usleep(20000);
	ck_call(fh, FAKEHOST_VERIFY, RESITE_OK, "");
}

START_TEST(requests_move_and_come_back)
{
	struct fakehost *fh = new_step();
	const struct fakehost_change *c;
	size_t n;

	ck_call(fh, FAKEHOST_CHECK, RESITE_OK, "");
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, "");
	c = fakehost_changes(fh, &n);
	ck_assert_uint_eq(n, 4);
	ck_assert_str_eq(c[0].object, "meet/dr state");
	ck_assert_str_eq(c[0].was, "maint");
	ck_assert_str_eq(c[0].will_be, "ready");
	ck_assert_str_eq(c[3].object, "admin/primary state");
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "next restart or reload"));
	ck_call(fh, FAKEHOST_VERIFY, RESITE_ERR_CONFLICT, "is not as it was set");
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, "");
	ck_verifies(fh);
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, "");
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_LOOK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 4);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 4);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_ALREADY), 4);
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, "");
	ck_assert_uint_eq(fakehost_state(fh)->changes, 4);
	fakehost_free(fh);
}
END_TEST

START_TEST(a_server_state_file_survives_a_restart)
{
	struct fakehost *fh = new_step();

	fakehost_param(fh, "state_file", rig.state);
	fakehost_param(fh, "weight", "77");
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, "");
	ck_assert_uint_eq(fakehost_state(fh)->changes, 7);
	ck_assert_str_eq(fakehost_losses(fh), "");
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, "");
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, "");
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	kill(rig.pid, SIGTERM);
	waitpid(rig.pid, NULL, 0);
	start_haproxy();
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, "");
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	ck_verifies(fh);
	/* It was altered by somebody: it would be behind after the next restart. */
	ck_assert(truncate(rig.state, 40) == 0);
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, "");
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, "");
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, "");
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	fakehost_free(fh);
}
END_TEST

static void
somebody_changes(void *arg)
{
	struct fakehost *fh = new_action("haproxy");

	(void)arg;
	fakehost_param(fh, "socket", rig.socket);
	fakehost_param(fh, "backend", "meet");
	fakehost_param(fh, "to", "dr");
	fakehost_param(fh, "others", "drain");
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, "");
	fakehost_free(fh);
}

START_TEST(what_somebody_else_set_is_a_conflict)
{
	struct fakehost *fh = new_step();

	fakehost_on_sync(fh, somebody_changes, NULL);
	ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_CONFLICT, "meet/dr was changed by somebody else");
	fakehost_on_sync(fh, NULL, NULL);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, "");
	somebody_changes(NULL);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_gt(fakehost_reverted_count(fh, RESITE_REVERTED_CONFLICT), 0);
	fakehost_free(fh);
}
END_TEST

START_TEST(what_haproxy_does_not_have_or_permit_is_said)
{
	struct fakehost *fh = new_step();

	fakehost_param_clear(fh, "to");
	fakehost_param(fh, "to", "nobody");
	ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "there is no server meet/nobody");
	fakehost_param_clear(fh, "to");
	fakehost_param(fh, "to", "dr; show env");
	ck_call(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID, "is no name");
	fakehost_param_clear(fh, "to");
	fakehost_param(fh, "to", "dr");
	fakehost_param_clear(fh, "socket");
	fakehost_param(fh, "socket", rig.limited);
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, "");
	ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "Permission denied");
	fakehost_param(fh, "address", "127.0.0.1:1");
	ck_call(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID, "one of them");
	fakehost_param_clear(fh, "address");
	if (getuid() == 0) {
		fakehost_param_clear(fh, "socket");
		fakehost_param(fh, "socket", rig.socket);
		chmod(rig.dir, 0755);
		ck_assert(seteuid(65534) == 0);
		ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "the user that resite runs");
		ck_assert(seteuid(0) == 0);
	}
	kill(rig.pid, SIGKILL);
	waitpid(rig.pid, NULL, 0);
	rig.pid = 0;
	ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_TRANSIENT, "Connection refused");
	fakehost_free(fh);
}
END_TEST

/* --- servers that are not well: a child answers each connection with the next text ---------- */

enum manner { CLOSES, HANGS, RESETS };

struct canned {
	const char *answer;
	enum manner manner;
};

/* Answers connections in turn, the last answer for ever. */
static int
start_canned(const struct canned *answers_, size_t n)
{
	int port, fd = listen_somewhere(&port);

	rig.pid = fork();
	if (rig.pid)
		close(fd);
	for (size_t i = 0; rig.pid == 0; i++) {
		const struct canned *c = &answers_[i < n ? i : n - 1];
		int conn = accept(fd, NULL, NULL);
		struct linger now = {.l_onoff = 1};
		char buf[4096];

		if (conn < 0 || read(conn, buf, sizeof(buf)) < 0)
			_exit(1);
		if (write(conn, c->answer, strlen(c->answer)) < 0)
			_exit(1);
		if (c->manner == RESETS)
			setsockopt(conn, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		if (c->manner != HANGS)
			close(conn);
	}
	return port;
}

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static void
stop_canned(void)
{
	kill(rig.pid, SIGKILL);
	waitpid(rig.pid, NULL, 0);
	rig.pid = 0;
}

static const struct {
	struct canned answer;
	int rc;
	const char *says;
} bad_runtimes[] = {
	{{"", CLOSES}, RESITE_ERR_REFUSED, "does not begin with version 1"},
	{{"", HANGS}, RESITE_ERR_TRANSIENT, "has not ended its answer"},
	{{HEAD "3 meet 1 primary", HANGS}, RESITE_ERR_TRANSIENT, "has not ended its answer"},
	{{HEAD "3 meet 1 primary", CLOSES}, RESITE_ERR_REFUSED, "not complete"},
	{{HEAD, CLOSES}, RESITE_ERR_REFUSED, "there is no server meet/dr"},
	{{"SSH-2.0-OpenSSH_9.2\r\n", CLOSES}, RESITE_ERR_REFUSED, "but with 'SSH-2.0-OpenSSH_9.2"},
};

START_TEST(a_runtime_socket_that_is_not_well_is_told)
{
	for (size_t i = 0; i < COUNT(bad_runtimes); i++) {
		int port = start_canned(&bad_runtimes[i].answer, 1);
		struct fakehost *fh = new_action("haproxy");
		char address[32];

		snprintf(address, sizeof(address), "127.0.0.1:%d", port);
		fakehost_param(fh, "address", address);
		fakehost_param(fh, "backend", "meet");
		fakehost_param(fh, "to", "dr");
		ck_call(fh, FAKEHOST_PROBE, bad_runtimes[i].rc, bad_runtimes[i].says);
		ck_call(fh, FAKEHOST_APPLY, bad_runtimes[i].rc, bad_runtimes[i].says);
		fakehost_free(fh);
		stop_canned();
	}
}
END_TEST

START_TEST(a_change_that_haproxy_only_claims_is_found_out)
{
	static const char was[] = HEAD "3 meet 1 primary - 2 0 100 1\n3 meet 2 dr - 2 1 100 1\n";
	static const struct canned lies[] = {{was, CLOSES}, {was, CLOSES}, {"\n", CLOSES}, {"\n", CLOSES},
					     {was, CLOSES}};
	int port = start_canned(lies, COUNT(lies));
	struct fakehost *fh = new_action("haproxy");
	char address[32];

	snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	fakehost_param(fh, "address", address);
	fakehost_param(fh, "backend", "meet");
	fakehost_param(fh, "to", "dr");
	ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "took the commands, but meet/dr is as it was");
	fakehost_free(fh);
	stop_canned();
}
END_TEST

/* --- JSON-RPC ---------------------------------------------------------------------------------- */

#define HTTP(body) "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" body
#define RESULT(json) HTTP("{\"jsonrpc\":\"2.0\",\"result\":" json ",\"id\":1}")
#define DS_LIST(uri, state)                                                                \
	RESULT("{\"PARTITIONS\":[{\"name\":\"default\",\"SETS\":[{\"id\":1,\"Destinations\":[{\"URI\":\"" uri \
	       "\",\"state\":\"" state "\",\"first_hit_counter\":0}]}]},"                   \
	       "{\"name\":\"other\",\"SETS\":[{\"id\":1,\"Destinations\":[]}]}]}")
#define TABLE "id(int,auto) setid(int) destination(string) socket(string,null) state(int) weight(string) "\
	      "priority(int) attrs(string) description(string)\n"

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static char *
read_file(const char *path)
{
	static char text[4096];
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static struct fakehost *
opensips_step(int port)
{
	struct fakehost *fh = new_action("opensips");
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/mi", port);
	fakehost_param(fh, "list", rig.list);
	fakehost_param(fh, "rpc", url);
	fakehost_param(fh, "to", "sip:dr.example:5060");
	return fh;
}

#define OLD_ROW TABLE "1:1:sip\\:a.example\\:5060::0:50:0:x:edge\n"
#define NEW_ROW TABLE "1:1:sip\\:dr.example\\:5060::0:50:0:x:edge\n"

START_TEST(opensips_is_changed_through_its_table)
{
	static const struct canned talk[] = {
		{DS_LIST("sip:a.example:5060", "Active"), CLOSES},  /* probe */
		{DS_LIST("sip:a.example:5060", "Active"), CLOSES},  /* apply */
		{RESULT("\"OK\""), CLOSES},
		{DS_LIST("sip:dr.example:5060", "Active"), CLOSES},
		{DS_LIST("sip:dr.example:5060", "Probing"), CLOSES}, /* verify */
		{DS_LIST("sip:dr.example:5060", "Active"), CLOSES},
		{RESULT("\"OK\""), CLOSES},                          /* revert */
		{DS_LIST("sip:a.example:5060", "Active"), CLOSES},
	};
	struct fakehost *fh;

	write_file(rig.list, OLD_ROW);
	fh = opensips_step(start_canned(talk, COUNT(talk)));
	ck_call(fh, FAKEHOST_CHECK, RESITE_OK, "");
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, "");
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, "");
	ck_assert_str_eq(read_file(rig.list), NEW_ROW);
	ck_call(fh, FAKEHOST_VERIFY, RESITE_PENDING, "pings to sip:dr.example:5060 are not answered");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_OK, "");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_str_eq(read_file(rig.list), OLD_ROW);
	fakehost_free(fh);
	stop_canned();
}
END_TEST

static const struct {
	struct canned answer;
	int rc;
	const char *says;
} bad_rpcs[] = {
	{{"", CLOSES}, RESITE_ERR_TRANSIENT, "Empty reply"},
	{{"", HANGS}, RESITE_ERR_TRANSIENT, "timed out"},
	{{"", RESETS}, RESITE_ERR_TRANSIENT, "reset"},
	{{"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"jsonrpc\"", CLOSES}, RESITE_ERR_TRANSIENT,
	 "bytes remaining"},
	{{"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"jsonrpc\"", HANGS}, RESITE_ERR_TRANSIENT,
	 "timed out"},
	{{HTTP("{\"jsonrpc\":\"2.0\",\"result\":{\"PART"), CLOSES}, RESITE_ERR_TRANSIENT, "no JSON-RPC reply"},
	{{"HTTP/1.0 404 Not Found\r\n\r\n<html>", CLOSES}, RESITE_ERR_TRANSIENT, "HTTP 404"},
	{{"HTTP/1.0 401 Unauthorized\r\n\r\nno", CLOSES}, RESITE_ERR_REFUSED, "HTTP 401"},
	{{HTTP("{\"jsonrpc\":\"2.0\",\"result\":\"OK\",\"id\":7}"), CLOSES}, RESITE_ERR_TRANSIENT,
	 "no JSON-RPC reply"},
	{{HTTP("[1]"), CLOSES}, RESITE_ERR_TRANSIENT, "no JSON-RPC reply"},
	{{HTTP("{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32601,\"message\":\"Method not found\"},\"id\":1}"),
	  CLOSES}, RESITE_ERR_REFUSED, "-32601 Method not found"},
	{{RESULT("\"fine\""), CLOSES}, RESITE_ERR_REFUSED, "another version"},
	{{RESULT("{\"PARTITIONS\":[{\"SETS\":[{\"id\":\"1\"}]}]}"), CLOSES}, RESITE_ERR_REFUSED,
	 "another version"},
	{{"SIP/2.0 400 Bad\r\n\r\n", CLOSES}, RESITE_ERR_INVALID, "Unsupported protocol"},
};

START_TEST(an_interface_that_is_not_well_is_told_and_changes_nothing)
{
	write_file(rig.list, OLD_ROW);
	for (size_t i = 0; i < COUNT(bad_rpcs); i++) {
		struct fakehost *fh = opensips_step(start_canned(&bad_rpcs[i].answer, 1));

		ck_call(fh, FAKEHOST_PROBE, bad_rpcs[i].rc, bad_rpcs[i].says);
		ck_call(fh, FAKEHOST_APPLY, bad_rpcs[i].rc, bad_rpcs[i].says);
		ck_assert_str_eq(read_file(rig.list), OLD_ROW);
		fakehost_free(fh);
		stop_canned();
	}
}
END_TEST

START_TEST(a_reload_that_is_only_claimed_is_found_out)
{
	/* It says OK, and has what it had: also after the list was put back. */
	static const struct canned lies[] = {
		{DS_LIST("sip:a.example:5060", "Active"), CLOSES}, {RESULT("\"OK\""), CLOSES},
		{DS_LIST("sip:a.example:5060", "Active"), CLOSES}, {RESULT("\"OK\""), CLOSES},
		{DS_LIST("sip:a.example:5060", "Active"), CLOSES},
	};
	/* It loses all, and does not get it back. */
	static const struct canned loses[] = {
		{DS_LIST("sip:a.example:5060", "Active"), CLOSES}, {RESULT("\"OK\""), CLOSES},
		{RESULT("{\"PARTITIONS\":[]}"), CLOSES}, {RESULT("\"OK\""), CLOSES},
		{RESULT("{\"PARTITIONS\":[]}"), CLOSES},
	};
	/* It refuses, and then it is gone. */
	static const struct canned gone[] = {
		{DS_LIST("sip:a.example:5060", "Active"), CLOSES},
		{HTTP("{\"jsonrpc\":\"2.0\",\"error\":{\"code\":500,\"message\":\"Failed to reload\"},\"id\":1}"),
		 CLOSES},
		{"", CLOSES},
	};
	static const struct {
		const struct canned *talk;
		size_t n;
		const char *says[2];
	} cases[] = {
		{lies, COUNT(lies), {"has not taken the new list", "The former list was put back"}},
		{loses, COUNT(loses), {"has in set 1 none", "PUTTING THE FORMER LIST BACK FAILED"}},
		{gone, COUNT(gone), {"Failed to reload", "PUTTING THE FORMER LIST BACK FAILED"}},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fakehost *fh;

		write_file(rig.list, OLD_ROW);
		fh = opensips_step(start_canned(cases[i].talk, cases[i].n));
		ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, cases[i].says[0]);
		ck_assert_msg(strstr(fakehost_failure(fh), cases[i].says[1]), "%s", fakehost_failure(fh));
		ck_assert_str_eq(read_file(rig.list), OLD_ROW);
		fakehost_free(fh);
		stop_canned();
	}
}
END_TEST

static Suite *
proxies_suite(void)
{
	Suite *s = suite_create("edge-nexthop proxies");
	TCase *paper = tcase_create("on paper"), *real = tcase_create("HAProxy"),
	      *bad = tcase_create("bad servers");

	tcase_add_test(paper, what_haproxy_says_is_read_by_its_column_names);
	tcase_add_test(paper, what_haproxy_would_not_say_is_refused);
	suite_add_tcase(s, paper);
	tcase_set_timeout(real, 60);
	tcase_add_checked_fixture(real, make_haproxy, drop_folder);
	tcase_add_test(real, requests_move_and_come_back);
	tcase_add_test(real, a_server_state_file_survives_a_restart);
	tcase_add_test(real, what_somebody_else_set_is_a_conflict);
	tcase_add_test(real, what_haproxy_does_not_have_or_permit_is_said);
	if (access(HAPROXY, X_OK) == 0)
		suite_add_tcase(s, real);
	else
		fputs("edge_proxies_test: haproxy is not installed: its cases were left out\n", stderr);
	tcase_set_timeout(bad, 60);
	tcase_add_checked_fixture(bad, make_folder, drop_folder);
	tcase_add_test(bad, a_runtime_socket_that_is_not_well_is_told);
	tcase_add_test(bad, a_change_that_haproxy_only_claims_is_found_out);
	tcase_add_test(bad, opensips_is_changed_through_its_table);
	tcase_add_test(bad, an_interface_that_is_not_well_is_told_and_changes_nothing);
	tcase_add_test(bad, a_reload_that_is_only_claimed_is_found_out);
	suite_add_tcase(s, bad);
	return s;
}

int
main(void)
{
	return run_suite(proxies_suite());
}
