/* edge-nexthop: lists on paper, a real Kamailio, and proxies and files that are not well. */
#include "config.h"

#include "plugins/edge-nexthop/list.h"
#include "plugins/edge-nexthop/shown.h"
#include "sdk/testkit/fakehost.h"
#include "tests/unit/run_suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <resite/plugin.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KAMAILIO "/usr/sbin/kamailio"

resite_plugin_v0_fn resite_plugin_v0;

/* --- lists on paper ------------------------------------------------------------------ */

#define MUST(dialect, l, text)                                                          \
	do {                                                                            \
		char err_[LIST_ERR] = "";                                               \
		ck_assert_msg(list_parse(l, dialect, text, strlen(text), err_), "%s", err_); \
	} while (0)

/* What the list becomes; the caller frees. */
static char *
edited(const struct list_dialect *dialect, const char *text, struct list_want want, size_t *ret_edits)
{
	struct list_edits edits;
	char err[LIST_ERR], *out;
	struct list l;
	size_t len;

	MUST(dialect, &l, text);
	ck_assert_msg(list_plan(&l, &want, &edits, err), "%s", err);
	*ret_edits = edits.n;
	out = list_edited(&l, &edits, &len);
	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(len, strlen(out));
	list_edits_release(&edits);
	list_release(&l);
	return out;
}

#define DR "sip:dr.example;transport=tcp"

static const struct {
	const char *was, *set;
	struct list_want want;
	size_t edits;
} edits[] = {
	/* Only the URI's bytes. */
	{"# edge\n\n1  sip:old.example\t8 5 weight=3 # keep\n2 sip:old.example\n",
	 "# edge\n\n1  " DR "\t8 5 weight=3 # keep\n2 sip:old.example\n", {.set = 1}, 1},
	/* Line ends, and none at the end, stay. */
	{"1 sip:old.example\r\n1 sip:b.example", "1 " DR, {.set = 1}, 2},
	{"# a\r\n1 sip:b.example", "# a\r\n1 sip:b.example 4\r\n1 " DR " 0 7", {.set = 1,
	 .keep_others = true, .priority = 7}, 2},
	/* There, but switched off. */
	{"1 sip:p.example 0 5\n1 " DR " 12 10 duid=dr\n", "1 sip:p.example 4 5\n1 " DR " 8 10 duid=dr\n",
	 {.set = 1, .keep_others = true}, 2},
	{"1 " DR " 1\n", "1 " DR " 0\n", {.set = 1}, 1},
	/* Nothing to do. */
	{"1 " DR " 8 1 a=b\n3 sip:x.example\n", "1 " DR " 8 1 a=b\n3 sip:x.example\n", {.set = 1}, 0},
	/* New attributes, where there were some and where not. */
	{"1 sip:a.example 0 0 duid=a;x=y\n", "1 " DR " 0 0 duid=dr\n", {.set = 1, .attrs = "duid=dr"}, 1},
	{"1 sip:a.example # c\n", "1 " DR " duid=dr # c\n", {.set = 1, .attrs = "duid=dr"}, 1},
	{"1 sip:a.example duid=a\n", "1 sip:a.example 4 duid=a\n1 " DR " 0 0\n",
	 {.set = 1, .keep_others = true}, 2},
	/* A bare address is what Kamailio shows as a SIP URI. */
	{"1 10.0.0.7\n", "1 10.0.0.7 4\n1 " DR " 0 0\n", {.set = 1, .keep_others = true}, 2},
	{"1 sip:a.example\n1 sip:a.example\n", "1 " DR "\n", {.set = 1}, 2},
};

START_TEST(only_the_lines_that_must_change_do)
{
	static const char *const to[] = {DR};

	for (size_t i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
		struct list_want want = edits[i].want;
		size_t n;
		char *out;

		want.to = to;
		want.n_to = 1;
		out = edited(&list_kamailio, edits[i].was, want, &n);
		ck_assert_str_eq(out, edits[i].set);
		ck_assert_uint_eq(n, edits[i].edits);
		free(out);
	}
}
END_TEST

