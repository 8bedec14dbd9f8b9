/* Strings, errors, JSON helpers, redaction, clock texts, files. */
#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/redact.h"
#include "core/base/strbuf.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

START_TEST(a_string_grows_and_stays_terminated)
{
	struct strbuf sb = STRBUF_INIT;

	ck_assert_str_eq(sb.buf, "");
	for (int i = 0; i < 1000; i++)
		strbuf_addf(&sb, "%d,", i);
	ck_assert(!sb.failed);
	ck_assert_uint_eq(sb.len, strlen(sb.buf));
	strbuf_consume(&sb, 2);
	ck_assert(!strncmp(sb.buf, "1,2,", 4));
	strbuf_release(&sb);
}
END_TEST

START_TEST(a_full_disk_has_a_code_of_its_own)
{
	struct error err = {0};

	ck_assert_int_eq(error_errno(&err, ENOSPC, "journal"), E_FULL);
	error_prefix(&err, "run 7");
	ck_assert_str_eq(err.text, "run 7: journal: No space left on device");
	ck_assert_int_eq(error_errno(&err, EACCES, "journal"), E_IO);
}
END_TEST

START_TEST(an_error_text_is_cut_not_overrun)
{
	struct error err = {0};
	char big[3000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	error_set(&err, E_INVALID, "%s", big);
	ck_assert_uint_eq(strlen(err.text), ERROR_MAX - 1);
	error_prefix(&err, "%s", big);
	ck_assert_uint_eq(strlen(err.text), ERROR_MAX - 1);
	ck_assert_str_eq(err.text + ERROR_MAX - 4, "...");
}
END_TEST

START_TEST(a_servers_broken_utf8_still_makes_a_readable_line)
{
	struct strbuf sb = STRBUF_INIT;
	json_t *v;

	json_write_string(&sb, "a\"b\\c\n\x01\xff\xc3\xa9\xed\xa0\x80");
	v = json_parse(sb.buf, sb.len, NULL);
	ck_assert_msg(json_is_string(v), "%s", sb.buf);
	ck_assert_str_eq(json_string_value(v),
			 "a\"b\\c\n\x01\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	json_decref(v);
	v = json_string_lossy("\xfe");
	ck_assert_str_eq(json_string_value(v), "\xef\xbf\xbd");
	json_decref(v);
	strbuf_release(&sb);
}
END_TEST

START_TEST(garbage_is_an_error_with_its_place)
{
	struct error err = {0};

	ck_assert_ptr_null(json_parse("{\"a\":1,}", 8, &err));
	ck_assert_int_eq(err.code, E_INVALID);
	ck_assert_ptr_nonnull(strstr(err.text, "byte"));
	ck_assert_ptr_null(json_parse("{\"a\":1,\"a\":2}", 13, &err));
}
END_TEST

/* Texts with a member that is passed over; pad stands for 4 KiB of records. */
static const struct {
	const char *before, *after;
	bool kept; /* it cannot be passed over: it is parsed, or refused, as it is */
} passed_over[] = {
	{"{\"a\":1,\"records\":[[\"\\\"]\\\\\",{\"records\":2}],[\"", "\"]],\"b\":\"}\"}", false},
	{"{\"records\":{\"x\":\"", "\"},\"a\":1,\"b\":\"}\"}", false},
	{"{\"a\":1,\"b\":\"}\",\"records\":[\"", "\"]}", false},
	{"{\"a\":1,\"b\":\"}\",\"records\":\"", "\"}", true},
	{"{\"a\":1,\"b\":\"}\", \"records\":[\"", "\"]}", true},
	{"{\"a\":1,\"b\":\"}\",\"r\\u0065cords\":[\"", "\"]}", true},
};

START_TEST(a_large_member_that_nobody_wants_is_passed_over)
{
	struct strbuf sb = STRBUF_INIT;
	struct error err = {0};
	json_t *v;

	strbuf_addstr(&sb, passed_over[_i].before);
	for (int i = 0; i < 4096; i++)
		strbuf_addch(&sb, 'x');
	strbuf_addstr(&sb, passed_over[_i].after);
	v = json_parse_without(sb.buf, sb.len, "records", &err);
	ck_assert_msg(v != NULL, "%s", err.text);
	ck_assert_int_eq(json_int_or(v, "a", 0), 1);
	ck_assert_str_eq(json_str_or(v, "b", ""), "}");
	ck_assert_int_eq(json_is_null(json_object_get(v, "records")), !passed_over[_i].kept);
	json_decref(v);
	/* A text that was cut anywhere is no JSON, and nothing behind its end is read. */
	for (size_t len = 1; len < sb.len; len += 7) {
		char *cut = memcpy(malloc(len), sb.buf, len);

		v = json_parse_without(cut, len, "records", NULL);
		ck_assert_ptr_null(v);
		free(cut);
	}
	strbuf_release(&sb);
}
END_TEST

START_TEST(a_known_secret_never_stays_in_a_text)
{
	struct redact set = REDACT_INIT;
	struct strbuf sb = STRBUF_INIT;

	ck_assert_int_eq(redact_add(&set, "hun\"ter2", 8), 0);
	ck_assert_int_eq(redact_add(&set, "abc", 3), 0); /* too short to hide */
	strbuf_addstr(&sb, "bind hun\"ter2, json hun\\\"ter2hun\\\"ter2 abc");
	redact_text(&set, &sb);
	ck_assert_str_eq(sb.buf, "bind [secret], json [secret][secret] abc");
	redact_release(&set);
	strbuf_release(&sb);
}
END_TEST

START_TEST(times_read_as_people_write_them)
{
	char buf[CLOCK_TEXT_MAX];

	ck_assert_str_eq(clock_format_utc(0, buf), "1970-01-01T00:00:00.000Z");
	ck_assert_int_eq(clock_parse_utc(clock_format_utc(INT64_C(1795392000123), buf)),
			 INT64_C(1795392000123));
	ck_assert_int_eq(clock_parse_utc("2026-13-01T00:00:00.000Z"), -1);
	ck_assert_int_eq(clock_parse_utc("2026-11-23T00:00:00.00Z"), -1);
	ck_assert_int_eq(clock_parse_utc("2026-11-23T00:00:00.000Z "), -1);
	ck_assert_int_eq(clock_parse_utc(""), -1);
	ck_assert_str_eq(clock_format_duration(450, buf), "450ms");
	ck_assert_str_eq(clock_format_duration(12345, buf), "12.3s");
	ck_assert_str_eq(clock_format_duration(245000, buf), "4m05s");
	ck_assert_str_eq(clock_format_duration(7380000, buf), "2h03m");
}
END_TEST

/* A folder of its own with the file "kept" that holds "old", and how it is found after. */
struct replaced {
	char dir[32], path[48];
	struct strbuf text;
	struct stat st;
};

static void
replaced_begin(struct replaced *r)
{
	struct strbuf old = STRBUF_INIT;

	*r = (struct replaced){.dir = "/tmp/resite-base.XXXXXX", .text = STRBUF_INIT};
	ck_assert_ptr_nonnull(mkdtemp(r->dir));
	snprintf(r->path, sizeof(r->path), "%s/kept", r->dir);
	strbuf_addstr(&old, "old");
	ck_assert_int_eq(file_replace(r->path, 0644, &old, NULL), 0);
	strbuf_release(&old);
}

/* It holds this, and nothing is beside it. */
static void
replaced_end(struct replaced *r, const char *text, size_t len)
{
	struct strbuf got = STRBUF_INIT;

	ck_assert_int_eq(strbuf_read_file(&got, r->path, 1 << 20, NULL), 0);
	ck_assert_uint_eq(got.len, len);
	ck_assert_mem_eq(got.buf, text, len);
	ck_assert_int_eq(stat(r->path, &r->st), 0);
	ck_assert_int_eq(unlink(r->path), 0);
	ck_assert_int_eq(rmdir(r->dir), 0);
	strbuf_release(&got);
	strbuf_release(&r->text);
}

START_TEST(a_file_is_replaced_whole)
{
	struct replaced r;

	umask(027);
	replaced_begin(&r);
	for (int i = 0; i < 100000; i++)
		strbuf_addch(&r.text, (char)i);
	ck_assert_int_eq(file_replace(r.path, 0666, &r.text, NULL), 0);
	replaced_end(&r, r.text.buf, 100000);
	ck_assert_uint_eq(r.st.st_mode & 0777, 0640);
}
END_TEST

START_TEST(a_file_that_cannot_be_written_whole_leaves_the_old_one)
{
	struct rlimit limit = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
	struct error err = {0};
	struct replaced r;

	replaced_begin(&r);
	for (int i = 0; i < 1001; i++)
		strbuf_addch(&r.text, 'n');
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(file_replace(r.path, 0644, &r.text, &err), E_IO);
	ck_assert_ptr_nonnull(strstr(err.text, r.path));
	ck_assert_ptr_nonnull(strstr(err.text, "File too large"));
	replaced_end(&r, "old", 3);
}
END_TEST

START_TEST(what_lies_where_a_file_is_prepared_is_not_written_through)
{
	char beside[64], victim[64];
	struct replaced r;

	replaced_begin(&r);
	snprintf(beside, sizeof(beside), "%s.%ld", r.path, (long)getpid());
	snprintf(victim, sizeof(victim), "%s/victim", r.dir);
	ck_assert_int_eq(symlink(victim, beside), 0);
	strbuf_addstr(&r.text, "new");
	ck_assert_int_eq(file_replace(r.path, 0600, &r.text, NULL), 0);
	ck_assert_int_eq(access(victim, F_OK), -1);
	replaced_end(&r, "new", 3);
}
END_TEST

START_TEST(a_device_or_pipe_is_not_replaced)
{
	struct error err = {0};
	char pipe[64];
	struct replaced r;

	replaced_begin(&r);
	snprintf(pipe, sizeof(pipe), "%s/pipe", r.dir);
	ck_assert_int_eq(mkfifo(pipe, 0600), 0);
	ck_assert_int_eq(file_replace(pipe, 0600, &r.text, &err), E_INVALID);
	ck_assert_ptr_nonnull(strstr(err.text, "/pipe: it is not a regular file"));
	ck_assert_int_eq(stat(pipe, &r.st), 0);
	ck_assert(S_ISFIFO(r.st.st_mode));
	unlink(pipe);
	replaced_end(&r, "old", 3);
}
END_TEST

START_TEST(a_text_that_was_not_built_whole_is_not_written)
{
	struct error err = {0};
	struct replaced r;

	replaced_begin(&r);
	strbuf_addstr(&r.text, "half");
	r.text.failed = true;
	ck_assert_int_eq(file_replace(r.path, 0644, &r.text, &err), E_NOMEM);
	replaced_end(&r, "old", 3);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("base");
	TCase *tc = tcase_create("base");

	tcase_add_test(tc, a_string_grows_and_stays_terminated);
	tcase_add_test(tc, a_full_disk_has_a_code_of_its_own);
	tcase_add_test(tc, an_error_text_is_cut_not_overrun);
	tcase_add_test(tc, a_servers_broken_utf8_still_makes_a_readable_line);
	tcase_add_test(tc, garbage_is_an_error_with_its_place);
	tcase_add_loop_test(tc, a_large_member_that_nobody_wants_is_passed_over, 0,
			    COUNT_OF(passed_over));
	tcase_add_test(tc, a_known_secret_never_stays_in_a_text);
	tcase_add_test(tc, times_read_as_people_write_them);
	tcase_add_test(tc, a_file_is_replaced_whole);
	tcase_add_test(tc, a_file_that_cannot_be_written_whole_leaves_the_old_one);
	tcase_add_test(tc, what_lies_where_a_file_is_prepared_is_not_written_through);
	tcase_add_test(tc, a_device_or_pipe_is_not_replaced);
	tcase_add_test(tc, a_text_that_was_not_built_whole_is_not_written);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
