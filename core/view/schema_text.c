#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/view/schema_text.h"

void
schema_write_bound(struct strbuf *out, const struct schema_param *p, int64_t bound)
{
	char text[CLOCK_TEXT_MAX];

	if (p->type == RESITE_T_DURATION)
		strbuf_addstr(out, clock_format_duration(bound, text));
	else
		strbuf_addf(out, "%" PRId64, bound);
}

static void
write_param(struct strbuf *out, const struct schema_param *p)
{
	strbuf_addf(out, "    %-18s %-9s %s", p->name, schema_type_name(p->type), p->summary);
	for (size_t i = 0; i < p->n_choices; i++)
		strbuf_addf(out, "%s%s", i ? " | " : " (", p->choices[i]);
	if (p->n_choices)
		strbuf_addch(out, ')');
	if (p->min || p->max) {
		strbuf_addstr(out, " [");
		schema_write_bound(out, p, p->min);
		strbuf_addstr(out, " .. ");
		schema_write_bound(out, p, p->max);
		strbuf_addch(out, ']');
	}
	if (p->flags & RESITE_PARAM_REQUIRED)
		strbuf_addstr(out, "; required");
	if (p->flags & RESITE_PARAM_REPEATED)
		strbuf_addstr(out, "; one or a list");
	if (p->def)
		strbuf_addf(out, "; default %s", *p->def ? p->def : "\"\"");
	strbuf_addch(out, '\n');
}

void
schema_write_flags(struct strbuf *out, const struct schema_action *a)
{
	static const struct {
		uint64_t flag;
		const char *text;
	} flags[] = {
		{RESITE_ACT_READONLY, "reads only"},
		{RESITE_ACT_REVERSIBLE, "can be undone value by value"},
		{RESITE_ACT_CARRIES, "moves data"},
		{RESITE_ACT_NOTIFY, "is seen by people"},
	};

	for (size_t i = 0; i < COUNT_OF(flags); i++)
		if (a->flags & flags[i].flag)
			strbuf_addf(out, "; %s", flags[i].text);
}

static void
write_action(struct strbuf *out, const struct schema_plugin *plugin,
	     const struct schema_action *a)
{
	char text[CLOCK_TEXT_MAX];

	strbuf_addf(out, "\n  %s.%s: %s", plugin->name, a->name, a->summary);
	schema_write_flags(out, a);
	if (a->timeout_ms)
		strbuf_addf(out, "; timeout %s", clock_format_duration(a->timeout_ms, text));
	strbuf_addch(out, '\n');
	for (size_t i = 0; i < a->n_params; i++)
		write_param(out, &a->params[i]);
	for (size_t i = 0; i < a->n_outputs; i++)
		strbuf_addf(out, "    -> %s\n", a->outputs[i]);
}

void
schema_write(struct strbuf *out, const struct schema_plugin *plugin)
{
	strbuf_addf(out, "%s %s: %s\n", plugin->name, plugin->version, plugin->summary);
	for (size_t i = 0; i < plugin->n_actions; i++)
		write_action(out, plugin, &plugin->actions[i]);
}
