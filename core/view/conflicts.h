/* conflicts.h -- what an undo has left alone, for people. */
#ifndef CORE_VIEW_CONFLICTS_H
#define CORE_VIEW_CONFLICTS_H

#include "core/base/json.h"
#include "core/base/strbuf.h"

/* Appends the first max of conflicts ({object, result, was, set, now}; NULL is none), each
 * after `before`, and how many more there are of n. */
void conflicts_write(struct strbuf *out, const json_t *conflicts, uint64_t n, size_t max,
		     const char *before);

#endif
