/* contacts.export and contacts.import against a real Kamailio, and against servers that are not
 * well: down, silent, garbage, always 500. */
#define _GNU_SOURCE
#include "plugins/contacts/contacts.h"
#include "plugins/contacts/lists.h"
#include "sdk/testkit/fakehost.h"
#include "tests/unit/contacts_calls.h"
#include "tests/unit/kamailio_rig.h"
#include "tests/unit/run_suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_USERS 300

const struct resite_plugin *resite_plugin_v0(void);

static struct kamailio_rig a, b; /* the site that is lost, and the other */
static char dir[64], vault[96], users_file[96], lync_file[96];
static bool traced;

/* --- what the tests work with ------------------------------------------------------ */

/* An export of n users; tweak makes other lists of the same users. */
static void
write_lync(const char *path, int n, const char *tweak)
{
	FILE *out = fopen(path, "w");

	ck_assert_ptr_nonnull(out);
	fputs("<HomedResources xmlns=\"http://schemas.microsoft.com/RtcServer/2002/11/dbimpexp\">\n",
	      out);
	for (int u = 0; u < n; u++) {
		fprintf(out, "<HomedResource UserAtHost=\"u%05d@contoso.example\"><ContactGroups>"
			"<ContactGroup Number=\"1\" DisplayName=\"fg==\"/></ContactGroups><Contacts>",
			u);
		for (int i = 1; i <= 20; i++)
			fprintf(out, "<Contact Buddy=\"%s%05d@contoso.example\" Groups=\"1\" "
				"DisplayName=\"w4lxdWlwZSBWZW50ZXM=\"/>", tweak, (u + i) % 1000);
		fputs("</Contacts></HomedResource>\n", out);
	}
	fputs("</HomedResources>\n", out);
	fclose(out);
}

static void
write_users(const char *path, int n)
{
	FILE *out = fopen(path, "w");

	ck_assert_ptr_nonnull(out);
	for (int u = 0; u < n; u++)
		fprintf(out, "sip:u%05d@contoso.example\n", u);
	fclose(out);
}

static struct fakehost *
importer(const char *root)
{
	struct fakehost *fh = fakehost_new(fakehost_action(resite_plugin_v0(), "import"));

	if (traced)
		fakehost_trace(fh, stderr);
	fakehost_param(fh, "server", root);
	return fh;
}

static struct fakehost *
vault_importer(void)
{
	struct fakehost *fh = importer(b.root);

	fakehost_param(fh, "vault", vault);
	return fh;
}

static struct fakehost *
exporter(const char *root)
{
	struct fakehost *fh = fakehost_new(fakehost_action(resite_plugin_v0(), "export"));

	if (traced)
		fakehost_trace(fh, stderr);
	fakehost_param(fh, "server", root);
	fakehost_param(fh, "vault", vault);
	fakehost_param(fh, "site", "primary");
	fakehost_param(fh, "users_file", users_file);
	return fh;
}

/* A whole life of a step; the second probe must say converged. */
static void
live(struct fakehost *fh)
{
	call(fh, FAKEHOST_CHECK);
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_gt(fakehost_state(fh)->changes, 0);
	call(fh, FAKEHOST_APPLY);
	call(fh, FAKEHOST_VERIFY);
	call(fh, FAKEHOST_PROBE);
	ck_assert_msg(fakehost_state(fh)->changes == 0, "%s", fakehost_state(fh)->now);
}

static void
empty(const struct kamailio_rig *rig)
{
	char cmd[160];

	snprintf(cmd, sizeof cmd, "sqlite3 -cmd '.timeout 5000' %s/x.db 'delete from xcap'",
		 rig->dir);
	ck_assert_int_eq(system(cmd), 0);
}

/* Behind the importer's back: these users have another list. */
static void
alter(const struct kamailio_rig *rig, const char *where)
{
	char cmd[300];

	snprintf(cmd, sizeof cmd, "sqlite3 -cmd '.timeout 5000' %s/x.db \"update xcap set "
		 "doc='<resource-lists xmlns=\\\"" LISTS_NAMESPACE "\\\"/>' where %s\"", rig->dir,
		 where);
	ck_assert_int_eq(system(cmd), 0);
}

static void
seed_a(int n)
{
	struct fakehost *fh = importer(a.root);

	write_lync(lync_file, n, "v");
	fakehost_param(fh, "dbimpexp", lync_file);
	call(fh, FAKEHOST_APPLY);
	fakehost_free(fh);
}

static void
save_a(void)
{
	struct fakehost *fh = exporter(a.root);

	seed_a(N_USERS);
	call(fh, FAKEHOST_APPLY);
	fakehost_free(fh);
}

