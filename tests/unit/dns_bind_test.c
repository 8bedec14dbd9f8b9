/* dns-bind.set against a real named that is told by a real rndc. */
#include "config.h"

#include "sdk/testkit/fakehost.h"
#include "tests/unit/named_server.h"
#include "tests/unit/run_suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <resite/plugin.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAMED "/usr/sbin/named"
#define RNDC "/usr/sbin/rndc"

resite_plugin_v0_fn resite_plugin_v0;

static const char contoso[] =
	"; contoso, as people keep it\r\n"
	"$TTL 300\n"
	"@\tIN SOA ns1 admin ( 2020010101 ; serial\n\t3600 600 86400 60 )\n"
	"\tNS ns1\n"
	"ns1\tA 127.0.0.1\n"
	"; --- pools\n"
	"sip\t86400 IN A\t10.1.0.10 ; primary\n"
	"dr\tA 10.2.0.10\n"
	"_sip._tcp\tSRV 0 0 5061 sip\n"
	"www\tCNAME sip\n";
static const char fabrikam[] = "$TTL 300\n@ SOA ns1 admin 7 3600 600 86400 60\n@ NS ns1\nns1 A 127.0.0.1\nsip A 10.1.0.10\n";

static struct named_server server;
static int rndc_port;
static struct fakehost *fh;

/* --- the server ------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static void
put(const char *name, const char *fmt, ...)
{
	char path[160];
	va_list ap;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", server.dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
}

static char *
file_text(const char *name)
{
	static char text[20000];
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", server.dir, name);
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s", path);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

#define KEY(secret) "key \"rndc-key\" { algorithm hmac-sha256; secret \"" secret "\"; };\n"
#define SECRET "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="

static void
write_config(void)
{
	put("rndc.conf", KEY(SECRET) "options { default-key \"rndc-key\"; default-server 127.0.0.1; default-port %d; };\n",
	    rndc_port);
	put("wrong.conf", KEY("YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh") "options { default-key \"rndc-key\"; default-server 127.0.0.1; default-port %d; };\n",
	    rndc_port);
	put("db.contoso", "%s", contoso);
	put("db.fabrikam", "%s", fabrikam);
	put("db.dyn", "%s", fabrikam);
	put("named.conf",
	    KEY(SECRET) "controls { inet 127.0.0.1 port %d allow { any; } keys { \"rndc-key\"; }; };\n"
	    "options { directory \"%s\"; pid-file \"pid\"; lock-file none; session-keyfile \"session.key\";\n"
	    " managed-keys-directory \"%s\"; listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; };\n"
	    " recursion no; dnssec-validation no; empty-zones-enable no; notify no; minimal-responses yes; };\n"
	    "logging { channel f { file \"log\"; severity info; }; category default { f; }; };\n"
	    "zone \"contoso.example\" { type primary; file \"db.contoso\"; };\n"
	    "zone \"fabrikam.example\" { type primary; file \"db.fabrikam\"; };\n"
	    "zone \"dyn.example\" { type primary; file \"db.dyn\"; allow-update { any; }; };\n",
	    rndc_port, server.dir, server.dir, server.port);
}

static void
start_named(void)
{
	char conf[160];

	snprintf(conf, sizeof(conf), "%s/named.conf", server.dir);
	server.pid = fork();
	if (server.pid == 0) {
		execl(NAMED, NAMED, "-f", "-4", "-n", "1", "-c", conf, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && !*dig(&server, "dyn.example", "SOA"); i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

static void
rndc(const char *words)
{
	char command[400];

	snprintf(command, sizeof(command), RNDC " -c '%s/rndc.conf' %s >/dev/null 2>&1", server.dir, words);
	ck_assert_int_eq(system(command), 0);
}

static const char *
path_of(const char *name)
{
	static char path[4][160];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, 160, "%s/%s", server.dir, name);
	return p;
}

/* --- a step ------------------------------------------------------------------------------ */

static struct fakehost *
new_step(void)
{
	struct fakehost *h = fakehost_new(&resite_plugin_v0()->actions[0]);

	fakehost_param(h, "server", server.at);
	fakehost_param(h, "rndc_conf", path_of("rndc.conf"));
	fakehost_param(h, "verify_at", server.at);
	fakehost_param(h, "patience", "500ms");
	if (getenv("TRACE"))
		fakehost_trace(h, stderr);
	return h;
}

