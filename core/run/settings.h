/* settings.h -- where this resite finds its things.
 *
 * Each is taken from the command line, else from the environment, else from the
 * folder of the running program (a build tree), else from the installation:
 *	state     --state, $RESITE_STATE, /var/lib/resite for root,
 *	          $XDG_STATE_HOME/resite or ~/.local/state/resite for others
 *	plugins   --plugins (more than once), $RESITE_PLUGINS (with colons), modules/
 *	          beside the program, the installed folder
 *	worker    $RESITE_WORKER, resite-worker beside the program, the installed one
 */
#ifndef CORE_RUN_SETTINGS_H
#define CORE_RUN_SETTINGS_H

#include "core/base/error.h"

#define SETTINGS_JOBS_DEFAULT 32

struct settings {
	char *state_dir;    /* owned, absolute */
	char *worker_path;  /* owned */
	char **plugin_dirs; /* owned, NULL-terminated */
	uint32_t jobs;      /* attempts open at once */
};

/* state_dir and plugin_dirs (NULL-terminated) are those of the command line, or
 * NULL; jobs 0: the default.  settings is to be released in every case. */
int settings_init(struct settings *settings, const char *state_dir,
		  const char *const *plugin_dirs, uint32_t jobs, struct error *err);
void settings_release(struct settings *settings);

#endif
