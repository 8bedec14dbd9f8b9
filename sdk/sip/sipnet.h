/* sipnet.h -- finding a domain's registrar, and talking SIP to it over TCP. */
#ifndef RESITE_SDK_SIP_SIPNET_H
#define RESITE_SDK_SIP_SIPNET_H

#include "sdk/sip/sipmsg.h"
#include "sdk/net/net.h"

#define SIP_TARGETS_MAX 16

/* One address to try, and how it was found: for messages. */
struct sip_target {
	struct net_endpoint ep;
	char how[640];
};

struct sip_targets {
	struct sip_target v[SIP_TARGETS_MAX];
	size_t n;
};

struct sip_conn {
	struct net *net;
	struct net_endpoint peer;
	int fd; /* -1: not connected */
	char local[80];
	char *in;
	size_t in_len;
};

/* The addresses of service.domain in the order in which a client tries them: SRV by priority,
 * then weight (RFC 2782, without its dice), then each target's A and AAAA records. */
int sip_find(struct net *net, const struct net_endpoint *resolver, const char *service,
	     const char *domain, struct sip_targets *ret);

/* Connects; on failure there is nothing to close. */
int sip_connect(struct sip_conn *ret, struct net *net, const struct net_endpoint *peer);
void sip_close(struct sip_conn *c);
/* Sends a request and waits for its final response, which the caller releases. */
int sip_exchange(struct sip_conn *c, const struct sip_request *request, struct sip_response *ret);

#endif
