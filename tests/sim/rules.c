#include "core/base/base.h"
#include "core/engine/sched_parts.h"
#include "tests/sim/rules.h"

#include <string.h>

#define BIT(i) (1u << (i))

static const struct case_step *
step_of(const struct rules_of *of, uint32_t i)
{
	return &of->c->step[i];
}

static void
find_paths(struct rules_of *of)
{
	for (uint32_t i = of->c->n_steps; i-- > 0;) {
		int64_t longest = 0;

		for (uint32_t k = i + 1; k < of->c->n_steps; k++)
			if (step_of(of, k)->after & BIT(i) && of->path_ms[k] > longest)
				longest = of->path_ms[k];
		of->path_ms[i] = longest + step_of(of, i)->weight_ms;
	}
}

static uint32_t
out_of_mode(const struct rules_of *of, int mode)
{
	uint32_t out = 0;

	for (uint32_t i = 0; i < of->c->n_steps; i++)
		out |= step_of(of, i)->modes & MODE_BIT(mode) ? 0 : BIT(i);
	return out;
}

void
rules_begin(const struct sim_case *c, struct rules_of *of, struct rules *ret)
{
	bool rehearsal = c->mode == RESITE_REHEARSAL;

	*of = (struct rules_of){.c = c};
	*ret = (struct rules){0};
	for (uint32_t i = 0; i < c->n_steps; i++) {
		const struct case_step *s = &c->step[i];
		bool skip = rehearsal && s->rehearse == REHEARSE_SKIP;

		of->all |= BIT(i);
		of->work |= s->kind <= KIND_LOOK && !skip ? BIT(i) : 0;
		of->gates |= s->kind == KIND_GATE && !skip ? BIT(i) : 0;
		of->may_apply |= s->kind <= KIND_BLIND &&
				 (!rehearsal || s->rehearse == REHEARSE_RUN) ? BIT(i) : 0;
		of->probes |= s->kind != KIND_BLIND || !(of->may_apply & BIT(i)) ? BIT(i) : 0;
	}
	ret->out = out_of_mode(of, c->mode);
	ret->bound = c->bound & of->may_apply & of->probes;
	find_paths(of);
}

/* --- what could be ------------------------------------------------------- */

static bool
is_free(const struct rules_of *of, const struct rules *r, uint32_t i)
{
	for (uint32_t k = 0; k < of->c->n_limits; k++)
		if (step_of(of, i)->limits & BIT(k) && r->used[k] >= of->c->limit[k])
			return false;
	return true;
}

/* Steps that could start at this moment, but for jobs and limits. */
static uint32_t
ready_steps(const struct rules_of *of, const struct rules *r)
{
	uint32_t maybe = of->all & ~(r->settled | r->open | r->asks | r->waits), ready = 0;

	for (uint32_t left = maybe; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(left);

		if (!(step_of(of, i)->after & ~r->settled) && r->not_before_ms[i] <= r->seen_ms)
			ready |= BIT(i);
	}
	return ready;
}

/* --- commands ------------------------------------------------------------ */

static int64_t
timeout_of(const struct rules_of *of, const struct rules *r, uint32_t i)
{
	int64_t own = step_of(of, i)->timeout_ms, left;

	if (!of->c->deadline_ms)
		return own;
	left = SIM_EPOCH_MS + of->c->deadline_ms - r->seen_ms;
	left = left > 0 ? left : 1;
	return own < left ? own : left;
}

static const char *
check_start(const struct rules_of *of, const struct rules *r, const struct sched_command *c,
	    uint32_t ready)
{
	uint32_t i = c->step;

	uint32_t work = of->work & ~r->out;

	if (!(work & BIT(i)))
		return "a step without a process, or of another mode, was started";
	if (r->n_open >= of->c->jobs)
		return "more attempts than jobs";
	if (!is_free(of, r, i))
		return "a limit is passed";
	if (c->attempt != r->attempts[i] + 1u)
		return "attempts are not numbered one after the other";
	if (r->tries[i] >= step_of(of, i)->tries)
		return "more tries than the plan allows";
	if (r->doubt & ~of->probes & BIT(i))
		return "applied again without a probe after an unknown end";
	if (c->timeout_ms != timeout_of(of, r, i))
		return "its time is not the plan's";
	if (ready & ~work)
		return "a gate or join had to wait for a step with a process";
	for (uint32_t left = ready & ~BIT(i); left; left &= left - 1) {
		uint32_t k = (uint32_t)__builtin_ctz(left);

		if ((of->path_ms[k] > of->path_ms[i] ||
		     (of->path_ms[k] == of->path_ms[i] && k < i)) && is_free(of, r, k))
			return "a step with a longer path was ready";
	}
	return NULL;
}

