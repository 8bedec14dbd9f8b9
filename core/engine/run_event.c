#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/engine/run_event.h"

#include <string.h>

static void
read_run_started(const json_t *j, struct run_event *e)
{
	e->value = json_object_get(j, "previewed");
	e->rehearsal = json_object_get(j, "rehearsal");
}

static void
read_residue(const json_t *j, struct run_event *e)
{
	e->value = (json_t *)(uintptr_t)j;
}

static void
read_run_ended(const json_t *j, struct run_event *e)
{
	e->text = json_str_or(j, "outcome", "?");
}

static void
read_started(const json_t *j, struct run_event *e)
{
	const char *intent = json_str_or(j, "intent", "");

	e->apply = !strcmp(intent, "apply");
	e->revert = !strcmp(intent, "revert");
}

static void
read_probed(const json_t *j, struct run_event *e)
{
	e->told = json_bool_or(j, "told", false);
	e->apply = !strcmp(json_str_or(j, "decision", ""), "apply");
	e->changes = (uint64_t)json_int_or(j, "changes", 0);
	e->total = (uint64_t)json_int_or(j, "total", 0);
	e->text = json_str_or(j, "now", "");
	e->value = json_object_get(j, "losses");
}

static void
read_undo(const json_t *j, struct run_event *e)
{
	e->records = (uint64_t)json_int_or(j, "n", 0);
}

static void
read_reverted(const json_t *j, struct run_event *e)
{
	e->put_back = (uint64_t)json_int_or(j, "put_back", 0);
	e->already = (uint64_t)json_int_or(j, "already", 0);
	e->value = json_object_get(j, "conflicts");
}

static void
read_passed(const json_t *j, struct run_event *e)
{
	e->text = json_str_or(j, "why", NULL);
}

static void
read_checkpoint(const json_t *j, struct run_event *e)
{
	e->name = json_str_or(j, "name", "");
	e->data = json_str_or(j, "data", "");
}

static void
read_output(const json_t *j, struct run_event *e)
{
	e->name = json_str_or(j, "name", "");
	e->value = json_object_get(j, "value");
}

static void
read_ended(const json_t *j, struct run_event *e)
{
	const char *text = json_str_or(j, "text", "");

	e->outcome = sched_outcome_from_name(json_str_or(j, "outcome", ""));
	e->retry_after_ms = json_int_or(j, "retry_after_ms", 0);
	e->text = *text ? text : json_str_or(j, "why", "");
}

static void
read_gate(const json_t *j, struct run_event *e)
{
	e->text = json_str_or(j, "text", "");
}

static void
read_word(const json_t *j, struct run_event *e)
{
	const char *made = json_str_or(j, "made", NULL);

	e->actor = json_str_or(j, "actor", "?");
	e->reason = json_str_or(j, "reason", NULL);
	e->now = json_bool_or(j, "now", false);
	e->made_ms = made ? clock_parse_utc(made) : 0;
}

static void
read_mode(const json_t *j, struct run_event *e)
{
	read_word(j, e);
	e->mode = mode_parse(json_str_or(j, "mode", NULL));
}

enum of { OF_RUN, OF_STEP, OF_ATTEMPT };

static const struct {
	const char *name;
	enum of of;
	void (*read)(const json_t *, struct run_event *); /* NULL: nothing more to read */
} kinds[EVENT_KINDS] = {
	[EVENT_RUN_STARTED] = {"run.started", OF_RUN, read_run_started},
	[EVENT_RUN_RESUMED] = {"run.resumed", OF_RUN, NULL},
	[EVENT_RUN_PAUSED] = {"run.paused", OF_RUN, NULL},
	[EVENT_RUN_STOPPED] = {"run.stopped", OF_RUN, NULL},
	[EVENT_RUN_ENDED] = {"run.ended", OF_RUN, read_run_ended},
	[EVENT_ATTEMPT_STARTED] = {"attempt.started", OF_ATTEMPT, read_started},
	[EVENT_ATTEMPT_PROBED] = {"attempt.probed", OF_ATTEMPT, read_probed},
	[EVENT_ATTEMPT_UNDO] = {"attempt.undo", OF_ATTEMPT, read_undo},
	[EVENT_ATTEMPT_REVERTED] = {"attempt.reverted", OF_ATTEMPT, read_reverted},
	[EVENT_ATTEMPT_CHECKPOINT] = {"attempt.checkpoint", OF_ATTEMPT, read_checkpoint},
	[EVENT_ATTEMPT_OUTPUT] = {"attempt.output", OF_ATTEMPT, read_output},
	[EVENT_ATTEMPT_ENDED] = {"attempt.ended", OF_ATTEMPT, read_ended},
	[EVENT_GATE_OPENED] = {"gate.opened", OF_STEP, read_gate},
	[EVENT_STEP_PASSED] = {"step.passed", OF_STEP, read_passed},
	[EVENT_APPROVE] = {"operator.approve", OF_STEP, read_word},
	[EVENT_RETRY] = {"operator.retry", OF_STEP, read_word},
	[EVENT_SKIP] = {"operator.skip", OF_STEP, read_word},
	[EVENT_BY_HAND] = {"operator.by-hand", OF_STEP, read_word},
	[EVENT_PAUSE] = {"operator.pause", OF_RUN, read_word},
	[EVENT_STOP] = {"operator.stop", OF_RUN, read_word},
	[EVENT_CONTINUE] = {"operator.continue", OF_RUN, read_word},
	[EVENT_MODE] = {"operator.mode", OF_RUN, read_mode},
	[EVENT_ABANDON] = {"operator.abandon", OF_RUN, read_word},
	[EVENT_REFUSED] = {"operator.refused", OF_RUN, NULL},
	[EVENT_RUN_TOOK] = {"run.took", OF_RUN, NULL},
	[EVENT_RESIDUE] = {"rehearsal.residue", OF_RUN, read_residue},
};

static int
find_step(const json_t *event, const json_t *index, struct run_event *e, struct error *err)
{
	const char *name = json_str_or(event, "step", "");
	const json_t *number = json_object_get(index, name);

	if (!number)
		return error_set(err, E_NOTFOUND, "the run has no step '%s'", name);
	e->step = (uint32_t)json_integer_value(number);
	return 0;
}

int
run_event_read(const json_t *event, const json_t *index, struct run_event *ret, struct error *err)
{
	const char *name = json_str_or(event, "kind", "?");
	struct run_event e = {.step = SCHED_NONE};
	int rc = 0;

	while (e.kind < EVENT_KINDS && strcmp(kinds[e.kind].name, name))
		e.kind++;
	if (e.kind == EVENT_KINDS)
		return error_set(err, E_INVALID, "event kind '%s' is not known here", name);
	if (kinds[e.kind].of != OF_RUN)
		rc = find_step(event, index, &e, err);
	if (rc < 0)
		return rc;
	if (kinds[e.kind].of == OF_ATTEMPT)
		e.attempt = (uint32_t)json_int_or(event, "attempt", 0);
	if (kinds[e.kind].read)
		kinds[e.kind].read(event, &e);
	*ret = e;
	return 0;
}

const char *
run_event_name(enum event_kind kind)
{
	return kinds[kind].name;
}

bool
run_event_of_step(enum event_kind kind)
{
	return kinds[kind].of != OF_RUN;
}

bool
run_event_of_attempt(enum event_kind kind)
{
	return kinds[kind].of == OF_ATTEMPT;
}
