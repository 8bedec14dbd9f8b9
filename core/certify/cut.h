/* cut.h -- what a power cut leaves of the files that were written.
 *
 * A page of a file that was written and not synced may be on the disk or not, sector by
 * sector and in any order; so may a file's new size, a new file's name in its folder, and
 * a new folder's name in its own; a file that was removed may be there again.  What was synced is there.  A sync that failed has kept
 * nothing, and no later one of the same pages does.
 */
#ifndef CORE_CERTIFY_CUT_H
#define CORE_CERTIFY_CUT_H

#include "core/base/error.h"
#include "core/certify/fault.h"

/* Changes the files below page->root to what a power cut may have left, and empties the
 * records.  Nobody may have the files open.  some: by a coin thrown with seed, a part of
 * what was not synced is on disk; else none of it.  E_IO, E_NOMEM. */
int cut_apply(struct fault_page *page, bool some, uint64_t seed, struct error *err);

#endif
