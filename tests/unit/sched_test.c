/* The scheduler's rules, one by one; whole schedules are in tests/golden. */
#include "core/base/base.h"
#include "core/engine/sched.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <stdlib.h>

#define MAX 16

struct rig {
	struct sched_step steps[MAX];
	uint32_t after[MAX][MAX], limits_of[MAX][2], limits[4];
	struct sched_config config;
	struct sched *s;
};

/* n steps that can probe, may try three times with 100 ms between, and depend on
 * nothing. */
static void
rig_init(struct rig *r, uint32_t n)
{
	*r = (struct rig){0};
	for (uint32_t i = 0; i < n; i++)
		r->steps[i] = (struct sched_step){
			.flags = SCHED_CAN_PROBE, .attempts = 3, .backoff_ms = 100,
			.max_backoff_ms = 150, .timeout_ms = 1000, .weight_ms = 10,
			.after = r->after[i], .limits = r->limits_of[i]};
	r->config = (struct sched_config){.n_steps = n, .steps = r->steps, .limits = r->limits,
					  .jobs = 4};
}

static void
depend(struct rig *r, uint32_t step, uint32_t on)
{
	r->after[step][r->steps[step].n_after++] = on;
}

static void
take_limit(struct rig *r, uint32_t step, uint32_t limit)
{
	r->limits_of[step][r->steps[step].n_limits++] = limit;
}

static void
make(struct rig *r)
{
	r->s = sched_new(&r->config);
	ck_assert_ptr_nonnull(r->s);
}

/* The next command is the start of step. */
static void
expect_start(struct rig *r, uint32_t step, uint32_t attempt)
{
	struct sched_command c;

	ck_assert_msg(sched_next(r->s, &c), "nothing to start, expected step %u", step);
	ck_assert_int_eq(c.kind, COMMAND_START);
	ck_assert_uint_eq(c.step, step);
	ck_assert_uint_eq(c.attempt, attempt);
}

static void
expect_nothing(struct rig *r)
{
	struct sched_command c;

	ck_assert(!sched_next(r->s, &c));
}

static void
ended(struct rig *r, uint32_t step, enum sched_outcome outcome, int64_t now_ms)
{
	ck_assert(sched_ended(r->s, step, outcome, 0, now_ms));
}

START_TEST(a_step_starts_when_its_last_dependency_is_done)
{
	struct rig r;

	rig_init(&r, 3);
	depend(&r, 2, 0);
	depend(&r, 2, 1);
	make(&r);
	expect_start(&r, 0, 1);
	expect_start(&r, 1, 1);
	ended(&r, 0, OUTCOME_OK, 5);
	expect_nothing(&r);
	ended(&r, 1, OUTCOME_OK, 6);
	expect_start(&r, 2, 1);
	ended(&r, 2, OUTCOME_OK, 7);
	ck_assert_int_eq(sched_phase(r.s), RUN_DONE);
	sched_free(r.s);
}
END_TEST

START_TEST(the_longest_path_goes_first)
{
	struct rig r;

	rig_init(&r, 4);
	depend(&r, 3, 2); /* 2 -> 3 is longer than 0 and 1 */
	r.config.jobs = 1;
	make(&r);
	expect_start(&r, 2, 1);
	ended(&r, 2, OUTCOME_OK, 1);
	expect_start(&r, 0, 1);
	sched_free(r.s);
}
END_TEST

START_TEST(a_limit_is_never_passed_and_nobody_starves)
{
	struct rig r;

	rig_init(&r, 4);
	r.limits[0] = 1;
	r.limits[1] = 1;
	r.config.n_limits = 2;
	take_limit(&r, 0, 0);
	take_limit(&r, 1, 0);
	take_limit(&r, 1, 1);
	take_limit(&r, 2, 1);
	take_limit(&r, 3, 0);
	make(&r);
	expect_start(&r, 0, 1); /* holds 0 */
	expect_start(&r, 2, 1); /* holds 1; step 1 waits for 0, step 3 too */
	expect_nothing(&r);
	ended(&r, 0, OUTCOME_OK, 1);
	expect_start(&r, 3, 1); /* 1 cannot use the place: 2 still holds the other */
	expect_nothing(&r);
	ended(&r, 2, OUTCOME_OK, 2);
	expect_nothing(&r);
	ended(&r, 3, OUTCOME_OK, 3);
	expect_start(&r, 1, 1);
	ended(&r, 1, OUTCOME_OK, 4);
	ck_assert_int_eq(sched_phase(r.s), RUN_DONE);
	sched_free(r.s);
}
END_TEST

