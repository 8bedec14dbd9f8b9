#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/engine/approval.h"
#include "core/engine/words.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BIT(state) (1u << (state))
#define OPEN (BIT(STEP_ASK) | BIT(STEP_BACKOFF) | BIT(STEP_READY) | BIT(STEP_GATE))

static const struct word words[] = {
	{EVENT_APPROVE, BIT(STEP_GATE), BIT(STEP_DONE), 0},
	{EVENT_RETRY, BIT(STEP_ASK) | BIT(STEP_BACKOFF), BIT(STEP_READY) | BIT(STEP_RUNNING), 0},
	{EVENT_SKIP, OPEN, BIT(STEP_SKIPPED), 0},
	{EVENT_BY_HAND, OPEN, BIT(STEP_BY_HAND), 0},
	{EVENT_PAUSE, 0, 0, WORD_LIVE},
	{EVENT_STOP, 0, 0, WORD_LIVE},
	{EVENT_CONTINUE, 0, 0, WORD_LIVE},
	{EVENT_MODE, 0, 0, 0},
	{EVENT_ABANDON, 0, 0, WORD_AT_REST},
};

const struct word *
word_of(enum event_kind kind)
{
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (words[i].kind == kind)
			return &words[i];
	return NULL;
}

const struct word *
word_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (!strcmp(run_event_name(words[i].kind), name))
			return &words[i];
	return NULL;
}

const char *
word_verb(enum event_kind kind)
{
	return strchr(run_event_name(kind), '.') + 1;
}

/* A line that may be cut at its end. */
static void PRINTF_LIKE(2, 3)
put(char text[ERROR_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, ERROR_MAX, fmt, ap);
	va_end(ap);
}

/* "by alice 2m05s ago: the storage looks odd" */
static void
said_by(const struct said *said, int64_t now_ms, char text[ERROR_MAX])
{
	int64_t ms = now_ms > said->at_ms ? now_ms - said->at_ms : 0;
	char ago[CLOCK_TEXT_MAX];

	put(text, "by %s %s ago: %s", said->actor, clock_format_duration(ms, ago), said->reason);
}

/* --- words to the run ------------------------------------------------------ */

void
word_hold_text(const struct run_state *state, int64_t now_ms, char text[ERROR_MAX])
{
	char by[ERROR_MAX];

	text[0] = '\0';
	if (state->hold == HOLD_NONE)
		return;
	said_by(&state->hold_said, now_ms, by);
	put(text, "%s %s", state->hold == HOLD_PAUSE ? "paused" : "stopped", by);
}

void
word_mode_text(const struct run_state *state, int64_t now_ms, char text[ERROR_MAX])
{
	char by[ERROR_MAX];

	if (state->mode == state->graph->mode) {
		put(text, "mode %s", mode_name(state->mode));
		return;
	}
	said_by(&state->mode_said, now_ms, by);
	put(text, "mode %s (begun as %s, switched %s)", mode_name(state->mode),
	    mode_name(state->graph->mode), by);
}

static enum hold
hold_of(enum event_kind kind, bool now)
{
	if (kind == EVENT_PAUSE)
		return HOLD_PAUSE;
	if (kind != EVENT_STOP)
		return HOLD_NONE;
	return now ? HOLD_STOP_NOW : HOLD_STOP;
}

/* pause < stop < stop --now: each may follow a weaker one. */
static int
judge_hold(const struct run_state *state, enum hold wanted, int64_t now_ms,
	   char said[ERROR_MAX], struct error *err)
{
	char text[ERROR_MAX];

	if (state->hold == HOLD_NONE || state->hold < wanted)
		return 0;
	word_hold_text(state, now_ms, text);
	if (wanted == HOLD_PAUSE && state->hold != HOLD_PAUSE)
		return error_set(err, E_REFUSED, "pause does not apply: the run was %.800s; to go "
				 "on: resite continue while it still ends, resite resume after",
				 text);
	put(said, "already %s", text);
	return 0;
}

