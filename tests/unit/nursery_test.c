/* A real resite-worker with plugins that misbehave, seen from the parent's side. */
#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/strbuf.h"
#include "core/worker/nursery.h"
#include "core/worker/tag.h"
#include "core/worker/registry.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <resite/plugin.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#define PLUGINS "tests/bad/.libs/"

/* --- one attempt, from start to end ---------------------------------------------------- */

struct seen {
	uv_loop_t loop;
	struct nursery *nursery;
	struct attempt *attempt;
	bool hello, ended, lost;
	char lost_text[512];

	/* What the parent does. */
	bool go, stop_on_hold; /* the answer to a held probe; neither: no answer */
	int done_rc;           /* the answer to sync and checkpoint */
	bool cancel_at_begin;  /* cancel when apply begins */
	bool stop_at_begin;    /* stop the nursery from inside the callback */
	const char *batch;     /* the answer to a pull, n_batches times; NULL: none can be read */
	unsigned n_batches, n_pulls;

	/* What came. */
	struct strbuf messages, logs; /* a line each */
	size_t n_messages, n_logs, n_undo;
	struct attempt_end end;
	char why[512], text[1024];
};

static const char *
worker_path(void)
{
	const char *path = getenv("RESITE_WORKER");

	return path ? path : "./resite-worker";
}

static void
on_hello(void *ctx, const json_t *hello)
{
	(void)hello;
	((struct seen *)ctx)->hello = true;
}

static void
on_lost(void *ctx, const char *text)
{
	struct seen *s = ctx;

	s->lost = true;
	snprintf(s->lost_text, sizeof(s->lost_text), "%s", text);
}

static const struct nursery_events nursery_events = {.hello = on_hello, .lost = on_lost};

static void
answer(struct seen *s, const json_t *msg, const char *kind)
{
	int64_t id = json_int_or(msg, "id", 0);

	if (!strcmp(kind, "sync") || !strcmp(kind, "checkpoint"))
		attempt_done(s->attempt, id, s->done_rc, s->done_rc ? "the disk is full" : NULL);
	else if (!strcmp(kind, "secret"))
		attempt_secret(s->attempt, id, 0, "sesame", 6);
	else if (!strcmp(kind, "pull") && !s->batch)
		attempt_no_records(s->attempt, id, RESITE_ERR_REFUSED, "the chain is broken");
	else if (!strcmp(kind, "pull") && s->n_pulls++ < s->n_batches)
		attempt_records(s->attempt, id, s->batch, strlen(s->batch));
	else if (!strcmp(kind, "pull"))
		attempt_records(s->attempt, id, "[]", 2);
	else if (!strcmp(kind, "state") && s->go)
		attempt_go(s->attempt);
	else if (!strcmp(kind, "state") && s->stop_on_hold)
		attempt_stop(s->attempt);
	else if (!strcmp(kind, "begin") && s->cancel_at_begin)
		attempt_cancel(s->attempt, "test");
	else if (!strcmp(kind, "begin") && s->stop_at_begin)
		nursery_stop(s->nursery);
}

static void
on_message(void *ctx, const json_t *msg, const char *line, size_t len)
{
	struct seen *s = ctx;
	const char *kind = json_str_or(msg, "kind", "");

	ck_assert(!s->ended);
	ck_assert_uint_eq(strlen(line), len);
	s->n_messages++;
	if (s->messages.len < 64 * 1024)
		strbuf_addf(&s->messages, "%s\n", line);
	answer(s, msg, kind);
}

static void
on_log(void *ctx, const char *line)
{
	struct seen *s = ctx;

	ck_assert(!s->ended);
	ck_assert_uint_le(strlen(line), 4096);
	s->n_logs++;
	if (s->logs.len < 64 * 1024)
		strbuf_addf(&s->logs, "%s\n", line);
}

static void
on_ended(void *ctx, const struct attempt_end *end)
{
	struct seen *s = ctx;

	ck_assert(!s->ended);
	s->ended = true;
	s->end = *end;
	snprintf(s->why, sizeof(s->why), "%s", end->why);
	snprintf(s->text, sizeof(s->text), "%s", end->text);
	s->end.why = s->why;
	s->end.text = s->text;
}

static void
on_undo(void *ctx, const struct undo_line *undo)
{
	struct seen *s = ctx;
	json_t *records = json_parse(undo->records, undo->len, NULL);

	ck_assert_uint_eq(json_array_size(records), undo->n);
	json_decref(records);
	if (s->messages.len < 64 * 1024)
		strbuf_addf(&s->messages, "%.*s\n", (int)undo->len, undo->records);
	s->n_undo += undo->n;
}

static const struct attempt_events attempt_events = {
	.undo = on_undo,
	.message = on_message, .log = on_log, .ended = on_ended};

