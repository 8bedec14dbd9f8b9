/* previewed.h -- a preview that is kept in a file, and the run that is bound to it.
 *
 * The file is one JSON object: what `resite preview --json` prints, and beside it
 *	resite_preview  1, the format
 *	made            wall time, RFC 3339, UTC
 *	plan            the plan's name
 *	plan_sha256     of the plan's text with its includes expanded
 *	only            the workloads that it was made for; []: all
 */
#ifndef CORE_RUN_PREVIEWED_H
#define CORE_RUN_PREVIEWED_H

#include "core/run/load.h"

#define PREVIEWED_FORMAT 1

/* Writes found (of preview_to_json, which gets the members above) to path, whole or not
 * at all.  E_IO, E_FULL, E_NOMEM. */
int previewed_write(const char *path, const struct loaded *l, const struct bind_request *req,
		    json_t *found, struct error *err);

/* The same for found as it is. */
int previewed_keep(const char *path, const json_t *found, struct error *err);

/* Reads the file at path, which must have been made of the plan in l for the same
 * runbook, direction, mode and workloads.  E_IO; E_INVALID: it is no such file;
 * E_REFUSED: err says in what it differs.  *ret is a new reference. */
int previewed_read(const char *path, const struct loaded *l, const struct bind_request *req,
		   json_t **ret, struct error *err);

/* What run.started keeps of it (engine/run_state.h): the steps whose probe told.
 * E_REFUSED: a step's probe had failed, so there is nothing to be bound to. */
int previewed_bind(const json_t *previewed, json_t **ret, struct error *err);

#endif
