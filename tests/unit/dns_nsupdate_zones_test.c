/* dns-nsupdate.set over several zones, under the guard, and by the program nsupdate. */
#include "config.h"

#include "sdk/testkit/fakehost.h"
#include "tests/unit/named_server.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <resite/plugin.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

resite_plugin_v0_fn resite_plugin_v0;

static struct named_server primary;
static struct fakehost *fh;

static struct fakehost *
new_step(void)
{
	struct fakehost *h = fakehost_new(&resite_plugin_v0()->actions[0]);

	fakehost_param(h, "server", primary.at);
	fakehost_param(h, "verify_at", primary.at);
	fakehost_param(h, "key", "tsig");
	fakehost_secret(h, "tsig", KEY_256);
	if (getenv("TRACE"))
		fakehost_trace(h, stderr);
	return h;
}

static void
setup(void)
{
	primary = (struct named_server){.zones = 3};
	named_start(&primary);
	fh = new_step();
}

static void
teardown(void)
{
	fakehost_free(fh);
	named_stop(&primary);
}

#define ck_says(part) \
	ck_assert_msg(strstr(fakehost_failure(fh), part), "'%s' lacks '%s'", fakehost_failure(fh), part)

static void
ck_goes_through(uint64_t changes)
{
	static const enum fakehost_phase phases[] = {FAKEHOST_CHECK, FAKEHOST_PROBE, FAKEHOST_APPLY,
						     FAKEHOST_VERIFY, FAKEHOST_PROBE};

	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		ck_assert_msg(fakehost_call(fh, phases[i]) == RESITE_OK, "phase %zu: %s", i,
			      fakehost_failure(fh));
		if (i == 1)
			ck_assert_uint_eq(fakehost_state(fh)->changes, changes);
	}
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
}

/* --- several zones --------------------------------------------------------------- */

START_TEST(records_of_several_zones_are_set_in_one_step_and_put_back)
{
	fakehost_param(fh, "zone", ZONE ".");
	fakehost_param(fh, "zone", "z0.example.");
	fakehost_param(fh, "zone", "z1.example.");
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	fakehost_param(fh, "record", "sip.z0.example. 60 A 10.2.0.11");
	fakehost_param(fh, "record", "alias.Z1.example. 60 CNAME sip." ZONE ".");
	ck_goes_through(3);
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.2.0.10");
	ck_assert_str_eq(dig(&primary, "sip.z0.example", "A"), "10.2.0.11");
	ck_assert_str_eq(dig(&primary, "alias.z1.example", "CNAME"), "sip." ZONE ".");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 3);
	ck_assert_str_eq(dig(&primary, "sip.z0.example", "A"), "10.1.0.10");
	ck_assert_str_eq(dig(&primary, "alias.z1.example", "CNAME"), "sip.z1.example.");
}
END_TEST

START_TEST(without_zone_the_server_is_asked_for_the_zone_of_each_record)
{
	fakehost_param(fh, "record", "sip." ZONE ". 60 A 10.2.0.10");
	fakehost_param(fh, "record", "new.deep.z0.example. 60 A 10.2.0.11");
	fakehost_param(fh, "record", "alias.z2.example. 60 CNAME sip." ZONE ".");
	ck_goes_through(3);
	ck_assert_str_eq(dig(&primary, "new.deep.z0.example", "A"), "10.2.0.11");
	ck_assert_str_eq(dig(&primary, "alias.z2.example", "CNAME"), "sip." ZONE ".");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_str_eq(dig(&primary, "new.deep.z0.example", "A"), "");
	ck_assert_str_eq(dig(&primary, "alias.z2.example", "CNAME"), "sip.z2.example.");
}
END_TEST

/* 400 records in each of n zones, by $ORIGIN. */
static void
many_records(int n)
{
	char path[128], zone[32];
	FILE *f;

	snprintf(path, sizeof(path), "%s/records", primary.dir);
	f = fopen(path, "w");
	for (int z = 0; z < n; z++) {
		snprintf(zone, sizeof(zone), "z%d.example.", z);
		fakehost_param(fh, "zone", zone);
		fprintf(f, "$ORIGIN %s\n", zone);
		for (int i = 0; i < 400; i++)
			fprintf(f, "h%d 60 A 10.%d.%d.%d\n", i, z + 1, i / 200, i % 200);
	}
	fclose(f);
	fakehost_param(fh, "records_file", path);
	fakehost_param(fh, "batch", "50");
}

