/* restore.h -- restore-db of a PostgreSQL server. */
#ifndef GROUPCHAT_RESTORE_H
#define GROUPCHAT_RESTORE_H

#include <resite/plugin.h>

int restore_probe(struct resite_op *op, const struct resite_host *host);
int restore_apply(struct resite_op *op, const struct resite_host *host);
int restore_revert(struct resite_op *op, const struct resite_host *host);

#endif