static const struct {
	const char *text, *says;
	size_t len; /* 0: strlen */
} bad_lists[] = {
	{"garbage\n", "line 1: no set id: 'garbage'", 0},
	{"1 sip:a.example\n2\n", "line 2: a set id without a destination", 0},
	{"1 sip:a.example\n2 # x\n", "without a destination", 0},
	{"1sip:a.example\n", "no set id", 0},
	{"1 sip:a.example\x01\n", "control character (\\x01)", 0},
	{"1 sip:a.example\r1 sip:b.example\n", "control character (\\x0d)", 0},
	{"1 sip:a\0 0 0\n", "control character (\\x00)", 13},
	{"\xef\xbb\xbf" "1 sip:a.example\n", "byte order mark", 0},
	{"\xff\xfe" "1\0 \0s\0", "control character", 8},
	{"1 sip:a#b 0 0\n", "'#' in a destination", 0},
	{"99999999999999999999 sip:a.example\n", "larger than", 0},
	{"1 sip:a.example 4294967300 0\n", "larger than", 0},
	{"1 sip:a.example 0 4294967300\n", "larger than", 0},
};

START_TEST(a_list_that_the_proxy_would_misread_is_refused)
{
	char err[LIST_ERR], long_line[1100];
	struct list l;

	for (size_t i = 0; i < sizeof(bad_lists) / sizeof(*bad_lists); i++) {
		size_t len = bad_lists[i].len ? bad_lists[i].len : strlen(bad_lists[i].text);

		ck_assert_msg(!list_parse(&l, &list_kamailio, bad_lists[i].text, len, err), "%zu", i);
		ck_assert_msg(strstr(err, bad_lists[i].says), "'%s' lacks '%s'", err, bad_lists[i].says);
	}
	memset(long_line, 'x', sizeof(long_line));
	long_line[0] = '#';
	ck_assert(!list_parse(&l, &list_kamailio, long_line, 1024, err));
	ck_assert_ptr_nonnull(strstr(err, "1024 bytes"));
	ck_assert(list_parse(&l, &list_kamailio, long_line, 1023, err));
	list_release(&l);
}
END_TEST

START_TEST(a_set_that_is_not_there_is_refused)
{
	static const char *const to[] = {DR};
	struct list_want want = {.set = 1, .to = to, .n_to = 1};
	struct list_edits none;
	char err[LIST_ERR];
	struct list l;

	MUST(&list_kamailio, &l, "");
	ck_assert(!list_plan(&l, &want, &none, err));
	ck_assert_ptr_nonnull(strstr(err, "it is empty"));
	list_release(&l);
	MUST(&list_kamailio, &l, "2 sip:a.example\n");
	ck_assert(!list_plan(&l, &want, &none, err));
	ck_assert_ptr_nonnull(strstr(err, "no destination of set 1"));
	list_release(&l);
}
END_TEST

static const struct {
	const char *uri, *says; /* NULL: it is good */
	bool fqdn;
} uris[] = {
	{"sip:dr.example:5061;transport=tls", NULL, true},
	{"sip:10.2.0.10:5060", NULL, false},
	{"sip:10.2.0.10:5060", "has an address", true},
	{"sip:[fd00::1]:5060", "has an address", true},
	{"sips:[fd00::1]", NULL, false},
	{"sip:[fd00::1", "has no host", false},
	{"sip:", "has no host", false},
	{"sip:;transport=tcp", "has no host", false},
	{"dr.example", "does not begin", false},
	{"sip:dr.example 4 99", "blank", false},
	{"sip:dr.example\n2 sip:evil", "blank", false},
	{"sip:dr.example#x", "blank or another", false},
	{"sip:user@dr.example", "names a user", false},
};

START_TEST(what_cannot_be_a_next_hop_is_told)
{
	for (size_t i = 0; i < sizeof(uris) / sizeof(*uris); i++) {
		const char *why = list_bad_uri(uris[i].uri, uris[i].fqdn);

		if (uris[i].says)
			ck_assert_msg(why && strstr(why, uris[i].says), "%s: %s", uris[i].uri, why);
		else
			ck_assert_msg(!why, "%s: %s", uris[i].uri, why);
	}
	ck_assert_ptr_null(list_bad_attrs("duid=dr;weight=50"));
	ck_assert_ptr_nonnull(list_bad_attrs("50"));
	ck_assert_ptr_nonnull(list_bad_attrs("a=b c=d"));
}
END_TEST

