/* dns-nsupdate before a server that is slow, half-open, broken or lying. */
#include "config.h"

#include "sdk/testkit/fakehost.h"
#include "tests/unit/lying_dns.h"
#include "tests/unit/named_server.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <ldns/ldns.h>
#include <resite/plugin.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

resite_plugin_v0_fn resite_plugin_v0;

static struct named_server primary;
static struct lying_dns liar;
static struct fakehost *fh;

/* One server for all tests: they put back what they find changed. */
static void
begin(void)
{
	named_start_primary(&primary, "", 0);
}

static void
end(void)
{
	named_stop(&primary);
}

/* server takes the updates; the liar is who verify asks. */
static void
make_step(const char *server)
{
	fh = fakehost_new(&resite_plugin_v0()->actions[0]);
	fakehost_param(fh, "server", server);
	fakehost_param(fh, "verify_at", liar.at);
	fakehost_param(fh, "zone", ZONE ".");
	fakehost_param(fh, "patience", getenv("RESITE_UNDER_VALGRIND") ? "2s" : "300ms");
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	fakehost_param(fh, "record", "multi 60 A 10.2.0.11");
	if (getenv("TRACE"))
		fakehost_trace(fh, stderr);
}

static void
setup(void)
{
	nsupdate(&primary, "update delete sip." ZONE " A\nupdate add sip." ZONE " 86400 A 10.1.0.10\n"
			   "update delete multi." ZONE " A\nupdate add multi." ZONE " 60 A 10.1.0.1");
	lying_start(&liar, primary.port);
	make_step(liar.at);
}

static void
teardown(void)
{
	fakehost_free(fh);
	lying_stop(&liar);
}

static void
sign(void)
{
	fakehost_param(fh, "key", "tsig");
	fakehost_secret(fh, "tsig", KEY_256);
}

static void
ck_says(const char *part)
{
	ck_assert_msg(strstr(fakehost_failure(fh), part), "'%s' lacks '%s'", fakehost_failure(fh), part);
}

/* Whatever was half done: with a server that works the same step comes to its end. */
static void
ck_recovers(void)
{
	atomic_store(&liar.about_queries, TRUTH);
	atomic_store(&liar.about_updates, TRUTH);
	fakehost_new_attempt(fh);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_OK);
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.2.0.10");
	ck_assert_str_eq(dig(&primary, "multi." ZONE, "A"), "10.2.0.11");
}

/* --- reading ------------------------------------------------------------------------ */

static const struct {
	enum lie lie;
	int rcode, rc;
	const char *says;
} reads[] = {
	{SILENCE, 0, RESITE_ERR_TRANSIENT, "has not answered"},
	{HANGUP, 0, RESITE_ERR_TRANSIENT, "has not answered"},
	{CUT, 0, RESITE_ERR_TRANSIENT, "no DNS message"},
	{GARBAGE, 0, RESITE_ERR_TRANSIENT, "has not answered"},
	{OTHER_QUESTION, 0, RESITE_ERR_TRANSIENT, "answered another question"},
	{NO_AUTHORITY, 0, RESITE_ERR_INVALID, "is not an authoritative server of the zone"},
	{BARE_RCODE, LDNS_RCODE_REFUSED, RESITE_ERR_INVALID, "(REFUSED)"},
	{BARE_RCODE, LDNS_RCODE_SERVFAIL, RESITE_ERR_TRANSIENT, "(SERVFAIL)"},
	{BARE_RCODE, LDNS_RCODE_NOERROR, RESITE_ERR_INVALID, "is not an authoritative server"},
};

START_TEST(a_server_that_cannot_be_read_stops_the_probe_and_is_named)
{
	sign();
	atomic_store(&liar.rcode, reads[_i].rcode);
	atomic_store(&liar.about_queries, (int)reads[_i].lie);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), reads[_i].rc);
	ck_says(reads[_i].says);
	ck_says(liar.at);
	ck_recovers();
}
END_TEST

/* Not before it has begun to answer: apply's own look, over TCP. */
START_TEST(a_server_that_breaks_while_records_are_read_changes_nothing)
{
	sign();
	fakehost_param(fh, "transport", "tcp");
	atomic_store(&liar.rcode, reads[_i].rcode);
	atomic_store(&liar.about_queries, (int)reads[_i].lie);
	ck_assert_int_lt(fakehost_call(fh, FAKEHOST_APPLY), 0);
	ck_says(liar.at);
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.1.0.10");
	ck_recovers();
}
END_TEST

/* --- changing ------------------------------------------------------------------------ */

