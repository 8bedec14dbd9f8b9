#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/engine/approval.h"
#include "core/engine/undo.h"
#include "core/engine/words.h"
#include "core/view/conflicts.h"
#include "core/view/residue.h"
#include "core/view/status.h"

#include <stdlib.h>
#include <string.h>

/* Runs with more steps than this show only those that want attention. */
#define LONG_RUN 60

/* Objects of one step that a rehearsal has left. */
#define OBJECTS_SHOWN 20

/* The parts of a join, or of a step that is none the step itself. */
struct parts {
	uint32_t n, count[STEP_FAILED + 1]; /* without joins among them */
	int64_t started_ms, ended_ms;       /* of the first, of the last that has ended */
	enum step_state state;              /* what they are doing together */
};

static enum step_state
state_of_parts(const struct parts *p)
{
	static const enum step_state first[] = {STEP_ASK, STEP_GATE, STEP_RUNNING, STEP_BACKOFF};

	for (size_t i = 0; i < COUNT_OF(first); i++)
		if (p->count[first[i]])
			return first[i];
	return p->count[STEP_READY] || p->count[STEP_WAITING] < p->n ? STEP_READY : STEP_WAITING;
}

static struct parts
sum_up_parts(const struct run_state *state, uint32_t i)
{
	const struct step *s = &state->graph->steps[i];
	struct parts p = {.state = sched_state(state->sched, i)};

	for (uint32_t k = s->members ? i + 1 : i; k <= i + s->members; k++) {
		const struct step_facts *f = &state->facts[k];

		if (s->members && (state->graph->steps[k].join || sched_is_out(state->sched, k)))
			continue;
		p.n++;
		p.count[sched_state(state->sched, k)]++;
		if (f->started_ms && (!p.started_ms || f->started_ms < p.started_ms))
			p.started_ms = f->started_ms;
		if (f->ended_ms > p.ended_ms)
			p.ended_ms = f->ended_ms;
	}
	if (s->members && p.state == STEP_WAITING)
		p.state = state_of_parts(&p);
	return p;
}

/* What an orchestrator at work does. */
static const char *
live_word(const struct run_state *state)
{
	bool busy = sched_count(state->sched, STEP_RUNNING) > 0;

	switch (state->hold) {
	case HOLD_PAUSE: return busy ? "pausing" : "paused";
	case HOLD_STOP:
	case HOLD_STOP_NOW: return "stopping";
	case HOLD_NONE: break;
	}
	return "running";
}

const char *
status_word(const struct run_state *state, const struct status_about *about)
{
	if (state->ended)
		return state->outcome;
	if (about->owner_pid)
		return live_word(state);
	if (state->rehearsal)
		return "unfinished rehearsal";
	switch (sched_phase(state->sched)) {
	case RUN_PAUSED: return "paused";
	case RUN_STOPPED: return "stopped";
	case RUN_DONE: return "done";
	case RUN_ACTIVE: break;
	}
	return "interrupted";
}

/* "5000 of 5000 changed, 5000 undo records": what the journal knows of a step. */
static void
write_what(struct strbuf *out, const struct step_facts *f, enum step_state st)
{
	if (st == STEP_ASK || st == STEP_FAILED || st == STEP_BACKOFF) {
		strbuf_addstr(out, f->text ? f->text : "");
		return;
	}
	if (f->passed)
		strbuf_addf(out, "passed over: %s", f->passed);
	else if (f->put_back || f->already || f->n_conflicts)
		strbuf_addf(out, "%" PRIu64 " put back, %" PRIu64 " already as before, %" PRIu64
			    " conflicts", f->put_back, f->already, f->n_conflicts);
	else if (f->probed && f->changes)
		strbuf_addf(out, "%" PRIu64 " of %" PRIu64 " changed", f->changes, f->total);
	else if (f->probed)
		strbuf_addf(out, "nothing to change (%" PRIu64 ")", f->total);
	else if (st == STEP_GATE && f->now)
		strbuf_addstr(out, f->now);
	if (f->undo_records)
		strbuf_addf(out, ", %" PRIu64 " undo records", f->undo_records);
}