#define TABLE "id(int,auto) setid(int) destination(string) socket(string,null) state(int) weight(string) "\
	      "priority(int) attrs(string) description(string)\n"

START_TEST(the_table_of_opensips_is_edited_by_field)
{
	static const char *const to[] = {"sip:dr.example:5060"};
	struct list_want want = {.set = 1, .to = to, .n_to = 1};
	size_t n;
	char *out;

	out = edited(&list_opensips, TABLE "1:1:sip\\:a.example\\:5060::0:50:0:x\\:y:old one\n", want, &n);
	ck_assert_str_eq(out, TABLE "1:1:sip\\:dr.example\\:5060::0:50:0:x\\:y:old one\n");
	free(out);
	want.keep_others = true;
	want.attrs = "a=b";
	out = edited(&list_opensips, TABLE "7:1:sip\\:a.example::0:50:3:x:d\n2:9:sip\\:a::0:1:1::\n", want, &n);
	ck_assert_str_eq(out, TABLE "7:1:sip\\:a.example::1:50:3:x:d\n"
				    "8:1:sip\\:dr.example\\:5060::0:50:0:a=b:d\n2:9:sip\\:a::0:1:1::\n");
	free(out);
}
END_TEST

START_TEST(a_table_that_is_not_opensips_is_refused)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"", "no column 'setid'"},
		{"id(int) name(str)\n1:x\n", "no column 'setid'"},
		{TABLE "1:1:sip\\:a\n", "not as many fields"},
		{TABLE "1:1:sip:a::0:50:0:x:d\n", "not as many fields"},
		{TABLE "1:one:sip\\:a::0:50:0:x:d\n", "set id is no number"},
		{TABLE "1:1:sip\\:a::up:50:0:x:d\n", "state is no number"},
		{TABLE "1:1:::0:50:0:x:d\n", "no destination"},
	};
	char err[LIST_ERR];
	struct list l;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ck_assert(!list_parse(&l, &list_opensips, cases[i].text, strlen(cases[i].text), err));
		ck_assert_msg(strstr(err, cases[i].says), "'%s' lacks '%s'", err, cases[i].says);
	}
}
END_TEST

/* --- a real Kamailio -------------------------------------------------------------------- */

/* The edge, and both next hops: one process, told apart by the port that a request came to. */
static const char config[] =
	"#!KAMAILIO\n"
	"debug=0\nlog_stderror=yes\nchildren=2\ntcp_children=4\nauto_aliases=no\ndns=no\nrev_dns=no\n"
	"server_signature=no\nhttp_reply_parse=yes\ntcp_accept_no_cl=yes\n"
	"listen=tcp:127.0.0.1:%d\nlisten=tcp:127.0.0.1:%d\nlisten=tcp:127.0.0.1:%d\n"
	"listen=tcp:127.0.0.1:%d\n"
	"mpath=\"%s\"\n"
	"loadmodule \"kex.so\"\nloadmodule \"tm.so\"\nloadmodule \"sl.so\"\nloadmodule \"pv.so\"\n"
	"loadmodule \"textops.so\"\nloadmodule \"siputils.so\"\nloadmodule \"ctl.so\"\n"
	"loadmodule \"dispatcher.so\"\nloadmodule \"xhttp.so\"\nloadmodule \"jsonrpcs.so\"\n"
	"modparam(\"jsonrpcs\", \"transport\", 1)\n"
	"modparam(\"ctl\", \"binrpc\", \"unix:%s/ctl\")\n"
	"modparam(\"dispatcher\", \"list_file\", \"%s/dispatcher.list\")\n"
	"modparam(\"dispatcher\", \"flags\", 2)\n"
	"modparam(\"dispatcher\", \"reload_delta\", %d)\n"
	"modparam(\"tm\", \"fr_timer\", 1000)\n"
	"request_route {\n"
	"  if ($Rp == %d) { append_to_reply(\"X-Site: primary\\r\\n\"); sl_send_reply(\"200\", \"OK\"); exit; }\n"
	"  if ($Rp == %d) { append_to_reply(\"X-Site: dr\\r\\n\"); sl_send_reply(\"200\", \"OK\"); exit; }\n"
	"  if (!ds_select_dst(\"1\", \"8\")) { sl_send_reply(\"503\", \"No next hop\"); exit; }\n"
	"  t_relay();\n"
	"}\n"
	"event_route[xhttp:request] {\n"
	"  if ($hu =~ \"^/RPC\") { jsonrpc_dispatch(); exit; }\n"
	"  xhttp_reply(\"404\", \"Not Found\", \"text/plain\", \"no such thing\\n\");\n"
	"}\n";

