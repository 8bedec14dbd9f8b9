/* What an undo does with each step, what it refuses, and where its records come from: over
 * a real store with the journal of a run that never was. */
#include "core/base/base.h"
#include "core/run/undo.h"
#include "core/run/undo_source.h"
#include "core/worker/protocol.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUN "20260101-000000-move"

static const char hellos[] =
	"{\"t\":{\"kind\":\"hello\",\"protocol\":1,\"abi\":[0,2],\"plugin\":{\"name\":\"t\","
	"\"version\":\"1\",\"summary\":\"for tests\",\"actions\":["
	"{\"name\":\"do\",\"summary\":\"changes\",\"flags\":[\"reversible\"],\"timeout_ms\":1000,"
	"\"params\":[],\"outputs\":[],\"has\":[\"probe\",\"apply\",\"revert\"]},"
	"{\"name\":\"carry\",\"summary\":\"moves data\",\"flags\":[\"carries\"],\"timeout_ms\":1000,"
	"\"params\":[],\"outputs\":[],\"has\":[\"probe\",\"apply\"]},"
	"{\"name\":\"look\",\"summary\":\"reads\",\"flags\":[\"readonly\"],\"timeout_ms\":1000,"
	"\"params\":[],\"outputs\":[],\"has\":[\"verify\"]}]}}}";

static const char plan_text[] =
	"format = 1; name = \"p\"; sites: { a: {}; b: {}; };\n"
	"runbooks: { move: { steps = (\n"
	" { name = \"look\"; does = \"t.look\"; },\n"
	" { name = \"users\"; does = \"t.do\"; after = [\"look\"]; },\n"
	" { name = \"lists\"; does = \"t.carry\"; },\n"
	" { name = \"cut\"; does = \"t.do\"; after = [\"users\"]; point_of_no_return = true; },\n"
	" { name = \"dns\"; does = \"t.do\"; after = [\"cut\"]; },\n"
	" { name = \"last\"; does = \"t.do\"; after = [\"dns\"]; } ); }; };\n";

struct rig {
	char dir[64];
	struct settings settings;
	struct store *store;
	struct journal *journal;
	int64_t now_ms;
	struct error err;
};

static void
add(struct rig *r, json_t *event)
{
	ck_assert_ptr_nonnull(event);
	ck_assert_msg(journal_add(r->journal, ++r->now_ms, event, &r->err) == 0, "%s", r->err.text);
	json_decref(event);
}

/* A journal that goes on after n events. */
static void
begin(struct rig *r, const char *run)
{
	r->journal = journal_new(r->store, run, 0, NULL, NULL);
	ck_assert_ptr_nonnull(r->journal);
}

static void
end(struct rig *r)
{
	ck_assert_msg(journal_flush(r->journal, &r->err) == 0, "%s", r->err.text);
	journal_free(r->journal);
}

static json_t *
first_event(struct rig *r)
{
	struct plan_text text;
	struct diags d = DIAGS_INIT;
	json_t *event, *plan;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/plan", r->dir);
	f = fopen(path, "w");
	ck_assert(f && fputs(plan_text, f) >= 0 && fclose(f) == 0);
	plan_text_init(&text);
	ck_assert_int_eq(plan_read(path, &text, &d), 0);
	plan = plan_text_to_json(&text);
	event = json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:[], s:i, s:o, s:o}", "kind", "run.started",
			  "format", 1, "runbook", "move", "from", "a", "to", "b", "mode", "planned",
			  "only", "jobs", 4, "plugins", json_loads(hellos, 0, NULL), "text", plan);
	plan_text_release(&text);
	diags_release(&d);
	unlink(path);
	return event;
}

static json_t *
of_attempt(const char *kind, const char *step)
{
	return json_pack("{s:s, s:s, s:i}", "kind", kind, "step", step, "attempt", 1);
}

