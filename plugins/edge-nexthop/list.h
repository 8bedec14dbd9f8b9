/* list.h -- a SIP proxy's list of destinations: read, edited, written.  Pure.
 *
 * Two dialects: Kamailio's dispatcher.list (`setid uri [flags [priority]] [attrs]`) and
 * OpenSIPS's dispatcher table as a db_text file.  Every byte of the text that an edit
 * does not name stays as it is: comments, blanks, line ends, a missing last line end.
 * What the proxy would pass over without a word is an error here.
 */
#ifndef EDGE_NEXTHOP_LIST_H
#define EDGE_NEXTHOP_LIST_H

#include <stdbool.h>
#include <stddef.h>

#define LIST_MAX_BYTES (4u << 20)
#define LIST_ERR 400

/* A part of a line's text. */
struct list_span {
	size_t at, len;
};

struct list_line {
	char *text;       /* without its end; NUL-terminated, a comment may hold more NULs */
	size_t len;
	char eol[3];      /* "\n", "\r\n", or "" for a last line without one */
	bool is_hop;      /* a destination; the rest is for these */
	long set;
	char *uri;        /* as the proxy shows it */
	bool off;         /* takes no calls: disabled or inactive */
	bool disabled;    /* by its flags, for good: what the proxy still shows after a reload */
	long priority;
	struct list_span uri_at, flags_at, priority_at, attrs_at; /* len 0: not there */
};

struct list;
struct list_want;

/* What is different between proxies. */
struct list_dialect {
	const char *name;      /* "Kamailio" */
	size_t line_max;       /* bytes of a line, with its end, that the proxy reads as one */
	bool shows_priority;   /* in what it says over RPC */
	/* Fills in the lines; false: err says why. */
	bool (*parse)(struct list *l, char err[LIST_ERR]);
	/* The text of line with another uri, attributes (NULL: as they are), switched on or
	 * off; the caller frees. */
	char *(*with)(const struct list *l, const struct list_line *line, const char *uri,
		      const char *attrs, bool on);
	/* The text of a line for a destination that the list does not have; nth: how many new
	 * lines came before it. */
	char *(*fresh)(const struct list *l, const struct list_want *want, const char *uri, long nth);
};

extern const struct list_dialect list_kamailio, list_opensips;

struct list {
	const struct list_dialect *dialect;
	struct list_line *lines;
	size_t n;
	const char *eol;            /* of new lines */
	size_t columns[6], n_columns; /* OpenSIPS: where its table has what (listtable.c) */
	long next_id;
};

/* What the set shall be. */
struct list_want {
	long set;
	const char *const *to; /* the destinations that take calls, no others */
	size_t n_to;
	bool keep_others;      /* disabled instead of removed or replaced */
	const char *attrs;     /* of lines that are new or get another uri; NULL: as they are */
	long priority;         /* of new lines */
};

/* A line before and after: was NULL for a new one, set NULL for one that goes. */
struct list_edit {
	size_t line; /* its index; a new one comes after this line */
	char *was, *set;
	char *object; /* "set 1 sip:edge.example" */
};

struct list_edits {
	struct list_edit *v;
	size_t n;
};

/* Reads a whole text; on failure err names the line and nothing is to be released. */
bool list_parse(struct list *ret, const struct list_dialect *dialect, const char *text, size_t len,
		char err[LIST_ERR]);
void list_release(struct list *l);

/* The edits that make the set what it shall be; none when it is so.  false: err says why. */
bool list_plan(const struct list *l, const struct list_want *want, struct list_edits *ret,
	       char err[LIST_ERR]);
void list_edits_release(struct list_edits *e);
/* The text after the edits, for the caller to free; NULL: no memory. */
char *list_edited(struct list *l, const struct list_edits *edits, size_t *ret_len);

/* Raw lines, for putting single ones back: each says whether it could. */
bool list_set_text(struct list_line *line, const char *text);
bool list_insert(struct list *l, size_t after, const char *text);
void list_remove(struct list *l, size_t i);
/* The whole text as it now is; NULL: no memory. */
char *list_text(const struct list *l, size_t *ret_len);
/* The index of the line with exactly this text, or l->n. */
size_t list_find_text(const struct list *l, const char *text);
/* The index of the destination in the set, or l->n. */
size_t list_find(const struct list *l, long set, const char *uri);
/* The last line of the set, else the last line of all; l->n == 0: 0. */
size_t list_end_of_set(const struct list *l, long set);

/* May this be written into a list as a destination?  NULL: yes, else why not. */
const char *list_bad_uri(const char *uri, bool must_be_name);
const char *list_bad_attrs(const char *attrs);
/* A copy of text in which from at+len bytes are replaced by new; NULL: no memory. */
char *list_splice(const char *text, struct list_span span, const char *replacement);

#endif
