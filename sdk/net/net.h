/* net.h -- plain sockets for plugins, with every wait bounded by the host.
 *
 * All functions that wait do so through host->wait, so a cancel or the step's
 * deadline always ends them.  They return enum resite_rc; on anything but
 * RESITE_OK a readable reason is in net->err (RESITE_ERR_CANCELLED: nothing to add).
 * A peer that cannot be reached, hangs up or stays silent is RESITE_ERR_TRANSIENT.
 */
#ifndef RESITE_SDK_NET_NET_H
#define RESITE_SDK_NET_NET_H

#include <resite/plugin.h>

#include <stdbool.h>
#include <sys/socket.h>

#define NET_ADDRS_MAX 8

/* One call of a plugin function and the patience it has with a peer. */
struct net {
	struct resite_op *op;
	const struct resite_host *host;
	int64_t patience_ms; /* longest silence of a peer that is accepted */
	char err[600];       /* why the last call failed */
};

/* host and port as the plan wrote them, taken apart. */
struct net_endpoint {
	char host[256]; /* name or address; an IPv6 address without its brackets */
	char port[6];   /* decimal, 1..65535 */
	char text[272]; /* "host:port" or "[v6]:port", for messages */
};

struct net_addrs {
	struct {
		struct sockaddr_storage sa;
		socklen_t len;
	} v[NET_ADDRS_MAX];
	size_t n;
};

/* Parses "host:port", "host", "[v6]:port", "[v6]" or a bare IPv6 address.
 * default_port: used when text has none; NULL: a port is required.  False when
 * text is none of these. */
bool net_endpoint_parse(const char *text, const char *default_port, struct net_endpoint *ret);
/* Makes an endpoint of its parts; false when they do not fit. */
bool net_endpoint_make(const char *host, const char *port, struct net_endpoint *ret);

/* Monotonic milliseconds. */
int64_t net_now_ms(void);
/* Sets net->err and returns rc. */
int net_error(struct net *net, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Addresses of ep.  A name is asked of the system's resolver in a thread of its
 * own, because getaddrinfo cannot be cancelled. */
int net_resolve(struct net *net, const struct net_endpoint *ep, struct net_addrs *ret);
/* Connects a non-blocking socket of type SOCK_STREAM or SOCK_DGRAM to the first
 * address that accepts; patience_ms for each.  The caller closes *ret_fd. */
int net_connect(struct net *net, const struct net_endpoint *ep, int type, int *ret_fd);
/* Sends all of buf. */
int net_send(struct net *net, int fd, const void *buf, size_t len);
/* Receives at least one byte (or one datagram); *ret_n is 0 at the end of the stream.
 * RESITE_PENDING: nothing came until until_ms (as net_now_ms). */
int net_recv(struct net *net, int fd, void *buf, size_t cap, int64_t until_ms, size_t *ret_n);

#endif
