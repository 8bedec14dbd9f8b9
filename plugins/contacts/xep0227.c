/* Reading XEP-0227: files, those that they include, and elements. */
#include "plugins/contacts/xep0227_level.h"

#include "plugins/contacts/beneath.h"
#include "plugins/contacts/prefixes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* server-data includes a host, a host a user; no server writes more. */
#define MAX_LEVELS 4

/* --- included files ---------------------------------------------------------------- */

static int run_level(struct level *l);

/* The path of href, said in the file at from: both beneath the directory. */
static bool
join_path(char out[PATH_MAX_BYTES], const char *from, struct slice href)
{
	const char *slash = strrchr(from, '/');
	int dir = slash ? (int)(slash - from) + 1 : 0;
	int n = snprintf(out, PATH_MAX_BYTES, "%.*s%.*s", dir, from, (int)href.len, href.s);

	return n > 0 && n < PATH_MAX_BYTES;
}

static int
open_included(struct level *l, struct level *inner, struct slice href, int *ret_fd)
{
	struct fault *f = l->st->fault;
	int depth = 1;

	for (const struct level *up = l; up->above; up = up->above)
		depth++;
	if (depth >= MAX_LEVELS)
		return fault_set(f, RESITE_ERR_REFUSED, "files include files more than %d deep",
				 MAX_LEVELS - 1);
	if (href.len > PATH_MAX_BYTES || !join_path(inner->path, l->path, href))
		return fault_set(f, RESITE_ERR_REFUSED, "the name of an included file is too long");
	if (l->st->dir_fd < 0)
		return fault_set(f, RESITE_ERR_REFUSED, "'%s' cannot be included here",
				 inner->path);
	return beneath_open(l->st->dir_fd, inner->path, ret_fd, f);
}

/* What is included stands where the include element does. */
static void
include(struct level *l, enum place in, int n, const xmlChar **attributes)
{
	struct level *inner = calloc(1, sizeof *inner);
	struct slice href = xmlin_attribute(l->word[W_HREF], n, attributes);
	struct slice parse = xmlin_attribute(l->word[W_PARSE], n, attributes);
	struct slice xpointer = xmlin_attribute(l->word[W_XPOINTER], n, attributes);
	int fd = -1, line = xmlin_line(&l->x);
	const struct bytes bytes = {bytes_from_fd, &fd};

	l->skip_depth = l->x.depth;
	if (!inner) {
		fault_memory(l->st->fault);
		xmlin_stop(&l->x);
		return;
	}
	if (href.len == 0 || xpointer.len || (parse.len && !slice_is(parse, "xml"))) {
		xmlin_refuse(&l->x, "an xi:include that is not of a whole XML file");
	} else {
		inner->st = l->st;
		inner->above = l;
		inner->bytes = &bytes;
		inner->base = 1;
		inner->stack[0] = in;
		if (open_included(l, inner, href, &fd) < 0) {
			fault_prefix(l->st->fault, "line %d: xi:include", line);
			xmlin_stop(&l->x);
		} else if (run_level(inner) < 0) {
			fault_prefix(l->st->fault, "%s", inner->path);
			xmlin_stop(&l->x);
		}
	}
	if (fd >= 0)
		close(fd);
	free(inner);
}

/* --- elements ----------------------------------------------------------------------- */

static enum place
enter_ours(struct level *l, enum place in, const xmlChar *name, int n, int n_own,
	   const xmlChar **attributes)
{
	if (in == P_DATA && name == l->word[W_HOST]) {
		xep0227_begin_host(l, n, attributes);
		if (n_own > n)
			prefixes_add(&l->st->prefixes, xep0227_tag(l));
		return P_HOST;
	}
	if (in == P_HOST && name == l->word[W_USER]) {
		xep0227_begin_user(l, n, n_own, attributes);
		return P_USER;
	}
	return P_TOP;
}

static enum place
enter(struct level *l, enum place in, const xmlChar *name, const xmlChar *uri, int n, int n_own,
      const xmlChar **attributes)
{
	bool ours = uri == l->word[W_PIE] || uri == l->word[W_DRAFT];
	bool roster = uri == l->word[W_ROSTER];

	if (uri == l->word[W_XINCLUDE] && name == l->word[W_INCLUDE] &&
	    (in == P_DATA || in == P_HOST)) {
		include(l, in, n, attributes);
		return P_TOP;
	}
	if (ours && (in == P_DATA || in == P_HOST))
		return enter_ours(l, in, name, n, n_own, attributes);
	if (in == P_USER && roster && name == l->word[W_QUERY]) {
		if (n_own > 1)
			xep0227_keep_attributes(l, PLACE_CONTACTS, 0, W_QUERY, W_QUERY);
		return P_ROSTER;
	}
	if (in == P_ROSTER && roster && name == l->word[W_ITEM]) {
		xep0227_begin_item(l, n, n_own, attributes);
		return P_ITEM;
	}
	if (in == P_ITEM && roster && name == l->word[W_GROUP]) {
		buf_clear(&l->st->group);
		return P_GROUP;
	}
	return P_TOP;
}

