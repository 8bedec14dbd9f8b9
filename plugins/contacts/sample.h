/* Documents of a source that a look at the target will ask for: kept while the source is read for
 * something else, so that it need not be read again for them. */
#ifndef CONTACTS_SAMPLE_H
#define CONTACTS_SAMPLE_H

#include "plugins/contacts/documents.h"

#include <stdbool.h>

/* What one sample may hold; a larger one is lost, and the source is read once more. */
#define SAMPLE_MAX_BYTES (16u << 20)

struct sample {
	struct document *list; /* each with its texts in one block, at user */
	size_t n, cap;
	uint64_t want;         /* of sample_draw: so many of however many there will be */
	uint64_t bytes;
	bool lost;             /* too large, or memory was short: it holds nothing */
};

void sample_begin(struct sample *s, uint64_t want);
void sample_release(struct sample *s);
/* Is the document of this index drawn, after all before it?  Each of the documents so far has the
 * same chance to be among the want that are kept, and the same source gives the same ones. */
bool sample_draws(const struct sample *s, uint64_t index);
/* Keeps it in the place of one that was drawn before. */
void sample_draw(struct sample *s, const struct document *d);
/* Keeps it besides the others. */
void sample_add(struct sample *s, const struct document *d);
/* Hands out what is kept; < 0 (with f filled) stops. */
int sample_each(const struct sample *s, int (*each)(void *arg, const struct document *d,
						    struct fault *f), void *arg, struct fault *f);

#endif
