#include "core/base/base.h"
#include "tests/golden/model.h"

#include <string.h>

static const struct step *
step_of(const struct model *m, uint32_t i)
{
	return &m->run->graph->steps[i];
}

static void
broken(struct model *m, uint32_t i, const char *rule)
{
	if (!m->run->broken.code)
		error_set(&m->run->broken, E_CORRUPT, "at %" PRId64 " ms, event %zu, step %s (%s): %s",
			  m->run->now_ms - VRUN_EPOCH_MS, m->run->n_journal, step_of(m, i)->name,
			  step_state_name(sched_state(m->run->state->sched, i)), rule);
}

/* Takes an attempt, so that jobs and limits matter to it. */
static bool
is_work(const struct model *m, uint32_t i)
{
	return !step_of(m, i)->builtin && (m->run->graph->mode != RESITE_REHEARSAL ||
					   step_of(m, i)->rehearse != REHEARSE_SKIP);
}

static bool
can_probe(const struct model *m, uint32_t i)
{
	return step_of(m, i)->readonly || step_of(m, i)->action->has & SCHEMA_HAS_PROBE;
}

/* Nothing may start. */
static bool
is_stopping(const struct model *m)
{
	for (uint32_t i = 0; i < m->run->graph->n_steps; i++)
		if (m->step[i].stops)
			return true;
	return m->told_to_stop;
}

static bool
dependencies_settled(const struct model *m, uint32_t i)
{
	for (uint32_t k = 0; k < step_of(m, i)->n_after; k++)
		if (!m->step[step_of(m, i)->after[k]].settled)
			return false;
	return true;
}

static uint32_t
limit_used(const struct model *m, uint32_t limit)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < m->run->graph->n_steps; i++)
		for (uint32_t k = 0; m->step[i].open && k < step_of(m, i)->n_limits; k++)
			used += step_of(m, i)->limits[k] == limit;
	return used;
}

static bool
limits_free(const struct model *m, uint32_t i)
{
	for (uint32_t k = 0; k < step_of(m, i)->n_limits; k++) {
		uint32_t limit = step_of(m, i)->limits[k];

		if (limit_used(m, limit) >= m->run->graph->limits[limit].max)
			return false;
	}
	return true;
}

/* Could take its turn at this moment, but for jobs and limits. */
static bool
is_ready(const struct model *m, uint32_t i)
{
	const struct model_step *s = &m->step[i];

	return !s->settled && !s->open && !s->asks && !s->gate && dependencies_settled(m, i) &&
	       s->not_before_ms <= m->run->now_ms;
}

/* --- commands ------------------------------------------------------------ */

static void
check_start(struct model *m, const struct sched_command *c)
{
	const struct model_step *s = &m->step[c->step];
	struct sched *sched = m->run->state->sched;

	if (!is_work(m, c->step))
		broken(m, c->step, "a step without a process was started");
	if (m->open >= m->run->config.jobs)
		broken(m, c->step, "more attempts than jobs");
	if (!limits_free(m, c->step))
		broken(m, c->step, "a limit is passed");
	if (c->attempt != s->attempts + 1)
		broken(m, c->step, "attempts are not numbered one after the other");
	if (s->tries >= (uint32_t)step_of(m, c->step)->retry.attempts)
		broken(m, c->step, "more tries than the plan allows");
	if (s->doubt && !can_probe(m, c->step))
		broken(m, c->step, "applied again without a probe after an unknown end");
	for (uint32_t i = 0; i < m->run->graph->n_steps; i++)
		if (i != c->step && is_ready(m, i) && is_work(m, i) && limits_free(m, i) &&
		    sched_path_ms(sched, i) > sched_path_ms(sched, c->step))
			broken(m, c->step, "a step with a longer path was ready");
}

void
model_command(struct model *m, const struct sched_command *c)
{
	struct model_step *s = &m->step[c->step];

	if (is_stopping(m))
		broken(m, c->step, "it went on after a stop");
	if (!dependencies_settled(m, c->step))
		broken(m, c->step, "it went before a dependency");
	else if (!is_ready(m, c->step))
		broken(m, c->step, "it was not its turn");
	switch (c->kind) {
	case COMMAND_START:
		check_start(m, c);
		s->open = true;
		s->intent = !strcmp(decide_intent(m->run->graph, c->step), "apply");
		s->attempts++;
		s->tries++;
		m->open++;
		break;
	case COMMAND_GATE:
		s->gate = true;
		break;
	case COMMAND_PASS:
		s->settled = true;
		break;
	}
}

/* --- events -------------------------------------------------------------- */

static void
close_attempt(struct model *m, uint32_t i, bool known)
{
	struct model_step *s = &m->step[i];

	s->doubt |= !known && s->intent;
	s->open = s->intent = false;
	m->open--;
}

static void
give_up(struct model *m, uint32_t i)
{
	if (step_of(m, i)->on_failure == ON_FAILURE_CONTINUE)
		m->step[i].settled = true;
	else
		m->step[i].asks = true;
	m->step[i].stops = step_of(m, i)->on_failure == ON_FAILURE_STOP;
}