static void
seen_open(struct seen *s, const char *plugin, int lock_fd)
{
	struct nursery_config config = {
		.worker_path = worker_path(), .lock_fd = lock_fd,
		.cancel_grace_ms = 100, .term_grace_ms = 100,
		/* The machine may be busy; only the one that hangs is to be waited for. */
		.hello_timeout_ms = strcmp(plugin, "badhang") ? 20000 : 1000};
	char path[256];
	struct error err = {0};

	memset(s, 0, sizeof(*s));
	strbuf_init(&s->messages);
	strbuf_init(&s->logs);
	uv_loop_init(&s->loop);
	snprintf(path, sizeof(path), "%s%s.so", strchr(plugin, '/') ? "" : PLUGINS, plugin);
	config.plugin_path = path;
	s->nursery = nursery_start(&s->loop, &config, &nursery_events, s, &err);
	ck_assert_msg(s->nursery != NULL, "%s", err.text);
}

static void
seen_close(struct seen *s)
{
	nursery_stop(s->nursery);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&s->loop), 0);
	strbuf_release(&s->messages);
	strbuf_release(&s->logs);
}

static void
start_spec(struct seen *s, struct attempt_spec *spec)
{
	struct strbuf line = STRBUF_INIT;
	struct error err = {0};
	char tag[TAG_MAX], scope[32];
	int r;

	/* Another nursery_test may run on this machine. */
	snprintf(scope, sizeof(scope), "test-%d", (int)getpid());
	tag_write(tag, scope, "run-1", "step", 1);
	spec->run = "run-1";
	spec->step = "step";
	spec->attempt = 1;
	spec->mode = RESITE_DISASTER;
	if (spec->timeout_ms == 0)
		spec->timeout_ms = 20000;
	if (spec->phases == 0)
		spec->phases = PHASES_STEP;
	s->ended = false;
	protocol_write_attempt(&line, spec);
	r = attempt_start(s->nursery, line.buf, line.len, tag, spec->timeout_ms, &attempt_events, s,
			  &s->attempt, &err);
	ck_assert_msg(r == 0, "%s", err.text);
	strbuf_release(&line);
}

static void
run_spec(struct seen *s, struct attempt_spec *spec)
{
	start_spec(s, spec);
	while (!s->ended)
		uv_run(&s->loop, UV_RUN_ONCE);
}

static void
run_action(struct seen *s, const char *action)
{
	struct attempt_spec spec = {.action = action};

	run_spec(s, &spec);
}

/* Opens, runs one action, closes. */
static void
run_bad(struct seen *s, const char *action, enum attempt_outcome want)
{
	seen_open(s, "bad", -1);
	run_action(s, action);
	ck_assert_msg(s->end.outcome == want, "%s: outcome %d: %s; %s", action, s->end.outcome,
		      s->why, s->text);
}

static bool
said(const struct seen *s, const char *text)
{
	return strstr(s->messages.buf, text) != NULL;
}

/* --- what a good attempt does ------------------------------------------------------------ */

START_TEST(an_attempt_runs_and_ends_cleanly)
{
	struct seen s;

	seen_open(&s, "noop", -1);
	run_action(&s, "noop");
	ck_assert_int_eq(s.end.outcome, ATTEMPT_CLEAN);
	ck_assert_int_eq(s.end.rc, RESITE_OK);
	ck_assert_int_eq(s.end.phase, PHASE_APPLY);
	ck_assert_int_gt(s.end.maxrss_kb, 0);
	ck_assert(s.hello);
	ck_assert_uint_eq(nursery_open(s.nursery), 0);
	seen_close(&s);
}
END_TEST

START_TEST(a_held_probe_waits_for_go_and_is_looked_at_again_after)
{
	struct attempt_spec spec = {.action = "probed", .hold = true};
	struct seen s;

	seen_open(&s, "noop", -1);
	s.go = true;
	run_spec(&s, &spec);
	ck_assert_msg(s.end.outcome == ATTEMPT_CLEAN && s.end.rc == 0, "%s %s", s.why, s.text);
	ck_assert_int_eq(s.end.phase, PHASE_AFTER);
	ck_assert(said(&s, "\"phase\":\"probe\",\"told\":true,\"now\":\"old\""));
	ck_assert(!said(&s, "\"kind\":\"change\"")); /* a run counts them, only a preview lists them */
	ck_assert(said(&s, "\"by_hand\":\"set thing to old\""));
	ck_assert(said(&s, "\"phase\":\"after\",\"told\":true,\"now\":\"new\""));
	ck_assert_uint_eq(s.n_undo, 1);
	seen_close(&s);
}
END_TEST

START_TEST(a_held_probe_that_is_stopped_applies_nothing)
{
	struct attempt_spec spec = {.action = "probed", .hold = true};
	struct seen s;

	seen_open(&s, "noop", -1);
	s.stop_on_hold = true;
	run_spec(&s, &spec);
	ck_assert_int_eq(s.end.outcome, ATTEMPT_CLEAN);
	ck_assert_int_eq(s.end.phase, PHASE_PROBE);
	ck_assert_uint_eq(s.n_undo, 0);
	seen_close(&s);
}
END_TEST

START_TEST(an_action_without_a_probe_is_held_too)
{
	struct attempt_spec spec = {.action = "noop", .hold = true};
	struct seen s;

	seen_open(&s, "noop", -1);
	s.go = true;
	run_spec(&s, &spec);
	ck_assert_int_eq(s.end.phase, PHASE_APPLY);
	ck_assert(said(&s, "\"told\":false"));
	seen_close(&s);
}
END_TEST