static struct {
	char dir[64], list[96], primary[64], dr[64], rpc[64], sip[32], ctl[96];
	int ports[4]; /* edge, primary, dr, rpc */
	pid_t pid;
} rig;

static int
free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
		  getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	close(fd);
	return ntohs(a.sin_port);
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

__attribute__((format(printf, 1, 2))) static void
write_list(const char *fmt, ...)
{
	FILE *f = fopen(rig.list, "w");
	va_list ap;

	ck_assert_ptr_nonnull(f);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
}

static char *
read_list(void)
{
	static char text[4096];
	FILE *f = fopen(rig.list, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static void
start(int reload_delta)
{
	char cfg[96], log[96], modules[128];
	glob_t g;
	FILE *f;

	ck_assert(glob("/usr/lib/*/kamailio/modules/dispatcher.so", 0, NULL, &g) == 0);
	snprintf(modules, sizeof(modules), "%s", g.gl_pathv[0]);
	*(strrchr(modules, '/') + 1) = '\0';
	globfree(&g);
	snprintf(cfg, sizeof(cfg), "%s/kamailio.cfg", rig.dir);
	snprintf(log, sizeof(log), "%s/log", rig.dir);
	f = fopen(cfg, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, config, rig.ports[0], rig.ports[1], rig.ports[2], rig.ports[3], modules, rig.dir,
		rig.dir, reload_delta, rig.ports[1], rig.ports[2]);
	fclose(f);
	rig.pid = fork();
	if (rig.pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(fd, 1);
		dup2(fd, 2);
		execl(KAMAILIO, "kamailio", "-f", cfg, "-DD", "-E", "-m", "32", "-M", "8", "-w", rig.dir,
		      "-Y", rig.dir, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && (!answers(rig.ports[3]) || !answers(rig.ports[0])); i++)
		usleep(20000);
	ck_assert_msg(answers(rig.ports[3]), "no answer; see %s", log);
}

/* Now and then Kamailio takes a minute to end, when it is ended soon after its start. */
static void
end(void)
{
	pid_t gone = rig.pid > 0 ? 0 : -1;

	if (!gone)
		kill(rig.pid, SIGTERM);
	for (int i = 0; !gone && i < 100; i++) {
		usleep(20000);
		gone = waitpid(rig.pid, NULL, WNOHANG);
	}
	if (!gone) {
		kill(-rig.pid, SIGKILL);
		waitpid(rig.pid, NULL, 0);
	}
	rig.pid = 0;
}

static void
make_rig(void)
{
	strcpy(rig.dir, "/tmp/edge-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(rig.dir));
	for (size_t i = 0; i < 4; i++)
		rig.ports[i] = free_port();
	snprintf(rig.list, sizeof(rig.list), "%s/dispatcher.list", rig.dir);
	snprintf(rig.primary, sizeof(rig.primary), "sip:127.0.0.1:%d;transport=tcp", rig.ports[1]);
	snprintf(rig.dr, sizeof(rig.dr), "sip:127.0.0.1:%d;transport=tcp", rig.ports[2]);
	snprintf(rig.rpc, sizeof(rig.rpc), "http://127.0.0.1:%d/RPC", rig.ports[3]);
	snprintf(rig.sip, sizeof(rig.sip), "127.0.0.1:%d", rig.ports[0]);
	snprintf(rig.ctl, sizeof(rig.ctl), "unix:%s/ctl", rig.dir);
	write_list("# next hop of the edge\n1 %s 0 5 duid=primary # the one\n2 sip:127.0.0.1:9\n", rig.primary);
	start(0);
}

static void
drop_rig(void)
{
	char cmd[128];

	end();
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", rig.dir);
	ck_assert_int_eq(system(cmd), 0);
}

static struct fakehost *
new_action(const char *name)
{
	struct fakehost *fh = fakehost_new(fakehost_action(resite_plugin_v0(), name));

	fakehost_param(fh, "patience", "2s");
	if (getenv("TRACE"))
		fakehost_trace(fh, stderr);
	return fh;
}

/* The step that a plan would have: all calls to the DR site. */
static struct fakehost *
new_step(void)
{
	struct fakehost *fh = new_action("kamailio");

	fakehost_param(fh, "list", rig.list);
	fakehost_param(fh, "rpc", rig.rpc);
	fakehost_param(fh, "to", rig.dr);
	fakehost_param(fh, "sip", rig.sip);
	fakehost_param(fh, "sip_domain", "contoso.example");
	fakehost_param(fh, "look_for", "X-Site: dr");
	return fh;
}

static void
ck_call(struct fakehost *fh, enum fakehost_phase phase, int rc, const char *says)
{
	int got = fakehost_call(fh, phase);

	ck_assert_msg(got == rc, "%d: %s", got, fakehost_failure(fh));
	ck_assert_msg(strstr(fakehost_failure(fh), says), "'%s' lacks '%s'", fakehost_failure(fh), says);
}

START_TEST(the_next_hop_moves_and_comes_back)
{
	struct fakehost *fh = new_step();
	char before[4096], wanted[4096];
	const struct fakehost_change *c;
	struct stat st;
	size_t n;

	strcpy(before, read_list());
	chmod(rig.list, 0640);
	ck_call(fh, FAKEHOST_CHECK, RESITE_OK, "");
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, "");
	c = fakehost_changes(fh, &n);
	ck_assert_uint_eq(n, 1);
	ck_assert_ptr_nonnull(strstr(c->was, rig.primary));
	ck_assert_ptr_nonnull(strstr(c->will_be, rig.dr));
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	ck_assert_ptr_nonnull(strstr(fakehost_state(fh)->now, rig.primary));
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, "");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_OK, "");
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, "");
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	snprintf(wanted, sizeof(wanted),
		 "# next hop of the edge\n1 %s 0 5 duid=primary # the one\n2 sip:127.0.0.1:9\n", rig.dr);
	ck_assert_str_eq(read_list(), wanted);
	ck_assert(stat(rig.list, &st) == 0 && (st.st_mode & 0777) == 0640);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_LOOK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 1);
	ck_assert_str_eq(read_list(), wanted);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 1);
	ck_assert_str_eq(read_list(), before);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_ALREADY), 1);
	ck_call(fh, FAKEHOST_VERIFY, RESITE_ERR_CONFLICT, "is not as it was written");
	fakehost_free(fh);
}
END_TEST

