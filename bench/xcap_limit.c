/* The limit of an import: the same PUTs by a client that does nothing else.
 *
 *	xcap_limit HOST PORT DOCUMENTS CONNECTIONS [get]
 *
 * Reads the documents.txt of a vault set into memory, makes all requests before the clock starts, and
 * sends them over keep-alive connections with poll, one request at a time on each.  Answers are only
 * looked at as far as needed: the status, Content-Length, and that the body came. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 64

struct request {
	char *p;
	size_t len;
};

struct connection {
	int fd;
	const struct request *request; /* NULL: idle */
	size_t sent;
	size_t got;
	char answer[65536];
};

static void
die(const char *what)
{
	fprintf(stderr, "xcap_limit: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct request
make_request(const char *host, const char *user, const char *body, size_t len, int get)
{
	struct request r;
	int n = get ? asprintf(&r.p, "GET /xcap-root/resource-lists/users/%s/index HTTP/1.1\r\n"
			       "Host: %s\r\n\r\n", user, host)
		    : asprintf(&r.p, "PUT /xcap-root/resource-lists/users/%s/index HTTP/1.1\r\n"
			       "Host: %s\r\nContent-Type: application/resource-lists+xml\r\n"
			       "Content-Length: %zu\r\n\r\n%.*s", user, host, len, (int)len, body);

	if (n < 0)
		die("memory");
	r.len = (size_t)n;
	return r;
}

static struct request *
load(const char *path, const char *host, int get, size_t *ret_n)
{
	FILE *in = fopen(path, "r");
	struct request *all = NULL;
	size_t n = 0, cap = 0, len;
	char user[1100], *line = NULL, *body;

	if (!in)
		die(path);
	while (getline(&line, &cap, in) > 0) {
		if (sscanf(line, "doc %zu %1099s", &len, user) != 2)
			continue;
		body = malloc(len + 2);
		all = realloc(all, (n + 1) * sizeof *all);
		if (!body || !all || fread(body, 1, len + 1, in) != len + 1)
			die(path);
		all[n++] = make_request(host, user, body, len, get);
		free(body);
	}
	free(line);
	fclose(in);
	*ret_n = n;
	return all;
}

static int
open_connection(const char *host, int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	inet_pton(AF_INET, host, &at.sin_addr);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

static void
send_more(struct connection *c)
{
	ssize_t n = send(c->fd, c->request->p + c->sent, c->request->len - c->sent, MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN)
		die("send");
	c->sent += n > 0 ? (size_t)n : 0;
}

/* 1 when the whole answer is there. */
static int
receive(struct connection *c)
{
	ssize_t n = recv(c->fd, c->answer + c->got, sizeof c->answer - 1 - c->got, 0);
	char *end, *length;

	if (n <= 0)
		die("recv");
	c->got += (size_t)n;
	c->answer[c->got] = '\0';
	end = strstr(c->answer, "\r\n\r\n");
	length = strcasestr(c->answer, "\r\nContent-Length:");
	if (!end || !length)
		return 0;
	return c->got >= (size_t)(end + 4 - c->answer) + strtoul(length + 17, NULL, 10);
}

static double
seconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Sends all requests; returns how many were not answered 200. */
static size_t
run(struct connection *c, size_t n_connections, const struct request *all, size_t n)
{
	struct pollfd p[MAX_CONNECTIONS];
	size_t next = 0, done = 0, failed = 0;

	while (done < n) {
		for (size_t i = 0; i < n_connections; i++) {
			if (!c[i].request && next < n) {
				c[i].request = &all[next++];
				c[i].sent = c[i].got = 0;
				send_more(&c[i]);
			}
			p[i] = (struct pollfd){.fd = c[i].request ? c[i].fd : -1, .events = POLLIN};
			if (c[i].request && c[i].sent < c[i].request->len)
				p[i].events |= POLLOUT;
		}
		if (poll(p, n_connections, 30000) <= 0)
			die("poll");
		for (size_t i = 0; i < n_connections; i++) {
			if (p[i].revents & POLLOUT)
				send_more(&c[i]);
			if (p[i].revents & (POLLIN | POLLHUP | POLLERR) && receive(&c[i])) {
				failed += strncmp(c[i].answer, "HTTP/1.1 200", 12) != 0;
				c[i].request = NULL;
				done++;
			}
		}
	}
	return failed;
}

int
main(int argc, char **argv)
{
	static struct connection c[MAX_CONNECTIONS];
	size_t n, failed, n_connections = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	struct request *all;
	double began, cpu, s;

	if (n_connections < 1 || n_connections > MAX_CONNECTIONS) {
		fprintf(stderr, "usage: xcap_limit HOST PORT DOCUMENTS CONNECTIONS [get]\n");
		return 2;
	}
	all = load(argv[3], argv[1], argc > 5, &n);
	for (size_t i = 0; i < n_connections; i++)
		c[i].fd = open_connection(argv[1], atoi(argv[2]));
	began = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	failed = run(c, n_connections, all, n);
	s = seconds(CLOCK_MONOTONIC) - began;
	printf("%zu requests, %zu connections, %zu failed, %.3f s, %.0f/s, %.0f us CPU each\n", n,
	       n_connections, failed, s, (double)n / s,
	       (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)n * 1e6);
	return failed > 0;
}
