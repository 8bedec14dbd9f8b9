/* exec.run against real commands, in an in-process host. */
#define _GNU_SOURCE
#include "sdk/testkit/fakehost.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <resite/plugin.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const struct resite_plugin *resite_plugin_v0(void);

static struct fakehost *
new_host(void)
{
	return fakehost_new(&resite_plugin_v0()->actions[0]);
}

static struct fakehost *
shell_host(const char *phase, const char *script)
{
	struct fakehost *fh = new_host();

	fakehost_param(fh, "shell", "true");
	fakehost_param(fh, phase, script);
	return fh;
}

static int
run_shell(struct fakehost **ret_fh, const char *script)
{
	*ret_fh = shell_host("apply", script);
	return fakehost_call(*ret_fh, FAKEHOST_APPLY);
}

#define ck_failure(fh, want) \
	ck_assert_msg(strstr(fakehost_failure(fh), want) != NULL, "%s", fakehost_failure(fh))

START_TEST(arguments_reach_the_program_without_a_shell)
{
	struct fakehost *fh = new_host();

	fakehost_param(fh, "apply", "/usr/bin/printf");
	fakehost_param(fh, "apply", "%s|%s\n");
	fakehost_param(fh, "apply", "a b");
	fakehost_param(fh, "apply", "$(id); *");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_CHECK), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_str_eq(fakehost_output(fh, "stdout"), "a b|$(id); *");
	fakehost_free(fh);
}
END_TEST

START_TEST(a_plan_that_cannot_work_is_told_before_anything_runs)
{
	struct fakehost *fh = new_host();

	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_CHECK), RESITE_ERR_INVALID);
	ck_failure(fh, "nothing to run");
	fakehost_param(fh, "apply", "true");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_CHECK), RESITE_ERR_INVALID);
	ck_failure(fh, "whole path");
	fakehost_param_clear(fh, "apply");
	fakehost_param(fh, "apply", "/bin/true");
	fakehost_param(fh, "env", "nonsense");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_CHECK), RESITE_ERR_INVALID);
	ck_failure(fh, "NAME=VALUE");
	fakehost_free(fh);
}
END_TEST

START_TEST(the_exit_code_chooses_the_reaction)
{
	static const struct {
		const char *script;
		int rc;
		const char *text;
	} cases[] = {
		{"exit 0", RESITE_OK, ""},
		{"echo noise; echo it is broken >&2; exit 3", RESITE_ERR_REFUSED,
		 "apply /bin/sh: exit 3: it is broken"},
		{"echo only words; exit 1", RESITE_ERR_REFUSED, "exit 1: only words"},
		{"exit 75", RESITE_ERR_TRANSIENT, "exit 75"},
		{"exit 64", RESITE_ERR_INVALID, "exit 64"},
		{"kill -9 $$", RESITE_ERR_REFUSED, "killed by signal 9 (Killed)"},
	};
	struct fakehost *fh;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(run_shell(&fh, cases[i].script), cases[i].rc);
		ck_failure(fh, cases[i].text);
		fakehost_free(fh);
	}
}
END_TEST

START_TEST(pending_is_for_verify_alone)
{
	struct fakehost *fh = shell_host("verify", "echo not there yet; exit 75");

	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_PENDING);
	ck_failure(fh, "not there yet");
	fakehost_free(fh);
}
END_TEST

START_TEST(a_program_that_is_not_there_is_named)
{
	struct fakehost *fh = new_host();

	fakehost_param(fh, "apply", "/nowhere/tool");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_INVALID);
	ck_failure(fh, "cannot run /nowhere/tool: exec: No such file or directory");
	fakehost_param(fh, "cwd", "/nowhere");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_INVALID);
	ck_failure(fh, "chdir: No such file or directory");
	fakehost_free(fh);
}
END_TEST

START_TEST(a_probe_tells_state_changes_and_losses)
{
	struct fakehost *fh = shell_host("probe",
		"echo '{\"change\":{\"object\":\"mx\",\"was\":\"a\",\"will_be\":\"b\"}}';"
		"echo '{\"loss\":\"two mails\"}';"
		"echo '{\"changes\":1,\"total\":4,\"now\":\"mx is a\",\"fingerprint\":\"abc\"}'");
	const struct fakehost_change *change;
	size_t n;

	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	ck_assert(fakehost_state(fh)->told);
	ck_assert_str_eq(fakehost_state(fh)->now, "mx is a");
	ck_assert_str_eq(fakehost_state(fh)->fingerprint, "abc");
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	ck_assert_uint_eq(fakehost_state(fh)->total, 4);
	change = fakehost_changes(fh, &n);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(change[0].will_be, "b");
	ck_assert(strstr(fakehost_losses(fh), "two mails") != NULL);
	fakehost_free(fh);
}
END_TEST

