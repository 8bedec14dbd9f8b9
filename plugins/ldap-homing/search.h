/* search.h -- searches whose answer is either whole or an error. */
#ifndef LDAP_HOMING_SEARCH_H
#define LDAP_HOMING_SEARCH_H

#include "plugins/ldap-homing/conn.h"

#define LH_QUERY_ATTRS 3

struct lh_query {
	const char *base;
	int scope;                          /* LDAP_SCOPE_* */
	const char *filter;
	const char *attrs[LH_QUERY_ATTRS];  /* wanted; all NULL: names alone */
	int page_size;                      /* 0: not paged */
	bool skip_references;               /* else a reference is an error */
};

struct lh_entry {
	struct berval dn;                      /* NUL-terminated; valid in the callback */
	const struct berval *values[LH_QUERY_ATTRS]; /* as attrs; ends with bv_val NULL; or NULL */
};

/* Calls each for every entry; a result < 0 of each ends the search and is
 * returned, e then being filled by each.  A size or time limit, a reference
 * that may not be skipped, a result code or message that is not expected: an
 * error, never a shorter list. */
int lh_search(struct lh_conn *c, const struct lh_query *q,
	      int (*each)(void *arg, const struct lh_entry *entry, struct lh_error *e), void *arg,
	      struct lh_error *e);

/* Reads one value of one entry.  *ret_value: a copy that the caller frees, or NULL
 * when the entry has none.  *ret_exists: whether the server shows the entry. */
int lh_read_value(struct lh_conn *c, const char *dn, const char *attribute, bool *ret_exists,
		  char **ret_value, struct lh_error *e);

/* Does the root DSE list oid under attribute (supportedExtension, …)? */
int lh_root_lists(struct lh_conn *c, const char *attribute, const char *oid, bool *ret_listed,
		  struct lh_error *e);

#endif