START_TEST(a_file_changes_the_zone_by_origin)
{
	many_records(3);
	ck_goes_through(1200);
	ck_assert_str_eq(dig(&primary, "h399.z2.example", "A"), "10.3.1.199");
	ck_assert_str_eq(dig(&primary, "h0.z0.example", "A"), "10.1.0.0");
}
END_TEST

/* BIND refuses the eleventh transfer at a time; the zone would be asked for name by name. */
START_TEST(of_many_zones_each_is_transferred_before_the_change_and_once_after)
{
	fakehost_free(fh);
	named_stop(&primary);
	primary = (struct named_server){.zones = 12};
	named_start(&primary);
	fh = new_step();
	many_records(12);
	ck_goes_through(4800);
	ck_assert_int_eq(named_transfers(&primary), 24);
}
END_TEST

/* The zones are served, but one of them takes no updates of this key. */
START_TEST(a_failure_half_way_says_which_zones_are_done)
{
	char command[300];

	named_halt(&primary);
	snprintf(command, sizeof(command),
		 "sed -i '/zone .z1/s/allow-update { key upd; }/allow-update { none; }/' %s/named.conf",
		 primary.dir);
	ck_assert_int_eq(system(command), 0);
	named_resume(&primary);
	fakehost_param(fh, "record", "sip.z0.example. 60 A 10.2.0.10");
	fakehost_param(fh, "record", "sip.z1.example. 60 A 10.2.0.10");
	fakehost_param(fh, "via", "nsupdate"); /* one message after the other */
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_REFUSED);
	ck_says("1 of 2 RRsets are set: z0.example. 1 of 1, z1.example. 0 of 1");
	ck_says("REFUSED");
}
END_TEST

static const struct {
	const char *zone, *record, *says;
} misplaced[] = {
	{ZONE ".", "sip.z0.example. A 10.2.0.10", "its owner is in none of the zones"},
	{NULL, "sip A 10.2.0.10", "every name must be absolute"},
	{NULL, "alias.z0.example. CNAME sip", "every name must be absolute"},
	{"z0.example.", "sip SRV 0 0 1", "sip SRV"},
};

START_TEST(a_record_that_belongs_nowhere_is_the_plans_fault)
{
	if (misplaced[_i].zone)
		fakehost_param(fh, "zone", misplaced[_i].zone);
	fakehost_param(fh, "record", misplaced[_i].record);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_CHECK), RESITE_ERR_INVALID);
	ck_says(misplaced[_i].says);
}
END_TEST

START_TEST(a_name_that_the_server_has_no_zone_for_is_the_plans_fault)
{
	fakehost_param(fh, "record", "sip.elsewhere.example. A 10.2.0.10");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_ERR_INVALID);
	ck_says("serves no zone with sip.elsewhere.example. in it (REFUSED)");
}
END_TEST

/* --- aliases ----------------------------------------------------------------------- */

START_TEST(an_address_becomes_an_alias_in_one_message_and_back)
{
	fakehost_param(fh, "zone", ZONE ".");
	fakehost_param(fh, "record", "sip 60 CNAME multi");
	fakehost_param(fh, "remove", "sip A");
	ck_goes_through(2);
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "CNAME"), "multi." ZONE ".");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 2);
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.1.0.10");
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "CNAME"), "");
}
END_TEST

START_TEST(an_alias_becomes_an_address)
{
	fakehost_param(fh, "zone", ZONE ".");
	fakehost_param(fh, "record", "alias 60 A 10.2.0.10");
	fakehost_param(fh, "remove", "alias CNAME");
	ck_goes_through(2);
	ck_assert_str_eq(dig(&primary, "alias." ZONE, "A"), "10.2.0.10");
}
END_TEST

/* --- the guard ----------------------------------------------------------------------- */