static void
on_zone(struct fakehost *h, const char *zone, const char *file)
{
	fakehost_param(h, "zone", zone);
	fakehost_param(h, "file", path_of(file));
}

static void
set_up(void)
{
	server = (struct named_server){.port = free_port()};
	rndc_port = free_port();
	strcpy(server.dir, "/tmp/resite-bind.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(server.dir));
	snprintf(server.at, sizeof(server.at), "127.0.0.1:%d", server.port);
	write_config();
	start_named();
	fh = new_step();
}

static void
tear_down(void)
{
	fakehost_free(fh);
	named_stop(&server);
}

#define ck_says(h, part) \
	ck_assert_msg(strstr(fakehost_failure(h), part), "'%s' lacks '%s'", fakehost_failure(h), part)
#define ck_call(h, phase, rc)                                                                     \
	do {                                                                                       \
		int is_ = fakehost_call(h, phase);                                                 \
		ck_assert_msg(is_ == (rc), #phase " is %d: %s", is_, fakehost_failure(h));         \
	} while (0)

static void
verify(struct fakehost *h)
{
	int rc = RESITE_PENDING;

	for (int i = 0; i < 300 && rc == RESITE_PENDING; i++) {
		rc = fakehost_call(h, FAKEHOST_VERIFY);
		if (rc == RESITE_PENDING)
			nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	ck_assert_msg(rc == RESITE_OK, "verify: %d %s", rc, fakehost_failure(h));
}

static uint64_t
probe(struct fakehost *h)
{
	ck_call(h, FAKEHOST_PROBE, RESITE_OK);
	return fakehost_state(h)->changes;
}

/* --- the way things should go -------------------------------------------------------------- */

START_TEST(a_record_is_shown_set_verified_and_then_converged)
{
	const struct fakehost_change *c;
	const struct fakehost_undo *u;
	char want[sizeof(contoso) + 100], day[16];
	time_t now = time(NULL);
	size_t n;
	char *at;

	on_zone(fh, "contoso.example.", "db.contoso");
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	fakehost_param(fh, "expect_current", "sip A 10.1.0.10");
	ck_call(fh, FAKEHOST_CHECK, RESITE_OK);
	ck_assert_uint_eq(probe(fh), 1);
	c = fakehost_changes(fh, &n);
	ck_assert_str_eq(c->object, "sip.contoso.example. A");
	ck_assert_str_eq(c->was, "86400 10.1.0.10");
	ck_assert_str_eq(c->will_be, "60 10.2.0.10");
	ck_assert(strstr(fakehost_losses(fh), "TTL of 86400 s"));
	ck_assert_str_eq(file_text("db.contoso"), contoso);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK);
	verify(fh);
	ck_assert_str_eq(dig(&server, "sip.contoso.example", "A"), "10.2.0.10");
	ck_assert_uint_eq(probe(fh), 0);
	/* only what had to change */
	strcpy(want, contoso);
	strftime(day, sizeof(day), "%Y%m%d01", gmtime(&now));
	memcpy(strstr(want, "2020010101"), day, 10);
	at = strstr(want, "86400 IN A");
	memmove(at + 2, at + 5, strlen(at + 5) + 1);
	memcpy(at, "60", 2);
	memcpy(strstr(want, "10.1.0.10"), "10.2.0.10", 9);
	ck_assert_str_eq(file_text("db.contoso"), want);
	u = fakehost_undos(fh, &n);
	ck_assert_uint_eq(n, 1);
	ck_assert(u->durable);
	ck_assert_msg(strstr(u->by_hand, "make sip.contoso.example. A 86400 10.1.0.10"), "%s", u->by_hand);
}
END_TEST

START_TEST(several_zones_in_one_step)
{
	on_zone(fh, "contoso.example.", "db.contoso");
	on_zone(fh, "fabrikam.example.", "db.fabrikam");
	fakehost_param(fh, "record", "sip A 10.2.0.10");
	fakehost_param(fh, "record", "sip.fabrikam.example. A 10.2.0.11");
	fakehost_param(fh, "record", "new.fabrikam.example. A 10.2.0.12");
	fakehost_param(fh, "record", "_sip._tls.fabrikam.example. SRV 0 0 443 new.fabrikam.example.");
	fakehost_param_clear(fh, "verify_at"); /* all NS of each zone */
	ck_assert_uint_eq(probe(fh), 4);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK);
	verify(fh);
	ck_assert_uint_eq(probe(fh), 0);
	ck_assert_str_eq(dig(&server, "sip.fabrikam.example", "A"), "10.2.0.11");
	ck_assert_str_eq(dig(&server, "_sip._tls.fabrikam.example", "SRV"), "0 0 443 new.fabrikam.example.");
	ck_assert_ptr_nonnull(strstr(file_text("db.fabrikam"), "SOA ns1 admin 8 "));
}
END_TEST

START_TEST(revert_puts_back_values_not_the_file)
{
	char *text;

	on_zone(fh, "contoso.example.", "db.contoso");
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	fakehost_param(fh, "record", "new 60 A 10.2.0.11");
	fakehost_param(fh, "record", "www 60 CNAME dr");
	probe(fh);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK);
	verify(fh);
	/* somebody else edits the file, and one of our records */
	text = strdup(file_text("db.contoso"));
	memcpy(strstr(text, "CNAME dr"), "CNAME ns1", 8);
	put("db.contoso", "%sother A 10.9.9.9\n", text);
	free(text);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_LOOK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 2);
	ck_assert_ptr_nonnull(strstr(file_text("db.contoso"), "10.2.0.10 ; primary"));
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 2);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_CONFLICT), 1);
	text = file_text("db.contoso");
	ck_assert_ptr_nonnull(strstr(text, "sip\t86400 IN A\t10.1.0.10 ; primary\n"));
	ck_assert_ptr_nonnull(strstr(text, "other A 10.9.9.9\n"));
	ck_assert_ptr_null(strstr(text, "10.2.0.11"));
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_ALREADY), 2);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_FORCE), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 1);
	ck_assert_ptr_nonnull(strstr(file_text("db.contoso"), "CNAME sip\n"));
	for (int i = 0; i < 300 && strcmp(dig(&server, "sip.contoso.example", "A"), "10.1.0.10"); i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	ck_assert_str_eq(dig(&server, "sip.contoso.example", "A"), "10.1.0.10");
}
END_TEST