static int
judge_mode(const struct run_state *state, const struct run_event *word, int64_t now_ms,
	   char said[ERROR_MAX], struct error *err)
{
	char text[ERROR_MAX];

	if (word->mode != RESITE_DISASTER)
		return error_set(err, E_INVALID, "a run can be switched to mode disaster only");
	if (state->graph->way == WAY_UNDO)
		return error_set(err, E_REFUSED, "mode does not apply: an undo puts back what was "
				 "changed, whatever the mode");
	if (state->graph->mode != RESITE_PLANNED)
		return error_set(err, E_REFUSED, "mode does not apply: the run began in mode %s, and "
				 "only one that began in mode planned can be switched",
				 mode_name(state->graph->mode));
	if (state->mode == RESITE_DISASTER) {
		said_by(&state->mode_said, now_ms, text);
		put(said, "already switched to mode disaster %s", text);
	}
	return 0;
}

static int
judge_run_word(const struct run_state *state, const struct run_event *word, int64_t now_ms,
	       char said[ERROR_MAX], struct error *err)
{
	enum hold wanted = hold_of(word->kind, word->now);

	if (wanted != HOLD_NONE)
		return judge_hold(state, wanted, now_ms, said, err);
	if (word->kind == EVENT_MODE)
		return judge_mode(state, word, now_ms, said, err);
	if (word->kind == EVENT_CONTINUE && !sched_stopping(state->sched))
		put(said, "nobody holds the run: it goes on already");
	return 0;
}

/* --- words to a step ------------------------------------------------------- */

/* The words that would apply to a step in this state, as "retry, skip or by-hand". */
static void
list_words(enum step_state state, char text[ERROR_MAX])
{
	const char *verbs[COUNT_OF(words)];
	size_t n = 0, len = 0;

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (words[i].applies & BIT(state))
			verbs[n++] = word_verb(words[i].kind);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, ERROR_MAX - len, "%s%s",
					!i ? "" : i + 1 < n ? ", " : " or ", verbs[i]);
}

/* What one can do instead. */
static void
hint(enum step_state state, char text[ERROR_MAX])
{
	char verbs[ERROR_MAX];

	list_words(state, verbs);
	if (*verbs)
		put(text, "; %s would apply", verbs);
	else if (state == STEP_WAITING)
		put(text, " for others: its turn has not come");
	else if (state == STEP_RUNNING)
		put(text, "; wait for its end, or cancel what runs: resite stop --now");
	else
		put(text, ", and that is final");
}

/* A join does nothing that a word could be said to: its parts do. */
static int
refuse_join(const struct run_state *state, uint32_t join, const char *verb, unsigned applies,
	    struct error *err)
{
	enum { SHOWN = 10 };
	const struct step *s = &state->graph->steps[join];
	char names[ERROR_MAX] = "";
	uint32_t n = 0;
	size_t len = 0;

	for (uint32_t i = join + 1; i <= join + s->members; i++) {
		enum step_state now = sched_state(state->sched, i);

		if (state->graph->steps[i].join || !(applies & BIT(now)) || n++ >= SHOWN ||
		    len >= ERROR_MAX - 1)
			continue;
		len += (size_t)snprintf(names + len, ERROR_MAX - len, "%s%s (%s)",
					n > 1 ? ", " : "", state->graph->steps[i].name,
					step_state_name(now));
	}
	if (!n)
		return error_set(err, E_REFUSED, "%s does not apply: step %s stands for its %"
				 PRIu32 " parts, and none of them waits for it", verb, s->name,
				 s->members);
	return error_set(err, E_REFUSED, "%s does not apply: step %s stands for its %" PRIu32
			 " parts; say it to one of them: %.700s%s", verb, s->name, s->members, names,
			 n > SHOWN ? ", ... (resite status --all has them all)" : "");
}

static int
judge_step_word(const struct run_state *state, const struct word *w, const struct run_event *word,
		int64_t now_ms, char said[ERROR_MAX], struct error *err)
{
	const struct step_facts *f = &state->facts[word->step];
	const char *verb = word_verb(w->kind), *name = state->graph->steps[word->step].name;
	enum step_state now = sched_state(state->sched, word->step);
	char text[ERROR_MAX];

	if (state->graph->steps[word->step].members)
		return refuse_join(state, word->step, verb, w->applies, err);
	if (w->repeats & BIT(now) && f->said.actor && f->said.kind == w->kind) {
		said_by(&f->said, now_ms, text);
		put(said, "already said %s; step %s is %s", text, name, step_state_name(now));
		return 0;
	}
	if (!(w->applies & BIT(now))) {
		hint(now, text);
		return error_set(err, E_REFUSED, "%s does not apply: step %s is %s%s", verb, name,
				 step_state_name(now), text);
	}
	return w->kind == EVENT_APPROVE ? approval_judge(state, word, now_ms, err) : 0;
}

