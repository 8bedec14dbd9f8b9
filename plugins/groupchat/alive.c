#include "plugins/groupchat/alive.h"

#include "sdk/net/net.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MAX 4096

const char *
alive_text(enum alive is)
{
	static const char *const texts[] = {"answers", "is half-open", "refuses connections",
					    "does not answer"};

	return texts[is];
}

/* --- one server ------------------------------------------------------------------------ */

/* Begins a stream and reads until the server has said what it offers. */
static int
greet(struct net *net, int fd, const char *domain, char answer[ANSWER_MAX], bool *ret_good)
{
	int64_t until = net_now_ms() + net->patience_ms;
	char hello[600];
	size_t n = 0, got = 1;
	int rc;

	snprintf(hello, sizeof hello, "<?xml version='1.0'?><stream:stream to='%s' version='1.0' "
		 "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", domain);
	rc = net_send(net, fd, hello, strlen(hello));
	*ret_good = false;
	while (rc == RESITE_OK && got && !*ret_good && n < ANSWER_MAX - 1) {
		rc = net_recv(net, fd, answer + n, ANSWER_MAX - 1 - n, until, &got);
		n += rc == RESITE_OK ? got : 0;
		answer[n] = '\0';
		/* An error of the stream is a server's, too. */
		*ret_good = memmem(answer, n, "<stream:stream", 14) &&
			    (memmem(answer, n, "<stream:features", 16) ||
			     memmem(answer, n, "<stream:error", 13));
	}
	answer[n] = '\0';
	return rc == RESITE_ERR_CANCELLED ? rc : RESITE_OK;
}

static int
talk(struct net *net, int fd, const char *server, const char *domain, enum alive *ret,
     char words[ALIVE_WORDS_MAX])
{
	char answer[ANSWER_MAX] = "", line[200];
	bool good = true;
	int rc = domain ? greet(net, fd, domain, answer, &good) : RESITE_OK;

	if (rc != RESITE_OK)
		return rc;
	for (char *p = answer; *p; p++)
		if (!isprint((unsigned char)*p))
			*p = ' ';
	one_line(line, sizeof line, answer);
	*ret = good ? ALIVE_UP : ALIVE_HALF_OPEN;
	if (good)
		snprintf(words, ALIVE_WORDS_MAX, "%s answers", server);
	else if (*line)
		snprintf(words, ALIVE_WORDS_MAX, "%s takes connections, but does not speak XMPP: '%s'",
			 server, line);
	else
		snprintf(words, ALIVE_WORDS_MAX, "%s takes connections, but says nothing", server);
	return RESITE_OK;
}

/* Refused by every address that the name has. */
static bool
was_refused(const char *err)
{
	size_t refused = 0, all = 1;

	for (const char *p = err; (p = strstr(p, "Connection refused")); p++)
		refused++;
	for (const char *p = err; (p = strstr(p, "; ")); p++)
		all++;
	return refused == all;
}

int
alive_ask(const struct call *c, const char *param, const char *server, const char *domain,
	  enum alive *ret, char words[ALIVE_WORDS_MAX])
{
	struct net net = {.op = c->op, .host = c->host, .patience_ms = call_i64(c, "timeout")};
	struct net_addrs addrs;
	struct net_endpoint ep;
	int fd, rc;

	if (!net_endpoint_parse(server, "5222", &ep))
		return call_fail(c, RESITE_ERR_INVALID, param, "'%s' is not host:port", server);
	/* A name that cannot be resolved proves nothing. */
	rc = net_resolve(&net, &ep, &addrs);
	if (rc != RESITE_OK)
		return rc == RESITE_ERR_CANCELLED ? rc : call_fail(c, rc, param, "%s", net.err);
	rc = net_connect(&net, &ep, SOCK_STREAM, &fd);
	if (rc == RESITE_ERR_TRANSIENT) {
		*ret = was_refused(net.err) ? ALIVE_REFUSED : ALIVE_UNREACHABLE;
		snprintf(words, ALIVE_WORDS_MAX, "%s", net.err);
		return RESITE_OK;
	}
	if (rc != RESITE_OK)
		return rc;
	rc = talk(&net, fd, ep.text, domain, ret, words);
	close(fd);
	return rc;
}

/* --- two of them --------------------------------------------------------------------------- */

bool
evidence_judge(const struct evidence *e, const char **ret_why)
{
	bool both = e->other == ALIVE_UP && e->here_asked && e->here == ALIVE_UP;

	*ret_why = both ? "both sites' servers are active: stop one of them now"
	: e->other == ALIVE_UP ? "the other site's server is active: stop it first"
	: e->other == ALIVE_HALF_OPEN
		? "the other site's server is half-open, and that is not down: it may still write"
	: e->other == ALIVE_REFUSED ? "the other site's server is down: its machine refuses connections"
	: e->fenced ? "the other site's server does not answer and is fenced"
	: e->row ? "the other site's server does not answer, and the database says that it is not "
		   "the active one"
	: e->silence_is_down ? "the other site's server does not answer, which the plan takes for down"
	: "the other site's server does not answer, and from here a lost network looks the same: "
	  "fence it (fence), or say silence = \"down\" when you know that the site is lost";
	return !both && e->other != ALIVE_UP && e->other != ALIVE_HALF_OPEN &&
	       (e->other == ALIVE_REFUSED || e->fenced || e->row || e->silence_is_down);
}