START_TEST(kamcmd_serves_as_well_as_http)
{
	struct fakehost *fh = new_step();

	fakehost_param_clear(fh, "rpc");
	fakehost_param(fh, "kamcmd_socket", rig.ctl);
	fakehost_param(fh, "others", "disable");
	ck_call(fh, FAKEHOST_CHECK, RESITE_OK, "");
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, "");
	ck_assert_uint_eq(fakehost_state(fh)->changes, 2);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, "");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_OK, "");
	ck_assert_ptr_nonnull(strstr(fakehost_output(fh, "next_hops"), "(disabled)"));
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 2);
	fakehost_param_clear(fh, "kamcmd_socket");
	fakehost_param(fh, "kamcmd_socket", "unix:/nowhere/ctl");
	ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_TRANSIENT, "No such file or directory");
	fakehost_param(fh, "rpc", rig.rpc);
	ck_call(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID, "one of them");
	fakehost_param_clear(fh, "rpc");
	fakehost_param_clear(fh, "kamcmd");
	fakehost_param(fh, "kamcmd", "/nowhere/kamcmd");
	/* Under valgrind vfork is fork: the child cannot tell why it did not exec. */
	if (!getenv("RESITE_UNDER_VALGRIND"))
		ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "cannot run /nowhere/kamcmd");
	fakehost_free(fh);
}
END_TEST

