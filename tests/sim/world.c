/* Everything outside the orchestrator: workers, people, crashes, time. */
#include "core/base/base.h"
#include "core/engine/words.h"
#include "tests/sim/sim.h"

#include <stdio.h>
#include <string.h>

#define BIT(i) (1u << (i))

static const struct case_fate *
fate_of(const struct sim *s, uint32_t i)
{
	uint32_t n = s->flight[i].attempt - 1;

	return n < CASE_FATES ? &s->c->step[i].fate[n] : &case_good_fate;
}

/* --- workers ------------------------------------------------------------- */

static void
go_on(struct sim *s, uint32_t i, enum leg leg, int64_t ms)
{
	struct flight *f = &s->flight[i];

	if (leg == LEG_WORK && !fate_of(s, i)->undo && !fate_of(s, i)->notes) {
		leg = LEG_END; /* it has nothing to say before its end */
		ms += fate_of(s, i)->work_ms / 2;
	}
	f->leg = leg;
	f->at_ms = fate_of(s, i)->silent && leg != LEG_PROBE ? f->deadline_ms : s->now_ms + ms;
	if (f->at_ms >= f->deadline_ms) {
		f->at_ms = f->deadline_ms;
		f->leg = LEG_END;
	}
}

/* The world changes here. */
static void
apply(struct sim *s, uint32_t i)
{
	const struct run_state *d = s->durable;

	if (s->dirty & BIT(i))
		sim_break(s, i, "applied twice without a probe between");
	if (!d->facts[i].intent || sched_state(d->sched, i) != STEP_RUNNING ||
	    sched_attempts(d->sched, i) != s->flight[i].attempt)
		sim_break(s, i, "applied without a durable intent");
	s->dirty |= BIT(i);
	sim_cover(s, COVER_APPLIED);
	s->cover[COVER_APPLIED_BLIND] += s->c->step[i].kind == KIND_BLIND;
}

static void
start(struct sim *s, const struct effect *e)
{
	uint32_t i = e->step;
	const struct case_fate *fate;

	if (s->flying & BIT(i))
		sim_break(s, i, "two attempts of one step");
	s->flying |= BIT(i);
	s->flight[i] = (struct flight){.attempt = e->n, .deadline_ms = s->now_ms + e->timeout_ms};
	fate = fate_of(s, i);
	if (s->c->step[i].kind == KIND_DO && !(fate->early && fate->outcome != OUTCOME_OK)) {
		go_on(s, i, LEG_PROBE, fate->probe_ms);
		return;
	}
	if (s->of.may_apply & ~s->of.probes & BIT(i))
		apply(s, i);
	go_on(s, i, LEG_WORK, fate->probe_ms);
}

void
sim_carry_out(struct sim *s, const struct effect *e)
{
	struct flight *f = &s->flight[e->step];

	if (e->kind == EFFECT_START) {
		start(s, e);
		return;
	}
	/* It may have ended while its event became durable. */
	if (!(s->flying & BIT(e->step)) || f->attempt != e->n)
		return;
	switch (e->kind) {
	case EFFECT_GO:
		apply(s, e->step);
		go_on(s, e->step, LEG_WORK, fate_of(s, e->step)->work_ms / 2);
		break;
	case EFFECT_STOP:
		f->refused = true;
		go_on(s, e->step, LEG_END, 1);
		break;
	default: /* ACK */
		s->acked[e->step] = s->durable->facts[e->step].undo_records;
		sim_cover(s, COVER_UNDO);
		break;
	}
}

void
sim_cancel(struct sim *s)
{
	for (uint32_t left = s->flying; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(left);
		struct flight *f = &s->flight[i];

		/* One that says nothing any more is killed after its grace time. */
		f->deadline_ms = f->deadline_ms < s->now_ms + 100 ? f->deadline_ms : s->now_ms + 100;
		f->cancelled = true;
		go_on(s, i, LEG_END, 20);
		sim_cover(s, COVER_STOP_NOW);
	}
}

