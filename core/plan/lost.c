#include "core/base/base.h"
#include "core/plan/lost.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool
address_parse(const char *text, uint8_t addr[16], unsigned *ret_base)
{
	if (inet_pton(AF_INET, text, addr + 12) == 1) {
		memcpy(addr, v4_prefix, sizeof(v4_prefix));
		*ret_base = 96;
		return true;
	}
	*ret_base = 0;
	return inet_pton(AF_INET6, text, addr) == 1;
}

bool
cidr_parse(const char *text, struct cidr *ret)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char addr[INET6_ADDRSTRLEN];
	unsigned base, bits = 0;

	if (len >= sizeof(addr))
		return false;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (!address_parse(addr, ret->addr, &base))
		return false;
	if (slash && (!slash[1] || strspn(slash + 1, "0123456789") != strlen(slash + 1) ||
		      strlen(slash + 1) > 3))
		return false;
	bits = slash ? (unsigned)atoi(slash + 1) + base : 128;
	if (bits > 128)
		return false;
	ret->bits = (uint8_t)bits;
	return true;
}

static bool
cidr_has(const struct cidr *net, const uint8_t addr[16])
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;
	uint8_t mask = (uint8_t)(0xff00u >> rest);

	return !memcmp(net->addr, addr, whole) &&
	       (!rest || (net->addr[whole] & mask) == (addr[whole] & mask));
}

bool
lost_site_has(const struct lost_site *lost, const char *host, char *why, size_t size)
{
	uint8_t addr[16];
	unsigned base;

	if (!*host)
		return false;
	if (address_parse(host, addr, &base))
		for (size_t i = 0; i < lost->n_networks; i++)
			if (cidr_has(&lost->networks[i], addr)) {
				snprintf(why, size, "%s lies in the networks of site %s", host,
					 lost->name);
				return true;
			}
	for (size_t i = 0; i < lost->n_values; i++)
		if (!strcasecmp(lost->values[i], host)) {
			snprintf(why, size, "%s is a host of site %s", host, lost->name);
			return true;
		}
	return false;
}
