/* settings.h -- where this resite finds its things.
 *
 * Each is taken from the command line, else from the environment, else from the
 * folder of the running program (a build tree), else from the installation:
 *	state     --state, $RESITE_STATE, /var/lib/resite for root,
 *	          $XDG_STATE_HOME/resite or ~/.local/state/resite for others
 *	plugins   --plugins (more than once), $RESITE_PLUGINS (with colons), modules/
 *	          beside the program, the installed folder
 *	group     --group, $RESITE_GROUP, none: who may reach runs beside their owner
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
	char *group;        /* owned; NULL: none is given */
};

/* state_dir and plugin_dirs (NULL-terminated) are those of the command line, or
 * NULL; jobs 0: the default; group NULL: the environment's.  settings is to be released in every case. */
int settings_init(struct settings *settings, const char *state_dir,
		  const char *const *plugin_dirs, uint32_t jobs, const char *group,
		  struct error *err);
/* Lets the group, when one is given, into the state directory (mode 2750) and to the
 * journal (0640).  It lasts: the sockets of later runs are for whom the folder lets in. */
int settings_share(const struct settings *settings, struct error *err);
void settings_release(struct settings *settings);

#endif
