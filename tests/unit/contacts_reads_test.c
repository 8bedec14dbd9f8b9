/* How often contacts.import reads its source, and that it notices another one: all reads of this
 * program go through here (ld --wrap=read), and those of the source are counted. */
#define _GNU_SOURCE
#include "plugins/contacts/contacts.h"
#include "plugins/contacts/lists.h"
#include "plugins/contacts/sample.h"
#include "sdk/testkit/fakehost.h"
#include "tests/unit/contacts_calls.h"
#include "tests/unit/kamailio_rig.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_USERS 400

const struct resite_plugin *resite_plugin_v0(void);
ssize_t __real_read(int fd, void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n);

static struct kamailio_rig rig;
static char dir[64], vault[96], file[128];
static struct stat watched;     /* the file whose reads are counted */
static uint64_t watched_bytes;  /* of them */

ssize_t
__wrap_read(int fd, void *buf, size_t n)
{
	ssize_t got = __real_read(fd, buf, n);
	int saved = errno;
	struct stat st;

	if (got > 0 && fstat(fd, &st) == 0 && st.st_dev == watched.st_dev &&
	    st.st_ino == watched.st_ino)
		watched_bytes += (uint64_t)got;
	errno = saved;
	return got;
}

static void
watch(const char *path)
{
	ck_assert_int_eq(stat(path, &watched), 0);
	watched_bytes = 0;
}

/* How often the watched file was read since this was asked last.  Its beginning is read besides, to see
 * what it is and how names are written. */
static unsigned
readings(void)
{
	uint64_t n = watched_bytes, size = (uint64_t)watched.st_size;

	watched_bytes = 0;
	ck_assert_msg(n % size <= size / 2, "%ju bytes of %ju: no whole readings", (uintmax_t)n,
		      (uintmax_t)size);
	return (unsigned)(n / size);
}

/* --- sources ----------------------------------------------------------------------------- */

static void
write_lync(const char *path, char tweak)
{
	FILE *out = fopen(path, "w");

	ck_assert_ptr_nonnull(out);
	fputs("<HomedResources xmlns=\"http://schemas.microsoft.com/RtcServer/2002/11/dbimpexp\">\n",
	      out);
	for (int u = 0; u < N_USERS; u++) {
		fprintf(out, "<HomedResource UserAtHost=\"u%05d@contoso.example\"><ContactGroups>"
			"<ContactGroup Number=\"1\" DisplayName=\"fg==\"/></ContactGroups><Contacts>",
			u);
		for (int i = 1; i <= 20; i++)
			fprintf(out, "<Contact Buddy=\"%c%05d@contoso.example\" Groups=\"1\"/>", tweak,
				(u + i) % 1000);
		fputs("</Contacts></HomedResource>\n", out);
	}
	fputs("</HomedResources>\n", out);
	fclose(out);
}

static void
write_xmpp(const char *path)
{
	FILE *out = fopen(path, "w");

	ck_assert_ptr_nonnull(out);
	fputs("<server-data xmlns=\"urn:xmpp:pie:0\"><host jid=\"contoso.example\">\n", out);
	for (int u = 0; u < N_USERS; u++) {
		fprintf(out, "<user name=\"u%05d\"><query xmlns=\"jabber:iq:roster\">", u);
		for (int i = 1; i <= 20; i++)
			fprintf(out, "<item jid=\"u%05d@contoso.example\" subscription=\"both\">"
				"<group>Team</group></item>", (u + i) % 1000);
		fputs("</query></user>\n", out);
	}
	fputs("</host></server-data>\n", out);
	fclose(out);
}

