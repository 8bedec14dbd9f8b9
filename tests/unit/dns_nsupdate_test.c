/* dns-nsupdate: records, keys and signatures on paper, and servers that misbehave. */
#include "config.h"

#include "sdk/rr/rrplain.h"
#include "sdk/rr/rrset.h"
#include "sdk/rr/rrwire.h"
#include "plugins/dns-nsupdate/tsig.h"
#include "plugins/dns-nsupdate/update.h"
#include "sdk/net/net.h"
#include "sdk/testkit/fakehost.h"
#include "tests/unit/run_suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <resite/plugin.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

resite_plugin_v0_fn resite_plugin_v0;

static ldns_rdf *
zone(void)
{
	return ldns_dname_new_frm_str("contoso.example.");
}

/* Parses and joins records; NULL at the end. */
static struct rrset_list
list_of(struct rrset_error *err, bool *ret_ok, ...)
{
	struct rrset_list list = {0};
	ldns_rdf *z = zone();
	const char *text;
	va_list ap;

	*ret_ok = true;
	va_start(ap, ret_ok);
	while ((text = va_arg(ap, const char *)))
		*ret_ok = *ret_ok && rrset_add_text(&list, text, z, 60, err);
	va_end(ap);
	*ret_ok = *ret_ok && rrset_list_join(&list, err);
	ldns_rdf_deep_free(z);
	return list;
}

static void
ck_record(const char *text, const char *name, const char *shown)
{
	struct rrset_error err = {""};
	bool ok;
	struct rrset_list list = list_of(&err, &ok, text, NULL);
	char *got;

	ck_assert_msg(ok, "%s", err.text);
	got = rrset_name(&list.v[0]);
	ck_assert_str_eq(got, name);
	free(got);
	got = rrset_text(&list.v[0]);
	ck_assert_str_eq(got, shown);
	free(got);
	rrset_list_release(&list);
}

START_TEST(records_are_read_relative_to_the_zone_and_shown_in_one_form)
{
	ck_record("SIP 5m A 10.2.0.10", "sip.contoso.example. A", "300 10.2.0.10");
	ck_record("@ IN TXT \"a \\\"b\\\" ; c\" d", "contoso.example. TXT", "60 \"a \\\"b\\\" ; c\" \"d\"");
	ck_record("_sip._tcp 60 SRV 0 5 5061 Sip", "_sip._tcp.contoso.example. SRV",
		  "60 0 5 5061 sip.contoso.example.");
	ck_record("w.contoso.example. 0 CNAME Else.Where.", "w.contoso.example. CNAME", "0 else.where.");
	ck_record("six AAAA 2001:DB8:0::1", "six.contoso.example. AAAA", "60 2001:db8::1");
}
END_TEST