static void
start_all(void)
{
	kamailio_rig_start(&a);
	kamailio_rig_start(&b);
	traced = getenv("TRACE") != NULL;
}

static void
stop_all(void)
{
	kamailio_rig_stop(&a);
	kamailio_rig_stop(&b);
}

static void
setup(void)
{
	strcpy(dir, "/tmp/contacts-xcap-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(vault, sizeof vault, "%s/vault", dir);
	snprintf(users_file, sizeof users_file, "%s/users", dir);
	snprintf(lync_file, sizeof lync_file, "%s/lync.xml", dir);
	write_users(users_file, N_USERS + 2);
}

static void
teardown(void)
{
	char cmd[128];

	snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
	ck_assert_int_eq(system(cmd), 0);
}

/* The file of the newest set, to be broken. */
static void
set_file(char out[256], const char *file)
{
	struct vault_error err;
	struct vault_set *set;

	ck_assert_int_eq(vault_open(&set, vault, "contacts", NULL, VAULT_MANIFEST_ONLY, NULL, NULL,
				    &err), 0);
	snprintf(out, 256, "%s/contacts/%s/%s", vault, vault_set_name(set), file);
	vault_close(set);
}

/* --- the life of both ---------------------------------------------------------------- */

START_TEST(what_was_exported_is_imported_byte_for_byte)
{
	struct fakehost *e = exporter(a.root), *i = vault_importer();
	char cmd[512];

	empty(&a);
	empty(&b);
	seed_a(N_USERS);
	live(e);
	ck_assert_str_eq(fakehost_output(e, "users"), "302");
	ck_assert_str_eq(fakehost_output(e, "documents"), "300");
	fakehost_param(i, "from_site", "primary");
	live(i);
	ck_assert_str_eq(fakehost_output(i, "documents"), "300");
	/* The judge is neither of them: the two databases hold the same bytes. */
	snprintf(cmd, sizeof cmd, "q='select username,hex(doc) from xcap order by 1';"
		 "test \"$(sqlite3 %s/x.db \"$q\" | sha256sum)\" = "
		 "\"$(sqlite3 %s/x.db \"$q\" | sha256sum)\" && "
		 "test $(sqlite3 %s/x.db 'select count(*) from xcap') = 300", a.dir, b.dir, b.dir);
	ck_assert_int_eq(system(cmd), 0);
	fakehost_free(e);
	fakehost_free(i);
}
END_TEST

START_TEST(a_lync_export_is_imported_and_converges)
{
	struct fakehost *fh = importer(b.root);

	empty(&b);
	write_lync(lync_file, 450, "w");
	fakehost_param(fh, "dbimpexp", lync_file);
	live(fh);
	ck_assert_uint_eq(fakehost_state(fh)->total, 450);
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "contact lists of 450 users come from"));
	fakehost_free(fh);
}
END_TEST

START_TEST(probe_names_what_would_change_and_what_would_be_lost)
{
	struct fakehost *fh = importer(b.root);
	size_t n;

	write_lync(lync_file, 20, "w");
	fakehost_param(fh, "dbimpexp", lync_file);
	call(fh, FAKEHOST_APPLY);
	write_lync(lync_file, 22, "z");
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 22);
	fakehost_changes(fh, &n);
	ck_assert_uint_eq(n, 22);
	ck_assert_str_eq(fakehost_changes(fh, &n)[3].object, "sip:u00003@contoso.example");
	ck_assert_msg(strstr(fakehost_losses(fh), "have another list at the target"), "%s",
		      fakehost_losses(fh));
	fakehost_free(fh);
}
END_TEST

START_TEST(only_the_named_users_are_imported)
{
	struct fakehost *fh = importer(b.root);

	empty(&b);
	write_lync(lync_file, 40, "w");
	write_users(users_file, 7);
	fakehost_param(fh, "dbimpexp", lync_file);
	fakehost_param(fh, "users_file", users_file);
	live(fh);
	ck_assert_uint_eq(fakehost_state(fh)->total, 7);
	fakehost_free(fh);
}
END_TEST

START_TEST(each_run_exports_anew_unless_told_otherwise)
{
	struct fakehost *fh;

	save_a();
	fh = exporter(a.root);
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	fakehost_param_clear(fh, "fresh_for");
	fakehost_param(fh, "fresh_for", "10m");
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	fakehost_free(fh);
	/* A young set of another site is no reason not to save this one. */
	fh = exporter(a.root);
	fakehost_param_clear(fh, "site");
	fakehost_param(fh, "site", "dr");
	fakehost_param(fh, "fresh_for", "10m");
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	fakehost_free(fh);
}
END_TEST

