/* What core/run/run.c does in each turn, under virtual time. */
#include "core/base/base.h"
#include "tests/sim/sim.h"
#include "core/engine/sched_parts.h"
#include "core/engine/words.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
sim_break(struct sim *s, uint32_t step, const char *rule)
{
	if (s->broken)
		return;
	s->broken = rule;
	s->broken_step = step;
}

void
sim_trace(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (!s->trace)
		return;
	strbuf_addf(s->trace, "%" PRId64 " ", s->now_ms - SIM_EPOCH_MS);
	va_start(ap, fmt);
	strbuf_vaddf(s->trace, fmt, ap);
	va_end(ap);
	strbuf_addch(s->trace, '\n');
}

void
sim_effect(struct sim *s, struct effect effect)
{
	if (s->n_effects < SIM_EFFECTS)
		s->effect[s->n_effects++] = effect;
	else
		sim_break(s, effect.step, "the simulation has no room for the effects of a turn");
}

/* --- the journal --------------------------------------------------------- */

/* Applies and queues; false when the event does not fit, and then err says why. */
static bool
queue(struct sim *s, const struct run_event *event, struct error *err)
{
	s->rules.seen_ms = s->now_ms;
	if (run_state_take(s->live, event, s->now_ms, err) < 0)
		return false;
	if (s->n_journal == SIM_EVENTS) {
		sim_break(s, 0, "the run does not end");
		return false;
	}
	s->journal[s->n_journal++] = (struct entry){*event, s->now_ms};
	s->seen++;
	sim_cover(s, COVER_EVENTS);
	return true;
}

static void
misfit(struct sim *s, const struct run_event *event, const struct error *err)
{
	sim_break(s, event->step == SCHED_NONE ? 0 : event->step,
		  "an event that must fit does not");
	snprintf(s->detail, sizeof(s->detail), "%.200s", err->text);
}

void
sim_event(struct sim *s, const struct run_event *event)
{
	struct error err;

	err.text[0] = '\0';
	if (!queue(s, event, &err))
		misfit(s, event, &err);
}

/* Folds one entry as a resume would. */
static void
fold(struct sim *s, struct run_state *state, const struct entry *e, bool json)
{
	struct error err;
	json_t *j = json ? sim_json(s, &e->event) : NULL;
	int rc = j ? run_state_apply(state, j, e->time_ms, &err) :
		     run_state_take(state, &e->event, e->time_ms, &err);

	json_decref(j);
	if (rc < 0) {
		sim_break(s, 0, "the journal cannot be folded");
		snprintf(s->detail, sizeof(s->detail), "%.200s", err.text);
	}
}

static struct run_state *
new_state(struct sim *s)
{
	struct run_state *state = run_state_new(&s->built.graph, &s->config);

	/* No run has a deadline of its own yet; the scheduler knows what one is. */
	if (state && s->c->deadline_ms)
		state->sched->deadline_ms = SIM_EPOCH_MS + s->c->deadline_ms;
	return state;
}

static void
compare(struct sim *s, uint32_t touched)
{
	uint32_t step = 0;
	const char *what = sim_differs(s, touched, &step);

	if (!what)
		return;
	sim_break(s, step, "the fold of the journal is not the live state");
	snprintf(s->detail, sizeof(s->detail), "%s", what);
}

/* A person has looked, or a clean end has told. */
static void
note_known(struct sim *s, const struct run_event *e)
{
	bool known = (e->kind == EVENT_ATTEMPT_ENDED && e->outcome != OUTCOME_UNKNOWN) ||
		     e->kind == EVENT_RETRY || e->kind == EVENT_SKIP || e->kind == EVENT_BY_HAND;

	if (known)
		s->dirty &= ~(1u << e->step);
}