static void
skip(struct level *l, enum place in, const xmlChar *name, const xmlChar *uri)
{
	l->skip_depth = l->x.depth;
	if (in == P_USER) {
		l->st->stats->other_sections++;
		xep0227_skip_kept(l, PLACE_SECTION, 0, name, uri);
	} else if (in == P_ROSTER) {
		xep0227_skip_kept(l, PLACE_IN_CONTACTS, 0, name, uri);
	} else if (in == P_ITEM) {
		xep0227_skip_kept(l, PLACE_IN_CONTACT, l->st->user.last_contact, name, uri);
	} else {
		l->st->stats->not_users++;
	}
}

/* ejabberd writes a file for each host, which its main file includes; it can be read alone. */
static void
enter_root(struct level *l, const xmlChar *name, const xmlChar *uri, int n,
	   const xmlChar **attributes)
{
	if ((name != l->word[W_DATA] && name != l->word[W_HOST]) ||
	    (uri != l->word[W_PIE] && uri != l->word[W_DRAFT])) {
		xmlin_refuse(&l->x, "this is no export of an XMPP server (XEP-0227): its root is "
			     "'%.100s' in namespace '%.200s', not server-data in "
			     XEP0227_NAMESPACE, (const char *)name, uri ? (const char *)uri : "");
		return;
	}
	prefixes_add(&l->st->prefixes, xep0227_tag(l));
	if (name == l->word[W_HOST])
		xep0227_begin_host(l, n, attributes);
	l->stack[0] = name == l->word[W_HOST] ? P_HOST : P_DATA;
}

static void
on_start(void *arg, const xmlChar *name, const xmlChar *uri, int n, int n_own,
	 const xmlChar **attributes)
{
	struct level *l = arg;
	int at = l->base + l->x.depth - 1; /* of this element on the stack */
	enum place is;

	if (l->skip_depth)
		return;
	if (at == 0) {
		enter_root(l, name, uri, n, attributes);
		return;
	}
	is = enter(l, l->stack[at - 1], name, uri, n, n_own, attributes);
	if (is == P_TOP && l->base && l->x.depth == 1 && !l->x.stopped) {
		xmlin_refuse(&l->x, "the included file's root is '%.100s', which cannot stand there",
			     (const char *)name);
		return;
	}
	if (is == P_TOP && !l->skip_depth && !l->x.stopped)
		skip(l, l->stack[at - 1], name, uri);
	l->stack[at] = is;
}

static void
on_end(void *arg)
{
	struct level *l = arg;
	int at = l->base + l->x.depth - 1;

	if (l->skip_depth) {
		if (l->skip_depth != l->x.depth)
			return;
		l->skip_depth = 0;
		if (l->raw_at != XMLIN_NOTHING)
			xep0227_end_kept(l);
		return;
	}
	if (l->stack[at] == P_GROUP)
		xep0227_end_group(l);
	else if (l->stack[at] == P_ITEM)
		xep0227_end_item(l);
	else if (l->st->have_user && l->x.depth == l->user_depth)
		xep0227_end_user(l);
}

static void
on_text(void *arg, const char *s, size_t len)
{
	struct level *l = arg;

	if (!l->skip_depth && l->x.depth > 0 && l->stack[l->base + l->x.depth - 1] == P_GROUP)
		buf_add(&l->st->group, s, len);
}

/* --- files ----------------------------------------------------------------------------- */

static int
read_counted(void *arg, void *buf, size_t cap, size_t *ret_len, struct fault *f)
{
	const struct level *l = arg;
	const struct reader *r = l->st->reader;

	if (l->bytes->read(l->bytes->arg, buf, cap, ret_len, f) < 0)
		return f->rc;
	l->st->stats->bytes += *ret_len;
	return r->piece && *ret_len ? r->piece(r->arg, buf, *ret_len, f) : RESITE_OK;
}

static int
run_level(struct level *l)
{
	static const struct xmlin_calls calls = {on_start, on_end, on_text};
	const struct bytes bytes = {read_counted, l};
	int rc;

	l->x = (struct xmlin){.calls = &calls, .arg = l};
	l->user_at = l->raw_at = XMLIN_NOTHING;
	rc = xmlin_open(&l->x, l->st->fault);
	for (int i = 0; rc == RESITE_OK && i < N_WORDS; i++)
		l->word[i] = xmlin_word(&l->x, xep0227_words[i]);
	if (rc == RESITE_OK)
		rc = xmlin_run(&l->x, &bytes);
	xmlin_close(&l->x);
	return rc;
}

int
xep0227_read(const struct input *in, int dir_fd, const struct reader *reader,
	     struct read_stats *ret, struct fault *f)
{
	struct state *st = calloc(1, sizeof *st);
	struct level *l = calloc(1, sizeof *l);
	struct read_stats stats = {0};
	int rc;

	if (!st || !l) {
		free(st);
		free(l);
		return fault_memory(f);
	}
	*st = (struct state){.reader = reader, .stats = &stats, .fault = f, .dir_fd = dir_fd};
	l->st = st;
	l->bytes = &in->bytes;
	rc = in->rewind(in->bytes.arg, f);
	if (rc == RESITE_OK)
		rc = run_level(l);
	model_release(&st->user);
	buf_release(&st->host);
	buf_release(&st->prefixes);
	buf_release(&st->scratch);
	buf_release(&st->groups);
	buf_release(&st->group);
	buf_release(&st->native);
	free(st);
	free(l);
	if (rc == RESITE_OK)
		*ret = stats;
	return rc;
}
