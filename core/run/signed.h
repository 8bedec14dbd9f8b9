/* signed.h -- approvals that come as a signed file. */
#ifndef CORE_RUN_SIGNED_H
#define CORE_RUN_SIGNED_H

#include "core/run/load.h"

/* The texts of all allowed_signers that gates of the graph name: {path: text}.  They go
 * into run.started: as with the plan itself, an edited file never changes a run under
 * way.  NULL: err names step and file. */
json_t *signers_read(const struct graph *graph, struct error *err);

/* Says of each of these files that cannot be read that it cannot. */
void signers_check(const struct graph *graph, struct diags *d);

/* Appends the text that a person signs to approve step of a run whose gate is open.
 * E_REFUSED: the gate is not open, or wants no signatures; E_NOTFOUND: no such step. */
int signed_text(const struct run_state *state, struct store *store, const char *run,
		const char *step, const char *reason, int64_t now_ms, struct strbuf *out,
		struct error *err);

/* Checks the document and signature of an approval (an event of the control socket, or of
 * the command line) against the run; its actor becomes the signer, its reason the signed
 * one, and who has handed it in is `by`.  first: the run's first event.  E_REFUSED. */
int signed_check(const struct run_state *state, struct store *store, const char *run,
		 const json_t *first, int64_t now_ms, json_t *event, struct error *err);

#endif