START_TEST(a_wrong_record_is_refused_with_its_text_and_the_reason)
{
	static const struct { const char *record, *says; } wrong[] = {
		{"sip A 10.2.0", "'sip A 10.2.0'"},
		{"sip MX 10 mail", "only A, AAAA, CNAME, SRV and TXT"},
		{"sip.other.example. A 1.2.3.4", "not in the zone"},
		{"xcontoso.example. A 1.2.3.4", "not in the zone"},
		{"sip CH TXT x", "class must be IN"},
		{"", "''"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct rrset_error err = {""};
		bool ok;
		struct rrset_list list = list_of(&err, &ok, wrong[i].record, NULL);

		ck_assert_msg(!ok, "%s", wrong[i].record);
		ck_assert_msg(strstr(err.text, wrong[i].says), "%s: %s", wrong[i].record, err.text);
		rrset_list_release(&list);
	}
}
END_TEST

START_TEST(records_of_one_owner_and_type_make_one_rrset)
{
	struct rrset_error err;
	bool ok;
	struct rrset_list list = list_of(&err, &ok, "a A 10.0.0.2", "b A 10.0.0.9", "A A 10.0.0.1",
					 "a A 10.0.0.2", NULL);
	char *text;

	ck_assert(ok);
	ck_assert_uint_eq(list.n, 2);
	text = rrset_text(&list.v[0]);
	ck_assert_str_eq(text, "60 10.0.0.1, 10.0.0.2");
	free(text);
	rrset_list_release(&list);
	list = list_of(&err, &ok, "a 60 A 10.0.0.2", "a 61 A 10.0.0.1", NULL);
	ck_assert(!ok && strstr(err.text, "different TTLs"));
	rrset_list_release(&list);
	list = list_of(&err, &ok, "a A 10.0.0.2", "a CNAME b", NULL);
	ck_assert(!ok && strstr(err.text, "a CNAME cannot stand beside"));
	rrset_list_release(&list);
	list = list_of(&err, &ok, "a CNAME c", "a CNAME b", NULL);
	ck_assert(!ok);
	rrset_list_release(&list);
}
END_TEST

START_TEST(case_counts_in_text_and_not_in_names)
{
	struct rrset_error err;
	bool ok;
	struct rrset_list a = list_of(&err, &ok, "x SRV 0 0 1 SIP", "y TXT \"One\"", NULL);
	struct rrset_list b = list_of(&err, &ok, "X 90 SRV 0 0 1 sip", "y TXT \"one\"", NULL);

	ck_assert(rrset_same_data(&a.v[0], &b.v[0]));
	ck_assert(!rrset_same(&a.v[0], &b.v[0])); /* the TTL */
	ck_assert(!rrset_same_data(&a.v[1], &b.v[1]));
	rrset_list_release(&a);
	rrset_list_release(&b);
}
END_TEST

START_TEST(the_target_of_a_sip_srv_record_must_be_in_its_domain)
{
	struct rrset_error err;
	bool ok;
	struct rrset_list l = list_of(&err, &ok, "_sip._tcp SRV 0 0 1 sip", "_sip._tls.sub SRV 0 0 1 sip",
				      "_sipinternaltls._tcp SRV 0 0 1 dr.other.example.",
				      "_xmpp._tcp SRV 0 0 1 dr.other.example.", NULL);
	size_t foreign = 0, sip = 0;

	ck_assert(ok);
	for (size_t i = 0; i < l.n; i++) {
		foreign += rrset_foreign_srv_target(&l.v[i]) == 0;
		sip += rrset_is_sip_service(&l.v[i]);
	}
	ck_assert_uint_eq(foreign, 3); /* sip.contoso.example is not in sub.contoso.example */
	ck_assert_uint_eq(sip, 3);
	rrset_list_release(&l);
}
END_TEST

START_TEST(a_key_is_read_in_both_notations_and_its_secret_is_never_told)
{
	static const char *const wrong[] = {
		"", "abc", "hmac-md5:k:QUJD", "hmac-sha256:k:%%%", "hmac-sha256::QUJD",
		"key \"k\" { algorithm hmac-sha256; };", "key \"k\" { secret \"QUJD\"; };",
		"key \"k\" { algorithm hmac-sha256; secret \"Q", "zone \"k\" { };", "key k { algorithm x; };",
	};
	struct tsig_key key;
	const char *why;

	ck_assert(tsig_key_parse("// a key\nkey \"Upd.Example\" {\n\talgorithm HMAC-SHA512; # strong\n"
				 "\tsecret \"QUJD\";\n};\n", &key, &why));
	ck_assert_str_eq(tsig_key_algorithm(&key), "hmac-sha512");
	ck_assert_str_eq(key.name_text, "Upd.Example");
	ck_assert_mem_eq(key.name, "\3upd\7example", 13);
	ck_assert_uint_eq(key.secret_len, 3);
	ck_assert(tsig_key_parse(" hmac-sha1:upd:QUJD\n", &key, &why));
	ck_assert_mem_eq(key.secret, "ABC", 3);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_msg(!tsig_key_parse(wrong[i], &key, &why), "%s", wrong[i]);
		ck_assert_ptr_null(strstr(why, "QUJD"));
		ck_assert_uint_eq(key.secret_len, 0);
	}
}
END_TEST

