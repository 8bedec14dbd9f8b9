/* dns-nsupdate with GSS-TSIG: a real realm, a real named with a service key, nsupdate -g. */
#include "config.h"

#include "sdk/testkit/fakehost.h"
#include "tests/unit/kdc_rig.h"
#include "tests/unit/named_server.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <resite/plugin.h>
#include <stdlib.h>
#include <string.h>

resite_plugin_v0_fn resite_plugin_v0;

static struct kdc_rig kdc;
static struct named_server primary;
static struct fakehost *fh;
static char keytab[100], ccache[100];

static void
setup(void)
{
	kdc_start(&kdc);
	kdc_add(&kdc, "DNS/ns1." ZONE, "dns.keytab");
	kdc_add(&kdc, "upd", "upd.keytab");
	kdc_add(&kdc, "guest", "guest.keytab");
	kdc_kinit(&kdc, "upd", "upd.keytab", "upd");
	kdc_kinit(&kdc, "guest", "guest.keytab", "guest");
	snprintf(keytab, sizeof(keytab), "%s/dns.keytab", kdc.dir);
	primary = (struct named_server){.keytab = keytab};
	named_start(&primary);
	fh = fakehost_new(&resite_plugin_v0()->actions[0]);
	fakehost_param(fh, "server", primary.at);
	fakehost_param(fh, "zone", ZONE ".");
	fakehost_param(fh, "verify_at", primary.at);
	fakehost_param(fh, "via", "gss");
	if (getenv("TRACE"))
		fakehost_trace(fh, stderr);
}

static void
teardown(void)
{
	fakehost_free(fh);
	named_stop(&primary);
	kdc_stop(&kdc);
}

static void
use_tickets_of(const char *who)
{
	snprintf(ccache, sizeof(ccache), "%s/%s", kdc.dir, who);
	fakehost_param(fh, "ccache", ccache);
}

#define ck_says(part) \
	ck_assert_msg(strstr(fakehost_failure(fh), part), "'%s' lacks '%s'", fakehost_failure(fh), part)
#define ck_call(phase) \
	ck_assert_msg(fakehost_call(fh, phase) == RESITE_OK, "%s", fakehost_failure(fh))

START_TEST(with_a_ticket_records_are_set_verified_and_put_back)
{
	use_tickets_of("upd");
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	fakehost_param(fh, "record", "fresh 60 CNAME multi");
	ck_call(FAKEHOST_CHECK);
	ck_call(FAKEHOST_PROBE);
	ck_call(FAKEHOST_APPLY);
	ck_call(FAKEHOST_VERIFY);
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.2.0.10");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 2);
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.1.0.10");
}
END_TEST

/* Somebody else is another step that has the same ticket. */
static void
somebody_changes_sip(void *arg)
{
	int *times = arg;
	struct fakehost *h;

	if ((*times)++)
		return;
	h = fakehost_new(&resite_plugin_v0()->actions[0]);
	fakehost_param(h, "server", primary.at);
	fakehost_param(h, "zone", ZONE ".");
	fakehost_param(h, "via", "gss");
	fakehost_param(h, "ccache", ccache);
	fakehost_param(h, "record", "sip 60 A 10.9.9.9");
	ck_assert_int_eq(fakehost_call(h, FAKEHOST_APPLY), RESITE_OK);
	fakehost_free(h);
}

START_TEST(a_change_in_between_is_a_conflict)
{
	int times = 0;

	use_tickets_of("upd");
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	fakehost_on_sync(fh, somebody_changes_sip, &times);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_CONFLICT);
	ck_says("is now 60 10.9.9.9");
}
END_TEST

static const struct {
	const char *who, *says;
} refused[] = {
	{"nobody", "is there a ticket that is still valid (klist)"},
	{"guest", "REFUSED: check allow-update or update-policy"},
};

START_TEST(without_a_ticket_or_the_right_it_is_refused)
{
	use_tickets_of(refused[_i].who);
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_REFUSED);
	ck_says(refused[_i].says);
	ck_assert_str_eq(dig(&primary, "sip." ZONE, "A"), "10.1.0.10");
}
END_TEST

START_TEST(a_key_beside_kerberos_is_the_plans_fault)
{
	fakehost_param(fh, "key", "tsig");
	fakehost_secret(fh, "tsig", KEY_256);
	fakehost_param(fh, "record", "sip 60 A 10.2.0.10");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_CHECK), RESITE_ERR_INVALID);
	ck_says("Kerberos signs, not a key");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dns-nsupdate with GSS-TSIG");
	TCase *tc = tcase_create("gss");

	if (!named_installed() || !kdc_installed()) {
		puts("named or krb5kdc is not installed (apt-get install bind9 krb5-kdc krb5-user): skipped");
		return 77;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, with_a_ticket_records_are_set_verified_and_put_back);
	tcase_add_test(tc, a_change_in_between_is_a_conflict);
	tcase_add_loop_test(tc, without_a_ticket_or_the_right_it_is_refused, 0, 2);
	tcase_add_test(tc, a_key_beside_kerberos_is_the_plans_fault);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
