/* rrset.h -- the RRsets that a step sets: parsing, comparing, printing.  Pure.
 *
 * Names and rdata are kept in canonical wire form (RFC 4034 §6: lower case, no
 * compression), so that equal means equal bytes and a message is built by copying.
 */
#ifndef SDK_RR_RRSET_H
#define SDK_RR_RRSET_H

#include <ldns/ldns.h>
#include <stdbool.h>
#include <stdint.h>

struct rdata {
	uint8_t *bytes;
	uint16_t len;
};

/* An owner and type with all its data, sorted, each once; n 0: there is none. */
struct rrset {
	uint8_t *owner; /* wire form */
	uint8_t owner_len;
	uint16_t type;
	uint32_t ttl;
	struct rdata *rdata;
	uint16_t n;
};

struct rrset_list {
	struct rrset *v;
	size_t n, cap;
};

/* Why a record was refused. */
struct rrset_error {
	char text[400];
};

/* Parses one record in master-file notation relative to zone ("sip 60 A 10.2.0.10") and
 * appends it as an RRset of one.  False, with a text, when it is none, of another type
 * than A, AAAA, CNAME, SRV and TXT, or not in the zone. */
bool rrset_add_text(struct rrset_list *list, const char *text, const ldns_rdf *zone,
		    uint32_t default_ttl, struct rrset_error *err);
/* Appends an RRset of owner and type without data: one that is not, or is to be no more.
 * owner: len bytes, relative to zone unless it ends with a dot. */
bool rrset_add_absent(struct rrset_list *list, const char *owner, size_t len, const char *type,
		      const ldns_rdf *zone, struct rrset_error *err);
/* Appends *from with its owner and data, which are the list's from then on.  False: no memory. */
bool rrset_list_take(struct rrset_list *list, const struct rrset *from);
/* Sorts by owner and type and joins the records of each RRset.  False, with a text, when
 * their TTLs differ, an owner has a CNAME beside anything else (RFC 1034 §3.6.2), or an RRset
 * is both given and absent. */
bool rrset_list_join(struct rrset_list *list, struct rrset_error *err);
/* The RRset with this owner and type in a joined list, or NULL. */
struct rrset *rrset_list_find(const struct rrset_list *list, const struct rrset *like);
void rrset_list_release(struct rrset_list *list);

/* Appends one piece of data, keeping order; a duplicate is dropped.  False: no memory. */
bool rrset_add_rdata(struct rrset *s, const uint8_t *bytes, size_t len);
/* Adds the data of one record, which is canonical (ldns_rr2canonical), and takes its TTL. */
bool rrset_add_rr(struct rrset *s, const ldns_rr *rr);
/* The order of a joined list: by owner, then type. */
int rrset_order(const struct rrset *a, const struct rrset *b);
/* qsort; what has the order already, as lists of names mostly do, is only looked at. */
void rrset_sort(void *v, size_t n, size_t size, int (*order)(const void *, const void *));
/* Frees the data, not the owner. */
void rrset_clear(struct rrset *s);

/* Same data; the TTL does not count (RFC 2136 §2.4 neither). */
bool rrset_same_data(const struct rrset *a, const struct rrset *b);
/* Same data and, unless there is none, the same TTL. */
bool rrset_same(const struct rrset *a, const struct rrset *b);

/* Texts, for the caller to free; NULL: no memory. */
char *rrset_name(const struct rrset *s);   /* "sip.contoso.example. A" */
char *rrset_owner(const struct rrset *s);  /* "sip.contoso.example." */
char *rrset_data(const struct rrset *s, size_t i); /* "0 0 5061 sip.contoso.example." */
char *rrset_text(const struct rrset *s);   /* "60 10.2.0.10, 10.2.0.11", "(none)" */
/* The data one a line, without the TTL: what an undo record keeps; "" when none. */
char *rrset_lines(const struct rrset *s);
/* Its TTL in digits, 0 when it has no data. */
#define RRSET_TTL_TEXT 11
void rrset_ttl_text(const struct rrset *s, char buf[RRSET_TTL_TEXT]);
const char *rrset_type_text(uint16_t type);
uint16_t rrset_type_of(const char *text); /* 0: none of those that can be set */

/* Is the target of each SRV record inside the domain that the SRV is for?  Returns the
 * index of the first that is not, or -1. */
int rrset_foreign_srv_target(const struct rrset *s);
/* Does the owner begin with _sip: a service whose clients insist on that? */
bool rrset_is_sip_service(const struct rrset *s);

/* SHA-256 in hex over all RRsets of an array, with their TTLs. */
void rrset_fingerprint(const struct rrset *v, size_t n, char ret_hex[65]);

#endif
