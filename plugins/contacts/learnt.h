/* What one attempt has learnt of its source and of the target, in host->memory: so that probe and
 * apply read the source once each, and the probe after them not at all.  It ends with the attempt:
 * another one does not know what happened between the two, and finds nothing. */
#ifndef CONTACTS_LEARNT_H
#define CONTACTS_LEARNT_H

#include "plugins/contacts/sample.h"
#include "plugins/contacts/source.h"

struct learnt {
	struct source_stamp stamp; /* of the source that all this is about */
	struct vault_set *set;     /* proven; NULL: a file or folder */
	/* What a pass over it says; see struct source. */
	bool read;
	char digest[65];
	enum names names;
	uint64_t total, missing;
	char missing_names[300];
	struct sample before;      /* drawn from all, for the look before an import */
	bool drawn;
	/* Lists that the target took in this attempt, each with an answer of 2xx. */
	bool applied;
	uint64_t from, end;        /* documents from <= index < end */
	uint64_t largest;          /* the largest of them, counted from 1: a server may not hand it out */
	struct sample after;       /* for the look after it */
	bool kept;                 /* after is what that look asks for */
};

/* Opens the step's source.  *ret is what is known of it: nothing, or what earlier calls learnt of
 * the same one.  may_differ: of another one nothing is known (probe); else it is CONFLICT (apply).
 * 0, or < 0 with call->f filled; source_release in both cases. */
int learnt_open(struct learnt **ret, struct source *s, struct call *c, bool may_differ);
/* Reads the source, unless what is known is enough, and draws want documents of it (0: none).
 * Afterwards s->total and what comes with it are known.  Another content than what was applied
 * before: nothing is known of the target. */
int learnt_read(struct learnt *l, struct source *s, uint64_t want);
/* After another pass over the same source: RESITE_ERR_CONFLICT when it was not the same. */
int learnt_compare(struct learnt *l, struct source *s);
/* Nothing is known of the target. */
void learnt_forget_target(struct learnt *l);

#endif
