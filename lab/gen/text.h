/* A growing text, and the spellings that the outputs need. Memory that runs out
 * ends the program: there is nothing to save. */
#ifndef LAB_GEN_TEXT_H
#define LAB_GEN_TEXT_H

#include <stddef.h>

struct text {
	char *data; /* not terminated */
	size_t len;
	size_t size;
};

void text_add(struct text *t, const char *data, size_t len);
void text_str(struct text *t, const char *s);
/* As XML character data or attribute value. */
void text_xml(struct text *t, const char *s);
void text_base64(struct text *t, const char *s);
void text_release(struct text *t);

#endif