static struct run_event
attempt_event(const struct sim *s, enum event_kind kind, uint32_t i)
{
	return (struct run_event){.kind = kind, .step = i, .attempt = s->flight[i].attempt};
}

/* The process waits for go or stop after an answer that wants one. */
static void
await_decision(struct sim *s, uint32_t i, const char *decision)
{
	struct effect effect = {EFFECT_GO, i, s->flight[i].attempt, 0};

	s->flight[i].leg = LEG_HELD;
	s->flight[i].at_ms = s->flight[i].deadline_ms;
	if (!strcmp(decision, "apply")) {
		sim_cover(s, COVER_DECIDED_APPLY);
		sim_effect(s, effect);
	} else if (!strcmp(decision, "refused")) {
		effect.kind = EFFECT_STOP;
		sim_cover(s, COVER_DECIDED_REFUSED);
		sim_effect(s, effect);
	} else {
		sim_cover(s, *decision == 'l' ? COVER_DECIDED_LOOK : COVER_DECIDED_CONVERGED);
		go_on(s, i, LEG_END, fate_of(s, i)->work_ms / 4);
	}
}

static void
probe(struct sim *s, uint32_t i)
{
	const struct case_fate *fate = fate_of(s, i);
	struct finding found = {.told = fate->told, .changes = fate->changes,
				.total = fate->total,
				.fingerprint = fate->moved ? "moved" : "as-it-was"};
	struct run_event e = attempt_event(s, EVENT_ATTEMPT_PROBED, i);
	char why[ERROR_MAX];
	const char *decision = decide_after_probe(s->live, i, &found, why);
	const char *broken = rules_probed(&s->of, &s->rules, i, fate, decision);

	if (broken)
		sim_break(s, i, broken);
	if (fate->told)
		s->dirty &= ~BIT(i);
	e.told = fate->told;
	e.changes = fate->changes;
	e.total = fate->total;
	e.apply = !strcmp(decision, "apply");
	e.text = "";
	sim_trace(s, "probed %s %schanges=%d total=%d%s%s", case_step_name(i),
		  fate->told ? "" : "told=no ", fate->changes, fate->total,
		  s->c->bound ? " fingerprint=" : "", s->c->bound ? found.fingerprint : "");
	sim_event(s, &e);
	await_decision(s, i, decision);
}

static void
say_notes(struct sim *s, uint32_t i)
{
	struct run_event e = attempt_event(s, EVENT_ATTEMPT_CHECKPOINT, i);

	e.name = "half";
	e.data = "7";
	sim_trace(s, "checkpoint %s name=half data=7", case_step_name(i));
	sim_event(s, &e);
	e = attempt_event(s, EVENT_ATTEMPT_OUTPUT, i);
	e.name = "value";
	e.value = json_true();
	sim_trace(s, "output %s name=value value=yes", case_step_name(i));
	sim_event(s, &e);
	sim_cover(s, COVER_NOTES);
}

/* Undo records, while it changes the world; then its end. */
static void
work(struct sim *s, uint32_t i)
{
	const struct case_fate *fate = fate_of(s, i);
	struct run_event e = attempt_event(s, EVENT_ATTEMPT_UNDO, i);

	if (fate->undo && s->rules.intent & BIT(i)) {
		e.records = fate->undo;
		s->rules.undo[i] += fate->undo;
		sim_trace(s, "undo %s records=%d", case_step_name(i), fate->undo);
		sim_event(s, &e);
		sim_effect(s, (struct effect){EFFECT_ACK, i, e.attempt, 0});
	}
	if (fate->notes)
		say_notes(s, i);
	go_on(s, i, LEG_END, fate->work_ms / 2);
}

