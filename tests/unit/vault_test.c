/* Backup sets: complete or not there, and never used when damaged. */
#define _GNU_SOURCE
#include "sdk/vault/vault.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], vault[80];
static struct vault_error err;

static void
setup(void)
{
	strcpy(dir, "/tmp/vault-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(vault, sizeof vault, "%s/vault", dir);
}

static void
teardown(void)
{
	char cmd[128];

	snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static const struct vault_about about = {"test/1", "primary", "vault_test"};

#define must(call) ck_assert_msg((call) == VAULT_OK, "%s", err.text)

/* Writes one set with two files and copies its name to set. */
static void
write_set(char set[VAULT_SET_NAME_LEN + 1], const char *content)
{
	struct vault_writer *w;
	int rc = VAULT_OK;

	must(vault_writer_new(&w, vault, "contacts", &about, &err));
	must(vault_writer_file(w, "a.txt", &err));
	must(vault_writer_write(w, content, strlen(content), &err));
	must(vault_writer_file(w, "b.txt", &err));
	for (int i = 0; rc == VAULT_OK && i < 50000; i++)
		rc = vault_writer_write(w, "line\n", 5, &err);
	must(rc); /* once: Check writes down each assertion */
	must(vault_writer_count(w, "users", 5000, &err));
	must(vault_writer_extra(w, "server", "http://127.0.0.1/", &err));
	must(vault_writer_commit(w, &err));
	strcpy(set, vault_writer_set(w));
	vault_writer_free(w);
}

static int
open_set(const char *set)
{
	struct vault_set *s = NULL;
	int rc = vault_open(&s, vault, "contacts", set, 0, NULL, NULL, &err);

	vault_close(s);
	return rc;
}

static void
path_of(char out[256], const char *set, const char *file)
{
	snprintf(out, 256, "%s/contacts/%s%s%s", vault, set, file ? "/" : "", file ? file : "");
}

/* Replaces a file's content. */
static void
overwrite(const char *set, const char *file, const char *content)
{
	char path[256];
	FILE *f;

	path_of(path, set, file);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(content, f);
	fclose(f);
}

static void
flip_byte(const char *set, const char *file, long at)
{
	char path[256];
	FILE *f;
	int c;

	path_of(path, set, file);
	f = fopen(path, "r+");
	ck_assert_ptr_nonnull(f);
	fseek(f, at, SEEK_SET);
	c = fgetc(f);
	fseek(f, at, SEEK_SET);
	fputc(c ^ 1, f);
	fclose(f);
}

static size_t
count_entries(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

START_TEST(what_was_written_is_read_back)
{
	char set[VAULT_SET_NAME_LEN + 1], buf[8192];
	struct vault_stream *st;
	struct vault_set *s;
	size_t n, total = 0;

	write_set(set, "hello");
	must(vault_open(&s, vault, "contacts", NULL, 0, NULL, NULL, &err));
	ck_assert_str_eq(vault_set_name(s), set);
	ck_assert_str_eq(vault_set_kind(s), "test/1");
	ck_assert_str_eq(vault_set_site(s), "primary");
	ck_assert_uint_eq(vault_set_count(s, "users"), 5000);
	ck_assert_uint_eq(vault_set_count(s, "absent"), 0);
	ck_assert_str_eq(vault_set_extra(s, "server"), "http://127.0.0.1/");
	ck_assert_uint_eq(vault_set_bytes(s), 250005);
	ck_assert(vault_set_finished_ms(s) >= vault_set_started_ms(s));
	must(vault_stream_open(&st, s, "b.txt", &err));
	do {
		must(vault_stream_read(st, buf, sizeof buf, &n, &err));
		total += n;
	} while (n);
	ck_assert_uint_eq(total, 250000);
	vault_stream_close(st);
	vault_close(s);
}
END_TEST

START_TEST(a_later_set_is_newer_also_within_one_second)
{
	char a[VAULT_SET_NAME_LEN + 1], b[VAULT_SET_NAME_LEN + 1];
	struct vault_set *s;

	write_set(a, "1");
	write_set(b, "2");
	ck_assert(strcmp(a, b) < 0);
	must(vault_open(&s, vault, "contacts", NULL, 0, NULL, NULL, &err));
	ck_assert_str_eq(vault_set_name(s), b);
	vault_close(s);
	must(open_set(a));
}
END_TEST

START_TEST(a_clock_set_back_does_not_make_an_old_set_the_newest)
{
	char a[VAULT_SET_NAME_LEN + 1], b[VAULT_SET_NAME_LEN + 1], from[256], to[256];

	write_set(a, "1");
	path_of(from, a, NULL);
	path_of(to, "20990101T000000Z-0000", NULL);
	ck_assert_int_eq(rename(from, to), 0);
	write_set(b, "2");
	ck_assert_str_eq(b, "20990101T000000Z-0001");
}
END_TEST

START_TEST(one_altered_byte_is_found_and_the_older_set_is_only_named)
{
	char a[VAULT_SET_NAME_LEN + 1], b[VAULT_SET_NAME_LEN + 1];

	write_set(a, "hello");
	write_set(b, "hello");
	flip_byte(b, "b.txt", 200000);
	ck_assert_int_eq(open_set(NULL), VAULT_ERR_DAMAGED);
	ck_assert_ptr_nonnull(strstr(err.text, "b.txt: its SHA-256 is "));
	ck_assert_ptr_nonnull(strstr(err.text, a));
	must(open_set(a));
	ck_assert_int_eq(open_set(b), VAULT_ERR_DAMAGED);
}
END_TEST

START_TEST(any_altered_byte_of_a_manifest_is_found)
{
	char set[VAULT_SET_NAME_LEN + 1], path[256];
	struct stat st;

	write_set(set, "hello");
	path_of(path, set, "manifest.json");
	ck_assert_int_eq(stat(path, &st), 0);
	for (long at = 0; at < st.st_size; at++) {
		char was;
		FILE *f = fopen(path, "r");

		fseek(f, at, SEEK_SET);
		was = (char)fgetc(f);
		fclose(f);
		/* White space that becomes other white space changes nothing. */
		if (was == ' ' || was == '\n')
			continue;
		flip_byte(set, "manifest.json", at);
		ck_assert_msg(open_set(NULL) == VAULT_ERR_DAMAGED, "byte %ld ('%c')", at, was);
		flip_byte(set, "manifest.json", at);
	}
	must(open_set(NULL));
}
END_TEST

START_TEST(truncated_missing_and_extra_files_are_named)
{
	char a[VAULT_SET_NAME_LEN + 1], path[256];

	write_set(a, "hello");
	path_of(path, a, "a.txt");
	ck_assert_int_eq(truncate(path, 3), 0);
	ck_assert_int_eq(open_set(NULL), VAULT_ERR_DAMAGED);
	ck_assert_ptr_nonnull(strstr(err.text, "a.txt: 3 bytes, the manifest says 5"));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(open_set(NULL), VAULT_ERR_DAMAGED);
	ck_assert_ptr_nonnull(strstr(err.text, "a.txt: the file is missing"));
	ck_assert_int_eq(symlink("b.txt", path), 0);
	ck_assert_int_eq(open_set(NULL), VAULT_ERR_DAMAGED);
	ck_assert_ptr_nonnull(strstr(err.text, "a.txt: it is a symbolic link"));
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(open_set(NULL), VAULT_ERR_DAMAGED);
	unlink(path);
	overwrite(a, "a.txt", "hello");
	must(open_set(NULL));
	overwrite(a, "c.txt", "");
	ck_assert_int_eq(open_set(NULL), VAULT_ERR_DAMAGED);
	ck_assert_ptr_nonnull(strstr(err.text, "file 'c.txt' is not in the manifest"));
}
END_TEST

START_TEST(a_newest_set_without_a_manifest_is_refused_not_skipped)
{
	char a[VAULT_SET_NAME_LEN + 1], path[256];

	write_set(a, "hello");
	path_of(path, "20990101T000000Z-0000", NULL);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(open_set(NULL), VAULT_ERR_DAMAGED);
	ck_assert_ptr_nonnull(strstr(err.text, "manifest.json: the file is missing"));
	ck_assert_ptr_nonnull(strstr(err.text, a));
}
END_TEST

/* What a hostile or garbled manifest may hold. */
static const char *const bad_manifests[] = {
	"",
	"garbage",
	"[]",
	"{}",
	"{\"format\": 2}",
	"{\"format\": 1, \"format\": 1}",
	"{\"format\": 1, \"kind\": 7}",
	"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
	"{\"format\":1,\"kind\":\"k\",\"site\":\"\",\"files\":[]}",
	"\xff\xfe",
};

START_TEST(garbage_manifests_are_refused)
{
	char set[VAULT_SET_NAME_LEN + 1];

	write_set(set, "hello");
	overwrite(set, "manifest.json", bad_manifests[_i]);
	ck_assert_int_eq(open_set(NULL), VAULT_ERR_DAMAGED);
	ck_assert_ptr_nonnull(strstr(err.text, "manifest.json"));
}
END_TEST

static const char *const bad_names[] = {
	"", ".", "..", "../x", "/etc/passwd", "a/b", ".hidden", "manifest.json", "a\nb", "a\x1b[2J",
};

START_TEST(hostile_file_names_are_refused_when_written)
{
	struct vault_writer *w;

	must(vault_writer_new(&w, vault, "contacts", &about, &err));
	ck_assert_int_eq(vault_writer_file(w, bad_names[_i], &err), VAULT_ERR_INVALID);
	ck_assert_ptr_null(strpbrk(err.text, "\n\x1b"));
	vault_writer_free(w);
}
END_TEST

/* A manifest with a right digest and one file of the given name, made by the shell's tools. */
static void
forge(const char *set, const char *name)
{
	char path[256], cmd[2048];

	path_of(path, set, "manifest.json");
	snprintf(cmd, sizeof cmd,
		 "m='{\"counts\":{},\"extra\":{},\"files\":[{\"bytes\":0,\"name\":\"%s\",\"sha256\":"
		 "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}],"
		 "\"finished\":\"2026-11-22T00:00:00.000Z\",\"format\":1,\"kind\":\"k\","
		 "\"site\":\"primary\",\"started\":\"2026-11-22T00:00:00.000Z\",\"tool\":\"t\"}';"
		 "d=$(printf %%s \"$m\" | sha256sum | cut -c1-64);"
		 "printf '{\"digest\":\"%%s\",%%s' \"$d\" \"${m#?}\" > %s",
		 name, path);
	ck_assert_int_eq(system(cmd), 0);
}

START_TEST(hostile_file_names_are_refused_when_read)
{
	static const char *const names[] = {"../../x", "/dev/null", "..", "", "a/b"};
	char set[VAULT_SET_NAME_LEN + 1], path[256];

	write_set(set, "hello");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		forge(set, names[i]);
		ck_assert_int_eq(open_set(NULL), VAULT_ERR_DAMAGED);
		ck_assert_msg(strstr(err.text, "cannot name a file of a set"), "%s", err.text);
	}
	/* The forgery itself is right: with a harmless name it opens. */
	path_of(path, set, "b.txt");
	unlink(path);
	forge(set, "a.txt");
	overwrite(set, "a.txt", "");
	must(open_set(NULL));
}
END_TEST

START_TEST(hostile_set_and_backup_names_are_refused)
{
	struct vault_writer *w;
	struct vault_set *s;

	ck_assert_int_eq(vault_writer_new(&w, vault, "../x", &about, &err), VAULT_ERR_INVALID);
	ck_assert_int_eq(vault_open(&s, vault, "..", NULL, 0, NULL, NULL, &err),
			 VAULT_ERR_INVALID);
	ck_assert_int_eq(vault_open(&s, vault, "c", NULL, 0, NULL, NULL, &err), VAULT_ERR_NONE);
	write_set((char[VAULT_SET_NAME_LEN + 1]){0}, "x");
	ck_assert_int_eq(open_set("../../contacts"), VAULT_ERR_INVALID);
	ck_assert_int_eq(open_set("20000101T000000Z-0000"), VAULT_ERR_NONE);
}
END_TEST

START_TEST(an_uncommitted_set_leaves_nothing)
{
	struct vault_writer *w;
	char path[128];

	must(vault_writer_new(&w, vault, "contacts", &about, &err));
	must(vault_writer_file(w, "a.txt", &err));
	vault_writer_free(w);
	snprintf(path, sizeof path, "%s/contacts", vault);
	ck_assert_uint_eq(count_entries(path), 0);
	ck_assert_int_eq(open_set(NULL), VAULT_ERR_NONE);
}
END_TEST

START_TEST(what_a_killed_writer_left_is_invisible_and_removed_by_the_next)
{
	char set[VAULT_SET_NAME_LEN + 1], path[128];
	pid_t pid = fork();

	if (pid == 0) {
		struct vault_writer *w;

		if (vault_writer_new(&w, vault, "contacts", &about, &err) < 0 ||
		    vault_writer_file(w, "a.txt", &err) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	waitpid(pid, NULL, 0);
	snprintf(path, sizeof path, "%s/contacts", vault);
	ck_assert_uint_eq(count_entries(path), 1);
	ck_assert_int_eq(open_set(NULL), VAULT_ERR_NONE);
	write_set(set, "hello");
	ck_assert_uint_eq(count_entries(path), 1);
	must(open_set(NULL));
}
END_TEST

START_TEST(two_writers_of_one_backup_do_not_meet)
{
	struct vault_writer *a, *b;

	must(vault_writer_new(&a, vault, "contacts", &about, &err));
	ck_assert_int_eq(vault_writer_new(&b, vault, "contacts", &about, &err), VAULT_ERR_BUSY);
	must(vault_writer_new(&b, vault, "other", &about, &err));
	vault_writer_free(a);
	vault_writer_free(b);
}
END_TEST

START_TEST(a_full_disk_leaves_no_set)
{
	struct rlimit limit = {100000, 100000};
	struct vault_writer *w;
	char block[4096] = {0};
	int rc = VAULT_OK;

	must(vault_writer_new(&w, vault, "contacts", &about, &err));
	must(vault_writer_file(w, "a.txt", &err));
	/* RLIMIT_FSIZE makes write fail with EFBIG where a full disk says ENOSPC. */
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (int i = 0; rc == VAULT_OK && i < 100; i++)
		rc = vault_writer_write(w, block, sizeof block, &err);
	ck_assert_int_eq(rc, VAULT_ERR_IO);
	ck_assert_ptr_nonnull(strstr(err.text, "a.txt: write: "));
	vault_writer_free(w);
	ck_assert_int_eq(open_set(NULL), VAULT_ERR_NONE);
}
END_TEST

static int
stop_at_once(void *arg, uint64_t done, uint64_t total)
{
	(void)arg;
	return done <= total;
}

START_TEST(verifying_can_be_stopped)
{
	char set[VAULT_SET_NAME_LEN + 1];
	struct vault_set *s;

	write_set(set, "hello");
	ck_assert_int_eq(vault_open(&s, vault, "contacts", NULL, 0, stop_at_once, NULL, &err),
			 VAULT_ERR_STOPPED);
}
END_TEST

START_TEST(a_file_that_changes_after_the_proof_is_found_while_it_is_read)
{
	char set[VAULT_SET_NAME_LEN + 1], buf[4096];
	struct vault_stream *st;
	struct vault_set *s;
	size_t n = 1;
	int rc = VAULT_OK;

	write_set(set, "hello");
	must(vault_open(&s, vault, "contacts", NULL, 0, NULL, NULL, &err));
	flip_byte(set, "b.txt", 7);
	must(vault_stream_open(&st, s, "b.txt", &err));
	while (rc == VAULT_OK && n)
		rc = vault_stream_read(st, buf, sizeof buf, &n, &err);
	ck_assert_int_eq(rc, VAULT_ERR_DAMAGED);
	vault_stream_close(st);
	vault_close(s);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("vault");
	Suite *suite = suite_create("vault");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_was_written_is_read_back);
	tcase_add_test(tc, a_later_set_is_newer_also_within_one_second);
	tcase_add_test(tc, a_clock_set_back_does_not_make_an_old_set_the_newest);
	tcase_add_test(tc, one_altered_byte_is_found_and_the_older_set_is_only_named);
	tcase_add_test(tc, any_altered_byte_of_a_manifest_is_found);
	tcase_add_test(tc, truncated_missing_and_extra_files_are_named);
	tcase_add_test(tc, a_newest_set_without_a_manifest_is_refused_not_skipped);
	tcase_add_loop_test(tc, garbage_manifests_are_refused, 0,
			    sizeof bad_manifests / sizeof *bad_manifests);
	tcase_add_loop_test(tc, hostile_file_names_are_refused_when_written, 0,
			    sizeof bad_names / sizeof *bad_names);
	tcase_add_test(tc, hostile_file_names_are_refused_when_read);
	tcase_add_test(tc, hostile_set_and_backup_names_are_refused);
	tcase_add_test(tc, an_uncommitted_set_leaves_nothing);
	tcase_add_test(tc, what_a_killed_writer_left_is_invisible_and_removed_by_the_next);
	tcase_add_test(tc, two_writers_of_one_backup_do_not_meet);
	tcase_add_test(tc, a_full_disk_leaves_no_set);
	tcase_add_test(tc, verifying_can_be_stopped);
	tcase_add_test(tc, a_file_that_changes_after_the_proof_is_found_while_it_is_read);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
