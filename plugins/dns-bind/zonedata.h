/* zonedata.h -- the data of a record between words and wire, for the types whose meaning is
 * needed: A, AAAA, CNAME, NS, PTR, MX, SRV, TXT, and RFC 3597's \# of these.  Pure. */
#ifndef DNS_BIND_ZONEDATA_H
#define DNS_BIND_ZONEDATA_H

#include "plugins/dns-bind/zonescan.h"
#include "sdk/rr/rrset.h"

#define ZONE_DATA_MAX 65535

/* The canonical wire form of a record's data into buf (ZONE_DATA_MAX bytes); its length, or
 * -1: it is none of these types, or not well formed. */
int zone_data_wire(const char *bytes, const struct zone_record *r, uint8_t *buf);

/* The data as words of a master file; how each is to be compared with one that is there. */
struct zone_words {
	char **v;
	size_t n;
	size_t name_at;   /* which one is a name; SIZE_MAX: none */
	struct name name; /* that one */
};

/* Names are written relative to origin where relative is true and they are below it.  False:
 * no memory, or another type. */
bool zone_data_words(uint16_t type, const struct rdata *d, const struct name *origin, bool relative,
		     struct zone_words *ret);
void zone_words_release(struct zone_words *w);

#endif