/* "17 done, 2 running of 20" */
static void
write_state_counts(struct strbuf *out, const uint32_t *count, uint32_t n)
{
	const char *sep = "";

	for (int st = STEP_WAITING; st <= STEP_FAILED; st++) {
		if (!count[st])
			continue;
		strbuf_addf(out, "%s%" PRIu32 " %s", sep, count[st],
			    step_state_name((enum step_state)st));
		sep = ", ";
	}
	strbuf_addf(out, " of %" PRIu32, n);
}

static void
write_step(struct strbuf *out, const struct run_state *state, uint32_t i, int64_t now_ms)
{
	static const char marks[] = {
		[STEP_WAITING] = ' ', [STEP_READY] = '.',   [STEP_RUNNING] = '>',
		[STEP_BACKOFF] = '~', [STEP_GATE] = '?',    [STEP_ASK] = '!',
		[STEP_DONE] = '+',    [STEP_SKIPPED] = '-', [STEP_BY_HAND] = 'h',
		[STEP_FAILED] = 'x',
	};
	const struct step *s = &state->graph->steps[i];
	struct parts p = sum_up_parts(state, i);
	bool open = s->members ? sched_state(state->sched, i) == STEP_WAITING :
				 p.state == STEP_RUNNING || p.state == STEP_GATE;
	char took[CLOCK_TEXT_MAX] = "";

	if (p.started_ms)
		clock_format_duration((open ? now_ms : p.ended_ms) - p.started_ms, took);
	strbuf_addf(out, "  %c %-20s %-9s %8s  ", marks[p.state], s->name,
		    step_state_name(p.state), took);
	if (s->item)
		strbuf_addf(out, "(%s) ", s->item);
	if (s->members)
		write_state_counts(out, p.count, p.n);
	else
		write_what(out, &state->facts[i], p.state);
	while (out->len && out->buf[out->len - 1] == ' ')
		out->buf[--out->len] = '\0';
	strbuf_addch(out, '\n');
}

static bool
is_shown(const struct run_state *state, uint32_t i, uint32_t in, bool all)
{
	enum step_state st = sched_state(state->sched, i);

	if (sched_is_out(state->sched, i) && st != STEP_RUNNING)
		return false;
	if (in == GRAPH_NO_STEP && state->graph->steps[i].members > GRAPH_LONG_JOIN)
		return true;
	return all || (state->graph->n_steps <= LONG_RUN && in == GRAPH_NO_STEP) ||
	       (st != STEP_DONE && st != STEP_WAITING && st != STEP_READY);
}

static void
write_head(struct strbuf *out, const struct run_state *state, const struct status_about *about)
{
	const struct graph *g = state->graph;
	char when[CLOCK_TEXT_MAX], took[CLOCK_TEXT_MAX], held[ERROR_MAX], mode[ERROR_MAX];

	strbuf_addf(out, "run %s: %s", about->run, status_word(state, about));
	if (about->owner_pid)
		strbuf_addf(out, " (process %d)", about->owner_pid);
	word_hold_text(state, about->now_ms, held);
	if (*held)
		strbuf_addf(out, "\n  %s", held);
	word_mode_text(state, about->now_ms, mode);
	strbuf_addstr(out, "\n  ");
	if (g->way == WAY_FAILBACK)
		strbuf_addf(out, "failback of %s: ", about->origin ? about->origin : "?");
	strbuf_addf(out, "%s%s of plan %s, %s -> %s, %s\n",
		    g->way == WAY_UNDO ? "undo of " : "", g->runbook, g->plan, g->from, g->to, mode);
	if (state->residue)
		strbuf_addf(out, "  rehearsed %s ago: %s\n",
			    clock_format_duration(about->now_ms - state->last_ms, took),
			    json_str_or(state->residue, "summary", "?"));
	strbuf_addf(out, "  started %s, last event after %s\n",
		    clock_format_utc(state->started_ms, when),
		    clock_format_duration(state->last_ms - state->started_ms, took));
}

/* Steps that are not in the run's mode are not the operator's business. */
static void
write_counts(struct strbuf *out, const struct run_state *state)
{
	uint32_t count[STEP_FAILED + 1] = {0}, n_steps = 0;

	for (uint32_t i = 0; i < state->graph->n_steps; i++) {
		if (sched_is_out(state->sched, i))
			continue;
		count[sched_state(state->sched, i)]++;
		n_steps++;
	}
	strbuf_addstr(out, "  ");
	write_state_counts(out, count, n_steps);
	strbuf_addstr(out, " steps\n");
}

