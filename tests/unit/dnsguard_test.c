/* The rules that all DNS plugins keep. */
#include "config.h"

#include "sdk/dnsguard/guard.h"
#include "tests/unit/run_suite.h"

#include <stdio.h>
#include <string.h>

#define ZONE "contoso.example."

/* A zone as text, the changes, and what is said of them. */
static struct rrset_list zone, was, will;
static struct guard_change changes[32];
static struct guard_override overrides[4];
static struct guard_case c;
static char said[4000];

static struct rrset_list
parse(const char *text)
{
	struct rrset_list list = {0};
	ldns_rdf *origin = ldns_dname_new_frm_str(ZONE);
	char *copy = strdup(text), *save = NULL;

	for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		struct rrset_error err;

		ck_assert_msg(rrset_add_text(&list, l, origin, 60, &err), "%s", err.text);
	}
	free(copy);
	ldns_rdf_deep_free(origin);
	if (list.n)
		qsort(list.v, list.n, sizeof(*list.v), (int (*)(const void *, const void *))rrset_order);
	return list;
}

static int
look(void *ctx, const uint8_t *name, size_t len, struct guard_name *ret_target)
{
	static const uint8_t apex[] = "\7contoso\7example";
	int seen = GUARD_UNSEEN;

	(void)ctx;
	if (len >= sizeof(apex) && !memcmp(name + len - sizeof(apex), apex, sizeof(apex)))
		seen = GUARD_SEEN;
	for (size_t i = 0; i < zone.n; i++) {
		if (zone.v[i].owner_len != len || memcmp(zone.v[i].owner, name, len) != 0)
			continue;
		seen |= guard_bit(zone.v[i].type);
		if (zone.v[i].type == LDNS_RR_TYPE_CNAME)
			guard_target(&zone.v[i], 0, ret_target);
	}
	return seen;
}

static int
pointing_at(void *ctx, const uint8_t *name, size_t len,
	    void (*each)(void *arg, const struct rrset *s), void *arg)
{
	(void)ctx;
	for (size_t i = 0; i < zone.n; i++) {
		struct guard_name t;

		if (guard_target(&zone.v[i], 0, &t) && t.len == len && !memcmp(t.wire, name, len))
			each(arg, &zone.v[i]);
	}
	return 0;
}

static void
found(void *arg, const struct guard_finding *f)
{
	size_t at = strlen(said);

	(void)arg;
	snprintf(said + at, sizeof(said) - at, "%s%s[%s] %s\n", f->override ? "allowed: " : "",
		 f->warning ? "warning: " : "", guard_rule_text(f->rule), f->text);
}

/* zone_text: the zone before; set: what will be; gone: RRsets that will be removed. */
static int
judge(const char *zone_text, const char *set, const char *gone)
{
	struct rrset_list removed;
	size_t n = 0;

	zone = parse(zone_text);
	will = parse(set);
	removed = parse(gone);
	was = (struct rrset_list){0};
	said[0] = '\0';
	for (size_t i = 0; i < removed.n; i++) {
		struct rrset_list l = will;

		l.v = realloc(will.v, (will.n + 1) * sizeof(*l.v));
		l.v[l.n] = removed.v[i];
		rrset_clear(&l.v[l.n++]);
		will = l;
	}
	free(removed.v);
	if (will.n)
		qsort(will.v, will.n, sizeof(*will.v), (int (*)(const void *, const void *))rrset_order);
	was.v = calloc(will.n + 1, sizeof(*was.v));
	for (size_t i = 0; i < will.n; i++, n++) {
		was.v[i] = (struct rrset){.owner = will.v[i].owner, .owner_len = will.v[i].owner_len,
					  .type = will.v[i].type};
		for (size_t k = 0; k < zone.n; k++)
			if (!rrset_order(&zone.v[k], &was.v[i]))
				was.v[i] = zone.v[k];
		changes[n] = (struct guard_change){&was.v[i], &will.v[i]};
	}
	c.changes = changes;
	c.n_changes = n;
	c.zone = ZONE;
	c.overrides = overrides;
	c.world = (struct guard_world){NULL, look, pointing_at};
	return guard_judge(&c, found, NULL);
}

static void
set_up(void)
{
	memset(&c, 0, sizeof(c));
}

static void
tear_down(void)
{
	rrset_list_release(&zone);
	rrset_list_release(&will);
	free(was.v);
}

#define HAS(text) ck_assert_msg(strstr(said, text), "'%s' is not in: %s", text, said)