START_TEST(a_preview_only_looks)
{
	struct attempt_spec spec = {.action = "probed", .phases = PHASES_PREVIEW};
	struct seen s;

	seen_open(&s, "noop", -1);
	run_spec(&s, &spec);
	ck_assert_int_eq(s.end.phase, PHASE_PROBE);
	ck_assert_int_eq(s.end.rc, RESITE_OK);
	ck_assert(said(&s, "{\"kind\":\"change\",\"object\":\"thing\",\"was\":\"old\""));
	ck_assert_uint_eq(s.n_undo, 0);
	seen_close(&s);
}
END_TEST

START_TEST(a_read_only_action_runs_verify_alone)
{
	struct seen s;

	seen_open(&s, "noop", -1);
	run_action(&s, "look");
	ck_assert_int_eq(s.end.outcome, ATTEMPT_CLEAN);
	ck_assert_int_eq(s.end.phase, PHASE_VERIFY);
	seen_close(&s);
}
END_TEST

START_TEST(an_undo_record_that_is_not_durable_fails_the_step)
{
	struct seen s;

	seen_open(&s, "noop", -1);
	s.done_rc = RESITE_ERR_TRANSIENT;
	run_action(&s, "probed");
	ck_assert_int_eq(s.end.outcome, ATTEMPT_CLEAN);
	ck_assert_int_eq(s.end.rc, RESITE_ERR_TRANSIENT);
	ck_assert_str_eq(s.text, "the undo records could not be made durable: the disk is full");
	seen_close(&s);
}
END_TEST

#define RECORD(was, set, more) \
	"{\"version\":1,\"kv\":{\"was.thing\":\"" was "\",\"set.thing\":\"" set "\"" more "}}"
#define TWO_RECORDS "[" RECORD("a", "b", "") "," RECORD("a", "b", ",\"now\":\"x\"") "]"

static void
revert(struct seen *s, int way, const char *batch, unsigned n_batches, uint64_t n_records)
{
	struct attempt_spec spec = {.action = "probed", .revert = way, .n_records = n_records};

	s->batch = batch;
	s->n_batches = n_batches;
	run_spec(s, &spec);
}

START_TEST(revert_pulls_its_records_and_tells_what_was_not_put_back)
{
	struct seen s;

	seen_open(&s, "noop", -1);
	revert(&s, RESITE_PUT_BACK, TWO_RECORDS, 2, 4);
	ck_assert_int_eq(s.end.outcome, ATTEMPT_CLEAN);
	ck_assert_int_eq(s.end.rc, RESITE_OK);
	ck_assert_uint_eq(s.n_pulls, 3);
	ck_assert(said(&s, "{\"kind\":\"reverted\",\"put_back\":1,\"already\":0,\"items\":["
			   "{\"result\":\"conflict\",\"object\":\"thing\",\"was\":\"a\",\"set\":\"b\","
			   "\"now\":\"x\"}]}"));
	seen_close(&s);
	seen_open(&s, "noop", -1);
	revert(&s, RESITE_FORCE, TWO_RECORDS, 1, 2);
	ck_assert(said(&s, "{\"kind\":\"reverted\",\"put_back\":2,\"already\":0,\"items\":[]}"));
	seen_close(&s);
}
END_TEST

START_TEST(a_look_names_each_object_that_would_be_put_back)
{
	struct seen s;

	seen_open(&s, "noop", -1);
	revert(&s, RESITE_LOOK, "[" RECORD("a", "b", "") "," RECORD("a", "a", "") "]", 1, 2);
	ck_assert_int_eq(s.end.rc, RESITE_OK);
	ck_assert(said(&s, "{\"kind\":\"reverted\",\"put_back\":0,\"already\":1,\"items\":["
			   "{\"result\":\"put_back\",\"object\":\"thing\","));
	seen_close(&s);
}
END_TEST

START_TEST(records_that_cannot_be_read_end_the_revert_with_the_reason)
{
	struct seen s;

	seen_open(&s, "noop", -1);
	revert(&s, RESITE_PUT_BACK, NULL, 1, 2);
	ck_assert_int_eq(s.end.outcome, ATTEMPT_CLEAN);
	ck_assert_int_eq(s.end.rc, RESITE_ERR_REFUSED);
	ck_assert_str_eq(s.text, "the undo records cannot be read: the chain is broken");
	seen_close(&s);
}
END_TEST

START_TEST(a_revert_that_does_not_tell_of_every_record_is_a_bug)
{
	struct attempt_spec spec = {.action = "deaf-revert", .revert = RESITE_PUT_BACK,
				    .n_records = 2};
	struct seen s;

	seen_open(&s, "bad", -1);
	s.batch = TWO_RECORDS;
	s.n_batches = 1;
	run_spec(&s, &spec);
	ck_assert_int_eq(s.end.rc, RESITE_ERR_BUG);
	ck_assert_str_eq(s.text, "revert said OK, but told of 0 records of 2 what became of them");
	seen_close(&s);
}
END_TEST

START_TEST(an_attempt_without_a_revert_cannot_be_reverted)
{
	struct attempt_spec spec = {.action = "noop", .revert = RESITE_PUT_BACK};
	struct seen s;

	seen_open(&s, "noop", -1);
	run_spec(&s, &spec);
	ck_assert_int_eq(s.end.rc, RESITE_ERR_INVALID);
	ck_assert_str_eq(s.text, "action noop has no revert");
	seen_close(&s);
}
END_TEST

