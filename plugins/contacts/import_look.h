/* Looking at the target of an import, before it and after it. */
#ifndef CONTACTS_IMPORT_LOOK_H
#define CONTACTS_IMPORT_LOOK_H

#include "plugins/contacts/learnt.h"

/* What the step does with a list that the target has. */
enum existing existing_of(struct call *c);
/* Compares lists of the source with the target: those that kept has, or, when it is NULL, those that
 * cmp asks for, for which the source is read. */
int import_compare(struct source *s, struct compare *cmp, const struct sample *kept);
/* Which lists a look asks for after an import of all from that one on. */
struct compare import_look_after(struct call *c, uint64_t from, uint64_t total, uint64_t largest);
/* So many are drawn for the look before an import; 0: it asks for all. */
uint64_t import_look_before(struct call *c);
/* Looks at as much as is needed to say what is there.  0, or < 0 with call->f filled. */
int import_look(struct source *s, const struct learnt *l, struct compare *cmp);

#endif
