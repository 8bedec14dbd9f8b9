/* shown.h -- what a proxy says over RPC of its destinations, and whether that is what its
 * file says.  Pure. */
#ifndef EDGE_NEXTHOP_SHOWN_H
#define EDGE_NEXTHOP_SHOWN_H

#include "plugins/edge-nexthop/list.h"

#include <jansson.h>

#define SHOWN_ERR 400

struct shown_hop {
	long set;
	char *uri;
	bool disabled;
	bool dead; /* it does not answer the proxy's pings */
	long priority;
};

struct shown {
	struct shown_hop *v;
	size_t n;
};

/* The result of dispatcher.list (Kamailio), of ds_list (OpenSIPS), and kamcmd's text. */
bool shown_kamailio(const json_t *result, struct shown *ret);
bool shown_opensips(const json_t *result, struct shown *ret);
bool shown_kamcmd(const char *text, struct shown *ret);
void shown_release(struct shown *s);

/* Has the proxy of this set just what the file says?  No: err says what is different. */
bool shown_same(const struct shown *s, const struct list *l, long set, char err[SHOWN_ERR]);
/* The set as one line for people, "sip:a, sip:b (disabled)"; "none" when it is empty. */
void shown_text(const struct shown *s, long set, char *buf, size_t cap);

#endif
