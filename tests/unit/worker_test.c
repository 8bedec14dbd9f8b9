/* The pure parts of the worker protocol: lines, messages, base64. */
#include "core/base/base.h"
#include "core/worker/parent.h"
#include "core/worker/protocol.h"
#include "core/worker/undo_line.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <resite/plugin.h>
#include <stdlib.h>
#include <string.h>

struct heard {
	char text[8192];
	size_t n, longest;
};

static int
hear(void *ctx, char *line, size_t len)
{
	struct heard *h = ctx;

	ck_assert_uint_eq(strlen(line), len);
	h->n++;
	h->longest = len > h->longest ? len : h->longest;
	strncat(h->text, line, 64);
	strncat(h->text, "|", 2);
	return !strcmp(line, "stop") ? 7 : 0;
}

static void
hear_log(void *ctx, const char *line)
{
	hear(ctx, (char *)(uintptr_t)line, strlen(line));
}

/* Feeds text in pieces of `step` bytes. */
static int
feed(struct lines *lines, const char *text, size_t step, struct heard *h)
{
	char buf[64];
	int r = 0;

	for (size_t at = 0, n; r == 0 && text[at]; at += n) {
		n = strnlen(text + at, step);
		memcpy(buf, text + at, n);
		r = lines_feed(lines, buf, n, hear, h);
	}
	return r;
}

START_TEST(lines_are_whole_however_they_arrive)
{
	for (size_t step = 1; step < 20; step++) {
		struct lines lines = {.max = 100};
		struct heard h = {0};

		ck_assert_int_eq(feed(&lines, "one\ntwo\n\nthree and more\nhalf", step, &h), 0);
		ck_assert_str_eq(h.text, "one|two||three and more|");
		ck_assert_uint_eq(lines.held.len, 4);
		lines_release(&lines);
	}
}
END_TEST

START_TEST(a_line_over_the_limit_is_an_error_before_it_is_stored)
{
	for (size_t step = 1; step < 20; step++) {
		struct lines lines = {.max = 8};
		struct heard h = {0};

		ck_assert_int_eq(feed(&lines, "1234567\n", step, &h), 0);
		ck_assert_int_eq(feed(&lines, "12345678\n", step, &h), E_PROTOCOL);
		ck_assert_uint_lt(lines.held.len, 8);
		lines_release(&lines);
	}
}
END_TEST

START_TEST(the_listener_can_stop_the_feed)
{
	struct lines lines = {.max = 100};
	struct heard h = {0};

	ck_assert_int_eq(feed(&lines, "a\nstop\nb\n", 20, &h), 7);
	ck_assert_str_eq(h.text, "a|stop|");
	lines_release(&lines);
}
END_TEST

START_TEST(a_processs_output_is_cut_not_refused)
{
	struct log_lines l = {.held = STRBUF_INIT};
	struct heard h = {0};
	char big[10000], nul[] = "a\0b\r\nrest";

	memset(big, 'x', sizeof(big));
	log_lines_feed(&l, big, sizeof(big), hear_log, &h);
	log_lines_feed(&l, big, sizeof(big), hear_log, &h);
	ck_assert_uint_le(l.held.len, LOG_LINE_MAX);
	log_lines_feed(&l, (char[]){"\n"}, 1, hear_log, &h);
	ck_assert_uint_eq(h.longest, LOG_LINE_MAX);
	h.text[0] = '\0';
	log_lines_feed(&l, nul, sizeof(nul) - 1, hear_log, &h);
	log_lines_end(&l, hear_log, &h);
	ck_assert_str_eq(h.text, "a?b|rest|");
}
END_TEST

START_TEST(base64_comes_back_as_it_went)
{
	unsigned char in[40], out[64];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)(i * 37 + 200);
	for (size_t len = 0; len <= sizeof(in); len++) {
		struct strbuf sb = STRBUF_INIT;

		base64_encode(&sb, in, len);
		ck_assert_int_eq(base64_decode(sb.buf, out), (int64_t)len);
		ck_assert(!memcmp(in, out, len));
		strbuf_release(&sb);
	}
}
END_TEST

