/* Small decisions about texts: what XML may hold, what base64 is, what an address is. */
#ifndef CONTACTS_TEXT_H
#define CONTACTS_TEXT_H

#include "plugins/contacts/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* UTF-8 that XML 1.0 can hold: no control characters but tab and line ends, no surrogates. */
bool text_is_xml(const char *s, size_t len);
/* Decodes base64 that stands for a non-empty text_is_xml text into out (room for len bytes);
 * false when it does not. */
bool text_from_base64(const char *s, size_t len, char *out, size_t *ret_len);
/* Appends len bytes as base64. */
void text_to_base64(struct buf *out, const char *s, size_t len);
/* Appends UTF-16 as UTF-8; *ret_used: without a last character that is not whole.  false: half of a
 * surrogate pair alone. */
bool text_from_utf16(const char *s, size_t len, bool big_endian, struct buf *out,
		     size_t *ret_used);
/* Appends UTF-8 that is text_is_xml as UTF-16LE. */
void text_to_utf16le(struct buf *out, const char *s, size_t len);
/* Appends text for an XML attribute in double quotes, or for an element. */
void text_escape(struct buf *out, const char *s);
#define TEXT_ADDRESS_MAX 1000

/* user@host, possibly after "sip:": no spaces, no control characters, at most TEXT_ADDRESS_MAX bytes. */
bool text_is_address(const char *s, size_t len);

#endif
