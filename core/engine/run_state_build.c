/* Making the state of a run from its graph, and freeing it. */
#include "core/base/base.h"
#include "core/engine/approval.h"
#include "core/engine/decide.h"
#include "core/engine/run_state.h"

#include <stdlib.h>
#include <string.h>

/* Approvals that a core.approve step wants. */
static uint16_t
needs_of(const struct step *step)
{
	struct approval_rule rule;
	uint16_t needs;

	approval_rule_init(&rule, step);
	needs = (uint16_t)rule.needs;
	approval_rule_release(&rule);
	return needs;
}

static bool
is_instant(const struct graph *g, const struct step *step)
{
	return (step->builtin && !approval_is_gate(step)) || step->pass_why ||
	       (g->mode == RESITE_REHEARSAL && step->rehearse == REHEARSE_SKIP);
}

static struct sched_step
sched_step_of(const struct graph *g, uint32_t i, int64_t weight_ms)
{
	const struct step *step = &g->steps[i];
	static const enum step_policy policies[] = {
		[ON_FAILURE_ASK] = POLICY_ASK,
		[ON_FAILURE_STOP] = POLICY_STOP,
		[ON_FAILURE_CONTINUE] = POLICY_CONTINUE,
	};
	return (struct sched_step){
		.flags = (is_instant(g, step) ? SCHED_INSTANT : approval_is_gate(step) ? SCHED_GATE : 0) |
			 (decide_can_probe(g, i) ? SCHED_CAN_PROBE : 0) |
			 (step->n_ifs && !step->records && g->way != WAY_UNDO ? SCHED_IF : 0) |
			 (step->modes & MODE_BIT(g->mode) || g->way == WAY_UNDO ? 0 : SCHED_OUT),
		.attempts = (uint32_t)step->retry.attempts,
		.backoff_ms = step->retry.backoff_ms,
		.max_backoff_ms = step->retry.max_backoff_ms,
		.timeout_ms = step->timeout_ms,
		.weight_ms = weight_ms,
		.after = step->after,
		.n_after = step->n_after,
		.limits = step->limits,
		.n_limits = step->n_limits,
		.needs = approval_is_gate(step) ? needs_of(step) : 0,
		.policy = policies[step->on_failure],
	};
}

static struct sched *
make_sched(const struct graph *g, const struct run_config *config)
{
	struct sched_step *steps = calloc(g->n_steps ? g->n_steps : 1, sizeof(*steps));
	uint32_t *limits = calloc(g->n_limits ? g->n_limits : 1, sizeof(*limits));
	struct sched *sched = NULL;

	if (steps && limits) {
		for (uint32_t i = 0; i < g->n_steps; i++)
			steps[i] = sched_step_of(g, i,
						 config->weight_ms ? config->weight_ms[i] : 1);
		for (uint32_t i = 0; i < g->n_limits; i++)
			limits[i] = g->limits[i].max;
		sched = sched_new(&(struct sched_config){
			.n_steps = g->n_steps,
			.steps = steps,
			.n_limits = (uint16_t)g->n_limits,
			.limits = limits,
			.jobs = config->jobs,
		});
	}
	free(steps);
	free(limits);
	return sched;
}

const json_t *
run_state_index(const struct run_state *state)
{
	const struct graph *g = state->graph;

	for (uint32_t i = (uint32_t)json_object_size(state->index); i < g->n_steps; i++)
		if (json_object_set_new_nocheck(state->index, g->steps[i].name,
						json_integer(i)) < 0)
			return NULL;
	return state->index;
}

/* A condition that cannot be known is no reason to leave a step out: its attempt says what
 * is missing, and a person decides. */
static bool
is_to_be_done(void *ctx, uint32_t step)
{
	const struct run_state *state = ctx;
	char why[ERROR_MAX];

	return graph_step_ifs(state->graph, step, run_state_output, ctx, why, NULL) != 0;
}

struct run_state *
run_state_new(const struct graph *graph, const struct run_config *config)
{
	struct run_state *state = calloc(1, sizeof(*state));

	if (!state)
		return NULL;
	state->graph = graph;
	state->mode = graph->mode;
	state->sched = make_sched(graph, config);
	state->facts = calloc(graph->n_steps ? graph->n_steps : 1, sizeof(*state->facts));
	state->index = json_object();
	if (state->sched && state->facts && state->index) {
		sched_set_decider(state->sched, is_to_be_done, state);
		return state;
	}
	run_state_free(state);
	return NULL;
}

static void
said_release(struct said *said)
{
	free(said->actor);
	free(said->reason);
}

static void
facts_release(struct step_facts *f)
{
	free(f->now);
	free(f->text);
	free(f->checkpoint);
	free(f->checkpoint_data);
	free(f->passed);
	json_decref(f->conflicts);
	json_decref(f->outputs);
	json_decref(f->losses);
	json_decref(f->approved);
	said_release(&f->said);
}

void
run_state_free(struct run_state *state)
{
	if (!state)
		return;
	for (uint32_t i = 0; state->facts && i < state->graph->n_steps; i++)
		facts_release(&state->facts[i]);
	free(state->facts);
	json_decref(state->index);
	said_release(&state->hold_said);
	said_release(&state->mode_said);
	sched_free(state->sched);
	json_decref(state->previewed);
	json_decref(state->rehearsal);
	json_decref(state->residue);
	free(state->outcome);
	free(state);
}