/* As core/run decides it: who was told to stop and did so is refused. */
static enum sched_outcome
outcome_of(const struct sim *s, uint32_t i)
{
	const struct flight *f = &s->flight[i];
	enum sched_outcome outcome = fate_of(s, i)->outcome;

	if (s->now_ms >= f->deadline_ms)
		return OUTCOME_UNKNOWN;
	if (f->refused && outcome == OUTCOME_OK)
		return OUTCOME_REFUSED;
	if (f->cancelled && outcome == OUTCOME_OK)
		return s->flight[i].attempt & 1 ? OUTCOME_CANCELLED : OUTCOME_OK;
	/* Stopped cleanly without our asking: its time was over. */
	if (outcome == OUTCOME_CANCELLED && !f->cancelled)
		return OUTCOME_TRANSIENT;
	return outcome;
}

static void
end(struct sim *s, uint32_t i, enum sched_outcome outcome)
{
	struct run_event e = attempt_event(s, EVENT_ATTEMPT_ENDED, i);

	e.outcome = outcome;
	e.retry_after_ms = fate_of(s, i)->retry_after_ms;
	e.text = outcome == OUTCOME_OK ? "" : "it said so";
	s->flying &= ~BIT(i);
	if (outcome == OUTCOME_OK)
		e.text = NULL;
	if (e.retry_after_ms)
		sim_trace(s, "%s %s retry_after=%" PRId64, sched_outcome_name(outcome),
			  case_step_name(i), e.retry_after_ms);
	else
		sim_trace(s, "%s %s", sched_outcome_name(outcome), case_step_name(i));
	sim_event(s, &e);
	rules_ended(&s->of, &s->rules, i, outcome, e.retry_after_ms);
	s->cover[COVER_OK + outcome]++;
	s->cover[COVER_KILLED] += s->now_ms >= s->flight[i].deadline_ms;
}

static void
fly(struct sim *s, uint32_t i)
{
	switch (s->flight[i].leg) {
	case LEG_PROBE: probe(s, i); break;
	case LEG_WORK: work(s, i); break;
	default: end(s, i, outcome_of(s, i)); break;
	}
}

/* The process that is due; in a batch those that would follow soon come in its turn. */
static void
fly_due(struct sim *s, uint32_t first)
{
	uint32_t n = 1;

	fly(s, first);
	for (uint32_t left = s->c->batch ? s->flying : 0; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(left);

		if (i == first || s->flight[i].at_ms > s->now_ms + 20)
			continue;
		fly(s, i);
		n++;
	}
	if (n > 1) {
		s->only_here = true;
		sim_cover(s, COVER_BATCHES);
	}
	sim_turn(s);
}

/* --- people and crashes -------------------------------------------------- */

/* The first step from that one on that the word suits; an approval may be the second one
 * of the same person. */
static uint32_t
aim(const struct sim *s, struct rules_word w)
{
	uint32_t step = w.step;

	for (uint32_t n = 0; n < s->c->n_steps; n++) {
		w.step = (step + n) % s->c->n_steps;
		if (rules_judge(&s->of, &s->rules, &w) == WORD_IS_TAKEN ||
		    (w.kind == EVENT_APPROVE && s->rules.waits & BIT(w.step)))
			return w.step;
	}
	return step;
}

static void
say_word(struct sim *s, const struct case_act *a)
{
	static const enum event_kind kinds[] = {
		[ACT_APPROVE] = EVENT_APPROVE, [ACT_RETRY] = EVENT_RETRY,
		[ACT_SKIP] = EVENT_SKIP, [ACT_BY_HAND] = EVENT_BY_HAND,
		[ACT_PAUSE] = EVENT_PAUSE, [ACT_STOP] = EVENT_STOP,
		[ACT_STOP_NOW] = EVENT_STOP, [ACT_CONTINUE] = EVENT_CONTINUE,
		[ACT_MODE] = EVENT_MODE, [ACT_ABANDON] = EVENT_ABANDON,
	};
	struct rules_word w = {kinds[a->kind], a->step, a->actor, a->kind == ACT_STOP_NOW};

	if (a->aimed && run_event_of_step(w.kind))
		w.step = aim(s, w);
	sim_word(s, &w);
}

