/* contacts.hand-over: writes the file that another system's importer reads, and runs the importer. */
#ifndef CONTACTS_HANDOVER_H
#define CONTACTS_HANDOVER_H

#include <resite/plugin.h>

int handover_check(struct resite_op *op, const struct resite_host *host);
int handover_probe(struct resite_op *op, const struct resite_host *host);
int handover_apply(struct resite_op *op, const struct resite_host *host);
int handover_verify(struct resite_op *op, const struct resite_host *host);

#endif
