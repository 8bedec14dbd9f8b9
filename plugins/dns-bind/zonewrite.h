/* zonewrite.h -- replaces the files of a zone, whole or not at all.
 *
 * The new files are written beside the old ones, read again (they must say the same as
 * before but for what was to change), checked by whoever wants to, and only then renamed,
 * included files first.  A kill leaves old files, or new ones, or some of each if there are
 * several; never half of one. */
#ifndef DNS_BIND_ZONEWRITE_H
#define DNS_BIND_ZONEWRITE_H

#include "plugins/dns-bind/zoneedit.h"

struct zone_write {
	struct zone *z;
	struct edits edits;
	char **new_paths;   /* of each file: what will replace it, or NULL */
	char **check_paths; /* of each file: what stands for it in a check, or NULL */
};

/* Writes beside; *ret is to be ended with zone_write_end in any case.  The texts of z's files
 * are forgotten. */
enum zone_rc zone_write_begin(struct zone *z, const struct rrset *sets, size_t n, uint32_t serial,
			      struct zone_write *ret);
/* The file that a checker has to read. */
const char *zone_write_check_path(const struct zone_write *w);
/* Puts the new files into their places. */
enum zone_rc zone_write_commit(struct zone_write *w);
/* Removes what was not put into place. */
void zone_write_end(struct zone_write *w);

#endif
