/* secret_answer.h -- an attempt asks for a secret: it gets those that its step names. */
#ifndef CORE_RUN_SECRET_ANSWER_H
#define CORE_RUN_SECRET_ANSWER_H

#include "core/base/redact.h"
#include "core/plan/graph.h"
#include "core/worker/nursery.h"

/* Answers the message `secret` of attempt.  A value that is given out is first added to
 * known, so that it never stays in a text.  E_INVALID: the step does not name it; other
 * codes: it cannot be read; the attempt is told in every case. */
int secret_answer(struct attempt *attempt, const json_t *msg, const struct graph *graph,
		  const struct step *step, struct redact *known, struct error *err);

#endif
