#include "core/base/base.h"
#include "core/engine/sched_parts.h"

#include <string.h>

/* Steps without a process. */
#define PROMPT (SCHED_GATE | SCHED_INSTANT | SCHED_OUT | SCHED_IF)

/* Where a READY step is that waits for no limit. */
static struct heap *
ready_heap(struct sched *s, uint32_t step)
{
	return s->node[step].flags & PROMPT ? &s->prompt : &s->ready;
}

void
sched__set_state(struct sched *s, uint32_t step, enum step_state state)
{
	s->count[s->node[step].state]--;
	s->node[step].state = (uint8_t)state;
	s->count[state]++;
}

void
sched__make_ready(struct sched *s, uint32_t step)
{
	/* A dependency may have come back since it was ready first (sched_refile). */
	if (s->node[step].blockers) {
		sched__set_state(s, step, STEP_WAITING);
		return;
	}
	sched__set_state(s, step, STEP_READY);
	s->node[step].waits_for = NO_LIMIT;
	heap_push(ready_heap(s, step), step);
}

/* --- limits -------------------------------------------------------------- */

/* Takes all limits of step, or none and files it under the first that is full. */
static bool
take_limits(struct sched *s, uint32_t step)
{
	uint32_t first = s->node[step].first_limit, end = s->node[step + 1].first_limit;

	for (uint32_t k = first; k < end; k++) {
		struct limit *l = &s->limit[s->limit_of[k]];

		if (l->used < l->max)
			continue;
		s->node[step].waits_for = s->limit_of[k];
		heap_push(&l->waiting, step);
		return false;
	}
	for (uint32_t k = first; k < end; k++)
		s->limit[s->limit_of[k]].used++;
	return true;
}

static void
give_limits(struct sched *s, uint32_t step)
{
	for (uint32_t k = s->node[step].first_limit; k < s->node[step + 1].first_limit; k++) {
		struct limit *l = &s->limit[s->limit_of[k]];

		l->used--;
		if (l->waiting.len) {
			uint32_t next = heap_pop(&l->waiting);

			s->node[next].waits_for = NO_LIMIT;
			heap_push(&s->ready, next);
		}
	}
}

/* A READY step leaves the list it is in. */
void
sched__unlist(struct sched *s, uint32_t step)
{
	uint16_t limit = s->node[step].waits_for;

	if (limit == NO_LIMIT)
		heap_remove(ready_heap(s, step), step);
	else
		heap_remove(&s->limit[limit].waiting, step);
	s->node[step].waits_for = NO_LIMIT;
}

/* step was woken for a place that it does not take: the next one may try. */
void
sched__pass_on(struct sched *s, uint32_t step)
{
	for (uint32_t k = s->node[step].first_limit; k < s->node[step + 1].first_limit; k++) {
		struct limit *l = &s->limit[s->limit_of[k]];

		if (l->waiting.len && l->used < l->max) {
			uint32_t next = heap_pop(&l->waiting);

			s->node[next].waits_for = NO_LIMIT;
			heap_push(&s->ready, next);
		}
	}
}

/* --- the way of a step --------------------------------------------------- */

/* step will not block its dependents any more. */
void
sched__settle(struct sched *s, uint32_t step, enum step_state state)
{
	sched__set_state(s, step, state);
	for (uint32_t e = s->node[step].first_out; e < s->node[step + 1].first_out; e++)
		if (--s->node[s->out[e]].blockers == 0 &&
		    s->node[s->out[e]].state == STEP_WAITING)
			sched__make_ready(s, s->out[e]);
}

/* A step without a process is done as soon as it is ready. */
static void
pass(struct sched *s, uint32_t step)
{
	s->node[step].passed_over = s->node[step].flags & SCHED_OUT;
	sched__settle(s, step, STEP_DONE);
}

static bool
is_gate(const struct node *n)
{
	return n->flags & SCHED_GATE && !(n->flags & SCHED_OUT);
}

static void
give_up(struct sched *s, uint32_t step)
{
	switch (s->node[step].policy) {
	case POLICY_CONTINUE:
		sched__settle(s, step, STEP_FAILED);
		return;
	case POLICY_STOP:
		s->node[step].stops = true;
		s->stoppers++;
		break;
	}
	sched__set_state(s, step, STEP_ASK);
}

/* A person has answered for step: it stops the run no longer. */
void
sched__answered(struct sched *s, uint32_t step)
{
	s->stoppers -= s->node[step].stops;
	s->node[step].stops = false;
}

static int64_t
backoff(const struct node *n, int64_t retry_after_ms)
{
	int64_t ms = n->backoff_ms;

	for (uint32_t i = 1; i < n->tries && ms < INT64_MAX / 4; i++)
		ms *= 2;
	if (n->max_backoff_ms && ms > n->max_backoff_ms)
		ms = n->max_backoff_ms;
	return ms > retry_after_ms ? ms : retry_after_ms;
}

