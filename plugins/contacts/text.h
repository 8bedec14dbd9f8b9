/* Small decisions about texts: what XML may hold, what base64 is, what an address is. */
#ifndef CONTACTS_TEXT_H
#define CONTACTS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* UTF-8 that XML 1.0 can hold: no control characters but tab and line ends, no surrogates. */
bool text_is_xml(const char *s, size_t len);
/* Decodes base64 that stands for a non-empty text_is_xml text into out (room for len bytes);
 * false when it does not. */
bool text_from_base64(const char *s, size_t len, char *out, size_t *ret_len);
#define TEXT_ADDRESS_MAX 1000

/* user@host, possibly after "sip:": no spaces, no control characters, at most TEXT_ADDRESS_MAX bytes. */
bool text_is_address(const char *s, size_t len);

#endif
