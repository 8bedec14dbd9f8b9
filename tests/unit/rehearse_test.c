#include "core/base/base.h"
#include "core/run/faults.h"
#include "core/view/residue.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static json_t *
parse(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);

	ck_assert_ptr_nonnull(value);
	return value;
}

/* Two steps that a rehearsal runs, the second with undo records. */
static struct schema_action action = {.name = "do", .has = SCHEMA_HAS_PROBE | SCHEMA_HAS_APPLY};
static struct step steps[] = {
	{.name = "a", .plugin = "t", .action = &action, .retry = {.attempts = 1}, .rehearse = REHEARSE_RUN,
	 .modes = MODE_BIT(RESITE_REHEARSAL)},
	{.name = "b", .plugin = "t", .action = &action, .retry = {.attempts = 1}, .rehearse = REHEARSE_RUN,
	 .modes = MODE_BIT(RESITE_REHEARSAL)},
};
static const uint32_t topo[] = {0, 1};
static struct graph graph = {.plan = "p", .runbook = "r", .mode = RESITE_REHEARSAL, .steps = steps,
			     .n_steps = 2, .topo = topo};

static struct run_state *
state_of(bool rehearsal)
{
	static const char *const events[] = {
		"{\"kind\":\"attempt.started\",\"step\":\"a\",\"attempt\":1,\"intent\":\"probe\"}",
		"{\"kind\":\"attempt.ended\",\"step\":\"a\",\"attempt\":1,\"outcome\":\"ok\"}",
		"{\"kind\":\"attempt.started\",\"step\":\"b\",\"attempt\":1,\"intent\":\"probe\"}",
		"{\"kind\":\"attempt.undo\",\"step\":\"b\",\"attempt\":1,\"n\":1}",
		"{\"kind\":\"attempt.ended\",\"step\":\"b\",\"attempt\":1,\"outcome\":\"ok\"}",
	};
	struct run_state *state = run_state_new(&graph, &(struct run_config){.jobs = 8});
	json_t *first = parse(rehearsal ? "{\"kind\":\"run.started\",\"rehearsal\":{}}"
					: "{\"kind\":\"run.started\"}");
	struct error err = {0};

	ck_assert_int_eq(run_state_apply(state, first, 1, &err), 0);
	json_decref(first);
	for (size_t i = 0; i < COUNT_OF(events); i++) {
		json_t *event = parse(events[i]);

		ck_assert_msg(run_state_apply(state, event, 2, &err) == 0, "%s", err.text);
		json_decref(event);
	}
	return state;
}

static json_t *
residue(const char *before, const char *after, const char *outcome)
{
	struct run_state *state = state_of(true);
	json_t *b = parse(before), *a = parse(after);
	json_t *found = residue_of(state, b, a, outcome ? "undo-1" : NULL, outcome);

	ck_assert_ptr_nonnull(found);
	json_decref(a);
	json_decref(b);
	run_state_free(state);
	return found;
}

#define STEP(name, print) "{\"name\":\"" name "\",\"kind\":\"probed\",\"fingerprint\":\"" print "\"}"
#define STEPS(a, b) "{\"steps\":[" a "," b "]}"
#define UNTOLD(name) "{\"name\":\"" name "\",\"kind\":\"cannot tell\"}"

START_TEST(same_fingerprints_are_zero_residue)
{
	const char *same = STEPS(STEP("a", "1"), STEP("b", "2"));
	json_t *r = residue(same, same, "done");

	ck_assert(!residue_any(r));
	ck_assert_str_eq(json_str_or(r, "summary", ""), "zero residue: 2 steps as before");
	json_decref(r);
}
END_TEST

START_TEST(another_fingerprint_is_residue)
{
	json_t *r = residue(STEPS(STEP("a", "1"), STEP("b", "2")), STEPS(STEP("a", "1"), STEP("b", "3")),
			    "done");

	ck_assert(residue_any(r));
	ck_assert_int_eq(json_array_size(json_object_get(r, "left")), 1);
	ck_assert_int_eq(json_int_or(r, "as_before", 0), 1);
	json_decref(r);
}
END_TEST

