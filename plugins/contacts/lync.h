/* Reading contact exports of Lync: dbimpexp.exe of Lync 2010 and OCS 2007, and DocItemSet.xml out of
 * the zip of Export-CsUserData of Lync 2013.
 *
 * HomedResources > HomedResource[UserAtHost], or DocItemSet > DocItem[Name="urn:lcd:user@host"] > Data >
 * HomedResource; in it ContactGroups > ContactGroup[Number, DisplayName, ExternalUri] and Contacts >
 * Contact[Buddy, Groups, DisplayName, SubscribePresence].  All else of a user is kept as it was written
 * (model_extra).
 */
#ifndef CONTACTS_LYNC_H
#define CONTACTS_LYNC_H

#include "plugins/contacts/reader.h"

#define LYNC_NAMESPACE "http://schemas.microsoft.com/RtcServer/2002/11/dbimpexp"
#define LYNC_ITEM "urn:lcd:"

/* Reads either, to its end.  Input that is not well-formed, has a DOCTYPE or is no such export is
 * RESITE_ERR_REFUSED with the line; users before that line were handed out.  The input is read twice at
 * most: names are looked at first. */
int lync_read(const struct input *in, const struct reader *reader, struct read_stats *ret,
	      struct fault *f);
/* The same for a file of dbimpexp.exe; faults begin with the path. */
int dbimpexp_read(const char *path, const struct reader *reader, struct read_stats *ret,
		  struct fault *f);

#endif