/* A message signed by us is, to the verifier, an answer to nothing: with the MAC of a request
 * it must fail, and any changed byte must make it fail. */
START_TEST(a_changed_answer_or_one_to_another_request_is_not_believed)
{
	uint8_t wire[700] = {0x12, 0x34, 0xa8, 0}, copy[700];
	struct tsig_mac mac, other = {.len = 32};
	struct tsig_result t;
	struct tsig_key key;
	const char *why;
	size_t len;

	ck_assert(tsig_key_parse("hmac-sha256:upd:QUJDREVG", &key, &why));
	ck_assert_int_eq(tsig_verify(&key, wire, 12, NULL, 1000, &t), TSIG_UNSIGNED);
	len = tsig_sign(&key, wire, 12, 1000, &mac);
	ck_assert_int_eq(tsig_verify(&key, wire, len, NULL, 1000, &t), TSIG_VALID);
	ck_assert_int_eq(tsig_verify(&key, wire, len, NULL, 1301, &t), TSIG_LATE);
	ck_assert_int_eq(tsig_verify(&key, wire, len, &other, 1000, &t), TSIG_INVALID);
	for (size_t i = 2; i < len; i++) {
		memcpy(copy, wire, len);
		copy[i] ^= 1;
		ck_assert_int_ne(tsig_verify(&key, copy, len, NULL, 1000, &t), TSIG_VALID);
	}
	for (size_t n = 0; n < len; n++) /* also a test of bounds, under sanitizers */
		ck_assert_int_ne(tsig_verify(&key, wire, n, NULL, 1000, &t), TSIG_VALID);
}
END_TEST

START_TEST(an_unsigned_yes_to_a_signed_update_is_not_believed)
{
	uint8_t answer[12] = {1, 2, 0xa8, 0};
	struct tsig_mac mac = {.len = 32};
	struct update_failure f;
	struct tsig_key key;
	const char *why;

	ck_assert(tsig_key_parse("hmac-sha256:upd:QUJDREVG", &key, &why));
	ck_assert_int_eq(update_judge(answer, 12, &key, &mac, 1000, &f), UPDATE_FAILED);
	ck_assert_int_eq(f.rc, RESITE_ERR_TRANSIENT);
	ck_assert(strstr(f.text, "not signed"));
	ck_assert_int_eq(update_judge(answer, 12, NULL, NULL, 1000, &f), UPDATE_DONE);
	answer[3] = 8;
	ck_assert_int_eq(update_judge(answer, 12, NULL, NULL, 1000, &f), UPDATE_PREREQUISITE);
	answer[3] = 2;
	ck_assert_int_eq(update_judge(answer, 12, NULL, NULL, 1000, &f), UPDATE_FAILED);
	ck_assert_int_eq(f.rc, RESITE_ERR_TRANSIENT);
}
END_TEST

START_TEST(endpoints_are_taken_apart)
{
	struct net_endpoint e;

	ck_assert(net_endpoint_parse("ns1.example:53", NULL, &e));
	ck_assert_str_eq(e.host, "ns1.example");
	ck_assert(net_endpoint_parse("[2001:db8::1]:5353", NULL, &e));
	ck_assert_str_eq(e.host, "2001:db8::1");
	ck_assert_str_eq(e.text, "[2001:db8::1]:5353");
	ck_assert(net_endpoint_parse("2001:db8::1", "53", &e));
	ck_assert_str_eq(e.port, "53");
	ck_assert(!net_endpoint_parse("host", NULL, &e));
	ck_assert(!net_endpoint_parse("host:0", NULL, &e));
	ck_assert(!net_endpoint_parse("host:65536", NULL, &e));
	ck_assert(!net_endpoint_parse("host:5a", NULL, &e));
	ck_assert(!net_endpoint_parse("[::1", "53", &e));
	ck_assert(!net_endpoint_parse(":53", NULL, &e));
}
END_TEST

/* --- servers that misbehave ---------------------------------------------------------- */

