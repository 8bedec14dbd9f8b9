/* ldap-homing against a real Active Directory domain controller (Samba, lab/samba): no
 * transactions, references from the root, a target that must exist, Kerberos. */
#define _GNU_SOURCE
#include "config.h"

#include "tests/unit/homing_checks.h"
#include "tests/unit/run_suite.h"

#include <ldap.h>
#include <stdint.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define HOME_ATTRIBUTE "msRTCSIP-PrimaryHomeServer"
#define MOVER "mover@ad.contoso.example"
#define READER "reader@ad.contoso.example"

/* Cyrus SASL 2.1 forgets Kerberos credentials when it was given a channel binding: what is
 * allocated in the call is not ours to free. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#define FORGETFUL(call) (__lsan_disable(), rc = (call), __lsan_enable())
#else
#define FORGETFUL(call) (rc = (call))
#endif

static const char *
env(const char *name)
{
	const char *value = getenv(name);

	ck_assert_msg(value != NULL, "%s is not set: lab/samba with ... sets it", name);
	return value;
}

static unsigned
users(void)
{
	return (unsigned)strtoul(env("SAMBA_USERS"), NULL, 10);
}

/* text below the root of the domain, in the caller's out. */
static char *
dn(char out[300], const char *text)
{
	snprintf(out, 300, "%s,%s", text, env("SAMBA_ROOT"));
	return out;
}

#define RTC "CN=RTC Service,CN=Services,CN=Configuration"
#define POOL(id) "CN=Lc Services,CN=Microsoft,CN=" id ",CN=Pools," RTC

static struct fakehost *
host_of(const char *action, const char *scheme)
{
	struct fakehost *fh = action_host(action);
	char url[100];

	snprintf(url, sizeof(url), "%s://%s", scheme, env("SAMBA_ADDRESS"));
	fakehost_param(fh, "server", url);
	fakehost_param(fh, "ca_file", env("SAMBA_CA_FILE"));
	fakehost_secret(fh, "pw", env("SAMBA_PASSWORD"));
	fakehost_secret(fh, "wrong", "not-the-word");
	return fh;
}

static struct fakehost *
as_mover(const char *action)
{
	struct fakehost *fh = host_of(action, "ldaps");

	fakehost_param(fh, "bind_dn", MOVER);
	fakehost_param(fh, "password", "pw");
	return fh;
}

static void
name_homes(struct fakehost *fh, const char *from, const char *to)
{
	char text[300];

	set_param(fh, "from", dn(text, from));
	set_param(fh, "to", dn(text, to));
}

static struct fakehost *
mover(void)
{
	struct fakehost *fh = as_mover("move");

	fakehost_param(fh, "base", env("SAMBA_ROOT"));
	fakehost_param(fh, "referrals", "skip");
	name_homes(fh, POOL("1:1"), POOL("2:1"));
	return fh;
}

/* LDIF to the server, by the tool that a person would take. */
static void
meddle(const char *ldif)
{
	char line[2000];

	snprintf(line, sizeof(line),
		 "printf '%%s\\n' '%s' | LDAPTLS_CACERT=%s ldapmodify -x -H ldaps://%s -D %s -w %s >/dev/null",
		 ldif, env("SAMBA_CA_FILE"), env("SAMBA_ADDRESS"), MOVER, env("SAMBA_PASSWORD"));
	ck_assert_int_eq(system(line), 0);
}

static void
set_home(unsigned user, const char *home)
{
	char ldif[900], to[300];

	snprintf(ldif, sizeof(ldif),
		 "dn: CN=User %05u,OU=Staff,%s\nchangetype: modify\nreplace: " HOME_ATTRIBUTE "\n"
		 HOME_ATTRIBUTE ": %s\n", user, env("SAMBA_ROOT"), dn(to, home));
	meddle(ldif);
}

/* --- binds -------------------------------------------------------------------------- */

enum who { NOBODY, WITH_PASSWORD, WITH_WRONG_PASSWORD, WITH_KEYTAB, WITH_CACHE, WITH_NOTHING };

