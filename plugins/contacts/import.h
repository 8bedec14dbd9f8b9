/* contacts.import: contact lists from a vault set, or from a dbimpexp export, into an XCAP server. */
#ifndef CONTACTS_IMPORT_H
#define CONTACTS_IMPORT_H

#include <resite/plugin.h>

int import_check(struct resite_op *op, const struct resite_host *host);
int import_probe(struct resite_op *op, const struct resite_host *host);
int import_apply(struct resite_op *op, const struct resite_host *host);

#endif
