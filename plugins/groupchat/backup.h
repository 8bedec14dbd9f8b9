/* backup.h -- backup-db of a PostgreSQL server. */
#ifndef GROUPCHAT_BACKUP_H
#define GROUPCHAT_BACKUP_H

#include <resite/plugin.h>

int backup_probe(struct resite_op *op, const struct resite_host *host);
int backup_apply(struct resite_op *op, const struct resite_host *host);
int backup_verify(struct resite_op *op, const struct resite_host *host);

#endif