START_TEST(a_step_that_no_probe_can_see_is_left_unless_its_undo_put_it_back)
{
	const char *untold = STEPS(UNTOLD("a"), UNTOLD("b"));
	json_t *r = residue(untold, untold, "done");
	const json_t *left = json_object_get(r, "left"), *unseen = json_object_get(r, "unseen");

	ck_assert(residue_any(r));
	ck_assert_int_eq(json_array_size(left), 1);
	ck_assert_str_eq(json_str_or(json_array_get(left, 0), "step", ""), "a");
	ck_assert_int_eq(json_array_size(unseen), 1);
	ck_assert_str_eq(json_str_or(json_array_get(unseen, 0), "step", ""), "b");
	json_decref(r);
}
END_TEST

START_TEST(an_undo_with_conflicts_is_residue)
{
	const char *same = STEPS(STEP("a", "1"), STEP("b", "2"));
	json_t *r = residue(same, same, "conflicts");

	ck_assert(residue_any(r));
	ck_assert_ptr_nonnull(strstr(json_str_or(r, "summary", ""), "RESIDUE"));
	json_decref(r);
}
END_TEST

START_TEST(only_a_rehearsal_has_a_residue)
{
	json_t *event = parse("{\"kind\":\"rehearsal.residue\",\"summary\":\"zero\"}");
	struct error err = {0};
	struct run_state *state = state_of(true);

	ck_assert_int_eq(run_state_apply(state, event, 3, &err), 0);
	ck_assert_str_eq(json_str_or(state->residue, "summary", ""), "zero");
	run_state_free(state);
	state = state_of(false);
	ck_assert_int_eq(run_state_apply(state, event, 3, &err), E_CORRUPT);
	run_state_free(state);
	json_decref(event);
}
END_TEST

START_TEST(the_same_seed_chooses_the_same_faults)
{
	for (uint64_t seed = 1; seed < 100; seed++) {
		struct fault a = fault_choose(seed, "users", 1, 3, 0), b = fault_choose(seed, "users", 1, 3, 0);

		ck_assert(a.kind == b.kind && a.at == b.at && a.hold_ms == b.hold_ms);
		ck_assert_uint_ge(a.at, 1);
	}
}
END_TEST

START_TEST(the_last_try_of_a_step_is_never_killed)
{
	unsigned kills = 0;

	for (uint64_t seed = 1; seed < 1000; seed++) {
		for (uint32_t tries = 1; tries <= 5; tries++) {
			unsigned of_step = 0;

			for (uint32_t n = 1; n <= tries; n++)
				of_step += fault_choose(seed, "users", n, tries, 0).kind == FAULT_KILL;
			ck_assert_uint_lt(of_step, tries);
			ck_assert_uint_le(of_step, 2);
			kills += of_step;
		}
	}
	ck_assert_uint_gt(kills, 0);
}
END_TEST

START_TEST(a_worker_is_not_stopped_beyond_its_time)
{
	for (uint64_t seed = 1; seed < 1000; seed++)
		ck_assert_int_le(fault_choose(seed, "users", 1, 3, 1000).hold_ms, 250);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("rehearse");
	TCase *c = tcase_create("rehearse");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(c, same_fingerprints_are_zero_residue);
	tcase_add_test(c, another_fingerprint_is_residue);
	tcase_add_test(c, a_step_that_no_probe_can_see_is_left_unless_its_undo_put_it_back);
	tcase_add_test(c, an_undo_with_conflicts_is_residue);
	tcase_add_test(c, only_a_rehearsal_has_a_residue);
	tcase_add_test(c, the_same_seed_chooses_the_same_faults);
	tcase_add_test(c, the_last_try_of_a_step_is_never_killed);
	tcase_add_test(c, a_worker_is_not_stopped_beyond_its_time);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
