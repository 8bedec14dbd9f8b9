/* update.h -- UPDATE messages (RFC 2136) that are compare-and-swap.  Pure.
 *
 * Each change has as its prerequisite exactly what was read, so a message is carried out
 * whole or, when anybody has changed one of its RRsets in between, not at all.
 */
#ifndef DNS_NSUPDATE_UPDATE_H
#define DNS_NSUPDATE_UPDATE_H

#include "sdk/rr/rrset.h"
#include "plugins/dns-nsupdate/tsig.h"

struct zone;

/* was and will have the same owner and type; n 0 in was: absent; in will: to be deleted. */
struct change {
	const struct rrset *was, *will;
	struct zone *zone; /* the sender's: in which zone it is */
	size_t tag;        /* the sender's */
	bool beside;       /* a CNAME takes the place of other data, or the other way round, with
			    * another change of this owner in the same message */
};

struct update_zone {
	const uint8_t *name; /* canonical wire form */
	size_t len;
};

/* Bytes of a message with no change in it, of one change at most. */
size_t update_base_bytes(const struct update_zone *zone);
size_t update_change_bytes(const struct update_zone *zone, const struct change *c);
/* Writes a message with these changes into wire, which has room for the sum of the two
 * above; returns its length. */
size_t update_build(const struct update_zone *zone, uint16_t id, const struct change *const *c,
		    size_t n, uint8_t *wire);

/* What a server's answer to an UPDATE means. */
enum update_verdict {
	UPDATE_DONE,
	UPDATE_PREREQUISITE, /* somebody changed something: nothing was done */
	UPDATE_FAILED,       /* rc and text say why */
};

struct update_failure {
	int rc; /* enum resite_rc */
	char text[500];
};

/* key and mac: NULL when the request was not signed. */
enum update_verdict update_judge(const uint8_t *answer, size_t len, const struct tsig_key *key,
				 const struct tsig_mac *mac, int64_t now_s,
				 struct update_failure *ret);

#endif