static const struct {
	enum lie lie;
	int rcode, rc;
	const char *says;
	bool done; /* by the real server, whatever was answered */
} updates[] = {
	{SILENCE, 0, RESITE_ERR_TRANSIENT, "whether it was done is unknown", false},
	{HANGUP, 0, RESITE_ERR_TRANSIENT, "whether it was done is unknown", false},
	{CUT, 0, RESITE_ERR_TRANSIENT, "whether it was done is unknown", true},
	{DONE_THEN_LOST, 0, RESITE_ERR_TRANSIENT, "whether it was done is unknown", true},
	{GARBAGE, 0, RESITE_ERR_TRANSIENT, "", false},
	{OTHER_DATA, 0, RESITE_ERR_TRANSIENT, "the answer is not one to an UPDATE", true},
	{BARE_RCODE, LDNS_RCODE_NOERROR, RESITE_ERR_TRANSIENT, "the answer is not signed", false},
	{BARE_RCODE, LDNS_RCODE_NXRRSET, RESITE_ERR_TRANSIENT, "the answer is not signed", false},
	{BARE_RCODE, LDNS_RCODE_SERVFAIL, RESITE_ERR_TRANSIENT, "SERVFAIL", false},
	{BARE_RCODE, LDNS_RCODE_REFUSED, RESITE_ERR_REFUSED, "REFUSED: check allow-update", false},
	{BARE_RCODE, LDNS_RCODE_NOTAUTH, RESITE_ERR_INVALID, "NOTAUTH", false},
	{BARE_RCODE, LDNS_RCODE_NOTIMPL, RESITE_ERR_INVALID, "does not do dynamic updates", false},
	{BARE_RCODE, LDNS_RCODE_NOTZONE, RESITE_ERR_INVALID, "NOTZONE", false},
	{BARE_RCODE, LDNS_RCODE_FORMERR, RESITE_ERR_BUG, "FORMERR", false},
};

START_TEST(an_update_that_is_answered_badly_is_never_taken_for_done)
{
	sign();
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	atomic_store(&liar.rcode, updates[_i].rcode);
	atomic_store(&liar.about_updates, (int)updates[_i].lie);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), updates[_i].rc);
	ck_says(updates[_i].says);
	ck_says("0 of 2 RRsets are set");
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), updates[_i].done ? "10.2.0.10" : "10.1.0.10");
	ck_recovers();
}
END_TEST

START_TEST(a_server_that_lies_without_a_key_is_found_out_by_verify)
{
	atomic_store(&liar.rcode, LDNS_RCODE_NOERROR);
	atomic_store(&liar.about_updates, BARE_RCODE);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_PENDING);
	ck_says("still serves sip.contoso.example. A 86400 10.1.0.10, not 60 10.2.0.10");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 2);
}
END_TEST

START_TEST(a_server_that_serves_other_data_than_it_took_is_not_verified)
{
	sign();
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	atomic_store(&liar.about_queries, OTHER_DATA);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_PENDING);
	ck_says("still serves sip.contoso.example. A 60 10.2.0.11, not 60 10.2.0.10");
	ck_recovers();
}
END_TEST

/* A secondary takes the new zone between the question for a record and that for its serial. */
START_TEST(a_server_that_catches_up_while_it_is_asked_is_asked_again)
{
	fakehost_free(fh);
	make_step(primary.at);
	sign();
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	atomic_store(&liar.about_queries, OTHER_DATA); /* a serial is not its last byte */
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_PENDING);
	atomic_store(&liar.about_queries, TRUTH);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_OK);
}
END_TEST

/* --- by nsupdate ----------------------------------------------------------------------- */

static const struct {
	enum lie lie;
	int rcode, rc;
	const char *says;
} by_nsupdate[] = {
	{SILENCE, 0, RESITE_ERR_TRANSIENT, "timed out"},
	{HANGUP, 0, RESITE_ERR_TRANSIENT, "end of file"},
	{CUT, 0, RESITE_ERR_TRANSIENT, ""},
	{BARE_RCODE, LDNS_RCODE_NOERROR, RESITE_ERR_TRANSIENT, "not believed"},
	{BARE_RCODE, LDNS_RCODE_SERVFAIL, RESITE_ERR_TRANSIENT, ""},
};

START_TEST(what_nsupdate_says_of_a_bad_server_is_understood)
{
	sign();
	fakehost_param(fh, "via", "nsupdate");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	atomic_store(&liar.rcode, by_nsupdate[_i].rcode);
	atomic_store(&liar.about_updates, (int)by_nsupdate[_i].lie);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), by_nsupdate[_i].rc);
	ck_says("nsupdate: ");
	ck_says(by_nsupdate[_i].says);
	ck_recovers();
}
END_TEST

#define N(table) ((int)(sizeof(table) / sizeof((table)[0])))

int
main(void)
{
	Suite *suite = suite_create("dns-nsupdate, bad servers");
	TCase *tc = tcase_create("bad");

	if (!named_installed()) {
		puts("named is not installed (apt-get install bind9): skipped");
		return 77;
	}
	tcase_add_unchecked_fixture(tc, begin, end);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_server_that_cannot_be_read_stops_the_probe_and_is_named, 0, N(reads));
	tcase_add_loop_test(tc, a_server_that_breaks_while_records_are_read_changes_nothing, 0, N(reads));
	tcase_add_loop_test(tc, an_update_that_is_answered_badly_is_never_taken_for_done, 0, N(updates));
	tcase_add_test(tc, a_server_that_lies_without_a_key_is_found_out_by_verify);
	tcase_add_test(tc, a_server_that_serves_other_data_than_it_took_is_not_verified);
	tcase_add_test(tc, a_server_that_catches_up_while_it_is_asked_is_asked_again);
	tcase_add_loop_test(tc, what_nsupdate_says_of_a_bad_server_is_understood, 0, N(by_nsupdate));
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
