/* schema_text.h -- what a plugin can do, for a person. */
#ifndef CORE_VIEW_SCHEMA_TEXT_H
#define CORE_VIEW_SCHEMA_TEXT_H

#include "core/base/strbuf.h"
#include "core/plan/schema.h"

/* Appends actions, parameters with type, default and bounds, and outputs. */
void schema_write(struct strbuf *out, const struct schema_plugin *plugin);
/* The same as Markdown, a table for each action: what a plugin's README has between
 * its two marks (tools/plugin-readme). */
void schema_write_markdown(struct strbuf *out, const struct schema_plugin *plugin);
/* A bound of a parameter, as a plan would write it. */
void schema_write_bound(struct strbuf *out, const struct schema_param *param, int64_t bound);
/* "; reads only; moves data": what the action's flags promise. */
void schema_write_flags(struct strbuf *out, const struct schema_action *action);

#endif
