/* addresses.h -- a file of users' addresses, one a line: who is meant, who is not. */
#ifndef LDAP_HOMING_ADDRESSES_H
#define LDAP_HOMING_ADDRESSES_H

#include "plugins/ldap-homing/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lh_address {
	const char *text; /* lower case, without "sip:"; NULL: the slot is free */
	bool met;
};

struct lh_addresses {
	char *text;                /* the file; the addresses point into it */
	struct lh_address *slots;  /* a hash table */
	size_t n_slots, n;         /* n_slots: a power of two */
};

/* Reads the file: an address a line, "sip:" may stand before it; blanks round it, empty
 * lines and what follows '#' do not count.  param: the parameter that named the file, for
 * messages.  RESITE_ERR_INVALID when it is not such a file or holds no address. */
int lh_addresses_load(struct lh_addresses *a, const char *param, const char *path,
		      struct lh_error *e);
/* The same from memory; takes text, which malloc gave. */
int lh_addresses_parse(struct lh_addresses *a, const char *param, const char *path, char *text,
		       size_t len, struct lh_error *e);
void lh_addresses_release(struct lh_addresses *a);

/* Is this address (with or without "sip:", in any case) in it?  Notes that it was met. */
bool lh_addresses_meet(struct lh_addresses *a, const char *address, size_t len);

#endif
