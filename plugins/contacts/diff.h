/* contacts.diff: two sets of contact lists, compared user by user. */
#ifndef CONTACTS_DIFF_H
#define CONTACTS_DIFF_H

#include <resite/plugin.h>

int diff_check(struct resite_op *op, const struct resite_host *host);
int diff_probe(struct resite_op *op, const struct resite_host *host);

#endif