START_TEST(a_transient_failure_waits_longer_each_time_and_then_asks)
{
	struct rig r;

	rig_init(&r, 1);
	make(&r);
	expect_start(&r, 0, 1);
	ended(&r, 0, OUTCOME_TRANSIENT, 1000);
	ck_assert_int_eq(sched_wake_ms(r.s), 1100);
	sched_time(r.s, 1099);
	expect_nothing(&r);
	sched_time(r.s, 1100);
	expect_start(&r, 0, 2);
	ended(&r, 0, OUTCOME_TRANSIENT, 2000);
	ck_assert_int_eq(sched_wake_ms(r.s), 2150); /* bounded by max_backoff */
	sched_time(r.s, 2150);
	expect_start(&r, 0, 3);
	ended(&r, 0, OUTCOME_TRANSIENT, 3000);
	ck_assert_int_eq(sched_state(r.s, 0), STEP_ASK);
	ck_assert_int_eq(sched_phase(r.s), RUN_PAUSED);
	ck_assert(sched_retry(r.s, 0));
	expect_start(&r, 0, 4);
	sched_free(r.s);
}
END_TEST

START_TEST(the_plugins_own_wait_is_kept)
{
	struct rig r;

	rig_init(&r, 1);
	make(&r);
	expect_start(&r, 0, 1);
	ck_assert(sched_ended(r.s, 0, OUTCOME_TRANSIENT, 700, 1000));
	ck_assert_int_eq(sched_wake_ms(r.s), 1700);
	sched_free(r.s);
}
END_TEST

START_TEST(unknown_without_a_probe_is_never_tried_again)
{
	struct rig r;

	rig_init(&r, 1);
	r.steps[0].flags = 0;
	make(&r);
	expect_start(&r, 0, 1);
	ended(&r, 0, OUTCOME_UNKNOWN, 1);
	ck_assert_int_eq(sched_state(r.s, 0), STEP_ASK);
	sched_free(r.s);
}
END_TEST

START_TEST(a_failed_step_holds_its_dependents_and_nobody_else)
{
	struct rig r;

	rig_init(&r, 4);
	depend(&r, 1, 0);
	depend(&r, 3, 2);
	make(&r);
	expect_start(&r, 0, 1);
	expect_start(&r, 2, 1);
	ended(&r, 0, OUTCOME_REFUSED, 1);
	ended(&r, 2, OUTCOME_OK, 1);
	expect_start(&r, 3, 1);
	ended(&r, 3, OUTCOME_OK, 2);
	ck_assert_int_eq(sched_phase(r.s), RUN_PAUSED);
	ck_assert(sched_by_hand(r.s, 0));
	expect_start(&r, 1, 1);
	ck_assert(!sched_skip(r.s, 1)); /* it runs */
	ended(&r, 1, OUTCOME_OK, 3);
	ck_assert(!sched_skip(r.s, 1)); /* it is done */
	ck_assert_int_eq(sched_phase(r.s), RUN_DONE);
	sched_free(r.s);
}
END_TEST

START_TEST(policy_stop_starts_nothing_more_policy_continue_goes_on)
{
	struct rig r;

	rig_init(&r, 3);
	depend(&r, 1, 0);
	r.steps[0].policy = POLICY_CONTINUE;
	r.steps[1].policy = POLICY_STOP;
	r.config.jobs = 1;
	make(&r);
	expect_start(&r, 0, 1);
	ended(&r, 0, OUTCOME_BUG, 1);
	ck_assert_int_eq(sched_state(r.s, 0), STEP_FAILED);
	expect_start(&r, 1, 1);
	ended(&r, 1, OUTCOME_INVALID, 2);
	expect_nothing(&r);
	ck_assert_int_eq(sched_phase(r.s), RUN_STOPPED);
	sched_free(r.s);
}
END_TEST

