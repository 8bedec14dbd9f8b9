#include "plugins/contacts/formats.h"

#include <string.h>

const struct format formats[] = {
	{
		.name = "dbimpexp",
		.what = "contact export of Lync 2010",
		.family = FAMILY_LYNC,
		.suffix = ".xml",
		.writer = &dbimpexp_writer,
	},
	{
		.name = "docitemset",
		.what = "user export of Lync 2013",
		.family = FAMILY_LYNC,
		.suffix = ".zip",
		.writer = &docitemset_writer,
	},
	{
		.name = "resource-lists",
		.what = "resource-lists, RFC 4826",
		.family = FAMILY_LISTS,
		.suffix = ".xml",
		.one_user = true,
		.no_watching = true,
		.writer = &lists_writer,
	},
	{
		.name = "xep0227",
		.what = "export of an XMPP server",
		.family = FAMILY_XMPP,
		.suffix = ".xml",
		.no_definitions = true,
		.no_empty_groups = true,
		.no_other = true,
		.no_phones = true,
		.writer = &xep0227_writer,
	},
	{0},
};

const struct format *
format_named(const char *name)
{
	for (const struct format *f = formats; f->name; f++)
		if (!strcmp(f->name, name))
			return f;
	return NULL;
}

/* --- writing ------------------------------------------------------------------- */

int
writer_begin(struct writer *w, const struct format *format, struct output out, struct fault *f)
{
	*w = (struct writer){.format = format, .out = out};
	return format->writer->begin(w, f);
}

int
writer_put(struct writer *w, const struct model_user *u, struct fault *f)
{
	return w->format->writer->user(w, u, f);
}

int
writer_end(struct writer *w, struct fault *f)
{
	return w->format->writer->end(w, f);
}

void
writer_release(struct writer *w)
{
	if (w->format && w->format->writer->release)
		w->format->writer->release(w);
	buf_release(&w->text);
	buf_release(&w->wide);
}

/* --- extras -------------------------------------------------------------------- */

/* Readers add them in the order of the text, so owners of one place go up: one walk for each. */
const struct model_extra *
extras_next(const struct model_user *u, struct extras_cursor *c, enum model_place place,
	    uint32_t owner)
{
	uint32_t *at = &c->at[place];

	while (*at < u->n_extras &&
	       (u->extras[*at].place != place || u->extras[*at].owner < owner))
		(*at)++;
	if (*at == u->n_extras || u->extras[*at].owner != owner)
		return NULL;
	return &u->extras[(*at)++];
}

void
extras_put(struct buf *out, const struct model_user *u, struct extras_cursor *c,
	   enum model_place place, uint32_t owner, const char *before)
{
	const struct model_extra *e;

	while ((e = extras_next(u, c, place, owner)) != NULL) {
		buf_puts(out, before);
		buf_puts(out, model_text(u, e->raw));
	}
}