static const struct {
	const char *param[3], *value[3];
	enum fakehost_phase phase;
	int rc;
	const char *says;
} guarded[] = {
	{{"remove"}, {"note TXT"}, FAKEHOST_PROBE, RESITE_ERR_REFUSED,
	 "note.contoso.example. TXT would be left without data"},
	{{"record"}, {"_sip._tls 60 SRV 0 0 5061 nobody"}, FAKEHOST_PROBE, RESITE_ERR_REFUSED,
	 "would point at nobody.contoso.example., which would have no address"},
	{{"record"}, {"_sip._tls 60 SRV 0 0 5061 pool.other.example."}, FAKEHOST_CHECK,
	 RESITE_ERR_INVALID, "would point into another domain"},
	{{"record"}, {"alias CNAME nobody"}, FAKEHOST_PROBE, RESITE_ERR_REFUSED,
	 "which would have no address"},
	{{"record", "record", "max_changes"}, {"sip A 10.2.0.1", "multi A 10.2.0.2", "1"}, FAKEHOST_PROBE,
	 RESITE_ERR_REFUSED, "2 RRsets would change, more than max_changes = 1"},
	{{"record", "record", "max_percent"}, {"sip A 10.2.0.1", "multi A 10.2.0.2", "10"}, FAKEHOST_APPLY,
	 RESITE_ERR_REFUSED, "2 of 9 RRsets would change, more than max_percent = 10"},
	{{"record", "override"}, {"alias CNAME nobody", "orphan *: all"}, FAKEHOST_CHECK,
	 RESITE_ERR_INVALID, "an override is for one name"},
};

START_TEST(the_guard_refuses_what_would_hide_a_service)
{
	fakehost_param(fh, "zone", ZONE ".");
	for (size_t i = 0; i < 3 && guarded[_i].param[i]; i++)
		fakehost_param(fh, guarded[_i].param[i], guarded[_i].value[i]);
	ck_assert_int_eq(fakehost_call(fh, guarded[_i].phase), guarded[_i].rc);
	ck_says(guarded[_i].says);
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.1.0.10");
}
END_TEST

START_TEST(an_override_for_one_name_lets_it_through_and_is_told)
{
	fakehost_param(fh, "zone", ZONE ".");
	fakehost_param(fh, "remove", "note TXT");
	fakehost_param(fh, "override", "empty note: the note is obsolete");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	ck_assert(strstr(fakehost_logs(fh), "allowed by override (the note is obsolete)"));
	ck_goes_through(1);
	ck_assert_str_eq(dig(&primary, "note." ZONE, "TXT"), "");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_str_eq(dig(&primary, "note." ZONE, "TXT"), "\"one two\" \"th\\\"ree\"");
}
END_TEST

START_TEST(a_set_of_srv_records_keeps_its_priorities_and_weights)
{
	fakehost_param(fh, "zone", ZONE ".");
	fakehost_param(fh, "record", "_sip._tcp 60 SRV 10 60 5060 sip");
	fakehost_param(fh, "record", "_sip._tcp 60 SRV 10 40 5060 multi");
	fakehost_param(fh, "record", "_sip._tcp 60 SRV 20 0 5061 dr");
	fakehost_param(fh, "record", "dr 60 A 10.2.0.10");
	ck_goes_through(2);
	ck_assert_str_eq(dig(&primary, "_sip._tcp." ZONE, "SRV"),
			 "10 40 5060 multi." ZONE ". 10 60 5060 sip." ZONE ". 20 0 5061 dr." ZONE ".");
}
END_TEST

/* --- by nsupdate ----------------------------------------------------------------------- */

START_TEST(nsupdate_sends_the_same_with_the_same_prerequisites)
{
	fakehost_param(fh, "zone", ZONE ".");
	fakehost_param(fh, "via", "nsupdate");
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	fakehost_param(fh, "record", "fresh 60 AAAA 2001:db8::1");
	fakehost_param(fh, "record", "fresh2 60 CNAME multi");
	fakehost_param(fh, "record", "note TXT \"it's\" \"two \\\"words\\\"\"");
	ck_goes_through(4);
	ck_assert_str_eq(dig(&primary, "note." ZONE, "TXT"), "\"it's\" \"two \\\"words\\\"\"");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.1.0.10");
	ck_assert_str_eq(dig(&primary, "fresh2." ZONE, "CNAME"), "");
}
END_TEST

