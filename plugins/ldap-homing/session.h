/* session.h -- the two steps between a connected socket and work: encryption and bind. */
#ifndef LDAP_HOMING_SESSION_H
#define LDAP_HOMING_SESSION_H

#include "plugins/ldap-homing/conn.h"

/* TLS at once (ldaps), StartTLS, or neither, as the target and what it would send want it. */
int lh_encrypt(struct lh_conn *c, const struct lh_target *t, bool ldaps, struct lh_error *e);

/* Simple, SASL EXTERNAL or SASL GSSAPI (Kerberos); nothing for an anonymous target. */
int lh_bind(struct lh_conn *c, const struct lh_target *t, struct lh_error *e);

#endif
