/* dns-nsupdate.set against real name servers. */
#include "config.h"

#include "sdk/testkit/fakehost.h"
#include "tests/unit/named_server.h"
#include "tests/unit/run_suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <resite/plugin.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

resite_plugin_v0_fn resite_plugin_v0;

static struct named_server primary;
static struct fakehost *fh;

static const struct resite_action *
set_action(void)
{
	return &resite_plugin_v0()->actions[0];
}

/* A step on the test's zone with the good key. */
static struct fakehost *
new_step(const char *key)
{
	struct fakehost *h = fakehost_new(set_action());

	fakehost_param(h, "server", primary.at);
	fakehost_param(h, "zone", ZONE ".");
	fakehost_param(h, "verify_at", primary.at);
	if (key) {
		fakehost_param(h, "key", "tsig");
		fakehost_secret(h, "tsig", key);
	}
	if (getenv("TRACE"))
		fakehost_trace(h, stderr);
	return h;
}

static void
setup(void)
{
	named_start_primary(&primary, "", 0);
	fh = new_step(KEY_256);
}

static void
teardown(void)
{
	fakehost_free(fh);
	named_stop(&primary);
}

#define ck_says(h, part) \
	ck_assert_msg(strstr(fakehost_failure(h), part), "'%s' lacks '%s'", fakehost_failure(h), part)

/* --- the way things should go -------------------------------------------------- */

START_TEST(a_record_is_shown_set_verified_and_then_converged)
{
	const struct fakehost_change *c;
	size_t n;

	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_CHECK), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	c = fakehost_changes(fh, &n);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(c->object, "sip.contoso.example. A");
	ck_assert_str_eq(c->was, "86400 10.1.0.10");
	ck_assert_str_eq(c->will_be, "60 10.2.0.10");
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	ck_assert_uint_eq(strlen(fakehost_state(fh)->fingerprint), 64);
	ck_assert(strstr(fakehost_losses(fh), "TTL of 86400 s"));
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.2.0.10");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
}
END_TEST

START_TEST(all_five_types_and_new_names_can_be_set)
{
	fakehost_param(fh, "record", "sip A 10.2.0.10");
	fakehost_param(fh, "record", "multi A 10.2.0.2");
	fakehost_param(fh, "record", "multi A 10.2.0.1");
	fakehost_param(fh, "record", "sip AAAA 2001:db8::2");
	fakehost_param(fh, "record", "_sip._tcp 60 SRV 0 0 5061 sip");
	fakehost_param(fh, "record", "new CNAME sip");
	fakehost_param(fh, "record", "alias CNAME multi");
	fakehost_param(fh, "record", "note TXT \"it's\" \"two \\\"words\\\"\"");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_OK);
	ck_assert_str_eq(dig(&primary, "multi." ZONE, "A"), "10.2.0.1 10.2.0.2");
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "AAAA"), "2001:db8::2");
	ck_assert_str_eq(dig(&primary, "_sip._tcp." ZONE, "SRV"), "0 0 5061 sip." ZONE ".");
	ck_assert_str_eq(dig(&primary, "new." ZONE, "CNAME"), "sip." ZONE ".");
	ck_assert_str_eq(dig(&primary, "note." ZONE, "TXT"), "\"it's\" \"two \\\"words\\\"\"");
}
END_TEST

START_TEST(every_algorithm_signs_and_is_verified)
{
	static const char *const keys[] = {KEY_1, KEY_256, KEY_384, KEY_512};

	for (int i = 0; i < 4; i++) {
		struct fakehost *h = new_step(keys[i]);
		char record[64];

		snprintf(record, sizeof(record), "alg A 10.3.0.%d", i);
		fakehost_param(h, "record", record);
		ck_assert_int_eq(fakehost_call(h, FAKEHOST_APPLY), RESITE_OK);
		ck_assert_str_eq(dig(&primary, "alg." ZONE, "A"), record + 6);
		fakehost_free(h);
	}
}
END_TEST

START_TEST(it_works_over_udp_alone)
{
	fakehost_param(fh, "transport", "udp");
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	for (int i = 0; i < 40; i++) {
		char record[64];

		snprintf(record, sizeof(record), "u%d A 10.3.0.%d", i, i);
		fakehost_param(fh, "record", record);
	}
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_OK);
	ck_assert_str_eq(dig(&primary, "u39." ZONE, "A"), "10.3.0.39");
}
END_TEST

