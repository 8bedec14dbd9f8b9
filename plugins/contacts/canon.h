/* A user's contacts in one form, whatever format they came from: to compare, and to take digests of.
 *
 *	c <TAB> bob@contoso.com <TAB> Bob B <TAB> <TAB> Sales <TAB> ~
 *	c <TAB> dave@fabrikam.com <TAB> <TAB> unwatched <TAB> ~
 *	g <TAB> Sales <TAB> definition of a distribution group
 *
 * Sorted by bytes; addresses in lower case; tabs, line ends and backslashes are written \t \n \r \\.
 */
#ifndef CONTACTS_CANON_H
#define CONTACTS_CANON_H

#include "plugins/contacts/bytes.h"
#include "plugins/contacts/model.h"

/* Scratch that is kept from user to user; zeroed at first. */
struct canon {
	struct buf text;         /* lines with NULs, unsorted */
	struct canon_line *lines;
	size_t n, cap;
};

/* Sets out to the user's text. */
int canon_user(struct canon *c, struct buf *out, const struct model_user *u, struct fault *f);
/* The user's key among others: her address in lower case. */
void canon_key(struct buf *out, const struct model_user *u);

/* One line of such a text. */
struct canon_item {
	struct slice all;      /* with its newline */
	struct slice key;      /* kind, tab, key, tab: what it is about */
	struct slice field[2]; /* of a contact: name, "unwatched"; of a group: definition */
	struct slice rest;     /* groups, tabs between them */
};

/* Takes the next line off the text; false: there are no more. */
bool canon_next(struct slice *text, struct canon_item *ret);
/* By bytes, as the lines are sorted. */
int canon_order(struct slice a, struct slice b);
static inline bool
canon_is_contact(const struct canon_item *item)
{
	return item->all.s[0] == 'c';
}

void canon_release(struct canon *c);

#endif