START_TEST(a_ttl_comes_back_too)
{
	on_zone(fh, "contoso.example.", "db.contoso");
	fakehost_param(fh, "record", "sip 60 A 10.1.0.10");
	ck_assert_uint_eq(probe(fh), 1);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK);
	ck_assert_ptr_nonnull(strstr(file_text("db.contoso"), "sip\t60 IN A\t10.1.0.10 ; primary\n"));
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 1);
	ck_assert_ptr_nonnull(strstr(file_text("db.contoso"), "sip\t86400 IN A\t10.1.0.10 ; primary\n"));
}
END_TEST

START_TEST(an_attempt_that_was_lost_before_the_reload_is_seen)
{
	struct fakehost *lost = new_step();

	on_zone(lost, "contoso.example.", "db.contoso");
	fakehost_param(lost, "record", "sip 60 A 10.2.0.10");
	fakehost_param_clear(lost, "reload");
	fakehost_param(lost, "reload", "none");
	probe(lost);
	ck_call(lost, FAKEHOST_APPLY, RESITE_OK);
	ck_call(lost, FAKEHOST_VERIFY, RESITE_PENDING);
	ck_says(lost, "still has serial 2020010101 of contoso.example.");
	fakehost_free(lost);
	on_zone(fh, "contoso.example.", "db.contoso");
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	ck_assert_uint_eq(probe(fh), 1);
	ck_assert_ptr_nonnull(strstr(fakehost_changes(fh, &(size_t){0})->was, "named has not loaded it"));
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK);
	verify(fh);
	ck_assert_uint_eq(probe(fh), 0);
}
END_TEST

