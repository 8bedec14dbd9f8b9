/* Simulation: random graphs, outcomes, words and losses under virtual time.
 *
 *	sim_test [--runs N] [--seed S] [--steps MAX]
 *
 * Run k has the seed S + k.  After each event the whole state is compared with a
 * model of the rules (model.h) and with the fold of the journal (vrun.h).  A failure
 * prints its seed, then looks for a smaller graph that fails too. */
#include "core/base/base.h"
#include "core/engine/words.h"
#include "core/plan/mode.h"
#include "tests/golden/fake.h"
#include "tests/golden/model.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUNS_IN_CHECK 20000
/* valgrind is some forty times slower, and looks for other things. */
#define RUNS_UNDER_VALGRIND 400
#define LIMITS_MAX 3
#define WILD_EVENTS 150  /* after these, everything goes well */
#define EVENTS_MAX 2000  /* a run that is not over by then does not terminate */

/* An attempt under way. */
struct flight {
	int64_t probe_ms, end_ms; /* probe_ms 0: none, or said */
	bool refused;             /* it was told to stop */
};

struct sim {
	uint64_t random;
	uint32_t max_steps;
	/* The character of a run: each is drawn about once in so many. */
	uint32_t edges, limited, words;
	struct graph graph;
	struct step steps[MODEL_STEPS_MAX];
	struct graph_limit limits[LIMITS_MAX];
	uint32_t after[MODEL_STEPS_MAX][MODEL_STEPS_MAX];
	uint32_t limits_of[MODEL_STEPS_MAX][LIMITS_MAX];
	char name[MODEL_STEPS_MAX][16];
	int64_t weight_ms[MODEL_STEPS_MAX];
	struct flight flight[MODEL_STEPS_MAX];
	struct vrun run;
	struct model model;
};

/* --- chance (splitmix64) ------------------------------------------------- */

