/* XEP-0227: Portable Import/Export Format for XMPP-IM Servers, as Prosody and ejabberd write it, and its
 * draft of 2007 (another namespace).
 *
 * server-data > host[jid] > user[name] > query (jabber:iq:roster) > item[jid, name, subscription, ask] >
 * group.  A part may stand in a file of its own (XInclude), beside or below the first one.  All else of a
 * user (password, vCard, private storage, offline messages) is kept as it was written (model_extra).
 */
#ifndef CONTACTS_XEP0227_H
#define CONTACTS_XEP0227_H

#include "plugins/contacts/reader.h"

#define XEP0227_NAMESPACE "urn:xmpp:pie:0"
#define XEP0227_DRAFT "http://www.xmpp.org/extensions/xep-0227.html#ns"
#define XEP0227_ROSTER "jabber:iq:roster"

/* Reads a document to its end.  dir_fd: where included files may be, in it and below; -1: none may.
 * As lync_read else. */
int xep0227_read(const struct input *in, int dir_fd, const struct reader *reader,
		 struct read_stats *ret, struct fault *f);
/* Whether a contact of that address can be in a roster. */
bool xep0227_has_jid(const char *buddy);
/* The same of an address without scheme. */
bool xep0227_is_jid(struct slice bare);

#endif