/* 36 MB of records: neither side may hold them. */
START_TEST(records_flow_through_in_little_memory)
{
	char fill[801];
	struct strbuf batch = STRBUF_INIT;
	struct seen s;

	memset(fill, 'x', sizeof(fill) - 1);
	fill[sizeof(fill) - 1] = '\0';
	for (int i = 0; i < 500; i++)
		strbuf_addf(&batch, "%s{\"version\":1,\"kv\":{\"was.thing\":\"a\",\"set.thing\":"
			    "\"b\",\"more\":\"%s\"}}", i ? "," : "[", fill);
	strbuf_addch(&batch, ']');
	seen_open(&s, "noop", -1);
	revert(&s, RESITE_PUT_BACK, batch.buf, 80, 40000);
	ck_assert_int_eq(s.end.rc, RESITE_OK);
	ck_assert_uint_eq(s.n_pulls, 81);
#ifndef __SANITIZE_ADDRESS__ /* which keeps freed memory for a while */
	ck_assert_int_lt(s.end.maxrss_kb, 20000);
#endif
	strbuf_release(&batch);
	seen_close(&s);
}
END_TEST

START_TEST(thousands_of_undo_records_arrive_in_few_lines)
{
	struct seen s;

	run_bad(&s, "many-undo", ATTEMPT_CLEAN);
	ck_assert_int_eq(s.end.rc, RESITE_OK);
	ck_assert_uint_eq(s.n_undo, 5000);
	ck_assert_uint_lt(s.n_messages, 40);
	ck_assert(said(&s, "\"done\":5000,\"total\":5000") || s.messages.len > 60000);
	seen_close(&s);
}
END_TEST

START_TEST(a_secret_is_handed_over_whole)
{
	struct seen s;

	run_bad(&s, "secret", ATTEMPT_CLEAN);
	ck_assert_int_eq(s.end.rc, RESITE_OK);
	seen_close(&s);
}
END_TEST

START_TEST(a_cancelled_attempt_can_still_record_what_it_did)
{
	struct seen s;

	seen_open(&s, "bad", -1);
	s.cancel_at_begin = true;
	run_action(&s, "slow-cancel");
	ck_assert_int_eq(s.end.outcome, ATTEMPT_CLEAN);
	ck_assert_int_eq(s.end.rc, RESITE_ERR_CANCELLED);
	ck_assert_uint_eq(s.n_undo, 1);
	ck_assert(said(&s, "\"name\":\"here\",\"data\":\"42\""));
	seen_close(&s);
}
END_TEST

START_TEST(logging_from_other_threads_keeps_every_line_whole)
{
	struct seen s;

	run_bad(&s, "threads", ATTEMPT_CLEAN);
	ck_assert_int_eq(s.end.rc, RESITE_OK);
	ck_assert_uint_ge(s.n_messages, 4 * 200 + 50);
	seen_close(&s);
}
END_TEST

START_TEST(many_attempts_at_once_all_end)
{
	enum { MANY = 100 };
	static struct seen s;
	struct seen one[MANY];
	struct attempt_spec spec = {.action = "noop"};
	unsigned open;

	seen_open(&s, "noop", -1);
	for (int i = 0; i < MANY; i++) {
		one[i] = s;
		start_spec(&one[i], &spec);
	}
	while ((open = nursery_open(s.nursery)) > 0)
		uv_run(&s.loop, UV_RUN_ONCE);
	for (int i = 0; i < MANY; i++) {
		ck_assert(one[i].ended);
		ck_assert_int_eq(one[i].end.outcome, ATTEMPT_CLEAN);
		strbuf_release(&one[i].messages);
		strbuf_release(&one[i].logs);
	}
	seen_close(&s);
}
END_TEST

/* --- misbehaviour ------------------------------------------------------------------------- */

static const struct {
	const char *action;
	enum attempt_outcome outcome;
	int rc;           /* of the result, when clean */
	const char *word; /* in why, or in text when clean */
} misbehaviour[] = {
	{"crash", ATTEMPT_SIGNAL, 0, "killed by signal 11 (Segmentation fault) in apply"},
	{"abort", ATTEMPT_SIGNAL, 0, "killed by signal 6 (Aborted) in apply"},
	{"exit-zero", ATTEMPT_EXIT, 0, "exit status 0 and no result in apply"},
	{"exit-after-ok", ATTEMPT_EXIT, 0, "gave a result, but then ended with exit status 3"},
	{"double-result", ATTEMPT_PROTOCOL, 0, "a message after its result"},
	{"garbage", ATTEMPT_PROTOCOL, 0, "broke the protocol: byte"},
	{"unknown-kind", ATTEMPT_PROTOCOL, 0, "unknown kind \"format-disk\""},
	{"endless-line", ATTEMPT_PROTOCOL, 0, "a line that is too long"},
	{"unknown-rc", ATTEMPT_CLEAN, RESITE_ERR_BUG, "apply returned 42"},
	{"apply-pending", ATTEMPT_CLEAN, RESITE_ERR_BUG, "only verify may"},
	{"no-reason", ATTEMPT_CLEAN, RESITE_ERR_REFUSED, "(the plugin gave no reason)"},
	{"undeclared-output", ATTEMPT_CLEAN, RESITE_ERR_BUG, "does not declare an output"},
	{"huge-undo", ATTEMPT_CLEAN, RESITE_ERR_INVALID, "over the limit"},
	{"liar", ATTEMPT_CLEAN, RESITE_ERR_BUG, "apply said OK, but probe still sees 3 changes"},
	{"leak-fds", ATTEMPT_CLEAN, RESITE_OK, ""},
	{"long-line", ATTEMPT_CLEAN, RESITE_OK, ""},
	{"no-such-action", ATTEMPT_CLEAN, RESITE_ERR_INVALID, "has no action \"no-such-action\""},
};

