/* The parts of the reader of XMPP exports: files and elements (xep0227.c), users (xep0227_users.c). */
#ifndef CONTACTS_XEP0227_LEVEL_H
#define CONTACTS_XEP0227_LEVEL_H

#include "plugins/contacts/buf.h"
#include "plugins/contacts/xep0227.h"
#include "plugins/contacts/xmlin.h"

#define PATH_MAX_BYTES 1000

enum word {
	W_DATA, W_HOST, W_USER, W_QUERY, W_ITEM, W_GROUP, W_INCLUDE,
	W_JID, W_NAME, W_SUBSCRIPTION, W_ASK, W_HREF, W_PARSE, W_XPOINTER,
	W_PIE, W_DRAFT, W_ROSTER, W_XINCLUDE,
	N_WORDS
};

enum place { P_TOP, P_DATA, P_HOST, P_USER, P_ROSTER, P_ITEM, P_GROUP };

struct state;

/* One file: the first, or one that is included. */
struct level {
	struct xmlin x;
	struct state *st;
	const struct level *above;
	const struct bytes *bytes;
	char path[PATH_MAX_BYTES]; /* beneath the directory; "": the first file */
	const xmlChar *word[N_WORDS];
	enum place stack[8];       /* where the open elements are; of an included file: those of
				    * the including one below */
	int base;                  /* so many are the including file's */
	int skip_depth;
	int user_depth;            /* stack entries when a user began, or 0 */
	uint64_t user_at, raw_at;
	enum model_place raw_place;
	uint32_t raw_owner;
	char raw_name[200];
};

struct state {
	const struct reader *reader;
	struct read_stats *stats;
	struct fault *fault;
	int dir_fd;
	struct buf host;    /* jid, ends with NUL */
	struct buf prefixes;  /* prefixes defined around users, each with a NUL */
	struct buf scratch, groups, group, native;
	bool have_user, in_item;
	uint32_t n_numbers;
	struct model_user user;
};

extern const char *const xep0227_words[N_WORDS];

/* The text of the tag that is open. */
struct slice xep0227_tag(struct level *l);
/* Keeps the attributes of that tag that are not known, as they were written. */
void xep0227_keep_attributes(struct level *l, enum model_place place, uint32_t owner,
			     enum word known, enum word known_too);
/* Skips the element that begins; its text is kept when it ends, if owner has a place for it. */
void xep0227_skip_kept(struct level *l, enum model_place place, uint32_t owner,
		       const xmlChar *name, const xmlChar *uri);
void xep0227_end_kept(struct level *l);

/* Elements begin and end; what is wrong with them stops the parser. */
void xep0227_begin_host(struct level *l, int n, const xmlChar **attributes);
void xep0227_begin_user(struct level *l, int n, int n_own, const xmlChar **attributes);
void xep0227_begin_item(struct level *l, int n, int n_own, const xmlChar **attributes);
void xep0227_end_group(struct level *l);
void xep0227_end_item(struct level *l);
void xep0227_end_user(struct level *l); /* hands her to the reader */

#endif
