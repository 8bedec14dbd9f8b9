/* progress.h -- what a run shows while it goes on: an observer of it.
 *
 * On a terminal: one line for each step under way at the bottom, redrawn at most
 * ten times a second, with count, rate and time left; above it a line for each
 * step that ended.  Without one: a log line for each transition.  With --json: each
 * event as one line on stdout.
 */
#ifndef CORE_VIEW_PROGRESS_H
#define CORE_VIEW_PROGRESS_H

#include "core/run/run.h"

enum progress_style { PROGRESS_LOG, PROGRESS_TERMINAL, PROGRESS_JSON, PROGRESS_QUIET };

struct progress;

/* level: the least level of a log line that is shown.  NULL without memory. */
struct progress *progress_new(enum progress_style style, int level);
/* Takes the lines at the bottom away. */
void progress_free(struct progress *progress);

struct run_observer progress_observer(struct progress *progress);

#endif