START_TEST(a_set_that_shrank_is_told_and_one_that_shrank_much_needs_a_reason)
{
	struct fakehost *fh;

	save_a();
	write_users(users_file, 200);
	fh = exporter(a.root);
	call(fh, FAKEHOST_APPLY);
	ck_assert_msg(strstr(fakehost_logs(fh), "33 %"), "%s", fakehost_logs(fh));
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	ck_assert_msg(strstr(fakehost_losses(fh), "33 %"), "%s", fakehost_losses(fh));
	/* Half of that is too little, unless somebody says why. */
	write_users(users_file, 80);
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "60 %");
	fakehost_param(fh, "shrink_reason", "three departments were sold");
	call(fh, FAKEHOST_APPLY);
	ck_assert_str_eq(fakehost_output(fh, "documents"), "80");
	fakehost_free(fh);
}
END_TEST

START_TEST(an_import_that_was_stopped_goes_on_where_it_was)
{
	struct fakehost *fh = importer(b.root);
	const char *data = NULL;
	uint64_t total, confirmed, back;

	empty(&b);
	write_lync(lync_file, 2500, "r");
	fakehost_param(fh, "dbimpexp", lync_file);
	fakehost_at_progress(fh, 1200, NULL, NULL);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_CANCELLED);
	ck_assert_ptr_nonnull(fakehost_checkpoint(fh, &data));
	ck_assert_uint_gt(fakehost_progress(fh, &total), 8);
	call(fh, FAKEHOST_APPLY);
	ck_assert_msg(strstr(fakehost_logs(fh), ": going on from there"), "%s", fakehost_logs(fh));
	fakehost_param_clear(fh, "read_back");
	fakehost_param(fh, "read_back", "10");
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	/* What the attempt before sent was not confirmed to this one: all of it is read. */
	ck_assert_int_eq(sscanf(fakehost_state(fh)->now,
				"%" SCNu64 " of 2500 lists confirmed by the server, %" SCNu64
				" read back", &confirmed, &back), 2);
	ck_assert_uint_le(confirmed, 1500);
	ck_assert_uint_ge(back, 2500 - confirmed + 10);
	ck_assert_uint_le(back, 2500 - confirmed + 13);
	alter(&b, "username='u00777'");
	fails(fh, FAKEHOST_PROBE, RESITE_ERR_CONFLICT, "1 of 2500 are not as imported");
	fakehost_free(fh);
}
END_TEST

START_TEST(a_checkpoint_is_not_believed_when_the_server_lost_the_lists)
{
	struct fakehost *fh = importer(b.root);

	write_lync(lync_file, 1500, "s");
	fakehost_param(fh, "dbimpexp", lync_file);
	fakehost_at_progress(fh, 1200, NULL, NULL);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_CANCELLED);
	empty(&b);
	call(fh, FAKEHOST_APPLY);
	ck_assert_msg(strstr(fakehost_logs(fh), "beginning again"), "%s", fakehost_logs(fh));
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	fakehost_free(fh);
}
END_TEST

/* --- what is read after an import ---------------------------------------------------- */

/* An importer that has imported 600 lists in this attempt. */
static struct fakehost *
imported_600(const char *read_back)
{
	struct fakehost *fh = importer(b.root);

	write_lync(lync_file, 600, "t");
	fakehost_param(fh, "dbimpexp", lync_file);
	fakehost_param_clear(fh, "read_back");
	fakehost_param(fh, "read_back", read_back);
	call(fh, FAKEHOST_CHECK);
	call(fh, FAKEHOST_APPLY);
	return fh;
}

static void
says(const struct fakehost *fh, uint64_t changes, const char *now)
{
	const struct fakehost_state *state = fakehost_state(fh);

	ck_assert_uint_eq(state->changes, changes);
	ck_assert_msg(strstr(state->now, now), "'%s' does not say '%s'", state->now, now);
}

START_TEST(lists_that_the_server_confirmed_are_sampled_by_this_attempt_alone)
{
	struct fakehost *fh = imported_600("1"), *later = importer(b.root);

	/* The first, the last, and one between them that is not this one. */
	alter(&b, "username='u00100'");
	call(fh, FAKEHOST_PROBE);
	says(fh, 0, "600 of 600 lists confirmed by the server, 3 read back");
	/* It begins with the same sample, but does not believe it. */
	fakehost_param(later, "dbimpexp", lync_file);
	fakehost_param_clear(later, "probe_sample");
	fakehost_param(later, "probe_sample", "1");
	call(later, FAKEHOST_CHECK);
	call(later, FAKEHOST_PROBE);
	says(later, 1, "599 of 600 lists looked at are as in the source; "
	     "sip:u00100@contoso.example has another list");
	fakehost_free(later);
	fakehost_free(fh);
}
END_TEST

