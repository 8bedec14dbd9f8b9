#include "config.h"

#include "plugins/edge-nexthop/edge.h"

struct edge
edge_of(struct resite_op *op, const struct resite_host *host)
{
	return (struct edge){.op = op, .host = host,
			     .net = {.op = op, .host = host,
				     .patience_ms = host->param_i64(op, "patience", 0)}};
}

int
edge_fail(struct edge *e, int rc)
{
	if (rc != RESITE_OK && rc != RESITE_ERR_CANCELLED)
		resite_fail(e->op, e->host, rc, NULL, "%s", e->net.err);
	return rc;
}

int
edge_not_yet(struct edge *e, int rc)
{
	if (rc != RESITE_ERR_TRANSIENT && rc != RESITE_PENDING)
		return edge_fail(e, rc);
	e->host->fail(e->op, NULL, e->host->param_i64(e->op, "interval", 0), e->net.err);
	return RESITE_PENDING;
}

const char *
edge_str(struct edge *e, const char *name)
{
	return resite_str_or(e->op, e->host, name, NULL);
}
