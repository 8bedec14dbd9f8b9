/* What people say to the scheduler: words to a step, stop and continue, another mode. */
#include "core/base/base.h"
#include "core/engine/sched_parts.h"

/* --- operators ----------------------------------------------------------- */

bool
sched_approve(struct sched *s, uint32_t step)
{
	struct node *n = &s->node[step];

	if (n->state != STEP_GATE)
		return false;
	if (--n->needs == 0)
		sched__settle(s, step, STEP_DONE);
	return true;
}

void
sched_unapprove(struct sched *s, uint32_t step)
{
	if (s->node[step].state == STEP_GATE)
		s->node[step].needs++;
}

bool
sched_retry(struct sched *s, uint32_t step)
{
	struct node *n = &s->node[step];

	if (n->state == STEP_BACKOFF)
		heap_remove(&s->sleeping, step);
	else if (n->state != STEP_ASK)
		return false;
	n->tries = 0;
	sched__answered(s, step);
	sched__make_ready(s, step);
	return true;
}

/* A step that is not running and not settled yet is settled by a person. */
static bool
settle_by_word(struct sched *s, uint32_t step, enum step_state state)
{
	switch (s->node[step].state) {
	case STEP_READY:
		sched__unlist(s, step);
		sched__pass_on(s, step);
		break;
	case STEP_BACKOFF:
		heap_remove(&s->sleeping, step);
		break;
	case STEP_ASK:
	case STEP_GATE:
		break;
	default:
		return false;
	}
	sched__answered(s, step);
	sched__settle(s, step, state);
	return true;
}

bool
sched_skip(struct sched *s, uint32_t step)
{
	return settle_by_word(s, step, STEP_SKIPPED);
}

bool
sched_by_hand(struct sched *s, uint32_t step)
{
	return settle_by_word(s, step, STEP_BY_HAND);
}

void
sched_stop(struct sched *s)
{
	s->told_to_stop = true;
}

void
sched_continue(struct sched *s)
{
	s->told_to_stop = false;
	for (uint32_t i = 0; s->stoppers && i < s->n_steps; i++)
		sched__answered(s, i);
}

/* --- the mode of the run ------------------------------------------------- */

/* A step that has begun nothing, or waits for a person, waits as at first. */
static void
draw_back(struct sched *s, uint32_t step)
{
	switch (s->node[step].state) {
	case STEP_READY:
		sched__unlist(s, step);
		sched__pass_on(s, step);
		break;
	case STEP_BACKOFF:
		heap_remove(&s->sleeping, step);
		break;
	case STEP_ASK:
		sched__answered(s, step);
		break;
	case STEP_GATE:
		break;
	case STEP_DONE:
		if (!s->node[step].passed_over)
			return;
		s->node[step].passed_over = false;
		break;
	default:
		return;
	}
	sched__set_state(s, step, STEP_WAITING);
}

void
sched_set_out(struct sched *s, uint32_t step, bool out)
{
	if (out == sched_is_out(s, step))
		return;
	draw_back(s, step);
	s->node[step].flags ^= SCHED_OUT;
}

static bool
is_settled(const struct node *n)
{
	return n->state == STEP_DONE || n->state == STEP_SKIPPED || n->state == STEP_BY_HAND ||
	       n->state == STEP_FAILED;
}

void
sched_refile(struct sched *s)
{
	for (uint32_t i = 0; i < s->n_steps; i++)
		s->node[i].blockers = 0;
	for (uint32_t i = 0; i < s->n_steps; i++)
		for (uint32_t e = s->node[i].first_out;
		     !is_settled(&s->node[i]) && e < s->node[i + 1].first_out; e++)
			s->node[s->out[e]].blockers++;
	for (uint32_t i = 0; i < s->n_steps; i++) {
		if (s->node[i].state == STEP_READY && s->node[i].blockers)
			draw_back(s, i);
		else if (s->node[i].state == STEP_WAITING && !s->node[i].blockers)
			sched__make_ready(s, i);
	}
}

bool
sched_is_out(const struct sched *s, uint32_t step)
{
	return s->node[step].flags & SCHED_OUT;
}