static void
make_durable(struct sim *s)
{
	uint32_t touched = 0;

	for (; s->n_durable < s->n_journal; s->n_durable++) {
		const struct run_event *e = &s->journal[s->n_durable].event;

		if (e->step != SCHED_NONE)
			touched |= 1u << e->step;
		else if (e->kind == EVENT_RUN_RESUMED || e->kind == EVENT_RUN_ENDED)
			touched = s->of.all;
		fold(s, s->durable, &s->journal[s->n_durable], s->c->json);
		note_known(s, e);
	}
	s->committed = s->rules;
	sim_cover(s, COVER_COMMITS);
	compare(s, touched);
}

static void
carry_out(struct sim *s, uint32_t n)
{
	struct effect effect[SIM_EFFECTS];

	memcpy(effect, s->effect, n * sizeof(*effect));
	s->n_effects = 0;
	for (uint32_t i = 0; i < n; i++)
		sim_carry_out(s, &effect[i]);
}

/* Makes what was queued durable, then does what waited for it.  False when the
 * orchestrator was killed in it. */
static bool
commit(struct sim *s)
{
	enum act_kind crash = s->n_journal > s->n_durable ? s->crash : ACT_KINDS;

	if (crash != ACT_KINDS) {
		s->crash = ACT_KINDS;
		s->crashed = crash;
	}
	if (crash == ACT_CUT)
		return false;
	if (s->n_journal > s->n_durable)
		make_durable(s);
	if (crash == ACT_LOSE_COMMITTED)
		return false;
	carry_out(s, crash == ACT_LOSE_HALFWAY ? s->n_effects / 2 : s->n_effects);
	return crash != ACT_LOSE_HALFWAY;
}

/* --- a turn -------------------------------------------------------------- */

static void
take(struct sim *s, const struct sched_command *c)
{
	struct run_event e = {.kind = EVENT_STEP_PASSED, .step = c->step, .attempt = c->attempt};
	const char *broken = rules_command(&s->of, &s->rules, c);

	if (broken)
		sim_break(s, c->step, broken);
	switch (c->kind) {
	case COMMAND_START:
		e.kind = EVENT_ATTEMPT_STARTED;
		e.apply = !strcmp(decide_intent(&s->built.graph, c->step), "apply");
		sim_effect(s, (struct effect){EFFECT_START, c->step, c->attempt, c->timeout_ms});
		sim_cover(s, COVER_STARTS);
		s->cover[COVER_RETRIES] += c->attempt > 1;
		break;
	case COMMAND_GATE:
		e.kind = EVENT_GATE_OPENED;
		e.text = "?";
		sim_cover(s, COVER_GATES);
		break;
	case COMMAND_PASS:
		sim_cover(s, COVER_PASSES);
		break;
	}
	sim_event(s, &e);
}

/* False when it was killed. */
static bool
say_end(struct sim *s, enum event_kind kind, const char *text)
{
	sim_event(s, &(struct run_event){.kind = kind, .step = SCHED_NONE, .text = text});
	return commit(s);
}

static bool
end_run(struct sim *s)
{
	bool failed = sched_count(s->live->sched, STEP_FAILED) > 0;

	if (s->rules.settled != s->of.all || failed != (s->rules.failed != 0))
		sim_break(s, 0, "the run ends though something is left, or says wrongly how");
	s->over = true;
	sim_cover(s, failed ? COVER_ENDED_FAILED : COVER_ENDED_DONE);
	return say_end(s, EVENT_RUN_ENDED, failed ? "failed" : "done");
}

static bool
pause_run(struct sim *s)
{
	if (!(s->rules.asks | s->rules.waits))
		sim_break(s, 0, "a pause without a reason");
	if (s->paused_said)
		return true;
	s->paused_said = true;
	s->over = !s->c->waits;
	sim_cover(s, COVER_PAUSED);
	return say_end(s, EVENT_RUN_PAUSED, "");
}

/* A person holds it with a pause: it stays. */
static bool
rest(struct sim *s)
{
	if (!rules_stopping(&s->rules))
		sim_break(s, 0, "the run rests, and nobody said so");
	if (s->live->hold == HOLD_PAUSE) {
		if (s->paused_said)
			return true;
		s->paused_said = true;
		sim_cover(s, COVER_HELD);
		return say_end(s, EVENT_RUN_PAUSED, "");
	}
	s->over = true;
	sim_cover(s, s->live->hold ? COVER_STOPPED_BY_PERSON : COVER_STOPPED_BY_POLICY);
	return say_end(s, EVENT_RUN_STOPPED, "");
}