START_TEST(a_second_reload_within_seconds_waits)
{
	struct fakehost *fh = new_step();
	time_t began = time(NULL);

	end();
	start(2);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, "");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_int_ge(time(NULL) - began, 1);
	fakehost_param_clear(fh, "reload_wait");
	fakehost_param(fh, "reload_wait", "0s");
	ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_TRANSIENT, "Ongoing reload");
	ck_assert_ptr_nonnull(strstr(fakehost_failure(fh), "the proxy may have the old ones"));
	/* The next attempt finds the file right and the proxy behind it. */
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, "");
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	ck_call(fh, FAKEHOST_VERIFY, RESITE_PENDING, "the proxy's list is not the file's");
	fakehost_param_clear(fh, "reload_wait");
	fakehost_param(fh, "reload_wait", "5s");
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, "");
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, "");
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	fakehost_free(fh);
}
END_TEST

START_TEST(a_list_that_the_proxy_does_not_take_is_put_back)
{
	struct fakehost *fh = new_step();
	char before[4096], other[128];

	/* A name that does not resolve is dropped by Kamailio without a word. */
	strcpy(before, read_list());
	fakehost_param_clear(fh, "to");
	fakehost_param(fh, "to", "sip:no.such.invalid;transport=tcp");
	ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "The former list was put back");
	ck_assert_ptr_nonnull(strstr(fakehost_failure(fh), "do all names in it resolve?"));
	ck_assert_str_eq(read_list(), before);
	/* Another file than the one that it reads. */
	snprintf(other, sizeof(other), "%s.other", rig.list);
	ck_assert(rename(rig.list, other) == 0);
	write_list("%s", before);
	fakehost_param_clear(fh, "list");
	fakehost_param(fh, "list", other);
	fakehost_param_clear(fh, "to");
	fakehost_param(fh, "to", rig.dr);
	ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "the list that it is configured with");
	fakehost_free(fh);
}
END_TEST

static const struct {
	const char *text; /* NULL: no file */
	const char *says;
} bad_files[] = {
	{NULL, "No such file or directory"},
	{"", "it is empty"},
	{"# nothing but a comment\n", "no destination of set 1"},
	{"2 sip:127.0.0.1:9\n", "no destination of set 1"},
	{"1 sip:127.0.0.1:9\ngarbage\n", "line 2: no set id"},
	{"1 sip:127.0.0.1:9\n1 sip:127.0.0.1:9 0 0 x\x01y\n", "line 2: a control character"},
	{"1 sip:127.0.0.1:9\n1\n", "line 2: a set id without a destination"},
};

START_TEST(a_bad_list_is_left_as_it_is)
{
	struct fakehost *fh = new_step();

	for (size_t i = 0; i < sizeof(bad_files) / sizeof(*bad_files); i++) {
		if (bad_files[i].text)
			write_list("%s", bad_files[i].text);
		else
			ck_assert(unlink(rig.list) == 0);
		ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, bad_files[i].says);
		ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, bad_files[i].says);
		if (bad_files[i].text)
			ck_assert_str_eq(read_list(), bad_files[i].text);
	}
	fakehost_param_clear(fh, "list");
	fakehost_param(fh, "list", rig.dir);
	ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "no regular file");
	fakehost_free(fh);
}
END_TEST

static void
somebody_edits(void *arg)
{
	write_list("1 %s 0 5 duid=primary # edited\n", (const char *)arg);
}

START_TEST(an_edit_by_somebody_else_is_not_lost)
{
	struct fakehost *fh = new_step();
	char now[4096];

	fakehost_on_sync(fh, somebody_edits, rig.primary);
	ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_CONFLICT, "changed by somebody else");
	snprintf(now, sizeof(now), "1 %s 0 5 duid=primary # edited\n", rig.primary);
	ck_assert_str_eq(read_list(), now);
	fakehost_on_sync(fh, NULL, NULL);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, "");
	/* After it: the line is no longer what we wrote. */
	write_list("1 %s 0 99 duid=primary # edited\n", rig.dr);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_CONFLICT), 2);
	ck_assert_ptr_nonnull(strstr(read_list(), rig.dr));
	ck_assert_int_eq(fakehost_revert(fh, RESITE_FORCE), RESITE_OK);
	ck_assert_ptr_nonnull(strstr(read_list(), rig.primary));
	write_list("2 sip:127.0.0.1:9\n");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_LOOK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_GONE), 2);
	fakehost_free(fh);
}
END_TEST