START_TEST(a_serial_that_was_not_raised_is_raised_before_the_reload)
{
	char *text = strdup(contoso);

	/* A person has changed the address and not the serial. */
	memcpy(strstr(text, "10.1.0.10"), "10.2.0.10", 9);
	put("db.contoso", "%s", text);
	free(text);
	on_zone(fh, "contoso.example.", "db.contoso");
	fakehost_param(fh, "record", "sip 86400 A 10.2.0.10");
	ck_assert_uint_eq(probe(fh), 1);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK);
	verify(fh);
	ck_assert_ptr_null(strstr(file_text("db.contoso"), "2020010101"));
}
END_TEST

START_TEST(ttls_are_lowered_ahead_and_raised_again)
{
	struct fakehost *h = fakehost_new(fakehost_action(resite_plugin_v0(), "ttl-lower"));

	fakehost_param(h, "server", server.at);
	fakehost_param(h, "rndc_conf", path_of("rndc.conf"));
	fakehost_param(h, "patience", "500ms");
	on_zone(h, "contoso.example.", "db.contoso");
	on_zone(h, "fabrikam.example.", "db.fabrikam");
	fakehost_param(h, "name", "sip");
	fakehost_param(h, "name", "_sip._tcp SRV");
	fakehost_param(h, "name", "sip.fabrikam.example. A");
	fakehost_param(h, "ttl", "30s");
	ck_call(h, FAKEHOST_CHECK, RESITE_OK);
	ck_assert_uint_eq(probe(h), 3);
	ck_assert(strstr(fakehost_losses(h), "up to 86400 s"));
	ck_call(h, FAKEHOST_APPLY, RESITE_OK);
	verify(h);
	ck_assert_str_eq(fakehost_output(h, "old_ttl"), "86400");
	ck_assert_uint_eq(probe(h), 0);
	ck_assert_ptr_nonnull(strstr(file_text("db.contoso"), "sip\t30 IN A\t10.1.0.10 ; primary\n"));
	ck_assert_ptr_nonnull(strstr(file_text("db.contoso"), "_sip._tcp\t30 SRV 0 0 5061 sip\n"));
	ck_assert_int_eq(fakehost_revert(h, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(h, RESITE_REVERTED_PUT_BACK), 3);
	ck_assert_ptr_nonnull(strstr(file_text("db.contoso"), "sip\t86400 IN A\t10.1.0.10 ; primary\n"));
	fakehost_param(h, "name", "nowhere A");
	ck_call(h, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	ck_says(h, "has no such RRset: nowhere A");
	fakehost_free(h);
}
END_TEST

/* --- others --------------------------------------------------------------------------------- */

START_TEST(an_edit_of_somebody_else_is_a_conflict_or_is_kept)
{
	char *text = strdup(contoso);

	on_zone(fh, "contoso.example.", "db.contoso");
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	probe(fh);
	memcpy(strstr(text, "10.1.0.10"), "10.7.0.70", 9);
	put("db.contoso", "%s", text);
	ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_CONFLICT);
	ck_says(fh, "somebody has changed records of this step");
	ck_assert_str_eq(file_text("db.contoso"), text);
	free(text);
	ck_assert_uint_eq(probe(fh), 1);
	put("db.contoso", "%sother A 10.9.9.9\n", contoso);
	ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_CONFLICT);
	probe(fh);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK);
	ck_assert_ptr_nonnull(strstr(file_text("db.contoso"), "other A 10.9.9.9\n"));
}
END_TEST

START_TEST(a_server_that_lags_or_lies_is_named)
{
	struct named_server other;

	on_zone(fh, "contoso.example.", "db.contoso");
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	/* A server of its own that has an old zone of this name. */
	named_start_primary(&other, "", 0);
	fakehost_param(fh, "verify_at", other.at);
	probe(fh);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK);
	for (int i = 0; i < 100 && strcmp(dig(&server, "sip.contoso.example", "A"), "10.2.0.10"); i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	ck_call(fh, FAKEHOST_VERIFY, RESITE_PENDING);
	ck_says(fh, other.at);
	ck_says(fh, "still has serial 1 of contoso.example.");
	nsupdate(&other, "update add " ZONE ". 60 SOA ns1." ZONE ". admin." ZONE ". 2040010101 3600 600 86400 60");
	ck_call(fh, FAKEHOST_VERIFY, RESITE_PENDING);
	ck_says(fh, "serves sip.contoso.example. A 86400 10.1.0.10, not 60 10.2.0.10, although its serial is");
	named_halt(&other);
	ck_call(fh, FAKEHOST_VERIFY, RESITE_ERR_TRANSIENT);
	named_stop(&other);
}
END_TEST