/* Around the name of a step that is typed: brackets mean something to a shell. */
static const char *
shell_quote(const char *step)
{
	return strchr(step, '[') ? "'" : "";
}

/* "  1 of 2 have approved: alice 2m05s ago": when more than one is wanted. */
static void
write_approvals(struct strbuf *out, const struct run_state *state, uint32_t step, int64_t now_ms)
{
	const json_t *approved = state->facts[step].approved;
	struct approval_rule rule;
	const char *quote = shell_quote(state->graph->steps[step].name);
	char ago[CLOCK_TEXT_MAX];
	uint32_t n = 0;

	approval_rule_init(&rule, &state->graph->steps[step]);
	for (size_t i = 0; i < json_array_size(approved); i++)
		n += approval_counts(&rule, json_int_or(json_array_get(approved, i), "at_ms", 0), now_ms);
	if (rule.needs > 1 || json_array_size(approved))
		strbuf_addf(out, "  %" PRIu32 " of %" PRIu32 " have approved%s", n, rule.needs,
			    json_array_size(approved) ? ":" : "\n");
	for (size_t i = 0; i < json_array_size(approved); i++) {
		const json_t *one = json_array_get(approved, i);
		int64_t at_ms = json_int_or(one, "at_ms", 0);

		strbuf_addf(out, "%s %s %s ago%s%s", i ? "," : "", json_str_or(one, "actor", "?"),
			    clock_format_duration(now_ms > at_ms ? now_ms - at_ms : 0, ago),
			    approval_counts(&rule, at_ms, now_ms) ? "" : " (expired)",
			    i + 1 < json_array_size(approved) ? "" : "\n");
	}
	for (size_t i = 0; i < json_array_size(rule.approvers); i++)
		strbuf_addf(out, "%s%s%s", i ? ", " : "  approvers: ",
			    json_string_value(json_array_get(rule.approvers, i)),
			    i + 1 < json_array_size(rule.approvers) ? "" : "\n");
	if (rule.signers)
		strbuf_addf(out, "  by signature: resite approve %s %s%s%s --reason '...' --print\n",
			    state->graph->run_id ? state->graph->run_id : "RUN", quote,
			    state->graph->steps[step].name, quote);
	approval_rule_release(&rule);
}

/* A rehearsal that nobody is asked about goes back instead. */
static bool
asks_people(const struct run_state *state)
{
	return !strcmp(json_str_or(state->rehearsal, "approvals", ""), "asked");
}

void
status_write_asks(struct strbuf *out, const struct run_state *state, const char *run,
		  int64_t now_ms)
{
	for (uint32_t i = 0; i < state->graph->n_steps; i++) {
		const struct step *s = &state->graph->steps[i];
		const struct step_facts *f = &state->facts[i];
		const char *quote = shell_quote(s->name);

		switch (sched_state(state->sched, i)) {
		case STEP_GATE:
			strbuf_addf(out, "%s:%u: step %s wants an approval%s%s\n"
				    "  resite approve %s %s%s%s --reason '...'\n",
				    s->at.file, s->at.line, s->name, f->now && *f->now ? ": " : "",
				    f->now ? f->now : "", run, quote, s->name, quote);
			write_approvals(out, state, i, now_ms);
			break;
		case STEP_ASK:
			strbuf_addf(out, "%s:%u: step %s failed: %s\n", s->at.file, s->at.line,
				    s->name, f->text ? f->text : "?");
			if (!state->rehearsal || asks_people(state))
				strbuf_addf(out, "  resite retry|skip|by-hand %s %s%s%s --reason '...'\n",
					    run, quote, s->name, quote);
			break;
		default:
			break;
		}
	}
}

/* What an undo has left alone, by name, and what to type about it. */
static void
write_conflicts(struct strbuf *out, const struct run_state *state,
		const struct status_about *about)
{
	for (uint32_t i = 0; i < state->graph->n_steps; i++) {
		const struct step_facts *f = &state->facts[i];

		if (!f->n_conflicts)
			continue;
		strbuf_addf(out, "step %s left alone what it no longer found as it was set:\n",
			    state->graph->steps[i].name);
		conflicts_write(out, f->conflicts, f->n_conflicts, SIZE_MAX,
				"      left alone: ");
		if (state->ended && about->origin)
			strbuf_addf(out, "  mend them, or have them put back whatever is there now:\n"
				    "  resite undo %s --only %s --diverged restore --reason '...'\n",
				    about->origin, state->graph->steps[i].name);
	}
}

