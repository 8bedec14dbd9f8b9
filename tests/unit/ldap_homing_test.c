/* What ldap-homing decides without a server: names, filters, LDIF, result codes. */
#include "config.h"

#include "plugins/ldap-homing/addresses.h"
#include "plugins/ldap-homing/names.h"
#include "plugins/ldap-homing/result.h"
#include "plugins/ldap-homing/schema.h"
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
	ck_assert(!lh_attribute_valid("a)(b"));
	ck_assert(lh_attribute_valid("msRTCSIP-PrimaryHomeServer"));
}
END_TEST

static const struct {
	const char *text;
	size_t at; /* of the fault; 0: there is none */
} filters[] = {
	{"(a=b)", 0},
	{"(a=*)", 0},
	{"(a=b*c*d)", 0},
	{"(&(a=b)(!(c>=1))(|(d~=x)(e<=2)))", 0},
	{"(& (a=b) (c=d) )", 0},
	{"(1.2.840.113556.1.6.24.1.57=CN=x\\2c\\20y,DC=z)", 0},
	{"(userAccountControl:1.2.840.113556.1.4.803:=2)", 0},
	{"(cn:dn:=x)", 0},
	{"(a=)", 0},
	{"(a=\303\274)", 0},
	{"", 1},
	{"a=b", 1},
	{"(a=b", 5},
	{"(a=b))", 6},
	{"(a=b)(c=d)", 6},
	{"(&)", 3},
	{"(!(a=b)(c=d))", 13},
	{"(a)", 3},
	{"(=b)", 2},
	{"(a=b(c)", 5},
	{"(a=b\\2)", 5},
	{"(a>=*)", 5},
	{"(a = b)", 3},
	{"(|(a=b)x)", 8},
};

START_TEST(a_filter_that_is_none_is_found_before_a_server_is_asked)
{
	size_t at = 0;
	const char *fault = lh_filter_fault(filters[_i].text, &at);

	ck_assert_msg(!fault == !filters[_i].at, "%s: %s", filters[_i].text, fault);
	if (fault)
		ck_assert_msg(at + 1 == filters[_i].at, "%s: at %zu: %s", filters[_i].text, at + 1,
			      fault);
}
END_TEST

static const struct {
	const char *description, *name;
	bool is;
} types[] = {
	{"( 2.5.4.3 NAME ( 'cn' 'commonName' ) DESC 'x' SUP name )", "CommonName", true},
	{"( 2.5.4.3 NAME ( 'cn' 'commonName' ) DESC 'x' SUP name )", "2.5.4.3", true},
	{"( 2.5.4.3 NAME ( 'cn' 'commonName' ) DESC 'x' SUP name )", "name", false},
	{"( 1.2.840.113556.1.2.141 NAME 'department' SYNTAX 'x' SINGLE-VALUE )", "department", true},
	{"( 1.2.840.113556.1.2.141 NAME 'department' SYNTAX 'x' SINGLE-VALUE )", "departmen", false},
	{"( 1.2 DESC 'NAME' SYNTAX 'x' )", "SYNTAX", false},
	{"( 1.2 NAME ( 'a'", "b", false},
	{"( 1.2 NAME 'a", "a", true},
	{"(", "", false},
	{"", "a", false},
};

START_TEST(an_attribute_is_known_by_each_of_its_names)
{
	struct berval d = {strlen(types[_i].description), (char *)(uintptr_t)types[_i].description};

	ck_assert_msg(lh_type_is(&d, types[_i].name) == types[_i].is, "%s", types[_i].description);
}
END_TEST

START_TEST(the_attributes_of_a_filter_are_found)
{
	struct lh_names names = {.n = 0};

	lh_filter_attributes("(&(a;lang-de=b)(!(c:dn:1.2:=1))(|(d~=x=y)(1.2.3<=2)))", &names);
	ck_assert_uint_eq(names.n, 4);
	ck_assert_str_eq(names.name[0], "a");
	ck_assert_str_eq(names.name[1], "c");
	ck_assert_str_eq(names.name[2], "d");
	ck_assert_str_eq(names.name[3], "1.2.3");
}
END_TEST

START_TEST(filters_within_filters_end_somewhere)
{
	char deep[3000], *p = deep;
	size_t at;

	for (int i = 0; i < 900; i++)
		p = stpcpy(p, "(!");
	ck_assert_ptr_nonnull(lh_filter_fault(deep, &at));
}
END_TEST

static const struct {
	const char *text;
	size_t len; /* 0: strlen */
	size_t n;   /* addresses; 0: a fault */
	const char *says;
} address_files[] = {
	{"u1@a.example\n", 0, 1, NULL},
	{"\xef\xbb\xbf" "sip:U1@A.example\r\n\r\n  # all of sales\n\tu2@a.example  # boss", 0, 2, NULL},
	{"u1@a.example\nSIP:u1@A.EXAMPLE\n", 0, 1, NULL},
	{"", 0, 0, "no address"},
	{"# nobody\n", 0, 0, "no address"},
	{"u1@a.example\nu2\n", 0, 0, ":2: not an address"},
	{"u1@a.example\n@a.example\n", 0, 0, ":2: not an address"},
	{"u1@a.exa\nu2@", 0, 0, ":2: not an address"},
	{"u1@a.example u2@a.example\n", 0, 0, ":1: a blank or control"},
	{"u1\x1b[2J@a.example\n", 0, 0, ":1: a blank or control"},
	{"\xff\xfeu\0" "1\0@\0a\0\n\0", 12, 0, "UTF-16"},
	{"u1@a.example\n\0\0\0", 16, 0, "UTF-16"},
};

START_TEST(a_file_of_addresses_is_read_whole_or_not_at_all)
{
	size_t len = address_files[_i].len ? address_files[_i].len : strlen(address_files[_i].text);
	char *text = malloc(len + 1);
	struct lh_addresses a;
	struct lh_error e = {.rc = 0};
	int rc;

	memcpy(text, address_files[_i].text, len);
	text[len] = '\0';
	rc = lh_addresses_parse(&a, "users_file", "u.txt", text, len, &e);
	if (address_files[_i].n) {
		ck_assert_msg(rc == 0, "%s", e.text);
		ck_assert_uint_eq(a.n, address_files[_i].n);
		ck_assert(lh_addresses_meet(&a, "SIP:U1@a.Example", 16));
		ck_assert(!lh_addresses_meet(&a, "u1@a.exampl", 11));
		ck_assert(!lh_addresses_meet(&a, "u1@a.example\0x", 14));
	} else {
		ck_assert_int_eq(rc, RESITE_ERR_INVALID);
		ck_assert_msg(strstr(e.text, address_files[_i].says) != NULL, "%s", e.text);
	}
	lh_addresses_release(&a);
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
	tcase_add_loop_test(tc, a_filter_that_is_none_is_found_before_a_server_is_asked, 0,
			    sizeof(filters) / sizeof(filters[0]));
	tcase_add_loop_test(tc, an_attribute_is_known_by_each_of_its_names, 0,
			    sizeof(types) / sizeof(types[0]));
	tcase_add_test(tc, the_attributes_of_a_filter_are_found);
	tcase_add_test(tc, filters_within_filters_end_somewhere);
	tcase_add_loop_test(tc, a_file_of_addresses_is_read_whole_or_not_at_all, 0,
			    sizeof(address_files) / sizeof(address_files[0]));
	tcase_add_test(tc, the_line_to_follow_by_hand_is_ldif_that_a_shell_passes_on_unchanged);
	tcase_add_test(tc, the_fingerprint_knows_the_set_and_not_the_order);
	tcase_add_test(tc, result_codes_name_the_reaction);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
