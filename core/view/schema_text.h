/* schema_text.h -- what a plugin can do, for a person. */
#ifndef CORE_VIEW_SCHEMA_TEXT_H
#define CORE_VIEW_SCHEMA_TEXT_H

#include "core/base/strbuf.h"
#include "core/plan/schema.h"

/* Appends actions, parameters with type, default and bounds, and outputs. */
void schema_write(struct strbuf *out, const struct schema_plugin *plugin);

#endif