/* --- undo ----------------------------------------------------------------------- */

static void
nothing_changed_yet(void *arg)
{
	(void)arg;
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.1.0.10");
}

START_TEST(undo_records_are_durable_before_the_change_and_bring_it_back)
{
	const struct fakehost_undo *u;
	size_t n;

	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	fakehost_param(fh, "record", "fresh 60 A 10.2.0.11");
	fakehost_param(fh, "record", "note TXT \"it's\"");
	fakehost_on_sync(fh, nothing_changed_yet, NULL);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	u = fakehost_undos(fh, &n);
	ck_assert_uint_eq(n, 3);
	for (size_t i = 0; i < n; i++)
		ck_assert(u[i].durable);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.1.0.10");
	ck_assert_str_eq(dig(&primary, "fresh." ZONE, "A"), "");
	ck_assert_str_eq(dig(&primary, "note." ZONE, "TXT"), "\"one two\" \"th\\\"ree\"");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
}
END_TEST

/* The line really works: it is run, with the key's place filled in. */
START_TEST(the_line_to_follow_by_hand_restores_the_record)
{
	const struct fakehost_undo *u;
	char command[1200], *cut;
	size_t n;

	fakehost_param(fh, "record", "note TXT \"it's\"");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	u = fakehost_undos(fh, &n);
	snprintf(command, sizeof(command), "%s", u[0].by_hand);
	cut = strstr(command, "-k KEYFILE");
	ck_assert_ptr_nonnull(cut);
	snprintf(cut, sizeof(command) - (size_t)(cut - command), "-y %s", KEY_256);
	ck_assert_int_eq(system(command), 0);
	ck_assert_str_eq(dig(&primary, "note." ZONE, "TXT"), "\"one two\" \"th\\\"ree\"");
}
END_TEST

/* What revert said of an RRset. */
static const struct fakehost_reverted *
reverted_of(const char *name)
{
	size_t n;
	const struct fakehost_reverted *all = fakehost_reverteds(fh, &n);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(all[i].object, name))
			return &all[i];
	ck_abort_msg("revert said nothing of %s", name);
}

START_TEST(undo_leaves_alone_what_somebody_changed_since)
{
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	fakehost_param(fh, "record", "fresh 60 A 10.2.0.11");
	fakehost_param(fh, "record", "other 60 A 10.2.0.12");
	fakehost_param(fh, "record", "note TXT \"it's\"");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	nsupdate(&primary, "update delete sip." ZONE " A\nupdate add sip." ZONE " 60 A 10.9.9.9");
	nsupdate(&primary, "update delete fresh." ZONE " A");
	nsupdate(&primary, "update delete note." ZONE " TXT");
	for (int way = RESITE_LOOK; way <= RESITE_PUT_BACK; way++) {
		ck_assert_int_eq(fakehost_revert(fh, (enum resite_revert_way)way), RESITE_OK);
		ck_assert_int_eq(reverted_of("sip." ZONE ". A")->result, RESITE_REVERTED_CONFLICT);
		ck_assert_str_eq(reverted_of("sip." ZONE ". A")->was, "86400 10.1.0.10");
		ck_assert_str_eq(reverted_of("sip." ZONE ". A")->set, "60 10.2.0.10");
		ck_assert_str_eq(reverted_of("sip." ZONE ". A")->now, "60 10.9.9.9");
		ck_assert_int_eq(reverted_of("fresh." ZONE ". A")->result, RESITE_REVERTED_ALREADY);
		ck_assert_int_eq(reverted_of("note." ZONE ". TXT")->result, RESITE_REVERTED_GONE);
		ck_assert_int_eq(reverted_of("other." ZONE ". A")->result, RESITE_REVERTED_PUT_BACK);
	}
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.9.9.9");
	ck_assert_str_eq(dig(&primary, "other." ZONE, "A"), "");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_FORCE), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 2);
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.1.0.10");
	ck_assert_str_eq(dig(&primary, "note." ZONE, "TXT"), "\"one two\" \"th\\\"ree\"");
}
END_TEST

