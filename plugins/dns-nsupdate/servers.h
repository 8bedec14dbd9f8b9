/* servers.h -- the servers of a zone that verify asks, and what they have shown so far. */
#ifndef DNS_NSUPDATE_SERVERS_H
#define DNS_NSUPDATE_SERVERS_H

#include "plugins/dns-nsupdate/step.h"

#define SERVERS_MAX 32

struct server {
	struct net_endpoint at;
	bool done; /* serves all that is wanted */
	bool gone; /* could not be asked, which is tolerated */
	bool lag_known;      /* it lagged with lag_serial, as told in lag */
	uint32_t lag_serial;
	char lag[700];
};

struct servers {
	struct server v[SERVERS_MAX];
	size_t n;
	bool from_zone;  /* found by the zone's NS records, not named in the plan */
	bool tolerant;   /* a server that cannot be asked may be one of those that are gone */
	bool has_serial; /* the zone's serial is that of the primary before any was asked */
};

/* Finds the servers of z, unless they are known.  An enum resite_rc. */
int servers_find(struct zone *z);

#endif