/* A set with a file besides that no import reads, as convert makes them. */
static void
write_set(char tweak)
{
	static const struct vault_about about = {DOCUMENTS_KIND, "primary", "test"};
	struct vault_writer *w;
	struct vault_error err;
	struct buf text = {0};

	buf_puts(&text, DOCUMENTS_HEAD);
	for (int u = 0; u < N_USERS; u++) {
		char user[64], body[400];

		snprintf(user, sizeof user, "sip:u%05d@contoso.example", u);
		snprintf(body, sizeof body, "<resource-lists xmlns=\"" LISTS_NAMESPACE "\"><list "
			 "name=\"%c\"><entry uri=\"sip:%0200d@contoso.example\"/></list></resource-lists>",
			 tweak, u);
		documents_put_head(&text, user, strlen(body));
		buf_puts(&text, body);
		buf_puts(&text, "\n");
	}
	documents_put_end(&text, N_USERS, 0);
	ck_assert_int_eq(vault_writer_new(&w, vault, "contacts", &about, &err), 0);
	ck_assert_int_eq(vault_writer_file(w, DOCUMENTS_FILE, &err), 0);
	ck_assert_int_eq(vault_writer_write(w, text.p, text.len, &err), 0);
	ck_assert_int_eq(vault_writer_file(w, "besides.txt", &err), 0);
	ck_assert_int_eq(vault_writer_write(w, text.p, text.len, &err), 0);
	ck_assert_int_eq(vault_writer_count(w, "documents", N_USERS, &err), 0);
	ck_assert_int_eq(vault_writer_commit(w, &err), 0);
	snprintf(file, sizeof file, "%s/contacts/%s", vault, vault_writer_set(w));
	vault_writer_free(w);
	buf_release(&text);
}

/* --- the step ----------------------------------------------------------------------------- */

static struct fakehost *
importer(const char *param, const char *value)
{
	struct fakehost *fh = fakehost_new(fakehost_action(resite_plugin_v0(), "import"));

	fakehost_param(fh, "server", rig.root);
	fakehost_param(fh, param, value);
	/* So that a sample is one. */
	fakehost_param_clear(fh, "probe_sample");
	fakehost_param(fh, "probe_sample", "20");
	fakehost_param_clear(fh, "read_back");
	fakehost_param(fh, "read_back", "50");
	return fh;
}

/* How many lists the target has. */
static int
there(void)
{
	char cmd[160];
	FILE *in;
	int n = -1;

	snprintf(cmd, sizeof cmd, "sqlite3 -cmd '.timeout 5000' %s/x.db 'select count(*) from xcap'",
		 rig.dir);
	in = popen(cmd, "r");
	ck_assert_int_eq(fscanf(in, "%d", &n), 1);
	pclose(in);
	return n;
}

static void
converged(const struct fakehost *fh)
{
	const struct fakehost_state *state = fakehost_state(fh);

	ck_assert_uint_eq(state->changes, 0);
	ck_assert_uint_eq(state->total, N_USERS);
	ck_assert_msg(strstr(state->now, "400 of 400 lists confirmed by the server, 5"), "%s",
		      state->now);
	ck_assert_int_eq(there(), N_USERS);
}

