/* service.h -- start, stop and only-one-active. */
#ifndef GROUPCHAT_SERVICE_H
#define GROUPCHAT_SERVICE_H

#include <resite/plugin.h>

int service_check(struct resite_op *op, const struct resite_host *host);
int start_probe(struct resite_op *op, const struct resite_host *host);
int start_apply(struct resite_op *op, const struct resite_host *host);
int start_verify(struct resite_op *op, const struct resite_host *host);
int start_revert(struct resite_op *op, const struct resite_host *host);
int stop_probe(struct resite_op *op, const struct resite_host *host);
int stop_apply(struct resite_op *op, const struct resite_host *host);
int stop_verify(struct resite_op *op, const struct resite_host *host);
int stop_revert(struct resite_op *op, const struct resite_host *host);
int one_active_check(struct resite_op *op, const struct resite_host *host);
int one_active_verify(struct resite_op *op, const struct resite_host *host);

#endif
