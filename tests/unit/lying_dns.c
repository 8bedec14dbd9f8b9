#include "config.h"

#include "tests/unit/lying_dns.h"
#include "tests/unit/named_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS 16
#define MESSAGE 65535

struct client {
	int fd, real_fd; /* real_fd: its own connection to the real server */
};

static struct sockaddr_in
loopback(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int
open_at(int type, int port, bool listens)
{
	struct sockaddr_in sa = loopback(port);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if ((listens ? bind(fd, (struct sockaddr *)&sa, sizeof(sa))
		     : connect(fd, (struct sockaddr *)&sa, sizeof(sa))) < 0) {
		close(fd);
		return -1;
	}
	if (listens && type == SOCK_STREAM)
		listen(fd, CLIENTS);
	return fd;
}

/* --- spoiling ------------------------------------------------------------------- */

static enum lie
lie_about(struct lying_dns *l, const uint8_t *request)
{
	return (enum lie)atomic_load((request[2] >> 3 & 15) == 5 ? &l->about_updates : &l->about_queries);
}

static size_t
bare(struct lying_dns *l, const uint8_t *request, uint8_t *answer)
{
	memset(answer, 0, 12);
	memcpy(answer, request, 3);
	answer[2] |= 0x80;
	answer[3] = (uint8_t)atomic_load(&l->rcode);
	return 12;
}

/* Returns how many bytes of the answer are to be sent; 0: none. */
static size_t
spoil(struct lying_dns *l, enum lie lie, const uint8_t *request, uint8_t *answer, size_t len)
{
	switch (lie) {
	case SILENCE:
	case HANGUP:
	case DONE_THEN_LOST:
		return 0;
	case CUT:
		return len / 2;
	case GARBAGE:
		memset(answer, 0xa5, len);
		return len;
	case OTHER_QUESTION:
		answer[13] ^= 1; /* the first letter of the name */
		return len;
	case OTHER_DATA:
		answer[len - 1] ^= 1;
		return len;
	case NO_AUTHORITY:
		answer[2] &= (uint8_t)~4;
		return len;
	case BARE_RCODE:
		return bare(l, request, answer);
	case TRUTH:
		break;
	}
	return len;
}

static bool
never_reaches_it(enum lie lie)
{
	return lie == SILENCE || lie == HANGUP || lie == BARE_RCODE || lie == GARBAGE;
}

static bool
closes(enum lie lie)
{
	return lie == HANGUP || lie == CUT || lie == DONE_THEN_LOST;
}

/* --- passing on -------------------------------------------------------------------- */

static bool
read_all(int fd, uint8_t *buf, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t got = read(fd, buf + at, n - at);

		if (got <= 0)
			return false;
		at += (size_t)got;
	}
	return true;
}

static size_t
read_framed(int fd, uint8_t *buf)
{
	uint8_t head[2];
	size_t n;

	if (!read_all(fd, head, 2))
		return 0;
	n = (size_t)(head[0] << 8 | head[1]);
	return n >= 12 && read_all(fd, buf, n) ? n : 0;
}

/* announced: the length that is said to come. */
static bool
write_framed(int fd, const uint8_t *buf, size_t n, size_t announced)
{
	const uint8_t head[2] = {(uint8_t)(announced >> 8), (uint8_t)announced};

	return send(fd, head, 2, MSG_NOSIGNAL) == 2 &&
	       send(fd, buf, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* False: the connection is to be closed. */
static bool
serve_tcp(struct lying_dns *l, const struct client *c)
{
	static uint8_t request[MESSAGE], answer[MESSAGE];
	size_t len = read_framed(c->fd, request), got = len, send;
	enum lie lie;

	if (!len)
		return false;
	lie = lie_about(l, request);
	memcpy(answer, request, len);
	if (!never_reaches_it(lie)) {
		if (!write_framed(c->real_fd, request, len, len))
			return false;
		got = read_framed(c->real_fd, answer);
	}
	send = got ? spoil(l, lie, request, answer, got) : 0;
	if (send && !write_framed(c->fd, answer, send, lie == CUT ? got : send))
		return false;
	return got && !closes(lie);
}

static void
serve_udp(struct lying_dns *l)
{
	static uint8_t request[MESSAGE], answer[MESSAGE];
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t len = recvfrom(l->udp_fd, request, sizeof(request), 0, (struct sockaddr *)&from, &from_len);
	enum lie lie;
	ssize_t got = len;
	size_t n;

	if (len < 12)
		return;
	lie = lie_about(l, request);
	memcpy(answer, request, (size_t)len);
	if (!never_reaches_it(lie)) {
		int fd = open_at(SOCK_DGRAM, l->real_port, false);

		got = send(fd, request, (size_t)len, 0) == len ? recv(fd, answer, sizeof(answer), 0) : 0;
		close(fd);
	}
	n = got > 0 ? spoil(l, lie, request, answer, (size_t)got) : 0;
	if (n && sendto(l->udp_fd, answer, n, 0, (struct sockaddr *)&from, from_len) < 0)
		perror("lying_dns");
}

static void
accept_one(struct lying_dns *l, struct client *clients, size_t *n)
{
	int fd = accept(l->tcp_fd, NULL, NULL);

	if (fd < 0)
		return;
	if (*n == CLIENTS) {
		close(fd);
		return;
	}
	clients[(*n)++] = (struct client){fd, open_at(SOCK_STREAM, l->real_port, false)};
}

static void
drop(struct client *clients, size_t *n, size_t i)
{
	close(clients[i].fd);
	close(clients[i].real_fd);
	clients[i] = clients[--*n];
}

static void *
serve(void *arg)
{
	struct lying_dns *l = arg;
	struct client clients[CLIENTS];
	size_t n = 0;

	while (!atomic_load(&l->over)) {
		struct pollfd p[CLIENTS + 2] = {{.fd = l->tcp_fd, .events = POLLIN},
						{.fd = l->udp_fd, .events = POLLIN}};
		size_t known = n;

		for (size_t i = 0; i < n; i++)
			p[i + 2] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
		if (poll(p, n + 2, 20) <= 0)
			continue;
		for (size_t i = known; i-- > 0;)
			if (p[i + 2].revents && !serve_tcp(l, &clients[i]))
				drop(clients, &n, i);
		if (p[0].revents)
			accept_one(l, clients, &n);
		if (p[1].revents)
			serve_udp(l);
	}
	while (n)
		drop(clients, &n, n - 1);
	return NULL;
}

void
lying_start(struct lying_dns *l, int real_port)
{
	int port = free_port();

	memset(l, 0, sizeof(*l));
	l->real_port = real_port;
	snprintf(l->at, sizeof(l->at), "127.0.0.1:%d", port);
	l->tcp_fd = open_at(SOCK_STREAM, port, true);
	l->udp_fd = open_at(SOCK_DGRAM, port, true);
	if (l->tcp_fd < 0 || l->udp_fd < 0 || pthread_create(&l->thread, NULL, serve, l) != 0) {
		perror("lying_dns");
		abort();
	}
}

void
lying_stop(struct lying_dns *l)
{
	atomic_store(&l->over, true);
	pthread_join(l->thread, NULL);
	close(l->tcp_fd);
	close(l->udp_fd);
}