START_TEST(nothing_is_changed_before_it_can_be_undone)
{
	struct fakehost *fh = new_step();
	char before[4096];

	strcpy(before, read_list());
	fakehost_fail_undo(fh, 1);
	ck_assert_int_lt(fakehost_call(fh, FAKEHOST_APPLY), 0);
	ck_assert_str_eq(read_list(), before);
	end();
	ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_TRANSIENT, "127.0.0.1");
	ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_TRANSIENT, "127.0.0.1");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_ERR_CONFLICT, "not as it was written");
	ck_assert_str_eq(read_list(), before);
	fakehost_free(fh);
}
END_TEST

START_TEST(an_answer_from_another_next_hop_is_not_well)
{
	struct fakehost *fh = new_step();

	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, "");
	fakehost_param_clear(fh, "look_for");
	fakehost_param(fh, "look_for", "X-Site: primary");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_PENDING, "does not say 'X-Site: primary' but X-Site: dr");
	fakehost_param_clear(fh, "look_for");
	fakehost_param_clear(fh, "to");
	fakehost_param(fh, "to", "sip:127.0.0.1:9;transport=tcp");
	fakehost_param_clear(fh, "patience");
	fakehost_param(fh, "patience", "4s");
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK, "");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_PENDING, "was answered with");
	fakehost_free(fh);
}
END_TEST

START_TEST(what_is_not_permitted_is_said)
{
	struct fakehost *fh = new_step();
	char before[4096];

	strcpy(before, read_list());
	if (getuid() == 0) {
		chmod(rig.dir, 0755);
		ck_assert(setresuid(65534, 65534, 0) == 0);
		seteuid(65534);
	} else {
		chmod(rig.dir, 0555);
	}
	ck_call(fh, FAKEHOST_PROBE, RESITE_OK, "");
	ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "give the user that resite runs as the right");
	ck_assert_str_eq(read_list(), before);
	if (getuid() != 65534)
		chmod(rig.dir, 0755);
	else
		ck_assert(seteuid(0) == 0 && setresuid(0, 0, 0) == 0);
	fakehost_free(fh);
}
END_TEST

static Suite *
edge_suite(void)
{
	Suite *s = suite_create("edge-nexthop");
	TCase *paper = tcase_create("on paper"), *real = tcase_create("Kamailio");

	tcase_add_test(paper, only_the_lines_that_must_change_do);
	tcase_add_test(paper, a_list_that_the_proxy_would_misread_is_refused);
	tcase_add_test(paper, a_set_that_is_not_there_is_refused);
	tcase_add_test(paper, what_cannot_be_a_next_hop_is_told);
	tcase_add_test(paper, the_table_of_opensips_is_edited_by_field);
	tcase_add_test(paper, a_table_that_is_not_opensips_is_refused);
	suite_add_tcase(s, paper);
	tcase_set_timeout(real, 60);
	tcase_add_checked_fixture(real, make_rig, drop_rig);
	tcase_add_test(real, the_next_hop_moves_and_comes_back);
	tcase_add_test(real, kamcmd_serves_as_well_as_http);
	tcase_add_test(real, a_second_reload_within_seconds_waits);
	tcase_add_test(real, a_list_that_the_proxy_does_not_take_is_put_back);
	tcase_add_test(real, a_bad_list_is_left_as_it_is);
	tcase_add_test(real, an_edit_by_somebody_else_is_not_lost);
	tcase_add_test(real, nothing_is_changed_before_it_can_be_undone);
	tcase_add_test(real, an_answer_from_another_next_hop_is_not_well);
	tcase_add_test(real, what_is_not_permitted_is_said);
	if (access(KAMAILIO, X_OK) == 0)
		suite_add_tcase(s, real);
	else
		fputs("edge_nexthop_test: kamailio is not installed: its cases were left out\n", stderr);
	return s;
}

int
main(void)
{
	return run_suite(edge_suite());
}