START_TEST(what_is_no_base64_is_refused)
{
	static const char *const bad[] = {"a", "ab=c", "=abc", "ab-d", "a===", "ab\xff" "d"};
	char out[16];

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		ck_assert_msg(base64_decode(bad[i], out) == E_INVALID, "%s", bad[i]);
}
END_TEST

static const struct {
	const char *text;
	bool good;
} messages[] = {
	{"{\"kind\":\"begin\",\"phase\":\"apply\"}", true},
	{"{\"kind\":\"begin\"}", false},
	{"{\"kind\":\"begin\",\"phase\":3}", false},
	{"{\"kind\":\"begin\",\"phase\":\"apply\",\"later\":true}", true},
	{"{\"kind\":\"progress\",\"done\":1,\"total\":2,\"what\":\"\"}", true},
	{"{\"kind\":\"progress\",\"done\":-1,\"total\":2,\"what\":\"\"}", false},
	{"{\"kind\":\"undo\",\"records\":[]}", true},
	{"{\"kind\":\"undo\",\"records\":[{\"version\":1,\"by_hand\":\"\",\"kv\":{\"a\":\"b\"}}]}", true},
	{"{\"kind\":\"undo\",\"records\":[{\"version\":1,\"by_hand\":\"\",\"kv\":{\"a\":1}}]}", false},
	{"{\"kind\":\"undo\",\"records\":[7]}", false},
	{"{\"kind\":\"result\",\"phase\":\"apply\",\"rc\":-2,\"retry_after_ms\":0,\"text\":\"\"}", true},
	{"{\"kind\":\"result\",\"phase\":\"apply\",\"rc\":\"0\",\"retry_after_ms\":0,\"text\":\"\"}", false},
	{"{\"kind\":\"hello\"}", false},
	{"{}", false},
	{"[]", false},
	{"\"begin\"", false},
};

START_TEST(every_member_of_a_message_is_checked)
{
	struct error err = {0};
	json_t *msg = json_parse(messages[_i].text, strlen(messages[_i].text), &err);

	ck_assert(msg != NULL);
	ck_assert_msg((protocol_check_attempt(msg, &err) == 0) == messages[_i].good, "%s: %s",
		      messages[_i].text, err.text);
	json_decref(msg);
}
END_TEST

START_TEST(an_attempts_first_line_says_all_that_it_needs)
{
	json_t *params = json_pack("{s:s,s:[i,i]}", "server", "a\"b", "ports", 1, 2);
	struct attempt_spec spec = {.run = "r1", .step = "users", .action = "move", .attempt = 3,
				    .mode = RESITE_PLANNED, .timeout_ms = 1500, .params = params,
				    .phases = PHASES_PREVIEW, .hold = true,
				    .checkpoint = "page", .checkpoint_data = "7"};
	struct strbuf sb = STRBUF_INIT;

	protocol_write_attempt(&sb, &spec);
	ck_assert_str_eq(sb.buf,
		"{\"kind\":\"attempt\",\"protocol\":1,\"run\":\"r1\",\"step\":\"users\","
		"\"action\":\"move\",\"attempt\":3,\"mode\":\"planned\",\"timeout_ms\":1500,"
		"\"phases\":[\"check\",\"probe\"],\"hold\":true,"
		"\"params\":{\"server\":\"a\\\"b\",\"ports\":[1,2]},"
		"\"checkpoint\":{\"name\":\"page\",\"data\":\"7\"}}\n");
	strbuf_release(&sb);
	json_decref(params);
}
END_TEST

START_TEST(every_phase_and_result_has_a_name_of_its_own)
{
	for (int p = PHASE_CHECK; p <= PHASE_REVERT; p++)
		ck_assert_int_eq(phase_from_name(phase_name((enum phase)p)), p);
	ck_assert_int_eq(phase_from_name("nonsense"), PHASE_NONE);
	for (int rc = RESITE_ERR_BUG; rc <= RESITE_PENDING; rc++)
		ck_assert(rc_known(rc) && strcmp(rc_name(rc), "unknown") != 0);
	ck_assert(!rc_known(42) && !rc_known(-7));
}
END_TEST

