/* lost.h -- a recovery must not depend on the site that is assumed lost.
 * Private to core/plan. */
#ifndef CORE_PLAN_LOST_H
#define CORE_PLAN_LOST_H

#include "core/base/base.h"

struct cidr {
	uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t bits;     /* of the 128 */
};

/* "10.1.0.0/16", "2001:db8::/32"; an address alone is a network of one. */
bool cidr_parse(const char *text, struct cidr *ret);

struct lost_site {
	const char *name;
	const struct cidr *networks; /* n_networks of them */
	size_t n_networks;
	const char *const *values;   /* n_values: its other values, resolved, that
					the site moved to does not have too */
	size_t n_values;
};

/* If the host of an endpoint or URL (see value_host) lies in the site: what of the
 * site it is, as a text for a person in why; else false. */
bool lost_site_has(const struct lost_site *lost, const char *host, char *why, size_t size);

#endif
