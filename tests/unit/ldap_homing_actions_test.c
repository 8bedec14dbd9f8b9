/* ldap-homing against a real slapd: who is moved and who is left, and the actions for what
 * is homed besides users. */
#define _GNU_SOURCE
#include "config.h"

#include "tests/unit/homing_checks.h"
#include "tests/unit/run_suite.h"
#include "tests/unit/slapd_rig.h"

#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#define USERS 40
#define RTC "CN=RTC Service,CN=Services,CN=Configuration," RIG_SUFFIX

static struct fakehost *
host_of(const struct rig *r, const char *action)
{
	struct fakehost *fh = action_host(action);

	fakehost_param(fh, "server", r->url);
	fakehost_param(fh, "allow_plaintext", "true");
	fakehost_param(fh, "bind_dn", RIG_MOVER);
	fakehost_param(fh, "password", "pw");
	fakehost_secret(fh, "pw", RIG_PASSWORD);
	return fh;
}

static struct fakehost *
mover(const struct rig *r)
{
	struct fakehost *fh = host_of(r, "move");

	fakehost_param(fh, "base", RIG_SUFFIX);
	fakehost_param(fh, "from", RIG_FROM);
	fakehost_param(fh, "to", RIG_TO);
	return fh;
}

static void
write_file(const struct rig *r, const char *name, const char *text, char path[160])
{
	FILE *f;

	snprintf(path, 160, "%s/%s", r->dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static char *
read_file(const char *path)
{
	char *text = calloc(1, 100000);
	FILE *f = fopen(path, "r");

	ck_assert_msg(f != NULL, "%s is not there", path);
	ck_assert_uint_lt(fread(text, 1, 99999, f), 99999);
	fclose(f);
	return text;
}

static unsigned
lines_with(const char *text, const char *part)
{
	unsigned n = 0;

	while ((text = strstr(text, part))) {
		n++;
		text += strlen(part);
	}
	return n;
}

/* probe, apply, verify, probe: as the core does it; n: who is to go. */
static void
full_turn(struct fakehost *fh, unsigned n)
{
	call_is(fh, FAKEHOST_CHECK, RESITE_OK);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, n);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	output_is(fh, "moved", n);
	call_is(fh, FAKEHOST_VERIFY, RESITE_OK);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
}

/* --- who goes and who stays ------------------------------------------------------- */

START_TEST(whom_a_filter_or_a_file_excludes_stays_and_is_reported_with_the_reason)
{
	struct rig *r = rig_new(USERS, false);
	struct fakehost *fh = mover(r);
	char path[160], *report;

	write_file(r, "exclude.txt", "# the board\nsip:U00020@contoso.example\r\nnobody@contoso.example\n",
		   path);
	set_param(fh, "filter", "(!(cn=User 1))");
	set_param(fh, "exclude", "(|(cn=User 10)(cn=User 11))");
	set_param(fh, "exclude_file", path);
	snprintf(path, sizeof(path), "%s/report", r->dir);
	set_param(fh, "report", path);
	full_turn(fh, USERS - 4);
	text_has(fakehost_state(fh)->now, "4 stay there (1 do not match filter, 3 excluded)");
	text_has(fakehost_logs(fh), "exclude_file: 1 of 2 addresses belong to nobody");
	text_has(fakehost_logs(fh), "nobody@contoso.example");
	output_is(fh, "stayed", 4);
	output_is(fh, "excluded", 4);
	ck_assert_uint_eq(rig_count(r, RIG_FROM), 4);
	report = read_file(path);
	ck_assert_uint_eq(lines_with(report, "\n"), 5);
	ck_assert_uint_eq(lines_with(report, "\"why\":\"excluded\""), 3);
	text_has(report, "{\"why\":\"filter\",\"dn\":\"uid=u00001,ou=Staff,dc=contoso,dc=example\","
			 "\"address\":\"sip:u00001@contoso.example\"}\n");
	text_has(report, "{\"why\":\"not-found\",\"address\":\"nobody@contoso.example\","
			 "\"detail\":\"exclude_file\"}\n");
	free(report);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(only_those_in_the_users_file_move_and_a_retry_does_not_miss_them)
{
	struct rig *r = rig_new(USERS, false);
	struct fakehost *fh = mover(r);
	char path[160];

	write_file(r, "users.txt", "u00003@contoso.example\nu00004@CONTOSO.example\n", path);
	set_param(fh, "users_file", path);
	full_turn(fh, 2);
	output_is(fh, "unlisted", USERS - 2);
	ck_assert_ptr_null(strstr(fakehost_logs(fh), "belong to nobody"));
	ck_assert_uint_eq(fakehost_state(fh)->total, 2);
	ck_assert_uint_eq(rig_count(r, RIG_TO), 2);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(a_filter_the_server_cannot_decide_is_an_error_and_not_nobody)
{
	static const char *const params[] = {"filter", "exclude"};

	for (size_t i = 0; i < 2; i++) {
		struct rig *r = rig_new(USERS, false);
		struct fakehost *fh = mover(r);

		set_param(fh, params[i], "(|(cn=x)(departmnt;x=sales))");
		call_is(fh, FAKEHOST_CHECK, RESITE_OK);
		call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
		failure_has(fh, "does not know: departmnt");
		set_param(fh, params[i], "(msRTCSIP-TargetHomeServer=no DN)");
		call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
		failure_has(fh, "for 40 of those on");
		failure_has(fh, params[i]);
		call_is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
		ck_assert_uint_eq(rig_count(r, RIG_FROM), USERS);
		fakehost_free(fh);
		rig_free(r);
	}
}
END_TEST

START_TEST(users_in_the_middle_of_a_move_are_left_or_stop_all_as_the_plan_says)
{
	struct rig *r = rig_new(USERS, false);
	struct fakehost *fh = mover(r);
	char path[160], *report;

	rig_set(r, 3, "msRTCSIP-TargetHomeServer", RIG_THIRD);
	rig_set(r, 5, "msRTCSIP-TargetHomeServer", RIG_THIRD);
	set_param(fh, "mid_move", "refuse");
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	failure_has(fh, "2 users are in the middle of another move");
	failure_has(fh, "u00003");
	failure_has(fh, "u00005");
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
	ck_assert_uint_eq(rig_count(r, RIG_FROM), USERS);
	snprintf(path, sizeof(path), "%s/report", r->dir);
	set_param(fh, "report", path);
	set_param(fh, "mid_move", "leave");
	full_turn(fh, USERS - 2);
	text_has(fakehost_losses(fh), "2 users are in the middle of another move "
				      "(msRTCSIP-TargetHomeServer is set), and stay");
	output_is(fh, "mid_move", 2);
	report = read_file(path);
	ck_assert_uint_eq(lines_with(report, "\"why\":\"mid-move\""), 2);
	free(report);
	set_param(fh, "mid_move", "move");
	full_turn(fh, 2);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(more_than_the_new_home_can_carry_is_refused_before_the_first_change)
{
	struct rig *r = rig_new(USERS, false);
	struct fakehost *fh = mover(r);

	rig_set(r, 1, "msRTCSIP-PrimaryHomeServer", RIG_TO);
	rig_set(r, 2, "msRTCSIP-PrimaryHomeServer", RIG_TO);
	set_param(fh, "capacity", "39");
	for (int phase = FAKEHOST_PROBE; phase <= FAKEHOST_APPLY; phase++) {
		call_is(fh, (enum fakehost_phase)phase, RESITE_ERR_REFUSED);
		failure_has(fh, "room for 39 (capacity), 2 are on it and 38 would come: 1 too many");
	}
	ck_assert_uint_eq(rig_count(r, RIG_FROM), USERS - 2);
	/* Those on it count though the filter does not speak of them. */
	set_param(fh, "filter", "(!(|(cn=User 1)(cn=User 2)))");
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	failure_has(fh, "2 are on it and 38 would come");
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
	set_param(fh, "filter", NULL);
	set_param(fh, "capacity", "40");
	full_turn(fh, USERS - 2);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(a_refused_user_is_in_the_report_once_with_the_servers_words)
{
	struct rig *r = rig_new(USERS, true);
	struct fakehost *fh = mover(r);
	char path[160], *report;

	snprintf(path, sizeof(path), "%s/report", r->dir);
	set_param(fh, "report", path);
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
	report = read_file(path);
	ck_assert_uint_eq(lines_with(report, "\n"), 1);
	text_has(report, "{\"why\":\"refused\",\"dn\":\"uid=u00007,");
	text_has(report, "\"address\":\"sip:u00007@contoso.example\"");
	text_has(report, "Insufficient access");
	output_is(fh, "stayed", 1);
	free(report);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(a_report_that_cannot_be_written_is_known_before_the_first_change)
{
	struct rig *r = rig_new(USERS, false);
	struct fakehost *fh = mover(r);
	char path[160], line[200];

	set_param(fh, "report", "/nowhere/at/all");
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_INVALID);
	failure_has(fh, "/nowhere/at/all");
	failure_has(fh, "nobody was moved");
	ck_assert_uint_eq(rig_count(r, RIG_FROM), USERS);
	/* A name that a folder has is found at the end alone: all moved, and still it is said. */
	snprintf(path, sizeof(path), "%s/folder", r->dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	set_param(fh, "report", path);
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_TRANSIENT);
	failure_has(fh, "folder");
	ck_assert_uint_eq(rig_count(r, RIG_TO), USERS);
	snprintf(line, sizeof(line), "! ls %s/folder.* 2>/dev/null", r->dir);
	ck_assert_int_eq(system(line), 0); /* nothing is left lying about */
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

static const struct {
	const char *param, *value, *says;
} bad_params[] = {
	{"filter", "(a=b", "at character 5"},
	{"exclude", "a=b", "at character 1"},
	{"base", "nonsense", "is not a DN"},
	{"attribute", "a b", "schema"},
	{"address_attribute", "a)(b", "schema"},
	{"users_file", "/nowhere", "No such file"},
	{"exclude_file", "/", "Is a directory"},
};

START_TEST(a_parameter_that_cannot_be_meant_is_named)
{
	struct rig *r = rig_new(1, false);
	struct fakehost *fh = mover(r);
	int rc;

	set_param(fh, bad_params[_i].param, bad_params[_i].value);
	rc = fakehost_call(fh, FAKEHOST_CHECK);
	if (rc == RESITE_OK) /* check does no I/O */
		rc = fakehost_call(fh, FAKEHOST_PROBE);
	ck_assert_int_eq(rc, RESITE_ERR_INVALID);
	failure_has(fh, bad_params[_i].says);
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_INVALID);
	ck_assert_uint_eq(rig_count(r, RIG_FROM), 1);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

/* --- contacts-objects --------------------------------------------------------------- */

static const char objects[] =
	"dn: cn=Application Contacts," RTC "\nobjectClass: applicationProcess\n\n"
	"dn: cn=Attendant,cn=Application Contacts," RTC "\nobjectClass: applicationProcess\n"
	"objectClass: msRTCSIP-UserAux\nmsRTCSIP-PrimaryHomeServer: " RIG_FROM "\n\n"
	"dn: cn=Sales Group,cn=Application Contacts," RTC "\nobjectClass: applicationProcess\n"
	"objectClass: msRTCSIP-UserAux\nmsRTCSIP-PrimaryHomeServer: " RIG_FROM "\n\n"
	"dn: cn=Other,cn=Application Contacts," RTC "\nobjectClass: applicationProcess\n"
	"objectClass: msRTCSIP-UserAux\nmsRTCSIP-PrimaryHomeServer: " RIG_THIRD "\n\n"
	"dn: cn=Directory 1," RTC "\nobjectClass: msRTCSIP-ConferenceDirectory\n"
	"msRTCSIP-ConferenceDirectoryHomePool: pool-one\n\n";

static struct fakehost *
objects_host(struct rig *r)
{
	struct fakehost *fh = host_of(r, "contacts-objects");

	rig_ldif(r, objects);
	fakehost_param(fh, "base", RTC);
	fakehost_param(fh, "from", RIG_FROM);
	fakehost_param(fh, "to", RIG_TO);
	fakehost_param(fh, "directory_from", "Pool-One");
	fakehost_param(fh, "directory_to", "pool-two");
	return fh;
}

static void
directory_is(struct rig *r, const char *pool)
{
	char *value = rig_value(r, "cn=Directory 1," RTC, "msRTCSIP-ConferenceDirectoryHomePool");

	ck_assert_str_eq(value, pool);
	free(value);
}

START_TEST(contacts_and_conference_directories_move_and_undo_brings_them_back)
{
	struct rig *r = rig_new(2, false);
	struct fakehost *fh = objects_host(r);

	call_is(fh, FAKEHOST_CHECK, RESITE_OK);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 3);
	text_has(fakehost_state(fh)->now, "2 application contacts to move");
	text_has(fakehost_state(fh)->now, "1 conference directories to move");
	full_turn(fh, 3);
	ck_assert_uint_eq(fakehost_state(fh)->total, 3);
	directory_is(r, "pool-two");
	ck_assert_uint_eq(rig_count(r, RIG_TO), 2);
	ck_assert_uint_eq(rig_count(r, RIG_FROM), 2); /* the users, who are not under base */
	ck_assert_uint_eq(rig_count(r, RIG_THIRD), 1);
	revert_is(fh, RESITE_LOOK, RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 3);
	revert_is(fh, RESITE_PUT_BACK, RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 3);
	directory_is(r, "pool-one");
	ck_assert_uint_eq(rig_count(r, RIG_FROM), 4);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(without_a_base_a_server_that_names_no_configuration_is_told_of)
{
	struct rig *r = rig_new(2, false);
	struct fakehost *fh = objects_host(r);

	set_param(fh, "base", NULL);
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_INVALID);
	failure_has(fh, "configurationNamingContext");
	failure_has(fh, "say in base");
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

/* --- find-pool ------------------------------------------------------------------------ */

static struct fakehost *
finder(const struct rig *r, const char *pool)
{
	struct fakehost *fh = host_of(r, "find-pool");

	fakehost_param(fh, "base", "CN=Pools," RTC);
	fakehost_param(fh, "pool", pool);
	call_is(fh, FAKEHOST_CHECK, RESITE_OK);
	return fh;
}

START_TEST(a_pool_is_found_by_its_name_or_it_is_said_why_not)
{
	struct rig *r = rig_new(2, false);
	struct fakehost *fh = finder(r, "Pool02.contoso.example");

	call_is(fh, FAKEHOST_VERIFY, RESITE_OK);
	ck_assert(strcasecmp(fakehost_output(fh, "dn"),
			     "cn=Lc Services,cn=Microsoft,cn=2:1,cn=Pools," RTC) == 0);
	fakehost_free(fh);
	fh = finder(r, "pool09.contoso.example");
	call_is(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED);
	failure_has(fh, "there is no pool pool09.contoso.example under");
	ck_assert_ptr_null(fakehost_output(fh, "dn"));
	fakehost_free(fh);
	rig_ldif(r, "dn: cn=4:1,cn=Pools," RTC "\nobjectClass: msRTCSIP-Pool\n"
		    "dNSHostName: pool02.contoso.example\n\n"
		    "dn: cn=5:1,cn=Pools," RTC "\nobjectClass: msRTCSIP-Pool\n"
		    "dNSHostName: pool05.contoso.example\n\n");
	fh = finder(r, "pool02.contoso.example");
	call_is(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED);
	failure_has(fh, "2 entries");
	failure_has(fh, "cn=4:1");
	fakehost_free(fh);
	fh = finder(r, "pool05.contoso.example");
	call_is(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED);
	failure_has(fh, "there is no home of pool pool05.contoso.example");
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

/* --- count ---------------------------------------------------------------------------- */

#define ARCHIVED "(&(msRTCSIP-PrimaryHomeServer=" RIG_FROM ")(msRTCSIP-ArchivingEnabled:1.2.840.113556.1.4.804:=12))"

START_TEST(entries_are_counted_and_what_cannot_be_decided_or_listed_is_not_none)
{
	static const struct {
		const char *who, *filter, *says;
	} bad[] = {
		{RIG_MOVER, "(departmnt=x)", "does not know: departmnt"},
		{RIG_MOVER, "(&(cn=nobody)(msRTCSIP-TargetHomeServer=no DN))", "for nobody"},
		{RIG_MOVER, "(msRTCSIP-ArchivingEnabled:1.2.3.4:=12)", "for nobody"},
		{RIG_LIMITED, "(objectClass=*)", "Size limit exceeded (4)"},
	};
	struct rig *r = rig_new(1200, false);
	struct fakehost *fh = host_of(r, "count");

	fakehost_param(fh, "base", RIG_SUFFIX);
	fakehost_param(fh, "filter", ARCHIVED);
	call_is(fh, FAKEHOST_CHECK, RESITE_OK);
	call_is(fh, FAKEHOST_VERIFY, RESITE_OK);
	output_is(fh, "count", 0);
	rig_set(r, 3, "msRTCSIP-ArchivingEnabled", "4");
	rig_set(r, 4, "msRTCSIP-ArchivingEnabled", "8");
	call_is(fh, FAKEHOST_VERIFY, RESITE_OK);
	output_is(fh, "count", 2);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		set_param(fh, "bind_dn", bad[i].who);
		set_param(fh, "filter", bad[i].filter);
		call_is(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED);
		failure_has(fh, bad[i].says);
	}
	set_param(fh, "bind_dn", RIG_MOVER);
	set_param(fh, "filter", "(uid=u*)");
	rig_add_referral(r, "ldap://other.example/ou=Elsewhere,dc=other");
	call_is(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED);
	failure_has(fh, "ldap://other.example/");
	set_param(fh, "referrals", "skip");
	call_is(fh, FAKEHOST_VERIFY, RESITE_OK);
	output_is(fh, "count", 1200);
	set_param(fh, "filter", "(uid=u*");
	call_is(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

/* --- cms ------------------------------------------------------------------------------ */

#define SETTING "cn=CMS," RTC

static void
add_setting(struct rig *r, const char *cn, const char *value)
{
	char ldif[600];

	snprintf(ldif, sizeof(ldif), "dn: cn=%s," RTC "\nobjectClass: msRTCSIP-GlobalTopologySetting\n%s%s\n",
		 cn, value ? "msRTCSIP-BackEndServer: " : "", value ? value : "");
	rig_ldif(r, ldif);
}

static struct fakehost *
cms(const struct rig *r, const char *set_to)
{
	struct fakehost *fh = host_of(r, "cms");

	fakehost_param(fh, "base", RTC);
	fakehost_param(fh, "lost", "se01.contoso.example");
	fakehost_param(fh, "surviving", "dr01.contoso.example");
	set_param(fh, "set_to", set_to);
	call_is(fh, FAKEHOST_CHECK, RESITE_OK);
	return fh;
}

static void
pointer_is(struct rig *r, const char *value)
{
	char *is = rig_value(r, SETTING, "msRTCSIP-BackEndServer");

	ck_assert_str_eq(is, value);
	free(is);
}

START_TEST(the_pointer_of_a_lost_store_is_moved_and_undone)
{
	struct rig *r = rig_new(1, false);
	struct fakehost *fh;
	size_t n;

	add_setting(r, "CMS", "SE01.contoso.example\\rtc");
	fh = cms(r, "dr01.contoso.example\\rtc");
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	ck_assert_str_eq(fakehost_changes(fh, &n)[0].will_be, "dr01.contoso.example\\rtc");
	ck_assert_str_eq(fakehost_output(fh, "surviving"), "false");
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	pointer_is(r, "dr01.contoso.example\\rtc");
	call_is(fh, FAKEHOST_VERIFY, RESITE_OK);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	text_has(fakehost_undos(fh, &n)[0].by_hand, "dr01.contoso.example\\rtc");
	ck_assert_uint_eq(n, 1);
	revert_is(fh, RESITE_PUT_BACK, RESITE_OK);
	pointer_is(r, "SE01.contoso.example\\rtc");
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(without_set_to_a_lost_store_is_a_gate_that_says_what_to_type)
{
	struct rig *r = rig_new(1, false);
	struct fakehost *fh;

	add_setting(r, "CMS", "se01.contoso.example\\rtc");
	fh = cms(r, NULL);
	for (int phase = FAKEHOST_PROBE; phase <= FAKEHOST_APPLY; phase++) {
		call_is(fh, (enum fakehost_phase)phase, RESITE_ERR_REFUSED);
		failure_has(fh, "se01.contoso.example\\rtc\", which is lost");
		failure_has(fh, "Move-CsManagementServer");
		failure_has(fh, "set_to");
	}
	pointer_is(r, "se01.contoso.example\\rtc");
	rig_ldif(r, "dn: " SETTING "\nchangetype: modify\nreplace: msRTCSIP-BackEndServer\n"
		    "msRTCSIP-BackEndServer: Dr01.Contoso.Example\\lync\n");
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	call_is(fh, FAKEHOST_VERIFY, RESITE_OK);
	rig_ldif(r, "dn: " SETTING "\nchangetype: modify\nreplace: msRTCSIP-BackEndServer\n"
		    "msRTCSIP-BackEndServer: dr01.contoso.example.evil\\lync\n");
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	failure_has(fh, "neither among lost nor among surviving");
	call_is(fh, FAKEHOST_VERIFY, RESITE_ERR_CONFLICT);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

/* Between the read and the change: at the sync of the undo record. */
static void
meddle(void *arg)
{
	rig_ldif(arg, "dn: " SETTING "\nchangetype: modify\nreplace: msRTCSIP-BackEndServer\n"
		      "msRTCSIP-BackEndServer: third.contoso.example\\rtc\n");
}

START_TEST(a_pointer_that_somebody_moves_meanwhile_is_left_alone)
{
	struct rig *r = rig_new(1, false);
	struct fakehost *fh;

	add_setting(r, "CMS", "se01.contoso.example\\rtc");
	fh = cms(r, "dr01.contoso.example\\rtc");
	fakehost_on_sync(fh, meddle, r);
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_CONFLICT);
	pointer_is(r, "third.contoso.example\\rtc");
	fakehost_on_sync(fh, NULL, NULL);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(no_pointer_two_pointers_and_an_empty_one_are_told_apart)
{
	struct rig *r = rig_new(1, false);
	struct fakehost *fh = cms(r, NULL);

	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	failure_has(fh, "no entry of class");
	add_setting(r, "CMS", NULL);
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	failure_has(fh, "has no msRTCSIP-BackEndServer");
	add_setting(r, "CMS2", "dr01.contoso.example\\rtc");
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	failure_has(fh, "2 entries");
	failure_has(fh, "CMS2");
	set_param(fh, "surviving", NULL);
	call_is(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID);
	set_param(fh, "surviving", "se01.contoso.example");
	call_is(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID);
	failure_has(fh, "among the lost");
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ldap_homing_actions");
	TCase *tc = tcase_create("slapd");

	if (!rig_possible()) {
		puts("skipped: slapd is not installed (apt-get install slapd)");
		return 77;
	}
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, whom_a_filter_or_a_file_excludes_stays_and_is_reported_with_the_reason);
	tcase_add_test(tc, only_those_in_the_users_file_move_and_a_retry_does_not_miss_them);
	tcase_add_test(tc, a_filter_the_server_cannot_decide_is_an_error_and_not_nobody);
	tcase_add_test(tc, users_in_the_middle_of_a_move_are_left_or_stop_all_as_the_plan_says);
	tcase_add_test(tc, more_than_the_new_home_can_carry_is_refused_before_the_first_change);
	tcase_add_test(tc, a_refused_user_is_in_the_report_once_with_the_servers_words);
	tcase_add_test(tc, a_report_that_cannot_be_written_is_known_before_the_first_change);
	tcase_add_loop_test(tc, a_parameter_that_cannot_be_meant_is_named, 0,
			    sizeof(bad_params) / sizeof(bad_params[0]));
	tcase_add_test(tc, contacts_and_conference_directories_move_and_undo_brings_them_back);
	tcase_add_test(tc, without_a_base_a_server_that_names_no_configuration_is_told_of);
	tcase_add_test(tc, a_pool_is_found_by_its_name_or_it_is_said_why_not);
	tcase_add_test(tc, entries_are_counted_and_what_cannot_be_decided_or_listed_is_not_none);
	tcase_add_test(tc, the_pointer_of_a_lost_store_is_moved_and_undone);
	tcase_add_test(tc, without_set_to_a_lost_store_is_a_gate_that_says_what_to_type);
	tcase_add_test(tc, a_pointer_that_somebody_moves_meanwhile_is_left_alone);
	tcase_add_test(tc, no_pointer_two_pointers_and_an_empty_one_are_told_apart);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
