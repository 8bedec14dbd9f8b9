/* contacts: the formats.  Golden text in, golden text out; broken input is refused by line. */
#define _GNU_SOURCE
#include "plugins/contacts/lync.h"
#include "plugins/contacts/documents.h"
#include "plugins/contacts/lists.h"
#include "plugins/contacts/text.h"
#include "plugins/contacts/users.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS "http://schemas.microsoft.com/RtcServer/2002/11/dbimpexp"
#define HEAD "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<HomedResources xmlns=\"" NS "\">\n"
#define TAIL "</HomedResources>\n"

static char path[64];
static struct fault f;

static void
setup(void)
{
	int fd;

	strcpy(path, "/tmp/contacts-test-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void
teardown(void)
{
	unlink(path);
}

static void
put_bytes(const void *data, size_t len)
{
	FILE *out = fopen(path, "w");

	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(data, 1, len, out), len);
	fclose(out);
}

static int
write_all(void *arg, const struct model_user *u, struct fault *fault)
{
	struct buf *out = arg;

	(void)fault;
	buf_puts(out, "== ");
	buf_puts(out, model_text(u, u->name));
	buf_puts(out, "\n");
	lists_write(out, u);
	return 0;
}

/* Reads the file at path; the documents of all users are in out. */
static int
read_file(struct buf *out, struct read_stats *stats)
{
	const struct reader reader = {.user = write_all, .arg = out};
	int rc = dbimpexp_read(path, &reader, stats, &f);

	buf_add(out, "", 1);
	return rc;
}

static void
to_utf16le(struct buf *out, const char *ascii)
{
	buf_add(out, "\xff\xfe", 2);
	for (; *ascii; ascii++) {
		buf_add(out, ascii, 1);
		buf_add(out, "", 1);
	}
}

/* --- dbimpexp -------------------------------------------------------------------- */

static const char lync[] =
	"<HomedResources xmlns=\"" NS "\">\r\n"
	" <HomedResource UserAtHost=\"alice@contoso.com\">\r\n"
	"  <ContactGroups><ContactGroup Number=\"1\" DisplayName=\"fg==\" ExternalUri=\"\"/>"
	"<ContactGroup Number=\"2\" DisplayName=\"U2FsZXMgVGVhbQ==\" ExternalUri=\"\"/>"
	"<ContactGroup Number=\"12\" DisplayName=\"w4lxdWlwZSBWZW50ZXM=\" ExternalUri=\"\"/>"
	"<ContactGroup Number=\"4\" DisplayName=\"ZGwtaHI=\""
	" ExternalUri=\"PGdyb3VwRGVmaW5pdGlvbi8+\"/>"
	"</ContactGroups>\r\n"
	"  <Contacts><Contact Buddy=\"bob@contoso.com\" SubscribePresence=\"1\" Groups=\"1 2\""
	" DisplayName=\"Qm9iIEI=\"/><Contact\r\n Buddy=\"carol@contoso.com\" Groups=\"12\""
	" DisplayName=\"Q2Fyb2wgJiBDbw==\">\r\n</Contact>"
	"<Contact Buddy=\"BOB@contoso.com\" Groups=\"12 12\" DisplayName=\"\"/>"
	"<Contact Buddy=\"Alice@Contoso.com\" Groups=\"1\"/>"
	"<Contact Buddy=\"sip:dave@fabrikam.com\" Groups=\"\" DisplayName=\"\"/>"
	"<Contact Buddy=\"tel:+1&amp;2\" Groups=\"99\" DisplayName=\"\"/></Contacts>\r\n"
	"  <Permissions><Contact Buddy=\"x@y\"/><HomedResource UserAtHost=\"no@no\"/></Permissions>"
	" </HomedResource>\r\n"
	" <HomedResource UserAtHost=\"erin@contoso.com\"><ContactGroups>"
	"<ContactGroup Number=\"1\" DisplayName=\"fg==\" ExternalUri=\"\"/></ContactGroups>"
	"<Later/></HomedResource>\r\n"
	"</HomedResources>\r\n";

#define DOC_HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" \
	"<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\">\n"

static const char lync_lists[] =
	"== alice@contoso.com\n" DOC_HEAD
	"  <list name=\"~\">\n    <display-name>Other Contacts</display-name>\n"
	"    <entry uri=\"sip:bob@contoso.com\"><display-name>Bob B</display-name></entry>\n"
	"    <entry uri=\"sip:dave@fabrikam.com\"/>\n"
	"    <entry uri=\"tel:+1&amp;2\"/>\n"
	"  </list>\n"
	"  <list name=\"Sales Team\">\n    <display-name>Sales Team</display-name>\n"
	"    <entry uri=\"sip:bob@contoso.com\"><display-name>Bob B</display-name></entry>\n"
	"  </list>\n"
	"  <list name=\"\xc3\x89quipe Ventes\">\n"
	"    <display-name>\xc3\x89quipe Ventes</display-name>\n"
	"    <entry uri=\"sip:bob@contoso.com\"><display-name>Bob B</display-name></entry>\n"
	"    <entry uri=\"sip:carol@contoso.com\"><display-name>Carol &amp; Co</display-name>"
	"</entry>\n"
	"  </list>\n"
	"  <list name=\"dl-hr\" xmlns:r=\"urn:resite:contacts:1\""
	" r:external=\"&lt;groupDefinition/&gt;\">\n"
	"    <display-name>dl-hr</display-name>\n"
	"  </list>\n"
	"</resource-lists>\n"
	"== erin@contoso.com\n" DOC_HEAD
	"  <list name=\"~\">\n    <display-name>Other Contacts</display-name>\n  </list>\n"
	"</resource-lists>\n";

static void
check_lync(void)
{
	struct read_stats stats;
	struct lists_counts counts;
	struct buf out = {0};
	const char *erin;

	ck_assert_msg(read_file(&out, &stats) == 0, "%s", f.text);
	ck_assert_str_eq(out.p, lync_lists);
	ck_assert((stats.names == NAMES_BASE64));
	ck_assert_uint_eq(stats.users, 2);
	ck_assert_uint_eq(stats.users_without_contacts, 1);
	ck_assert_uint_eq(stats.contacts, 4);
	ck_assert_uint_eq(stats.self_contacts, 1);
	ck_assert_uint_eq(stats.duplicates, 1);
	ck_assert_uint_eq(stats.distribution_groups, 1);
	ck_assert_uint_eq(stats.other_sections, 2);
	/* What we write is what we would accept. */
	erin = strstr(out.p, "== erin") + strlen("== erin@contoso.com\n");
	ck_assert_msg(lists_count(erin, strlen(erin), &counts, &f) == 0, "%s", f.text);
	ck_assert_uint_eq(counts.lists, 1);
	buf_release(&out);
}

START_TEST(a_utf8_export_becomes_resource_lists)
{
	put_bytes(lync, strlen(lync));
	check_lync();
}
END_TEST

START_TEST(a_utf16le_export_becomes_the_same_lists)
{
	struct buf wide = {0};

	to_utf16le(&wide, lync);
	put_bytes(wide.p, wide.len);
	check_lync();
	buf_clear(&wide);
	to_utf16le(&wide, "<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n");
	to_utf16le(&wide, lync);
	memmove(wide.p + 2 + 2 * 41, wide.p + 4 + 2 * 41, wide.len - 4 - 2 * 41);
	put_bytes(wide.p, wide.len - 2);
	check_lync();
	buf_release(&wide);
}
END_TEST

/* A word such as "Team" is base64 too: "~" among the groups says that this file is plain. */
START_TEST(how_names_are_written_is_decided_for_the_whole_file)
{
	static const char plain[] = HEAD
		"<HomedResource UserAtHost=\"a@x\"><ContactGroups>"
		"<ContactGroup Number=\"2\" DisplayName=\"Team\"/>"
		"<ContactGroup Number=\"3\" DisplayName=\"U2FsZXM=\"/>"
		"<ContactGroup Number=\"1\" DisplayName=\"~\"/></ContactGroups>"
		"</HomedResource>" TAIL;
	static const char base64[] = HEAD
		"<HomedResource UserAtHost=\"a@x\"><ContactGroups>"
		"<ContactGroup Number=\"3\" DisplayName=\"U2FsZXM=\"/></ContactGroups>"
		"</HomedResource>" TAIL;
	struct read_stats stats;
	struct buf out = {0};

	put_bytes(plain, strlen(plain));
	ck_assert_int_eq(read_file(&out, &stats), 0);
	ck_assert(!(stats.names == NAMES_BASE64));
	ck_assert_ptr_nonnull(strstr(out.p, "<list name=\"Team\">"));
	ck_assert_ptr_nonnull(strstr(out.p, "<list name=\"U2FsZXM=\">"));
	buf_clear(&out);
	put_bytes(base64, strlen(base64));
	ck_assert_int_eq(read_file(&out, &stats), 0);
	ck_assert((stats.names == NAMES_BASE64));
	ck_assert_ptr_nonnull(strstr(out.p, "<list name=\"Sales\">"));
	buf_release(&out);
}
END_TEST

START_TEST(an_odd_name_in_a_base64_file_is_kept_and_counted)
{
	static const char mixed[] = HEAD
		"<HomedResource UserAtHost=\"a@x\"><ContactGroups>"
		"<ContactGroup Number=\"1\" DisplayName=\"fg==\"/>"
		"<ContactGroup Number=\"2\" DisplayName=\"My Friends &lt;3\"/>"
		"<ContactGroup Number=\"3\" DisplayName=\"Bwc=\"/></ContactGroups>"
		"</HomedResource>" TAIL;
	struct read_stats stats;
	struct buf out = {0};

	put_bytes(mixed, strlen(mixed));
	ck_assert_int_eq(read_file(&out, &stats), 0);
	ck_assert_uint_eq(stats.odd_names, 2);
	ck_assert_ptr_nonnull(strstr(out.p, "<list name=\"My Friends &lt;3\">"));
	/* Two bells: no XML could hold them. */
	ck_assert_ptr_nonnull(strstr(out.p, "<list name=\"Bwc=\">"));
	buf_release(&out);
}
END_TEST

START_TEST(lists_of_one_name_are_told_apart)
{
	static const char twice[] = HEAD
		"<HomedResource UserAtHost=\"a@x\"><Contacts>"
		"<Contact Buddy=\"b@x\" Groups=\"7\"/></Contacts><ContactGroups>"
		"<ContactGroup Number=\"5\" DisplayName=\"My \"/>"
		"<ContactGroup Number=\"7\" DisplayName=\"My \"/></ContactGroups>"
		"</HomedResource>" TAIL;
	struct read_stats stats;
	struct buf out = {0};

	put_bytes(twice, strlen(twice));
	ck_assert_int_eq(read_file(&out, &stats), 0);
	ck_assert_ptr_nonnull(strstr(out.p, "<list name=\"My \">"));
	ck_assert_ptr_nonnull(strstr(out.p, "<list name=\"My  (7)\">\n    <display-name>My "
					    "</display-name>\n    <entry uri=\"sip:b@x\"/>"));
	buf_release(&out);
}
END_TEST

static const struct {
	const char *text, *says;
} broken[] = {
	{"", "the file is empty"},
	{"x", "line 1: malformed XML: "},
	{"<a/>", "this is no dbimpexp export"},
	{"<HomedResources/>", "this is no dbimpexp export"},
	{HEAD, "malformed XML: "},
	{HEAD "<HomedResource UserAtHost=\"a@x\">\n<Contacts>\n<Contact Buddy=\"b@x\"></Wrong>",
	 "line 5: malformed XML: Opening and ending tag mismatch"},
	{HEAD "<HomedResource UserAtHost=\"a@x\"><Contacts><Contact/></Contacts></HomedResource>"
	 TAIL, "line 3: a Contact without Buddy"},
	{HEAD "<HomedResource UserAtHost=\"&nope;\"/>" TAIL, "Entity 'nope' not defined"},
	{"<!DOCTYPE a [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;\">"
	 "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;\">]><a>&c;</a>", "line 1: it has a DOCTYPE"},
	{"<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", "line 1: it has a DOCTYPE"},
	{HEAD "<HomedResource UserAtHost=\"a@x\x01\"/>" TAIL, "line 3: malformed XML: "},
};

START_TEST(a_broken_export_is_refused_with_its_line)
{
	struct read_stats stats;
	struct buf out = {0};

	put_bytes(broken[_i].text, strlen(broken[_i].text));
	ck_assert_int_eq(read_file(&out, &stats), RESITE_ERR_REFUSED);
	ck_assert_msg(strstr(f.text, broken[_i].says), "'%s' does not say '%s'", f.text,
		      broken[_i].says);
	buf_release(&out);
}
END_TEST

START_TEST(no_export_crashes_the_reader)
{
	struct buf wide = {0};
	unsigned seed = 1;

	to_utf16le(&wide, lync);
	for (int i = 0; i < 600; i++) {
		bool w = i % 2;
		const char *from = w ? wide.p : lync;
		size_t len = w ? wide.len : strlen(lync);
		char *copy = malloc(len);
		struct read_stats stats;
		struct buf out = {0};

		memcpy(copy, from, len);
		for (int k = 0; k < i % 5; k++) {
			seed = seed * 1103515245u + 12345u;
			copy[(seed >> 8) % len] = (char)(seed >> 24);
		}
		seed = seed * 1103515245u + 12345u;
		put_bytes(copy, i % 3 ? len : (seed >> 8) % len);
		read_file(&out, &stats);
		buf_release(&out);
		free(copy);
	}
	buf_release(&wide);
}
END_TEST

START_TEST(one_user_cannot_take_all_memory)
{
	struct buf big = {0};
	struct read_stats stats;
	struct buf out = {0};

	buf_puts(&big, HEAD "<HomedResource UserAtHost=\"a@x\"><Contacts>");
	for (int i = 0; i < 20000; i++) {
		char line[64];

		snprintf(line, sizeof line, "<Contact Buddy=\"u%d@x\"/>", i);
		buf_puts(&big, line);
	}
	buf_puts(&big, "</Contacts></HomedResource>" TAIL);
	put_bytes(big.p, big.len);
	ck_assert_int_eq(read_file(&out, &stats), RESITE_ERR_REFUSED);
	ck_assert_ptr_nonnull(strstr(f.text, "user 'a@x' has more than"));
	buf_release(&out);
	buf_release(&big);
}
END_TEST

/* --- small texts ------------------------------------------------------------------- */

START_TEST(base64_is_strict)
{
	static const struct { const char *in, *out; } t[] = {
		{"fg==", "~"}, {"Qm9iIEI=", "Bob B"}, {"Zm9v", "foo"}, {"", NULL}, {"fg=", NULL},
		{"fg", NULL}, {"fh==", NULL}, {"====", NULL}, {"f===", NULL}, {"fg==fg==", NULL},
		{"Bob ", NULL}, {"Team", NULL}, {"AA==", NULL}, {"w4k=", "\xc3\x89"},
	};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		char out[16];
		size_t len = 0;
		bool ok = text_from_base64(t[i].in, strlen(t[i].in), out, &len);

		ck_assert_msg(ok == !!t[i].out, "%s", t[i].in);
		if (ok)
			ck_assert(len == strlen(t[i].out) && !memcmp(out, t[i].out, len));
	}
}
END_TEST

