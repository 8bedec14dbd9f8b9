/* rrwire.h -- records of DNS messages, read one after the other.  Pure.
 *
 * Not ldns_wire2rr: it makes a dozen allocations of each record, which for a transfer of
 * 10,000 is more work than that of the server that sends it.
 */
#ifndef SDK_RR_RRWIRE_H
#define SDK_RR_RRWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_NAME_MAX 255

struct wire_rr {
	uint8_t owner[WIRE_NAME_MAX]; /* canonical: lower case, not compressed */
	size_t owner_len;
	unsigned type, class;
	uint32_t ttl;
	const uint8_t *rdata; /* canonical for the types that can be set, and SOA's serial below */
	size_t rdata_len;
	uint32_t serial;                  /* SOA */
	uint8_t room[6 + WIRE_NAME_MAX];  /* for rdata that has a name in it */
};

/* Copies the name at *at in canonical form and moves *at behind it; returns its length, 0
 * when it is none (it runs out of the message, points forward, is too long). */
size_t wire_name(const uint8_t *wire, size_t len, size_t *at, uint8_t ret[WIRE_NAME_MAX]);
/* Moves *at behind n questions.  False: they are not well formed. */
bool wire_skip_questions(const uint8_t *wire, size_t len, size_t *at, unsigned n);
/* Reads the record at *at and moves *at behind it; ret is valid as long as wire is, and
 * must not be copied.  False: it is not well formed. */
bool wire_next(const uint8_t *wire, size_t len, size_t *at, struct wire_rr *ret);

#endif