static void
setup(void)
{
	char cmd[160];

	snprintf(cmd, sizeof cmd, "sqlite3 -cmd '.timeout 5000' %s/x.db 'delete from xcap'", rig.dir);
	ck_assert_int_eq(system(cmd), 0);
	strcpy(dir, "/tmp/contacts-reads-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(vault, sizeof vault, "%s/vault", dir);
	snprintf(file, sizeof file, "%s/source.xml", dir);
}

static void
teardown(void)
{
	char cmd[128];

	snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static void
start(void)
{
	kamailio_rig_start(&rig);
}

static void
stop(void)
{
	kamailio_rig_stop(&rig);
}

/* --- how often ----------------------------------------------------------------------------- */

START_TEST(an_export_is_read_once_before_and_once_for_the_import)
{
	struct fakehost *fh = importer("source", file);

	write_lync(file, 'u');
	watch(file);
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(readings(), 1);
	ck_assert_msg(strstr(fakehost_state(fh)->now, "a sample, so all count as changes"), "%s",
		      fakehost_state(fh)->now);
	ck_assert_uint_eq(fakehost_state(fh)->changes, N_USERS);
	call(fh, FAKEHOST_APPLY);
	ck_assert_uint_eq(readings(), 1);
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(readings(), 0);
	converged(fh);
	/* The next attempt knows nothing. */
	fakehost_new_attempt(fh);
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(readings(), 2); /* one sample of it, and all, since that was as it should be */
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	fakehost_free(fh);
}
END_TEST

/* A file that may include others is not known by its own times. */
START_TEST(an_export_of_several_files_is_read_once_more_after_it)
{
	struct fakehost *fh = importer("source", file);

	write_xmpp(file);
	watch(file);
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(readings(), 1);
	call(fh, FAKEHOST_APPLY);
	ck_assert_uint_eq(readings(), 1);
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(readings(), 1);
	converged(fh);
	fakehost_free(fh);
}
END_TEST

START_TEST(a_set_is_proven_once_in_an_attempt)
{
	struct fakehost *fh = importer("vault", vault);
	char path[200];

	write_set('a');
	snprintf(path, sizeof path, "%s/besides.txt", file);
	watch(path);
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(readings(), 1);
	call(fh, FAKEHOST_APPLY);
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(readings(), 0);
	converged(fh);
	fakehost_free(fh);
}
END_TEST

START_TEST(the_lists_of_a_set_are_read_for_proof_for_a_sample_and_for_the_import)
{
	struct fakehost *fh = importer("vault", vault);
	char path[200];

	write_set('a');
	snprintf(path, sizeof path, "%s/" DOCUMENTS_FILE, file);
	watch(path);
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(readings(), 2);
	call(fh, FAKEHOST_APPLY);
	ck_assert_uint_eq(readings(), 1);
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(readings(), 0);
	converged(fh);
	fakehost_free(fh);
}
END_TEST

/* --- another source ------------------------------------------------------------------------ */

static void
replace_file(void)
{
	char other[200];

	snprintf(other, sizeof other, "%s.new", file);
	write_lync(other, 'v');
	ck_assert_int_eq(rename(other, file), 0);
}

/* The same length, and times as before. */
static void
alter_in_place(void)
{
	struct stat st;
	int fd = open(file, O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(pwrite(fd, "U", 1, st.st_size / 2), 1);
	ck_assert_int_eq(futimens(fd, (struct timespec[2]){st.st_atim, st.st_mtim}), 0);
	close(fd);
	usleep(10000);
}

static void (*const alterations[])(void) = {replace_file, alter_in_place};

START_TEST(an_export_that_was_altered_after_probe_is_not_imported)
{
	struct fakehost *fh = importer("source", file);

	write_lync(file, 'u');
	usleep(10000); /* a tick of the file system's clock */
	call(fh, FAKEHOST_PROBE);
	alterations[_i]();
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_CONFLICT, "was altered since this attempt looked at it");
	ck_assert_int_eq(there(), 0);
	fakehost_free(fh);
}
END_TEST

/* The end of the file, before it is read. */
static void
alter_end(void *arg)
{
	struct stat st;
	int fd = open(file, O_RDWR | O_CLOEXEC);
	char text[2000], *at;

	(void)arg;
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(pread(fd, text, sizeof text, st.st_size - (off_t)sizeof text), sizeof text);
	at = memmem(text, sizeof text, "Buddy=\"u", 8);
	ck_assert_ptr_nonnull(at);
	ck_assert_int_eq(pwrite(fd, "U", 1, st.st_size - (off_t)sizeof text + (at - text) + 7), 1);
	close(fd);
}

START_TEST(an_export_that_is_altered_while_it_is_imported_is_a_conflict)
{
	struct fakehost *fh = importer("source", file);

	write_lync(file, 'u');
	call(fh, FAKEHOST_PROBE);
	fakehost_at_progress(fh, 30, alter_end, NULL);
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_CONFLICT, "what was read of it is not what was looked at");
	/* What is there now is imported by the next attempt, from its start. */
	fakehost_new_attempt(fh);
	call(fh, FAKEHOST_APPLY);
	call(fh, FAKEHOST_PROBE);
	converged(fh);
	fakehost_free(fh);
}
END_TEST

START_TEST(an_export_that_was_altered_after_the_import_is_not_said_to_be_there)
{
	struct fakehost *fh = importer("source", file);

	write_lync(file, 'u');
	call(fh, FAKEHOST_PROBE);
	call(fh, FAKEHOST_APPLY);
	replace_file();
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, N_USERS);
	fakehost_free(fh);
}
END_TEST

START_TEST(a_set_that_was_altered_after_probe_is_refused)
{
	struct fakehost *fh = importer("vault", vault);
	char path[200];
	FILE *out;

	write_set('a');
	usleep(10000);
	call(fh, FAKEHOST_PROBE);
	snprintf(path, sizeof path, "%s/" DOCUMENTS_FILE, file);
	out = fopen(path, "r+");
	fseek(out, 50000, SEEK_SET);
	fputc('#', out);
	fclose(out);
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "it was altered since it was verified");
	ck_assert_int_eq(there(), 0);
	fails(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "its SHA-256 is ");
	fakehost_free(fh);
}
END_TEST