START_TEST(queued_is_not_taken_for_loaded)
{
	fakehost_param(fh, "check", "off");
	on_zone(fh, "contoso.example.", "db.contoso");
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	put("db.contoso", "%sbad A 10.0.0.300\n", contoso);
	probe(fh);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK);
	nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
	ck_call(fh, FAKEHOST_VERIFY, RESITE_PENDING);
	ck_says(fh, "named could not load it, and its log says why");
}
END_TEST

START_TEST(a_zone_that_named_would_not_load_is_not_written)
{
	on_zone(fh, "contoso.example.", "db.contoso");
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	put("db.contoso", "%sbad A 10.0.0.300\n", contoso);
	probe(fh);
	ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
	ck_says(fh, "named would not load the zone as it would be; nothing was changed");
	ck_says(fh, "bad dotted quad");
	ck_assert_ptr_nonnull(strstr(file_text("db.contoso"), "2020010101"));
}
END_TEST

/* --- what is refused ------------------------------------------------------------------------- */

static const struct {
	const char *what;
	const char *params[8]; /* name, value, ... */
	enum fakehost_phase phase;
	int rc;
	const char *says;
} refused[] = {
	{"orphan", {"record", "_sip._tcp SRV 0 0 5061 nowhere"}, FAKEHOST_PROBE, RESITE_ERR_REFUSED,
	 "would point at nowhere.contoso.example., which would have no address"},
	{"alias beside data", {"record", "sip CNAME dr"}, FAKEHOST_PROBE, RESITE_ERR_REFUSED,
	 "a CNAME beside other records"},
	{"foreign target", {"record", "_sip._tls SRV 0 0 443 a.fabrikam.example."}, FAKEHOST_PROBE,
	 RESITE_ERR_REFUSED, "into another domain"},
	{"too many", {"record", "sip A 10.2.0.1", "record", "dr A 10.2.0.2", "max_changes", "1"},
	 FAKEHOST_PROBE, RESITE_ERR_REFUSED, "2 RRsets would change, more than max_changes = 1"},
	{"too many percent", {"record", "sip A 10.2.0.1", "record", "dr A 10.2.0.2", "max_percent", "20"},
	 FAKEHOST_PROBE, RESITE_ERR_REFUSED, "more than max_percent = 20"},
	{"not as expected", {"record", "sip A 10.2.0.1", "expect_current", "sip A 10.3.3.3"}, FAKEHOST_PROBE,
	 RESITE_ERR_REFUSED, "but the plan expects"},
	{"a bad override", {"record", "sip A 10.2.0.1", "override", "all: yes"}, FAKEHOST_CHECK,
	 RESITE_ERR_INVALID, "does not begin with a rule"},
	{"not in a zone", {"record", "sip.other.example. A 10.2.0.1"}, FAKEHOST_CHECK, RESITE_ERR_INVALID,
	 "not in the zone"},
	{"no record", {"record", "sip"}, FAKEHOST_CHECK, RESITE_ERR_INVALID, "'sip'"},
	{"rndc is not there", {"record", "sip A 10.2.0.1", "rndc", "/nonexistent/rndc"}, FAKEHOST_PROBE,
	 RESITE_ERR_INVALID, "/nonexistent/rndc cannot be run"},
	{"the checker is not there", {"record", "sip A 10.2.0.1", "checkzone", "/nonexistent/check"},
	 FAKEHOST_APPLY, RESITE_ERR_INVALID, "/nonexistent/check cannot be run"},
	{"a folder that is not there", {"record", "sip A 10.2.0.1", "directory", "/nonexistent"},
	 FAKEHOST_PROBE, RESITE_ERR_INVALID, "/nonexistent: No such file"},
};

