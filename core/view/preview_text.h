/* preview_text.h -- what a preview found, for a person and for a program. */
#ifndef CORE_VIEW_PREVIEW_TEXT_H
#define CORE_VIEW_PREVIEW_TEXT_H

#include "core/base/strbuf.h"
#include "core/run/preview.h"

/* Appends the steps in order with their losses and at most max of their changes; steps of
 * many parts as one line, unless all. */
void preview_write(struct strbuf *out, const struct graph *graph, const struct preview *preview,
		   size_t max, bool all);
/* NULL without memory. */
json_t *preview_to_json(const struct graph *graph, const struct preview *preview);

#endif
