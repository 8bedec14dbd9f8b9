#include "plugins/contacts/prefixes.h"

#include "plugins/contacts/xmlin.h"

#include <string.h>

static size_t
name_length(const char *attribute)
{
	return strcspn(attribute, "= \t\r\n");
}

static bool
has(const struct buf *list, struct slice name)
{
	for (size_t at = 0; at < list->len; at += strlen(list->p + at) + 1)
		if (name_length(list->p + at) == name.len &&
		    !memcmp(list->p + at, name.s, name.len))
			return true;
	return false;
}

void
prefixes_add(struct buf *list, struct slice tag)
{
	struct slice name, all;
	size_t at = 0;

	while (xmlin_next_raw(tag, &at, &name, &all)) {
		if (name.len <= 6 || memcmp(name.s, "xmlns:", 6) || has(list, name))
			continue;
		buf_add(list, all.s, all.len);
		buf_add(list, "", 1);
	}
}

/* Her element defines the prefix itself. */
static bool
is_own(const struct model_user *u, const char *prefix)
{
	size_t len = name_length(prefix);

	for (uint32_t i = 0; i < u->n_extras; i++) {
		const char *name = model_text(u, u->extras[i].name);

		if (u->extras[i].place == PLACE_USER && !strncmp(name, prefix, len) && !name[len])
			return true;
	}
	return false;
}

int
prefixes_put(const struct buf *list, struct model_user *u, struct fault *f)
{
	if (u->n_extras == 0)
		return RESITE_OK;
	for (size_t at = 0; at < list->len; at += strlen(list->p + at) + 1) {
		const char *p = list->p + at;

		if (!is_own(u, p) && model_add_extra(u, PLACE_USER, 0, p, name_length(p), p,
						     strlen(p), f) < 0)
			return f->rc;
	}
	return RESITE_OK;
}
