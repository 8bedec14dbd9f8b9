/* dns-nsupdate.ttl-lower and dns-nsupdate.resolvers against real servers. */
#include "config.h"

#include "sdk/testkit/fakehost.h"
#include "tests/unit/named_server.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <resite/plugin.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

resite_plugin_v0_fn resite_plugin_v0;

static struct named_server primary, resolver;
static struct fakehost *fh;

static struct fakehost *
new_step(const char *action)
{
	struct fakehost *h = fakehost_new(fakehost_action(resite_plugin_v0(), action));

	fakehost_param(h, "zone", ZONE ".");
	if (getenv("TRACE"))
		fakehost_trace(h, stderr);
	return h;
}

static struct fakehost *
new_lowering(void)
{
	struct fakehost *h = new_step("ttl-lower");

	fakehost_param(h, "server", primary.at);
	fakehost_param(h, "verify_at", primary.at);
	fakehost_param(h, "key", "tsig");
	fakehost_secret(h, "tsig", KEY_256);
	return h;
}

static void
setup(void)
{
	named_start_primary(&primary, "short 1 A 10.1.0.10\n", 0);
	fh = new_lowering();
}

static void
teardown(void)
{
	fakehost_free(fh);
	named_stop(&primary);
}

/* "86400 10.1.0.10", as the server has it */
static const char *
ttl_and_data(const char *name, const char *type)
{
	static char out[300];
	char command[300];
	FILE *f;

	snprintf(command, sizeof(command), "dig +noall +answer @127.0.0.1 -p %d %s.%s %s | "
		 "awk '{ print $2, $5 }' | tr '\\n' ' '", primary.port, name, ZONE, type);
	f = popen(command, "r");
	out[fread(out, 1, sizeof(out) - 1, f)] = '\0';
	pclose(f);
	return out;
}

#define ck_says(h, part) \
	ck_assert_msg(strstr(fakehost_failure(h), part), "'%s' lacks '%s'", fakehost_failure(h), part)
#define ck_call(h, phase) \
	ck_assert_msg(fakehost_call(h, phase) == RESITE_OK, "%s", fakehost_failure(h))

/* --- ttl-lower ---------------------------------------------------------------------- */

START_TEST(ttls_are_lowered_with_the_data_as_it_is_and_it_says_from_when_on_it_is_fast)
{
	fakehost_param(fh, "name", "sip");
	fakehost_param(fh, "name", "_sip._tcp SRV");
	fakehost_param(fh, "name", "alias");
	ck_call(fh, FAKEHOST_CHECK);
	ck_call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 2); /* alias has 60 */
	ck_assert_uint_eq(fakehost_state(fh)->total, 3);
	ck_assert(strstr(fakehost_losses(fh), "keep the old TTL for up to 86400 s"));
	ck_call(fh, FAKEHOST_APPLY);
	ck_assert_str_eq(ttl_and_data("sip", "A"), "60 10.1.0.10 ");
	ck_call(fh, FAKEHOST_VERIFY);
	ck_assert_str_eq(fakehost_output(fh, "old_ttl"), "86400");
	ck_assert(strstr(fakehost_output(fh, "fast_from"), " UTC"));
	ck_assert(strstr(fakehost_logs(fh), "fast from"));
	ck_call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
}
END_TEST

START_TEST(the_way_back_raises_them_again_even_of_data_that_was_moved_meanwhile)
{
	fakehost_param(fh, "name", "sip A");
	fakehost_param(fh, "name", "_sip._tcp");
	ck_call(fh, FAKEHOST_APPLY);
	nsupdate(&primary, "update delete sip." ZONE " A\nupdate add sip." ZONE " 60 A 10.2.0.10");
	nsupdate(&primary, "update delete _sip._tcp." ZONE " SRV\n"
			   "update add _sip._tcp." ZONE " 77 SRV 0 0 5060 sip." ZONE ".");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_LOOK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 1);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 1);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_CONFLICT), 1);
	ck_assert_str_eq(ttl_and_data("sip", "A"), "86400 10.2.0.10 ");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_ALREADY), 1);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_FORCE), RESITE_OK);
	ck_assert_str_eq(ttl_and_data("_sip._tcp", "SRV"), "300 0 ");
}
END_TEST

START_TEST(waiting_out_ends_when_the_old_ttl_has_run_out)
{
	nsupdate(&primary, "update add brief." ZONE " 3 A 10.1.0.1");
	fakehost_param(fh, "name", "brief");
	fakehost_param(fh, "ttl", "1s");
	fakehost_param(fh, "wait_out", "true");
	ck_call(fh, FAKEHOST_PROBE);
	ck_call(fh, FAKEHOST_APPLY);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_PENDING);
	ck_says(fh, "the old one of 3 s runs out everywhere in");
	for (int i = 0; i < 60 && fakehost_call(fh, FAKEHOST_VERIFY) == RESITE_PENDING; i++)
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	ck_call(fh, FAKEHOST_VERIFY);
}
END_TEST

START_TEST(a_name_that_is_not_there_is_refused)
{
	fakehost_param(fh, "name", "sip");
	fakehost_param(fh, "name", "sip AAAA");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_ERR_REFUSED);
	ck_says(fh, "has no such RRset: sip AAAA");
}
END_TEST