START_TEST(without_a_probe_command_it_cannot_tell)
{
	struct fakehost *fh = shell_host("apply", "true");

	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	ck_assert(!fakehost_state(fh)->told);
	fakehost_free(fh);
}
END_TEST

START_TEST(outputs_are_typed_names_and_others_are_refused)
{
	struct fakehost *fh;

	ck_assert_int_eq(run_shell(&fh, "echo '{\"output\":{\"value\":\"v\",\"port\":5060}}'"),
			 RESITE_OK);
	ck_assert_str_eq(fakehost_output(fh, "value"), "v");
	ck_assert_str_eq(fakehost_output(fh, "port"), "5060");
	fakehost_free(fh);
	ck_assert_int_eq(run_shell(&fh, "echo '{\"output\":{\"colour\":\"red\"}}'"),
			 RESITE_ERR_INVALID);
	ck_failure(fh, "\"colour\" is none of those");
	fakehost_free(fh);
}
END_TEST

START_TEST(what_probe_reads_for_undo_is_durable_before_apply_and_reverted)
{
	struct fakehost *fh = shell_host("probe",
		"echo '{\"undo\":{\"by_hand\":\"set mx to a\",\"was.mx\":\"a\",\"set.mx\":\"b\"}}';"
		"echo '{\"changes\":1,\"total\":1,\"now\":\"a\"}'");
	char dir[] = "/tmp/resite-exec-XXXXXX", script[200], path[100], text[64] = "";
	const struct fakehost_undo *undo;
	size_t n;
	FILE *f;

	ck_assert(mkdtemp(dir) != NULL);
	fakehost_param(fh, "cwd", dir);
	fakehost_param(fh, "apply", "true");
	snprintf(script, sizeof(script), "echo $RESITE_UNDO_was_mx $RESITE_PHASE >mx");
	fakehost_param(fh, "revert", script);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	undo = fakehost_undos(fh, &n);
	ck_assert_uint_eq(n, 1);
	ck_assert(undo[0].durable);
	ck_assert_str_eq(undo[0].by_hand, "set mx to a");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	snprintf(path, sizeof(path), "%s/mx", dir);
	f = fopen(path, "r");
	ck_assert(f && fgets(text, sizeof(text), f));
	fclose(f);
	ck_assert_str_eq(text, "a revert\n");
	unlink(path);
	rmdir(dir);
	fakehost_free(fh);
}
END_TEST

START_TEST(a_revert_that_finds_another_value_is_a_conflict_with_what_it_said)
{
	struct fakehost *fh = shell_host("probe",
		"echo '{\"undo\":{\"object\":\"mx\",\"was.mx\":\"a\",\"set.mx\":\"b\"}}';"
		"echo '{\"changes\":1,\"total\":1,\"now\":\"a\"}'");
	const struct fakehost_reverted *told;
	size_t n;

	fakehost_param(fh, "apply", "true");
	fakehost_param(fh, "revert", "echo mx=c; test $RESITE_REVERT = force || exit 9");
	fakehost_param(fh, "conflict_codes", "9");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_int_eq(fakehost_revert(fh, RESITE_LOOK), RESITE_OK);
	ck_assert_str_eq(fakehost_logs(fh), "");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_PUT_BACK), RESITE_OK);
	told = fakehost_reverteds(fh, &n);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(told->result, RESITE_REVERTED_CONFLICT);
	ck_assert_str_eq(told->object, "mx");
	ck_assert_str_eq(told->was, "mx=a");
	ck_assert_str_eq(told->set, "mx=b");
	ck_assert_str_eq(told->now, "mx=c");
	ck_assert_int_eq(fakehost_revert(fh, RESITE_FORCE), RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 1);
	fakehost_free(fh);
}
END_TEST

START_TEST(nothing_is_applied_when_the_undo_record_cannot_be_kept)
{
	struct fakehost *fh = shell_host("apply", "echo ran");

	fakehost_param(fh, "revert", "true");
	fakehost_fail_undo(fh, 1);
	ck_assert_int_lt(fakehost_call(fh, FAKEHOST_APPLY), 0);
	ck_assert(fakehost_output(fh, "stdout") == NULL);
	fakehost_free(fh);
}
END_TEST

