/* failback_text.h -- the divergence report before a failback. */
#ifndef CORE_VIEW_FAILBACK_TEXT_H
#define CORE_VIEW_FAILBACK_TEXT_H

#include "core/base/strbuf.h"
#include "core/run/preview.h"

/* What the world has been given since the origin ran. */
struct divergence {
	uint64_t changed, gone, refused; /* objects that the origin had set */
	uint64_t created;                /* objects that it had not, and its way back would move */
	uint32_t unknown;                /* steps whose look has failed, in part or whole */
};

struct divergence divergence_of(const struct preview *preview);
/* Nothing has diverged, and that is known. */
bool divergence_is_none(const struct divergence *d);

/* Appends what each answer to --diverged would keep and lose. */
void divergence_write(struct strbuf *out, const struct divergence *d, const char *origin);
json_t *divergence_to_json(const struct divergence *d);

#endif
