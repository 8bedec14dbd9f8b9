/* The formats of contact lists: which there are, how one is recognised, and writing them. */
#ifndef CONTACTS_FORMATS_H
#define CONTACTS_FORMATS_H

#include "plugins/contacts/reader.h"

/* Where a writer's bytes go. */
struct output {
	int (*write)(void *arg, const void *data, size_t len, struct fault *f);
	void *arg;
};

struct writer;

/* How one format is written.  All return < 0 with f filled. */
struct format_writer {
	int (*begin)(struct writer *w, struct fault *f);
	int (*user)(struct writer *w, const struct model_user *u, struct fault *f);
	int (*end)(struct writer *w, struct fault *f);
	void (*release)(struct writer *w);
};

struct format {
	const char *name;    /* as in a plan */
	const char *what;    /* in sentences: "contact export of Lync 2010 (dbimpexp)" */
	enum family family;
	const char *suffix;  /* of a user's own file in a folder */
	bool one_user;       /* a file holds one user: many need a folder */
	/* What has no place in it. */
	bool no_definitions; /* of distribution groups */
	bool no_empty_groups;
	bool no_other;       /* being in "~" and in another group */
	bool no_watching;    /* whether a contact's presence is subscribed to */
	bool no_phones;      /* contacts whose address is no JID */
	const struct format_writer *writer;
};

struct writer {
	const struct format *format;
	struct output out;
	struct buf text;     /* of one user */
	struct buf wide;     /* the same in UTF-16 */
	void *own;           /* the format's */
};

/* In the order of the plan's choices; the last one's name is NULL. */
extern const struct format formats[];
const struct format *format_named(const char *name);

/* Writes a whole file: begin, put for each user, end; release in any case. */
int writer_begin(struct writer *w, const struct format *format, struct output out,
		 struct fault *f);
int writer_put(struct writer *w, const struct model_user *u, struct fault *f);
int writer_end(struct writer *w, struct fault *f);
void writer_release(struct writer *w);

/* Walks over a user's extras, each place in the order of its owners. */
struct extras_cursor {
	uint32_t at[PLACE_SECTION + 1];
};

/* The next extra of that place and owner, or NULL. */
const struct model_extra *extras_next(const struct model_user *u, struct extras_cursor *c,
				      enum model_place place, uint32_t owner);
/* Appends the raw text of all of them, each after before. */
void extras_put(struct buf *out, const struct model_user *u, struct extras_cursor *c,
		enum model_place place, uint32_t owner, const char *before);

extern const struct format_writer dbimpexp_writer, docitemset_writer, lists_writer,
	xep0227_writer;

#endif