START_TEST(the_set_that_was_looked_at_is_imported_though_a_newer_one_has_come)
{
	struct fakehost *fh = importer("vault", vault);
	char before[100];

	write_set('a');
	call(fh, FAKEHOST_PROBE);
	snprintf(before, sizeof before, "%s", fakehost_state(fh)->fingerprint);
	write_set('b');
	call(fh, FAKEHOST_APPLY);
	call(fh, FAKEHOST_PROBE);
	converged(fh);
	ck_assert_str_eq(fakehost_state(fh)->fingerprint, before);
	fakehost_free(fh);
}
END_TEST

START_TEST(other_users_than_were_looked_at_are_not_imported)
{
	struct fakehost *fh = importer("source", file);
	char users[100];
	FILE *out;

	write_lync(file, 'u');
	snprintf(users, sizeof users, "%s/users", dir);
	out = fopen(users, "w");
	fputs("u00001@contoso.example\n", out);
	fclose(out);
	fakehost_param(fh, "users_file", users);
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->total, 1);
	out = fopen(users, "a");
	fputs("u00002@contoso.example\n", out);
	fclose(out);
	fails(fh, FAKEHOST_APPLY, RESITE_ERR_CONFLICT, "or the list of users");
	ck_assert_int_eq(there(), 0);
	fakehost_free(fh);
}
END_TEST

/* --- too much to keep ------------------------------------------------------------------------ */

START_TEST(a_sample_too_large_to_keep_is_read_again)
{
	struct sample s = {0};
	char *body = calloc(1, 1 << 20);
	struct document d = {0, "sip:a@b", body, 1 << 20};

	sample_begin(&s, 100);
	for (; d.index < 100; d.index++)
		if (sample_draws(&s, d.index))
			sample_draw(&s, &d);
	ck_assert(s.lost);
	ck_assert_uint_eq(s.n, 0);
	sample_release(&s);
	free(body);
}
END_TEST

START_TEST(each_document_has_the_same_chance_to_be_drawn)
{
	struct sample s = {0};
	unsigned in_tenth[10] = {0};

	sample_begin(&s, 1000);
	for (struct document d = {0, "sip:a@b", "x", 1}; d.index < 100000; d.index++)
		if (sample_draws(&s, d.index))
			sample_draw(&s, &d);
	ck_assert_uint_eq(s.n, 1000);
	for (size_t i = 0; i < s.n; i++)
		in_tenth[s.list[i].index / 10000]++;
	for (int i = 0; i < 10; i++) /* 100 each; four times the deviation */
		ck_assert_msg(in_tenth[i] > 60 && in_tenth[i] < 140, "%u", in_tenth[i]);
	sample_release(&s);
}
END_TEST

static TCase *
cases(void)
{
	TCase *tc = tcase_create("reads");

	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, start, stop);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, an_export_is_read_once_before_and_once_for_the_import);
	tcase_add_test(tc, an_export_of_several_files_is_read_once_more_after_it);
	tcase_add_test(tc, a_set_is_proven_once_in_an_attempt);
	tcase_add_test(tc, the_lists_of_a_set_are_read_for_proof_for_a_sample_and_for_the_import);
	tcase_add_loop_test(tc, an_export_that_was_altered_after_probe_is_not_imported, 0,
			    sizeof alterations / sizeof *alterations);
	tcase_add_test(tc, an_export_that_is_altered_while_it_is_imported_is_a_conflict);
	tcase_add_test(tc, an_export_that_was_altered_after_the_import_is_not_said_to_be_there);
	tcase_add_test(tc, a_set_that_was_altered_after_probe_is_refused);
	tcase_add_test(tc, the_set_that_was_looked_at_is_imported_though_a_newer_one_has_come);
	tcase_add_test(tc, other_users_than_were_looked_at_are_not_imported);
	tcase_add_test(tc, a_sample_too_large_to_keep_is_read_again);
	tcase_add_test(tc, each_document_has_the_same_chance_to_be_drawn);
	return tc;
}

int
main(void)
{
	Suite *suite = suite_create("contacts reads");

	if (!kamailio_rig_possible()) {
		fputs("skipped: kamailio with sqlite and xcap_server, or sqlite3, is not installed\n",
		      stderr);
		return 77;
	}
	suite_add_tcase(suite, cases());
	return run_suite(suite);
}