START_TEST(what_is_refused_is_said_and_changes_nothing)
{
	for (size_t k = 0; k < sizeof(refused) / sizeof(refused[0]); k++) {
		struct fakehost *h = new_step();
		int rc;

		on_zone(h, "contoso.example.", "db.contoso");
		for (size_t i = 0; i < 8 && refused[k].params[i]; i += 2) {
			if (strcmp(refused[k].params[i], "record") != 0)
				fakehost_param_clear(h, refused[k].params[i]);
			fakehost_param(h, refused[k].params[i], refused[k].params[i + 1]);
		}
		rc = fakehost_call(h, refused[k].phase);
		ck_assert_msg(rc == refused[k].rc, "%s: %d %s", refused[k].what, rc, fakehost_failure(h));
		ck_says(h, refused[k].says);
		ck_assert_str_eq(file_text("db.contoso"), contoso);
		fakehost_free(h);
	}
}
END_TEST

START_TEST(an_override_allows_one_thing_with_its_reason)
{
	on_zone(fh, "contoso.example.", "db.contoso");
	fakehost_param(fh, "record", "_sip._tcp SRV 0 0 5061 nowhere");
	fakehost_param(fh, "override", "orphan _sip._tcp: its address comes with the next step");
	fakehost_param(fh, "check", "none");
	ck_assert_uint_eq(probe(fh), 1);
	ck_assert_ptr_nonnull(strstr(fakehost_logs(fh), "allowed by override (its address comes with the next step)"));
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK);
	verify(fh);
}
END_TEST

START_TEST(a_target_in_another_zone_of_the_step_is_seen)
{
	on_zone(fh, "contoso.example.", "db.contoso");
	on_zone(fh, "fabrikam.example.", "db.fabrikam");
	fakehost_param(fh, "record", "www CNAME web.fabrikam.example.");
	ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	ck_says(fh, "would point at web.fabrikam.example., which would have no address");
	fakehost_param(fh, "record", "web.fabrikam.example. A 10.2.0.10");
	ck_assert_uint_eq(probe(fh), 2);
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK);
	verify(fh);
}
END_TEST

START_TEST(another_file_than_nameds_is_refused)
{
	put("db.copy", "%s", contoso);
	on_zone(fh, "contoso.example.", "db.copy");
	fakehost_param(fh, "record", "sip A 10.2.0.1");
	ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_INVALID);
	ck_says(fh, "named reads contoso.example. from db.contoso, not from");
}
END_TEST

START_TEST(rndc_that_cannot_is_heard)
{
	int port, fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);

	on_zone(fh, "contoso.example.", "db.contoso");
	fakehost_param(fh, "record", "sip A 10.2.0.1");
	fakehost_param_clear(fh, "rndc_conf");
	fakehost_param(fh, "rndc_conf", path_of("wrong.conf"));
	ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	ck_says(fh, "rndc zonestatus contoso.example.");
	/* one that takes the call and says nothing */
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	port = ntohs(sa.sin_port);
	put("silent.conf", KEY(SECRET) "options { default-key \"rndc-key\"; default-server 127.0.0.1; default-port %d; };\n", port);
	fakehost_param_clear(fh, "rndc_conf");
	fakehost_param(fh, "rndc_conf", path_of("silent.conf"));
	fakehost_param_clear(fh, "rndc_timeout");
	fakehost_param(fh, "rndc_timeout", "300ms");
	ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_TRANSIENT);
	ck_says(fh, "has not ended in");
	close(fd);
	fakehost_param_clear(fh, "rndc_timeout");
	fakehost_param(fh, "rndc_timeout", "20s");
	ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_TRANSIENT);
	ck_says(fh, "connection refused");
	ck_assert_str_eq(file_text("db.contoso"), contoso);
}
END_TEST

START_TEST(a_server_that_is_down_is_said_before_anything_is_touched)
{
	on_zone(fh, "contoso.example.", "db.contoso");
	fakehost_param(fh, "record", "sip A 10.2.0.1");
	named_halt(&server);
	ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_TRANSIENT);
	fakehost_param_clear(fh, "reload");
	fakehost_param(fh, "reload", "none");
	ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_TRANSIENT);
	ck_says(fh, "cannot see what is served now");
	ck_call(fh, FAKEHOST_APPLY, RESITE_ERR_TRANSIENT);
	ck_assert_str_eq(file_text("db.contoso"), contoso);
}
END_TEST

/* --- dynamic zones ------------------------------------------------------------------------------ */