START_TEST(misbehaviour_fails_its_attempt_alone)
{
	struct seen s;

	run_bad(&s, misbehaviour[_i].action, misbehaviour[_i].outcome);
	if (s.end.outcome == ATTEMPT_CLEAN) {
		ck_assert_int_eq(s.end.rc, misbehaviour[_i].rc);
		ck_assert_msg(strstr(s.text, misbehaviour[_i].word) != NULL, "%s", s.text);
		ck_assert_str_eq(s.why, "");
	} else {
		ck_assert_msg(strstr(s.why, misbehaviour[_i].word) != NULL, "%s", s.why);
	}
	/* The nursery and the next attempt are as good as new. */
	run_action(&s, "many-undo");
	ck_assert_int_eq(s.end.outcome, ATTEMPT_CLEAN);
	ck_assert(!s.lost);
	seen_close(&s);
}
END_TEST

/* A deadline that also an attempt under sanitizers, on a busy machine, lives to see. */
static int64_t
patient(int64_t ms)
{
	const char *times = getenv("CK_TIMEOUT_MULTIPLIER");
	int n = times ? atoi(times) : 1;

	return ms * (n < 1 ? 1 : n > 5 ? 5 : n);
}

START_TEST(one_that_hangs_is_killed_when_its_time_is_over)
{
	struct attempt_spec spec = {.action = "hang", .timeout_ms = patient(200)};
	char after[CLOCK_TEXT_MAX], why[120];
	struct seen s;
	int64_t start = clock_mono_ms();

	seen_open(&s, "bad", -1);
	run_spec(&s, &spec);
	ck_assert_int_eq(s.end.outcome, ATTEMPT_TIMEOUT);
	clock_format_duration(spec.timeout_ms, after);
	snprintf(why, sizeof why, "not done after %s: ended with SIGKILL in apply", after);
	ck_assert_str_eq(s.why, why);
	ck_assert_int_lt(clock_mono_ms() - start, 15000);
	spec.action = "polite-hang";
	run_spec(&s, &spec);
	ck_assert_int_eq(s.end.outcome, ATTEMPT_TIMEOUT);
	snprintf(why, sizeof why, "not done after %s: ended with SIGTERM in apply", after);
	ck_assert_str_eq(s.why, why);
	seen_close(&s);
}
END_TEST

START_TEST(one_that_ignores_a_cancel_is_killed)
{
	struct seen s;

	seen_open(&s, "bad", -1);
	s.cancel_at_begin = true;
	run_action(&s, "hang");
	ck_assert_int_eq(s.end.outcome, ATTEMPT_CANCELLED);
	ck_assert_int_eq(s.end.signal, SIGKILL);
	seen_close(&s);
}
END_TEST

START_TEST(verify_that_is_never_content_ends_with_the_deadline)
{
	struct attempt_spec spec = {.action = "never-verified", .timeout_ms = patient(700)};
	struct seen s;

	seen_open(&s, "bad", -1);
	run_spec(&s, &spec);
	ck_assert_int_eq(s.end.outcome, ATTEMPT_CLEAN);
	ck_assert_int_eq(s.end.phase, PHASE_VERIFY);
	ck_assert_int_eq(s.end.rc, RESITE_ERR_TRANSIENT);
	ck_assert_str_eq(s.text, "not verified within the time: not yet");
	seen_close(&s);
}
END_TEST

/* An earlier attempt may have applied, and ended before verify was content. */
START_TEST(what_probes_converged_is_verified_and_not_applied)
{
	struct attempt_spec spec = {.action = "lagging", .hold = true, .timeout_ms = patient(2000)};
	struct seen s;

	seen_open(&s, "bad", -1);
	run_spec(&s, &spec);
	ck_assert_int_eq(s.end.outcome, ATTEMPT_CLEAN);
	ck_assert_int_eq(s.end.phase, PHASE_VERIFY);
	ck_assert_int_eq(s.end.rc, RESITE_ERR_TRANSIENT);
	ck_assert_str_eq(s.text, "not verified within the time: not yet");
	seen_close(&s);
	seen_open(&s, "noop", -1);
	spec = (struct attempt_spec){.action = "probed-done", .hold = true};
	run_spec(&s, &spec);
	ck_assert_int_eq(s.end.rc, RESITE_OK);
	ck_assert_int_eq(s.end.phase, PHASE_VERIFY); /* and no probe after it */
	ck_assert_uint_eq(s.n_undo, 0);
	seen_close(&s);
}
END_TEST

