/* registry.h -- which plugins there are, and what they say of themselves.
 *
 * Nothing here loads a plugin: a resite-worker does, in a process of its own, and
 * a plugin that crashes, hangs or is no plugin is one clear refusal.
 */
#ifndef CORE_WORKER_REGISTRY_H
#define CORE_WORKER_REGISTRY_H

#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/json.h"

struct registry;

/* worker_path: the program resite-worker.  dirs: folders to look in, the first that
 * has NAME.so wins; NULL-terminated.  All copied.  NULL: no memory. */
struct registry *registry_new(const char *worker_path, const char *const *dirs);
void registry_free(struct registry *r);

const char *registry_worker_path(const struct registry *r);

/* The file of the plugin: …/NAME.so, owned by r.  E_NOTFOUND names the folders that
 * were searched; E_INVALID: not a plugin's name. */
int registry_find(struct registry *r, const char *name, const char **ret_path,
		  struct error *err);

/* The plugin's hello, borrowed, read once and then remembered:
 *	{"kind":"hello","protocol":1,"abi":[0,1],"plugin":{"name","version","summary",
 *	 "actions":[{"name","summary","flags":["readonly","reversible","carries","notify"],
 *	   "timeout_ms","params":[{"name","summary","type","required","repeated","default",
 *	   "choices":[…],"min","max"}],"outputs":[…],
 *	   "has":["check","probe","apply","verify","revert"]}]}}
 * "default", "choices", "min" and "max" are absent when the plugin has none.
 * type: string|bool|int|duration|enum|domain|endpoint|url|path|size|secret.
 * Blocks for at most 10 s.  E_NOTFOUND: no such file; E_REFUSED: it cannot be used,
 * err says why and what to do. */
int registry_describe(struct registry *r, const char *name, const json_t **ret_hello,
		      struct error *err);

/* The names of all plugins found, sorted, without loading them: a NULL-terminated
 * array, freed with registry_free_names.  NULL: no memory.  A folder that does not
 * exist has none. */
char **registry_names(struct registry *r);
void registry_free_names(char **names);

/* Answers like registry_describe, from a path; nothing is remembered. */
int registry_describe_file(const char *worker_path, const char *plugin_path,
			   json_t **ret_hello, struct error *err);

#endif
