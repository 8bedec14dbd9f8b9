/* actions.h -- the functions of the actions: what the tables in plugin.c name.
 *
 * move and contacts-objects are one engine (move.h) with one task, and with two. */
#ifndef LDAP_HOMING_ACTIONS_H
#define LDAP_HOMING_ACTIONS_H

#include <resite/plugin.h>

int move_check(struct resite_op *op, const struct resite_host *host);
int move_probe(struct resite_op *op, const struct resite_host *host);
int move_apply(struct resite_op *op, const struct resite_host *host);
int move_verify(struct resite_op *op, const struct resite_host *host);

int contacts_check(struct resite_op *op, const struct resite_host *host);
int contacts_probe(struct resite_op *op, const struct resite_host *host);
int contacts_apply(struct resite_op *op, const struct resite_host *host);
int contacts_verify(struct resite_op *op, const struct resite_host *host);

/* Of both. */
int homing_revert(struct resite_op *op, const struct resite_host *host);

/* find-pool. */
int find_pool_check(struct resite_op *op, const struct resite_host *host);
int find_pool_verify(struct resite_op *op, const struct resite_host *host);

/* count. */
int count_check(struct resite_op *op, const struct resite_host *host);
int count_verify(struct resite_op *op, const struct resite_host *host);

/* cms. */
int cms_check(struct resite_op *op, const struct resite_host *host);
int cms_probe(struct resite_op *op, const struct resite_host *host);
int cms_apply(struct resite_op *op, const struct resite_host *host);
int cms_verify(struct resite_op *op, const struct resite_host *host);
int cms_revert(struct resite_op *op, const struct resite_host *host);

#endif