static void
lose_nursery(struct sim *s)
{
	for (uint32_t left = s->flying; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(left);

		/* The turns between may have crashed it away, or started it again. */
		if (s->flying & BIT(i)) {
			end(s, i, OUTCOME_UNKNOWN);
			sim_cover(s, COVER_NURSERY);
			sim_turn(s);
		}
	}
}

/* A late message, a repeated one: refused, and nothing has changed. */
static void
say_stale(struct sim *s, uint32_t i)
{
	struct run_event e = {.kind = EVENT_ATTEMPT_ENDED, .step = i, .outcome = OUTCOME_OK,
			      .attempt = s->rules.attempts[i] +
					 (s->rules.open & BIT(i) ? 1u : 0), .text = ""};
	uint32_t step = i;
	struct error err;
	const char *what;
	/* Not so when only time has passed since the last commit. */
	bool equal = !sim_differs(s, s->of.all, &step);

	sim_trace(s, "raw {\"kind\":\"attempt.ended\",\"step\":\"%s\",\"attempt\":%" PRIu32
		  ",\"outcome\":\"ok\"}", case_step_name(i), e.attempt);
	if (run_state_take(s->live, &e, s->rules.seen_ms, &err) == 0)
		sim_break(s, i, "an event was taken that cannot be");
	what = s->broken || !equal ? NULL : sim_differs(s, s->of.all, &step);
	if (what)
		sim_break(s, step, "an event that was refused has changed something");
	sim_cover(s, COVER_STALE);
}

static void
act(struct sim *s, const struct case_act *a)
{
	switch (a->kind) {
	case ACT_LOSE:
		sim_cover(s, COVER_LOST);
		sim_trace(s, s->over ? "resume" : "lost");
		sim_lose(s);
		break;
	case ACT_CUT:
	case ACT_LOSE_COMMITTED:
	case ACT_LOSE_HALFWAY:
		s->cover[COVER_CUT + (a->kind - ACT_CUT)]++;
		s->crash = a->kind;
		break;
	case ACT_NURSERY: lose_nursery(s); break;
	case ACT_STALE: say_stale(s, a->step); break;
	default: say_word(s, a); break;
	}
}

/* Says the first word that is taken to a step that wants one. */
static bool
help_step(struct sim *s, uint32_t step)
{
	static const enum event_kind words[] = {EVENT_APPROVE, EVENT_RETRY, EVENT_SKIP,
						EVENT_BY_HAND};
	/* Whoever has said retry for long says skip at last: after the run's deadline
	 * no attempt has the time to end well. */
	uint32_t first = ++s->helps > 3u * s->c->n_steps || s->c->deadline_ms ? 2 : s->c->help;

	for (uint32_t k = 0; k < COUNT_OF(words); k++)
		for (uint32_t actor = 0; actor < CASE_ACTORS; actor++) {
			struct rules_word w = {words[(first + k) % COUNT_OF(words)], step, actor,
					       false};

			if (rules_judge(&s->of, &s->rules, &w) == WORD_IS_TAKEN) {
				sim_word(s, &w);
				return true;
			}
		}
	return false;
}

/* The run is paused or stopped: a person does what helps. */
static void
help(struct sim *s)
{
	uint32_t stuck = s->rules.asks | s->rules.waits;

	if (s->over && (!stuck || rules_stopping(&s->rules) ||
			sched_phase(s->live->sched) != RUN_PAUSED)) {
		sim_trace(s, "resume");
		sim_lose(s);
	} else if (rules_stopping(&s->rules)) {
		sim_word(s, &(struct rules_word){.kind = EVENT_CONTINUE});
	} else if (!stuck || !help_step(s, (uint32_t)__builtin_ctz(stuck))) {
		sim_break(s, 0, "a pause that no word ends");
	}
}

/* --- time ---------------------------------------------------------------- */

static bool
next_flight(const struct sim *s, uint32_t *ret_step, int64_t *ret_ms)
{
	*ret_ms = INT64_MAX;
	for (uint32_t left = s->flying; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(left);

		if (s->flight[i].at_ms < *ret_ms) {
			*ret_ms = s->flight[i].at_ms;
			*ret_step = i;
		}
	}
	return s->flying;
}