static void
try_again(struct sched *s, uint32_t step, int64_t wait_ms, int64_t now_ms)
{
	if (wait_ms <= 0) {
		sched__make_ready(s, step);
		return;
	}
	sched__set_state(s, step, STEP_BACKOFF);
	/* A plugin may ask for any wait; "for ever" is one that a person ends. */
	s->wake_key[step] = wait_ms < INT64_MAX - 1 - now_ms ? -(now_ms + wait_ms) : -(INT64_MAX - 1);
	heap_push(&s->sleeping, step);
}

void
sched_time(struct sched *s, int64_t now_ms)
{
	if (now_ms > s->now_ms)
		s->now_ms = now_ms;
	while (s->sleeping.len && -s->wake_key[s->sleeping.item[0]] <= s->now_ms)
		sched__make_ready(s, heap_pop(&s->sleeping));
}

int64_t
sched_wake_ms(const struct sched *s)
{
	return s->sleeping.len && !sched_stopping(s) ? -s->wake_key[s->sleeping.item[0]] : INT64_MAX;
}

static int64_t
attempt_timeout(const struct sched *s, uint32_t step)
{
	int64_t own = s->node[step].timeout_ms, left;

	if (!s->deadline_ms)
		return own;
	left = s->deadline_ms > s->now_ms ? s->deadline_ms - s->now_ms : 1;
	return own && own < left ? own : left;
}

static void
open_attempt(struct sched *s, uint32_t step)
{
	sched__set_state(s, step, STEP_RUNNING);
	s->running++;
	s->node[step].attempts++;
	s->node[step].tries++;
}

void
sched_set_decider(struct sched *s, bool (*decide)(void *ctx, uint32_t step), void *ctx)
{
	s->decide = decide;
	s->decide_ctx = ctx;
}

static bool
is_undecided(const struct node *n)
{
	return n->flags & SCHED_IF && !(n->flags & SCHED_OUT);
}

/* A READY step's condition is decided: it is filed anew. */
static void
decided(struct sched *s, uint32_t step, bool go)
{
	s->node[step].flags &= (uint8_t)~SCHED_IF;
	if (!go)
		s->node[step].flags = (uint8_t)((s->node[step].flags & ~SCHED_GATE) | SCHED_INSTANT);
	heap_push(ready_heap(s, step), step);
}

/* A gate opens, a join point is passed: neither takes a job or a limit. */
static void
take_prompt(struct sched *s, struct sched_command *ret)
{
	uint32_t step = heap_pop(&s->prompt);

	s->node[step].untold = true;
	if (is_gate(&s->node[step])) {
		*ret = (struct sched_command){.kind = COMMAND_GATE, .step = step};
		sched__set_state(s, step, STEP_GATE);
	} else {
		*ret = (struct sched_command){.kind = COMMAND_PASS, .step = step};
		pass(s, step);
	}
}

bool
sched_next(struct sched *s, struct sched_command *ret)
{
	if (sched_stopping(s))
		return false;
	while (s->prompt.len && is_undecided(&s->node[s->prompt.item[0]])) {
		uint32_t step = heap_pop(&s->prompt);

		decided(s, step, !s->decide || s->decide(s->decide_ctx, step));
	}
	if (s->prompt.len) {
		take_prompt(s, ret);
		return true;
	}
	while (s->ready.len && s->running < s->jobs) {
		uint32_t step = heap_pop(&s->ready);

		if (!take_limits(s, step)) {
			sched__pass_on(s, step);
			continue;
		}
		open_attempt(s, step);
		s->node[step].untold = true;
		*ret = (struct sched_command){.kind = COMMAND_START, .step = step,
					      .attempt = s->node[step].attempts,
					      .timeout_ms = attempt_timeout(s, step)};
		return true;
	}
	return false;
}

/* The journal goes on with a step whose condition was true. */
static void
told_of(struct sched *s, uint32_t step)
{
	if (s->node[step].state != STEP_READY || !is_undecided(&s->node[step]))
		return;
	sched__unlist(s, step);
	decided(s, step, true);
}

/* Whether this is the event of the command that sched_next gave last for step. */
static bool
is_told(struct sched *s, uint32_t step, enum step_state state)
{
	bool told = s->node[step].untold && s->node[step].state == state;

	s->node[step].untold = false;
	return told;
}

bool
sched_started(struct sched *s, uint32_t step, uint32_t attempt)
{
	struct node *n = &s->node[step];

	if (n->attempts == attempt && is_told(s, step, STEP_RUNNING))
		return true;
	if (attempt != n->attempts + 1)
		return false;
	/* The journal says that it started, so its backoff was over. */
	if (n->state == STEP_BACKOFF) {
		heap_remove(&s->sleeping, step);
		sched__make_ready(s, step);
	}
	told_of(s, step);
	if (n->state != STEP_READY || n->flags & PROMPT)
		return false;
	sched__unlist(s, step);
	if (!take_limits(s, step)) {
		/* Only a plan with other limits could have started it. */
		sched__unlist(s, step);
		heap_push(&s->ready, step);
		return false;
	}
	open_attempt(s, step);
	return true;
}

