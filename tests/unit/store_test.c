/* The SQLite store and the journal's chain. */
#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/store/journal.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct rig {
	char dir[64];
	struct store *store;
	struct error err;
};

static void
rig_init(struct rig *r)
{
	memcpy(r->dir, "/tmp/resite-store-XXXXXX", 25);
	ck_assert_ptr_nonnull(mkdtemp(r->dir));
	r->err = (struct error){0};
	ck_assert_msg(store_open_sqlite(r->dir, true, &r->store, &r->err) == 0, "%s", r->err.text);
}

static void
rig_release(struct rig *r)
{
	static const char *const files[] = {"journal.db", "journal.db-wal", "journal.db-shm"};
	char path[128];

	store_close(r->store);
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", r->dir, files[i]);
		unlink(path);
	}
	rmdir(r->dir);
}

static int
append(struct rig *r, const char *run, int64_t seq, const char *text)
{
	struct store_body body = {text, strlen(text)};

	return store_append(r->store, run, seq, &body, 1, &r->err);
}

static int
count(void *ctx, int64_t seq, const char *text, size_t len)
{
	int64_t *n = ctx;

	ck_assert_uint_eq(len, strlen(text));
	ck_assert_int_eq(seq, ++*n);
	return 0;
}

START_TEST(two_writers_cannot_both_write_one_number)
{
	struct rig r;
	struct store *other;
	struct store_body body = {"{}", 2};
	int64_t n = 0;

	rig_init(&r);
	ck_assert_int_eq(store_open_sqlite(r.dir, false, &other, &r.err), 0);
	ck_assert_int_eq(append(&r, "a", 1, "{}"), 0);
	ck_assert_int_eq(store_append(other, "a", 2, &body, 1, &r.err), 0);
	ck_assert_int_eq(append(&r, "a", 2, "{}"), E_FENCED);
	ck_assert_ptr_nonnull(strstr(r.err.text, "another resite"));
	ck_assert_int_eq(append(&r, "a", 4, "{}"), E_FENCED);
	ck_assert_int_eq(append(&r, "a", 3, "{}"), 0);
	ck_assert_int_eq(store_read(r.store, "a", 1, count, &n, &r.err), 0);
	ck_assert_int_eq(n, 3);
	store_close(other);
	rig_release(&r);
}
END_TEST

START_TEST(runs_do_not_see_each_other)
{
	struct rig r;
	int64_t n = 0;

	rig_init(&r);
	ck_assert_int_eq(append(&r, "a", 1, "{}"), 0);
	ck_assert_int_eq(append(&r, "b", 1, "{}"), 0);
	ck_assert_int_eq(append(&r, "b", 2, "{}"), 0);
	ck_assert_int_eq(store_read(r.store, "b", 1, count, &n, &r.err), 0);
	ck_assert_int_eq(n, 2);
	ck_assert_int_eq(store_read(r.store, "c", 1, count, &n, &r.err), E_NOTFOUND);
	rig_release(&r);
}
END_TEST

START_TEST(a_missing_journal_is_named)
{
	struct store *s;
	struct error err = {0};

	ck_assert_int_eq(store_open_sqlite("/nonexistent/x", false, &s, &err), E_NOTFOUND);
	ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/x"));
}
END_TEST