static bool
look_for_end(struct sim *s)
{
	if (s->flying)
		return true;
	switch (sched_phase(s->live->sched)) {
	case RUN_ACTIVE: s->paused_said = false; return true;
	case RUN_DONE: return end_run(s);
	case RUN_PAUSED: return pause_run(s);
	case RUN_STOPPED: return rest(s);
	}
	return true;
}

static void
check(struct sim *s)
{
	uint32_t step = 0;
	const char *broken;

	for (uint32_t left = s->rules.open ^ s->flying; left; left = 0)
		sim_break(s, (uint32_t)__builtin_ctz(left),
			  "a process without an open attempt, or the other way round");
	broken = rules_check(&s->of, &s->rules, s->live, !s->over, &step);
	if (broken)
		sim_break(s, step, broken);
}

void
sim_turn(struct sim *s)
{
	struct sched_command c;

	do {
		sched_time(s->live->sched, s->now_ms);
		s->rules.seen_ms = s->now_ms;
		while (!s->broken && sched_next(s->live->sched, &c))
			take(s, &c);
		if (!commit(s)) {
			sim_trace(s, s->crashed == ACT_CUT ? "cut" : "lost");
			sim_lose(s);
			return;
		}
	} while (!s->broken && (s->n_journal > s->n_durable || s->n_effects));
	if (!look_for_end(s)) {
		sim_trace(s, "lost");
		s->only_here = true;
		sim_lose(s);
		return;
	}
	check(s);
}

/* --- a run's life -------------------------------------------------------- */

static json_t *
make_previewed(const struct sim *s)
{
	json_t *steps = json_object();

	for (uint32_t i = 0; i < s->c->n_steps; i++)
		if (s->rules.bound >> i & 1)
			json_object_set_new(steps, case_step_name(i),
					    json_pack("{s:s}", "fingerprint", "as-it-was"));
	return json_pack("{s:s, s:o}", "made", "then", "steps", steps);
}

void
sim_start(struct sim *s)
{
	s->config = (struct run_config){.jobs = s->c->jobs, .weight_ms = s->built.weight_ms};
	s->live = new_state(s);
	s->durable = new_state(s);
	if (!s->live || !s->durable) {
		sim_break(s, 0, "out of memory, or a cycle");
		return;
	}
	s->crash = ACT_KINDS;
	s->previewed = s->c->bound ? make_previewed(s) : NULL;
	sim_event(s, &(struct run_event){.kind = EVENT_RUN_STARTED, .step = SCHED_NONE,
					 .value = s->previewed});
	commit(s);
	sim_turn(s);
}

static void
trace_word(struct sim *s, const struct rules_word *w)
{
	sim_trace(s, "%s%s%s actor=%s%s%s", word_verb(w->kind),
		  run_event_of_step(w->kind) ? " " : "",
		  run_event_of_step(w->kind) ? case_step_name(w->step) : "",
		  case_actor(w->actor), w->now ? " now=1" : "",
		  w->kind == EVENT_MODE ? " mode=disaster" : "");
}

/* What core/engine/words.c says, which must be what the rules say. */
static enum rules_answer
judge(struct sim *s, const struct rules_word *w, const struct run_event *e)
{
	enum rules_answer must = rules_judge(&s->of, &s->rules, w), is;
	char said[ERROR_MAX];
	struct error err;

	is = word_judge(s->live, e, s->now_ms, said, &err) < 0 ? WORD_IS_REFUSED :
	     *said ? WORD_IS_SAID : WORD_IS_TAKEN;
	if (is != must)
		sim_break(s, w->step, must == WORD_IS_TAKEN ? "a word is not taken that applies" :
				      must == WORD_IS_SAID ? "a word has not been noted" :
							     "a word is taken that does not apply");
	return must;
}

