#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/view/verify_text.h"

/* Runs with more steps than this show only those that want attention. */
#define LONG_RUN 60

static void
write_good_part(struct strbuf *out, const struct verified *v)
{
	char began[CLOCK_TEXT_MAX], last[CLOCK_TEXT_MAX], head[VERIFY_HEAD_MAX];
	const struct journal_end *end = &v->l.end;

	if (!end->last_seq || !v->l.state)
		return;
	verify_head_write(end, head);
	strbuf_addf(out, "  events 1 to %" PRId64 " are as they were written, %s to %s\n  head %s\n",
		    end->last_seq, clock_format_utc(v->l.state->started_ms, began),
		    clock_format_utc(v->l.state->last_ms, last), head);
}

static void
write_whole(struct strbuf *out, const struct verified *v)
{
	char head[VERIFY_HEAD_MAX];

	strbuf_addf(out, "run %s: the journal is whole\n", v->l.run);
	write_good_part(out, v);
	if (v->found == KEPT_FOUND) {
		strbuf_addf(out, "  the head that was kept is event %" PRId64 "\n", v->kept.seq);
		return;
	}
	verify_head_write(&v->l.end, head);
	strbuf_addf(out, "a journal whose end was cut off looks whole. Keep the head elsewhere, and ask "
		    "later:\n  resite verify %s --expect-head %s\n", v->l.run, head);
}

static void
write_damage(struct strbuf *out, const struct verified *v)
{
	const struct journal_end *end = &v->l.end;

	strbuf_addf(out, "run %s: the journal is damaged\n", v->l.run);
	if (end->bad_seq)
		strbuf_addf(out, "  the first bad event is %" PRId64 "%s%s%s: %s\n", end->bad_seq,
			    *end->bad_kind ? " (" : "", end->bad_kind, *end->bad_kind ? ")" : "",
			    end->bad_why);
	else if (v->found == KEPT_CUT)
		strbuf_addf(out, "  it ends with event %" PRId64 ", but event %" PRId64 " was there when "
			    "the head was kept: %" PRId64 " events are missing at its end\n",
			    end->last_seq, v->kept.seq, v->kept.seq - end->last_seq);
	else
		strbuf_addf(out, "  it has no event with the head that was kept: its end was cut off, or "
			    "all of it is another journal\n");
	if (end->bad_seq)
		strbuf_addf(out, "  from there on %" PRId64 " event%s can be read, and none of them be "
			    "trusted\n", v->n_after, v->n_after == 1 ? "" : "s");
	write_good_part(out, v);
}

static void
write_step(struct strbuf *out, const struct verified *v, uint32_t i)
{
	bool certain = verified_certain(v, i);

	strbuf_addf(out, "  %-20s %-9s  %s%s\n", v->l.graph->steps[i].name,
		    step_state_name(sched_state(v->l.state->sched, i)),
		    certain ? "certain" : "may have gone on since: look for yourself",
		    !certain && v->named_after && v->named_after[i] ? " (later events name it)" : "");
}

static void
write_steps(struct strbuf *out, const struct verified *v, bool all)
{
	const struct graph *g = v->l.graph;
	uint32_t hidden = 0;

	strbuf_addf(out, "steps as they were at event %" PRId64 ":\n", v->l.end.last_seq);
	for (uint32_t i = 0; i < g->n_steps; i++) {
		if (all || g->n_steps <= LONG_RUN || !verified_certain(v, i))
			write_step(out, v, i);
		else
			hidden++;
	}
	if (hidden)
		strbuf_addf(out, "  and %" PRIu32 " steps that are certain (--all shows them)\n", hidden);
}

static void
write_advice(struct strbuf *out, const char *state_dir)
{
	strbuf_addf(out, "nothing was repaired, and nobody can go on with this run. Either\n"
		    "  bring %s/journal.db back from a copy, and verify that one; or\n"
		    "  look at the steps that are not certain, then start a new run of the plan: its\n"
		    "  probes find what is done already, and change only the rest\n", state_dir);
}

void
verify_write(struct strbuf *out, const struct verified *v, const char *state_dir, bool all_steps)
{
	if (verified_whole(v)) {
		write_whole(out, v);
		return;
	}
	write_damage(out, v);
	if (v->l.state)
		write_steps(out, v, all_steps);
	write_advice(out, state_dir);
}

/* --- JSON ---------------------------------------------------------------- */

static json_t *
steps_to_json(const struct verified *v)
{
	json_t *steps = json_array();

	for (uint32_t i = 0; steps && v->l.state && i < v->l.graph->n_steps; i++)
		json_array_append_new(steps, json_pack("{s:s, s:s, s:b, s:b}", "name",
			v->l.graph->steps[i].name, "state",
			step_state_name(sched_state(v->l.state->sched, i)), "certain",
			verified_certain(v, i), "named_after", v->named_after && v->named_after[i]));
	return steps;
}

static json_t *
bad_to_json(const struct journal_end *end)
{
	return end->bad_seq ? json_pack("{s:I, s:s, s:o}", "seq", (json_int_t)end->bad_seq, "kind",
					end->bad_kind, "why", json_string_lossy(end->bad_why)) :
			      json_null();
}

json_t *
verify_to_json(const struct verified *v)
{
	static const char *const found[] = {
		[KEPT_NOT_ASKED] = "not-asked", [KEPT_FOUND] = "found", [KEPT_CUT] = "cut",
		[KEPT_OTHER] = "other",
	};
	char head[VERIFY_HEAD_MAX];

	verify_head_write(&v->l.end, head);
	return json_pack("{s:s, s:b, s:I, s:s, s:I, s:o, s:s, s:o}", "run", v->l.run, "whole",
			 verified_whole(v), "good", (json_int_t)v->l.end.last_seq, "head", head,
			 "untrusted", (json_int_t)v->n_after, "bad", bad_to_json(&v->l.end),
			 "expected_head", found[v->found], "steps", steps_to_json(v));
}