START_TEST(read_back_0_reads_every_list)
{
	struct fakehost *fh = imported_600("0");

	call(fh, FAKEHOST_PROBE);
	says(fh, 0, "600 of 600 lists confirmed by the server, 600 read back");
	alter(&b, "username='u00100'");
	fails(fh, FAKEHOST_PROBE, RESITE_ERR_CONFLICT,
	      "the server confirmed 600 lists, but 1 of 600 are not as imported: sip:u00100@");
	says(fh, 1, "599 of 600 lists looked at");
	fakehost_free(fh);
}
END_TEST

/* Which lists are altered, and how many those are. */
static const struct {
	const char *where;
	uint64_t n;
} altered[] = {
	{"username='u00000'", 1},
	{"username='u00599'", 1},
	{"cast(substr(username,2) as integer) % 8 = 3", 75}, /* as of one connection */
	{"cast(substr(username,2) as integer) between 300 and 399", 100}, /* as of one shard */
};

START_TEST(one_wrong_list_in_the_sample_and_all_are_counted)
{
	struct fakehost *fh = imported_600("60");
	char text[64];

	alter(&b, altered[_i].where);
	snprintf(text, sizeof text, "but %" PRIu64 " of 600 are not as imported", altered[_i].n);
	fails(fh, FAKEHOST_PROBE, RESITE_ERR_CONFLICT, text);
	says(fh, altered[_i].n, " of 600 lists looked at are as in the source; ");
	fakehost_free(fh);
}
END_TEST

/* --- lists that are there already ---------------------------------------------------- */

/* A set of one list for each user, in the vault. */
static void
write_set(const char *const lists[][2])
{
	const struct vault_about about = {DOCUMENTS_KIND, "primary", "test"};
	struct vault_writer *w;
	struct vault_error err;
	struct buf text = {0};
	uint64_t n = 0;

	buf_puts(&text, DOCUMENTS_HEAD);
	for (; lists[n][0]; n++) {
		documents_put_head(&text, lists[n][0], strlen(lists[n][1]));
		buf_puts(&text, lists[n][1]);
		buf_puts(&text, "\n");
	}
	documents_put_end(&text, n, 0);
	ck_assert_int_eq(vault_writer_new(&w, vault, "contacts", &about, &err), 0);
	ck_assert_int_eq(vault_writer_file(w, DOCUMENTS_FILE, &err), 0);
	ck_assert_int_eq(vault_writer_write(w, text.p, text.len, &err), 0);
	ck_assert_int_eq(vault_writer_count(w, "documents", n, &err), 0);
	ck_assert_int_eq(vault_writer_commit(w, &err), 0);
	vault_writer_free(w);
	buf_release(&text);
}

#define LIST(inner) "<resource-lists xmlns=\"" LISTS_NAMESPACE "\">" inner "</resource-lists>"
#define SALES(inner) "<list name=\"Sales &amp; more\">" inner "</list>"
#define ENTRY(who) "<entry uri=\"sip:" who "@x\"/>"

static const char *const old_lists[][2] = {
	{"sip:both@x", LIST("<!-- kept -->" SALES(ENTRY("a") ENTRY("b")) "<z:z xmlns:z=\"urn:z\"/>")},
	{"sip:same@x", LIST(SALES(ENTRY("a")))},
	{NULL, NULL},
};
static const char *const new_lists[][2] = {
	{"sip:both@x", LIST(SALES(ENTRY("A") ENTRY("c")) "<list name=\"Friends\">" ENTRY("d") "</list>")},
	{"sip:new@x", LIST(SALES(ENTRY("e")))},
	{"sip:same@x", LIST("<list name=\"Other\">" ENTRY("a") "</list>")},
	{NULL, NULL},
};

static void
has(const char *user, const char *document)
{
	char cmd[300], got[1000];
	FILE *in;
	size_t n;

	snprintf(cmd, sizeof cmd, "curl -s %s/resource-lists/users/%s/index | tr -d '\n'", b.root, user);
	in = popen(cmd, "r");
	n = fread(got, 1, sizeof got - 1, in);
	got[n] = '\0';
	pclose(in);
	ck_assert_str_eq(got, document);
}