START_TEST(a_gate_opens_with_its_last_approval)
{
	struct sched_command c;
	struct rig r;

	rig_init(&r, 2);
	r.steps[0].flags = SCHED_GATE;
	r.steps[0].needs = 2;
	depend(&r, 1, 0);
	make(&r);
	ck_assert(sched_next(r.s, &c));
	ck_assert_int_eq(c.kind, COMMAND_GATE);
	ck_assert_int_eq(sched_phase(r.s), RUN_PAUSED);
	ck_assert(sched_approve(r.s, 0));
	expect_nothing(&r);
	ck_assert(sched_approve(r.s, 0));
	expect_start(&r, 1, 1);
	ck_assert(!sched_approve(r.s, 0));
	sched_free(r.s);
}
END_TEST

START_TEST(a_lost_orchestrator_costs_no_try)
{
	struct rig r;

	rig_init(&r, 2);
	r.steps[0].attempts = 1;
	r.steps[1].flags = 0;
	make(&r);
	expect_start(&r, 0, 1);
	expect_start(&r, 1, 1);
	sched_lost(r.s);
	ck_assert_int_eq(sched_state(r.s, 1), STEP_ASK);
	expect_start(&r, 0, 2);
	ended(&r, 0, OUTCOME_OK, 1);
	ck_assert_int_eq(sched_state(r.s, 0), STEP_DONE);
	sched_free(r.s);
}
END_TEST

START_TEST(a_stop_lets_running_steps_end_and_can_be_taken_back)
{
	struct rig r;

	rig_init(&r, 2);
	r.config.jobs = 1;
	make(&r);
	expect_start(&r, 0, 1);
	sched_stop(r.s);
	ck_assert_int_eq(sched_phase(r.s), RUN_ACTIVE);
	ended(&r, 0, OUTCOME_OK, 1);
	expect_nothing(&r);
	ck_assert_int_eq(sched_phase(r.s), RUN_STOPPED);
	sched_continue(r.s);
	expect_start(&r, 1, 1);
	sched_free(r.s);
}
END_TEST

START_TEST(a_step_never_has_more_time_than_the_run)
{
	struct sched_command c;
	struct rig r;

	rig_init(&r, 1);
	r.config.deadline_ms = 600;
	make(&r);
	sched_time(r.s, 100);
	ck_assert(sched_next(r.s, &c));
	ck_assert_int_eq(c.timeout_ms, 500);
	sched_free(r.s);
}
END_TEST

START_TEST(a_cycle_is_refused)
{
	struct rig r;

	rig_init(&r, 2);
	depend(&r, 0, 1);
	depend(&r, 1, 0);
	ck_assert_ptr_null(sched_new(&r.config));
}
END_TEST

START_TEST(what_a_journal_says_was_taken_can_be_told)
{
	struct rig r;

	rig_init(&r, 2);
	depend(&r, 1, 0);
	make(&r);
	ck_assert(!sched_started(r.s, 1, 1)); /* not ready */
	ck_assert(!sched_started(r.s, 0, 2)); /* the first attempt is number 1 */
	ck_assert(sched_started(r.s, 0, 1));
	ck_assert(!sched_started(r.s, 0, 2)); /* it runs */
	ended(&r, 0, OUTCOME_TRANSIENT, 0);
	ck_assert(sched_started(r.s, 0, 2)); /* its backoff was over then */
	ended(&r, 0, OUTCOME_OK, 1);
	expect_start(&r, 1, 1);
	sched_free(r.s);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sched");
	TCase *tc = tcase_create("sched");

	tcase_add_test(tc, a_step_starts_when_its_last_dependency_is_done);
	tcase_add_test(tc, the_longest_path_goes_first);
	tcase_add_test(tc, a_limit_is_never_passed_and_nobody_starves);
	tcase_add_test(tc, a_transient_failure_waits_longer_each_time_and_then_asks);
	tcase_add_test(tc, the_plugins_own_wait_is_kept);
	tcase_add_test(tc, unknown_without_a_probe_is_never_tried_again);
	tcase_add_test(tc, a_failed_step_holds_its_dependents_and_nobody_else);
	tcase_add_test(tc, policy_stop_starts_nothing_more_policy_continue_goes_on);
	tcase_add_test(tc, a_gate_opens_with_its_last_approval);
	tcase_add_test(tc, a_lost_orchestrator_costs_no_try);
	tcase_add_test(tc, a_stop_lets_running_steps_end_and_can_be_taken_back);
	tcase_add_test(tc, a_step_never_has_more_time_than_the_run);
	tcase_add_test(tc, a_cycle_is_refused);
	tcase_add_test(tc, what_a_journal_says_was_taken_can_be_told);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
