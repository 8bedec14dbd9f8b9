/* Zone files: what they say (named-checkzone is asked too), and what is changed in them. */
#include "config.h"

#include "plugins/dns-bind/serial.h"
#include "plugins/dns-bind/zonewrite.h"
#include "tests/unit/run_suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECKZONE "/usr/bin/named-checkzone"
#define ZONE "contoso.example."
#define HEAD "$TTL 300\n@ SOA ns1 admin ( 2026112201 3600 600 86400 60 )\n@ NS ns1\nns1 A 127.0.0.1\n"

static char dir[64];

static void
set_up(void)
{
	strcpy(dir, "/tmp/resite-zone.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void
tear_down(void)
{
	char command[256];

	snprintf(command, sizeof(command), "umount '%s' 2>/dev/null; chmod -R u+rwx '%s'; rm -rf '%s'", dir, dir,
		 dir);
	ck_assert_int_eq(system(command), 0);
}

static const char *
path_of(const char *name)
{
	static char path[4][200];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, 200, "%s/%s", dir, name);
	return p;
}

static void
write_bytes(const char *name, const char *bytes, size_t len)
{
	FILE *f = fopen(path_of(name), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
	fclose(f);
}

static void
write_text(const char *name, const char *text)
{
	write_bytes(name, text, strlen(text));
}

static char *
read_text(const char *name)
{
	FILE *f = fopen(path_of(name), "r");
	char *text = calloc(1, 100000);

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_lt(fread(text, 1, 99999, f), 99999);
	fclose(f);
	return text;
}

/* The records of lines of text, as RRsets. */
static struct rrset_list
parse(const char *text)
{
	struct rrset_list list = {0};
	ldns_rdf *origin = ldns_dname_new_frm_str(ZONE);
	char *copy = strdup(text), *save = NULL;
	struct rrset_error err;

	for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		ck_assert_msg(rrset_add_text(&list, l, origin, 60, &err), "%s", err.text);
	ck_assert_msg(rrset_list_join(&list, &err), "%s", err.text);
	free(copy);
	ldns_rdf_deep_free(origin);
	return list;
}

static void
watch_all(struct zone *z, const struct rrset_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct name n;

		ck_assert(name_from_wire(list->v[i].owner, list->v[i].owner_len, &n));
		ck_assert(zone_watch(z, &n));
	}
}

/* Reads the zone "db", with what it includes relative to its folder. */
static enum zone_rc
read_zone(struct zone *z, const struct rrset_list *watched)
{
	ck_assert(zone_init(z, ZONE));
	z->directory = dir;
	watch_all(z, watched);
	return zone_read(z, path_of("db"));
}

/* What named has to say of a zone file: its records of the types that we know, one a line. */
static char *
named_says(const char *name)
{
	char command[600], *text = calloc(1, 200000);
	FILE *f;

	snprintf(command, sizeof(command),
		 "cd '%s' && " CHECKZONE " -D -s full -i none -k ignore -n ignore -r ignore -q -o - contoso.example '%s' 2>&1 | "
		 "awk '$4 ~ /^(A|AAAA|CNAME|SRV|TXT)$/'", dir, name);
	f = popen(command, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_lt(fread(text, 1, 199999, f), 199999);
	pclose(f);
	return text;
}

/* --- reading -------------------------------------------------------------------------- */

static const struct {
	const char *what, *text, *include;
} tricky[] = {
	{"plain", HEAD "sip 60 IN A 10.1.0.10\n_sip._tcp SRV 0 0 5061 sip\nalias CNAME sip\n", NULL},
	{"case of letters", HEAD "SIP.Contoso.EXAMPLE. 60 in a 10.1.0.10\nAlias cname SIP\n", NULL},
	{"omitted owners, several records", HEAD "multi A 10.0.0.1\n      A 10.0.0.2\n\tAAAA 2001:db8::1\n", NULL},
	{"class before TTL", HEAD "a IN 77 A 10.0.0.1\nb 77 IN A 10.0.0.2\nc IN A 10.0.0.3\n", NULL},
	{"TTL with units", HEAD "a 1h30m A 10.0.0.1\nb 2W A 10.0.0.2\n$TTL 1d\nc A 10.0.0.3\n", NULL},
	{"no $TTL: the last one, at first the SOA's minimum",
	 "@ SOA ns1 admin 1 3600 600 86400 77\n@ NS ns1\nns1 A 127.0.0.1\na 99 A 10.0.0.1\nb A 10.0.0.2\n", NULL},
	{"no $TTL: the TTL of the SOA",
	 "@ 55 SOA ns1 admin 1 3600 600 86400 77\n@ NS ns1\nns1 A 127.0.0.1\n", NULL},
	{"$ORIGIN below, above, and back",
	 HEAD "$ORIGIN sub\nx A 10.0.0.1\n@ A 10.0.0.2\n$ORIGIN example.\ny.contoso A 10.0.0.3\n"
	      "$ORIGIN contoso.example.\nz CNAME x.sub\n", NULL},
	{"parentheses over lines, with comments",
	 HEAD "_sip._tcp 60 IN SRV ( 0 ; priority\n 10 ; weight\n\n 5061 ; port )\n sip ) ; done\nsip A ( 10.0.0.1 )\n", NULL},
	{"text: quotes, escapes, several strings",
	 HEAD "t TXT \"one two\" three \"fo\\\"ur\" \\\"five \\065bc \"semi;colon\" \"par(en\"\n"
	      "u TXT \"\"\nv TXT a\\ b\n", NULL},
	{"owners with escapes", HEAD "we\\.ird A 10.0.0.1\nsp\\032ace A 10.0.0.2\n\\@ A 10.0.0.3\nx\\;y A 10.0.0.4\n", NULL},
	{"wildcards", HEAD "*.w A 10.0.0.1\n* TXT any\n", NULL},
	{"unknown types", HEAD "a TYPE1 \\# 4 0a000001\nb A \\# 4 0A00 0002\nc TYPE65280 \\# 2 0102\n"
			      "d TYPE33 \\# 11 000000001 3c5 03736970 00\n", NULL},
	{"CRLF", "$TTL 300\r\n@ SOA ns1 admin ( 1 3600\r\n 600 86400 60 )\r\n@ NS ns1\r\nns1 A 127.0.0.1\r\na A 10.0.0.1 ; x\r\n", NULL},
	{"no newline at the end", HEAD "a A 10.0.0.1", NULL},
	{"blank lines, comments, blanks at line ends", "; head\n\n" HEAD "   \n\t; note\na A 10.0.0.1 \t\n;tail", NULL},
	{"include: origin and owner come back, $TTL stays",
	 HEAD "a A 10.0.0.1\n$INCLUDE inc sub\n  300 A 10.0.0.2\nb A 10.0.0.3\n",
	 "$TTL 44\n@ A 10.1.0.1\nx A 10.1.0.2\n$ORIGIN deep.sub.contoso.example.\ny A 10.1.0.3\n"},
	{"include: quoted, owner from before", HEAD "a A 10.0.0.1\n$include \"inc\"\n", " TXT inherited\nb TXT b\n"},
	{"duplicate records", HEAD "a A 10.0.0.1\na A 10.0.0.1\n", NULL},
	{"TTLs too long", HEAD "a 4294967295 A 10.0.0.1\n", NULL},
	{"dollar owner", HEAD "\\$odd A 10.0.0.1\n", NULL},
};

START_TEST(a_zone_says_what_named_says)
{
	char *text;
	struct rrset_list want;
	struct zone z;

	write_text("db", tricky[_i].text);
	if (tricky[_i].include)
		write_text("inc", tricky[_i].include);
	text = named_says("db");
	ck_assert_msg(*text, "%s: named reads nothing", tricky[_i].what);
	want = parse(text);
	ck_assert_msg(read_zone(&z, &want) == ZONE_OK, "%s: %s", tricky[_i].what, z.err);
	for (size_t i = 0; i < want.n; i++) {
		struct rrset now = {.owner = want.v[i].owner, .owner_len = want.v[i].owner_len,
				    .type = want.v[i].type};
		bool mixed;
		char *name = rrset_name(&now), *is, *should;

		ck_assert_msg(zone_rrset(&z, &now, &mixed), "%s: %s", tricky[_i].what, z.err);
		is = rrset_text(&now);
		should = rrset_text(&want.v[i]);
		ck_assert_msg(!strcmp(is, should) && !mixed, "%s: %s is %s, not %s", tricky[_i].what, name,
			      is, should);
		free(name);
		free(is);
		free(should);
		rrset_clear(&now);
	}
	zone_release(&z);
	rrset_list_release(&want);
	free(text);
}
END_TEST

/* --- changing ------------------------------------------------------------------------- */

/* set: records; gone: RRsets to remove ("x A 1.2.3.4": any data). */
static const struct {
	const char *what, *set, *gone, *before, *after, *include, *include_after;
} changes[] = {
	{"an address in its place", "sip 60 A 10.2.0.10", NULL,
	 "sip  60\tIN  A   10.1.0.10 ; the pool\n", "sip  60\tIN  A   10.2.0.10 ; the pool\n", NULL, NULL},
	{"a TTL that was not given", "sip 60 A 10.2.0.10", NULL, "sip IN A 10.1.0.10\n",
	 "sip 60 IN A 10.2.0.10\n", NULL, NULL},
	{"a TTL that says the same stays", "sip 3600 A 10.2.0.10", NULL, "sip 1H A 10.1.0.10\n",
	 "sip 1H A 10.2.0.10\n", NULL, NULL},
	{"only the words that differ", "_sip._tcp 300 SRV 0 0 5061 dr", NULL,
	 "_sip._tcp SRV ( 0 ; prio\n\t0 5061 ; port\n\tsip ) ; target\n",
	 "_sip._tcp SRV ( 0 ; prio\n\t0 5061 ; port\n\tdr ) ; target\n", NULL, NULL},
	{"absolute names stay absolute", "alias 300 CNAME dr", NULL, "alias CNAME sip.contoso.example.\n",
	 "alias CNAME dr.contoso.example.\n", NULL, NULL},
	{"one of several", "m 300 A 10.0.0.1\nm 300 A 10.0.0.9", NULL,
	 "m A 10.0.0.1\n  A 10.0.0.2 ; second\n", "m A 10.0.0.1\n  A 10.0.0.9 ; second\n", NULL, NULL},
	{"more than before", "m 300 A 10.0.0.1\nm 300 A 10.0.0.2", NULL, "m A 10.0.0.1\n  TXT x\n",
	 "m A 10.0.0.1\nm\t300\tIN\tA\t10.0.0.2\n  TXT x\n", NULL, NULL},
	{"fewer than before: the owner is handed on", "m 300 A 10.0.0.2", NULL,
	 "m A 10.0.0.1\n  A 10.0.0.2\n  TXT x\n", "m  A 10.0.0.2\n  TXT x\n", NULL, NULL},
	{"a name that is new", "new 60 A 10.0.0.1", NULL, "a A 10.0.0.1\n; end\n",
	 "a A 10.0.0.1\n; end\nnew.contoso.example.\t60\tIN\tA\t10.0.0.1\n", NULL, NULL},
	{"a new one after a last line without its end", "new 60 A 10.0.0.1", NULL, "a A 10.0.0.1",
	 "a A 10.0.0.1\nnew.contoso.example.\t60\tIN\tA\t10.0.0.1\n", NULL, NULL},
	{"another type of a name", "a 60 AAAA 2001:db8::1", NULL, "a A 10.0.0.1 ; v4\nb A 10.0.0.2\n",
	 "a A 10.0.0.1 ; v4\na\t60\tIN\tAAAA\t2001:db8::1\nb A 10.0.0.2\n", NULL, NULL},
	{"an RRset goes", NULL, "x A 1.1.1.1", "a A 10.0.0.1\nx A 10.0.0.2\n  A 10.0.0.3\nb A 10.0.0.4\n",
	 "a A 10.0.0.1\nb A 10.0.0.4\n", NULL, NULL},
	{"an RRset goes, its owner stays for the next", NULL, "x A 1.1.1.1", "x A 10.0.0.2\n  TXT x\n",
	 "x  TXT x\n", NULL, NULL},
	{"text with fewer strings", "t 300 TXT \"a b\"", NULL, "t TXT ( \"a\" ; one\n \"b\" ; two\n )\n",
	 "t TXT ( \"a b\" ; one\n ; two\n )\n", NULL, NULL},
	{"text with more strings", "t 300 TXT \"a\" \"c;d\" \"e\\\"f\"", NULL, "t TXT \"a\" ; x\n",
	 "t TXT \"a\" \"c;d\" \"e\\\"f\" ; x\n", NULL, NULL},
	{"origin in force", "x.sub 300 CNAME y.sub", NULL, "$ORIGIN sub.contoso.example.\nx CNAME a\n",
	 "$ORIGIN sub.contoso.example.\nx CNAME y\n", NULL, NULL},
	{"wildcards are names", "*.w 300 A 10.0.0.9", NULL, "*.w A 10.0.0.1\nx.w A 10.0.0.2\n",
	 "*.w A 10.0.0.9\nx.w A 10.0.0.2\n", NULL, NULL},
	{"case of the file stays", "sip 300 A 10.0.0.9", NULL, "SIP A 10.0.0.1\n", "SIP A 10.0.0.9\n", NULL, NULL},
	{"duplicates become one", "a 300 A 10.0.0.1", NULL, "a A 10.0.0.1\na A 10.0.0.1\n", "a A 10.0.0.1\n", NULL, NULL},
	{"RFC 3597 data", "a 300 A 10.0.0.9", NULL, "a TYPE1 \\# 4 0a00 0001\n", "a TYPE1 10.0.0.9\n", NULL, NULL},
	{"words that touch", "t 300 TXT \"a\" \"y\"", NULL, "t TXT\"x\"\"y\"\n", "t TXT \"a\" \"y\"\n", NULL, NULL},
	{"in an included file", "x.sub 300 A 10.0.0.9", NULL, "a A 10.0.0.1\n$INCLUDE inc sub ; more\n",
	 "a A 10.0.0.1\n$INCLUDE inc sub ; more\n", "; mine\nx A 10.0.0.1\n", "; mine\nx A 10.0.0.9\n"},
	{"a mixed RRset gets one TTL", "m 60 A 10.0.0.1\nm 60 A 10.0.0.2", NULL,
	 "m 60 A 10.0.0.1\nm 90 A 10.0.0.2\n", "m 60 A 10.0.0.1\nm 60 A 10.0.0.2\n", NULL, NULL},
};

static int
by_order(const void *a, const void *b)
{
	return rrset_order(a, b);
}

/* The RRsets of a case: what is to be set, and the removed ones without data. */
static struct rrset_list
sets_of(const char *set, const char *gone)
{
	struct rrset_list list = parse(set ? set : ""), removed = parse(gone ? gone : "");

	for (size_t i = 0; i < removed.n; i++) {
		rrset_clear(&removed.v[i]);
		list.v = realloc(list.v, (list.n + 1) * sizeof(*list.v));
		list.v[list.n++] = removed.v[i];
	}
	free(removed.v);
	if (list.n)
		qsort(list.v, list.n, sizeof(*list.v), by_order);
	return list;
}

static enum zone_rc
change(struct zone *z, const struct rrset_list *sets, uint32_t serial)
{
	struct zone_write w;
	enum zone_rc rc = zone_write_begin(z, sets->v, sets->n, serial, &w);

	if (rc == ZONE_OK)
		rc = zone_write_commit(&w);
	zone_write_end(&w);
	return rc;
}

static char *
joined(const char *a, const char *b)
{
	char *text;

	ck_assert_int_ge(asprintf(&text, "%s%s", a, b), 0);
	return text;
}

static int
files_in_dir(void)
{
	char command[256];
	int n;
	FILE *f;

	snprintf(command, sizeof(command), "ls -A '%s' | wc -l", dir);
	f = popen(command, "r");
	ck_assert_int_eq(fscanf(f, "%d", &n), 1);
	pclose(f);
	return n;
}

START_TEST(only_what_must_change_is_changed)
{
	char *before = joined(HEAD, changes[_i].before), *after = joined(HEAD, changes[_i].after), *is, *says;
	struct rrset_list sets = sets_of(changes[_i].set, changes[_i].gone), now;
	struct zone z;
	char *at;

	write_text("db", before);
	if (changes[_i].include)
		write_text("inc", changes[_i].include);
	ck_assert_msg(read_zone(&z, &sets) == ZONE_OK, "%s: %s", changes[_i].what, z.err);
	ck_assert_msg(change(&z, &sets, 2026112202) == ZONE_OK, "%s: %s", changes[_i].what, z.err);
	at = strstr(after, "2026112201");
	at[9] = '2';
	is = read_text("db");
	ck_assert_msg(!strcmp(is, after), "%s:\n%s\nnot\n%s", changes[_i].what, is, after);
	free(is);
	if (changes[_i].include) {
		is = read_text("inc");
		ck_assert_str_eq(is, changes[_i].include_after);
		free(is);
	}
	ck_assert_int_eq(files_in_dir(), changes[_i].include ? 2 : 1);
	/* and named agrees */
	says = named_says("db");
	now = parse(says);
	for (size_t i = 0; i < sets.n; i++) {
		const struct rrset *there = rrset_list_find(&now, &sets.v[i]);

		ck_assert_msg(sets.v[i].n ? there && rrset_same(there, &sets.v[i]) : !there, "%s: named says %s",
			      changes[_i].what, says);
	}
	rrset_list_release(&now);
	rrset_list_release(&sets);
	zone_release(&z);
	free(says);
	free(before);
	free(after);
}
END_TEST

START_TEST(no_change_is_the_same_bytes)
{
	struct rrset_list none = {0};
	struct zone_write w;
	struct zone z;
	char *is;

	write_text("db", tricky[_i].text);
	if (tricky[_i].include)
		write_text("inc", tricky[_i].include);
	ck_assert_int_eq(read_zone(&z, &none), ZONE_OK);
	ck_assert_msg(zone_write_begin(&z, NULL, 0, z.serial, &w) == ZONE_OK, "%s", z.err);
	ck_assert_uint_eq(w.edits.n, 0);
	zone_write_end(&w);
	is = read_text("db");
	ck_assert_str_eq(is, tricky[_i].text);
	free(is);
	zone_release(&z);
}
END_TEST

START_TEST(crlf_stays)
{
	static const char before[] = "$TTL 300\r\n@ SOA ns1 admin 7 3600 600 86400 60\r\n@ NS ns1\r\nns1 A 127.0.0.1\r\n",
			  after[] = "$TTL 300\r\n@ SOA ns1 admin 8 3600 600 86400 60\r\n@ NS ns1\r\nns1 A 127.0.0.1\r\n"
				    "x.contoso.example.\t60\tIN\tA\t10.0.0.1\r\n";
	struct rrset_list sets = sets_of("x 60 A 10.0.0.1", NULL);
	struct zone z;
	char *is;

	write_text("db", before);
	ck_assert_int_eq(read_zone(&z, &sets), ZONE_OK);
	ck_assert_int_eq(change(&z, &sets, 8), ZONE_OK);
	is = read_text("db");
	ck_assert_str_eq(is, after);
	free(is);
	zone_release(&z);
	rrset_list_release(&sets);
}
END_TEST

START_TEST(a_change_that_others_would_feel_is_refused)
{
	/* Without $TTL the second record has the TTL of the first. */
	struct rrset_list sets = sets_of("a 99 A 10.0.0.9", NULL);
	struct zone z;

	write_text("db", "@ 60 SOA ns1 admin 7 3600 600 86400 60\n@ NS ns1\nns1 A 127.0.0.1\na 60 A 10.0.0.1\nb A 10.0.0.2\n");
	ck_assert_int_eq(read_zone(&z, &sets), ZONE_OK);
	ck_assert_int_eq(change(&z, &sets, 8), ZONE_BROKEN);
	ck_assert_msg(strstr(z.err, "would change other records"), "%s", z.err);
	ck_assert_int_eq(files_in_dir(), 1);
	zone_release(&z);
	rrset_list_release(&sets);
}
END_TEST

START_TEST(what_others_have_changed_meanwhile_is_left_alone)
{
	struct rrset_list sets = sets_of("a 300 A 10.0.0.9", NULL);
	struct zone_write w;
	struct zone z;
	char *is;

	write_text("db", HEAD "a A 10.0.0.1\n");
	ck_assert_int_eq(read_zone(&z, &sets), ZONE_OK);
	ck_assert_int_eq(zone_write_begin(&z, sets.v, sets.n, 2026112202, &w), ZONE_OK);
	write_text("db", HEAD "a A 10.0.0.1\nb A 10.0.0.7\n");
	ck_assert_int_eq(zone_write_commit(&w), ZONE_CHANGED);
	ck_assert_msg(strstr(z.err, "somebody else has changed"), "%s", z.err);
	zone_write_end(&w);
	is = read_text("db");
	ck_assert_str_eq(is, HEAD "a A 10.0.0.1\nb A 10.0.0.7\n");
	free(is);
	ck_assert_int_eq(files_in_dir(), 1);
	zone_release(&z);
	rrset_list_release(&sets);
}
END_TEST

START_TEST(mode_and_links_stay)
{
	struct rrset_list sets = sets_of("a 300 A 10.0.0.9", NULL);
	struct stat st;
	struct zone z;

	write_text("real", HEAD "a A 10.0.0.1\n");
	ck_assert_int_eq(chmod(path_of("real"), 0640), 0);
	ck_assert_int_eq(symlink("real", path_of("db")), 0);
	ck_assert_int_eq(read_zone(&z, &sets), ZONE_OK);
	ck_assert_int_eq(change(&z, &sets, 2026112202), ZONE_OK);
	ck_assert_int_eq(lstat(path_of("db"), &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	ck_assert_int_eq(stat(path_of("db"), &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	zone_release(&z);
	rrset_list_release(&sets);
}
END_TEST

/* --- what is no zone ------------------------------------------------------------------- */

static const struct {
	const char *what, *text;
	size_t len; /* 0: strlen */
	const char *include, *says;
} broken[] = {
	{"empty", "", 0, NULL, "no SOA"},
	{"no SOA", "a A 10.0.0.1\n", 0, NULL, "without a TTL"},
	{"two SOAs", HEAD "@ SOA ns1 admin 1 1 1 1 1\n", 0, NULL, "two SOA records, lines 2 and 5"},
	{"no serial", "$TTL 1\n@ SOA ns1 admin\n", 0, NULL, ":2: the SOA record has no serial"},
	{"a serial that is none", "$TTL 1\n@ SOA ns1 admin 99999999999 1 1 1 1\n", 0, NULL, "no serial"},
	{"open parenthesis", HEAD "a A ( 10.0.0.1\n", 0, NULL, "ends inside of parentheses"},
	{"closed twice", HEAD "a A 10.0.0.1 )\n", 0, NULL, ":5: a ) without its ("},
	{"open quote", HEAD "a TXT \"x\nb A 10.0.0.1\n", 0, NULL, "quoted text that its line does not end"},
	{"no type", HEAD "a\n", 0, NULL, ":5: a record without a type"},
	{"a label too long", HEAD
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa A 10.0.0.1\n", 0, NULL,
	 "no domain name"},
	{"unknown directive", HEAD "$FOO x\n", 0, NULL, ":5: a directive that is none of"},
	{"NUL", "$TTL 1\n@ SOA a\0b c 1 1 1 1 1\n", 30, NULL, "NUL"},
	{"UTF-16", "\xff\xfe$\0T\0", 6, NULL, "UTF-16"},
	{"byte-order mark", "\xef\xbb\xbf" HEAD, 0, NULL, "byte-order mark"},
	{"raw", "\0\0\0\2\0\0\0\1", 8, NULL, "binary form"},
	{"carriage return alone", HEAD "a A 10.0.0.1\rb A 10.0.0.2\n", 0, NULL, "carriage return"},
	{"include missing", HEAD "$INCLUDE nowhere\n", 0, NULL, ":5: $INCLUDE: cannot open"},
	{"include without a name", HEAD "$INCLUDE\n", 0, NULL, "without a file"},
	{"include loops", HEAD "$INCLUDE db\n", 0, NULL, "db includes itself"},
	{"include loops further down", HEAD "$INCLUDE inc\n", 0, "$INCLUDE inc\n", "inc includes itself"},
	{"include climbs", HEAD "$INCLUDE ../../etc/passwd\n", 0, NULL, "outside of the zone's folder"},
	{"include of a folder", HEAD "$INCLUDE /tmp\n", 0, NULL, "not a plain file"},
	{"include with a NUL", HEAD "$INCLUDE a\0b\n", sizeof(HEAD) + 11, NULL, "NUL"},
	{"broken in the include", HEAD "$INCLUDE inc\n", 0, "a A 1.1.1.1\nb (\n", "inc:2: the file ends"},
	{"generate cut", HEAD "$GENERATE 1-2\n", 0, NULL, "$GENERATE is cut"},
};

START_TEST(what_is_no_zone_is_refused_with_its_line)
{
	char *roots[] = {dir};
	struct rrset_list none = {0};
	struct zone z;

	write_bytes("db", broken[_i].text, broken[_i].len ? broken[_i].len : strlen(broken[_i].text));
	if (broken[_i].include)
		write_text("inc", broken[_i].include);
	ck_assert(zone_init(&z, ZONE));
	(void)none;
	z.directory = dir;
	z.roots = roots;
	z.n_roots = 1;
	ck_assert_msg(zone_read(&z, path_of("db")) != ZONE_OK, "%s", broken[_i].what);
	ck_assert_msg(strstr(z.err, broken[_i].says), "%s: '%s' is not in: %s", broken[_i].what,
		      broken[_i].says, z.err);
	zone_release(&z);
}
END_TEST

START_TEST(generate_is_recognised_where_it_touches)
{
	static const struct {
		const char *line, *owner;
		bool touches;
	} cases[] = {
		{"$GENERATE 1-10 host-$ A 10.0.0.$", "host-3", true},
		{"$GENERATE 1-10 host-$ A 10.0.0.$", "sip", false},
		{"$GENERATE 1-10 h${0,3,d}.x CNAME h$", "h007.x", true},
		{"$GENERATE 1-10 h${0,3,d}.x CNAME h$", "h007.y", false},
		{"$GENERATE 1-10 HOST$.contoso.example. A 10.0.0.$", "host4", true},
		{"$GENERATE 1-10 $ PTR x", "7", true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char record[100], *text = joined(HEAD, cases[i].line);
		struct rrset_list sets;
		struct zone z;

		snprintf(record, sizeof(record), "%s A 10.0.0.1", cases[i].owner);
		sets = parse(record);
		write_text("db", text);
		ck_assert_msg(read_zone(&z, &sets) == ZONE_OK, "%s", z.err);
		ck_assert_msg((z.generate_line == 5) == cases[i].touches, "%s: %s", cases[i].line, cases[i].owner);
		zone_release(&z);
		rrset_list_release(&sets);
		free(text);
	}
}
END_TEST

START_TEST(a_huge_line_is_read)
{
	struct rrset_list sets = sets_of("a 300 A 10.0.0.9", NULL);
	size_t n = 4000000;
	char *text = malloc(n + 1000);
	struct zone z;
	size_t at = (size_t)sprintf(text, "%sa A 10.0.0.1 ;", HEAD);

	memset(text + at, 'x', n);
	text[at + n] = '\0';
	write_text("db", text);
	ck_assert_int_eq(read_zone(&z, &sets), ZONE_OK);
	ck_assert_int_eq(change(&z, &sets, 2026112202), ZONE_OK);
	zone_release(&z);
	at = (size_t)sprintf(text, "%sa TXT ", HEAD);
	for (size_t i = 0; i < n / 2; i++)
		memcpy(text + at + 2 * i, "x ", 3);
	write_text("db", text);
	ck_assert_int_eq(read_zone(&z, &sets), ZONE_BROKEN);
	ck_assert_msg(strstr(z.err, "too many words"), "%s", z.err);
	zone_release(&z);
	rrset_list_release(&sets);
	free(text);
}
END_TEST

START_TEST(a_record_without_data_is_refused)
{
	struct rrset_list sets = sets_of("a 300 A 10.0.0.9", NULL);
	struct zone z;

	write_text("db", HEAD "a A\n");
	ck_assert_int_eq(read_zone(&z, &sets), ZONE_OK);
	ck_assert_int_eq(change(&z, &sets, 2026112202), ZONE_BROKEN);
	ck_assert_msg(strstr(z.err, ":5: the record has no data"), "%s", z.err);
	zone_release(&z);
	rrset_list_release(&sets);
}
END_TEST

START_TEST(a_folder_that_is_read_only_changes_nothing)
{
	struct rrset_list sets;
	struct zone z;

	if (geteuid() == 0)
		return; /* root may write anywhere */
	sets = sets_of("a 300 A 10.0.0.9", NULL);
	write_text("db", HEAD "a A 10.0.0.1\n");
	ck_assert_int_eq(read_zone(&z, &sets), ZONE_OK);
	ck_assert_int_eq(chmod(dir, 0555), 0);
	ck_assert_int_eq(change(&z, &sets, 2026112202), ZONE_DENIED);
	ck_assert_msg(strstr(z.err, "cannot create"), "%s", z.err);
	zone_release(&z);
	rrset_list_release(&sets);
}
END_TEST

START_TEST(a_full_disk_changes_nothing)
{
	struct rrset_list sets;
	struct zone z;
	char command[300];
	char *is;

	/* A disk of 64 KiB, where we may mount one. */
	snprintf(command, sizeof(command), "mount -t tmpfs -o size=64k none '%s' 2>/dev/null", dir);
	if (geteuid() != 0 || system(command) != 0)
		return;
	sets = sets_of("a 300 A 10.0.0.9", NULL);
	snprintf(command, sizeof(command), "{ printf '%s'; yes '; filler' | head -c 40000; } >'%s'",
		 "$TTL 1\\n@ SOA a b 1 1 1 1 1\\na A 10.0.0.1\\n", path_of("db"));
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(read_zone(&z, &sets), ZONE_OK);
	ck_assert_int_eq(change(&z, &sets, 2), ZONE_FULL);
	ck_assert_msg(strstr(z.err, "No space left"), "%s", z.err);
	is = read_text("db");
	ck_assert_ptr_nonnull(strstr(is, "SOA a b 1 "));
	free(is);
	ck_assert_int_eq(files_in_dir(), 1);
	zone_release(&z);
	rrset_list_release(&sets);
	snprintf(command, sizeof(command), "umount '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

/* --- names and serials ------------------------------------------------------------------ */

START_TEST(a_serial_is_raised_as_it_is_written)
{
	static const struct {
		uint32_t now, served;
		bool has_served;
		enum serial_form form;
		uint32_t next;
	} cases[] = {
		{2026112201, 0, false, SERIAL_AUTO, 2026112301},
		{2026112301, 0, false, SERIAL_AUTO, 2026112302},
		{2026112399, 0, false, SERIAL_AUTO, 2026112400},
		{2027010101, 0, false, SERIAL_AUTO, 2027010102},
		{7, 0, false, SERIAL_AUTO, 8},
		{7, 0, false, SERIAL_DATE, 2026112301},
		{2026112201, 0, false, SERIAL_COUNTER, 2026112202},
		{4294967295, 0, false, SERIAL_AUTO, 1},
		{7, 9, true, SERIAL_AUTO, 10},
		{9, 7, true, SERIAL_AUTO, 10},
		{2026112201, 2026112305, true, SERIAL_AUTO, 2026112306},
		{4294967290, 3, true, SERIAL_COUNTER, 4},
		{2100000000, 0, false, SERIAL_DATE, 2100000001},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_uint_eq(serial_next(cases[i].now, cases[i].has_served, cases[i].served, cases[i].form,
					      20261123), cases[i].next);
}
END_TEST

START_TEST(names_come_back_as_they_went)
{
	static const char *const names[] = {"a.b.", ".", "we\\.ird.x.", "sp\\032ace.", "*.x.", "\\255\\000.y."};
	char text[NAME_TEXT_MAX];
	struct name n;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ck_assert_msg(name_parse(names[i], strlen(names[i]), NULL, &n), "%s", names[i]);
		name_text(&n, NULL, text);
		ck_assert_str_eq(text, names[i]);
	}
	ck_assert(!name_parse("a..b.", 5, NULL, &n));
	ck_assert(!name_parse("", 0, NULL, &n));
	ck_assert(!name_parse("a\\", 2, NULL, &n));
	ck_assert(!name_parse("a\\25", 4, NULL, &n));
	ck_assert(!name_parse("relative", 8, NULL, &n));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("dns-bind zone files");
	TCase *t = tcase_create("zones");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, set_up, tear_down);
	if (access(CHECKZONE, X_OK) == 0) {
		tcase_add_loop_test(t, a_zone_says_what_named_says, 0, sizeof(tricky) / sizeof(tricky[0]));
		tcase_add_loop_test(t, only_what_must_change_is_changed, 0, sizeof(changes) / sizeof(changes[0]));
	}
	tcase_add_loop_test(t, no_change_is_the_same_bytes, 0, sizeof(tricky) / sizeof(tricky[0]));
	tcase_add_test(t, crlf_stays);
	tcase_add_test(t, a_change_that_others_would_feel_is_refused);
	tcase_add_test(t, what_others_have_changed_meanwhile_is_left_alone);
	tcase_add_test(t, mode_and_links_stay);
	tcase_add_loop_test(t, what_is_no_zone_is_refused_with_its_line, 0, sizeof(broken) / sizeof(broken[0]));
	tcase_add_test(t, generate_is_recognised_where_it_touches);
	tcase_add_test(t, a_huge_line_is_read);
	tcase_add_test(t, a_record_without_data_is_refused);
	tcase_add_test(t, a_folder_that_is_read_only_changes_nothing);
	tcase_add_test(t, a_full_disk_changes_nothing);
	tcase_add_test(t, a_serial_is_raised_as_it_is_written);
	tcase_add_test(t, names_come_back_as_they_went);
	suite_add_tcase(s, t);
	return run_suite(s);
}
