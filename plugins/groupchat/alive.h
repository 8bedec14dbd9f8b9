/* alive.h -- is a chat server there?  As one sees it from outside. */
#ifndef GROUPCHAT_ALIVE_H
#define GROUPCHAT_ALIVE_H

#include "plugins/groupchat/call.h"

#include <stdbool.h>

enum alive {
	ALIVE_UP,          /* it answers as a chat server does */
	ALIVE_HALF_OPEN,   /* it takes the connection and says nothing, or something else */
	ALIVE_REFUSED,     /* its machine says that nobody listens there */
	ALIVE_UNREACHABLE, /* no answer at all: down, or only not to be seen from here */
};

#define ALIVE_WORDS_MAX 700

/* Asks server (host:port).  domain: of the XMPP stream that is begun; NULL: a connection is
 * answer enough.  words: what was seen, for a sentence. */
int alive_ask(const struct call *c, const char *param, const char *server, const char *domain,
	      enum alive *ret, char words[ALIVE_WORDS_MAX]);
const char *alive_text(enum alive is);

/* What only-one-active knows. */
struct evidence {
	enum alive other;       /* the other site's server */
	bool here_asked;        /* here is known */
	enum alive here;
	bool fenced;            /* the fence command says so */
	bool row;               /* the database's row says that this site is the active one */
	bool silence_is_down;   /* the plan says that no answer at all means down */
};

/* Is it safe to be the active one?  why: the reason, either way (pure). */
bool evidence_judge(const struct evidence *e, const char **ret_why);

#endif