static struct fakehost *
importer_over(const char *existing)
{
	struct fakehost *fh = vault_importer();

	empty(&b);
	write_set(old_lists);
	call(fh, FAKEHOST_APPLY);
	fakehost_new_attempt(fh);
	write_set(new_lists);
	fakehost_param_clear(fh, "existing");
	fakehost_param(fh, "existing", existing);
	call(fh, FAKEHOST_CHECK);
	call(fh, FAKEHOST_PROBE);
	return fh;
}

START_TEST(a_merge_adds_whom_the_target_does_not_know_and_says_who_comes_back)
{
	struct fakehost *fh = importer_over("merge");
	size_t n;

	ck_assert_uint_eq(fakehost_state(fh)->changes, 2);
	ck_assert_str_eq(fakehost_changes(fh, &n)[0].object, "sip:both@x");
	ck_assert_str_eq(fakehost_changes(fh, &n)[0].will_be, "the same and 2 more: c@x, d@x");
	ck_assert_msg(strstr(fakehost_losses(fh), "merging adds 2 contacts to 1 lists"), "%s",
		      fakehost_losses(fh));
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "1 contacts in 1 lists are at the target alone"));
	call(fh, FAKEHOST_APPLY);
	call(fh, FAKEHOST_PROBE);
	ck_assert_msg(fakehost_state(fh)->changes == 0, "%s", fakehost_state(fh)->now);
	has("sip:both@x", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>" LIST("<!-- kept -->"
	    SALES(ENTRY("a") ENTRY("b") ENTRY("c")) "<z:z xmlns:z=\"urn:z\"/>"
	    "<list name=\"Friends\">" ENTRY("d") "</list>"));
	has("sip:new@x", new_lists[1][1]);
	has("sip:same@x", old_lists[1][1]);
	fakehost_free(fh);
}
END_TEST

/* Kamailio's etags say when it started: after the set was made, so what it has is newer. */
START_TEST(contacts_that_a_newer_list_does_not_have_are_told_as_deleted)
{
	struct kamailio_rig c;
	struct fakehost *fh;
	const struct fakehost_change *changes;
	char newest[256], *name;
	size_t n;

	write_set(new_lists); /* the one that is imported later on */
	set_file(newest, "");
	name = newest + strlen(vault) + strlen("/contacts/");
	name[VAULT_SET_NAME_LEN] = '\0';
	sleep(1);
	kamailio_rig_start(&c);
	fh = importer(c.root);
	fakehost_param(fh, "vault", vault);
	write_set(old_lists);
	call(fh, FAKEHOST_APPLY);
	fakehost_new_attempt(fh);
	fakehost_param(fh, "set", name);
	fakehost_param_clear(fh, "existing");
	fakehost_param(fh, "existing", "merge");
	call(fh, FAKEHOST_CHECK);
	call(fh, FAKEHOST_PROBE);
	changes = fakehost_changes(fh, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(changes[0].will_be, "the same and 2 more: c@x, d@x (not in the newer list at "
			 "the target: deleted there?)");
	ck_assert_msg(strstr(fakehost_losses(fh), "(certainly newer there: 1 of the lists, 2 of the "
			     "contacts)"), "%s", fakehost_losses(fh));
	fakehost_free(fh);
	kamailio_rig_stop(&c);
}
END_TEST

START_TEST(keep_puts_only_what_is_not_there)
{
	struct fakehost *fh = importer_over("keep");

	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	ck_assert_msg(strstr(fakehost_losses(fh), "2 have a list at the target, which stays"), "%s",
		      fakehost_losses(fh));
	call(fh, FAKEHOST_APPLY);
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	has("sip:both@x", old_lists[0][1]);
	has("sip:new@x", new_lists[1][1]);
	fakehost_free(fh);
}
END_TEST

START_TEST(a_list_that_cannot_be_merged_is_named_and_left)
{
	struct fakehost *fh = importer_over("merge");
	char cmd[300];

	snprintf(cmd, sizeof cmd, "sqlite3 -cmd '.timeout 5000' %s/x.db \"update xcap set doc="
		 "'<other/>' where username='both'\"", b.dir);
	ck_assert_int_eq(system(cmd), 0);
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "sip:both@x: the list at the target cannot be merged");
	has("sip:both@x", "<other/>");
	has("sip:new@x", new_lists[1][1]);
	fakehost_free(fh);
}
END_TEST