static void
open_attempt(const struct rules_of *of, struct rules *r, uint32_t i)
{
	r->open |= BIT(i);
	r->intent |= of->may_apply & ~of->probes & BIT(i);
	r->attempts[i]++;
	r->tries[i]++;
	r->n_open++;
	for (uint32_t k = 0; k < of->c->n_limits; k++)
		r->used[k] += step_of(of, i)->limits >> k & 1;
}

const char *
rules_command(const struct rules_of *of, struct rules *r, const struct sched_command *c)
{
	uint32_t ready = ready_steps(of, r), bit = BIT(c->step);
	const char *broken = NULL;

	if (rules_stopping(r))
		return "it went on after a stop";
	if (step_of(of, c->step)->after & ~r->settled)
		return "it went before a dependency";
	if (!(ready & bit))
		return "it was not its turn";
	switch (c->kind) {
	case COMMAND_START:
		broken = check_start(of, r, c, ready);
		open_attempt(of, r, c->step);
		break;
	case COMMAND_GATE:
		if (!(of->gates & ~r->out & bit))
			broken = "a gate opened where none is";
		r->waits |= bit;
		break;
	case COMMAND_PASS:
		if ((of->work | of->gates) & ~r->out & bit)
			broken = "a step was passed over that has work to do";
		r->passed_over |= r->out & bit;
		r->settled |= bit;
		break;
	}
	return broken;
}

/* --- events -------------------------------------------------------------- */

static void
close_attempt(const struct rules_of *of, struct rules *r, uint32_t i, bool known)
{
	if (!known)
		r->doubt |= r->intent & BIT(i);
	r->open &= ~BIT(i);
	r->intent &= ~BIT(i);
	r->n_open--;
	for (uint32_t k = 0; k < of->c->n_limits; k++)
		r->used[k] -= step_of(of, i)->limits >> k & 1;
}

static void
give_up(const struct rules_of *of, struct rules *r, uint32_t i)
{
	uint8_t policy = step_of(of, i)->on_failure;

	if (policy == ON_FAILURE_CONTINUE) {
		r->settled |= BIT(i);
		r->failed |= BIT(i);
	} else {
		r->asks |= BIT(i);
	}
	r->stops |= policy == ON_FAILURE_STOP ? BIT(i) : 0;
}

static int64_t
wait_ms(const struct rules_of *of, const struct rules *r, uint32_t i, int64_t retry_after_ms)
{
	const struct case_step *s = step_of(of, i);
	int64_t ms = (int64_t)s->backoff_ms << (r->tries[i] - 1);

	if (s->max_backoff_ms && ms > s->max_backoff_ms)
		ms = s->max_backoff_ms;
	return ms > retry_after_ms ? ms : retry_after_ms;
}

void
rules_ended(const struct rules_of *of, struct rules *r, uint32_t i, enum sched_outcome outcome,
	    int64_t retry_after_ms)
{
	bool again = outcome == OUTCOME_TRANSIENT || outcome == OUTCOME_CONFLICT ||
		     (outcome == OUTCOME_UNKNOWN && of->probes & BIT(i));

	close_attempt(of, r, i, outcome != OUTCOME_UNKNOWN);
	if (outcome == OUTCOME_OK)
		r->settled |= BIT(i);
	else if (r->out & BIT(i)) /* nobody asks any more how it went */
		r->not_before_ms[i] = 0;
	else if (outcome == OUTCOME_CANCELLED)
		r->tries[i]--;
	else if (again && r->tries[i] < step_of(of, i)->tries)
		r->not_before_ms[i] = r->seen_ms + wait_ms(of, r, i, retry_after_ms);
	else
		give_up(of, r, i);
}

const char *
rules_probed(const struct rules_of *of, struct rules *r, uint32_t i,
	     const struct case_fate *found, const char *decision)
{
	const struct case_step *s = step_of(of, i);
	bool apply = !strcmp(decision, "apply"), doubt = r->doubt & BIT(i);
	/* No more than the plan expects, which must be known. */
	bool expected = found->told ? (s->expect_max < 0 || found->changes <= s->expect_max) &&
				      (s->expect_percent < 0 || 100 * found->changes <=
							s->expect_percent * found->total) :
				      s->expect_max < 0 && s->expect_percent < 0;
	bool left = !found->told || found->changes;
	bool moved = r->bound & BIT(i) && (!found->told || found->moved);

	if (found->told)
		r->doubt &= ~BIT(i);
	if (apply)
		r->intent |= BIT(i);
	if (apply)
		r->bound &= ~BIT(i);
	if (apply && !(of->may_apply & BIT(i)))
		return "applies what may only be looked at";
	if (apply && !found->told && doubt)
		return "applies in doubt though the probe cannot tell";
	if (apply && found->told && !found->changes)
		return "applies though nothing is left to change";
	if (apply && !expected)
		return "applies more than the plan expects, or an unknown number";
	if (apply && moved)
		return "applies what the preview has not found";
	if (!apply && of->may_apply & BIT(i) && left && expected && !moved && (found->told || !doubt))
		return "does not apply what it may";
	return NULL;
}

