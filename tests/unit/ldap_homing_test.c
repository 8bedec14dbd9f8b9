/* What ldap-homing decides without a server: names, filters, LDIF, result codes. */
#include "config.h"

#include "plugins/ldap-homing/names.h"
#include "plugins/ldap-homing/result.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(equal_dns_are_equal_whatever_their_case_and_spaces)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} cases[] = {
		{"CN=1:1,CN=Pools,DC=contoso,DC=example", "cn=1:1, cn=pools , dc=Contoso,dc=example", true},
		{"cn=a\\2Cb,dc=x", "cn=a\\,b,dc=x", true},
		{"cn=a+sn=b,dc=x", "sn=B+cn=A,dc=x", true},
		{"cn=a  b,dc=x", "cn=a b,dc=x", true},
		{"cn=ab,dc=x", "cn=a b,dc=x", false},
		{"cn=1:1,dc=x", "cn=2:1,dc=x", false},
		{"cn=a,dc=x", "cn=a,dc=x,dc=y", false},
		{"cn=a+sn=b,dc=x", "cn=a,dc=x", false},
		{"not a dn", "not a dn", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(lh_dn_equal(cases[i].a, cases[i].b) == cases[i].equal, "%s | %s",
			      cases[i].a, cases[i].b);
	ck_assert(!lh_dn_valid(""));
	ck_assert(!lh_dn_valid("cn"));
	ck_assert(lh_dn_valid("dc=x"));
}
END_TEST

START_TEST(a_value_cannot_break_out_of_its_filter)
{
	char *f = lh_filter_equal("a", "x*)(b=\\", NULL);

	ck_assert_str_eq(f, "(a=x\\2A\\29\\28b=\\5C)");
	free(f);
	f = lh_filter_equal("a", "x", "(objectClass=person)");
	ck_assert_str_eq(f, "(&(a=x)(objectClass=person))");
	free(f);
	ck_assert(lh_filter_plausible("(a=b)"));
	ck_assert(lh_filter_plausible(""));
	ck_assert(!lh_filter_plausible("a=b"));
	ck_assert(!lh_filter_plausible("(a=b"));
	ck_assert(!lh_filter_plausible("(a=b)(c=d)"));
	ck_assert(!lh_attribute_valid("a)(b"));
	ck_assert(lh_attribute_valid("msRTCSIP-PrimaryHomeServer"));
}
END_TEST

START_TEST(the_line_to_follow_by_hand_is_ldif_that_a_shell_passes_on_unchanged)
{
	struct lh_hand h;
	char *line;

	ck_assert_int_eq(lh_hand_init(&h, "ldapmodify", "home", "cn=b,dc=x", "cn=a,dc=x"), 0);
	line = lh_hand_line(&h, "cn=O'Neil\\, 100%,dc=x");
	ck_assert_str_eq(line, "printf '%s\\n' 'dn: cn=O'\\''Neil\\, 100%,dc=x' 'changetype: modify' "
			       "'delete: home' 'home: cn=b,dc=x' - 'add: home' 'home: cn=a,dc=x' - | "
			       "ldapmodify");
	free(line);
	line = lh_hand_line(&h, "cn=J\303\274rg,dc=x");
	ck_assert_ptr_nonnull(strstr(line, "'dn:: Y249SsO8cmcsZGM9eA=='"));
	free(line);
	lh_hand_release(&h);
	ck_assert_int_eq(lh_hand_init(&h, "t", "home", " leading", "trailing "), 0);
	line = lh_hand_line(&h, "dc=x");
	ck_assert_ptr_nonnull(strstr(line, "'home:: IGxlYWRpbmc='"));
	ck_assert_ptr_nonnull(strstr(line, "'home:: dHJhaWxpbmcg'"));
	free(line);
	lh_hand_release(&h);
}
END_TEST

START_TEST(the_fingerprint_knows_the_set_and_not_the_order)
{
	struct lh_digest a = {.count = 0}, b = {.count = 0}, c = {.count = 0};
	char x[LH_DIGEST_HEX], y[LH_DIGEST_HEX], z[LH_DIGEST_HEX];

	for (int i = 0; i < 1000; i++) {
		char s[16], r[16];

		snprintf(s, sizeof(s), "u%d", i);
		snprintf(r, sizeof(r), "u%d", 999 - i);
		lh_digest_add(&a, s, strlen(s));
		lh_digest_add(&b, r, strlen(r));
		lh_digest_add(&c, i == 7 ? "other" : s, strlen(i == 7 ? "other" : s));
	}
	lh_digest_hex(&a, "seed", x);
	lh_digest_hex(&b, "seed", y);
	lh_digest_hex(&c, "seed", z);
	ck_assert_str_eq(x, y);
	ck_assert_str_ne(x, z);
	lh_digest_hex(&b, "other seed", y);
	ck_assert_str_ne(x, y);
}
END_TEST

START_TEST(result_codes_name_the_reaction)
{
	struct lh_error e;

	ck_assert_int_eq(lh_result_rc(LDAP_SUCCESS), RESITE_OK);
	ck_assert_int_eq(lh_result_rc(LDAP_INVALID_CREDENTIALS), RESITE_ERR_REFUSED);
	ck_assert_int_eq(lh_result_rc(LDAP_BUSY), RESITE_ERR_TRANSIENT);
	ck_assert_int_eq(lh_result_rc(LDAP_SERVER_DOWN), RESITE_ERR_TRANSIENT);
	ck_assert_int_eq(lh_result_rc(LDAP_NO_SUCH_ATTRIBUTE), RESITE_ERR_CONFLICT);
	ck_assert_int_eq(lh_result_rc(LDAP_SIZELIMIT_EXCEEDED), RESITE_ERR_REFUSED);
	ck_assert_int_eq(lh_result_rc(4711), RESITE_ERR_REFUSED);
	lh_error_result(&e, 4711, "my words\nand more", "doing this");
	ck_assert_ptr_nonnull(strstr(e.text, "4711"));
	ck_assert_ptr_nonnull(strstr(e.text, "my words and more"));
	ck_assert_int_eq(e.code, 4711);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ldap_homing");
	TCase *tc = tcase_create("pure");

	tcase_add_test(tc, equal_dns_are_equal_whatever_their_case_and_spaces);
	tcase_add_test(tc, a_value_cannot_break_out_of_its_filter);
	tcase_add_test(tc, the_line_to_follow_by_hand_is_ldif_that_a_shell_passes_on_unchanged);
	tcase_add_test(tc, the_fingerprint_knows_the_set_and_not_the_order);
	tcase_add_test(tc, result_codes_name_the_reaction);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
