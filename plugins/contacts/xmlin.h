/* XML from anywhere, as a stream: UTF-8 and UTF-16, told by their bytes; without DOCTYPE, so without
 * entities; and the text of an element as it was written, for what is handed on byte for byte.
 *
 * Memory: what a handler keeps (xmlin_keep), and one tag.
 */
#ifndef CONTACTS_XMLIN_H
#define CONTACTS_XMLIN_H

#include "plugins/contacts/buf.h"
#include "plugins/contacts/bytes.h"

#include <libxml/parser.h>
#include <stdint.h>

#define XMLIN_NOTHING UINT64_MAX
/* Of one thing that is kept: a user's element. */
#define XMLIN_KEEP_MAX (32u << 20)

struct xmlin;

struct xmlin_calls {
	/* attributes: n times five pointers, as libxml2 hands them out; n_own: attributes and
	 * namespaces that this tag has. */
	void (*start)(void *arg, const xmlChar *name, const xmlChar *uri, int n, int n_own,
		      const xmlChar **attributes);
	void (*end)(void *arg);
	void (*text)(void *arg, const char *s, size_t len); /* may be NULL */
};

struct xmlin {
	/* Set by the caller. */
	const struct xmlin_calls *calls;
	void *arg;
	struct fault *fault;     /* filled by whoever stops */
	/* For handlers. */
	bool stopped;            /* no more calls; fault is filled, or it was enough */
	int depth;               /* elements open, that of this call included */
	/* Inner. */
	xmlParserCtxtPtr xml;
	struct buf window;       /* text from window_at on that may be wanted or is not parsed yet */
	uint64_t window_at;
	uint64_t keep;           /* XMLIN_NOTHING, or where the wanted begins */
	struct buf raw;          /* bytes read and not yet turned into text */
	int encoding;
	uint64_t read_bytes;
};

/* Before the first word is looked up. */
int xmlin_open(struct xmlin *x, struct fault *f);
/* A name in the parser's dictionary: names that it hands out are compared by pointer. */
const xmlChar *xmlin_word(struct xmlin *x, const char *word);
/* Parses to the end, or until stopped: 0, or fault->rc.  Stopped without a fault is 0, too. */
int xmlin_run(struct xmlin *x, const struct bytes *in);
void xmlin_close(struct xmlin *x);

/* In a handler: */
int xmlin_line(const struct xmlin *x);
void xmlin_stop(struct xmlin *x);
/* Stops with a fault that names the line. */
__attribute__((format(printf, 2, 3))) void xmlin_refuse(struct xmlin *x, const char *fmt, ...);
/* start: where its tag begins; end: where that of the end begins. */
uint64_t xmlin_tag(struct xmlin *x);
/* start: inside the tag, before its > or />; end: after the element. */
uint64_t xmlin_here(const struct xmlin *x);
/* Text from here on stays; XMLIN_NOTHING: none has to. */
void xmlin_keep(struct xmlin *x, uint64_t from);
/* The text between two places, the first of which was kept or is of this call. */
struct slice xmlin_raw(struct xmlin *x, uint64_t from, uint64_t to);

/* The next attribute of a tag's text (xmlin_tag to xmlin_here) as name="value" was written: name is
 * the part of it before the =.  at begins at 0.  false: there are no more. */
bool xmlin_next_raw(struct slice tag, size_t *at, struct slice *ret_name, struct slice *ret_all);

static inline struct slice
xmlin_attribute(const xmlChar *word, int n, const xmlChar **attributes)
{
	for (int i = 0; i < n; i++, attributes += 5)
		if (attributes[0] == word && !attributes[1])
			return (struct slice){(const char *)attributes[3],
					      (size_t)(attributes[4] - attributes[3])};
	return (struct slice){"", 0};
}

#endif