static void
count_word(struct sim *s, const struct rules_word *w, enum rules_answer answer)
{
	if (answer == WORD_IS_TAKEN)
		s->cover[COVER_APPROVE + (w->kind - EVENT_APPROVE)]++;
	else
		sim_cover(s, answer == WORD_IS_SAID ? COVER_SAID : COVER_WORD_REFUSED);
	s->cover[COVER_TWICE] += answer == WORD_IS_REFUSED && w->kind == EVENT_APPROVE &&
				 s->rules.waits >> w->step & 1;
	s->cover[COVER_OFFLINE] += s->over;
	s->only_here |= s->over;
}

/* Whether the word can be said at all, with or without an orchestrator. */
static bool
can_hear(const struct sim *s, const struct rules_word *w)
{
	return word_of(w->kind)->flags & (s->over ? WORD_LIVE : WORD_AT_REST) ? false : true;
}

/* Nothing but abandon ends a run that is not under way. */
static void
abandon(struct sim *s)
{
	sim_event(s, &(struct run_event){.kind = EVENT_RUN_ENDED, .step = SCHED_NONE,
					 .text = "abandoned"});
}

bool
sim_word(struct sim *s, const struct rules_word *w)
{
	struct run_event e = {.kind = w->kind, .actor = case_actor(w->actor), .reason = "test",
			      .step = run_event_of_step(w->kind) ? w->step : SCHED_NONE,
			      .now = w->now, .mode = w->kind == EVENT_MODE ? RESITE_DISASTER : 0};
	enum rules_answer answer = judge(s, w, &e);

	if (!can_hear(s, w))
		return false;
	count_word(s, w, answer);
	if (answer != WORD_IS_TAKEN) {
		trace_word(s, w);
		return false;
	}
	sim_event(s, &e);
	rules_take(&s->of, &s->rules, w);
	if (w->kind == EVENT_ABANDON)
		abandon(s);
	s->paused_said = false;
	if (!commit(s)) {
		bool durable = s->n_durable == s->n_journal;

		if (durable)
			trace_word(s, w);
		sim_trace(s, durable ? "cut" : "lost"); /* what follows from it is not */
		if (!s->live->ended || s->n_durable < s->n_journal)
			sim_lose(s);
		return true;
	}
	trace_word(s, w);
	if (w->now)
		sim_cancel(s);
	if (!s->over)
		sim_turn(s);
	return true;
}

static void
check_acknowledged(struct sim *s)
{
	for (uint32_t i = 0; i < s->c->n_steps; i++)
		if (s->durable->facts[i].undo_records < s->acked[i])
			sim_break(s, i, "an acknowledged undo record is lost");
}

/* A new orchestrator folds the journal from its beginning. */
static void
fold_all(struct sim *s)
{
	struct run_state *fresh = new_state(s);

	for (uint32_t i = 0; fresh && i < s->n_durable; i++)
		fold(s, fresh, &s->journal[i], false);
	run_state_free(s->live);
	s->live = s->durable;
	s->durable = fresh;
	if (!fresh)
		sim_break(s, 0, "out of memory");
}

void
sim_lose(struct sim *s)
{
	s->cover[COVER_OPEN_LOST] += (uint64_t)__builtin_popcount(s->flying);
	s->rules = s->committed;
	s->n_journal = s->n_durable;
	s->rules.seen_ms = s->journal[s->n_durable - 1].time_ms;
	s->n_effects = 0;
	s->flying = 0;
	fold_all(s);
	if (s->broken)
		return;
	check_acknowledged(s);
	s->over = s->paused_said = false;
	sim_event(s, &(struct run_event){.kind = EVENT_RUN_RESUMED, .step = SCHED_NONE});
	rules_lost(&s->of, &s->rules);
	sim_cover(s, COVER_RESUMED);
	if (commit(s)) {
		sim_turn(s);
		return;
	}
	s->only_here = true;
	sim_trace(s, "lost");
	sim_lose(s);
}
