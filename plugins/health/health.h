/* health.h -- shared by the three actions of this plugin. */
#ifndef HEALTH_HEALTH_H
#define HEALTH_HEALTH_H

#include <resite/easy.h>

#include "sdk/net/net.h"

/* Not yet: the core asks again after the step's interval; the text is what it shows when
 * the deadline ends the waiting. */
int not_yet(struct resite_op *op, const struct resite_host *host, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A network failure is "not yet" too, except a cancel and what is the plan's fault. */
int not_yet_net(struct net *net, int rc, const char *what);
/* A net with the step's patience. */
struct net net_of(struct resite_op *op, const struct resite_host *host);
/* Parses the nth value of an endpoint parameter; has called host->fail when false. */
bool endpoint_of(struct resite_op *op, const struct resite_host *host, const char *param,
		 uint32_t n, const char *default_port, struct net_endpoint *ret);

int tcp_check(struct resite_op *op, const struct resite_host *host);
int tcp_verify(struct resite_op *op, const struct resite_host *host);
int dns_check(struct resite_op *op, const struct resite_host *host);
int dns_verify(struct resite_op *op, const struct resite_host *host);
int sip_check(struct resite_op *op, const struct resite_host *host);
int sip_verify(struct resite_op *op, const struct resite_host *host);

#endif
