/* contacts: each format into the model and out of it again; what is kept byte for byte, and what is
 * refused. */
#define _GNU_SOURCE
#include "plugins/contacts/canon.h"
#include "plugins/contacts/jid.h"
#include "plugins/contacts/open.h"
#include "plugins/contacts/text.h"
#include "tests/unit/run_suite.h"

#include <archive.h>
#include <archive_entry.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NS "http://schemas.microsoft.com/RtcServer/2002/11/dbimpexp"
#define PIE "urn:xmpp:pie:0"

static char dir[64];
static struct fault f;

static void
setup(void)
{
	strcpy(dir, "/tmp/contacts-formats-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void
teardown(void)
{
	char command[100];

	snprintf(command, sizeof command, "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static const char *
path_of(const char *name)
{
	static char path[300];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static const char *
put(const char *name, const void *data, size_t len)
{
	const char *path = path_of(name);
	FILE *out = fopen(path, "w");

	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(data, 1, len, out), len);
	fclose(out);
	return path;
}

static const char *
put_text(const char *name, const char *text)
{
	return put(name, text, strlen(text));
}

/* --- reading and writing ------------------------------------------------------------ */

static int
append(void *arg, const void *data, size_t len, struct fault *fault)
{
	(void)fault;
	buf_add(arg, data, len);
	return 0;
}

/* All users as canonical text; native documents, too, if asked for; written in another format, too. */
struct seen {
	struct buf canon, native;
	struct writer *writer;
	struct canon scratch;
	struct buf one;
};

static int
see(void *arg, const struct model_user *u, struct fault *fault)
{
	struct seen *s = arg;

	if (canon_user(&s->scratch, &s->one, u, fault) < 0)
		return fault->rc;
	buf_puts(&s->canon, "== ");
	buf_puts(&s->canon, model_text(u, u->name));
	buf_puts(&s->canon, "\n");
	buf_add(&s->canon, s->one.p, s->one.len);
	if (u->native) {
		buf_add(&s->native, u->native, u->native_len);
		buf_puts(&s->native, "\n");
	}
	return s->writer ? writer_put(s->writer, u, fault) : 0;
}

static void
forget(struct seen *s)
{
	buf_release(&s->canon);
	buf_release(&s->native);
	buf_release(&s->one);
	canon_release(&s->scratch);
	memset(s, 0, sizeof *s);
}

/* Reads path; to: also written in that format into *out. */
static int
read_path(const char *path, const char *format, struct seen *s, struct read_stats *stats,
	  const char *to, struct buf *out)
{
	const struct reader reader = {.user = see, .arg = s, .native = true};
	struct contacts_in in;
	struct writer writer;
	int rc;

	if (contacts_in_file(&in, path, format, &f) < 0)
		return f.rc;
	if (to) {
		s->writer = &writer;
		ck_assert_int_eq(writer_begin(&writer, format_named(to),
					      (struct output){append, out}, &f), 0);
	}
	rc = contacts_in_read(&in, &reader, stats, &f);
	if (to && rc == 0)
		rc = writer_end(&writer, &f);
	if (to)
		writer_release(&writer);
	buf_add(&s->canon, "", 1);
	buf_add(&s->native, "", 1);
	return rc;
}

/* --- what every format can say ------------------------------------------------------- */

static const char plain_lync[] =
	"<HomedResources xmlns=\"" NS "\">\r\n"
	"<HomedResource UserAtHost=\"alice@contoso.com\"><ContactGroups>"
	"<ContactGroup Number=\"1\" DisplayName=\"fg==\" ExternalUri=\"\"/>"
	"<ContactGroup Number=\"2\" DisplayName=\"U2FsZXMgVGVhbQ==\" ExternalUri=\"\"/>"
	"<ContactGroup Number=\"12\" DisplayName=\"w4lxdWlwZSA8JiI+\" ExternalUri=\"\"/>"
	"</ContactGroups><Contacts>"
	"<Contact Buddy=\"bob@contoso.com\" SubscribePresence=\"1\" Groups=\"2\" DisplayName=\"Qm9iIEI=\"/>"
	"<Contact Buddy=\"o'brien@contoso.com\" SubscribePresence=\"1\" Groups=\"2 12\""
	" DisplayName=\"Q2Fyb2wgJiBDbw==\"/>"
	"<Contact Buddy=\"dave@fabrikam.com\" SubscribePresence=\"1\" Groups=\"1\" DisplayName=\"\"/>"
	"</Contacts></HomedResource>\r\n"
	"<HomedResource UserAtHost=\"erin@fabrikam.com\"><ContactGroups>"
	"<ContactGroup Number=\"1\" DisplayName=\"fg==\" ExternalUri=\"\"/></ContactGroups>"
	"</HomedResource>\r\n"
	"<HomedResource UserAtHost=\"frank@contoso.com\"><ContactGroups/><Contacts>"
	"<Contact Buddy=\"alice@contoso.com\" Groups=\"\" DisplayName=\"CQ==\"/></Contacts>"
	"</HomedResource>\r\n"
	"</HomedResources>\r\n";

static const char plain_canon[] =
	"== alice@contoso.com\n"
	"c\tbob@contoso.com\tBob B\t\tSales Team\n"
	"c\tdave@fabrikam.com\t\t\t~\n"
	"c\to'brien@contoso.com\tCarol & Co\t\tSales Team\t\xc3\x89quipe <&\">\n"
	"g\tSales Team\t\n"
	"g\t\xc3\x89quipe <&\">\t\n"
	"== erin@fabrikam.com\n"
	"== frank@contoso.com\n"
	"c\talice@contoso.com\t\\t\t\t~\n";

/* The same, in the order in which a file has users of several hosts. */
static const char plain_by_host[] =
	"== alice@contoso.com\n"
	"c\tbob@contoso.com\tBob B\t\tSales Team\n"
	"c\tdave@fabrikam.com\t\t\t~\n"
	"c\to'brien@contoso.com\tCarol & Co\t\tSales Team\t\xc3\x89quipe <&\">\n"
	"g\tSales Team\t\n"
	"g\t\xc3\x89quipe <&\">\t\n"
	"== frank@contoso.com\n"
	"c\talice@contoso.com\t\\t\t\t~\n"
	"== erin@fabrikam.com\n";

static const char *const whole_formats[] = {"dbimpexp", "docitemset", "xep0227"};

static void
check_canon(const struct seen *s, const char *via)
{
	ck_assert_msg(!strcmp(s->canon.p, plain_canon) || !strcmp(s->canon.p, plain_by_host),
		      "by %s:\n%s", via, s->canon.p);
}

/* From Lync 2010 to A to B: the model is the same each time. */
START_TEST(every_format_carries_users_groups_and_names)
{
	for (size_t a = 0; a < 3; a++)
		for (size_t b = 0; b < 3; b++) {
			struct seen first = {0}, second = {0}, third = {0};
			struct buf at_a = {0}, at_b = {0};
			struct read_stats stats;

			ck_assert_msg(read_path(put_text("start", plain_lync), "auto", &first, &stats,
						whole_formats[a], &at_a) == 0, "%s", f.text);
			ck_assert_str_eq(first.canon.p, plain_canon);
			ck_assert_msg(read_path(put("a", at_a.p, at_a.len), "auto", &second, &stats,
						whole_formats[b], &at_b) == 0, "%s", f.text);
			check_canon(&second, whole_formats[a]);
			ck_assert_msg(read_path(put("b", at_b.p, at_b.len), whole_formats[b], &third,
						&stats, NULL, NULL) == 0, "%s", f.text);
			check_canon(&third, whole_formats[b]);
			ck_assert_uint_eq(stats.users, 3);
			forget(&first);
			forget(&second);
			forget(&third);
			buf_release(&at_a);
			buf_release(&at_b);
		}
}
END_TEST

START_TEST(resource_lists_say_the_same_of_a_user)
{
	static const char *const tos[] = {"dbimpexp", "docitemset", "xep0227", "resource-lists"};
	static const char doc[] =
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\">"
		"<list name=\"Sales\"><display-name>Sales Team</display-name>"
		"<entry uri=\"sip:bob@contoso.com\"><display-name>Bob &amp; B</display-name></entry>"
		"<entry uri=\"SIP:Carol@contoso.com\"/></list>"
		"<list name=\"b\"><entry uri=\"sip:carol@contoso.com\"><display-name>C</display-name>"
		"</entry></list><list name=\"~\"><display-name>Other Contacts</display-name>"
		"<entry uri=\"sip:dave@x\"/></list></resource-lists>";
	static const char canon[] = "== alice@contoso.com\n"
		"c\tbob@contoso.com\tBob & B\t\tSales Team\nc\tcarol@contoso.com\tC\t\tSales Team\tb\n"
		"c\tdave@x\t\t\t~\ng\tSales Team\t\ng\tb\t\n";

	for (size_t i = 0; i < 4; i++) {
		struct seen first = {0}, second = {0};
		struct read_stats stats;
		struct buf out = {0};
		const char *name = i == 3 ? "alice@contoso.com.xml" : "out";

		ck_assert_msg(read_path(put_text("sip:alice@contoso.com", doc), "auto", &first, &stats,
					tos[i], &out) == 0, "%s", f.text);
		ck_assert_str_eq(first.canon.p, canon);
		ck_assert_msg(read_path(put(name, out.p, out.len), "auto", &second, &stats, NULL,
					NULL) == 0, "%s", f.text);
		ck_assert_msg(!strcmp(second.canon.p, canon), "%s: %s", tos[i], second.canon.p);
		if (i == 3) /* a document stays byte for byte what it was */
			ck_assert(out.len == strlen(doc) && !memcmp(out.p, doc, out.len));
		forget(&first);
		forget(&second);
		buf_release(&out);
	}
}
END_TEST

/* --- what only one family can say ------------------------------------------------------ */

static const char rich_lync[] =
	"<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n"
	"<HomedResources xmlns=\"" NS "\" xmlns:z='urn:z' Version=\"5\">\r\n"
	"<HomedResource UserAtHost=\"alice@contoso.com\" Flags = 'a&amp;b \"c\"' z:q=\"1\">\r\n"
	"<Before>\r\n\t<x y = 'z'/>  </Before>"
	"<ContactGroups Max=\"64\"><ContactGroup Number=\"1\" DisplayName=\"fg==\" ExternalUri=\"\"/>"
	"<ContactGroup Number=\"7\" DisplayName=\"ZGwtaHI=\" Kind=\"dl\""
	" ExternalUri=\"PGdyb3VwRGVmaW5pdGlvbi8+\"><Inner n='1'/></ContactGroup><Odd/></ContactGroups>"
	"<Contacts><Contact Buddy=\"bob@contoso.com\" SubscribePresence=\"0\" Groups=\"1 7\""
	" DisplayName=\"Qm9iIEI=\" Colour='&lt;red&gt;'/>"
	"<Contact Buddy=\"carol@contoso.com\" Groups=\"1\" DisplayName=\"\"><!-- c --><a>b</a><c/></Contact>"
	"<Contact Buddy=\"tel:+1\" Groups=\"1\" DisplayName=\"\"/></Contacts>\r\n"
	"<Permissions><z:p>\xf0\x9f\x98\x80 &#x20AC; <![CDATA[<raw>]]></z:p></Permissions>\r\n"
	"<Containers/><Publications a=\"1\"></Publications>"
	"</HomedResource></HomedResources>";

static const char *const lync_kept[] = {
	"Flags = 'a&amp;b \"c\"'", "z:q=\"1\"", "<Before>\r\n\t<x y = 'z'/>  </Before>", "Max=\"64\"",
	"Kind=\"dl\"", "<Inner n='1'/>", "<Odd/>", "Colour='&lt;red&gt;'", "<a>b</a>", "<c/>",
	"<Permissions><z:p>\xf0\x9f\x98\x80 &#x20AC; <![CDATA[<raw>]]></z:p></Permissions>",
	"<Containers/>", "<Publications a=\"1\"></Publications>", "xmlns:z='urn:z'",
};

static void
check_kept(const char *text, const char *const *kept, size_t n, const char *where)
{
	for (size_t i = 0; i < n; i++) {
		const char *at = strstr(text, kept[i]);

		ck_assert_msg(at, "%s: '%s' is lost in %s", where, kept[i], text);
		ck_assert_msg(!strstr(at + 1, kept[i]), "%s: '%s' is there twice in %s", where,
			      kept[i], text);
	}
}

START_TEST(unknown_sections_of_lync_stay_byte_for_byte)
{
	struct seen first = {0}, second = {0}, third = {0};
	struct buf a = {0}, b = {0}, wide = {0};
	struct read_stats stats;

	text_to_utf16le(&wide, "\xef\xbb\xbf", 3);
	text_to_utf16le(&wide, rich_lync, strlen(rich_lync));
	ck_assert_msg(read_path(put("a", wide.p, wide.len), "dbimpexp", &first, &stats, "dbimpexp",
				&a) == 0, "%s", f.text);
	ck_assert_uint_eq(stats.other_sections, 4);
	ck_assert_msg(read_path(put("b", a.p, a.len), "auto", &second, &stats, "docitemset", &b) == 0,
		      "%s", f.text);
	check_kept(second.native.p, lync_kept, sizeof lync_kept / sizeof *lync_kept, "dbimpexp");
	ck_assert_str_eq(first.canon.p, second.canon.p);
	ck_assert_msg(read_path(put("c.zip", b.p, b.len), "auto", &third, &stats, NULL, NULL) == 0,
		      "%s", f.text);
	check_kept(third.native.p, lync_kept, sizeof lync_kept / sizeof *lync_kept, "docitemset");
	ck_assert_str_eq(first.canon.p, third.canon.p);
	ck_assert_ptr_nonnull(strstr(first.canon.p, "c\tbob@contoso.com\tBob B\tunwatched\tdl-hr\t~\n"));
	/* As the real tool writes: UTF-16LE, a mark, CRLF. */
	ck_assert(!memcmp(a.p, "\xff\xfe<\0?\0x\0m\0l\0", 12));
	ck_assert_ptr_nonnull(memmem(a.p, a.len, ">\0\r\0\n\0", 6));
	forget(&first);
	forget(&second);
	forget(&third);
	buf_release(&a);
	buf_release(&b);
	buf_release(&wide);
}
END_TEST

/* What a vault keeps of a user is a file by itself, and says the same. */
START_TEST(a_native_document_is_an_export_of_one_user)
{
	struct seen first = {0}, second = {0};
	struct read_stats stats;

	ck_assert_int_eq(read_path(put_text("a", rich_lync), "auto", &first, &stats, NULL, NULL), 0);
	ck_assert_msg(read_path(put_text("b", first.native.p), "auto", &second, &stats, NULL,
				NULL) == 0, "%s", f.text);
	ck_assert_str_eq(first.canon.p, second.canon.p);
	check_kept(second.native.p, lync_kept, sizeof lync_kept / sizeof *lync_kept, "native");
	forget(&first);
	forget(&second);
}
END_TEST

static const char rich_xmpp[] =
	"<?xml version='1.0'?><server-data xmlns='" PIE "' xmlns:p='http://prosody.im/x'>"
	"<host jid='contoso.com'><user name='alice' password='lab-only' p:role='a&amp;b'>"
	"<vCard xmlns='vcard-temp'><FN>Alice\n</FN></vCard>"
	"<query xmlns='jabber:iq:roster' version='3'>"
	"<item jid='bob@contoso.com' name='Bob B' subscription='both'><group>Sales Team</group></item>"
	"<item jid='carol@contoso.com' name='Carol &amp; Co' ask='subscribe' subscription='to'>"
	"<group>VIP</group><group>Sales Team</group><x:y xmlns:x='urn:x'/></item>"
	"<item jid='dave@fabrikam.com' subscription='none'/>"
	"<item jid='o\\27brien@contoso.com' subscription='from' approved='true'/></query>"
	"<query xmlns='jabber:iq:private'><roster:delimiter xmlns:roster='roster:delimiter'>::"
	"</roster:delimiter></query>"
	"<offline-messages><message xmlns='jabber:client'><body> hi </body></message>"
	"</offline-messages><presence type='subscribe' from='erin@contoso.com'/>"
	"</user></host></server-data>";

static const char rich_xmpp_canon[] =
	"== alice@contoso.com\n"
	"c\tbob@contoso.com\tBob B\t\tSales Team\n"
	"c\tcarol@contoso.com\tCarol & Co\t\tSales Team\tVIP\n"
	"c\tdave@fabrikam.com\t\tunwatched\t~\n"
	"c\to'brien@contoso.com\t\tunwatched\t~\n"
	"g\tSales Team\t\ng\tVIP\t\n";

static const char *const xmpp_kept[] = {
	"password='lab-only'", "p:role='a&amp;b'", "<vCard xmlns='vcard-temp'><FN>Alice\n</FN></vCard>",
	"version='3'", "ask='subscribe'", "subscription='to'", "<x:y xmlns:x='urn:x'/>",
	"o\\27brien@contoso.com", "approved='true'",
	"<query xmlns='jabber:iq:private'><roster:delimiter xmlns:roster='roster:delimiter'>::"
	"</roster:delimiter></query>",
	"<offline-messages><message xmlns='jabber:client'><body> hi </body></message></offline-messages>",
	"<presence type='subscribe' from='erin@contoso.com'/>", "xmlns:p='http://prosody.im/x'",
};

START_TEST(what_xmpp_knows_besides_contacts_stays_byte_for_byte)
{
	struct seen first = {0}, second = {0};
	struct read_stats stats;
	struct buf out = {0};

	ck_assert_msg(read_path(put_text("a", rich_xmpp), "auto", &first, &stats, "xep0227", &out) == 0,
		      "%s", f.text);
	ck_assert_str_eq(first.canon.p, rich_xmpp_canon);
	ck_assert_msg(read_path(put("b", out.p, out.len), "xep0227", &second, &stats, NULL, NULL) == 0,
		      "%s", f.text);
	ck_assert_str_eq(second.canon.p, rich_xmpp_canon);
	buf_add(&out, "", 1);
	check_kept(out.p, xmpp_kept, sizeof xmpp_kept / sizeof *xmpp_kept, "file");
	check_kept(second.native.p, xmpp_kept, sizeof xmpp_kept / sizeof *xmpp_kept, "native");
	forget(&first);
	forget(&second);
	buf_release(&out);
}
END_TEST

START_TEST(the_draft_of_2007_is_read)
{
	static const char draft[] = "<server-data xmlns='http://www.xmpp.org/extensions/xep-0227.html#ns'>"
		"<host jid='x'><user name='a'><query xmlns='jabber:iq:roster'><item jid='b@x'/></query>"
		"</user></host></server-data>";
	struct seen s = {0};
	struct read_stats stats;

	ck_assert_msg(read_path(put_text("a", draft), "auto", &s, &stats, NULL, NULL) == 0, "%s", f.text);
	ck_assert_str_eq(s.canon.p, "== a@x\nc\tb@x\t\tunwatched\t~\n");
	forget(&s);
}
END_TEST

/* As ejabberd 23.01 writes it. */
START_TEST(one_hosts_file_of_an_export_is_read_alone)
{
	static const char host[] = "<?xml version='1.0' encoding='UTF-8'?><host xmlns='" PIE "' "
		"xmlns:xi='http://www.w3.org/2001/XInclude' jid='x'><user name='a'>"
		"<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-1'>"
		"<iter-count>4096</iter-count></scram-credentials>"
		"<query xmlns='jabber:iq:roster'><item subscription='both' name='B &amp; C' jid='b@x'>"
		"<group>Team</group></item></query></user></host>";
	struct seen s = {0};
	struct read_stats stats;

	ck_assert_msg(read_path(put_text("a", host), "auto", &s, &stats, NULL, NULL) == 0, "%s", f.text);
	ck_assert_str_eq(s.canon.p, "== a@x\nc\tb@x\tB & C\t\tTeam\ng\tTeam\t\n");
	forget(&s);
}
END_TEST

/* --- XInclude --------------------------------------------------------------------------- */

#define XI "xmlns:xi='http://www.w3.org/2001/XInclude'"

START_TEST(an_export_in_several_files_is_read_whole)
{
	struct seen s = {0};
	struct read_stats stats;
	char main_path[300];

	strcpy(main_path, put_text("main", "<server-data xmlns='" PIE "' " XI "><host jid='a.x'><user name='u'/>"
				   "</host><xi:include href='b.x.xml'/></server-data>"));
	ck_assert_int_eq(mkdir(path_of("b.x"), 0700), 0);
	put_text("b.x.xml", "<host xmlns='" PIE "' " XI " jid='b.x'><xi:include href='b.x/v.xml'/>"
		 "<user name='w'/></host>");
	put_text("b.x/v.xml", "<?xml version='1.0' encoding='utf-8'?><user xmlns='" PIE "' name='v'>"
		 "<query xmlns='jabber:iq:roster'><item jid='w@b.x'/></query></user>");
	ck_assert_msg(read_path(main_path, "auto", &s, &stats, NULL, NULL) == 0, "%s", f.text);
	ck_assert_str_eq(s.canon.p, "== u@a.x\n== v@b.x\nc\tw@b.x\t\tunwatched\t~\n== w@b.x\n");
	forget(&s);
}
END_TEST

static const struct {
	const char *include, *says;
} climbing[] = {
	{"<xi:include href='../secret.xml'/>", "only a relative path without '..'"},
	{"<xi:include href='/etc/passwd'/>", "only a relative path without '..'"},
	{"<xi:include href='file:///etc/passwd'/>", "only a relative path without '..'"},
	{"<xi:include href='a/../../x'/>", "only a relative path without '..'"},
	{"<xi:include href='link.xml'/>", "a link, or no folder"},
	{"<xi:include href='missing.xml'/>", "No such file"},
	{"<xi:include href='fifo'/>", "no plain file"},
	{"<xi:include href='main'/>", "cannot stand there"},
	{"<xi:include href='loop.xml'/>", "more than 3 deep"},
	{"<xi:include href='u.xml'/>", "cannot stand there"},
	{"<xi:include href='u.xml' parse='text'/>", "not of a whole XML file"},
	{"<xi:include/>", "not of a whole XML file"},
};

START_TEST(included_files_stay_beneath_their_folder)
{
	struct seen s = {0};
	struct read_stats stats;
	char text[400], main_path[300];

	put_text("loop.xml", "<host xmlns='" PIE "' " XI " jid='x'><xi:include href='loop2.xml'/></host>");
	put_text("loop2.xml", "<user xmlns='" PIE "' " XI " name='x'/>");
	if (strstr(climbing[_i].says, "deep"))
		put_text("loop.xml", "<host xmlns='" PIE "' " XI " jid='x'><xi:include href='loop2.xml'/>"
			 "</host>"),
		put_text("loop2.xml", "<xi:include " XI " href='loop2.xml'/>");
	put_text("u.xml", "<user xmlns='" PIE "' name='v'/>");
	ck_assert_int_eq(symlink("/etc/passwd", path_of("link.xml")), 0);
	ck_assert_int_eq(mkfifo(path_of("fifo"), 0600), 0);
	snprintf(text, sizeof text, "<server-data xmlns='" PIE "' " XI ">%s</server-data>",
		 climbing[_i].include);
	strcpy(main_path, put_text("main", text));
	ck_assert_int_eq(read_path(main_path, "auto", &s, &stats, NULL, NULL), RESITE_ERR_REFUSED);
	ck_assert_msg(strstr(f.text, climbing[_i].says), "'%s' does not say '%s'", f.text,
		      climbing[_i].says);
	forget(&s);
}
END_TEST

/* --- folders ------------------------------------------------------------------------------ */

START_TEST(a_folder_of_prosody_is_an_export)
{
	struct seen s = {0};
	struct read_stats stats;

	put_text("alice@x.xml", "<server-data xmlns='" PIE "'><host jid='x'><user name='alice'/></host>"
		 "</server-data>");
	put_text("bob@x.xml", "<server-data xmlns='" PIE "'><host jid='x'><user name='bob'/></host>"
		 "</server-data>");
	ck_assert_msg(read_path(dir, "auto", &s, &stats, NULL, NULL) == 0, "%s", f.text);
	ck_assert_str_eq(s.canon.p, "== alice@x\n== bob@x\n");
	ck_assert_uint_eq(stats.users, 2);
	forget(&s);
}
END_TEST

START_TEST(a_folder_of_documents_is_a_set_of_lists)
{
	static const char doc[] = "<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"/>";
	struct seen s = {0};
	struct read_stats stats;

	put_text("sip:bob@x.xml", doc);
	ck_assert_int_eq(mkdir(path_of("sip:alice@x"), 0700), 0);
	put_text("sip:alice@x/index", doc);
	ck_assert_msg(read_path(dir, "resource-lists", &s, &stats, NULL, NULL) == 0, "%s", f.text);
	ck_assert_str_eq(s.canon.p, "== alice@x\n== bob@x\n");
	forget(&s);
}
END_TEST

/* --- what it is ------------------------------------------------------------------------------- */

static const struct {
	const char *text, *format, *says;
} odd[] = {
	{"", "auto", "the file is empty"},
	{"hello", "auto", "no contact export"},
	{"<a xmlns='urn:b'/>", "auto", "its root is 'a' in namespace 'urn:b'"},
	{"<HomedResources/>", "auto", "its root is 'HomedResources' in namespace ''"},
	{"<HomedResources xmlns='" NS "'/>", "xep0227",
	 "this is 'dbimpexp' (contact export of Lync 2010); the plan says 'xep0227'"},
	{"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "auto", "DOCTYPE"},
	{"<!DOCTYPE server-data SYSTEM 'http://127.0.0.1/x'><server-data xmlns='" PIE "'/>", "auto",
	 "DOCTYPE"},
	{"<server-data xmlns='" PIE "'><host jid='x'><user name='a'><query xmlns='jabber:iq:roster'>"
	 "<item/></query></user></host></server-data>", "auto", "line 1: an item without jid"},
	{"<server-data xmlns='" PIE "'><host/></server-data>", "auto", "a host without jid"},
	{"<server-data xmlns='" PIE "'><host jid='x'>", "auto", "malformed XML"},
	{"<?xml version='1.0' encoding='windows-1252'?><server-data xmlns='" PIE "'/>", "auto",
	 "its encoding 'windows-1252' is neither UTF-8 nor UTF-16"},
	{"<DocItemSet><DocItem Name='urn:lcd:a@x'><Data><HomedResource><Contacts><Contact/></Contacts>"
	 "</HomedResource></Data></DocItem></DocItemSet>", "docitemset", "a Contact without Buddy"},
	{"PK\x03\x04 and nothing", "auto", "zip"},
	{"resite-documents 1\ndoc 3 sip:a@x\n<a>\n", "auto", "sip:a@x: line 1: malformed XML"},
	{"resite-documents 1\ndoc 4 sip:a@x\n<a/>\nend 1 0\n", "auto", "root is not resource-lists"},
	{"<resource-lists xmlns='urn:ietf:params:xml:ns:resource-lists'/>", "auto",
	 "whose list it is must be in its name"},
};

START_TEST(what_is_no_export_is_refused_by_its_content)
{
	struct seen s = {0};
	struct read_stats stats;

	ck_assert_int_eq(read_path(put_text("file.xml", odd[_i].text), odd[_i].format, &s, &stats, NULL,
				   NULL), RESITE_ERR_REFUSED);
	ck_assert_msg(strstr(f.text, odd[_i].says), "'%s' does not say '%s'", f.text, odd[_i].says);
	forget(&s);
}
END_TEST

/* Tools that save an export again often leave "utf-16" in what is UTF-8 now, or the reverse. */
START_TEST(bytes_tell_the_encoding_not_the_declaration)
{
	static const char declared[] = "<?xml version=\"1.0\" encoding=\"utf-%s\"?>\n%s";
	char text[sizeof plain_lync + 100];

	for (int i = 0; i < 6; i++) {
		struct seen s = {0};
		struct read_stats stats;
		struct buf wide = {0};

		snprintf(text, sizeof text, declared, i % 2 ? "8" : "16", plain_lync);
		if (i / 2 == 0) {
			buf_puts(&wide, text);
		} else {
			text_to_utf16le(&wide, "\xef\xbb\xbf", 3);
			text_to_utf16le(&wide, text, strlen(text));
		}
		for (size_t k = 0; i / 2 == 2 && k + 1 < wide.len; k += 2) {
			char c = wide.p[k];

			wide.p[k] = wide.p[k + 1];
			wide.p[k + 1] = c;
		}
		ck_assert_msg(read_path(put("a", wide.p, wide.len), "auto", &s, &stats, NULL, NULL) == 0,
			      "%d: %s", i, f.text);
		ck_assert_str_eq(s.canon.p, plain_canon);
		/* Cut in the middle of a character, and anywhere. */
		for (size_t cut = 1; cut < 40; cut++) {
			forget(&s);
			ck_assert_int_lt(read_path(put("a", wide.p, wide.len - cut * 7), "auto", &s,
						   &stats, NULL, NULL), 0);
		}
		forget(&s);
		buf_release(&wide);
	}
}
END_TEST

START_TEST(half_a_surrogate_pair_is_refused)
{
	struct seen s = {0};
	struct read_stats stats;
	struct buf wide = {0};

	text_to_utf16le(&wide, "\xef\xbb\xbf<a b='", 9);
	buf_add(&wide, "\x00\xd8" "a\0", 4);
	text_to_utf16le(&wide, "'/>", 3);
	ck_assert_int_eq(read_path(put("a", wide.p, wide.len), "auto", &s, &stats, NULL, NULL),
			 RESITE_ERR_REFUSED);
	ck_assert_msg(strstr(f.text, "surrogate"), "%s", f.text);
	forget(&s);
	buf_release(&wide);
}
END_TEST

/* --- archives ----------------------------------------------------------------------------------- */

static const char small_set[] =
	"<DocItemSet><DocItem Name='urn:lcd:a@x'><Data><HomedResource><ContactGroups/>"
	"</HomedResource></Data></DocItem><DocItem Name='urn:conf:7'><Data/></DocItem></DocItemSet>";

static const struct {
	const char *names[3]; /* entries, each with small_set in it */
	const char *passphrase, *says;
} archives[] = {
	{{"DocItemSet.xml", "[Content_Types].xml"}, NULL, NULL},
	{{"_rels/.rels", "DOCITEMSET.XML"}, NULL, NULL},
	{{"../DocItemSet.xml"}, NULL, "no package has such names"},
	{{"/DocItemSet.xml"}, NULL, "no package has such names"},
	{{"DocItemSet.xml", "a/../../etc/passwd"}, NULL, "no package has such names"},
	{{"DocItemSet.xml", "c:\\windows\\x"}, NULL, "no package has such names"},
	{{"DocItemSet.xml", "docitemset.xml"}, NULL, "more than one"},
	{{"Other.xml"}, NULL, "it has no DocItemSet.xml"},
	{{"DocItemSet.xml"}, "secret", "encrypted"},
};

static const char *
make_zip(const char *const names[3], const char *passphrase, const char *content, size_t len)
{
	const char *path = path_of("file.zip");
	struct archive *a = archive_write_new();

	archive_write_set_format_zip(a);
	if (passphrase) {
		ck_assert_int_eq(archive_write_set_options(a, "zip:encryption=traditional"), ARCHIVE_OK);
		archive_write_set_passphrase(a, passphrase);
	}
	ck_assert_int_eq(archive_write_open_filename(a, path), ARCHIVE_OK);
	for (int i = 0; i < 3 && names[i]; i++) {
		struct archive_entry *e = archive_entry_new();

		archive_entry_set_pathname(e, names[i]);
		archive_entry_set_filetype(e, AE_IFREG);
		archive_entry_set_perm(e, 0600);
		archive_entry_set_size(e, (la_int64_t)len);
		ck_assert_int_eq(archive_write_header(a, e), ARCHIVE_OK);
		ck_assert_int_eq(archive_write_data(a, content, len), (la_ssize_t)len);
		archive_entry_free(e);
	}
	ck_assert_int_eq(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	return path;
}

START_TEST(a_package_is_read_or_refused_by_its_entries)
{
	struct seen s = {0};
	struct read_stats stats = {0};
	const char *path = make_zip(archives[_i].names, archives[_i].passphrase, small_set,
				    strlen(small_set));
	int rc = read_path(path, "auto", &s, &stats, NULL, NULL);

	if (archives[_i].says) {
		ck_assert_int_eq(rc, RESITE_ERR_REFUSED);
		ck_assert_msg(strstr(f.text, archives[_i].says), "'%s' does not say '%s'", f.text,
			      archives[_i].says);
	} else {
		ck_assert_msg(rc == 0, "%s", f.text);
		ck_assert_str_eq(s.canon.p, "== a@x\n");
		ck_assert_uint_eq(stats.not_users, 1);
	}
	forget(&s);
}
END_TEST

START_TEST(a_zip_bomb_ends_early)
{
	static const char *const names[3] = {"DocItemSet.xml"};
	size_t len = 80u << 20, head = strlen("<DocItemSet>");
	char *spaces = malloc(len);
	struct seen s = {0};
	struct read_stats stats;

	ck_assert_ptr_nonnull(spaces);
	memset(spaces, ' ', len);
	memcpy(spaces, "<DocItemSet>", head);
	for (size_t i = head; i + 8 < len; i += 1000)
		memcpy(spaces + i, "<!--x-->", 8);
	ck_assert_int_eq(read_path(make_zip(names, NULL, spaces, len), "auto", &s, &stats, NULL, NULL),
			 RESITE_ERR_REFUSED);
	ck_assert_msg(strstr(f.text, "grows to more than 300 times"), "%s", f.text);
	free(spaces);
	forget(&s);
}
END_TEST

/* Any damage is seen: by the zip's checksum, by the XML, or by the entries. */
START_TEST(an_altered_package_is_refused_or_says_the_same)
{
	static const char *const names[3] = {"DocItemSet.xml"};
	struct seen whole = {0};
	struct read_stats stats;
	char bytes[4096];
	size_t len;
	FILE *in = fopen(make_zip(names, NULL, small_set, strlen(small_set)), "r");
	unsigned seed = 7, refused = 0;

	len = fread(bytes, 1, sizeof bytes, in);
	fclose(in);
	ck_assert_int_eq(read_path(put("w.zip", bytes, len), "auto", &whole, &stats, NULL, NULL), 0);
	for (int i = 0; i < 300; i++) {
		struct seen s = {0};
		size_t at;
		char was;

		seed = seed * 1103515245u + 12345u;
		at = (seed >> 8) % len;
		was = bytes[at];
		bytes[at] = (char)(was ^ (1 << (seed >> 28 & 7)));
		if (read_path(put("x.zip", bytes, i % 3 ? len : at), "auto", &s, &stats, NULL, NULL) < 0)
			refused++;
		else
			ck_assert_str_eq(s.canon.p, whole.canon.p);
		bytes[at] = was;
		forget(&s);
	}
	ck_assert_uint_gt(refused, 120);
	forget(&whole);
}
END_TEST

/* --- small parts -------------------------------------------------------------------------------- */

START_TEST(jids_are_escaped_and_back)
{
	static const struct { const char *address, *jid; } t[] = {
		{"bob@contoso.com", "bob@contoso.com"}, {"O'Brien@X", "o\\27brien@x"},
		{"a b@x", "a\\20b@x"}, {"a@b@x", "a\\40b@x"}, {"a\\27@x", "a\\5c27@x"},
		{"a\\b@x", "a\\b@x"}, {"contoso.com", "contoso.com"}, {"a/b:c@x", "a\\2fb\\3ac@x"},
	};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct buf jid = {0}, back = {0};

		jid_from_address(&jid, t[i].address, strlen(t[i].address));
		buf_add(&jid, "", 1);
		ck_assert_str_eq(jid.p, t[i].jid);
		jid_to_address(&back, jid.p, jid.len - 1);
		buf_add(&back, "", 1);
		ck_assert_msg(!strcasecmp(back.p, t[i].address), "%s", back.p);
		buf_release(&jid);
		buf_release(&back);
	}
}
END_TEST

START_TEST(utf16_and_base64_come_back)
{
	static const char text[] = "a\xc3\x89\xe2\x82\xac\xf0\x9f\x98\x80z";
	struct buf wide = {0}, back = {0};
	size_t used;

	text_to_utf16le(&wide, text, strlen(text));
	for (size_t cut = 0; cut <= wide.len; cut++) {
		buf_clear(&back);
		ck_assert(text_from_utf16(wide.p, cut, false, &back, &used));
		ck_assert_uint_le(used, cut);
		ck_assert(!memcmp(back.p, text, back.len));
	}
	ck_assert_uint_eq(back.len, strlen(text));
	for (size_t n = 0; n < 7; n++) {
		char out[16];
		size_t len;

		buf_clear(&back);
		text_to_base64(&back, "~bcdefg", n);
		if (n > 0) {
			ck_assert(text_from_base64(back.p, back.len, out, &len));
			ck_assert(len == n && !memcmp(out, "~bcdefg", n));
		}
	}
	buf_release(&wide);
	buf_release(&back);
}
END_TEST

#define LOOP(tc, test, table) tcase_add_loop_test(tc, test, 0, sizeof table / sizeof *table)

int
main(void)
{
	TCase *tc = tcase_create("formats");
	Suite *suite = suite_create("contacts formats");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, every_format_carries_users_groups_and_names);
	tcase_add_test(tc, resource_lists_say_the_same_of_a_user);
	tcase_add_test(tc, unknown_sections_of_lync_stay_byte_for_byte);
	tcase_add_test(tc, a_native_document_is_an_export_of_one_user);
	tcase_add_test(tc, what_xmpp_knows_besides_contacts_stays_byte_for_byte);
	tcase_add_test(tc, the_draft_of_2007_is_read);
	tcase_add_test(tc, one_hosts_file_of_an_export_is_read_alone);
	tcase_add_test(tc, an_export_in_several_files_is_read_whole);
	LOOP(tc, included_files_stay_beneath_their_folder, climbing);
	tcase_add_test(tc, a_folder_of_prosody_is_an_export);
	tcase_add_test(tc, a_folder_of_documents_is_a_set_of_lists);
	LOOP(tc, what_is_no_export_is_refused_by_its_content, odd);
	tcase_add_test(tc, bytes_tell_the_encoding_not_the_declaration);
	tcase_add_test(tc, half_a_surrogate_pair_is_refused);
	LOOP(tc, a_package_is_read_or_refused_by_its_entries, archives);
	if (!getenv("RESITE_UNDER_VALGRIND")) /* 64 MiB of XML */
		tcase_add_test(tc, a_zip_bomb_ends_early);
	tcase_add_test(tc, an_altered_package_is_refused_or_says_the_same);
	tcase_add_test(tc, jids_are_escaped_and_back);
	tcase_add_test(tc, utf16_and_base64_come_back);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
