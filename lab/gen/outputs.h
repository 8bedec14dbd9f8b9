/* What gen can write. Each returns 0, or -1 after it has said what failed. */
#ifndef LAB_GEN_OUTPUTS_H
#define LAB_GEN_OUTPUTS_H

#include "lab/gen/people.h"

/* The users as LDIF on stdout, below ou=Staff,SUFFIX, all homed on `home`. */
int write_ldif(const struct crowd *crowd, const char *suffix, const char *home);

/* A new SQLite database `path` for Kamailio's xcap_server with everybody's
 * contacts (or nobody's: `empty`), its tables made by the SQL scripts. */
int write_xcap(const struct crowd *crowd, const char *path, char *const *scripts, int empty);

/* The contacts as dbimpexp.exe of Lync Server 2010 exports them, on stdout. */
int write_dbimpexp(const struct crowd *crowd);

/* The RFC 4826 document of person number n on stdout. */
int write_document(const struct crowd *crowd, unsigned n);

#endif
