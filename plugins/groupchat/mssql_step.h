/* mssql_step.h -- backup-mssql and restore-mssql: Microsoft SQL Server through ODBC. */
#ifndef GROUPCHAT_MSSQL_STEP_H
#define GROUPCHAT_MSSQL_STEP_H

#include <resite/plugin.h>

int mssql_backup_probe(struct resite_op *op, const struct resite_host *host);
int mssql_backup_apply(struct resite_op *op, const struct resite_host *host);
int mssql_restore_check(struct resite_op *op, const struct resite_host *host);
int mssql_restore_probe(struct resite_op *op, const struct resite_host *host);
int mssql_restore_apply(struct resite_op *op, const struct resite_host *host);

#endif