/* The step ran to its end; n undo records in events of at most per. */
static void
did(struct rig *r, const char *step, int n, int per)
{
	json_t *event = of_attempt("attempt.started", step), *records;
	char value[16];

	json_object_set_new(event, "intent", json_string("probe"));
	add(r, event);
	event = of_attempt("attempt.probed", step);
	json_object_set_new(event, "told", json_true());
	json_object_set_new(event, "changes", json_integer(strcmp(step, "lists") ? n : 5));
	json_object_set_new(event, "decision", json_string("apply"));
	add(r, event);
	for (int i = 0; i < n;) {
		records = json_array();
		for (int k = 0; k < per && i < n; k++, i++) {
			snprintf(value, sizeof(value), "%d", i);
			json_array_append_new(records, json_pack("{s:i, s:s, s:{s:s}}", "version", 1,
								 "by_hand", "", "kv", "n", value));
		}
		event = of_attempt("attempt.undo", step);
		json_object_set_new(event, "n", json_integer((json_int_t)json_array_size(records)));
		json_object_set_new(event, "records", records);
		add(r, event);
	}
	event = of_attempt("attempt.ended", step);
	json_object_set_new(event, "outcome", json_string("ok"));
	add(r, event);
}

static void
rig_init(struct rig *r)
{
	*r = (struct rig){.now_ms = 1767225600000, .settings = {.jobs = 2}};
	snprintf(r->dir, sizeof(r->dir), "/tmp/resite-undo-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(r->dir));
	r->settings.state_dir = r->dir;
	r->settings.worker_path = r->dir;
	r->settings.plugin_dirs = (char *[]){NULL};
	ck_assert_msg(store_open_sqlite(r->dir, true, &r->store, &r->err) == 0, "%s", r->err.text);
	begin(r, RUN);
	add(r, first_event(r));
}

/* All is done up to cut; dns has failed, last was never begun. */
static void
rig_move(struct rig *r)
{
	rig_init(r);
	did(r, "look", 0, 1);
	did(r, "users", 2500, 1000);
	did(r, "lists", 0, 1);
	did(r, "cut", 1, 1);
	end(r);
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
load(struct rig *r, struct loaded *l, bool past, const char *only)
{
	static char *dirs[] = {NULL};
	struct undo_request req = {.origin = RUN, .reason = "drill",
				   .choice = {.only = only ? &only : NULL, .n_only = only ? 1 : 0,
					      .past_no_return = past}};

	r->settings.plugin_dirs = dirs;
	*l = (struct loaded)LOADED_INIT;
	l->run = strdup("undo");
	return undo_load(l, &r->settings, r->store, &req, &r->err);
}

static const struct step *
step_of(const struct loaded *l, const char *name)
{
	return &l->graph->steps[graph_find_step(l->graph, name)];
}

/* --- what it does with each step -------------------------------------------------- */

START_TEST(each_step_is_reverted_or_passed_with_an_honest_reason)
{
	struct loaded l;
	struct rig r;

	rig_move(&r);
	ck_assert_msg(load(&r, &l, true, NULL) == 0, "%s", r.err.text);
	ck_assert_uint_eq(step_of(&l, "users")->records, 2500);
	ck_assert_ptr_null(step_of(&l, "users")->pass_why);
	ck_assert_uint_eq(step_of(&l, "cut")->records, 1);
	ck_assert_str_eq(step_of(&l, "look")->pass_why, "only reads");
	ck_assert_str_eq(step_of(&l, "lists")->pass_why,
			 "moves data: nothing to put back; what it brought stays there");
	ck_assert_str_eq(step_of(&l, "last")->pass_why, "was never started");
	ck_assert_str_eq(json_str_or(l.first, "reason", ""), "drill");
	ck_assert_int_eq(l.graph->way, WAY_UNDO);
	loaded_release(&l);
	rig_release(&r);
}
END_TEST

START_TEST(who_was_waited_for_waits)
{
	struct loaded l;
	struct rig r;

	rig_move(&r);
	ck_assert_int_eq(load(&r, &l, true, NULL), 0);
	ck_assert_uint_eq(step_of(&l, "last")->n_after, 0);
	ck_assert_uint_eq(step_of(&l, "users")->n_after, 1);
	ck_assert_uint_eq(step_of(&l, "users")->after[0], graph_find_step(l.graph, "cut"));
	ck_assert_uint_eq(l.graph->topo[0], graph_find_step(l.graph, "last"));
	loaded_release(&l);
	rig_release(&r);
}
END_TEST

START_TEST(a_point_of_no_return_is_not_passed_backwards_unasked)
{
	struct loaded l;
	struct rig r;

	rig_move(&r);
	ck_assert_int_eq(load(&r, &l, false, NULL), E_REFUSED);
	ck_assert_str_eq(r.err.text, "step cut is a point of no return that was passed: it is put back "
			 "only with --past-no-return --reason '...'; the others alone: --only users");
	loaded_release(&l);
	ck_assert_int_eq(load(&r, &l, false, "users"), 0);
	ck_assert_str_eq(step_of(&l, "cut")->pass_why, "was not asked for (--only)");
	loaded_release(&l);
	rig_release(&r);
}
END_TEST

START_TEST(a_step_after_a_point_of_no_return_is_beyond_it_too)
{
	struct loaded l;
	struct rig r;

	rig_init(&r);
	did(&r, "look", 0, 1);
	did(&r, "users", 1, 1);
	did(&r, "cut", 0, 1);
	did(&r, "dns", 1, 1);
	end(&r);
	ck_assert_int_eq(load(&r, &l, false, "dns"), E_REFUSED);
	ck_assert_str_eq(r.err.text, "step dns came after step cut, a point of no return that was passed: "
			 "it is put back only with --past-no-return --reason '...'");
	loaded_release(&l);
	rig_release(&r);
}
END_TEST

START_TEST(a_point_of_no_return_that_was_not_reached_holds_nobody)
{
	struct loaded l;
	struct rig r;

	rig_init(&r);
	did(&r, "look", 0, 1);
	did(&r, "users", 1, 1);
	end(&r);
	ck_assert_msg(load(&r, &l, false, NULL) == 0, "%s", r.err.text);
	loaded_release(&l);
	rig_release(&r);
}
END_TEST

START_TEST(a_run_that_changed_nothing_has_nothing_to_undo)
{
	struct loaded l;
	struct rig r;

	rig_init(&r);
	did(&r, "look", 0, 1);
	end(&r);
	ck_assert_int_eq(load(&r, &l, false, NULL), E_REFUSED);
	ck_assert_str_eq(r.err.text, "there is nothing to undo: no step has written an undo record");
	loaded_release(&l);
	ck_assert_int_eq(load(&r, &l, false, "nosuch"), E_NOTFOUND);
	loaded_release(&l);
	rig_release(&r);
}
END_TEST

/* --- another undo of the same run ------------------------------------------------- */

/* The journal of an undo of users that was loaded; what it says last. */
static void
write_undo(struct rig *r, const char *id, json_t *last)
{
	struct loaded l;
	json_t *first;

	ck_assert_msg(load(r, &l, false, "users") == 0, "%s", r->err.text);
	first = json_deep_copy(l.first);
	json_object_set_new(first, "format", json_integer(1));
	begin(r, id);
	add(r, first);
	add(r, json_pack("{s:s, s:s, s:s}", "kind", "step.passed", "step", "last", "why", "x"));
	for (size_t i = 0; i < 2; i++)
		add(r, json_pack("{s:s, s:s, s:s}", "kind", "step.passed", "step",
				 i ? "cut" : "dns", "why", "x"));
	if (last) {
		add(r, json_pack("{s:s, s:s, s:i, s:s}", "kind", "attempt.started", "step", "users",
				 "attempt", 1, "intent", "revert"));
		add(r, json_pack("{s:s, s:s, s:i, s:s}", "kind", "attempt.ended", "step", "users",
				 "attempt", 1, "outcome", "ok"));
		add(r, last);
	}
	end(r);
	loaded_release(&l);
}

START_TEST(an_unfinished_undo_is_gone_on_with)
{
	struct loaded l;
	struct rig r;

	rig_move(&r);
	write_undo(&r, "one-undo", NULL);
	ck_assert_int_eq(load(&r, &l, false, "users"), E_REFUSED);
	ck_assert_str_eq(r.err.text, "the undo of run " RUN " was begun by run one-undo and is not done: "
			 "resite resume one-undo");
	loaded_release(&l);
	rig_release(&r);
}
END_TEST

START_TEST(what_was_undone_whole_is_refused_and_the_rest_is_not)
{
	struct loaded l;
	struct rig r;

	rig_move(&r);
	write_undo(&r, "one-undo", json_pack("{s:s, s:s}", "kind", "run.ended", "outcome", "done"));
	ck_assert_int_eq(load(&r, &l, false, "users"), E_REFUSED);
	ck_assert(strstr(r.err.text, "was undone already, by run one-undo") != NULL);
	loaded_release(&l);
	ck_assert_msg(load(&r, &l, true, "cut") == 0, "%s", r.err.text);
	loaded_release(&l);
	rig_release(&r);
}
END_TEST

START_TEST(an_undo_with_conflicts_may_be_run_again)
{
	struct loaded l;
	struct rig r;

	rig_move(&r);
	write_undo(&r, "one-undo", json_pack("{s:s, s:s}", "kind", "run.ended", "outcome", "conflicts"));
	ck_assert_msg(load(&r, &l, false, "users") == 0, "%s", r.err.text);
	loaded_release(&l);
	rig_release(&r);
}
END_TEST

/* --- records ---------------------------------------------------------------------- */

START_TEST(records_come_newest_first_and_each_once)
{
	struct undo_source *source;
	struct undo_cursor cursor = {0};
	struct strbuf batch = STRBUF_INIT;
	int64_t wanted = 2499;
	struct rig r;
	size_t n;

	rig_move(&r);
	r.settings.plugin_dirs = (char *[]){NULL};
	ck_assert_int_eq(undo_source_open(&r.settings, r.store, RUN, &source, &r.err), 0);
	do {
		json_t *records, *one;
		size_t i;

		strbuf_reset(&batch);
		ck_assert_int_eq(undo_cursor_next(source, 1, &cursor, &batch, &r.err), 0);
		ck_assert_uint_lt(batch.len, PROTOCOL_LINE_MAX);
		records = json_parse(batch.buf, batch.len, &r.err);
		n = json_array_size(records);
		json_array_foreach(records, i, one)
			ck_assert_int_eq(atoll(json_str_or(json_object_get(one, "kv"), "n", "")), wanted--);
		json_decref(records);
	} while (n);
	ck_assert_int_eq(wanted, -1);
	undo_cursor_release(&cursor);
	undo_source_free(source);
	strbuf_release(&batch);
	rig_release(&r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("undo");
	TCase *tc = tcase_create("undo");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, each_step_is_reverted_or_passed_with_an_honest_reason);
	tcase_add_test(tc, who_was_waited_for_waits);
	tcase_add_test(tc, a_point_of_no_return_is_not_passed_backwards_unasked);
	tcase_add_test(tc, a_step_after_a_point_of_no_return_is_beyond_it_too);
	tcase_add_test(tc, a_point_of_no_return_that_was_not_reached_holds_nobody);
	tcase_add_test(tc, a_run_that_changed_nothing_has_nothing_to_undo);
	tcase_add_test(tc, an_unfinished_undo_is_gone_on_with);
	tcase_add_test(tc, what_was_undone_whole_is_refused_and_the_rest_is_not);
	tcase_add_test(tc, an_undo_with_conflicts_may_be_run_again);
	tcase_add_test(tc, records_come_newest_first_and_each_once);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
