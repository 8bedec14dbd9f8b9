/* HAProxy's runtime socket: one command for each connection, its answer to the end. */
#include "config.h"

#include "plugins/edge-nexthop/edge.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static int
connect_unix(struct edge *e, const char *path, int *ret_fd)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd, err;

	if (strlen(path) >= sizeof(sa.sun_path))
		return net_error(&e->net, RESITE_ERR_INVALID, "%s: longer than a socket's name may be",
				 path);
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
		*ret_fd = fd;
		return RESITE_OK;
	}
	err = errno;
	if (fd >= 0)
		close(fd);
	if (err == EACCES || err == EPERM)
		return net_error(&e->net, RESITE_ERR_REFUSED, "%s: %s; give the user that resite runs "
				 "as the right to it (mode, user or group of 'stats socket')", path,
				 strerror(err));
	return net_error(&e->net, RESITE_ERR_TRANSIENT, "%s: %s", path, strerror(err));
}

static int
connect_runtime(struct edge *e, int *ret_fd)
{
	const char *path = edge_str(e, "socket");
	struct net_endpoint ep;

	if (path)
		return connect_unix(e, path, ret_fd);
	if (!net_endpoint_parse(edge_str(e, "address"), NULL, &ep))
		return net_error(&e->net, RESITE_ERR_INVALID, "address is no host:port");
	return net_connect(&e->net, &ep, SOCK_STREAM, ret_fd);
}

/* All that comes, for the caller to free; HAProxy closes after its answer. */
static int
read_answer(struct edge *e, int fd, const char *command, char **ret)
{
	int64_t until = net_now_ms() + e->net.patience_ms;
	size_t len = 0, cap = 0, got = 1;
	char *text = NULL;
	int rc = RESITE_OK;

	while (rc == RESITE_OK && got) {
		if (cap - len < 4097) {
			char *grown = cap > RPC_MAX_BYTES ? NULL : realloc(text, cap + 65536);

			if (!grown) {
				rc = net_error(&e->net, RESITE_ERR_TRANSIENT,
					       "the answer to '%s' is too long", command);
				break;
			}
			text = grown;
			cap += 65536;
		}
		rc = net_recv(&e->net, fd, text + len, cap - len - 1, until, &got);
		len += rc == RESITE_OK ? got : 0;
	}
	if (rc == RESITE_PENDING)
		rc = net_error(&e->net, RESITE_ERR_TRANSIENT, "HAProxy has not ended its answer to '%s' in "
			       "%lld ms", command, (long long)e->net.patience_ms);
	if (rc != RESITE_OK) {
		free(text);
		return rc;
	}
	text[len] = '\0';
	*ret = text;
	return RESITE_OK;
}

int
runtime_ask(struct edge *e, const char *command, char **ret)
{
	char line[400];
	int fd, rc = connect_runtime(e, &fd);

	if (rc != RESITE_OK)
		return rc;
	snprintf(line, sizeof(line), "%s\n", command);
	rc = net_send(&e->net, fd, line, strlen(line));
	if (rc == RESITE_OK)
		rc = read_answer(e, fd, command, ret);
	close(fd);
	return rc;
}

int
runtime_tell(struct edge *e, const char *command)
{
	char *answer, *end;
	int rc = runtime_ask(e, command, &answer);

	if (rc != RESITE_OK)
		return rc;
	for (char *p = answer; *p; p++)
		if (!isprint((unsigned char)*p))
			*p = ' ';
	for (end = answer + strlen(answer); end > answer && end[-1] == ' ';)
		*--end = '\0';
	if (*answer)
		rc = net_error(&e->net, RESITE_ERR_REFUSED, "HAProxy answered '%s' with '%.200s'", command,
			       answer);
	free(answer);
	return rc;
}