bool
sched_gated(struct sched *s, uint32_t step)
{
	if (is_told(s, step, STEP_GATE))
		return true;
	told_of(s, step);
	if (s->node[step].state != STEP_READY || !is_gate(&s->node[step]))
		return false;
	sched__unlist(s, step);
	sched__set_state(s, step, STEP_GATE);
	return true;
}

bool
sched_passed(struct sched *s, uint32_t step)
{
	if (is_told(s, step, STEP_DONE))
		return true;
	if (s->node[step].state != STEP_READY ||
	    !(s->node[step].flags & (SCHED_INSTANT | SCHED_OUT | SCHED_IF)))
		return false;
	sched__unlist(s, step);
	pass(s, step);
	return true;
}

static void
close_attempt(struct sched *s, uint32_t step)
{
	s->running--;
	give_limits(s, step);
}

bool
sched_ended(struct sched *s, uint32_t step, enum sched_outcome outcome, int64_t retry_after_ms,
	    int64_t now_ms)
{
	struct node *n = &s->node[step];

	if (n->state != STEP_RUNNING)
		return false;
	if (now_ms > s->now_ms)
		s->now_ms = now_ms;
	close_attempt(s, step);
	if (n->flags & SCHED_OUT && outcome != OUTCOME_OK) {
		sched__make_ready(s, step);
		return true;
	}
	switch (outcome) {
	case OUTCOME_OK:
		sched__settle(s, step, STEP_DONE);
		return true;
	case OUTCOME_CANCELLED:
		n->tries--;
		sched__make_ready(s, step);
		return true;
	case OUTCOME_UNKNOWN:
		if (!(n->flags & SCHED_CAN_PROBE))
			break;
		/* fall through */
	case OUTCOME_TRANSIENT:
	case OUTCOME_CONFLICT:
		if (n->tries >= n->max_attempts)
			break;
		try_again(s, step, backoff(n, retry_after_ms), s->now_ms);
		return true;
	case OUTCOME_REFUSED:
	case OUTCOME_INVALID:
	case OUTCOME_BUG:
		break;
	}
	give_up(s, step);
	return true;
}

void
sched_lost(struct sched *s)
{
	for (uint32_t i = 0; i < s->n_steps; i++) {
		struct node *n = &s->node[i];

		if (n->state != STEP_RUNNING)
			continue;
		close_attempt(s, i);
		n->tries--;
		if (n->flags & (SCHED_CAN_PROBE | SCHED_OUT))
			sched__make_ready(s, i);
		else
			sched__set_state(s, i, STEP_ASK);
	}
}

/* --- questions ----------------------------------------------------------- */

enum step_state
sched_state(const struct sched *s, uint32_t step)
{
	return (enum step_state)s->node[step].state;
}

uint32_t
sched_attempts(const struct sched *s, uint32_t step)
{
	return s->node[step].attempts;
}

uint32_t
sched_approvals(const struct sched *s, uint32_t step)
{
	return s->node[step].state == STEP_GATE ? s->node[step].needs : 0;
}

int64_t
sched_path_ms(const struct sched *s, uint32_t step)
{
	return s->path_ms[step];
}

enum sched_phase
sched_phase(const struct sched *s)
{
	uint32_t settled = s->count[STEP_DONE] + s->count[STEP_SKIPPED] +
			   s->count[STEP_BY_HAND] + s->count[STEP_FAILED];

	if (settled == s->n_steps)
		return RUN_DONE;
	if (s->running)
		return RUN_ACTIVE;
	if (sched_stopping(s))
		return RUN_STOPPED;
	return s->count[STEP_READY] || s->count[STEP_BACKOFF] ? RUN_ACTIVE : RUN_PAUSED;
}

bool
sched_stopping(const struct sched *s)
{
	return s->told_to_stop || s->stoppers;
}

uint32_t
sched_count(const struct sched *s, enum step_state state)
{
	return s->count[state];
}

size_t
sched_bytes(const struct sched *s)
{
	return s->bytes;
}

const char *
step_state_name(enum step_state state)
{
	static const char *const names[] = {
		[STEP_WAITING] = "waiting", [STEP_READY] = "ready",
		[STEP_RUNNING] = "running", [STEP_BACKOFF] = "backoff",
		[STEP_GATE] = "gate",       [STEP_ASK] = "failed",
		[STEP_DONE] = "done",       [STEP_SKIPPED] = "skipped",
		[STEP_BY_HAND] = "by-hand", [STEP_FAILED] = "failed, passed",
	};

	return names[state];
}

static const char *const outcome_names[] = {
	[OUTCOME_OK] = "ok",           [OUTCOME_TRANSIENT] = "transient",
	[OUTCOME_CONFLICT] = "conflict", [OUTCOME_REFUSED] = "refused",
	[OUTCOME_INVALID] = "invalid", [OUTCOME_BUG] = "bug",
	[OUTCOME_CANCELLED] = "cancelled", [OUTCOME_UNKNOWN] = "unknown",
};

const char *
sched_outcome_name(enum sched_outcome outcome)
{
	return outcome_names[outcome];
}

int
sched_outcome_from_name(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(outcome_names); i++)
		if (!strcmp(outcome_names[i], name))
			return (int)i;
	return -1;
}
