#include "config.h"

#include "sdk/net/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t
net_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int
net_error(struct net *net, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(net->err, sizeof(net->err), fmt, ap);
	va_end(ap);
	return rc;
}

/* --- endpoints ----------------------------------------------------------- */

static bool
is_port(const char *port)
{
	size_t n = strspn(port, "0123456789");

	return n > 0 && n < 6 && !port[n] && atoi(port) > 0 && atoi(port) < 65536;
}

bool
net_endpoint_make(const char *host, const char *port, struct net_endpoint *ret)
{
	bool v6 = strchr(host, ':') != NULL;
	size_t len = strlen(host);

	if (!len || len >= sizeof(ret->host) || !is_port(port) || strpbrk(host, " []/"))
		return false;
	memcpy(ret->host, host, len + 1);
	memcpy(ret->port, port, strlen(port) + 1);
	snprintf(ret->text, sizeof(ret->text), v6 ? "[%s]:%s" : "%s:%s", ret->host, ret->port);
	return true;
}

bool
net_endpoint_parse(const char *text, const char *default_port, struct net_endpoint *ret)
{
	char host[256];
	const char *port = default_port, *colon = strchr(text, ':');
	size_t len;

	if (*text == '[') {
		const char *end = strchr(text++, ']');

		if (!end || (end[1] && end[1] != ':'))
			return false;
		len = (size_t)(end - text);
		port = end[1] ? end + 2 : port;
	} else if (colon && !strchr(colon + 1, ':')) {
		len = (size_t)(colon - text);
		port = colon + 1;
	} else {
		len = strlen(text);
	}
	if (!port || len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	return net_endpoint_make(host, port, ret);
}

/* --- connecting ---------------------------------------------------------- */

static const char *
addr_text(const struct sockaddr *sa, char *buf, size_t cap)
{
	const void *a = sa->sa_family == AF_INET6
				? (const void *)&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr
				: (const void *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr;

	return inet_ntop(sa->sa_family, a, buf, (socklen_t)cap) ? buf : "?";
}

/* Waits for a connect under way; its result is the socket's pending error. */
static int
finish_connect(struct net *net, int fd, int *ret_errno)
{
	socklen_t len = sizeof(*ret_errno);
	int rc = net->host->wait(net->op, fd, POLLOUT, net->patience_ms);

	*ret_errno = ETIMEDOUT;
	if (rc == RESITE_OK && getsockopt(fd, SOL_SOCKET, SO_ERROR, ret_errno, &len) < 0)
		*ret_errno = errno;
	return rc == RESITE_PENDING ? RESITE_OK : rc;
}

/* What is sent is whole messages, several in flight: none is to wait until the peer has
 * acknowledged the one before, which it puts off for 40 ms. */
static void
send_at_once(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* without it, slower */
}

static int
connect_one(struct net *net, const struct sockaddr *sa, socklen_t len, int type, int *ret_fd,
	    int *ret_errno)
{
	int fd = socket(sa->sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc = RESITE_OK;

	if (fd < 0) {
		*ret_errno = errno;
		return RESITE_OK;
	}
	*ret_errno = 0;
	if (type == SOCK_STREAM)
		send_at_once(fd);
	if (connect(fd, sa, len) < 0) {
		*ret_errno = errno;
		if (errno == EINPROGRESS)
			rc = finish_connect(net, fd, ret_errno);
	}
	if (rc == RESITE_OK && *ret_errno == 0)
		*ret_fd = fd;
	else
		close(fd);
	return rc;
}

int
net_connect(struct net *net, const struct net_endpoint *ep, int type, int *ret_fd)
{
	struct net_addrs addrs;
	char text[INET6_ADDRSTRLEN], why[300] = "";
	int err = 0, rc = net_resolve(net, ep, &addrs);

	for (size_t i = 0; i < addrs.n && rc == RESITE_OK; i++) {
		const struct sockaddr *sa = (const struct sockaddr *)&addrs.v[i].sa;
		size_t used = strlen(why);

		rc = connect_one(net, sa, addrs.v[i].len, type, ret_fd, &err);
		if (rc != RESITE_OK || err == 0)
			return rc;
		snprintf(why + used, sizeof(why) - used, "%s%s: %s", used ? "; " : "",
			 addr_text(sa, text, sizeof(text)), strerror(err));
	}
	if (rc != RESITE_OK)
		return rc;
	return net_error(net, RESITE_ERR_TRANSIENT, "cannot connect to %s: %s", ep->text, why);
}

/* --- bytes --------------------------------------------------------------- */

int
net_send(struct net *net, int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		int rc;

		if (n >= 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return net_error(net, RESITE_ERR_TRANSIENT, "sending: %s", strerror(errno));
		rc = net->host->wait(net->op, fd, POLLOUT, net->patience_ms);
		if (rc == RESITE_PENDING)
			return net_error(net, RESITE_ERR_TRANSIENT,
					 "the peer has taken nothing for %lld ms",
					 (long long)net->patience_ms);
		if (rc != RESITE_OK)
			return rc;
	}
	return RESITE_OK;
}

int
net_recv(struct net *net, int fd, void *buf, size_t cap, int64_t until_ms, size_t *ret_n)
{
	for (;;) {
		ssize_t n = recv(fd, buf, cap, 0);
		int64_t left;
		int rc;

		if (n >= 0) {
			*ret_n = (size_t)n;
			return RESITE_OK;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return net_error(net, RESITE_ERR_TRANSIENT, "receiving: %s",
					 strerror(errno));
		left = until_ms - net_now_ms();
		if (left <= 0)
			return RESITE_PENDING;
		rc = net->host->wait(net->op, fd, POLLIN, left);
		if (rc < 0)
			return rc;
	}
}
