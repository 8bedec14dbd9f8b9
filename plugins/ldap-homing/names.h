/* names.h -- DNs, filters and LDIF as text.  Pure: no connection, no host. */
#ifndef LDAP_HOMING_NAMES_H
#define LDAP_HOMING_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is text a DN (RFC 4514), and not the empty one? */
bool lh_dn_valid(const char *text);

/* Do both name the same entry?  Case, spaces, escapes and the order inside a
 * multi-valued RDN do not matter.  What is not a DN equals nothing. */
bool lh_dn_equal(const char *a, const char *b);

/* As lh_dn_equal; what is no DN is compared as text, whatever its case. */
bool lh_same_value(const char *a, const char *b);

/* Is text an attribute description: a name or an OID, with options? */
bool lh_attribute_valid(const char *text);

/* NULL when text is one filter (RFC 4515), else what is wrong with it and, in *ret_at, at
 * which byte. */
const char *lh_filter_fault(const char *text, size_t *ret_at);

#define LH_NAMES_MAX 32
#define LH_NAME_BYTES 128

struct lh_names {
	size_t n;
	char name[LH_NAMES_MAX][LH_NAME_BYTES];
};

/* Adds the attributes that a filter without fault names; those without room are left out. */
void lh_filter_attributes(const char *text, struct lh_names *names);

/* "(attribute=value)" with value escaped (RFC 4515), and-ed with extra unless it
 * is NULL or "".  The caller frees; NULL: out of memory. */
char *lh_filter_equal(const char *attribute, const char *value, const char *extra);

/* One line for a shell that changes attribute from now to back_to:
 * HEAD 'dn: DN' TAIL.  The tail is the same for every user, so it is made once. */
struct lh_hand {
	char *tail;
};

/* tool: the ldapmodify command with its options.  0, or -1: out of memory. */
int lh_hand_init(struct lh_hand *h, const char *tool, const char *attribute, const char *now,
		 const char *back_to);
void lh_hand_release(struct lh_hand *h);
/* The caller frees; NULL: out of memory. */
char *lh_hand_line(const struct lh_hand *h, const char *dn);

/* text in single quotes for a POSIX shell.  The caller frees; NULL: out of memory. */
char *lh_shell_quote(const char *text);

/* A fingerprint of a set of strings, whatever their order: the sum of their
 * SHA-256, modulo 2^256, and their number. */
struct lh_digest {
	uint64_t sum[4]; /* least significant first */
	uint64_t count;
};

#define LH_DIGEST_HEX 65

void lh_digest_add(struct lh_digest *d, const char *text, size_t len);
/* seed: what else the result depends on. */
void lh_digest_hex(const struct lh_digest *d, const char *seed, char hex[LH_DIGEST_HEX]);

#endif