START_TEST(a_dynamic_zone_is_refused)
{
	on_zone(fh, "dyn.example.", "db.dyn");
	fakehost_param(fh, "record", "sip A 10.2.0.1");
	ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	ck_says(fh, "dyn.example. takes dynamic updates");
	fakehost_param_clear(fh, "reload");
	fakehost_param(fh, "reload", "none");
	ck_assert_uint_eq(probe(fh), 1); /* nobody can tell */
	put("db.dyn.jnl", "x");
	ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	ck_says(fh, "there is a journal, .jnl, beside it");
}
END_TEST

static void
update_dyn(const char *line)
{
	char command[300];

	snprintf(command, sizeof(command), "printf 'server 127.0.0.1 %d\\nzone dyn.example\\n%s\\nsend\\n' | nsupdate",
		 server.port, line);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(a_dynamic_zone_is_frozen_edited_and_thawed)
{
	update_dyn("update add other.dyn.example. 60 A 10.5.5.5");
	on_zone(fh, "dyn.example.", "db.dyn");
	fakehost_param(fh, "record", "sip A 10.2.0.1");
	fakehost_param(fh, "dynamic", "freeze");
	ck_assert_uint_eq(probe(fh), 1);
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "without its comments"));
	ck_call(fh, FAKEHOST_APPLY, RESITE_OK);
	verify(fh);
	ck_assert_uint_eq(probe(fh), 0);
	ck_assert_str_eq(dig(&server, "other.dyn.example", "A"), "10.5.5.5");
	update_dyn("update add more.dyn.example. 60 A 10.5.5.6"); /* it is thawed */
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	for (int i = 0; i < 300 && strcmp(dig(&server, "sip.dyn.example", "A"), "10.1.0.10"); i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	ck_assert_str_eq(dig(&server, "sip.dyn.example", "A"), "10.1.0.10");
	ck_assert_str_eq(dig(&server, "more.dyn.example", "A"), "10.5.5.6");
}
END_TEST

START_TEST(a_zone_that_somebody_else_froze_is_left_to_them)
{
	rndc("freeze dyn.example");
	on_zone(fh, "dyn.example.", "db.dyn");
	fakehost_param(fh, "record", "sip A 10.2.0.1");
	fakehost_param(fh, "dynamic", "freeze");
	ck_call(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	ck_says(fh, "frozen by somebody else");
	rndc("thaw dyn.example");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("dns-bind");
	TCase *t = tcase_create("named");

	if (access(NAMED, X_OK) != 0 || access(RNDC, X_OK) != 0) {
		puts("SKIP: no named and rndc");
		return 77;
	}
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_record_is_shown_set_verified_and_then_converged);
	tcase_add_test(t, several_zones_in_one_step);
	tcase_add_test(t, revert_puts_back_values_not_the_file);
	tcase_add_test(t, a_ttl_comes_back_too);
	tcase_add_test(t, an_attempt_that_was_lost_before_the_reload_is_seen);
	tcase_add_test(t, a_serial_that_was_not_raised_is_raised_before_the_reload);
	tcase_add_test(t, ttls_are_lowered_ahead_and_raised_again);
	tcase_add_test(t, an_edit_of_somebody_else_is_a_conflict_or_is_kept);
	tcase_add_test(t, a_server_that_lags_or_lies_is_named);
	tcase_add_test(t, queued_is_not_taken_for_loaded);
	tcase_add_test(t, a_zone_that_named_would_not_load_is_not_written);
	tcase_add_test(t, what_is_refused_is_said_and_changes_nothing);
	tcase_add_test(t, an_override_allows_one_thing_with_its_reason);
	tcase_add_test(t, a_target_in_another_zone_of_the_step_is_seen);
	tcase_add_test(t, another_file_than_nameds_is_refused);
	tcase_add_test(t, rndc_that_cannot_is_heard);
	tcase_add_test(t, a_server_that_is_down_is_said_before_anything_is_touched);
	tcase_add_test(t, a_dynamic_zone_is_refused);
	tcase_add_test(t, a_dynamic_zone_is_frozen_edited_and_thawed);
	tcase_add_test(t, a_zone_that_somebody_else_froze_is_left_to_them);
	suite_add_tcase(s, t);
	return run_suite(s);
}
