/* plugins.h -- the nurseries of a run or a preview: one for each plugin that is
 * needed, started when it is first asked for and again when it was lost. */
#ifndef CORE_RUN_PLUGINS_H
#define CORE_RUN_PLUGINS_H

#include "core/base/error.h"
#include "core/plan/graph.h"
#include "core/worker/nursery.h"
#include "core/worker/registry.h"

struct plugins;

/* Called with what a nursery says outside of any attempt. */
typedef void plugins_log_fn(void *ctx, const char *plugin, const char *text);

/* loop, registry and graph are borrowed.  lock_fd: the run's lock that all workers
 * inherit, or -1.  NULL without memory. */
struct plugins *plugins_new(uv_loop_t *loop, struct registry *registry,
			    const struct graph *graph, int lock_fd, plugins_log_fn *log,
			    void *ctx);

/* The nursery of the plugin, started if there is none.  E_NOTFOUND, E_IO, E_NOMEM. */
int plugins_nursery(struct plugins *plugins, const char *name, struct nursery **ret,
		    struct error *err);

/* Starts those of all steps, so that they load side by side while this process is
 * still small.  A plugin that cannot start is reported when it is first needed. */
void plugins_warm_up(struct plugins *plugins);

/* Ends all nurseries and, with them, what still runs; frees.  The loop must run
 * once more afterwards. */
void plugins_free(struct plugins *plugins);

#endif
