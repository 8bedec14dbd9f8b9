/* Shared by tsig.c and tsigkey.c only. */
#ifndef DNS_NSUPDATE_TSIG_INTERNAL_H
#define DNS_NSUPDATE_TSIG_INTERNAL_H

#include "plugins/dns-nsupdate/tsig.h"

#include <nettle/nettle-meta.h>

struct tsig_algorithm {
	const char *text;
	const char *wire; /* as a domain name; its last byte is the string's NUL */
	const struct nettle_hash *hash;
};

#endif
