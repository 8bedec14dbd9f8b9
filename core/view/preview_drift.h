/* preview_drift.h -- what has moved in the world between two previews. */
#ifndef CORE_VIEW_PREVIEW_DRIFT_H
#define CORE_VIEW_PREVIEW_DRIFT_H

#include "core/base/json.h"
#include "core/base/strbuf.h"

/* Compares two of preview_to_json, made with all their changes: an array of
 *	{step, then, now, objects: [{object, what: "new"|"gone"|"other", then, now}]}
 * for each step whose probe told then and whose fingerprint is not the same now.  then
 * and now are the probe's lines, of an object the change that would be made of it.  Empty
 * when nothing has moved.  NULL without memory. */
json_t *preview_drift(const json_t *then, const json_t *now);

/* Appends it for a person, at most max objects of each step. */
void preview_drift_write(struct strbuf *out, const json_t *drift, size_t max);

#endif
