/* zonename.h -- domain names between master-file notation and wire form.  Pure. */
#ifndef DNS_BIND_ZONENAME_H
#define DNS_BIND_ZONENAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_WIRE_MAX 255
#define NAME_TEXT_MAX 1024 /* \DDD for each byte, and the dots */

/* A name in canonical wire form (lower case). */
struct name {
	uint8_t wire[NAME_WIRE_MAX];
	uint8_t len;
};

/* Reads text ("@", relative to origin, or absolute); origin NULL: it must be absolute.
 * False: it is no name. */
bool name_parse(const char *text, size_t len, const struct name *origin, struct name *ret);
bool name_equal(const struct name *a, const struct name *b);
/* Is a the same as domain, or below it? */
bool name_is_in(const struct name *a, const struct name *domain);
bool name_from_wire(const uint8_t *wire, size_t len, struct name *ret);
/* Writes the name as a master file has it: relative to origin if that is given and the name
 * is below it ("@" when it is the same), else absolute. */
void name_text(const struct name *n, const struct name *origin, char ret[NAME_TEXT_MAX]);

#endif