void
rules_lost(const struct rules_of *of, struct rules *r)
{
	r->hold = HOLD_NONE;
	r->stops = 0;
	for (uint32_t left = r->open; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(left);

		close_attempt(of, r, i, false);
		r->tries[i]--;
		r->asks |= ~of->probes & ~r->out & BIT(i);
	}
}

/* --- words --------------------------------------------------------------- */

static enum hold
hold_of(const struct rules_word *w)
{
	return w->kind == EVENT_PAUSE ? HOLD_PAUSE : w->now ? HOLD_STOP_NOW : HOLD_STOP;
}

static enum rules_answer
judge_run_word(const struct rules_of *of, const struct rules *r, const struct rules_word *w)
{
	switch (w->kind) {
	case EVENT_PAUSE:
		return r->hold == HOLD_NONE ? WORD_IS_TAKEN : r->hold == HOLD_PAUSE ?
					      WORD_IS_SAID : WORD_IS_REFUSED;
	case EVENT_STOP: return r->hold < hold_of(w) ? WORD_IS_TAKEN : WORD_IS_SAID;
	case EVENT_MODE:
		return of->c->mode != RESITE_PLANNED ? WORD_IS_REFUSED :
		       r->switched ? WORD_IS_SAID : WORD_IS_TAKEN;
	case EVENT_CONTINUE: return rules_stopping(r) ? WORD_IS_TAKEN : WORD_IS_SAID;
	default: return WORD_IS_TAKEN; /* abandon */
	}
}

enum rules_answer
rules_judge(const struct rules_of *of, const struct rules *r, const struct rules_word *w)
{
	uint32_t i = w->step, bit = BIT(i);
	bool settled = r->settled & bit, gate = r->waits & bit, asks = r->asks & bit;
	bool again = r->said[i] == w->kind, open = r->open & bit;
	bool rest = !settled && !open && !asks && !gate;
	bool sleeps = rest && r->not_before_ms[i] > r->seen_ms;
	bool turn = sleeps || (rest && !(step_of(of, i)->after & ~r->settled));

	switch (w->kind) {
	case EVENT_APPROVE:
		if (settled && again)
			return WORD_IS_SAID;
		return gate && !(r->approved[i] & BIT(w->actor)) ? WORD_IS_TAKEN : WORD_IS_REFUSED;
	case EVENT_RETRY:
		if (again && (open || (turn && !sleeps)))
			return WORD_IS_SAID;
		return asks || sleeps ? WORD_IS_TAKEN : WORD_IS_REFUSED;
	case EVENT_SKIP:
	case EVENT_BY_HAND:
		if (settled && again)
			return WORD_IS_SAID;
		return gate || asks || turn ? WORD_IS_TAKEN : WORD_IS_REFUSED;
	default: return judge_run_word(of, r, w);
	}
}

static void
take_step_word(const struct rules_of *of, struct rules *r, const struct rules_word *w)
{
	uint32_t i = w->step;

	r->said[i] = (uint8_t)w->kind;
	if (w->kind == EVENT_APPROVE) {
		r->approved[i] |= (uint8_t)BIT(w->actor);
		if (__builtin_popcount(r->approved[i]) < step_of(of, i)->needs)
			return;
	}
	if (w->kind == EVENT_RETRY) {
		r->tries[i] = 0;
		r->bound &= ~BIT(i);
	} else {
		r->settled |= BIT(i);
	}
	r->asks &= ~BIT(i);
	r->stops &= ~BIT(i);
	r->waits &= ~BIT(i);
	r->doubt &= ~BIT(i);
	r->not_before_ms[i] = 0;
}

/* What was only passed over is to be done; what goes out and has not begun, or waits for
 * a person, will be passed. */
static void
switch_mode(const struct rules_of *of, struct rules *r)
{
	uint32_t out = out_of_mode(of, RESITE_DISASTER), changed = out ^ r->out;

	r->switched = true;
	r->out = out;
	r->settled &= ~(changed & r->passed_over);
	r->passed_over &= ~changed;
	r->asks &= ~changed;
	r->stops &= ~changed;
	r->waits &= ~changed;
	for (uint32_t left = changed & ~r->settled & ~r->open; left; left &= left - 1)
		r->not_before_ms[__builtin_ctz(left)] = 0;
}

void
rules_take(const struct rules_of *of, struct rules *r, const struct rules_word *w)
{
	switch (w->kind) {
	case EVENT_PAUSE:
	case EVENT_STOP: r->hold = hold_of(w); break;
	case EVENT_CONTINUE:
		r->hold = HOLD_NONE;
		r->stops = 0;
		break;
	case EVENT_MODE: switch_mode(of, r); break;
	case EVENT_ABANDON: break;
	default: take_step_word(of, r, w); break;
	}
}

