/* visit.h -- verify: is the chat there, as a client sees it? */
#ifndef GROUPCHAT_VISIT_H
#define GROUPCHAT_VISIT_H

#include <resite/plugin.h>

int visit_check(struct resite_op *op, const struct resite_host *host);
int visit_verify(struct resite_op *op, const struct resite_host *host);

#endif