START_TEST(thousands_of_records_are_put_back_in_few_messages)
{
	char record[64], name[64];

	for (int i = 0; i < 2500; i++) {
		snprintf(record, sizeof(record), "m%d A 10.3.%d.%d", i, i / 250, i % 250);
		fakehost_param(fh, "record", record);
	}
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	nsupdate(&primary, "update delete m77." ZONE " A\nupdate add m77." ZONE " 60 A 10.9.9.9");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 2499);
	ck_assert_int_eq(reverted_of("m77." ZONE ". A")->result, RESITE_REVERTED_CONFLICT);
	snprintf(name, sizeof(name), "m2499.%s", ZONE);
	ck_assert_str_eq(dig(&primary, name, "A"), "");
}
END_TEST

START_TEST(a_full_journal_stops_before_the_first_change)
{
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	fakehost_fail_undo(fh, 2); /* the sync */
	ck_assert_int_lt(fakehost_call(fh, FAKEHOST_APPLY), 0);
	ck_says(fh, "undo records cannot be written");
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.1.0.10");
}
END_TEST

/* --- conflicts -------------------------------------------------------------------- */

static void
somebody_changes_sip(void *arg)
{
	int *times = arg;

	if ((*times)++ == 0)
		nsupdate(&primary, "update delete sip." ZONE " A\nupdate add sip." ZONE " 60 A 10.9.9.9");
}

START_TEST(a_record_changed_in_between_is_a_conflict_that_says_was_and_now)
{
	int times = 0;

	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	fakehost_on_sync(fh, somebody_changes_sip, &times);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_CONFLICT);
	ck_says(fh, "sip.contoso.example. A was 86400 10.1.0.10, is now 60 10.9.9.9, not set to "
		    "60 10.2.0.10");
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.9.9.9");
}
END_TEST

START_TEST(one_conflict_among_a_thousand_stops_only_itself)
{
	int times = 0;
	char record[64];

	for (int i = 0; i < 999; i++) {
		snprintf(record, sizeof(record), "h%d 60 A 10.4.%d.%d", i, i / 250, i % 250);
		fakehost_param(fh, "record", record);
	}
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	fakehost_param(fh, "batch", "1000");
	fakehost_on_sync(fh, somebody_changes_sip, &times);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_CONFLICT);
	ck_says(fh, "1 of 1000 RRsets were changed by somebody else");
	ck_says(fh, "sip.contoso.example. A was");
	ck_assert_str_eq(dig(&primary, "h0." ZONE, "A"), "10.4.0.0");
	ck_assert_str_eq(dig(&primary, "h998." ZONE, "A"), "10.4.3.248");
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.9.9.9");
}
END_TEST

START_TEST(a_wildcards_answer_is_not_taken_for_the_record_itself)
{
	fakehost_param(fh, "record", "x.wild 60 A 10.2.0.10");
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_CONFLICT);
	ck_says(fh, "a wildcard?");
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.2.0.10");
}
END_TEST

START_TEST(a_value_that_the_plan_did_not_expect_is_refused)
{
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	fakehost_param(fh, "expect_current", "sip A 10.1.0.99");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_ERR_REFUSED);
	ck_says(fh, "sip.contoso.example. A is 86400 10.1.0.10, but the plan expects 60 10.1.0.99");
	fakehost_param_clear(fh, "expect_current");
	fakehost_param(fh, "expect_current", "sip A 10.1.0.10");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
}
END_TEST

START_TEST(an_alias_and_data_of_one_name_are_refused_not_silently_ignored)
{
	fakehost_param(fh, "record", "alias 60 A 10.2.0.10");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_ERR_REFUSED);
	ck_says(fh, "is an alias (CNAME)");
	fakehost_param_clear(fh, "record");
	fakehost_param(fh, "record", "sip CNAME multi");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_REFUSED);
	ck_says(fh, "sip.contoso.example. would have a CNAME beside other records");
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.1.0.10");
}
END_TEST

/* --- being refused ------------------------------------------------------------------ */

static void
ck_refused(const char *key, int rc, const char *says)
{
	struct fakehost *h = new_step(key);

	fakehost_param(h, "record", "sip 60 A 10.2.0.10");
	ck_assert_int_eq(fakehost_call(h, FAKEHOST_APPLY), rc);
	ck_says(h, says);
	ck_assert_ptr_null(strstr(fakehost_failure(h), "QUJDREVG"));
	fakehost_free(h);
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.1.0.10");
}

