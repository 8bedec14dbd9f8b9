/* residue.h -- what a rehearsal has left: the world before it and after its undo. */
#ifndef CORE_VIEW_RESIDUE_H
#define CORE_VIEW_RESIDUE_H

#include "core/base/strbuf.h"
#include "core/engine/run_state.h"

/* Compares two of preview_to_json (before may hold only the steps whose probe told), of the
 * rehearsal in state: the event rehearsal.residue without its kind.
 *	as_before  how many steps have the fingerprint that they had
 *	left       those that have not (preview_drift), and those that ran, which no probe
 *	           can see and no undo has put back
 *	unseen     those that no probe can see, but whose own undo has put all back
 * undo: the id of the undo, NULL: there was nothing to undo; outcome: how it has ended.
 * NULL without memory. */
json_t *residue_of(const struct run_state *state, const json_t *before, const json_t *after,
		   const char *undo, const char *outcome);

/* Whether something was left, or may have been. */
bool residue_any(const json_t *residue);

/* Appends it for a person, at most max objects of each step. */
void residue_write(struct strbuf *out, const json_t *residue, size_t max);

#endif