/* Answers each TCP connection's first message with these bytes, then hangs up or stays. */
static void
ck_rogue(const char *bytes, size_t n, bool hang_up, const char *says)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct fakehost *fh = fakehost_new(&resite_plugin_v0()->actions[0]);
	char at[32], buf[4096];
	pid_t pid;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	snprintf(at, sizeof(at), "127.0.0.1:%d", ntohs(sa.sin_port));
	pid = fork();
	for (int c; pid == 0;) {
		c = accept(fd, NULL, NULL);
		(void)!read(c, buf, sizeof(buf));
		(void)!write(c, bytes, n);
		if (hang_up)
			close(c);
	}
	close(fd);
	fakehost_param(fh, "server", at);
	fakehost_param(fh, "zone", "contoso.example.");
	fakehost_param(fh, "record", "sip A 10.2.0.10");
	fakehost_param(fh, "patience", "300ms");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_TRANSIENT);
	ck_assert_msg(strstr(fakehost_failure(fh), says), "'%s' lacks '%s'", fakehost_failure(fh), says);
	ck_assert(strstr(fakehost_failure(fh), at));
	fakehost_free(fh);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

START_TEST(a_server_that_hangs_lies_or_breaks_off_is_transient_and_named)
{
	ck_rogue("", 0, false, "has not answered over TCP in 300 ms");
	ck_rogue("", 0, true, "closed the connection with 1 messages unanswered");
	ck_rogue("\0\x20garbage", 9, true, "in the middle of one");
	ck_rogue("\0\x03xyz", 5, false, "no answer to a question of ours");
	ck_rogue("\0\0", 2, false, "0 bytes that are no answer");
}
END_TEST

/* --- the quick ways ------------------------------------------------------------- */

static bool
is_plain(const char *text)
{
	ldns_rdf *z = zone();
	struct plain_rr rr;
	bool plain = plain_rr_parse(text, ldns_rdf_data(z), ldns_rdf_size(z), 60, &rr);

	ldns_rdf_deep_free(z);
	return plain;
}

/* What the quick way takes, it must take as ldns does; the rest it must leave. */
START_TEST(plain_records_are_read_the_quick_way_as_ldns_reads_them)
{
	static const char *const plain[] = {
		"sip A 10.2.0.10", "sip 60 A 10.2.0.10", "SIP 60 IN A 10.2.0.10", "a.b.c A 10.0.0.1",
		"s\t7\tAAAA\t2001:DB8::1 ", "_x-1 0 IN AAAA ::ffff:10.0.0.1", "60 A 10.0.0.1",
	};
	static const char *const others[] = {
		"@ A 10.0.0.1", "sip. A 10.0.0.1", "*.w A 10.0.0.1", "s\\046p A 10.0.0.1", " A 10.0.0.1",
		"sip 1h A 10.0.0.1", "sip IN 60 A 10.0.0.1", "sip A 10.0.0.1 10.0.0.2", "sip A 10.0.0",
		"sip A 010.0.0.1x", "sip CH A 10.0.0.1", "sip TXT x", "sip A", "sip", "", "a..b A 10.0.0.1",
		"sip 9999999999 A 10.0.0.1", "sip A 10.0.0.1 ; why",
		"a123456789a123456789a123456789a123456789a123456789a123456789a123 A 10.0.0.1",
	};
	ldns_rdf *z = zone();

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		struct plain_rr rr;
		ldns_rr *by_ldns = NULL;

		ck_assert_msg(plain_rr_parse(plain[i], ldns_rdf_data(z), ldns_rdf_size(z), 60, &rr),
			      "%s", plain[i]);
		ck_assert_int_eq(ldns_rr_new_frm_str(&by_ldns, plain[i], 60, z, NULL), LDNS_STATUS_OK);
		ldns_rr2canonical(by_ldns);
		ck_assert_uint_eq(rr.owner_len, ldns_rdf_size(ldns_rr_owner(by_ldns)));
		ck_assert_mem_eq(rr.owner, ldns_rdf_data(ldns_rr_owner(by_ldns)), rr.owner_len);
		ck_assert_uint_eq(rr.type, ldns_rr_get_type(by_ldns));
		ck_assert_uint_eq(rr.ttl, ldns_rr_ttl(by_ldns));
		ck_assert_mem_eq(rr.address, ldns_rdf_data(ldns_rr_rdf(by_ldns, 0)), rr.address_len);
		ldns_rr_free(by_ldns);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ck_assert_msg(!is_plain(others[i]), "%s", others[i]);
	ldns_rdf_deep_free(z);
}
END_TEST