/* What to type to go on, when nobody works on the run. */
static void
write_next(struct strbuf *out, const struct run_state *state, const struct status_about *about)
{
	if (about->owner_pid && state->hold != HOLD_NONE)
		strbuf_addf(out, "to go on:\n  resite continue %s --reason '...'\n", about->run);
	if (!about->owner_pid && !state->ended && state->rehearsal)
		strbuf_addf(out, "to put back what it has changed, and compare:\n"
			    "  resite rehearse --finish %s\n", about->run);
	else if (!about->owner_pid && !state->ended)
		strbuf_addf(out, "then, or to go on now:\n  resite resume %s\n", about->run);
}

void
status_write(struct strbuf *out, const struct run_state *state, const struct status_about *about)
{
	uint32_t *in = graph_hide_parts(state->graph, about->all_steps);

	write_head(out, state, about);
	write_counts(out, state);
	out->failed |= !in;
	for (uint32_t i = 0; in && i < state->graph->n_steps; i++)
		if (is_shown(state, i, in[i], about->all_steps))
			write_step(out, state, i, about->now_ms);
	free(in);
	if (state->graph->way != WAY_UNDO)
		status_write_workloads(out, state);
	if (state->residue && residue_any(state->residue))
		residue_write(out, state->residue, OBJECTS_SHOWN);
	write_conflicts(out, state, about);
	status_write_asks(out, state, about->run, about->now_ms);
	write_next(out, state, about);
}

/* --- the recovery clock -------------------------------------------------- */

struct workload {
	const char *name;
	uint32_t steps, settled;
	int64_t back_ms; /* when its last step was settled */
};

static bool
is_settled(enum step_state st)
{
	return st == STEP_DONE || st == STEP_SKIPPED || st == STEP_BY_HAND || st == STEP_FAILED;
}

static struct workload
sum_up(const struct run_state *state, const char *name)
{
	struct workload w = {.name = name};

	for (uint32_t i = 0; i < state->graph->n_steps; i++) {
		if (state->graph->steps[i].workload != name || sched_is_out(state->sched, i))
			continue;
		w.steps++;
		if (!is_settled(sched_state(state->sched, i)))
			continue;
		w.settled++;
		if (state->facts[i].ended_ms > w.back_ms)
			w.back_ms = state->facts[i].ended_ms;
	}
	return w;
}

static bool
seen_before(const struct graph *g, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (g->steps[k].workload == g->steps[i].workload)
			return true;
	return false;
}

static void
write_workload(struct strbuf *out, const struct run_state *state, const struct workload *w)
{
	char took[CLOCK_TEXT_MAX];

	strbuf_addf(out, "  %-18s ", w->name);
	if (w->settled < w->steps)
		strbuf_addf(out, "not back: %" PRIu32 " of %" PRIu32 " steps left\n",
			    w->steps - w->settled, w->steps);
	else
		strbuf_addf(out, "back after %s\n",
			    clock_format_duration(w->back_ms - state->started_ms, took));
}

void
status_write_workloads(struct strbuf *out, const struct run_state *state)
{
	const struct graph *g = state->graph;
	char rto[CLOCK_TEXT_MAX];
	bool any = false;

	for (uint32_t i = 0; i < g->n_steps; i++) {
		struct workload w;

		if (!g->steps[i].workload || seen_before(g, i))
			continue;
		if (!any)
			strbuf_addf(out, "recovery time%s%s:\n", g->rto_ms ? ", objective " : "",
				    g->rto_ms ? clock_format_duration(g->rto_ms, rto) : "");
		any = true;
		w = sum_up(state, g->steps[i].workload);
		write_workload(out, state, &w);
	}
}

/* --- JSON ---------------------------------------------------------------- */

