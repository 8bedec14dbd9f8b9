/* schemas.h -- plugin descriptions for the plan check, from one of two places:
 * the plugins that are installed now, or the journal of a run, which keeps the
 * descriptions that its plan was checked against.
 */
#ifndef CORE_RUN_SCHEMAS_H
#define CORE_RUN_SCHEMAS_H

#include "core/base/json.h"
#include "core/plan/schema.h"
#include "core/worker/registry.h"

struct schemas;

/* registry is borrowed; NULL when only a journal's descriptions are wanted. */
struct schemas *schemas_new(struct registry *registry);
void schemas_free(struct schemas *schemas); /* with every schema it gave out */

/* Adds the descriptions that schemas_to_json made; they are preferred to the
 * installed plugins. */
int schemas_add_json(struct schemas *schemas, const json_t *hellos, struct error *err);

/* {"NAME": hello, …} of all plugins that were asked for.  New reference. */
json_t *schemas_to_json(const struct schemas *schemas);

struct schema_source schemas_source(struct schemas *schemas);

#endif
