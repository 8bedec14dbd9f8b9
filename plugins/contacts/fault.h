/* What went wrong, and which reaction of the core it asks for. */
#ifndef CONTACTS_FAULT_H
#define CONTACTS_FAULT_H

#include <resite/plugin.h>

struct fault {
	int rc;          /* enum resite_rc */
	char text[1000]; /* one line, no control characters */
};

/* Fills f and returns rc. */
__attribute__((format(printf, 3, 4))) int fault_set(struct fault *f, int rc, const char *fmt,
						    ...);
/* Puts words and ": " before f's text. */
__attribute__((format(printf, 2, 3))) void fault_prefix(struct fault *f, const char *fmt, ...);
static inline int
fault_memory(struct fault *f)
{
	return fault_set(f, RESITE_ERR_TRANSIENT, "out of memory");
}

#endif
