/* zoneedit.h -- what has to be written where, so that a zone's files say something else.
 * Pure, over what zone_read has found. */
#ifndef DNS_BIND_ZONEEDIT_H
#define DNS_BIND_ZONEEDIT_H

#include "plugins/dns-bind/zone.h"

/* len bytes at at become text. */
struct edit {
	size_t file, at, len;
	char *text;
	size_t seq; /* of two at one place, the first comes first */
};

struct edits {
	struct edit *v;
	size_t n, cap;
};

/* Makes the RRsets sets (sorted as rrset_order; n 0: removed; their owners watched when the
 * zone was read) and the serial what they say.  Of a record that stays, only the words
 * change that must; a record that goes takes its line along, one that comes gets a line after
 * those of its RRset, else of its name, else at the end of the zone's first file.  False, with
 * z->err: no memory. */
bool zone_edit(struct zone *z, const struct rrset *sets, size_t n, uint32_t serial,
	       struct edits *ret);
/* Adds one edit; text is copied. */
bool edits_add(struct edits *e, size_t file, size_t at, size_t len, const char *text);
/* In the order of the files. */
void edits_sort(struct edits *e);
void edits_release(struct edits *e);

#endif