static void
somebody_changes_sip(void *arg)
{
	int *times = arg;

	if ((*times)++ == 0)
		nsupdate(&primary, "update delete sip." ZONE " A\nupdate add sip." ZONE " 60 A 10.9.9.9");
}

START_TEST(by_nsupdate_too_a_change_in_between_is_a_conflict)
{
	int times = 0;

	fakehost_param(fh, "zone", ZONE ".");
	fakehost_param(fh, "via", "nsupdate");
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	fakehost_param(fh, "record", "multi 60 A 10.2.0.11");
	fakehost_on_sync(fh, somebody_changes_sip, &times);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_CONFLICT);
	ck_says("sip.contoso.example. A was 86400 10.1.0.10, is now 60 10.9.9.9");
	ck_assert_str_eq(dig(&primary, "multi." ZONE, "A"), "10.2.0.11");
}
END_TEST

static const struct {
	const char *key, *program;
	int rc;
	const char *says;
} refused[] = {
	{"hmac-sha256:nobody:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=", NULL, RESITE_ERR_REFUSED,
	 "the server does not know the key"},
	{"hmac-sha256:upd:QUJDREVGR0g=", NULL, RESITE_ERR_REFUSED, "BADSIG"},
	{KEY_256, "/nowhere/nsupdate", RESITE_ERR_INVALID, "/nowhere/nsupdate: exec: No such file"},
	{KEY_256, "/bin/false", RESITE_ERR_TRANSIENT, "exit status 1: (it said nothing)"},
};

START_TEST(nsupdates_refusals_are_told_in_its_words)
{
	/* valgrind makes a fork of vfork, which cannot tell that exec failed. */
	if (refused[_i].rc == RESITE_ERR_INVALID && getenv("RESITE_UNDER_VALGRIND"))
		return;
	fakehost_secret(fh, "tsig", refused[_i].key);
	fakehost_param(fh, "zone", ZONE ".");
	fakehost_param(fh, "via", "nsupdate");
	if (refused[_i].program)
		fakehost_param(fh, "nsupdate", refused[_i].program);
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), refused[_i].rc);
	ck_says(refused[_i].says);
	ck_assert_ptr_null(strstr(fakehost_failure(fh), "QUJDREVG"));
}
END_TEST

#define N(table) ((int)(sizeof(table) / sizeof((table)[0])))

int
main(void)
{
	Suite *suite = suite_create("dns-nsupdate over zones");
	TCase *tc = tcase_create("zones");

	if (!named_installed()) {
		puts("named is not installed (apt-get install bind9): skipped");
		return 77;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, records_of_several_zones_are_set_in_one_step_and_put_back);
	tcase_add_test(tc, without_zone_the_server_is_asked_for_the_zone_of_each_record);
	tcase_add_test(tc, a_file_changes_the_zone_by_origin);
	tcase_add_test(tc, of_many_zones_each_is_transferred_before_the_change_and_once_after);
	tcase_add_test(tc, a_failure_half_way_says_which_zones_are_done);
	tcase_add_loop_test(tc, a_record_that_belongs_nowhere_is_the_plans_fault, 0, N(misplaced));
	tcase_add_test(tc, a_name_that_the_server_has_no_zone_for_is_the_plans_fault);
	tcase_add_test(tc, an_address_becomes_an_alias_in_one_message_and_back);
	tcase_add_test(tc, an_alias_becomes_an_address);
	tcase_add_loop_test(tc, the_guard_refuses_what_would_hide_a_service, 0, N(guarded));
	tcase_add_test(tc, an_override_for_one_name_lets_it_through_and_is_told);
	tcase_add_test(tc, a_set_of_srv_records_keeps_its_priorities_and_weights);
	tcase_add_test(tc, nsupdate_sends_the_same_with_the_same_prerequisites);
	tcase_add_test(tc, by_nsupdate_too_a_change_in_between_is_a_conflict);
	tcase_add_loop_test(tc, nsupdates_refusals_are_told_in_its_words, 0, N(refused));
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