static const char *const undo_lines[] = {
	"{\"kind\":\"undo\",\"records\":[{\"version\":1,\"by_hand\":\"\",\"kv\":{}}]}",
	"{\"kind\":\"undo\",\"records\":[{\"version\":12,\"by_hand\":\"say \\\"a\\\\b\\n\\u001f\","
	"\"kv\":{\"was\":\"\xc3\xa9\",\"set\":\"\"}},{\"version\":0,\"by_hand\":\"x\",\"kv\":{\"a\":\"b\"}}]}",
};

START_TEST(undo_records_in_our_own_form_are_counted_where_they_lie)
{
	struct undo_line undo;

	for (size_t i = 0; i < COUNT_OF(undo_lines); i++) {
		ck_assert_msg(undo_line_read(undo_lines[i], strlen(undo_lines[i]), &undo), "%s",
			      undo_lines[i]);
		ck_assert_uint_eq(undo.n, i + 1);
	}
}
END_TEST

/* Whatever it accepts, the parser would have accepted, with as many records: so nothing
 * that it lets into the journal can make the journal unreadable. */
START_TEST(a_damaged_undo_line_is_never_taken_for_a_good_one)
{
	unsigned seed = 1;

	for (int turn = 0; turn < 50000; turn++) {
		const char *good = undo_lines[turn % COUNT_OF(undo_lines)];
		char line[300];
		size_t len = strlen(good);
		struct undo_line undo;
		struct error err;
		json_t *msg;

		memcpy(line, good, len + 1);
		for (int k = rand_r(&seed) % 3; k >= 0; k--)
			line[rand_r(&seed) % len] = (char)(rand_r(&seed) % 256);
		if (!undo_line_read(line, len, &undo))
			continue;
		msg = json_parse(line, len, &err);
		ck_assert_msg(msg != NULL, "%s: %s", line, err.text);
		ck_assert_msg(protocol_check_attempt(msg, &err) == 0, "%s: %s", line, err.text);
		ck_assert_uint_eq(json_array_size(json_object_get(msg, "records")), undo.n);
		json_decref(msg);
	}
}
END_TEST

START_TEST(an_undo_record_with_a_key_twice_is_left_to_the_parser)
{
	static const char twice[] = "{\"kind\":\"undo\",\"records\":[{\"version\":1,\"by_hand\":\"\","
				    "\"kv\":{\"a\":\"1\",\"a\":\"2\"}}]}";
	struct undo_line undo;

	ck_assert(!undo_line_read(twice, strlen(twice), &undo));
	ck_assert_ptr_null(json_parse(twice, strlen(twice), NULL));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("worker");
	TCase *tc = tcase_create("protocol");

	tcase_add_test(tc, lines_are_whole_however_they_arrive);
	tcase_add_test(tc, undo_records_in_our_own_form_are_counted_where_they_lie);
	tcase_add_test(tc, a_damaged_undo_line_is_never_taken_for_a_good_one);
	tcase_add_test(tc, an_undo_record_with_a_key_twice_is_left_to_the_parser);
	tcase_add_test(tc, a_line_over_the_limit_is_an_error_before_it_is_stored);
	tcase_add_test(tc, the_listener_can_stop_the_feed);
	tcase_add_test(tc, a_processs_output_is_cut_not_refused);
	tcase_add_test(tc, base64_comes_back_as_it_went);
	tcase_add_test(tc, what_is_no_base64_is_refused);
	tcase_add_loop_test(tc, every_member_of_a_message_is_checked, 0, COUNT_OF(messages));
	tcase_add_test(tc, an_attempts_first_line_says_all_that_it_needs);
	tcase_add_test(tc, every_phase_and_result_has_a_name_of_its_own);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
