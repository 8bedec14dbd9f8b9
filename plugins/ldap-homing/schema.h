/* schema.h -- which attributes a server knows. */
#ifndef LDAP_HOMING_SCHEMA_H
#define LDAP_HOMING_SCHEMA_H

#include "plugins/ldap-homing/names.h"
#include "plugins/ldap-homing/search.h"

/* Which of names is no attribute of the server's schema?  *ret: one of them, borrowed; NULL:
 * all are, or the schema is not for us to read. */
int lh_schema_lacks(struct lh_conn *c, const struct lh_names *names, const char **ret,
		    struct lh_error *e);

/* Does an attribute type description (RFC 4512 4.1.2) define that name or number?  Pure. */
bool lh_type_is(const struct berval *description, const char *name);

#endif
