#include "core/base/base.h"
#include "core/view/dot.h"

#include <stdlib.h>
#include <string.h>

static void
quoted(struct strbuf *out, const char *s)
{
	strbuf_addch(out, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			strbuf_addch(out, '\\');
		strbuf_addch(out, *s);
	}
	strbuf_addch(out, '"');
}

static const char *
shape_of(const struct step *s)
{
	if (s->builtin)
		return strcmp(s->action->name, "approve") ? "point" : "diamond";
	return "box";
}

static void
write_node(struct strbuf *out, const struct step *s)
{
	strbuf_addstr(out, "    ");
	quoted(out, s->name);
	strbuf_addf(out, " [shape=%s, style=\"rounded%s%s\"%s%s, label=<<b>%s</b><br/>"
		    "<font point-size=\"10\">%s.%s</font>>];\n",
		    shape_of(s), s->readonly ? ",dashed" : "", s->pass_why ? ",dotted" : "",
		    s->pass_why ? ", fontcolor=\"#9aa5b1\"" : "", s->point_of_no_return ? ", peripheries=2" : "", s->name, s->plugin,
		    s->action->name);
}

/* A join of many parts is one box that says how many. */
static void
write_long_join(struct strbuf *out, const struct step *s)
{
	strbuf_addstr(out, "    ");
	quoted(out, s->name);
	strbuf_addf(out, " [shape=box3d, label=<<b>%s</b><br/><font point-size=\"10\">%" PRIu32
		    " steps</font>>];\n", s->name, s->members);
}

struct drawing {
	struct strbuf *out;
	const struct graph *g;
	const uint32_t *hidden_in; /* of each step: the box that stands for it */
};

/* Step i, and in a box around it its parts.  Returns the step behind them. */
static uint32_t
write_tree(const struct drawing *d, uint32_t i)
{
	const struct step *s = &d->g->steps[i];
	uint32_t end = i + 1 + s->members;

	if (!s->members) {
		write_node(d->out, s);
	} else if (d->hidden_in[i + 1] != GRAPH_NO_STEP) {
		write_long_join(d->out, s);
	} else {
		strbuf_addf(d->out, "    subgraph \"cluster %" PRIu32 "\" {\n    label=", i);
		quoted(d->out, s->name);
		strbuf_addstr(d->out, "; style=rounded; color=\"#9aa5b1\"; "
			      "fontcolor=\"#52606d\";\n");
		write_node(d->out, s);
		for (uint32_t k = i + 1; k < end;)
			k = write_tree(d, k);
		strbuf_addstr(d->out, "    }\n");
	}
	return end;
}

static bool
first_of_workload(const struct graph *g, uint32_t i)
{
	for (uint32_t k = 0; k < i; k += 1 + g->steps[k].members)
		if (g->steps[k].workload == g->steps[i].workload)
			return false;
	return true;
}

/* All steps of the workload of step i. */
static void
write_workload(const struct drawing *d, uint32_t i)
{
	const struct graph *g = d->g;
	const char *workload = g->steps[i].workload;

	if (workload) {
		strbuf_addf(d->out, "  subgraph \"cluster_%s\" {\n    label=", workload);
		quoted(d->out, workload);
		strbuf_addstr(d->out, "; color=\"#9aa5b1\"; fontcolor=\"#52606d\";\n");
	}
	for (uint32_t k = i; k < g->n_steps; k += 1 + g->steps[k].members)
		if (g->steps[k].workload == workload)
			write_tree(d, k);
	if (workload)
		strbuf_addstr(d->out, "  }\n");
}

static uint32_t
box_of(const struct drawing *d, uint32_t i)
{
	return d->hidden_in[i] == GRAPH_NO_STEP ? i : d->hidden_in[i];
}

/* Each edge between two boxes once.  The parts of a box follow it, so the last
 * target that a box had is enough to know. */
static void
write_edges(const struct drawing *d, uint32_t *last_target)
{
	const struct graph *g = d->g;

	for (uint32_t i = 0; i < g->n_steps; i++)
		for (uint32_t k = 0; k < g->steps[i].n_after; k++) {
			uint32_t from = box_of(d, g->steps[i].after[k]), to = box_of(d, i);

			if (from == to || last_target[from] == to + 1)
				continue;
			last_target[from] = to + 1;
			strbuf_addstr(d->out, "  ");
			quoted(d->out, g->steps[from].name);
			strbuf_addstr(d->out, " -> ");
			quoted(d->out, g->steps[to].name);
			strbuf_addstr(d->out, ";\n");
		}
}

void
dot_write(struct strbuf *out, const struct graph *g, bool all)
{
	uint32_t *hidden_in = graph_hide_parts(g, all);
	uint32_t *last_target = calloc((size_t)g->n_steps + 1, sizeof(*last_target));
	struct drawing d = {out, g, hidden_in};

	strbuf_addstr(out, "digraph ");
	quoted(out, g->runbook);
	strbuf_addf(out, " {\n  label=\"%s: %s -> %s (%s)\"; labelloc=t; rankdir=LR;\n"
		    "  fontname=\"Helvetica\"; node [fontname=\"Helvetica\"]; "
		    "edge [color=\"#52606d\"];\n",
		    g->runbook, g->from, g->to, mode_name(g->mode));
	out->failed |= !hidden_in || !last_target;
	for (uint32_t i = 0; !out->failed && i < g->n_steps; i += 1 + g->steps[i].members)
		if (first_of_workload(g, i))
			write_workload(&d, i);
	if (!out->failed)
		write_edges(&d, last_target);
	strbuf_addstr(out, "}\n");
	free(hidden_in);
	free(last_target);
}

static json_t *
step_to_json(const struct graph *g, const struct step *s)
{
	json_t *after = json_array(), *does = json_sprintf("%s.%s", s->plugin, s->action->name);

	for (uint32_t k = 0; k < s->n_after; k++)
		json_array_append_new(after, json_string(g->steps[s->after[k]].name));
	return json_pack("{s:s, s:s*, s:s*, s:i, s:o, s:o, s:s*, s:I, s:b, s:b}", "name", s->name, "passed",
			 s->pass_why, "item", s->item, "parts", (int)s->members, "does", does,
			 "after", after, "workload", s->workload, "timeout_ms",
			 (json_int_t)s->timeout_ms, "readonly", s->readonly,
			 "point_of_no_return", s->point_of_no_return);
}

json_t *
graph_to_json(const struct graph *g)
{
	json_t *steps = json_array();

	for (uint32_t i = 0; i < g->n_steps; i++)
		json_array_append_new(steps, step_to_json(g, &g->steps[i]));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o}", "plan", g->plan, "runbook",
			 g->runbook, "from", g->from, "to", g->to, "mode", mode_name(g->mode),
			 "rto_ms", (json_int_t)g->rto_ms, "steps", steps);
}
