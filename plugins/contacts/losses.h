/* What users have that another format has no place for: counted while they are written in it. */
#ifndef CONTACTS_LOSSES_H
#define CONTACTS_LOSSES_H

#include "plugins/contacts/formats.h"

#define LOSSES_MAX 64
#define LOSS_NAME_MAX 120

struct losses {
	struct loss {
		char name[LOSS_NAME_MAX]; /* a section, or a sentence's middle */
		bool section;
		uint64_t users;
		uint64_t last;            /* the last user that had it, from 1 */
	} of[LOSSES_MAX];
	size_t n;
	uint64_t others;                  /* users with sections beyond the table */
	uint64_t users;                   /* seen so far */
};

void losses_note(struct losses *l, const struct model_user *u, const struct format *to);
/* Hands out a sentence for each kind, what touches most users first. */
void losses_tell(struct losses *l, const struct format *to,
		 void (*say)(void *arg, const char *sentence), void *arg);

#endif
