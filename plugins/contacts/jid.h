/* Addresses as XMPP writes them: XEP-0106, JID escaping. */
#ifndef CONTACTS_JID_H
#define CONTACTS_JID_H

#include "plugins/contacts/buf.h"
#include "plugins/contacts/bytes.h"

/* Appends an address as a JID: o'brien@Contoso.com is o\27brien@contoso.com. */
void jid_from_address(struct buf *out, const char *address, size_t len);
/* Appends the address that a JID stands for. */
void jid_to_address(struct buf *out, const char *jid, size_t len);
/* The same for the part before the @ alone. */
void jid_from_local(struct buf *out, const char *local, size_t len);
void jid_to_local(struct buf *out, const char *local, size_t len);
/* The part before the last @, escaped or not; all of it when there is none. */
struct slice jid_local(const char *address);

#endif