static json_t *
step_to_json(const struct run_state *state, uint32_t i)
{
	const struct step *s = &state->graph->steps[i];
	const struct step_facts *f = &state->facts[i];
	json_t *obj = json_pack("{s:s, s:s*, s:o, s:s, s:I, s:s*, s:s*, s:s*, s:O*, s:O*}", "name",
				s->name, "item", s->item, "does", json_sprintf("%s.%s", s->plugin, s->action->name), "state",
				step_state_name(sched_state(state->sched, i)), "attempts",
				(json_int_t)sched_attempts(state->sched, i), "workload", s->workload,
				"now", f->now, "text", f->text, "outputs", f->outputs, "losses",
				f->losses);

	if (!obj)
		return NULL;
	if (f->probed) {
		json_object_set_new(obj, "changes", json_integer((json_int_t)f->changes));
		json_object_set_new(obj, "total", json_integer((json_int_t)f->total));
	}
	if (f->approved)
		json_object_set(obj, "approved", f->approved);
	if (s->join)
		json_object_set_new(obj, "parts", json_integer(s->members));
	if (f->passed)
		json_object_set_new(obj, "passed", json_string(f->passed));
	if (s->records) {
		json_object_set_new(obj, "records", json_integer((json_int_t)s->records));
		json_object_set_new(obj, "put_back", json_integer((json_int_t)f->put_back));
		json_object_set_new(obj, "already", json_integer((json_int_t)f->already));
		json_object_set_new(obj, "conflicts", json_integer((json_int_t)f->n_conflicts));
	}
	if (f->conflicts)
		json_object_set(obj, "conflict", f->conflicts);
	if (f->undo_records)
		json_object_set_new(obj, "undo_records",
				    json_integer((json_int_t)f->undo_records));
	if (f->started_ms)
		json_object_set_new(obj, "started_ms",
				    json_integer(f->started_ms - state->started_ms));
	if (f->ended_ms)
		json_object_set_new(obj, "ended_ms",
				    json_integer(f->ended_ms - state->started_ms));
	return obj;
}

static json_t *
workloads_to_json(const struct run_state *state)
{
	const struct graph *g = state->graph;
	json_t *all = json_object();

	for (uint32_t i = 0; all && i < g->n_steps; i++) {
		struct workload w;

		if (!g->steps[i].workload || seen_before(g, i))
			continue;
		w = sum_up(state, g->steps[i].workload);
		json_object_set_new(all, w.name,
				    w.settled < w.steps ?
					    json_null() :
					    json_integer(w.back_ms - state->started_ms));
	}
	return all;
}

/* Who holds the run; NULL: nobody. */
static json_t *
hold_to_json(const struct run_state *state)
{
	const struct said *said = &state->hold_said;
	char when[CLOCK_TEXT_MAX];

	if (state->hold == HOLD_NONE)
		return NULL;
	return json_pack("{s:s, s:b, s:s, s:s, s:s}", "word",
			 word_verb(said->kind), "now",
			 state->hold == HOLD_STOP_NOW, "actor", said->actor,
			 "reason", said->reason, "since",
			 clock_format_utc(said->at_ms, when));
}

static json_t *
page_to_json(const struct run_state *state, const struct status_about *about)
{
	const struct graph *g = state->graph;
	json_t *steps = json_array();
	char when[CLOCK_TEXT_MAX];

	for (uint32_t i = 0; i < g->n_steps; i++)
		if (!sched_is_out(state->sched, i))
			json_array_append_new(steps, step_to_json(state, i));
	return json_pack("{s:s, s:s, s:s*, s:I, s:s, s:o*, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:I, "
			 "s:o, s:o}", "run", about->run, "way", way_name(g->way), "origin",
			 about->origin, "conflicts", (json_int_t)undo_conflicts(state), "status",
			 status_word(state, about), "held", hold_to_json(state), "pid",
			 about->owner_pid, "plan", g->plan, "runbook", g->runbook, "from", g->from,
			 "to", g->to, "mode", mode_name(state->mode), "started",
			 clock_format_utc(state->started_ms, when), "last_ms",
			 (json_int_t)(state->last_ms - state->started_ms), "workloads_back_ms",
			 workloads_to_json(state), "steps", steps);
}

json_t *
status_to_json(const struct run_state *state, const struct status_about *about)
{
	json_t *page = page_to_json(state, about);

	if (page && state->rehearsal)
		json_object_set(page, "rehearsal", state->rehearsal);
	if (page && state->residue)
		json_object_set(page, "residue", state->residue);
	return page;
}