START_TEST(where_only_looking_is_allowed_what_probes_converged_is_not_verified)
{
	struct attempt_spec spec = {.action = "lagging", .phases = PHASES_PREVIEW};
	struct seen s;

	seen_open(&s, "bad", -1);
	run_spec(&s, &spec);
	ck_assert_int_eq(s.end.rc, RESITE_OK);
	ck_assert_int_eq(s.end.phase, PHASE_PROBE);
	seen_close(&s);
}
END_TEST

START_TEST(a_flood_of_output_is_counted_and_dropped)
{
	struct rusage before, after;
	struct seen s;

	getrusage(RUSAGE_SELF, &before);
	run_bad(&s, "flood-output", ATTEMPT_CLEAN);
	ck_assert_uint_le(s.n_logs, 10000 + 1);
	ck_assert_uint_gt(s.end.dropped, 30000);
	getrusage(RUSAGE_SELF, &after);
	/* valgrind keeps what is freed. */
	if (!getenv("RESITE_UNDER_VALGRIND"))
		ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 8 * 1024);
	seen_close(&s);
}
END_TEST

START_TEST(a_flood_of_messages_is_dropped)
{
	struct seen s;

	run_bad(&s, "flood-messages", ATTEMPT_CLEAN);
	ck_assert_uint_le(s.n_messages, 10000 + 10);
	seen_close(&s);
}
END_TEST

START_TEST(what_an_attempt_leaves_in_its_group_is_killed)
{
	int64_t start = clock_mono_ms();
	struct seen s;

	run_bad(&s, "left-behind", ATTEMPT_CLEAN);
	ck_assert_int_eq(s.end.rc, RESITE_OK);
	ck_assert_int_lt(clock_mono_ms() - start, 15000);
	seen_close(&s);
}
END_TEST

START_TEST(a_daemon_that_keeps_the_pipes_does_not_hold_up_the_end)
{
	int64_t start = clock_mono_ms();
	struct seen s;
	int pid = 0;

	run_bad(&s, "daemonizes", ATTEMPT_CLEAN);
	ck_assert_int_lt(clock_mono_ms() - start, 15000);
	if (sscanf(s.logs.buf, "daemon %d", &pid) == 1 && pid > 1)
		kill(pid, SIGKILL);
	seen_close(&s);
}
END_TEST

START_TEST(an_attempt_has_no_descriptor_but_its_own_and_the_lock)
{
	FILE *lock = tmpfile(), *other = tmpfile();
	struct seen s;

	seen_open(&s, "bad", fileno(lock));
	run_action(&s, "tell-fds");
	ck_assert_str_eq(s.logs.buf, "fd 0\nfd 1\nfd 2\nfd 3\nfd 4\n");
	seen_close(&s);
	seen_open(&s, "bad", -1);
	run_action(&s, "tell-fds");
	ck_assert_str_eq(s.logs.buf, "fd 0\nfd 1\nfd 2\nfd 3\n");
	seen_close(&s);
	fclose(lock);
	fclose(other);
}
END_TEST

START_TEST(the_runs_lock_is_held_until_the_last_attempt_is_gone)
{
	FILE *lock = tmpfile();
	char path[64];
	struct seen s;
	int second;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fileno(lock));
	second = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(flock(fileno(lock), LOCK_EX | LOCK_NB), 0);
	seen_open(&s, "bad", fileno(lock));
	fclose(lock);
	ck_assert_int_lt(flock(second, LOCK_EX | LOCK_NB), 0);
	seen_close(&s);
	ck_assert_int_eq(flock(second, LOCK_EX | LOCK_NB), 0);
	close(second);
}
END_TEST

/* --- the nursery itself ---------------------------------------------------------------------- */

/* The child that was started last. */
static pid_t
nursery_pid(void)
{
	FILE *f = fopen("/proc/thread-self/children", "r");
	int pid = 0;

	ck_assert(f != NULL);
	while (fscanf(f, "%d", &pid) == 1)
		;
	fclose(f);
	ck_assert_int_gt(pid, 1);
	return pid;
}

START_TEST(a_lost_nursery_takes_its_attempts_along)
{
	struct attempt_spec spec = {.action = "hang"};
	struct seen s;

	seen_open(&s, "bad", -1);
	start_spec(&s, &spec);
	while (!said(&s, "begin"))
		uv_run(&s.loop, UV_RUN_ONCE);
	kill(nursery_pid(), SIGKILL);
	while (!s.lost)
		uv_run(&s.loop, UV_RUN_ONCE);
	ck_assert(s.ended);
	ck_assert_int_eq(s.end.outcome, ATTEMPT_LOST);
	ck_assert_msg(strstr(s.lost_text, "killed by signal 9") != NULL, "%s", s.lost_text);
	seen_close(&s);
}
END_TEST

START_TEST(stopping_the_nursery_ends_what_runs)
{
	struct attempt_spec spec = {.action = "polite-hang"};
	struct seen s;

	seen_open(&s, "bad", -1);
	s.stop_at_begin = true;
	start_spec(&s, &spec);
	while (!s.ended)
		uv_run(&s.loop, UV_RUN_ONCE);
	ck_assert_int_eq(s.end.outcome, ATTEMPT_LOST);
	uv_run(&s.loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&s.loop), 0);
	strbuf_release(&s.messages);
	strbuf_release(&s.logs);
}
END_TEST

