#include "core/base/base.h"
#include "core/view/dot.h"

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
	strbuf_addf(out, " [shape=%s, style=\"rounded%s\"%s, label=<<b>%s</b><br/>"
		    "<font point-size=\"10\">%s.%s</font>>];\n",
		    shape_of(s), s->readonly ? ",dashed" : "",
		    s->point_of_no_return ? ", peripheries=2" : "", s->name, s->plugin,
		    s->action->name);
}

static bool
first_of_workload(const struct graph *g, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (g->steps[k].workload == g->steps[i].workload)
			return false;
	return true;
}

/* All steps of the workload of step i. */
static void
write_workload(struct strbuf *out, const struct graph *g, uint32_t i)
{
	const char *workload = g->steps[i].workload;

	if (workload) {
		strbuf_addf(out, "  subgraph \"cluster_%s\" {\n    label=", workload);
		quoted(out, workload);
		strbuf_addstr(out, "; color=\"#9aa5b1\"; fontcolor=\"#52606d\";\n");
	}
	for (uint32_t k = i; k < g->n_steps; k++)
		if (g->steps[k].workload == workload)
			write_node(out, &g->steps[k]);
	if (workload)
		strbuf_addstr(out, "  }\n");
}

void
dot_write(struct strbuf *out, const struct graph *g)
{
	strbuf_addstr(out, "digraph ");
	quoted(out, g->runbook);
	strbuf_addf(out, " {\n  label=\"%s: %s -> %s (%s)\"; labelloc=t; rankdir=LR;\n"
		    "  fontname=\"Helvetica\"; node [fontname=\"Helvetica\"]; "
		    "edge [color=\"#52606d\"];\n",
		    g->runbook, g->from, g->to, mode_name(g->mode));
	for (uint32_t i = 0; i < g->n_steps; i++)
		if (first_of_workload(g, i))
			write_workload(out, g, i);
	for (uint32_t i = 0; i < g->n_steps; i++)
		for (uint32_t k = 0; k < g->steps[i].n_after; k++) {
			strbuf_addstr(out, "  ");
			quoted(out, g->steps[g->steps[i].after[k]].name);
			strbuf_addstr(out, " -> ");
			quoted(out, g->steps[i].name);
			strbuf_addstr(out, ";\n");
		}
	strbuf_addstr(out, "}\n");
}

static json_t *
step_to_json(const struct graph *g, const struct step *s)
{
	json_t *after = json_array(), *does = json_sprintf("%s.%s", s->plugin, s->action->name);

	for (uint32_t k = 0; k < s->n_after; k++)
		json_array_append_new(after, json_string(g->steps[s->after[k]].name));
	return json_pack("{s:s, s:o, s:o, s:s*, s:I, s:b, s:b}", "name", s->name, "does", does,
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
