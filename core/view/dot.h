/* dot.h -- a graph in Graphviz' DOT language. */
#ifndef CORE_VIEW_DOT_H
#define CORE_VIEW_DOT_H

#include "core/base/strbuf.h"
#include "core/plan/graph.h"

/* Appends the whole digraph: a cluster for each workload, approvals as diamonds,
 * steps that only read dashed, a point of no return with a double line, a box around the
 * parts of a step.  A step of many parts is one node, unless all. */
void dot_write(struct strbuf *out, const struct graph *graph, bool all);

/* {"runbook","from","to","mode","steps":[{"name","does","after":[…],…}]}; NULL
 * without memory. */
json_t *graph_to_json(const struct graph *graph);

#endif