START_TEST(who_did_not_move_is_left_out_and_who_has_no_list_is_told)
{
	struct fakehost *fh = vault_importer();
	char report[128];
	FILE *out;

	empty(&b);
	write_set(new_lists);
	snprintf(report, sizeof report, "%s/report", dir);
	out = fopen(report, "w");
	fputs("{\"why\":\"excluded\",\"dn\":\"cn=x\",\"address\":\"sip:same@x\",\"detail\":\"\"}\n"
	      "{\"why\":\"filter\",\"dn\":\"cn=y\"}\n", out);
	fclose(out);
	out = fopen(users_file, "w");
	fputs("sip:both@x\nsip:same@x\nsip:nobody@x\n", out);
	fclose(out);
	fakehost_param(fh, "not_moved", report);
	fakehost_param(fh, "users_file", users_file);
	live(fh);
	ck_assert_uint_eq(fakehost_state(fh)->total, 1);
	ck_assert_msg(strstr(fakehost_losses(fh), "1 of 3 named users have no list in set "), "%s",
		      fakehost_losses(fh));
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), ": sip:nobody@x"));
	out = fopen(report, "w");
	fputs("sip:same@x\n", out);
	fclose(out);
	fails(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "report:1: no report of ldap-homing");
	fakehost_free(fh);
}
END_TEST

/* --- sets that must not be used ------------------------------------------------------ */

START_TEST(an_altered_set_is_refused_before_anything_is_imported)
{
	struct fakehost *fh = vault_importer();
	char path[256], manifest[256], cmd[160];
	FILE *out;

	save_a();
	empty(&b);
	set_file(manifest, "manifest.json");
	set_file(path, DOCUMENTS_FILE);
	out = fopen(path, "r+");
	fseek(out, 200000, SEEK_SET);
	fputc('#', out);
	fclose(out);
	fails(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "documents.txt: its SHA-256 is ");
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "documents.txt: its SHA-256 is ");
	ck_assert_int_eq(truncate(path, 100), 0);
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "documents.txt: 100 bytes");
	unlink(manifest);
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "manifest.json: the file is missing");
	snprintf(cmd, sizeof cmd, "test $(sqlite3 %s/x.db 'select count(*) from xcap') = 0", b.dir);
	ck_assert_int_eq(system(cmd), 0);
	fakehost_free(fh);
}
END_TEST

START_TEST(a_set_of_another_site_or_too_old_is_refused)
{
	struct fakehost *fh = vault_importer();

	save_a();
	fakehost_param(fh, "from_site", "dr");
	fails(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "was made at site 'primary', not at 'dr'");
	fakehost_param_clear(fh, "from_site");
	fakehost_param_clear(fh, "max_age");
	fakehost_param(fh, "max_age", "1ms");
	fails(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "max_age allows at most 0 s");
	fakehost_param_clear(fh, "max_age");
	fakehost_param(fh, "set", "20000101T000000Z-0000");
	fails(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "there is no set 20000101T000000Z-0000");
	fakehost_free(fh);
}
END_TEST

START_TEST(a_plan_that_contradicts_itself_is_invalid)
{
	struct fakehost *fh = vault_importer();
	struct fakehost *e = fakehost_new(fakehost_action(resite_plugin_v0(), "export"));

	fakehost_param(fh, "dbimpexp", lync_file);
	fails(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID, "'vault' and 'dbimpexp' both say");
	fakehost_param_clear(fh, "vault");
	call(fh, FAKEHOST_CHECK);
	fakehost_param_clear(fh, "dbimpexp");
	fails(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID, "either 'vault' or 'source'");
	fakehost_param(e, "server", a.root);
	fakehost_param(e, "vault", vault);
	fakehost_param(e, "site", "primary");
	fails(e, FAKEHOST_CHECK, RESITE_ERR_INVALID, "XCAP cannot list its users");
	fakehost_free(fh);
	fakehost_free(e);
}
END_TEST

START_TEST(a_malformed_lync_export_is_refused_before_anything_is_imported)
{
	struct fakehost *fh = importer(b.root);

	write_lync(lync_file, 10, "v");
	ck_assert_int_eq(truncate(lync_file, 9000), 0);
	fakehost_param(fh, "dbimpexp", lync_file);
	fails(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "malformed XML");
	fakehost_free(fh);
}
END_TEST

START_TEST(a_wrong_root_does_not_become_an_empty_backup)
{
	char root[96];
	struct fakehost *fh;

	snprintf(root, sizeof root, "http://127.0.0.1:%d/other-root", a.port);
	fh = exporter(root);
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "none of 302 users has a list");
	fakehost_free(fh);
	fh = importer(root);
	write_lync(lync_file, 200, "v");
	fakehost_param(fh, "dbimpexp", lync_file);
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "took none of the first 100 lists: "
	      "sip:u00000@contoso.example: 404 Not Found (no such thing");
	fakehost_free(fh);
}
END_TEST

