/* load.h -- the only caller of dlopen: a plugin's descriptor, checked.
 *
 * The descriptor comes from outside: its sizes and strides say how much of it may
 * be read; what an older plugin does not have reads as 0.
 */
#ifndef CORE_WORKER_LOAD_H
#define CORE_WORKER_LOAD_H

#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/strbuf.h"

#include <resite/plugin.h>

/* Loads the file and copies its descriptor; strings and tables stay the plugin's.
 * E_INVALID: no plugin, a malformed one, or of another ABI; err says which and what to
 * do.  A plugin is never unloaded. */
int plugin_load(const char *path, struct resite_plugin *ret_plugin, struct error *err);

/* Copies action number i (i < n_actions), or parameter number i of an action; false at
 * the end of the parameters. */
void plugin_action(const struct resite_plugin *plugin, uint64_t i, struct resite_action *ret);
bool plugin_param(const struct resite_plugin *plugin, const struct resite_action *action,
		  size_t i, struct resite_param *ret);

/* Finds an action by name; false when there is none. */
bool plugin_find_action(const struct resite_plugin *plugin, const char *name,
			struct resite_action *ret);

/* Appends the hello line for the plugin with its newline. */
void plugin_write_hello(struct strbuf *sb, const struct resite_plugin *plugin);

#endif
