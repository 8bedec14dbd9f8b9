/* contacts.export: contact lists from an XCAP server into a vault set. */
#ifndef CONTACTS_EXPORT_H
#define CONTACTS_EXPORT_H

#include <resite/plugin.h>

int export_check(struct resite_op *op, const struct resite_host *host);
int export_probe(struct resite_op *op, const struct resite_host *host);
int export_apply(struct resite_op *op, const struct resite_host *host);
int export_verify(struct resite_op *op, const struct resite_host *host);

#endif
