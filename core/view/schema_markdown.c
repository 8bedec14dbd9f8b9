#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/view/schema_text.h"

#include <string.h>

/* A cell of a table: what would end it is escaped. */
static void
add_cell(struct strbuf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			strbuf_addch(out, '\\');
		strbuf_addch(out, *text == '\n' ? ' ' : *text);
	}
}

static void
add_default(struct strbuf *out, const struct schema_param *p)
{
	if (p->flags & RESITE_PARAM_REQUIRED)
		strbuf_addstr(out, "**required**");
	else if (p->def)
		strbuf_addf(out, "`%s`", *p->def ? p->def : "\"\"");
}

static void
add_type(struct strbuf *out, const struct schema_param *p)
{
	if (p->n_choices == 0)
		strbuf_addstr(out, schema_type_name(p->type));
	for (size_t i = 0; i < p->n_choices; i++)
		strbuf_addf(out, "%s`%s`", i ? ", " : "", p->choices[i]);
	if (p->min || p->max) {
		strbuf_addch(out, ' ');
		schema_write_bound(out, p, p->min);
		strbuf_addstr(out, " to ");
		schema_write_bound(out, p, p->max);
	}
	if (p->flags & RESITE_PARAM_REPEATED)
		strbuf_addstr(out, ", one or a list");
}

static void
add_params(struct strbuf *out, const struct schema_action *a)
{
	strbuf_addstr(out, "\n| parameter | type | default | meaning |\n|---|---|---|---|\n");
	for (size_t i = 0; i < a->n_params; i++) {
		strbuf_addf(out, "| `%s` | ", a->params[i].name);
		add_type(out, &a->params[i]);
		strbuf_addstr(out, " | ");
		add_default(out, &a->params[i]);
		strbuf_addstr(out, " | ");
		add_cell(out, a->params[i].summary);
		strbuf_addstr(out, " |\n");
	}
}

static void
add_action(struct strbuf *out, const struct schema_plugin *plugin, const struct schema_action *a)
{
	char text[CLOCK_TEXT_MAX];

	strbuf_addf(out, "\n### `%s.%s`\n\n%s", plugin->name, a->name, a->summary);
	schema_write_flags(out, a);
	if (a->timeout_ms)
		strbuf_addf(out, "; timeout %s", clock_format_duration(a->timeout_ms, text));
	strbuf_addstr(out, ".\n");
	if (a->n_params)
		add_params(out, a);
	for (size_t i = 0; i < a->n_outputs; i++)
		strbuf_addf(out, "%s`%s`", i ? ", " : "\nOutputs: ", a->outputs[i]);
	if (a->n_outputs)
		strbuf_addstr(out, ".\n");
}

void
schema_write_markdown(struct strbuf *out, const struct schema_plugin *plugin)
{
	for (size_t i = 0; i < plugin->n_actions; i++)
		add_action(out, plugin, &plugin->actions[i]);
}
