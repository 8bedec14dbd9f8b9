/* tag.h -- the mark by which the processes of one attempt are found again.
 *
 * Every attempt of a run has in its environment RESITE_ATTEMPT=SCOPE/RUN/STEP/N, and so has
 * all that it starts, also a daemon that has left its group and session and has closed every
 * descriptor.  The variable is made when the nursery is started and filled in by the
 * attempt in its place, so that /proc/PID/environ shows it also for a process that was
 * only forked.  What takes its environment away on purpose is not found.
 */
#ifndef CORE_WORKER_TAG_H
#define CORE_WORKER_TAG_H

#include "core/base/base.h"

#include <sys/types.h>

#define TAG_VARIABLE "RESITE_ATTEMPT"
#define TAG_MAX 256 /* bytes of a tag, with its NUL */

/* "SCOPE/RUN/STEP/N"; scope tells runs of one name in two state directories apart.  Names
 * that are too long are cut, and a sum of all of them is added. */
void tag_write(char buf[TAG_MAX], const char *scope, const char *run, const char *step, int64_t n);

/* The variable with room for any tag, for the environment of a nursery. */
extern const char tag_room[sizeof(TAG_VARIABLE) + TAG_MAX];

/* Marks this process, in the room that its environment has; "" marks nothing. */
void tag_mark(const char *tag);

/* The tag of a process, "" when it has none or may not be looked at. */
void tag_read(pid_t pid, char buf[TAG_MAX]);

typedef bool tag_wanted_fn(void *ctx, const char *tag);

/* Kills all processes but this one whose tag is wanted, and those that they start
 * meanwhile, and waits until they are gone, at most ms.  below: only children of that
 * process are looked at (the subreaper that orphans come to); 0: all processes.
 * Returns how many have not gone. */
unsigned tag_kill(pid_t below, tag_wanted_fn *wanted, void *ctx, int64_t ms);
/* The same for one tag. */
unsigned tag_kill_one(pid_t below, const char *tag, int64_t ms);

#endif
