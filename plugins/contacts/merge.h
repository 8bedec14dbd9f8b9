/* What becomes of a user's list at the target: replaced, merged with the saved one, or kept. */
#ifndef CONTACTS_MERGE_H
#define CONTACTS_MERGE_H

#include "plugins/contacts/buf.h"
#include "plugins/contacts/fault.h"

#include <stdint.h>

enum existing { EXISTING_REPLACE, EXISTING_MERGE, EXISTING_KEEP };

/* Contacts in one list and not in the other. */
struct merge_side {
	uint64_t n;
	char names[160]; /* the first of them, with commas between */
};

struct merged {
	bool leave;              /* nothing is to be written */
	struct buf text;         /* else this, when it is not the saved list itself */
	struct merge_side added; /* in the saved list alone: a merge adds them */
	struct merge_side only;  /* at the target alone: a merge keeps them */
};

/* Decides for one user: there is the target's list (NULL: none), saved the one to import.  m is zeroed
 * at first and may be used again.  RESITE_ERR_REFUSED: a list that is not well-formed cannot be
 * merged. */
int merge_decide(struct merged *m, enum existing existing, const char *there, size_t there_len,
		 const char *saved, size_t saved_len, struct fault *f);
void merge_release(struct merged *m);

/* When the server wrote a list of that etag, at the earliest: Kamailio's are "sr-SECONDS-..." with the
 * time of the server's start, or of a load by SQL.  In ms; 0: it does not say. */
int64_t merge_written_ms(const char *etag);

#endif