START_TEST(the_servers_refusal_comes_with_what_to_check)
{
	ck_refused(NULL, RESITE_ERR_REFUSED, "REFUSED: check allow-update");
	ck_refused("hmac-sha256:nobody:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=", RESITE_ERR_REFUSED,
		   "NOTAUTH (BADKEY): the server does not know the key 'nobody'");
	ck_refused("hmac-sha256:upd:QUJDREVGR0g=", RESITE_ERR_REFUSED,
		   "NOTAUTH (BADSIG): the server has another secret for the key 'upd'");
	ck_refused("hmac-sha256:upd:!!", RESITE_ERR_INVALID, "its secret is not base64");
}
END_TEST

static long skew_s;

/* The plugin's clock: this definition comes before the C library's. */
time_t
time(time_t *ret)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (ret)
		*ret = ts.tv_sec + skew_s;
	return ts.tv_sec + skew_s;
}

START_TEST(a_wrong_clock_is_told_with_its_difference)
{
	skew_s = -1000;
	ck_refused(KEY_256, RESITE_ERR_REFUSED, "NOTAUTH (BADTIME): the clocks differ by 1000 s (the "
						"server's is ahead)");
	skew_s = 5000;
	ck_refused(KEY_256, RESITE_ERR_REFUSED, "(the server's is behind)");
	skew_s = 0;
}
END_TEST

START_TEST(another_zone_and_a_delegated_name_are_the_plans_fault)
{
	struct fakehost *h = fakehost_new(set_action());

	fakehost_param(h, "server", primary.at);
	fakehost_param(h, "zone", "other.example.");
	fakehost_param(h, "record", "sip A 10.2.0.10");
	ck_assert_int_eq(fakehost_call(h, FAKEHOST_PROBE), RESITE_ERR_INVALID);
	ck_says(h, "not an authoritative server of the zone other.example.");
	fakehost_free(h);
	nsupdate(&primary, "update add child." ZONE ". 60 NS ns.child." ZONE ".");
	fakehost_param(fh, "record", "sip.child A 10.2.0.10");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_ERR_REFUSED);
	ck_says(fh, "not authoritative");
}
END_TEST

START_TEST(a_server_that_is_down_is_transient_and_named)
{
	named_halt(&primary);
	fakehost_param_clear(fh, "patience");
	fakehost_param(fh, "patience", "300ms");
	fakehost_param(fh, "record", "sip A 10.2.0.10");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_ERR_TRANSIENT);
	ck_says(fh, primary.at);
	ck_says(fh, "refused");
}
END_TEST

/* --- many ------------------------------------------------------------------------------ */

START_TEST(thousands_of_records_from_a_file_are_split_into_messages)
{
	int many = 3000;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/records", primary.dir);
	f = fopen(path, "w");
	fputs("; made by the test\n\n", f);
	for (int i = 0; i < many; i++)
		fprintf(f, "host%05d 60 A 10.%d.%d.%d\n", i, 1 + i / 62500, i / 250 % 250, i % 250);
	fclose(f);
	fakehost_param(fh, "records_file", path);
	fakehost_param(fh, "batch", "5000");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, (uint64_t)many);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_OK);
	ck_assert_str_eq(dig(&primary, "host02999." ZONE, "A"), "10.1.11.249");
	f = fopen(path, "w");
	for (int i = 0; i < many; i++)
		fprintf(f, "host%05d 60 A 10.%d.%d.%d\n", i, 101 + i / 62500, i / 250 % 250, i % 250);
	fclose(f);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_str_eq(dig(&primary, "host02999." ZONE, "A"), "10.101.11.249");
}
END_TEST

/* A mass change reads by zone transfer; that must not lose what single questions find. */
START_TEST(a_zone_transfer_sees_aliases_and_delegations_too)
{
	char record[64];

	for (int i = 0; i < 400; i++) {
		snprintf(record, sizeof(record), "m%d 60 A 10.4.1.%d", i, i % 250);
		fakehost_param(fh, "record", record);
	}
	fakehost_param(fh, "record", "SIP 60 A 10.1.0.10");
	fakehost_param(fh, "record", "multi 60 A 10.1.0.2");
	fakehost_param(fh, "record", "multi 60 A 10.1.0.1");
	fakehost_param(fh, "record", "x.wild 60 A 10.1.0.77");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->total, 403);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 402); /* all but multi; sip's TTL */
	nsupdate(&primary, "update add m7." ZONE ". 60 CNAME sip." ZONE ".");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_ERR_REFUSED);
	ck_says(fh, "zone transfer: m7.contoso.example. A: the name is an alias");
	nsupdate(&primary, "update delete m7." ZONE ". CNAME\n"
			   "update add m8." ZONE ". 60 NS ns." ZONE ".");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_ERR_REFUSED);
	ck_says(fh, "asked for m8.contoso.example. A: the answer is not authoritative");
}
END_TEST

