/* child.h -- the life of one attempt, in the process that was forked for it. */
#ifndef CORE_WORKER_CHILD_H
#define CORE_WORKER_CHILD_H

#include "core/base/base.h"

#include <resite/plugin.h>

/* Reads the attempt from fd 3, calls the plugin, sends the result, ends the process. */
_Noreturn void attempt_run(const struct resite_plugin *plugin);

#endif
