/* rrplain.h -- the records that a mass change is made of: "NAME [TTL] [IN] A|AAAA ADDRESS",
 * with a NAME relative to the zone of letters, digits, '-' and '_'.  Pure.
 *
 * ldns reads all that master files allow, at some 20 microseconds and four allocations of
 * 64 KiB a record.  What is not plain here is left to it, errors too.
 */
#ifndef SDK_RR_RRPLAIN_H
#define SDK_RR_RRPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plain_rr {
	uint8_t owner[255]; /* wire form, lower case */
	size_t owner_len;
	uint16_t type;
	uint32_t ttl;
	uint8_t address[16];
	size_t address_len;
};

/* zone: wire form, lower case.  False: it is not plain. */
bool plain_rr_parse(const char *text, const uint8_t *zone, size_t zone_len, uint32_t default_ttl,
		    struct plain_rr *ret);

#endif