START_TEST(a_move_of_an_address_is_nothing_to_refuse)
{
	ck_assert_int_eq(judge("sip A 10.1.0.10\n_sip._tcp SRV 0 0 5060 sip", "sip A 10.2.0.10", ""), 0);
	ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(an_rrset_is_never_emptied)
{
	ck_assert_int_eq(judge("sip A 10.1.0.10", "", "sip A 10.1.0.10"), 1);
	HAS("[empty] sip.contoso.example. A would be left without data; it is now 60 10.1.0.10");
	HAS("override = [\"empty sip.contoso.example.: why\"]");
}
END_TEST

START_TEST(a_target_must_have_an_address)
{
	ck_assert_int_eq(judge("old A 10.1.0.10", "_sip._tcp SRV 0 0 5060 new", ""), 1);
	HAS("[orphan] _sip._tcp.contoso.example. SRV would point at new.contoso.example., which would "
	    "have no address");
}
END_TEST

START_TEST(a_target_that_the_same_step_sets_has_one)
{
	ck_assert_int_eq(judge("", "_sip._tcp SRV 0 0 5060 new\nnew AAAA 2001:db8::1", ""), 0);
}
END_TEST

START_TEST(a_target_may_lead_to_its_address_by_aliases)
{
	ck_assert_int_eq(judge("b CNAME d\nd A 10.0.0.1", "a CNAME b", ""), 0);
}
END_TEST

START_TEST(aliases_that_go_round_have_no_address)
{
	ck_assert_int_eq(judge("b CNAME a", "a CNAME b", ""), 1);
	HAS("[orphan] a.contoso.example. CNAME");
}
END_TEST

START_TEST(a_target_elsewhere_is_not_judged)
{
	ck_assert_int_eq(judge("", "www CNAME www.fabrikam.example.", ""), 0);
}
END_TEST

START_TEST(the_target_dot_means_no_service)
{
	c.limits.domain = GUARD_ANY;
	ck_assert_int_eq(judge("", "_ldap._tcp SRV 0 0 0 .", ""), 0);
}
END_TEST

START_TEST(what_points_at_a_removed_address_is_found)
{
	ck_assert_int_eq(judge("sip A 10.1.0.10\n_sip._tcp SRV 0 0 5060 sip\nalias CNAME sip", "",
			       "sip A 10.1.0.10"), 3);
	HAS("[orphan] _sip._tcp.contoso.example. SRV would point at sip.contoso.example.");
	HAS("[orphan] alias.contoso.example. CNAME would point at sip.contoso.example.");
	tear_down();
	ck_assert_int_eq(judge("sip A 10.1.0.10\nsip AAAA 2001:db8::1\nalias CNAME sip", "",
			       "sip A 10.1.0.10"), 1);
	HAS("[empty]");
}
END_TEST

START_TEST(what_is_changed_too_is_judged_as_it_will_be)
{
	ck_assert_int_eq(judge("sip A 10.1.0.10\nnew A 10.2.0.10\nalias CNAME sip", "alias CNAME new",
			       "sip A 10.1.0.10"), 1);
	HAS("[empty]");
}
END_TEST

START_TEST(sip_services_stay_in_their_domain)
{
	const char *far = "_sip._tls SRV 0 0 443 edge.fabrikam.example.";

	ck_assert_int_eq(judge("", far, ""), 1);
	HAS("[domain] _sip._tls.contoso.example. SRV '0 0 443 edge.fabrikam.example.' would point into "
	    "another domain");
	tear_down();
	c.limits.domain = GUARD_WARN;
	ck_assert_int_eq(judge("", far, ""), 0);
	HAS("warning: [domain]");
	tear_down();
	c.limits.domain = GUARD_ANY;
	ck_assert_int_eq(judge("", far, ""), 0);
	ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(a_cname_stands_alone)
{
	ck_assert_int_eq(judge("sip A 10.1.0.10\nx A 10.0.0.1", "sip CNAME x", ""), 1);
	HAS("[alias] sip.contoso.example. would have a CNAME beside other records");
	tear_down();
	ck_assert_int_eq(judge("sip CNAME x\nx A 10.0.0.1", "sip TXT \"here\"", ""), 1);
	HAS("set the name that the CNAME points at");
	tear_down();
	ck_assert_int_eq(judge("sip A 10.1.0.10\nx A 10.0.0.1", "sip CNAME x", "sip A 10.1.0.10"), 1);
	HAS("[empty]");
}
END_TEST

START_TEST(limits_count_only_what_changes)
{
	c.limits.max_changes = 1;
	ck_assert_int_eq(judge("a A 10.0.0.1\nb A 10.0.0.2", "a A 10.0.0.1\nb A 10.0.0.9", ""), 0);
	tear_down();
	ck_assert_int_eq(judge("a A 10.0.0.1\nb A 10.0.0.2", "a A 10.0.0.8\nb A 10.0.0.9", ""), 1);
	HAS("[changes] 2 RRsets would change, more than max_changes = 1");
	HAS("override = [\"changes contoso.example.: why\"]");
	tear_down();
	c.limits = (struct guard_limits){.max_percent = 50, .total = 3};
	ck_assert_int_eq(judge("a A 10.0.0.1\nb A 10.0.0.2", "a A 10.0.0.8\nb A 10.0.0.9", ""), 1);
	HAS("[percent] 2 of 3 RRsets would change, more than max_percent = 50");
}
END_TEST

START_TEST(a_serial_only_grows)
{
	struct guard_serial s[] = {{ZONE, 5, 6}, {ZONE, 0xffffffff, 1}, {ZONE, 6, 5}, {ZONE, 7, 7},
				   {ZONE, 0, 0x80000000}};

	c.serials = s;
	c.n_serials = 5;
	ck_assert_int_eq(judge("", "", ""), 3);
	HAS("[serial] the serial of contoso.example. would go from 6 to 5");
	HAS("from 7 to 7");
	HAS("from 0 to 2147483648");
}
END_TEST

START_TEST(an_override_is_for_one_rule_and_one_name)
{
	static const char *const wrong[][2] = {
		{"all sip: r", "does not begin with a rule"}, {"empty: r", "the name that it is for"},
		{"empty sip", "a colon"},                      {"empty sip:  ", "no reason"},
		{"empty *: r", "for one name"},                {"", "does not begin with a rule"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *why = guard_override_parse(wrong[i][0], ZONE, &overrides[0]);

		ck_assert_msg(why && strstr(why, wrong[i][1]), "'%s': %s", wrong[i][0], why);
	}
	ck_assert_ptr_null(guard_override_parse("empty SIP: closed for good", ZONE, &overrides[0]));
	ck_assert_str_eq(overrides[0].name, "sip.contoso.example.");
	ck_assert_str_eq(overrides[0].reason, "closed for good");
	ck_assert_ptr_null(guard_override_parse("changes @ : all move", ZONE, &overrides[1]));
	ck_assert_str_eq(overrides[1].name, ZONE);
	c.n_overrides = 2;
	ck_assert_int_eq(judge("sip A 10.1.0.10\nb A 10.0.0.1", "", "sip A 10.1.0.10\nb A 10.0.0.1"), 1);
	HAS("allowed: [empty] sip.contoso.example. A");
	HAS("[empty] b.contoso.example. A");
	ck_assert(overrides[0].used && !overrides[1].used);
}
END_TEST

static int
look_fails(void *ctx, const uint8_t *name, size_t len, struct guard_name *ret_target)
{
	(void)ctx, (void)name, (void)len, (void)ret_target;
	return -2;
}

START_TEST(a_world_that_cannot_be_seen_is_no_permission)
{
	judge("", "a CNAME b", "");
	c.world.look = look_fails;
	ck_assert_int_eq(guard_judge(&c, found, NULL), -2);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("dnsguard");
	TCase *t = tcase_create("rules");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_move_of_an_address_is_nothing_to_refuse);
	tcase_add_test(t, an_rrset_is_never_emptied);
	tcase_add_test(t, a_target_must_have_an_address);
	tcase_add_test(t, a_target_that_the_same_step_sets_has_one);
	tcase_add_test(t, a_target_may_lead_to_its_address_by_aliases);
	tcase_add_test(t, aliases_that_go_round_have_no_address);
	tcase_add_test(t, a_target_elsewhere_is_not_judged);
	tcase_add_test(t, the_target_dot_means_no_service);
	tcase_add_test(t, what_points_at_a_removed_address_is_found);
	tcase_add_test(t, what_is_changed_too_is_judged_as_it_will_be);
	tcase_add_test(t, sip_services_stay_in_their_domain);
	tcase_add_test(t, a_cname_stands_alone);
	tcase_add_test(t, limits_count_only_what_changes);
	tcase_add_test(t, a_serial_only_grows);
	tcase_add_test(t, an_override_is_for_one_rule_and_one_name);
	tcase_add_test(t, a_world_that_cannot_be_seen_is_no_permission);
	suite_add_tcase(s, t);
	return run_suite(s);
}