START_TEST(a_full_disk_leaves_no_set)
{
	struct rlimit limit = {100000, 100000};
	struct fakehost *fh = exporter(a.root);
	struct vault_set *set;
	struct vault_error err;

	seed_a(N_USERS);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "documents.txt: write: ");
	ck_assert_int_eq(vault_open(&set, vault, "contacts", NULL, 0, NULL, NULL, &err),
			 VAULT_ERR_NONE);
	fakehost_free(fh);
}
END_TEST

/* --- servers that are not well ------------------------------------------------------- */

/* A document that Kamailio does not take: it is told by name, the rest goes on. */
START_TEST(one_bad_list_does_not_stop_the_others)
{
	const struct vault_about about = {DOCUMENTS_KIND, "primary", "test"};
	struct fakehost *fh = vault_importer();
	struct vault_writer *w;
	struct vault_error err;
	struct buf text = {0};

	empty(&b);
	buf_puts(&text, DOCUMENTS_HEAD);
	for (int i = 0; i < 50; i++) {
		const char *doc = i == 20 ? "<broken" : "<resource-lists xmlns=\"" LISTS_NAMESPACE
							"\"/>";
		char user[32];

		snprintf(user, sizeof user, "sip:u%02d@x", i);
		documents_put_head(&text, user, strlen(doc));
		buf_puts(&text, doc);
		buf_puts(&text, "\n");
	}
	documents_put_end(&text, 50, 0);
	ck_assert_int_eq(vault_writer_new(&w, vault, "contacts", &about, &err), 0);
	ck_assert_int_eq(vault_writer_file(w, DOCUMENTS_FILE, &err), 0);
	ck_assert_int_eq(vault_writer_write(w, text.p, text.len, &err), 0);
	ck_assert_int_eq(vault_writer_count(w, "documents", 50, &err), 0);
	ck_assert_int_eq(vault_writer_commit(w, &err), 0);
	vault_writer_free(w);
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_TRANSIENT,
	      "1 of 50 lists were not taken, 49 were imported: sip:u20@x: 500 ");
	/* What is tried again is that one alone. */
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_TRANSIENT, "sip:u20@x");
	ck_assert_msg(strstr(fakehost_logs(fh), "imported 49 lists: going on"), "%s",
		      fakehost_logs(fh));
	fakehost_free(fh);
	buf_release(&text);
}
END_TEST

/* A server of one answer; NULL: it accepts and stays silent. */
static pid_t
bad_server(const char *answer, char root[64])
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	pid_t pid;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	getsockname(fd, (struct sockaddr *)&at, &len);
	snprintf(root, 64, "http://127.0.0.1:%d/xcap-root", ntohs(at.sin_port));
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		for (;;) {
			int c = accept(fd, NULL, NULL);
			char buf[65536];

			if (!answer)
				continue;
			while (c >= 0 && read(c, buf, sizeof buf) > 0)
				if (write(c, answer, strlen(answer)) < 0 ||
				    !strstr(answer, "Content-Length"))
					break;
			close(c);
		}
	}
	close(fd);
	return pid;
}

static const struct {
	const char *answer, *says;
	int rc;
} bad_answers[] = {
	{NULL, "timed out", RESITE_ERR_TRANSIENT},
	{"220 mail.contoso.example ESMTP\r\n", "HTTP/0.9", RESITE_ERR_TRANSIENT},
	{"", "Empty reply from server", RESITE_ERR_TRANSIENT},
	{"HTTP/1.1 500 Server error\r\nContent-Length: 3\r\n\r\nbad", "500 Server error (bad)",
	 RESITE_ERR_TRANSIENT},
	{"HTTP/1.1 503 Sorry\r\nContent-Length: 0\r\n\r\n", "503 Sorry", RESITE_ERR_TRANSIENT},
	{"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\n\x1b[2Jno", "403 Forbidden (?[2Jno)",
	 RESITE_ERR_REFUSED},
	{"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
	 "302 Found", RESITE_ERR_REFUSED},
	{"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 7\r\n\r\nWelcome",
	 "is this an XCAP root?", RESITE_ERR_REFUSED},
	{"HTTP/1.1 200 OK\r\nContent-Type: application/resource-lists+xml\r\n"
	 "Content-Length: 99999999999\r\n\r\nx", "", RESITE_ERR_TRANSIENT},
};

