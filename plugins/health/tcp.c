/* health.tcp */
#include "config.h"

#include "plugins/health/health.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MAX 4096

/* --- texts with escapes ------------------------------------------------------ */

static int
hex_value(const char *p)
{
	char pair[3] = {p[0], p[0] ? p[1] : '\0', '\0'};

	return isxdigit((unsigned char)pair[0]) && isxdigit((unsigned char)pair[1])
		       ? (int)strtol(pair, NULL, 16) : -1;
}

/* Decodes into buf (as long as text); returns the length, or -1 at a wrong escape. */
static ssize_t
unescape(const char *text, char *buf)
{
	static const char from[] = "rnt\\", to[] = "\r\n\t\\";
	size_t n = 0;

	for (; *text; text++) {
		const char *simple;

		if (*text != '\\') {
			buf[n++] = *text;
			continue;
		}
		text++;
		simple = *text ? strchr(from, *text) : NULL;
		if (simple) {
			buf[n++] = to[simple - from];
		} else if (*text == 'x' && hex_value(text + 1) >= 0) {
			buf[n++] = (char)hex_value(text + 1);
			text += 2;
		} else {
			return -1;
		}
	}
	return (ssize_t)n;
}

/* The decoded value of a parameter, for the caller to free; empty when not given.  NULL:
 * host->fail has been called. */
static char *
text_of(struct resite_op *op, const struct resite_host *host, const char *param, size_t *ret_len)
{
	const char *text = resite_str_or(op, host, param, "");
	char *buf = malloc(strlen(text) + 1);
	ssize_t n = buf ? unescape(text, buf) : -1;

	if (n < 0) {
		resite_fail(op, host, RESITE_ERR_INVALID, param,
			    "'%s': after \\ only r, n, t, \\ or xHH can stand", text);
		free(buf);
		return NULL;
	}
	*ret_len = (size_t)n;
	return buf;
}

int
tcp_check(struct resite_op *op, const struct resite_host *host)
{
	static const char *const texts[] = {"send", "expect"};
	struct net_endpoint ep;
	size_t len;

	for (uint32_t i = 0; i < host->param_count(op, "endpoint"); i++)
		if (!endpoint_of(op, host, "endpoint", i, NULL, &ep))
			return RESITE_ERR_INVALID;
	for (size_t i = 0; i < 2; i++) {
		char *text = text_of(op, host, texts[i], &len);

		free(text);
		if (!text)
			return RESITE_ERR_INVALID;
		if (len && host->param_i64(op, "absent", 0))
			return resite_fail(op, host, RESITE_ERR_INVALID, texts[i],
					   "with absent = true there is nobody to talk to");
	}
	return RESITE_OK;
}

/* --- talking ------------------------------------------------------------------ */

static int
expect(struct net *net, int fd, const struct net_endpoint *ep, const char *want, size_t want_len)
{
	char answer[ANSWER_MAX + 1];
	int64_t until = net_now_ms() + net->patience_ms;
	size_t n = 0, got = 1;
	int rc = RESITE_OK;

	while (rc == RESITE_OK && got && n < ANSWER_MAX && !memmem(answer, n, want, want_len)) {
		rc = net_recv(net, fd, answer + n, ANSWER_MAX - n, until, &got);
		n += rc == RESITE_OK ? got : 0;
	}
	if (rc < 0 || memmem(answer, n, want, want_len))
		return rc < 0 ? rc : RESITE_OK;
	for (size_t i = 0; i < n; i++)
		if (!isprint((unsigned char)answer[i]))
			answer[i] = '.';
	return net_error(net, RESITE_ERR_TRANSIENT, "%s %s '%.*s'", ep->text,
			 !n ? "has sent nothing:" : "has sent something else:",
			 (int)(n < 120 ? n : 120), answer);
}

static int
talk(struct net *net, const struct net_endpoint *ep, const char *say, size_t say_len,
     const char *want, size_t want_len)
{
	int fd, rc = net_connect(net, ep, SOCK_STREAM, &fd);

	if (rc != RESITE_OK)
		return rc;
	if (say_len)
		rc = net_send(net, fd, say, say_len);
	if (rc == RESITE_OK && want_len)
		rc = expect(net, fd, ep, want, want_len);
	close(fd);
	return rc;
}

static int
must_answer(struct net *net, const struct net_endpoint *ep)
{
	size_t say_len = 0, want_len = 0;
	char *say = text_of(net->op, net->host, "send", &say_len);
	char *want = text_of(net->op, net->host, "expect", &want_len);
	int rc = RESITE_ERR_INVALID;

	if (say && want) {
		rc = talk(net, ep, say, say_len, want, want_len);
		if (rc != RESITE_OK)
			rc = not_yet_net(net, rc, "no good answer yet");
	}
	free(say);
	free(want);
	return rc;
}

/* Refused and silent are both "gone"; a name that cannot be resolved proves nothing. */
static int
must_be_gone(struct net *net, const struct net_endpoint *ep)
{
	struct net_addrs addrs;
	int fd, rc = net_resolve(net, ep, &addrs);

	if (rc != RESITE_OK)
		return not_yet_net(net, rc, "whether it is gone cannot be told");
	rc = net_connect(net, ep, SOCK_STREAM, &fd);
	if (rc == RESITE_ERR_TRANSIENT)
		return RESITE_OK;
	if (rc != RESITE_OK)
		return rc;
	close(fd);
	return not_yet(net->op, net->host, "%s still takes connections", ep->text);
}

int
tcp_verify(struct resite_op *op, const struct resite_host *host)
{
	bool absent = host->param_i64(op, "absent", 0) != 0;
	struct net net = net_of(op, host);
	int64_t began = net_now_ms();
	char ms[24];

	for (uint32_t i = 0; i < host->param_count(op, "endpoint"); i++) {
		struct net_endpoint ep;
		int rc;

		if (!endpoint_of(op, host, "endpoint", i, NULL, &ep))
			return RESITE_ERR_INVALID;
		rc = absent ? must_be_gone(&net, &ep) : must_answer(&net, &ep);
		if (rc != RESITE_OK)
			return rc;
	}
	snprintf(ms, sizeof(ms), "%lld", (long long)(net_now_ms() - began));
	host->output(op, "connect_ms", ms);
	return RESITE_OK;
}