static const struct {
	const char *scheme, *tls, *plain, *server_name; /* server_name "=": the right one */
	enum who who;
	int rc;
	const char *says; /* of the failure */
} binds[] = {
	{"ldaps", "auto", "false", NULL, WITH_PASSWORD, RESITE_OK, NULL},
	{"ldaps", "auto", "false", "=", WITH_PASSWORD, RESITE_OK, NULL},
	{"ldaps", "auto", "false", "dc9.contoso.example", WITH_PASSWORD, RESITE_ERR_REFUSED,
	 "does not match"},
	{"ldap", "starttls", "false", NULL, WITH_PASSWORD, RESITE_OK, NULL},
	{"ldap", "auto", "false", NULL, WITH_PASSWORD, RESITE_OK, NULL},
	{"ldap", "never", "false", NULL, WITH_PASSWORD, RESITE_ERR_INVALID, "would go unencrypted"},
	{"ldap", "never", "true", NULL, WITH_PASSWORD, RESITE_ERR_REFUSED,
	 "Strong(er) authentication required (8)"},
	{"ldaps", "auto", "false", NULL, WITH_WRONG_PASSWORD, RESITE_ERR_REFUSED,
	 "Invalid credentials (49)"},
	{"ldaps", "auto", "false", NULL, NOBODY, RESITE_ERR_REFUSED, "without authentication"},
	{"ldap", "auto", "false", "=", WITH_KEYTAB, RESITE_OK, NULL},
	{"ldaps", "auto", "false", "=", WITH_KEYTAB, RESITE_OK, NULL},
	{"ldap", "starttls", "false", "=", WITH_KEYTAB, RESITE_OK, NULL},
	{"ldap", "auto", "false", "=", WITH_CACHE, RESITE_OK, NULL},
	{"ldap", "auto", "false", NULL, WITH_KEYTAB, RESITE_ERR_INVALID, "give server_name"},
	{"ldap", "auto", "false", "dc9.contoso.example", WITH_KEYTAB, RESITE_ERR_REFUSED,
	 "ldap/dc9.contoso.example"},
	{"ldap", "auto", "false", "=", WITH_NOTHING, RESITE_ERR_INVALID, "No such file"},
};

static void
name_who(struct fakehost *fh, enum who who)
{
	char path[200], line[700];

	if (who == NOBODY)
		return;
	if (who == WITH_PASSWORD || who == WITH_WRONG_PASSWORD) {
		fakehost_param(fh, "bind_dn", MOVER);
		fakehost_param(fh, "password", who == WITH_PASSWORD ? "pw" : "wrong");
		return;
	}
	fakehost_param(fh, "sasl", "gssapi");
	if (who == WITH_KEYTAB)
		fakehost_param(fh, "keytab", env("SAMBA_KEYTAB"));
	snprintf(path, sizeof(path), "%s/tls/cache", env("SAMBA_DIR"));
	if (who == WITH_NOTHING)
		fakehost_param(fh, "credential_cache", "/nowhere/cache");
	if (who != WITH_CACHE)
		return;
	snprintf(line, sizeof(line), "KRB5CCNAME=FILE:%s kinit -k -t %s mover", path, env("SAMBA_KEYTAB"));
	ck_assert_int_eq(system(line), 0);
	fakehost_param(fh, "credential_cache", path);
}

START_TEST(every_bind_works_or_says_why_not)
{
	struct fakehost *fh = host_of("find-pool", binds[_i].scheme);
	const char *name = binds[_i].server_name;
	int rc;

	fakehost_param(fh, "pool", "pool01.contoso.example");
	fakehost_param(fh, "tls", binds[_i].tls);
	fakehost_param(fh, "allow_plaintext", binds[_i].plain);
	if (name)
		fakehost_param(fh, "server_name", *name == '=' ? env("SAMBA_HOST") : name);
	name_who(fh, binds[_i].who);
	FORGETFUL(fakehost_call(fh, FAKEHOST_VERIFY));
	ck_assert_msg(rc == binds[_i].rc, "%d: %s", rc, fakehost_failure(fh));
	if (binds[_i].says)
		failure_has(fh, binds[_i].says);
	ck_assert_ptr_null(strstr(fakehost_failure(fh), "not-the-word"));
	fakehost_free(fh);
}
END_TEST