START_TEST(xml_texts_are_valid_utf8_without_controls)
{
	static const char *const good[] = {"", "a\tb\n", "\xc3\x89", "\xe2\x82\xac",
					   "\xf0\x9f\x98\x80"};
	static const char *const bad[] = {"\x01", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xff",
					  "\xef\xbf\xbf", "\xf4\x90\x80\x80", "\xe0\x80\x80"};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		ck_assert(text_is_xml(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!text_is_xml(bad[i], strlen(bad[i])), "%zu", i);
}
END_TEST

START_TEST(users_are_sorted_and_each_is_there_once)
{
	static const char text[] = "# staff\r\nsip:bob@x\r\n\nalice@x  \nsip:bob@x\n";
	struct users users = {0};

	put_bytes(text, strlen(text));
	ck_assert_int_eq(users_add_file(&users, path, &f), 0);
	users_sort(&users);
	ck_assert_uint_eq(users.n, 2);
	ck_assert_str_eq(users.list[0], "sip:alice@x");
	ck_assert(users_have(&users, "sip:bob@x"));
	ck_assert(!users_have(&users, "sip:carol@x"));
	put_bytes("a@x\nbob\n", 8);
	ck_assert_int_eq(users_add_file(&users, path, &f), RESITE_ERR_INVALID);
	ck_assert_msg(strstr(f.text, ":2: 'bob' is no address"), "%s", f.text);
	users_release(&users);
}
END_TEST

/* --- documents.txt ----------------------------------------------------------------- */

struct text {
	const char *p;
	size_t len, at, step;
};

static int
read_text(void *arg, void *to, size_t cap, size_t *ret_len, struct fault *fault)
{
	struct text *t = arg;
	size_t n = t->len - t->at;

	(void)fault;
	n = n < cap ? n : cap;
	n = n < t->step ? n : t->step;
	memcpy(to, t->p + t->at, n);
	t->at += n;
	*ret_len = n;
	return 0;
}

/* Reads all; returns the last answer, and how many documents there were. */
static int
read_documents(const char *p, size_t len, size_t step, uint64_t *ret_n)
{
	struct text t = {.p = p, .len = len, .step = step};
	struct documents d = {.read = read_text, .arg = &t};
	struct document one;
	int rc;

	while ((rc = documents_next(&d, &one, &f)) > 0)
		;
	*ret_n = d.n;
	documents_release(&d);
	return rc;
}

static const char two[] = "resite-documents 1\ndoc 3 sip:a@x\n<a>\ndoc 4 sip:b@x\n\n\n\n\n\n"
			  "none sip:c@x\nend 2 1\n";

START_TEST(documents_are_read_back_byte_for_byte)
{
	struct text t = {.p = two, .len = strlen(two), .step = 7};
	struct documents d = {.read = read_text, .arg = &t};
	struct document one;

	ck_assert_int_eq(documents_next(&d, &one, &f), 1);
	ck_assert_str_eq(one.user, "sip:a@x");
	ck_assert(one.len == 3 && !memcmp(one.body, "<a>", 3));
	ck_assert_int_eq(documents_next(&d, &one, &f), 1);
	ck_assert(one.len == 4 && one.index == 1 && !memcmp(one.body, "\n\n\n\n", 4));
	ck_assert_int_eq(documents_next(&d, &one, &f), 0);
	ck_assert_int_eq(documents_next(&d, &one, &f), 0);
	documents_release(&d);
}
END_TEST

START_TEST(documents_cut_anywhere_are_refused)
{
	uint64_t n;

	for (size_t len = 0; len < strlen(two); len++)
		ck_assert_msg(read_documents(two, len, 64, &n) == RESITE_ERR_REFUSED, "%zu", len);
	ck_assert_int_eq(read_documents(two, strlen(two), 64, &n), 0);
}
END_TEST

static const char *const bad_documents[] = {
	"resite-documents 2\nend 0 0\n",
	"resite-documents 1\nend 1 0\n",
	"resite-documents 1\nend 0 0\nmore",
	"resite-documents 1\ndoc 99999999999 sip:a@x\n",
	"resite-documents 1\ndoc -1 sip:a@x\n\nend 1 0\n",
	"resite-documents 1\ndoc 1 nobody\na\nend 1 0\n",
	"resite-documents 1\ndoc 1 sip:a@x\nabc\nend 1 0\n",
	"resite-documents 1\nwhat\n",
};

START_TEST(what_is_no_documents_file_is_refused)
{
	uint64_t n;

	ck_assert_int_eq(read_documents(bad_documents[_i], strlen(bad_documents[_i]), 5, &n),
			 RESITE_ERR_REFUSED);
}
END_TEST

START_TEST(hostile_resource_lists_are_told)
{
	static const char *const bad[] = {
		"", "<", "<a/>", "<resource-lists/>", "<!DOCTYPE a><a/>",
		"<resource-lists xmlns='urn:ietf:params:xml:ns:resource-lists'>",
	};
	struct lists_counts counts;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(lists_count(bad[i], strlen(bad[i]), &counts, &f) ==
				      RESITE_ERR_REFUSED, "%s", bad[i]);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("contacts");
	Suite *suite = suite_create("contacts");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_utf8_export_becomes_resource_lists);
	tcase_add_test(tc, a_utf16le_export_becomes_the_same_lists);
	tcase_add_test(tc, how_names_are_written_is_decided_for_the_whole_file);
	tcase_add_test(tc, an_odd_name_in_a_base64_file_is_kept_and_counted);
	tcase_add_test(tc, lists_of_one_name_are_told_apart);
	tcase_add_loop_test(tc, a_broken_export_is_refused_with_its_line, 0,
			    sizeof broken / sizeof *broken);
	tcase_add_test(tc, no_export_crashes_the_reader);
	tcase_add_test(tc, one_user_cannot_take_all_memory);
	tcase_add_test(tc, base64_is_strict);
	tcase_add_test(tc, xml_texts_are_valid_utf8_without_controls);
	tcase_add_test(tc, users_are_sorted_and_each_is_there_once);
	tcase_add_test(tc, documents_are_read_back_byte_for_byte);
	tcase_add_test(tc, documents_cut_anywhere_are_refused);
	tcase_add_loop_test(tc, what_is_no_documents_file_is_refused, 0,
			    sizeof bad_documents / sizeof *bad_documents);
	tcase_add_test(tc, hostile_resource_lists_are_told);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