static void
pass_time(struct sim *s, int64_t to_ms)
{
	if (to_ms > s->now_ms)
		s->now_ms = to_ms;
}

static void
look_at_script(struct sim *s)
{
	if (s->due_ms == INT64_MAX && s->next_act < s->c->n_acts &&
	    s->c->act[s->next_act].at <= s->seen)
		s->due_ms = s->now_ms + s->c->act[s->next_act].wait_ms;
}

static void
do_act(struct sim *s)
{
	s->due_ms = INT64_MAX;
	act(s, &s->c->act[s->next_act++]);
}

static void
happen(struct sim *s)
{
	int64_t wake = s->over ? INT64_MAX : sched_wake_ms(s->live->sched), at;
	uint32_t i = 0;

	look_at_script(s);
	if (!next_flight(s, &i, &at) && wake == INT64_MAX && s->due_ms == INT64_MAX) {
		if (s->next_act < s->c->n_acts)
			do_act(s);
		else
			help(s);
	} else if (s->due_ms < at && s->due_ms <= wake) {
		pass_time(s, s->due_ms);
		do_act(s);
	} else if (wake < at) {
		pass_time(s, wake);
		sim_cover(s, COVER_WAKES);
		sim_turn(s);
	} else {
		pass_time(s, at);
		fly_due(s, i);
	}
}

static void
cover_case(struct sim *s)
{
	sim_cover(s, COVER_RUNS);
	s->cover[COVER_STEPS] += s->c->n_steps;
	s->cover[COVER_JSON_RUNS] += s->c->json;
	s->cover[s->c->mode == RESITE_PLANNED ? COVER_PLANNED :
		 s->c->mode == RESITE_DISASTER ? COVER_DISASTER : COVER_REHEARSAL]++;
	s->cover[COVER_LIMITED] += s->c->n_limits > 0;
	for (uint32_t i = 0; i < s->c->n_steps; i++)
		if (__builtin_popcount(s->c->step[i].modes) == 1) {
			sim_cover(s, COVER_MODAL);
			break;
		}
	s->cover[COVER_BOUND] += s->c->bound != 0;
	s->cover[COVER_RUN_DEADLINE] += s->c->deadline_ms > 0;
}

/* After the end nothing is taken any more. */
static void
speak_late(struct sim *s)
{
	struct run_event word = {.kind = EVENT_SKIP, .step = 0, .actor = "ann", .reason = ""};
	char said[ERROR_MAX];
	struct error err;

	if (word_judge(s->live, &word, s->now_ms, said, &err) != E_REFUSED ||
	    run_state_take(s->live, &word, s->now_ms, &err) != E_CORRUPT)
		sim_break(s, 0, "a word was taken after the end");
	sim_cover(s, COVER_LATE);
}

bool
sim_play(struct sim *s, const struct sim_case *c, uint64_t *cover, struct strbuf *trace)
{
	s->c = c;
	s->n_journal = s->n_durable = s->n_effects = s->seen = s->flying = s->dirty = 0;
	s->next_act = s->helps = 0;
	s->now_ms = SIM_EPOCH_MS;
	s->due_ms = INT64_MAX;
	s->over = s->paused_said = s->only_here = false;
	s->broken = NULL;
	s->detail[0] = '\0';
	s->cover = cover;
	s->trace = trace;
	memset(s->acked, 0, sizeof(s->acked));
	case_build(c, &s->built);
	rules_begin(c, &s->of, &s->rules);
	s->committed = s->rules;
	cover_case(s);
	sim_start(s);
	while (!s->broken && !s->live->ended)
		happen(s);
	if (!s->broken)
		speak_late(s);
	return !s->broken;
}

void
sim_release(struct sim *s)
{
	run_state_free(s->live);
	run_state_free(s->durable);
	json_decref(s->previewed);
	s->live = s->durable = NULL;
	s->previewed = NULL;
}
