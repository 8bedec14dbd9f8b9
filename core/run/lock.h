/* lock.h -- who may act for a run.
 *
 * STATE/RUN.owner is locked by the one orchestrator of a run, for as long as it
 * lives; it holds its pid for messages.  STATE/RUN.workers is locked by the
 * orchestrator and inherited by every worker and all that a worker starts: it
 * is free only when the last of them is gone.  A resume takes the first, then
 * waits for the second, so two generations of workers never act at the same
 * time.  Both are flock(2) locks: they end with the processes, never later.
 */
#ifndef CORE_RUN_LOCK_H
#define CORE_RUN_LOCK_H

#include "core/base/error.h"

struct run_lock {
	int owner_fd;   /* close-on-exec */
	int workers_fd; /* inherited by workers */
	char scope[40]; /* run_lock_take: the second file's device and number: it tells the
			 * processes of this run from those of one with its name elsewhere */
};

#define RUN_LOCK_INIT {.owner_fd = -1, .workers_fd = -1}

/* Who only writes to the journal: the first lock.  E_BUSY names the pid of the owner. */
int run_lock_own(struct run_lock *lock, const char *state_dir, const char *run,
		 struct error *err);
/* Who starts workers: both.  What an earlier orchestrator has left is given a third of
 * wait_ms to end by itself, then killed.  E_BUSY as above, or it names after wait_ms the
 * processes that cannot be. */
int run_lock_take(struct run_lock *lock, const char *state_dir, const char *run,
		  int64_t wait_ms, struct error *err);
void run_lock_release(struct run_lock *lock);

/* Whether no process is left of those that the run's last orchestrator had started.
 * E_BUSY names them. */
int run_lock_workers_gone(const char *state_dir, const char *run, struct error *err);

/* Whether a run of that name has ever been locked here. */
bool run_lock_known(const char *state_dir, const char *run);

/* The pid of the process that owns the run now; 0: nobody. */
int run_lock_owner(const char *state_dir, const char *run);

#endif