static int64_t
wait_ms(const struct model *m, uint32_t i, int64_t retry_after_ms)
{
	const struct plan_retry *r = &step_of(m, i)->retry;
	int64_t ms = r->backoff_ms << (m->step[i].tries - 1);

	if (r->max_backoff_ms && ms > r->max_backoff_ms)
		ms = r->max_backoff_ms;
	return ms > retry_after_ms ? ms : retry_after_ms;
}

void
model_ended(struct model *m, uint32_t i, enum sched_outcome outcome, int64_t retry_after_ms)
{
	struct model_step *s = &m->step[i];
	bool again = outcome == OUTCOME_TRANSIENT || outcome == OUTCOME_CONFLICT ||
		     (outcome == OUTCOME_UNKNOWN && can_probe(m, i));

	close_attempt(m, i, outcome != OUTCOME_UNKNOWN);
	if (outcome == OUTCOME_OK)
		s->settled = true;
	else if (outcome == OUTCOME_CANCELLED)
		s->tries--;
	else if (again && s->tries < (uint32_t)step_of(m, i)->retry.attempts)
		s->not_before_ms = m->run->now_ms + wait_ms(m, i, retry_after_ms);
	else
		give_up(m, i);
}

void
model_probed(struct model *m, uint32_t i, bool told, const char *decision)
{
	struct model_step *s = &m->step[i];
	bool apply = !strcmp(decision, "apply");

	if (apply && !told && s->doubt)
		broken(m, i, "applies in doubt though the probe cannot tell");
	if (apply && m->run->graph->mode == RESITE_REHEARSAL &&
	    step_of(m, i)->rehearse != REHEARSE_RUN)
		broken(m, i, "a rehearsal applies");
	s->doubt &= !told;
	s->intent |= apply;
}

static void
go_on(struct model *m)
{
	m->told_to_stop = false;
	for (uint32_t i = 0; i < m->run->graph->n_steps; i++)
		m->step[i].stops = false;
}

void
model_lost(struct model *m)
{
	go_on(m);
	for (uint32_t i = 0; i < m->run->graph->n_steps; i++) {
		if (!m->step[i].open)
			continue;
		close_attempt(m, i, false);
		m->step[i].tries--;
		m->step[i].asks = !can_probe(m, i);
	}
}

static uint32_t
approvals_wanted(const struct model *m, uint32_t i)
{
	return strstr(step_of(m, i)->params, "\"needs\":2") ? 2 : 1;
}

void
model_word(struct model *m, uint32_t i, const char *word)
{
	struct model_step *s = &m->step[i];

	if (!strcmp(word, "stop") || !strcmp(word, "pause")) {
		m->told_to_stop = true;
		return;
	}
	if (!strcmp(word, "continue")) {
		go_on(m);
		return;
	}
	if (!strcmp(word, "approve")) {
		if (!s->gate)
			broken(m, i, "an approval without a gate was taken");
		s->gate = ++s->approvals < approvals_wanted(m, i);
		s->settled = !s->gate;
	} else {
		if (s->open || s->settled || !dependencies_settled(m, i))
			broken(m, i, "a word was taken that cannot apply");
		s->settled = strcmp(word, "retry") != 0;
		s->asks = s->gate = s->stops = false;
		s->tries = 0;
	}
	s->not_before_ms = 0;
	s->doubt = false;
}

/* --- the whole ----------------------------------------------------------- */

static bool
is_settled(enum step_state st)
{
	return st == STEP_DONE || st == STEP_SKIPPED || st == STEP_BY_HAND || st == STEP_FAILED;
}

static bool
fits(const struct model *m, uint32_t i, enum step_state st)
{
	const struct model_step *s = &m->step[i];

	if (s->settled)
		return is_settled(st);
	if (s->open)
		return st == STEP_RUNNING;
	if (s->asks)
		return st == STEP_ASK;
	if (s->gate)
		return st == STEP_GATE;
	if (!dependencies_settled(m, i))
		return st == STEP_WAITING;
	return st == (s->not_before_ms > m->run->now_ms ? STEP_BACKOFF : STEP_READY);
}

/* Nothing is left lying that could go on. */
static void
check_idle(struct model *m, uint32_t i)
{
	if (is_stopping(m) || m->run->over || !is_ready(m, i))
		return;
	if (!is_work(m, i))
		broken(m, i, "its turn was missed, and it needs no job");
	else if (m->open < m->run->config.jobs && limits_free(m, i))
		broken(m, i, "it could run, and was not started");
}

void
model_check(struct model *m)
{
	const struct run_state *state = m->run->state;
	uint32_t count[STEP_FAILED + 1] = {0};

	for (uint32_t i = 0; i < m->run->graph->n_steps; i++) {
		enum step_state st = sched_state(state->sched, i);

		count[st]++;
		if (!fits(m, i, st))
			broken(m, i, "its state is not what the rules say");
		if (state->facts[i].in_doubt != m->step[i].doubt)
			broken(m, i, "its doubt is not what the rules say");
		check_idle(m, i);
	}
	for (int k = STEP_WAITING; k <= STEP_FAILED; k++)
		if (count[k] != sched_count(state->sched, (enum step_state)k))
			broken(m, 0, "the counts do not add up");
	if (sched_stopping(state->sched) != is_stopping(m))
		broken(m, 0, "stopping is not what the rules say");
}