START_TEST(a_keytab_leaves_the_environment_and_the_disk_as_they_were)
{
	struct fakehost *fh = host_of("find-pool", "ldap");

	unsetenv("KRB5CCNAME");
	setenv("KRB5_CLIENT_KTNAME", "FILE:/mine", 1);
	fakehost_param(fh, "pool", "pool01.contoso.example");
	fakehost_param(fh, "server_name", env("SAMBA_HOST"));
	name_who(fh, WITH_KEYTAB);
	call_is(fh, FAKEHOST_VERIFY, RESITE_OK);
	ck_assert_ptr_null(getenv("KRB5CCNAME"));
	ck_assert_str_eq(getenv("KRB5_CLIENT_KTNAME"), "FILE:/mine");
	fakehost_free(fh);
}
END_TEST

START_TEST(a_pin_is_the_certificate_of_the_domain_controller)
{
	struct fakehost *fh = as_mover("find-pool");
	char line[400], hex[200];
	FILE *f;

	snprintf(line, sizeof(line), "openssl x509 -in %s -noout -fingerprint -sha256 | cut -d= -f2",
		 env("SAMBA_CERT_FILE"));
	f = popen(line, "r");
	ck_assert_ptr_nonnull(fgets(hex, sizeof(hex), f));
	pclose(f);
	hex[strcspn(hex, "\n")] = '\0';
	fakehost_param(fh, "pool", "pool01.contoso.example");
	fakehost_param(fh, "pin", hex);
	call_is(fh, FAKEHOST_VERIFY, RESITE_OK);
	hex[0] = hex[0] == '0' ? '1' : '0';
	set_param(fh, "pin", hex);
	call_is(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED);
	failure_has(fh, "no password was sent");
	fakehost_free(fh);
}
END_TEST

/* --- move --------------------------------------------------------------------------- */

/* A search from the root of a domain is told of three other parts. */
START_TEST(all_move_from_the_root_of_the_domain_and_back)
{
	struct fakehost *fh = mover();
	struct timespec a, b;

	set_param(fh, "referrals", "fail");
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	failure_has(fh, "referrals = \"skip\"");
	set_param(fh, "referrals", "skip");
	set_param(fh, "page_size", "100");
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, users());
	clock_gettime(CLOCK_MONOTONIC, &a);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%u users in %.2f s\n", users(),
	       (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
	output_is(fh, "moved", users());
	output_is(fh, "transactions", 0);
	text_has(fakehost_logs(fh), "the server offers no transactions");
	call_is(fh, FAKEHOST_VERIFY, RESITE_OK);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	revert_is(fh, RESITE_LOOK, RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), users());
	revert_is(fh, RESITE_PUT_BACK, RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), users());
	revert_is(fh, RESITE_PUT_BACK, RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_ALREADY), users());
	fakehost_free(fh);
}
END_TEST

START_TEST(a_home_that_does_not_exist_is_refused_by_us_and_by_the_server)
{
	struct fakehost *fh = mover();

	name_homes(fh, POOL("1:1"), POOL("9:1"));
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
	failure_has(fh, "does not exist there");
	set_param(fh, "require_target", "false");
	set_param(fh, "filter", "(department=board)");
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
	failure_has(fh, "Constraint violation (19)");
	output_is(fh, "moved", 0);
	fakehost_free(fh);
}
END_TEST

START_TEST(who_may_not_write_is_told_so_and_nobody_moves)
{
	struct fakehost *fh = mover();

	set_param(fh, "bind_dn", READER);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, users());
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
	failure_has(fh, "Insufficient access (50)");
	failure_has(fh, "refused the first 100 changes and made none");
	output_is(fh, "moved", 0);
	fakehost_free(fh);
}
END_TEST

static void
change_one(void *arg)
{
	bool *done = arg;

	if (!*done)
		set_home(20, "OU=Staff");
	*done = true;
}

START_TEST(a_change_by_somebody_else_is_found_by_the_compare_and_swap)
{
	struct fakehost *fh = mover();
	bool done = false;

	set_param(fh, "filter", "(department=board)");
	fakehost_on_sync(fh, change_one, &done);
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_CONFLICT);
	failure_has(fh, "User 00020");
	failure_has(fh, "now OU=Staff");
	output_is(fh, "moved", users() / 10 - 1);
	fakehost_on_sync(fh, NULL, NULL);
	revert_is(fh, RESITE_PUT_BACK, RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_CONFLICT), 1);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), users() / 10 - 1);
	set_home(20, POOL("1:1"));
	fakehost_free(fh);
}
END_TEST

