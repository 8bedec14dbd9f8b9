/* contacts.convert: contact lists in one format become the same in another, a file or a vault set. */
#ifndef CONTACTS_CONVERT_H
#define CONTACTS_CONVERT_H

#include <resite/plugin.h>

int convert_check(struct resite_op *op, const struct resite_host *host);
int convert_probe(struct resite_op *op, const struct resite_host *host);
int convert_apply(struct resite_op *op, const struct resite_host *host);

#endif
