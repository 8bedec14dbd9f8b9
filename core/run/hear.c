#include "core/base/base.h"
#include "core/base/log.h"
#include "core/engine/words.h"
#include "core/run/hear.h"
#include "core/run/orchestra.h"
#include "core/run/signed.h"

#include <string.h>
#include <unistd.h>

/* An allowed word becomes durable, then it has its effect. */
static int
obey(struct run *run, json_t *event, struct error *err)
{
	int rc = run_try_record(run, event, err);

	if (rc < 0) {
		run_halt(run, err);
		return rc;
	}
	run->paused_said = false; /* should it pause again, that is told again */
	run_commit(run);
	/* After the commit: no attempt is left that is still to be started. */
	if (run->l->state->hold == HOLD_STOP_NOW)
		attempts_cancel_all(run, "a person stopped the run");
	else
		attempts_cancel_out(run, "it is not in the run's mode any more");
	return run->halted ? error_set(err, run->why.code, "%s", run->why.text) : 0;
}

json_t *
hear_refused(const json_t *word, const struct error *why)
{
	return json_pack("{s:s, s:s, s:s, s:s*, s:o}", "kind", "operator.refused", "actor",
			 json_str_or(word, "actor", "?"), "word",
			 strchr(json_str_or(word, "kind", "."), '.') + 1, "step",
			 json_str_or(word, "step", NULL), "why", json_string_lossy(why->text));
}

static bool
is_signed(const json_t *event)
{
	return json_object_get(event, "document") != NULL;
}

static int
judge(struct run *run, json_t *event, struct control_answer *answer, struct error *err)
{
	struct loaded *l = run->l;
	int rc = is_signed(event) ? signed_check(l->state, run->store, l->run, l->first,
						 run_now_ms(run), event, err) : 0;

	if (rc == 0)
		rc = word_judge_json(l->state, event, run_now_ms(run), answer->text, err);
	if (rc == 0)
		rc = load_check_word(l, event, err);
	answer->said = rc == 0 && *answer->text;
	return rc;
}

int
hear_word(void *ctx, json_t *event, struct control_answer *answer, struct error *err)
{
	const struct word *w = word_find(json_str_or(event, "kind", ""));
	struct run *run = ctx;
	int rc;

	if (run->halted || run->over)
		return error_set(err, E_REFUSED, "the run is ending: say it again when it has");
	if (w->flags & WORD_AT_REST)
		return error_set(err, E_REFUSED, "process %ld works on the run: resite stop %s first",
				 (long)getpid(), run->l->run);
	rc = judge(run, event, answer, err);
	if (rc == E_REFUSED && w->kind == EVENT_APPROVE && !run->l->state->ended) {
		run_record(run, hear_refused(event, err));
		run_commit(run);
	}
	if (rc < 0 || answer->said)
		return rc;
	rc = obey(run, event, err);
	if (rc == 0)
		word_answer(run->l->state, event, answer->text);
	return rc;
}

void
hear_signal(uv_signal_t *handle, int signum)
{
	struct run *run = handle->data;
	bool again = ++run->interrupts > 1;
	json_t *event = event_new("operator.stop", NULL);
	struct error err = {0};

	run_log(run, SCHED_NONE, LOG_WARN, again ? "%s again: the running steps are cancelled" :
		"%s: running steps end, no new ones start (once more: cancel them)",
		strsignal(signum));
	if (event) {
		run_sign(event);
		json_object_set_new(event, "reason", json_string(strsignal(signum)));
	}
	if (event && again)
		json_object_set_new(event, "now", json_true());
	if (!run->halted && event && run->l->state->hold < (again ? HOLD_STOP_NOW : HOLD_STOP))
		obey(run, event, &err);
	else if (again)
		attempts_cancel_all(run, "interrupted");
	json_decref(event);
}
