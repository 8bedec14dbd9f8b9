#include "config.h"

#include "plugins/health/health.h"

int
not_yet(struct resite_op *op, const struct resite_host *host, const char *fmt, ...)
{
	char text[RESITE_EASY_MAX];
	va_list ap;

	va_start(ap, fmt);
	resite_easy_vformat(text, fmt, ap);
	va_end(ap);
	host->fail(op, NULL, host->param_i64(op, "interval", 0), text);
	return RESITE_PENDING;
}

int
not_yet_net(struct net *net, int rc, const char *what)
{
	if (rc == RESITE_ERR_CANCELLED)
		return rc;
	if (rc == RESITE_ERR_INVALID || rc == RESITE_ERR_BUG)
		return resite_fail(net->op, net->host, rc, NULL, "%s: %s", what, net->err);
	return not_yet(net->op, net->host, "%s: %s", what, net->err);
}

struct net
net_of(struct resite_op *op, const struct resite_host *host)
{
	return (struct net){.op = op, .host = host,
			    .patience_ms = host->param_i64(op, "patience", 0)};
}

bool
endpoint_of(struct resite_op *op, const struct resite_host *host, const char *param, uint32_t n,
	    const char *default_port, struct net_endpoint *ret)
{
	const char *text = host->param_str(op, param, n);

	if (net_endpoint_parse(text, default_port, ret))
		return true;
	resite_fail(op, host, RESITE_ERR_INVALID, param, "'%s' is not host:port", text);
	return false;
}
