/* undo_line.h -- undo records on their way from a worker to the journal.
 *
 * A mass move writes a hundred thousand of them, and the parent only passes them on.  A
 * line in the form that resite-worker writes is checked where it lies, byte by byte,
 * without a tree of values: {"kind":"undo","records":[R,...]} with R =
 * {"version":N,"by_hand":"...","kv":{"key":"value",...}} and no white space.
 */
#ifndef CORE_WORKER_UNDO_LINE_H
#define CORE_WORKER_UNDO_LINE_H

#include "core/base/base.h"

struct undo_line {
	const char *records; /* the array's text in the line, with its brackets */
	size_t len;          /* bytes of it */
	uint64_t n;          /* records in it */
};

/* False: the line is something else, or the same written differently; parse it. */
bool undo_line_read(const char *line, size_t len, struct undo_line *ret);

#endif