START_TEST(who_is_excluded_or_too_many_stays)
{
	struct fakehost *fh = mover();
	char room[16];

	set_param(fh, "exclude", "(department=board)");
	snprintf(room, sizeof(room), "%u", users() - users() / 10 - 1);
	set_param(fh, "capacity", room);
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	failure_has(fh, "1 too many");
	set_param(fh, "capacity", "0");
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, users() - users() / 10);
	text_has(fakehost_state(fh)->now, " excluded)");
	set_param(fh, "exclude", "(departmnt=board)");
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	failure_has(fh, "an attribute that the server does not know");
	fakehost_free(fh);
}
END_TEST

/* --- what else is homed --------------------------------------------------------------- */

START_TEST(pools_contacts_and_the_pointer_are_found_in_the_configuration_the_server_names)
{
	struct fakehost *fh = as_mover("find-pool");
	char expected[300];

	fakehost_param(fh, "pool", "POOL02.contoso.example");
	call_is(fh, FAKEHOST_VERIFY, RESITE_OK);
	ck_assert(!strcasecmp(fakehost_output(fh, "dn"), dn(expected, POOL("2:1"))));
	fakehost_free(fh);

	fh = as_mover("contacts-objects");
	name_homes(fh, POOL("1:1"), POOL("2:1"));
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 5);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	output_is(fh, "moved", 5);
	call_is(fh, FAKEHOST_VERIFY, RESITE_OK);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	ck_assert_uint_eq(fakehost_state(fh)->total, 5);
	revert_is(fh, RESITE_PUT_BACK, RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 5);
	fakehost_free(fh);

	fh = as_mover("cms");
	fakehost_param(fh, "lost", "se01.contoso.example");
	fakehost_param(fh, "set_to", "dr01.contoso.example\\rtc");
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	call_is(fh, FAKEHOST_VERIFY, RESITE_OK);
	ck_assert_str_eq(fakehost_output(fh, "where"), "dr01.contoso.example\\rtc");
	revert_is(fh, RESITE_PUT_BACK, RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 1);
	fakehost_free(fh);
}
END_TEST

/* --- a domain controller for it --------------------------------------------------------- */

/* lab/samba makes one, runs this program again with its addresses, and removes it. */
static int
under_lab_samba(const char *self)
{
	const char *srcdir = getenv("srcdir");
	char lab[600], dir[] = "/tmp/resite-samba-XXXXXX";

	snprintf(lab, sizeof(lab), "%s/lab/samba", srcdir ? srcdir : ".");
	if (!mkdtemp(dir)) {
		perror("mkdtemp");
		return 1;
	}
	execl("/bin/bash", "bash", lab, "--dir", dir, "with", self, (char *)NULL);
	perror("bash");
	return 1;
}

int
main(int argc, char **argv)
{
	Suite *s;
	TCase *tc;

	(void)argc;
	if (!getenv("SAMBA_ADDRESS"))
		return under_lab_samba(argv[0]);
	s = suite_create("ldap_homing_samba");
	tc = tcase_create("samba");
	setenv("KRB5_CONFIG", getenv("SAMBA_KRB5_CONFIG"), 1);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, every_bind_works_or_says_why_not, 0, sizeof(binds) / sizeof(binds[0]));
	tcase_add_test(tc, a_keytab_leaves_the_environment_and_the_disk_as_they_were);
	tcase_add_test(tc, a_pin_is_the_certificate_of_the_domain_controller);
	tcase_add_test(tc, all_move_from_the_root_of_the_domain_and_back);
	tcase_add_test(tc, a_home_that_does_not_exist_is_refused_by_us_and_by_the_server);
	tcase_add_test(tc, who_may_not_write_is_told_so_and_nobody_moves);
	tcase_add_test(tc, a_change_by_somebody_else_is_found_by_the_compare_and_swap);
	tcase_add_test(tc, who_is_excluded_or_too_many_stays);
	tcase_add_test(tc, pools_contacts_and_the_pointer_are_found_in_the_configuration_the_server_names);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