#define EXEC "plugins/exec/.libs/exec"

START_TEST(a_command_runs_in_an_attempt)
{
	json_t *params = json_pack("{s:[s,s],s:b,s:[i]}", "apply", "/bin/echo", "hello", "shell",
				   0, "ok_codes", 0);
	struct attempt_spec spec = {.action = "run", .params = params};
	struct seen s;

	seen_open(&s, EXEC, -1);
	run_spec(&s, &spec);
	ck_assert_int_eq(s.end.outcome, ATTEMPT_CLEAN);
	ck_assert_int_eq(s.end.rc, RESITE_OK);
	ck_assert(said(&s, "{\"kind\":\"output\",\"name\":\"stdout\",\"value\":\"hello\"}"));
	json_decref(params);
	seen_close(&s);
}
END_TEST

/* Waits until pid is gone; an init that does not reap leaves a zombie. */
static bool
dies(int pid)
{
	char path[64], state = 0;

	for (int i = 0; i < 200; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		f = fopen(path, "r");
		if (!f || fscanf(f, "%*d %*s %c", &state) != 1)
			state = 'X';
		if (f)
			fclose(f);
		if (state == 'X' || state == 'Z')
			return true;
		usleep(10000);
	}
	return false;
}

START_TEST(a_command_dies_with_the_nursery)
{
	json_t *params = json_pack("{s:[s],s:b,s:[i]}", "apply", "echo pid $$; exec sleep 100",
				   "shell", 1, "ok_codes", 0);
	struct attempt_spec spec = {.action = "run", .params = params};
	const char *at = NULL;
	struct seen s;

	seen_open(&s, EXEC, -1);
	start_spec(&s, &spec);
	while (!(at = strstr(s.messages.buf, "\"pid ")))
		uv_run(&s.loop, UV_RUN_ONCE);
	kill(nursery_pid(), SIGKILL);
	while (!s.lost)
		uv_run(&s.loop, UV_RUN_ONCE);
	ck_assert_int_eq(s.end.outcome, ATTEMPT_LOST);
	ck_assert(dies(atoi(at + 5)));
	json_decref(params);
	seen_close(&s);
}
END_TEST

START_TEST(a_cancelled_command_and_its_children_are_gone)
{
	json_t *params = json_pack("{s:[s],s:b,s:[i]}", "apply",
				   "trap '' TERM; sleep 100 & echo pid $!; wait; sleep 100", "shell",
				   1, "ok_codes", 0);
	struct attempt_spec spec = {.action = "run", .params = params};
	const char *at = NULL;
	struct seen s;

	seen_open(&s, EXEC, -1);
	start_spec(&s, &spec);
	while (!(at = strstr(s.messages.buf, "\"pid ")))
		uv_run(&s.loop, UV_RUN_ONCE);
	attempt_cancel(s.attempt, "test");
	while (!s.ended)
		uv_run(&s.loop, UV_RUN_ONCE);
	ck_assert(s.end.outcome != ATTEMPT_CLEAN || s.end.rc == RESITE_ERR_CANCELLED);
	ck_assert(dies(atoi(at + 5)));
	json_decref(params);
	seen_close(&s);
}
END_TEST

static const struct {
	const char *plugin, *word;
} unusable[] = {
	{"badmagic", "not a resite plugin: its descriptor has the magic number 0x12345678"},
	{"badmajor", "built for plugin ABI 7, this resite has ABI 0: upgrade resite"},
	{"badminor", "needs plugin ABI 0.99, this resite has 0.3: upgrade resite"},
	{"baddraft", "built against draft 1 of the plugin ABI, this resite is draft 3: rebuild it"},
	{"badname", "the plugin in it is named \"another\""},
	{"badsize", "malformed descriptor"},
	{"badsymbol", "built for plugin ABI 3, this resite has ABI 0: upgrade resite"},
	{"badnone", "not a resite plugin: it has no symbol resite_plugin_v0"},
	{"badcrash", "crashed while loading: killed by signal 11 (Segmentation fault)"},
};

START_TEST(an_unusable_plugin_is_one_clear_refusal)
{
	const char *dirs[] = {"nowhere", "tests/bad/.libs", NULL};
	struct registry *reg = registry_new(worker_path(), dirs);
	struct error err = {0};
	const json_t *hello;
	struct seen s;

	ck_assert_int_eq(registry_describe(reg, unusable[_i].plugin, &hello, &err), E_REFUSED);
	ck_assert_msg(strstr(err.text, unusable[_i].word) != NULL, "%s", err.text);
	registry_free(reg);

	seen_open(&s, unusable[_i].plugin, -1);
	while (!s.lost)
		uv_run(&s.loop, UV_RUN_ONCE);
	ck_assert_msg(strstr(s.lost_text, unusable[_i].word) != NULL, "%s", s.lost_text);
	seen_close(&s);
}
END_TEST

START_TEST(a_plugin_that_hangs_while_loading_is_given_up)
{
	struct seen s;

	seen_open(&s, "badhang", -1);
	while (!s.lost)
		uv_run(&s.loop, UV_RUN_ONCE);
	ck_assert_msg(strstr(s.lost_text, "hung while loading") != NULL, "%s", s.lost_text);
	seen_close(&s);
}
END_TEST

