/* earlier.h -- what other runs have done with a run already: its undos and failbacks. */
#ifndef CORE_RUN_EARLIER_H
#define CORE_RUN_EARLIER_H

#include "core/run/settings.h"
#include "core/store/store.h"

#include "core/base/json.h"

/* Whether run origin may be undone (way WAY_UNDO) or turned round (WAY_FAILBACK) by a new
 * run.  decided: [{step, records}]: what it would put back.  E_REFUSED: an undo or a
 * failback of it is not done, or has left nothing to do. */
int earlier_check(const struct settings *settings, struct store *store, const char *origin, int way,
		  const json_t *decided, struct error *err);

#endif