/* --- asking once ----------------------------------------------------------------------- */

static void
add_many(struct fakehost *h, int n, int net)
{
	char record[64];

	for (int i = 0; i < n; i++) {
		snprintf(record, sizeof(record), "m%d 60 A 10.%d.1.%d", i, net, i % 250);
		fakehost_param(h, "record", record);
	}
}

/* probe, apply, verify, and the probe that closes the attempt */
START_TEST(a_mass_change_transfers_each_server_once_before_and_once_after)
{
	struct named_server secondary;

	named_start_secondary(&secondary, 0, primary.port, true);
	add_many(fh, 400, 4);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_int_eq(named_transfers(&primary), 2); /* the secondary's first, and probe's */
	named_halt(&secondary);
	named_resume(&secondary); /* which transfers */
	fakehost_param(fh, "verify_at", secondary.at);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	ck_assert_int_eq(named_transfers(&primary), 4);
	ck_assert_int_eq(named_transfers(&secondary), 1);
	named_stop(&secondary);
}
END_TEST

START_TEST(a_change_after_verify_is_seen_by_the_closing_probe)
{
	add_many(fh, 400, 4);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_OK);
	nsupdate(&primary, "update delete m7." ZONE " A\nupdate add m7." ZONE " 60 A 10.9.9.9");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_PENDING);
	ck_says(fh, "still serves m7.contoso.example. A 60 10.9.9.9");
}
END_TEST

START_TEST(apply_changes_what_probe_saw_and_nothing_newer)
{
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	nsupdate(&primary, "update delete sip." ZONE " A\nupdate add sip." ZONE " 60 A 10.9.9.9");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_CONFLICT);
	ck_says(fh, "is now 60 10.9.9.9");
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.9.9.9");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.2.0.10");
}
END_TEST

START_TEST(where_transfers_are_refused_every_record_is_asked_for)
{
	struct named_server closed;
	struct fakehost *h;

	named_start_closed(&closed);
	h = fakehost_new(set_action());
	fakehost_param(h, "server", closed.at);
	fakehost_param(h, "zone", ZONE ".");
	fakehost_param(h, "verify_at", closed.at);
	fakehost_param(h, "key", "tsig");
	fakehost_secret(h, "tsig", KEY_256);
	add_many(h, 1100, 4);
	ck_assert_int_eq(fakehost_call(h, FAKEHOST_PROBE), RESITE_OK);
	ck_assert_uint_eq(fakehost_state(h)->changes, 1100);
	ck_assert_int_eq(fakehost_call(h, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_int_eq(fakehost_call(h, FAKEHOST_VERIFY), RESITE_OK);
	nsupdate(&closed, "update delete m501." ZONE " A\nupdate add m501." ZONE " 60 A 10.9.9.9");
	ck_assert_int_eq(fakehost_call(h, FAKEHOST_VERIFY), RESITE_PENDING);
	ck_says(h, "still serves m501.contoso.example. A 60 10.9.9.9");
	ck_assert_int_eq(named_transfers(&closed), 0);
	fakehost_free(h);
	named_stop(&closed);
}
END_TEST

/* --- secondaries -------------------------------------------------------------------------- */

START_TEST(a_lagging_secondary_is_waited_for_and_named_with_its_serial)
{
	struct named_server secondary;

	named_start_secondary(&secondary, 0, primary.port, true);
	fakehost_param(fh, "verify_at", secondary.at);
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_PENDING);
	ck_says(fh, secondary.at);
	ck_says(fh, "still serves sip.contoso.example. A 86400 10.1.0.10, not 60 10.2.0.10 (its "
		    "serial is 1, the primary's 2)");
	named_halt(&secondary);
	fakehost_param_clear(fh, "patience");
	fakehost_param(fh, "patience", "300ms");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_ERR_TRANSIENT);
	ck_says(fh, secondary.at);
	named_resume(&secondary);
	for (int i = 0; i < 100 && fakehost_call(fh, FAKEHOST_VERIFY) == RESITE_PENDING; i++)
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_OK);
	named_stop(&secondary);
}
END_TEST