static uint64_t
chance(struct sim *s)
{
	uint64_t z = (s->random += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint32_t
below(struct sim *s, uint32_t n)
{
	return (uint32_t)(chance(s) % n);
}

static bool
one_in(struct sim *s, uint32_t n)
{
	return below(s, n) == 0;
}

/* --- the graph ----------------------------------------------------------- */

static void
make_kind(struct sim *s, struct step *step)
{
	const struct schema_plugin *core = schema_builtin();
	uint32_t kind = below(s, 10);

	step->plugin = kind < 8 ? "t" : "core";
	step->builtin = kind >= 8;
	step->params = "{}";
	if (kind == 9)
		step->params = one_in(s, 2) ? "{\"question\":\"?\",\"needs\":1}" :
					      "{\"question\":\"?\",\"needs\":2}";
	step->action = kind == 9 ? schema_action(core, "approve") :
		       kind == 8 ? schema_action(core, "none") :
				   &fake_plugin.actions[kind < 4 ? FAKE_DO : kind < 6 ? FAKE_BLIND :
										       FAKE_LOOK];
	step->readonly = step->action->flags & RESITE_ACT_READONLY;
}

static void
make_step(struct sim *s, uint32_t i)
{
	static const uint8_t policies[] = {ON_FAILURE_ASK, ON_FAILURE_ASK, ON_FAILURE_CONTINUE,
					   ON_FAILURE_STOP};
	static const uint8_t rehearsals[] = {REHEARSE_PROBE, REHEARSE_RUN, REHEARSE_SKIP};
	struct step *step = &s->steps[i];

	snprintf(s->name[i], sizeof(s->name[i]), "s%" PRIu32, i);
	*step = (struct step){
		.name = s->name[i], .after = s->after[i], .limits = s->limits_of[i],
		.timeout_ms = 1000, .expect_max = one_in(s, 8) ? 5 : -1, .expect_percent = -1,
		.retry = {1 + (int)below(s, 4), 100 * below(s, 4), one_in(s, 2) ? 250 : 0},
		.on_failure = policies[below(s, COUNT_OF(policies))],
		.rehearse = rehearsals[below(s, COUNT_OF(rehearsals))],
	};
	make_kind(s, step);
	for (uint32_t k = 0; k < i; k++)
		if (one_in(s, s->edges))
			s->after[i][step->n_after++] = k;
	for (uint32_t k = 0; k < s->graph.n_limits; k++)
		if (one_in(s, s->limited))
			s->limits_of[i][step->n_limits++] = k;
	s->weight_ms[i] = 1 + below(s, 100);
}

static void
make_graph(struct sim *s)
{
	static const int modes[] = {RESITE_PLANNED, RESITE_DISASTER, RESITE_REHEARSAL};

	s->graph = (struct graph){.plan = "sim", .runbook = "move", .from = "a", .to = "b",
				  .mode = modes[below(s, COUNT_OF(modes))], .steps = s->steps,
				  .n_steps = 1 + below(s, s->max_steps), .limits = s->limits,
				  .n_limits = below(s, LIMITS_MAX + 1)};
	s->edges = 2 + below(s, s->graph.n_steps);
	s->limited = 1 + below(s, 4);
	s->words = 2 + below(s, 15);
	for (uint32_t k = 0; k < s->graph.n_limits; k++)
		s->limits[k] = (struct graph_limit){"l", 1 + below(s, 3)};
	for (uint32_t i = 0; i < s->graph.n_steps; i++)
		make_step(s, i);
}

/* --- what happens -------------------------------------------------------- */

static bool
is_wild(const struct sim *s)
{
	return s->run.n_journal < WILD_EVENTS;
}

static void
on_command(void *ctx, const struct sched_command *c)
{
	struct sim *s = ctx;
	bool probes = s->steps[c->step].action->has & SCHEMA_HAS_PROBE;

	model_command(&s->model, c);
	if (c->kind == COMMAND_START)
		s->flight[c->step] = (struct flight){
			.probe_ms = probes && !one_in(s, 8) ? s->run.now_ms + below(s, 200) : 0,
			.end_ms = s->run.now_ms + 200 + below(s, 800)};
}

static json_t *
attempt_event(const struct sim *s, const char *kind, uint32_t i)
{
	json_t *event = event_new(kind, s->steps[i].name);

	json_object_set_new(event, "attempt",
			    json_integer(sched_attempts(s->run.state->sched, i)));
	return event;
}

static void
happened(struct sim *s, json_t *event)
{
	struct error err = {0};

	if (!vrun_event(&s->run, event, &err) && !s->run.broken.code)
		s->run.broken = err;
}

static void
probe(struct sim *s, uint32_t i)
{
	struct finding found = {.told = !one_in(s, 3), .changes = below(s, 8), .total = 8};
	json_t *event = attempt_event(s, "attempt.probed", i);
	char why[ERROR_MAX];
	const char *decision = decide_after_probe(s->run.state, i, &found, why);

	s->flight[i].probe_ms = 0;
	s->flight[i].refused = !strcmp(decision, "refused");
	json_object_set_new(event, "told", json_boolean(found.told));
	json_object_set_new(event, "changes", json_integer((json_int_t)found.changes));
	json_object_set_new(event, "total", json_integer((json_int_t)found.total));
	json_object_set_new(event, "decision", json_string(decision));
	model_probed(&s->model, i, found.told, decision);
	happened(s, event);
}

static enum sched_outcome
any_outcome(struct sim *s, uint32_t i)
{
	static const enum sched_outcome bad[] = {
		OUTCOME_TRANSIENT, OUTCOME_TRANSIENT, OUTCOME_CONFLICT, OUTCOME_REFUSED,
		OUTCOME_INVALID,   OUTCOME_BUG,       OUTCOME_UNKNOWN,  OUTCOME_UNKNOWN,
	};

	if (s->flight[i].refused)
		return OUTCOME_REFUSED;
	if (!is_wild(s) || one_in(s, 2))
		return OUTCOME_OK;
	if (s->model.told_to_stop && one_in(s, 2))
		return OUTCOME_CANCELLED;
	return bad[below(s, COUNT_OF(bad))];
}

static void
end(struct sim *s, uint32_t i)
{
	enum sched_outcome outcome = any_outcome(s, i);
	int64_t retry_after_ms = one_in(s, 4) ? below(s, 500) : 0;
	json_t *event = attempt_event(s, "attempt.ended", i);

	json_object_set_new(event, "outcome", json_string(sched_outcome_name(outcome)));
	json_object_set_new(event, "retry_after_ms", json_integer(retry_after_ms));
	model_ended(&s->model, i, outcome, retry_after_ms);
	happened(s, event);
}

/* Says a word; whether it was taken. */
static bool
word(struct sim *s, const char *verb, uint32_t i)
{
	bool to_run = !strcmp(verb, "stop") || !strcmp(verb, "continue") ||
		      !strcmp(verb, "pause");
	char said[ERROR_MAX];
	struct model before = s->model;
	struct error err = {0};
	char kind[32];
	json_t *event;

	snprintf(kind, sizeof(kind), "operator.%s", verb);
	event = event_new(kind, to_run ? NULL : s->steps[i].name);
	json_object_set_new(event, "actor", json_string(one_in(s, 2) ? "ann" : "bob"));
	if (s->run.over || 
	    word_judge_json(s->run.state, event, s->run.now_ms, said, &err) < 0 || *said) {
		json_decref(event);
		return false;
	}
	model_word(&s->model, i, verb);
	if (vrun_word(&s->run, event, &err))
		return true;
	s->model = before;
	return false;
}

static void
lose(struct sim *s)
{
	struct error err = {0};

	model_lost(&s->model);
	if (!vrun_resume(&s->run, &err) && !s->run.broken.code)
		s->run.broken = err;
}

/* Somebody says something, sensible or not. */
static void
interfere(struct sim *s)
{
	static const char *const verbs[] = {"approve", "approve", "retry", "retry", "skip",
					    "by-hand", "stop", "pause", "continue", "continue"};

	const char *verb = verbs[below(s, COUNT_OF(verbs))];
	uint32_t i = below(s, s->graph.n_steps);

	/* Words to steps that run, wait or are done are refused: fewer of those. */
	for (uint32_t n = 0; n < s->graph.n_steps && one_in(s, 2); n++)
		i = sched_state(s->run.state->sched, i) == STEP_READY ? i :
			(i + 1) % s->graph.n_steps;
	if (one_in(s, 6))
		lose(s);
	else
		word(s, verb, i);
}

/* The run is paused or stopped: a person does what helps. */
static void
help(struct sim *s)
{
	static const char *const verbs[] = {"approve", "retry", "skip", "by-hand"};
	uint32_t i = below(s, s->graph.n_steps), first = below(s, COUNT_OF(verbs));

	if (s->run.over) {
		lose(s);
		return;
	}
	if (s->run.state->hold == HOLD_PAUSE && word(s, "continue", 0))
		return;
	for (uint32_t n = 0; n < s->graph.n_steps; n++, i = (i + 1) % s->graph.n_steps) {
		enum step_state st = sched_state(s->run.state->sched, i);

		if (st != STEP_ASK && st != STEP_GATE)
			continue;
		for (uint32_t k = 0; k < COUNT_OF(verbs); k++)
			if (word(s, verbs[(first + k) % COUNT_OF(verbs)], i))
				return;
	}
	if (!s->run.broken.code)
		error_set(&s->run.broken, E_CORRUPT, "a pause that no word ends");
}

/* The next thing that an attempt does; false when none is open. */
static bool
next_flight(const struct sim *s, uint32_t *ret_step, int64_t *ret_ms)
{
	bool found = false;

	for (uint32_t i = 0; i < s->graph.n_steps; i++) {
		int64_t at = s->flight[i].probe_ms ? s->flight[i].probe_ms : s->flight[i].end_ms;

		if (!s->model.step[i].open || (found && at >= *ret_ms))
			continue;
		found = true;
		*ret_step = i;
		*ret_ms = at;
	}
	return found;
}

static void
happen(struct sim *s)
{
	int64_t wake = sched_wake_ms(s->run.state->sched), at = INT64_MAX;
	uint32_t i = 0;

	s->run.deep = one_in(s, 64);
	if (is_wild(s) && !s->run.over && one_in(s, s->words))
		interfere(s);
	else if (s->run.over || (!next_flight(s, &i, &at) && wake == INT64_MAX))
		help(s);
	else if (wake < at)
		vrun_until(&s->run, wake);
	else {
		vrun_until(&s->run, at);
		if (s->flight[i].probe_ms)
			probe(s, i);
		else
			end(s, i);
	}
}

/* --- one run ------------------------------------------------------------- */

/* Whether every rule was kept. */
static bool
simulate(struct sim *s)
{
	struct run_config config = {.weight_ms = s->weight_ms};

	make_graph(s);
	config.jobs = 1 + below(s, one_in(s, 2) ? 2 : 6);
	if (vrun_init(&s->run, &s->graph, &config) < 0)
		return false;
	s->run.on_command = on_command;
	s->run.ctx = s;
	s->model = (struct model){.run = &s->run};
	vrun_start(&s->run, NULL, 0);
	model_check(&s->model);
	while (!s->run.broken.code && !s->run.state->ended) {
		happen(s);
		model_check(&s->model);
		if (s->run.n_journal > EVENTS_MAX && !s->run.broken.code)
			error_set(&s->run.broken, E_CORRUPT, "the run does not end");
	}
	return !s->run.broken.code;
}

static void
tell(const struct sim *s, uint64_t seed)
{
	struct strbuf out = STRBUF_INIT;

	printf("FAIL --runs 1 --seed %" PRIu64 " --steps %" PRIu32 ": %s\n", seed, s->max_steps,
	       s->run.broken.text);
	printf("mode %s, jobs %" PRIu32 "\n", mode_name(s->graph.mode), s->run.config.jobs);
	for (uint32_t i = 0; i < s->graph.n_steps; i++) {
		const struct step *t = &s->steps[i];

		printf("%s %s.%s tries %d policy %s weight %" PRId64 " after", t->name, t->plugin,
		       t->action->name, t->retry.attempts, on_failure_name(t->on_failure),
		       s->weight_ms[i]);
		for (uint32_t k = 0; k < t->n_after; k++)
			printf(" s%" PRIu32, t->after[k]);
		for (uint32_t k = 0; k < t->n_limits; k++)
			printf(", limit %" PRIu32 " (%" PRIu32 ")", t->limits[k],
			       s->limits[t->limits[k]].max);
		printf("\n");
	}
	for (size_t i = 0; i < s->run.n_journal; i++) {
		strbuf_addf(&out, "%6" PRId64 " ", s->run.journal[i].time_ms - VRUN_EPOCH_MS);
		json_write(&out, s->run.journal[i].event);
		strbuf_addch(&out, '\n');
	}
	fputs(out.buf, stdout);
	strbuf_release(&out);
}

/* Whether the run of that seed keeps the rules; events counts what happened. */
static bool
run_seed(struct sim *s, uint64_t seed, uint32_t max_steps, bool say, size_t *events)
{
	bool ok;

	*s = (struct sim){.random = seed, .max_steps = max_steps};
	ok = simulate(s);
	*events += s->run.n_journal;
	if (!ok && say)
		tell(s, seed);
	vrun_release(&s->run);
	return ok;
}

/* The smallest graph that breaks a rule, of many tries at each size. */
static void
shrink(struct sim *s, uint64_t seed, uint32_t max_steps)
{
	size_t events = 0;

	for (uint32_t steps = 1; steps <= max_steps; steps++)
		for (uint64_t k = 0; k < 5000; k++)
			if (!run_seed(s, seed + k, steps, false, &events)) {
				run_seed(s, seed + k, steps, true, &events);
				return;
			}
	run_seed(s, seed, max_steps, true, &events);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"runs", required_argument, NULL, 'r'},
		{"seed", required_argument, NULL, 's'},
		{"steps", required_argument, NULL, 'n'},
		{NULL, 0, NULL, 0},
	};
	uint64_t runs = getenv("RESITE_UNDER_VALGRIND") ? RUNS_UNDER_VALGRIND : RUNS_IN_CHECK,
		 seed = 1, steps = MODEL_STEPS_MAX;
	clock_t before = clock();
	struct sim *s = malloc(sizeof(*s));
	size_t events = 0;
	double seconds;
	int c;

	while ((c = getopt_long(argc, argv, "r:s:n:", options, NULL)) != -1) {
		uint64_t *to = c == 'r' ? &runs : c == 's' ? &seed : &steps;

		if (c == '?' || !s)
			return 2;
		*to = strtoull(optarg, NULL, 10);
	}
	if (!steps || steps > MODEL_STEPS_MAX)
		steps = MODEL_STEPS_MAX;
	for (uint64_t k = 0; k < runs; k++)
		if (!run_seed(s, seed + k, (uint32_t)steps, false, &events)) {
			printf("seed %" PRIu64 " fails; the smallest graph found:\n", seed + k);
			shrink(s, seed + k, (uint32_t)steps);
			free(s);
			return 1;
		}
	free(s);
	seconds = (double)(clock() - before) / CLOCKS_PER_SEC;
	printf("simulated runs: %" PRIu64 " from seed %" PRIu64 ", events: %zu, %.1f s, %.0f runs/s\n",
	       runs, seed, events, seconds, seconds > 0 ? (double)runs / seconds : 0);
	return 0;
}
