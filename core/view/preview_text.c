#include "core/base/base.h"
#include "core/view/conflicts.h"
#include "core/view/preview_text.h"

#include <stdlib.h>

static const char *
kind_name(enum preview_kind kind)
{
	static const char *const names[] = {
		[PREVIEW_TOLD] = "probed",       [PREVIEW_UNTOLD] = "cannot tell",
		[PREVIEW_NO_PROBE] = "no probe", [PREVIEW_READS] = "reads",
		[PREVIEW_LATER] = "later",       [PREVIEW_PERSON] = "person",
		[PREVIEW_JOIN] = "join",         [PREVIEW_FAILED] = "failed",
		[PREVIEW_REVERT] = "revert",     [PREVIEW_PASSED] = "passed",
	};

	return names[kind];
}

static void
write_found(struct strbuf *out, const struct preview_step *r)
{
	switch (r->kind) {
	case PREVIEW_TOLD:
		strbuf_addf(out, "%" PRIu64 " of %" PRIu64 " would change; now: %s", r->changes,
			    r->total, r->now ? r->now : "");
		break;
	case PREVIEW_UNTOLD:
		strbuf_addstr(out, "would run; its probe cannot tell what would change");
		break;
	case PREVIEW_NO_PROBE:
		strbuf_addstr(out, "would run; it has no probe");
		break;
	case PREVIEW_READS:
		strbuf_addstr(out, "only reads");
		break;
	case PREVIEW_LATER:
		if (r->later)
			strbuf_addf(out, "known in the run, after step %s; now: %s", r->later,
				    r->text ? r->text : "?");
		else
			strbuf_addstr(out, "known in the run: its parameters are outputs of other steps");
		break;
	case PREVIEW_PERSON:
		strbuf_addstr(out, "waits for an approval");
		break;
	case PREVIEW_JOIN:
		strbuf_addstr(out, "join point");
		break;
	case PREVIEW_REVERT:
		strbuf_addf(out, "%" PRIu64 " of %" PRIu64 " would be put back, %" PRIu64 " already as "
			    "before, %zu conflicts", r->changes, r->total, r->already,
			    json_array_size(r->conflicts));
		break;
	case PREVIEW_PASSED:
		strbuf_addf(out, "passed over: %s", r->text ? r->text : "?");
		break;
	case PREVIEW_FAILED:
		strbuf_addf(out, "PROBE FAILED: %s", r->text ? r->text : "?");
		break;
	}
	strbuf_addch(out, '\n');
}

static void
write_details(struct strbuf *out, const struct preview_step *r, size_t max)
{
	size_t n = json_array_size(r->change), shown = n < max ? n : max;

	if (r->refused)
		strbuf_addf(out, "      WOULD BE REFUSED: %s\n", r->refused);
	for (size_t i = 0; i < json_array_size(r->losses); i++)
		strbuf_addf(out, "      loss: %s\n",
			    json_string_value(json_array_get(r->losses, i)));
	for (size_t i = 0; i < shown; i++) {
		const json_t *c = json_array_get(r->change, i);

		strbuf_addf(out, "      %s: %s -> %s\n", json_str_or(c, "object", ""),
			    json_str_or(c, "was", ""), json_str_or(c, "will_be", ""));
	}
	if (shown && r->changes > shown)
		strbuf_addf(out, "      ... and %" PRIu64 " more\n", r->changes - shown);
}

/* Objects that a revert would not put back, and those that it knows nothing of. */
static void
write_others(struct strbuf *out, const struct preview_step *r, bool failback, size_t max)
{
	size_t n = json_array_size(r->created), shown = n < max ? n : max;

	conflicts_write(out, r->conflicts, json_array_size(r->conflicts), failback ? max : SIZE_MAX,
			failback ? "      diverged: " : "      left alone: ");
	for (size_t i = 0; i < shown; i++) {
		const json_t *c = json_array_get(r->created, i);

		strbuf_addf(out, "      created since: %s\n          %s\n", json_str_or(c, "object", "?"),
			    json_str_or(c, "was", ""));
	}
	if (r->n_created > shown)
		strbuf_addf(out, "      created since: ... and %" PRIu64 " more\n", r->n_created - shown);
	if (r->since_why)
		strbuf_addf(out, "      what was created since is not known: %s\n", r->since_why);
}