START_TEST(while_a_secondary_lags_the_others_are_verified_once_and_nothing_is_transferred_from_it)
{
	struct named_server secondary;

	named_start_secondary(&secondary, 0, primary.port, true);
	fakehost_param(fh, "verify_at", secondary.at);
	add_many(fh, 400, 4);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_PENDING);
	ck_says(fh, secondary.at);
	ck_says(fh, "still serves m0.contoso.example. A (none), not 60 10.4.1.0");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_PENDING);
	/* the secondary's, apply's look, verify's */
	ck_assert_int_eq(named_transfers(&primary), 3);
	ck_assert_int_eq(named_transfers(&secondary), 0);
	named_stop(&secondary);
}
END_TEST

START_TEST(the_zones_own_servers_are_asked_when_none_are_named)
{
	fakehost_param_clear(fh, "verify_at");
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_PENDING);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_OK);
	/* a second server that is gone */
	nsupdate(&primary, "update add " ZONE ". 60 NS ns2." ZONE ".\n"
			   "update add ns2." ZONE ". 60 A 127.0.0.99");
	fakehost_param_clear(fh, "patience");
	fakehost_param(fh, "patience", "300ms");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_ERR_TRANSIENT);
	ck_says(fh, "127.0.0.99");
	fakehost_mode(fh, RESITE_DISASTER);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_OK);
	ck_assert(strstr(fakehost_logs(fh), "not verified there: 127.0.0.99"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dns-nsupdate with named");
	TCase *tc = tcase_create("named");

	if (!named_installed()) {
		puts("named is not installed (apt-get install bind9): skipped");
		return 77;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_record_is_shown_set_verified_and_then_converged);
	tcase_add_test(tc, all_five_types_and_new_names_can_be_set);
	tcase_add_test(tc, every_algorithm_signs_and_is_verified);
	tcase_add_test(tc, it_works_over_udp_alone);
	tcase_add_test(tc, undo_records_are_durable_before_the_change_and_bring_it_back);
	tcase_add_test(tc, the_line_to_follow_by_hand_restores_the_record);
	tcase_add_test(tc, undo_leaves_alone_what_somebody_changed_since);
	tcase_add_test(tc, thousands_of_records_are_put_back_in_few_messages);
	tcase_add_test(tc, a_full_journal_stops_before_the_first_change);
	tcase_add_test(tc, a_record_changed_in_between_is_a_conflict_that_says_was_and_now);
	tcase_add_test(tc, one_conflict_among_a_thousand_stops_only_itself);
	tcase_add_test(tc, a_wildcards_answer_is_not_taken_for_the_record_itself);
	tcase_add_test(tc, a_value_that_the_plan_did_not_expect_is_refused);
	tcase_add_test(tc, an_alias_and_data_of_one_name_are_refused_not_silently_ignored);
	tcase_add_test(tc, the_servers_refusal_comes_with_what_to_check);
	tcase_add_test(tc, a_wrong_clock_is_told_with_its_difference);
	tcase_add_test(tc, another_zone_and_a_delegated_name_are_the_plans_fault);
	tcase_add_test(tc, a_server_that_is_down_is_transient_and_named);
	tcase_add_test(tc, thousands_of_records_from_a_file_are_split_into_messages);
	tcase_add_test(tc, a_zone_transfer_sees_aliases_and_delegations_too);
	tcase_add_test(tc, a_mass_change_transfers_each_server_once_before_and_once_after);
	tcase_add_test(tc, a_change_after_verify_is_seen_by_the_closing_probe);
	tcase_add_test(tc, apply_changes_what_probe_saw_and_nothing_newer);
	tcase_add_test(tc, where_transfers_are_refused_every_record_is_asked_for);
	tcase_add_test(tc, while_a_secondary_lags_the_others_are_verified_once_and_nothing_is_transferred_from_it);
	tcase_add_test(tc, a_lagging_secondary_is_waited_for_and_named_with_its_serial);
	tcase_add_test(tc, the_zones_own_servers_are_asked_when_none_are_named);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
