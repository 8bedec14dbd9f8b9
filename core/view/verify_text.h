/* verify_text.h -- how far a journal can be trusted, for a person and for a program. */
#ifndef CORE_VIEW_VERIFY_TEXT_H
#define CORE_VIEW_VERIFY_TEXT_H

#include "core/base/strbuf.h"
#include "core/run/verify.h"

/* Appends the verdict, the steps whose state is certain, and what to do.  all_steps: also
 * those of a long run that nobody needs to look at. */
void verify_write(struct strbuf *out, const struct verified *v, const char *state_dir,
		  bool all_steps);
/* NULL without memory. */
json_t *verify_to_json(const struct verified *v);

#endif