/* --- the whole ----------------------------------------------------------- */

/* The steps that the real state has in each state. */
struct seen {
	uint32_t in[STEP_FAILED + 1];
};

/* What each step must be in: the bits that differ from what was seen. */
static uint32_t
misplaced(const struct rules_of *of, const struct rules *r, const struct seen *seen)
{
	uint32_t rest = of->all & ~(r->settled | r->open | r->asks | r->waits), wrong;

	wrong = (r->settled ^ (seen->in[STEP_DONE] | seen->in[STEP_SKIPPED] |
			       seen->in[STEP_BY_HAND] | seen->in[STEP_FAILED])) |
		(r->failed ^ seen->in[STEP_FAILED]) | (r->open ^ seen->in[STEP_RUNNING]) |
		(r->asks ^ seen->in[STEP_ASK]) | (r->waits ^ seen->in[STEP_GATE]);
	for (uint32_t left = rest; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(left);
		enum step_state st = r->not_before_ms[i] > r->seen_ms ? STEP_BACKOFF :
				     step_of(of, i)->after & ~r->settled ? STEP_WAITING :
									   STEP_READY;

		wrong |= BIT(i) & ~seen->in[st];
	}
	return wrong;
}

/* Nothing is left lying that could go on. */
static const char *
check_idle(const struct rules_of *of, const struct rules *r, uint32_t *ret_step)
{
	uint32_t ready = ready_steps(of, r);

	if (rules_stopping(r))
		return NULL;
	for (uint32_t left = ready; left; left &= left - 1) {
		uint32_t i = *ret_step = (uint32_t)__builtin_ctz(left);

		if (!(of->work & ~r->out & BIT(i)))
			return "its turn was missed, and it needs no job";
		if (r->n_open < of->c->jobs && is_free(of, r, i))
			return "it could run, and was not started";
	}
	return NULL;
}

static const char *
say(uint32_t wrong, uint32_t *ret_step, const char *rule)
{
	*ret_step = wrong ? (uint32_t)__builtin_ctz(wrong) : 0;
	return rule;
}

/* What is counted of a step. */
static const char *
check_counts(const struct rules_of *of, const struct rules *r, const struct run_state *state,
	     uint32_t i)
{
	const struct node *n = &state->sched->node[i];

	if (n->attempts != r->attempts[i])
		return "its attempts are not what the rules say";
	if (n->state == STEP_GATE &&
	    n->needs + __builtin_popcount(r->approved[i]) != step_of(of, i)->needs)
		return "its approvals are not what the rules say";
	if (state->facts[i].undo_records != r->undo[i])
		return "an undo record is lost, or not its own";
	return NULL;
}

static const char *
check_steps(const struct rules_of *of, const struct rules *r, const struct run_state *state,
	    uint32_t *ret_step)
{
	struct seen seen = {{0}};
	uint32_t wrong, doubt = 0, intent = 0, bound = 0;

	for (uint32_t i = 0; i < of->c->n_steps; i++) {
		const struct step_facts *f = &state->facts[i];

		seen.in[state->sched->node[i].state] |= BIT(i);
		doubt |= (uint32_t)f->in_doubt << i;
		intent |= (uint32_t)f->intent << i;
		bound |= (uint32_t)(f->previewed != NULL) << i;
	}
	wrong = misplaced(of, r, &seen);
	if (wrong)
		return say(wrong, ret_step, "its state is not what the rules say");
	if (doubt ^ r->doubt)
		return say(doubt ^ r->doubt, ret_step, "its doubt is not what the rules say");
	if (intent ^ r->intent)
		return say(intent ^ r->intent, ret_step, "its intent is not what the rules say");
	wrong = (bound ^ r->bound) & of->may_apply & of->probes;
	return wrong ? say(wrong, ret_step, "it is not bound to its preview as the rules say") :
		       NULL;
}

const char *
rules_check(const struct rules_of *of, const struct rules *r, const struct run_state *state,
	    bool acting, uint32_t *ret_step)
{
	/* The counts of a step that rests have no reason to change; all are looked at when
	 * the run itself rests. */
	uint32_t left = acting ? r->open | r->waits | r->asks : of->all;
	const char *broken = check_steps(of, r, state, ret_step);

	for (; !broken && left; left &= left - 1) {
		*ret_step = (uint32_t)__builtin_ctz(left);
		broken = check_counts(of, r, state, *ret_step);
	}
	if (broken)
		return broken;
	if (sched_stopping(state->sched) != rules_stopping(r) || state->hold != r->hold)
		return say(0, ret_step, "stopping is not what the rules say");
	return acting ? check_idle(of, r, ret_step) : NULL;
}
