/* nexthop.h -- what applying and reverting a list of next hops share. */
#ifndef EDGE_NEXTHOP_NEXTHOP_H
#define EDGE_NEXTHOP_NEXTHOP_H

#include "plugins/edge-nexthop/edge.h"

#define UNDO_VERSION 1
#define TO_MAX 64

/* The file as it is, and what is to become of it. */
struct work {
	const char *path;
	long set;
	char *text, digest[FILE_DIGEST];
	size_t len;
	struct list list;
	struct list_edits edits;
	struct shown shown;
	const char *to[TO_MAX];
};

/* Reads and parses the file; the rest of *w is empty.  Release *w whatever is returned. */
int load_list(struct edge *e, struct work *w);
void work_release(struct work *w);
/* Writes the text in place of w->text, makes the proxy read it, and looks whether it did; if the
 * proxy refuses it, the former text is put back. */
int install(struct edge *e, const struct work *w, const char *text, size_t len);

int nexthop_revert(struct edge *e);

#endif