/* --- judging --------------------------------------------------------------- */

int
word_judge(const struct run_state *state, const struct run_event *word, int64_t now_ms,
	   char said[ERROR_MAX], struct error *err)
{
	const struct word *w = word_of(word->kind);

	said[0] = '\0';
	if (!w)
		return error_set(err, E_INVALID, "'%s' is no word for a run",
				 run_event_name(word->kind));
	if (state->ended)
		return error_set(err, E_REFUSED, "the run has ended (%s)", state->outcome);
	return w->applies ? judge_step_word(state, w, word, now_ms, said, err) :
			    judge_run_word(state, word, now_ms, said, err);
}

int
word_judge_json(const struct run_state *state, const json_t *word, int64_t now_ms,
		char said[ERROR_MAX], struct error *err)
{
	struct run_event e;
	int rc;

	said[0] = '\0';
	if (state->ended)
		return error_set(err, E_REFUSED, "the run has ended (%s)", state->outcome);
	if (!run_state_index(state))
		return error_set(err, E_NOMEM, "out of memory");
	rc = run_event_read(word, run_state_index(state), &e, err);
	return rc < 0 ? rc : word_judge(state, &e, now_ms, said, err);
}

/* --- answers --------------------------------------------------------------- */

/* Why a step that could start now does not. */
static void
held_text(const struct run_state *state, char text[ERROR_MAX])
{
	if (sched_stopping(state->sched))
		put(text, "; nothing starts, for %s: resite continue %s", run_state_why_held(state),
		    state->graph->run_id ? state->graph->run_id : "RUN");
	else
		text[0] = '\0';
}

static void
answer_mode(const struct run_state *state, char answer[ERROR_MAX])
{
	uint32_t out = 0, running = 0;

	for (uint32_t i = 0; i < state->graph->n_steps; i++) {
		out += sched_is_out(state->sched, i);
		running += sched_is_out(state->sched, i) &&
			   sched_state(state->sched, i) == STEP_RUNNING;
	}
	put(answer, "mode disaster: %" PRIu32 " steps that only a planned move has are passed over, %"
	    PRIu32 " of them run and are cancelled", out, running);
}

static void
answer_hold(const struct run_state *state, enum hold kind, char answer[ERROR_MAX])
{
	uint32_t running = sched_count(state->sched, STEP_RUNNING);
	const char *run = state->graph->run_id ? state->graph->run_id : "RUN";

	if (kind == HOLD_PAUSE)
		put(answer, "paused: no step starts, %" PRIu32 " that run go to their end; to go "
		    "on: resite continue %s", running, run);
	else
		put(answer, "stopped: no step starts, %" PRIu32 " that run %s, then resite ends; "
		    "to go on then: resite resume %s", running,
		    kind == HOLD_STOP ? "go to their end" : "are cancelled", run);
}

void
word_answer(const struct run_state *state, const json_t *word, char answer[ERROR_MAX])
{
	struct run_event e = {.kind = EVENT_KINDS};
	char held[ERROR_MAX];
	enum hold kind;

	answer[0] = '\0';
	if (run_event_read(word, run_state_index(state), &e, NULL) < 0)
		return;
	kind = hold_of(e.kind, e.now);
	held_text(state, held);
	if (kind != HOLD_NONE)
		answer_hold(state, kind, answer);
	else if (e.kind == EVENT_MODE)
		answer_mode(state, answer);
	else if (e.kind == EVENT_APPROVE && sched_approvals(state->sched, e.step))
		put(answer, "approve: taken; %" PRIu32 " more must agree, each another person",
		    sched_approvals(state->sched, e.step));
	else
		put(answer, "%s: the run goes on with it%s", word_verb(e.kind), held);
}