START_TEST(a_server_that_is_not_well_is_told_in_its_own_words)
{
	char root[64];
	pid_t pid = bad_server(bad_answers[_i].answer, root);
	struct fakehost *fh = exporter(root);

	fakehost_param(fh, "timeout", "400ms");
	fakehost_param(fh, "connections", "1");
	fails(fh, FAKEHOST_PROBE, bad_answers[_i].rc, bad_answers[_i].says);
	fails(fh, FAKEHOST_APPLY, bad_answers[_i].rc, bad_answers[_i].says);
	fakehost_free(fh);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(a_server_that_is_down_is_told_as_transient)
{
	char root[64];
	struct fakehost *fh;

	snprintf(root, sizeof root, "http://127.0.0.1:%d/xcap-root", kamailio_rig_free_port());
	fh = importer(root);
	write_lync(lync_file, 10, "v");
	fakehost_param(fh, "dbimpexp", lync_file);
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_TRANSIENT, "Failed to connect");
	fakehost_free(fh);
}
END_TEST

static void
stop_server(void *rig)
{
	kill(((struct kamailio_rig *)rig)->pid, SIGTERM);
}

START_TEST(a_server_that_dies_in_the_middle_is_survived)
{
	struct kamailio_rig c;
	struct fakehost *fh;

	kamailio_rig_start(&c);
	fh = importer(c.root);
	write_lync(lync_file, 2500, "q");
	fakehost_param(fh, "dbimpexp", lync_file);
	fakehost_at_progress(fh, 1200, stop_server, &c);
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_TRANSIENT, "127.0.0.1");
	waitpid(c.pid, NULL, 0);
	kamailio_rig_again(&c);
	call(fh, FAKEHOST_APPLY);
	ck_assert_msg(strstr(fakehost_logs(fh), "going on from there"), "%s", fakehost_logs(fh));
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	fakehost_free(fh);
	kamailio_rig_stop(&c);
}
END_TEST

static TCase *
cases(void)
{
	TCase *tc = tcase_create("contacts_xcap");

	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, start_all, stop_all);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_was_exported_is_imported_byte_for_byte);
	tcase_add_test(tc, a_lync_export_is_imported_and_converges);
	tcase_add_test(tc, probe_names_what_would_change_and_what_would_be_lost);
	tcase_add_test(tc, only_the_named_users_are_imported);
	tcase_add_test(tc, each_run_exports_anew_unless_told_otherwise);
	tcase_add_test(tc, a_set_that_shrank_is_told_and_one_that_shrank_much_needs_a_reason);
	tcase_add_test(tc, an_import_that_was_stopped_goes_on_where_it_was);
	tcase_add_test(tc, a_checkpoint_is_not_believed_when_the_server_lost_the_lists);
	tcase_add_test(tc, lists_that_the_server_confirmed_are_sampled_by_this_attempt_alone);
	tcase_add_test(tc, read_back_0_reads_every_list);
	tcase_add_loop_test(tc, one_wrong_list_in_the_sample_and_all_are_counted, 0,
			    sizeof altered / sizeof *altered);
	tcase_add_test(tc, a_merge_adds_whom_the_target_does_not_know_and_says_who_comes_back);
	tcase_add_test(tc, contacts_that_a_newer_list_does_not_have_are_told_as_deleted);
	tcase_add_test(tc, keep_puts_only_what_is_not_there);
	tcase_add_test(tc, a_list_that_cannot_be_merged_is_named_and_left);
	tcase_add_test(tc, who_did_not_move_is_left_out_and_who_has_no_list_is_told);
	tcase_add_test(tc, an_altered_set_is_refused_before_anything_is_imported);
	tcase_add_test(tc, a_set_of_another_site_or_too_old_is_refused);
	tcase_add_test(tc, a_plan_that_contradicts_itself_is_invalid);
	tcase_add_test(tc, a_malformed_lync_export_is_refused_before_anything_is_imported);
	tcase_add_test(tc, a_wrong_root_does_not_become_an_empty_backup);
	tcase_add_test(tc, a_full_disk_leaves_no_set);
	tcase_add_test(tc, one_bad_list_does_not_stop_the_others);
	tcase_add_loop_test(tc, a_server_that_is_not_well_is_told_in_its_own_words, 0,
			    sizeof bad_answers / sizeof *bad_answers);
	tcase_add_test(tc, a_server_that_is_down_is_told_as_transient);
	tcase_add_test(tc, a_server_that_dies_in_the_middle_is_survived);
	return tc;
}

int
main(void)
{
	Suite *suite = suite_create("contacts_xcap");

	if (!kamailio_rig_possible()) {
		fputs("skipped: kamailio with sqlite and xcap_server, or sqlite3, is not installed\n",
		      stderr);
		return 77;
	}
	suite_add_tcase(suite, cases());
	return run_suite(suite);
}