/* At offset 2 "ORG", at 7 "wWw" with a pointer to it; then an A and an SRV record. */
static const uint8_t wire[] =
	"\x00\x00\x03ORG\x00"           /* 0 */
	"\x03wWw\xc0\x02"               /* 7 */
	"\x00\x00\x00\x00\x00\x00"      /* 13 */
	"\xc0\x07\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x02\x00\x0a"         /* 19: A */
	"\xc0\x02\x00\x21\x00\x01\x00\x00\x00\x3c\x00\x08\x00\x01\x00\x02\x13\xc4\xc0\x07"; /* 35: SRV */

START_TEST(records_are_read_from_the_wire_in_canonical_form)
{
	struct wire_rr rr;
	size_t at = 19;

	ck_assert(wire_next(wire, sizeof(wire) - 1, &at, &rr));
	ck_assert_uint_eq(at, 35);
	ck_assert_uint_eq(rr.owner_len, 9);
	ck_assert_mem_eq(rr.owner, "\3www\3org", 9);
	ck_assert_uint_eq(rr.ttl, 60);
	ck_assert_uint_eq(rr.rdata_len, 4);
	ck_assert(wire_next(wire, sizeof(wire) - 1, &at, &rr));
	ck_assert_uint_eq(at, sizeof(wire) - 1);
	ck_assert_mem_eq(rr.owner, "\3org", 5);
	ck_assert_uint_eq(rr.rdata_len, 15);
	ck_assert_mem_eq(rr.rdata, "\0\1\0\2\x13\xc4\3www\3org", 15);
}
END_TEST

START_TEST(a_broken_record_is_refused_wherever_it_breaks_off)
{
	static const uint8_t loop[] = "\xc0\x02\xc0\x00\x03wWw\xc0\x04";
	uint8_t name[WIRE_NAME_MAX];
	struct wire_rr rr;

	for (size_t len = 19; len < 35; len++) {
		size_t at = 19;

		ck_assert(!wire_next(wire, len, &at, &rr));
	}
	for (size_t len = 35; len < sizeof(wire) - 1; len++) {
		size_t at = 35;

		ck_assert(!wire_next(wire, len, &at, &rr));
	}
	/* Pointers that go round, and one forward. */
	for (size_t at = 0; at < 6; at += 2) {
		size_t from = at;

		ck_assert_uint_eq(wire_name(loop, sizeof(loop) - 1, &from, name), 0);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dns-nsupdate");
	TCase *tc = tcase_create("alone");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, records_are_read_relative_to_the_zone_and_shown_in_one_form);
	tcase_add_test(tc, a_wrong_record_is_refused_with_its_text_and_the_reason);
	tcase_add_test(tc, records_of_one_owner_and_type_make_one_rrset);
	tcase_add_test(tc, case_counts_in_text_and_not_in_names);
	tcase_add_test(tc, the_target_of_a_sip_srv_record_must_be_in_its_domain);
	tcase_add_test(tc, a_key_is_read_in_both_notations_and_its_secret_is_never_told);
	tcase_add_test(tc, a_changed_answer_or_one_to_another_request_is_not_believed);
	tcase_add_test(tc, an_unsigned_yes_to_a_signed_update_is_not_believed);
	tcase_add_test(tc, endpoints_are_taken_apart);
	tcase_add_test(tc, a_server_that_hangs_lies_or_breaks_off_is_transient_and_named);
	tcase_add_test(tc, plain_records_are_read_the_quick_way_as_ldns_reads_them);
	tcase_add_test(tc, records_are_read_from_the_wire_in_canonical_form);
	tcase_add_test(tc, a_broken_record_is_refused_wherever_it_breaks_off);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
