/* hear.h -- what a run under way is told: words of persons, and signals. */
#ifndef CORE_RUN_HEAR_H
#define CORE_RUN_HEAR_H

#include "core/run/control.h"

#include <uv.h>

/* A control_word_fn; ctx is the struct run. */
int hear_word(void *ctx, json_t *event, struct control_answer *answer, struct error *err);

/* handle->data is the struct run.  The first signal is a stop, the second one a stop
 * --now. */
void hear_signal(uv_signal_t *handle, int signum);

/* The event operator.refused for a word that was.  NULL without memory. */
json_t *hear_refused(const json_t *word, const struct error *why);

#endif