START_TEST(an_undone_change_of_the_ttl_alone_puts_the_ttl_back)
{
	struct fakehost *h = fakehost_new(&resite_plugin_v0()->actions[0]);

	fakehost_param(h, "zone", ZONE ".");
	fakehost_param(h, "server", primary.at);
	fakehost_param(h, "key", "tsig");
	fakehost_secret(h, "tsig", KEY_256);
	fakehost_param(h, "record", "sip 60 A 10.1.0.10");
	ck_call(h, FAKEHOST_APPLY);
	ck_assert_str_eq(ttl_and_data("sip", "A"), "60 10.1.0.10 ");
	ck_assert_int_eq(fakehost_revert(h, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_str_eq(ttl_and_data("sip", "A"), "86400 10.1.0.10 ");
	fakehost_free(h);
}
END_TEST

/* --- resolvers ------------------------------------------------------------------------ */

static void
setup_resolver(void)
{
	named_start_primary(&primary, "short 2 A 10.1.0.10\n", 0);
	resolver = (struct named_server){.forward_port = primary.port};
	named_start(&resolver);
	dig(&resolver, "sip." ZONE, "A");
	dig(&resolver, "new." ZONE, "A");
	dig(&resolver, "short." ZONE, "A");
	nsupdate(&primary, "update delete sip." ZONE " A\nupdate add sip." ZONE " 60 A 10.2.0.10\n"
			   "update delete short." ZONE " A\nupdate add short." ZONE " 60 A 10.2.0.10\n"
			   "update add new." ZONE " 60 A 10.2.0.10");
	fh = new_step("resolvers");
	fakehost_param(fh, "resolver", resolver.at);
	fakehost_param(fh, "patience", getenv("RESITE_UNDER_VALGRIND") ? "2s" : "300ms");
}

static void
teardown_resolver(void)
{
	named_stop(&resolver);
	teardown();
}

START_TEST(what_a_resolver_still_answers_is_told_with_its_end)
{
	fakehost_param(fh, "record", "sip A 10.2.0.10");
	fakehost_param(fh, "record", "multi A 10.1.0.1");
	fakehost_param(fh, "record", "multi A 10.1.0.2");
	ck_call(fh, FAKEHOST_CHECK);
	ck_call(fh, FAKEHOST_VERIFY);
	ck_assert_str_eq(fakehost_output(fh, "old"), "1 of 2");
	ck_assert(strstr(fakehost_output(fh, "until"), " UTC"));
	ck_assert(strstr(fakehost_logs(fh), "still answers sip.contoso.example. A with 10.1.0.10, for 8"));
	ck_call(fh, FAKEHOST_PROBE);
	ck_assert(strstr(fakehost_losses(fh), "still answers sip.contoso.example. A with 10.1.0.10"));
}
END_TEST

START_TEST(a_cached_absence_is_old_too)
{
	fakehost_param(fh, "record", "new A 10.2.0.10");
	fakehost_param(fh, "if_old", "fail");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_ERR_REFUSED);
	ck_says(fh, "1 of 1 answers of resolvers are still not new, and 'wait' is over");
	ck_says(fh, "still answers new.contoso.example. A with (none), for ");
}
END_TEST

START_TEST(it_waits_until_all_answers_are_new)
{
	int n = 0;

	fakehost_param(fh, "record", "short A 10.2.0.10");
	fakehost_param(fh, "wait", "30s");
	while (fakehost_call(fh, FAKEHOST_VERIFY) == RESITE_PENDING && n++ < 100) {
		ck_says(fh, "1 of 1 answers of resolvers are not new yet");
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	}
	ck_call(fh, FAKEHOST_VERIFY);
	ck_assert_str_eq(fakehost_output(fh, "old"), "0 of 1");
	ck_assert_str_eq(fakehost_output(fh, "until"), "now");
}
END_TEST

START_TEST(a_resolver_that_is_silent_is_told_and_does_not_hide_the_others)
{
	fakehost_param(fh, "resolver", "127.0.0.1:1");
	fakehost_param(fh, "record", "sip A 10.2.0.10");
	ck_call(fh, FAKEHOST_VERIFY);
	ck_assert_str_eq(fakehost_output(fh, "old"), "2 of 2");
	ck_assert_str_eq(fakehost_output(fh, "until"), "unknown");
	ck_assert(strstr(fakehost_logs(fh), "it cannot be said what clients get: 127.0.0.1:1"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dns-nsupdate, TTLs and resolvers");
	TCase *tc = tcase_create("ttl-lower"), *rc = tcase_create("resolvers");

	if (!named_installed()) {
		puts("named is not installed (apt-get install bind9): skipped");
		return 77;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, ttls_are_lowered_with_the_data_as_it_is_and_it_says_from_when_on_it_is_fast);
	tcase_add_test(tc, the_way_back_raises_them_again_even_of_data_that_was_moved_meanwhile);
	tcase_add_test(tc, waiting_out_ends_when_the_old_ttl_has_run_out);
	tcase_add_test(tc, a_name_that_is_not_there_is_refused);
	tcase_add_test(tc, an_undone_change_of_the_ttl_alone_puts_the_ttl_back);
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(rc, setup_resolver, teardown_resolver);
	tcase_set_timeout(rc, 60);
	tcase_add_test(rc, what_a_resolver_still_answers_is_told_with_its_end);
	tcase_add_test(rc, a_cached_absence_is_old_too);
	tcase_add_test(rc, it_waits_until_all_answers_are_new);
	tcase_add_test(rc, a_resolver_that_is_silent_is_told_and_does_not_hide_the_others);
	suite_add_tcase(suite, rc);
	return run_suite(suite);
}
