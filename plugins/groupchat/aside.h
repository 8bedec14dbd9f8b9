/* aside.h -- work in a thread of its own, for libraries that wait as they like (libstrophe's TLS
 * handshake, ODBC drivers): the step waits for it as for everything else, and can be
 * cancelled. */
#ifndef GROUPCHAT_ASIDE_H
#define GROUPCHAT_ASIDE_H

#include "plugins/groupchat/call.h"

/* Runs work(arg) in a thread and waits for its end, at most ms (< 0: until the deadline).
 * RESITE_OK: it has ended.  Else it goes on until this process ends, which is soon: arg must
 * not be freed.  RESITE_PENDING: time is up.  The thread must not call the host. */
int aside_run(const struct call *c, void (*work)(void *arg), void *arg, int64_t ms);

#endif