START_TEST(a_secret_goes_in_on_stdin_and_nowhere_else)
{
	struct fakehost *fh = shell_host("apply",
		"read x; test \"$x\" = sesame && ! env | grep -q sesame");

	fakehost_secret(fh, "bind", "sesame\n");
	fakehost_param(fh, "stdin_secret", "bind");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert(strstr(fakehost_logs(fh), "sesame") == NULL);
	fakehost_free(fh);
}
END_TEST

START_TEST(input_and_environment_reach_the_command)
{
	struct fakehost *fh = shell_host("apply", "cat; echo $COLOUR-$RESITE_MODE-$HOME");

	fakehost_param(fh, "input", "words\n");
	fakehost_param(fh, "env", "COLOUR=red");
	fakehost_param(fh, "env", "HOME=/none");
	fakehost_mode(fh, RESITE_PLANNED);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_str_eq(fakehost_output(fh, "stdout"), "red-planned-/none");
	ck_assert(strstr(fakehost_logs(fh), "words") != NULL);
	fakehost_free(fh);
}
END_TEST

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

START_TEST(a_cancel_stops_a_command_that_would_go_on)
{
	struct fakehost *fh = shell_host("apply", "trap 'echo leaving; exit 1' TERM; sleep 30 & wait");
	double start = seconds();

	/* As in an attempt: a group of its own, or the signal would end the test. */
	setpgid(0, 0);
	fakehost_cancel_after(fh, 200);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_CANCELLED);
	ck_assert(seconds() - start < 5);
	ck_failure(fh, "was stopped");
	fakehost_free(fh);
}
END_TEST

START_TEST(a_command_that_ignores_term_is_killed)
{
	struct fakehost *fh = shell_host("apply", "trap '' TERM; while :; do sleep 0.1; done");
	double start = seconds();

	setpgid(0, 0);
	fakehost_deadline(fh, 200);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_CANCELLED);
	ck_assert(seconds() - start < 10);
	fakehost_free(fh);
}
END_TEST

START_TEST(a_background_process_does_not_hold_up_the_step)
{
	struct fakehost *fh;
	double start = seconds();

	ck_assert_int_eq(run_shell(&fh, "sleep 3 & echo started"), RESITE_OK);
	ck_assert(seconds() - start < 2);
	ck_assert_str_eq(fakehost_output(fh, "stdout"), "started");
	fakehost_free(fh);
}
END_TEST

START_TEST(long_and_binary_output_is_taken_whole_lines_at_a_time)
{
	struct fakehost *fh;

	ck_assert_int_eq(run_shell(&fh, "head -c 3000000 /dev/zero; echo; printf 'a\\0b\\n'"),
			 RESITE_OK);
	ck_assert_str_eq(fakehost_output(fh, "stdout"), "a?b");
	fakehost_free(fh);
}
END_TEST

static Suite *
make_suite(void)
{
	Suite *suite = suite_create("exec");
	TCase *tc = tcase_create("run");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, arguments_reach_the_program_without_a_shell);
	tcase_add_test(tc, a_plan_that_cannot_work_is_told_before_anything_runs);
	tcase_add_test(tc, the_exit_code_chooses_the_reaction);
	tcase_add_test(tc, pending_is_for_verify_alone);
	/* Under valgrind vfork is fork: the child cannot tell why it did not exec. */
	if (!getenv("RESITE_UNDER_VALGRIND"))
		tcase_add_test(tc, a_program_that_is_not_there_is_named);
	tcase_add_test(tc, a_probe_tells_state_changes_and_losses);
	tcase_add_test(tc, without_a_probe_command_it_cannot_tell);
	tcase_add_test(tc, outputs_are_typed_names_and_others_are_refused);
	tcase_add_test(tc, what_probe_reads_for_undo_is_durable_before_apply_and_reverted);
	tcase_add_test(tc, a_revert_that_finds_another_value_is_a_conflict_with_what_it_said);
	tcase_add_test(tc, nothing_is_applied_when_the_undo_record_cannot_be_kept);
	tcase_add_test(tc, a_secret_goes_in_on_stdin_and_nowhere_else);
	tcase_add_test(tc, input_and_environment_reach_the_command);
	tcase_add_test(tc, a_cancel_stops_a_command_that_would_go_on);
	tcase_add_test(tc, a_command_that_ignores_term_is_killed);
	tcase_add_test(tc, a_background_process_does_not_hold_up_the_step);
	tcase_add_test(tc, long_and_binary_output_is_taken_whole_lines_at_a_time);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return run_suite(make_suite());
}
