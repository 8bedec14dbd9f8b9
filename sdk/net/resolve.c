/* getaddrinfo in a thread: it has no deadline of its own, and in a disaster the
 * resolver is one of the things that may be gone. */
#include "config.h"

#include "sdk/net/net.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Shared by the caller and the thread; the last of the two frees it. */
struct lookup {
	struct net_endpoint ep;
	struct addrinfo *found; /* valid once done_fd is readable */
	int gai, sys_errno;     /* getaddrinfo's result; errno with EAI_SYSTEM */
	int done_fd;            /* eventfd */
	atomic_int users;       /* 2, 1, 0 */
};

static void
lookup_put(struct lookup *l)
{
	if (atomic_fetch_sub(&l->users, 1) > 1)
		return;
	if (l->found)
		freeaddrinfo(l->found);
	close(l->done_fd);
	free(l);
}

static void *
lookup_thread(void *arg)
{
	struct lookup *l = arg;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	uint64_t one = 1;
	ssize_t n;

	l->gai = getaddrinfo(l->ep.host, l->ep.port, &hints, &l->found);
	l->sys_errno = errno;
	n = write(l->done_fd, &one, sizeof(one));
	(void)n; /* an eventfd at 0 takes 1 without fail */
	lookup_put(l);
	return NULL;
}

static struct lookup *
lookup_start(const struct net_endpoint *ep)
{
	struct lookup *l = calloc(1, sizeof(*l));
	pthread_t thread;

	if (!l)
		return NULL;
	l->ep = *ep;
	l->done_fd = eventfd(0, EFD_CLOEXEC);
	atomic_init(&l->users, 2);
	if (l->done_fd < 0 || pthread_create(&thread, NULL, lookup_thread, l) != 0) {
		if (l->done_fd >= 0)
			close(l->done_fd);
		free(l);
		return NULL;
	}
	pthread_detach(thread);
	return l;
}

static void
take_addrs(const struct addrinfo *ai, struct net_addrs *ret)
{
	ret->n = 0;
	for (; ai && ret->n < NET_ADDRS_MAX; ai = ai->ai_next) {
		if (ai->ai_addrlen > sizeof(ret->v[0].sa))
			continue;
		memcpy(&ret->v[ret->n].sa, ai->ai_addr, ai->ai_addrlen);
		ret->v[ret->n++].len = ai->ai_addrlen;
	}
}

static int
resolve_name(struct net *net, const struct net_endpoint *ep, struct net_addrs *ret)
{
	struct lookup *l = lookup_start(ep);
	int rc;

	if (!l)
		return net_error(net, RESITE_ERR_TRANSIENT, "cannot start a look-up of %s: %s",
				 ep->host, strerror(errno));
	rc = net->host->wait(net->op, l->done_fd, POLLIN, net->patience_ms);
	if (rc == RESITE_PENDING)
		rc = net_error(net, RESITE_ERR_TRANSIENT,
			       "the system's resolver has not answered for %s in %lld ms", ep->host,
			       (long long)net->patience_ms);
	else if (rc == RESITE_OK && l->gai != 0)
		rc = net_error(net, RESITE_ERR_TRANSIENT, "cannot resolve %s: %s", ep->host,
			       l->gai == EAI_SYSTEM ? strerror(l->sys_errno)
						    : gai_strerror(l->gai));
	else if (rc == RESITE_OK)
		take_addrs(l->found, ret);
	lookup_put(l);
	return rc;
}

int
net_resolve(struct net *net, const struct net_endpoint *ep, struct net_addrs *ret)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *ai = NULL;

	ret->n = 0;
	if (getaddrinfo(ep->host, ep->port, &hints, &ai) != 0)
		return resolve_name(net, ep, ret);
	take_addrs(ai, ret);
	freeaddrinfo(ai);
	return RESITE_OK;
}