/* The parts of a join that are not shown one by one. */
static void
write_parts(struct strbuf *out, const struct preview *p, uint32_t join, uint32_t n)
{
	uint64_t changes = 0, total = 0;
	uint32_t failed = 0;

	for (uint32_t i = join + 1; i <= join + n; i++) {
		changes += p->step[i].changes;
		total += p->step[i].total;
		failed += p->step[i].kind == PREVIEW_FAILED;
	}
	strbuf_addf(out, "%" PRIu32 " steps: %" PRIu64 " of %" PRIu64 " would change", n, changes,
		    total);
	if (failed)
		strbuf_addf(out, ", %" PRIu32 " PROBES FAILED", failed);
	strbuf_addstr(out, " (--all shows each)\n");
}

static bool
wants_attention(const struct preview_step *r)
{
	return r->kind == PREVIEW_FAILED || r->refused || json_array_size(r->losses) ||
	       json_array_size(r->conflicts) || r->n_created;
}

static void
write_step(struct strbuf *out, const struct graph *g, const struct preview *p, uint32_t i,
	   size_t max)
{
	strbuf_addf(out, "  %-20s ", g->steps[i].name);
	if (g->steps[i].item)
		strbuf_addf(out, "(%s) ", g->steps[i].item);
	for (uint32_t k = 0; g->way != WAY_UNDO && k < g->steps[i].n_ifs; k++)
		strbuf_addf(out, "(%s) ", g->steps[i].ifs[k].why);
	write_found(out, &p->step[i]);
	write_details(out, &p->step[i], max);
	write_others(out, &p->step[i], g->way == WAY_FAILBACK, max);
}

void
preview_write(struct strbuf *out, const struct graph *g, const struct preview *p, size_t max,
	      bool all)
{
	uint32_t *in = graph_hide_parts(g, all);
	bool undo = g->way == WAY_UNDO;

	out->failed |= !in;
	strbuf_addf(out, "preview of %s%s: %s -> %s, mode %s (nothing was changed)\n",
		    undo ? "the undo of " : g->way == WAY_FAILBACK ? "the failback of " : "", g->runbook,
		    g->from, g->to, mode_name(g->mode));
	for (uint32_t k = 0; in && k < g->n_steps; k++) {
		uint32_t i = g->topo[k], parts = g->steps[i].members;

		if (in[i] != GRAPH_NO_STEP && !wants_attention(&p->step[i]))
			continue;
		if (parts && in[i + 1] == i) {
			strbuf_addf(out, "  %-20s ", g->steps[i].name);
			write_parts(out, p, i, parts);
		} else {
			write_step(out, g, p, i, max);
		}
	}
	free(in);
	if (undo)
		strbuf_addf(out, "%" PRIu64 " would be put back in all; %" PRIu64 " conflicts would be "
			    "left alone, %" PRIu32 " looks failed\n", p->changes, p->conflicts,
			    p->failed);
	else
		strbuf_addf(out, "%" PRIu64 " changes in all; %" PRIu32 " probes failed, %" PRIu32
			    " would be refused\n", p->changes, p->failed, p->refused);
}

static json_t *
step_to_json(const struct step *s, const struct preview_step *r)
{
	return json_pack("{s:s, s:s, s:s*, s:s*, s:I, s:I, s:s*, s:s*, s:O*, s:O*, s:O*, s:I, s:I, "
			 "s:O*, s:s*}", "name", s->name,
			 "kind", kind_name(r->kind), "now", r->now, "fingerprint",
			 r->fingerprint, "changes", (json_int_t)r->changes, "total",
			 (json_int_t)r->total, "error", r->text, "refused", r->refused, "change",
			 r->change, "losses", r->losses, "conflicts", r->conflicts, "already",
			 (json_int_t)r->already, "n_created", (json_int_t)r->n_created, "created",
			 r->created, "since_unknown", r->since_why);
}

json_t *
preview_to_json(const struct graph *g, const struct preview *p)
{
	json_t *steps = json_array();

	for (uint32_t i = 0; i < g->n_steps; i++)
		json_array_append_new(steps, step_to_json(&g->steps[i], &p->step[i]));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:i, s:o}", "way",
			 way_name(g->way), "runbook", g->runbook, "from",
			 g->from, "to", g->to, "mode", mode_name(g->mode), "changes",
			 (json_int_t)p->changes, "conflicts", (json_int_t)p->conflicts, "failed", (int)p->failed, "refused",
			 (int)p->refused, "steps", steps);
}
