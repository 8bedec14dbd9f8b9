/* text.h -- a plan's text with its includes expanded, and where each line is from.
 *
 * The whole text goes into a run's first event, and a resume parses it from
 * there: an edited file never changes a run under way.  So includes are
 * expanded here, not by libconfig, and the map from lines of the flat text to
 * file:line travels with it.
 */
#ifndef CORE_PLAN_TEXT_H
#define CORE_PLAN_TEXT_H

#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/strbuf.h"
#include "core/plan/diag.h"

#include <jansson.h>

#define PLAN_TEXT_MAX_BYTES (256u << 20)
#define PLAN_INCLUDE_DEPTH 10

struct plan_segment { /* from flat_line on, lines are file:line, file:line+1, ... */
	uint32_t flat_line, file, line;
};

struct plan_text {
	struct strbuf flat;        /* what libconfig parses */
	char *dir;                 /* absolute folder of the plan file: base of relative paths */
	char **file;               /* names for messages; file[0] is the plan itself */
	size_t n_files, files_cap;
	struct plan_segment *seg;  /* ascending by flat_line; seg[0] is line 1 */
	size_t n_segs, segs_cap;
};

void plan_text_init(struct plan_text *text);
void plan_text_release(struct plan_text *text);

/* Reads path and what it includes.  E_INVALID: d says what is wrong and where;
 * E_NOMEM.  text is to be released in every case. */
int plan_read(const char *path, struct plan_text *text, struct diags *d);

/* {"dir","files":[…],"map":[flat,file,line, …],"text"}; NULL without memory. */
json_t *plan_text_to_json(const struct plan_text *text);

/* The reverse; what does not fit together is E_CORRUPT. */
int plan_text_from_json(const json_t *obj, struct plan_text *text, struct error *err);

struct place { /* where something is written */
	const char *file; /* belongs to the plan_text, in a graph to the graph */
	unsigned line;
};

struct place plan_text_place(const struct plan_text *text, unsigned flat_line);

#endif