static int
find_text(void *ctx, int64_t seq, const char *text, size_t len)
{
	(void)seq;
	(void)len;
	ck_assert_msg(!strstr(text, "hunter2"), "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "bind with [secret]!"));
	++*(int64_t *)ctx;
	return 0;
}

static void
add_events(struct journal *j, int n, struct error *err)
{
	for (int i = 0; i < n; i++) {
		json_t *event = json_pack("{s:s, s:i}", "kind", "test", "n", i);

		ck_assert_int_eq(journal_add(j, 1000 + i, event, err), 0);
		json_decref(event);
	}
}

static int
look(void *ctx, int64_t seq, const json_t *event, struct error *err)
{
	int64_t *last = ctx;

	(void)err;
	ck_assert_int_eq(json_int_or(event, "seq", 0), seq);
	ck_assert_int_eq(clock_parse_utc(json_str_or(event, "time", "")), 1000 + seq - 1);
	*last = seq;
	return 0;
}

static int
read_all(struct rig *r, int64_t *last, struct journal_end *end)
{
	struct journal_read how = {.fn = look, .ctx = last};

	return journal_read(r->store, "run", &how, end, &r->err);
}

START_TEST(a_journal_reads_back_and_goes_on_after_its_end)
{
	struct rig r;
	struct journal_end end;
	struct journal *j;
	int64_t last = 0;

	rig_init(&r);
	j = journal_new(r.store, "run", 0, NULL, NULL);
	add_events(j, 5, &r.err);
	ck_assert_uint_eq(journal_pending(j), 5);
	ck_assert_int_eq(journal_flush(j, &r.err), 0);
	ck_assert_uint_eq(journal_pending(j), 0);
	journal_free(j);
	ck_assert_msg(read_all(&r, &last, &end) == 0, "%s",
		      r.err.text);
	ck_assert_int_eq(end.last_seq, 5);
	j = journal_new(r.store, "run", end.last_seq, end.last_hash, NULL);
	json_t *event = json_pack("{s:s}", "kind", "more");
	ck_assert_int_eq(journal_add(j, 1005, event, &r.err), 0);
	json_decref(event);
	ck_assert_int_eq(journal_flush(j, &r.err), 0);
	journal_free(j);
	ck_assert_int_eq(read_all(&r, &last, &end), 0);
	ck_assert_int_eq(last, 6);
	rig_release(&r);
}
END_TEST

static void
write_run(struct rig *r, int n)
{
	struct journal *j = journal_new(r->store, "run", 0, NULL, NULL);

	add_events(j, n, &r->err);
	ck_assert_int_eq(journal_flush(j, &r->err), 0);
	journal_free(j);
}

static void
alter(struct rig *r, const char *sql)
{
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/journal.db", r->dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

#define EVENT(n) "(id & 0xfffffff) = " #n

/* What is done to a journal of five events, and what is said of it. */
static const struct {
	const char *sql;
	int64_t good;
	const char *why;
} alterations[] = {
	{"UPDATE event SET body = replace(body, '\"n\":2', '\"n\":7')", 2,
	 "event 3 (test): was changed after it was written: event 4 has another hash of it"},
	{"UPDATE event SET body = replace(body, '\"n\":0', '\"n\":7')", 0,
	 "event 1 (test): was changed after it was written: event 2 has another hash of it"},
	{"UPDATE event SET body = json_set(body, '$.prev', 'x') WHERE " EVENT(3), 2,
	 "event 3 (test): was changed after it was written: it fits neither"},
	{"UPDATE event SET body = json_set(body, '$.n', 7) WHERE " EVENT(4), 3,
	 "event 4 (test): this or event 5 was changed"},
	{"UPDATE event SET body = '{' WHERE " EVENT(4), 3, "event 4: is no JSON"},
	{"DELETE FROM event WHERE " EVENT(2), 1, "event 2: is missing"},
	{"DELETE FROM event WHERE " EVENT(1), 0, "event 1: is missing"},
	{"UPDATE event SET body = (SELECT body FROM event e WHERE (e.id & 0xfffffff) ="
	 " 7 - (event.id & 0xfffffff)) WHERE " EVENT(3) " OR " EVENT(4), 2,
	 "event 3 (test): is not in its place: it says that it is number 4"},
	{"UPDATE event SET body = json_remove(body, '$.time') WHERE " EVENT(3), 2,
	 "event 3 (test): has no time"},
};

START_TEST(an_altered_journal_is_good_up_to_the_first_bad_event_which_is_named)
{
	struct journal_end end;
	struct rig r;
	int64_t last = 0;

	rig_init(&r);
	write_run(&r, 5);
	alter(&r, alterations[_i].sql);
	ck_assert_int_eq(read_all(&r, &last, &end), E_CORRUPT);
	ck_assert_msg(strstr(r.err.text, alterations[_i].why), "%s", r.err.text);
	ck_assert_int_eq(last, alterations[_i].good);
	ck_assert_int_eq(end.last_seq, alterations[_i].good);
	ck_assert_int_eq(end.bad_seq, alterations[_i].good + 1);
	rig_release(&r);
}
END_TEST

START_TEST(a_secret_does_not_reach_the_journal)
{
	struct redact secrets = REDACT_INIT;
	struct rig r;
	struct journal *j;
	json_t *event = json_pack("{s:s, s:s}", "kind", "log", "text", "bind with hunter2!");
	int64_t n = 0;

	rig_init(&r);
	redact_add(&secrets, "hunter2", 7);
	j = journal_new(r.store, "run", 0, NULL, &secrets);
	ck_assert_int_eq(journal_add(j, 0, event, &r.err), 0);
	ck_assert_int_eq(journal_flush(j, &r.err), 0);
	ck_assert_int_eq(store_read(r.store, "run", 1, find_text, &n, &r.err), 0);
	ck_assert_int_eq(n, 1);
	journal_free(j);
	json_decref(event);
	redact_release(&secrets);
	rig_release(&r);
}
END_TEST

/* A file that may not grow stands for a full disk: the write fails all the same. */
START_TEST(a_full_disk_fails_the_whole_commit_and_loses_nothing)
{
	struct rlimit none = {4096, RLIM_INFINITY}, before;
	struct journal_end end;
	struct rig r;
	struct journal *j;
	int64_t last = 0;

	rig_init(&r);
	j = journal_new(r.store, "run", 0, NULL, NULL);
	add_events(j, 3, &r.err);
	ck_assert_int_eq(journal_flush(j, &r.err), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	setrlimit(RLIMIT_FSIZE, &none);
	add_events(j, 1, &r.err);
	ck_assert_int_lt(journal_flush(j, &r.err), 0);
	ck_assert_msg(strstr(r.err.text, "journal.db"), "%s", r.err.text);
	ck_assert_uint_eq(journal_pending(j), 1);
	ck_assert_int_lt(journal_flush(j, &r.err), 0);
	setrlimit(RLIMIT_FSIZE, &before);
	journal_free(j);
	ck_assert_int_eq(read_all(&r, &last, &end), 0);
	ck_assert_int_eq(last, 3);
	rig_release(&r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("store");
	TCase *tc = tcase_create("store");

	tcase_add_test(tc, two_writers_cannot_both_write_one_number);
	tcase_add_test(tc, runs_do_not_see_each_other);
	tcase_add_test(tc, a_missing_journal_is_named);
	tcase_add_test(tc, a_journal_reads_back_and_goes_on_after_its_end);
	tcase_add_loop_test(tc, an_altered_journal_is_good_up_to_the_first_bad_event_which_is_named, 0,
			    COUNT_OF(alterations));
	tcase_add_test(tc, a_secret_does_not_reach_the_journal);
	tcase_add_test(tc, a_full_disk_fails_the_whole_commit_and_loses_nothing);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