START_TEST(a_plugin_is_described_and_listed)
{
	const char *dirs[] = {"nowhere", "tests/bad/.libs", NULL};
	struct registry *reg = registry_new(worker_path(), dirs);
	const json_t *hello, *actions;
	struct error err = {0};
	bool listed = false;
	char **names;

	ck_assert_msg(registry_describe(reg, "noop", &hello, &err) == 0, "%s", err.text);
	actions = json_object_get(json_object_get(hello, "plugin"), "actions");
	ck_assert_uint_eq(json_array_size(actions), 6);
	ck_assert_str_eq(json_str_or(json_array_get(actions, 1), "name", ""), "nap");
	ck_assert_int_eq(registry_describe(reg, "absent", &hello, &err), E_NOTFOUND);
	ck_assert_msg(strstr(err.text, "no file absent.so in nowhere, tests/bad") != NULL, "%s",
		      err.text);
	ck_assert_int_eq(registry_describe(reg, "../x", &hello, &err), E_INVALID);
	names = registry_names(reg);
	for (size_t i = 0; names[i]; i++)
		listed |= !strcmp(names[i], "noop");
	ck_assert(listed);
	registry_free_names(names);
	registry_free(reg);
}
END_TEST

static Suite *
make_suite(void)
{
	Suite *suite = suite_create("nursery");
	TCase *good = tcase_create("good"), *bad = tcase_create("bad"), *nest = tcase_create("nest");

	tcase_set_timeout(good, 30);
	tcase_set_timeout(bad, 30);
	tcase_set_timeout(nest, 30);
	tcase_add_test(good, an_attempt_runs_and_ends_cleanly);
	tcase_add_test(good, a_held_probe_waits_for_go_and_is_looked_at_again_after);
	tcase_add_test(good, a_held_probe_that_is_stopped_applies_nothing);
	tcase_add_test(good, an_action_without_a_probe_is_held_too);
	tcase_add_test(good, a_preview_only_looks);
	tcase_add_test(good, a_read_only_action_runs_verify_alone);
	tcase_add_test(good, an_undo_record_that_is_not_durable_fails_the_step);
	tcase_add_test(good, revert_pulls_its_records_and_tells_what_was_not_put_back);
	tcase_add_test(good, a_look_names_each_object_that_would_be_put_back);
	tcase_add_test(good, records_that_cannot_be_read_end_the_revert_with_the_reason);
	tcase_add_test(good, a_revert_that_does_not_tell_of_every_record_is_a_bug);
	tcase_add_test(good, an_attempt_without_a_revert_cannot_be_reverted);
	tcase_add_test(good, records_flow_through_in_little_memory);
	tcase_add_test(good, thousands_of_undo_records_arrive_in_few_lines);
	tcase_add_test(good, a_secret_is_handed_over_whole);
	tcase_add_test(good, a_cancelled_attempt_can_still_record_what_it_did);
	tcase_add_test(good, logging_from_other_threads_keeps_every_line_whole);
	tcase_add_test(good, many_attempts_at_once_all_end);
	tcase_add_loop_test(bad, misbehaviour_fails_its_attempt_alone, 0, COUNT_OF(misbehaviour));
	tcase_add_test(bad, one_that_hangs_is_killed_when_its_time_is_over);
	tcase_add_test(bad, one_that_ignores_a_cancel_is_killed);
	tcase_add_test(bad, verify_that_is_never_content_ends_with_the_deadline);
	tcase_add_test(bad, what_probes_converged_is_verified_and_not_applied);
	tcase_add_test(bad, where_only_looking_is_allowed_what_probes_converged_is_not_verified);
	tcase_add_test(bad, a_flood_of_output_is_counted_and_dropped);
	tcase_add_test(bad, a_flood_of_messages_is_dropped);
	tcase_add_test(bad, what_an_attempt_leaves_in_its_group_is_killed);
	tcase_add_test(bad, a_daemon_that_keeps_the_pipes_does_not_hold_up_the_end);
	tcase_add_test(bad, an_attempt_has_no_descriptor_but_its_own_and_the_lock);
	tcase_add_test(nest, the_runs_lock_is_held_until_the_last_attempt_is_gone);
	tcase_add_test(nest, a_lost_nursery_takes_its_attempts_along);
	tcase_add_test(nest, stopping_the_nursery_ends_what_runs);
	tcase_add_test(nest, a_command_runs_in_an_attempt);
	tcase_add_test(nest, a_command_dies_with_the_nursery);
	tcase_add_test(nest, a_cancelled_command_and_its_children_are_gone);
	tcase_add_loop_test(nest, an_unusable_plugin_is_one_clear_refusal, 0, COUNT_OF(unusable));
	tcase_add_test(nest, a_plugin_that_hangs_while_loading_is_given_up);
	tcase_add_test(nest, a_plugin_is_described_and_listed);
	suite_add_tcase(suite, good);
	suite_add_tcase(suite, bad);
	suite_add_tcase(suite, nest);
	return suite;
}

int
main(void)
{
	return run_suite(make_suite());
}
