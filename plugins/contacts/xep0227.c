#include "plugins/contacts/xep0227.h"

#include "plugins/contacts/beneath.h"
#include "plugins/contacts/jid.h"
#include "plugins/contacts/prefixes.h"
#include "plugins/contacts/text.h"
#include "plugins/contacts/xmlin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* server-data includes a host, a host a user; no server writes more. */
#define MAX_LEVELS 4
#define PATH_MAX_BYTES 1000

enum word {
	W_DATA, W_HOST, W_USER, W_QUERY, W_ITEM, W_GROUP, W_INCLUDE,
	W_JID, W_NAME, W_SUBSCRIPTION, W_ASK, W_HREF, W_PARSE, W_XPOINTER,
	W_PIE, W_DRAFT, W_ROSTER, W_XINCLUDE,
	N_WORDS
};

static const char *const words[N_WORDS] = {
	[W_DATA] = "server-data",
	[W_HOST] = "host",
	[W_USER] = "user",
	[W_QUERY] = "query",
	[W_ITEM] = "item",
	[W_GROUP] = "group",
	[W_INCLUDE] = "include",
	[W_JID] = "jid",
	[W_NAME] = "name",
	[W_SUBSCRIPTION] = "subscription",
	[W_ASK] = "ask",
	[W_HREF] = "href",
	[W_PARSE] = "parse",
	[W_XPOINTER] = "xpointer",
	[W_PIE] = XEP0227_NAMESPACE,
	[W_DRAFT] = XEP0227_DRAFT,
	[W_ROSTER] = XEP0227_ROSTER,
	[W_XINCLUDE] = "http://www.w3.org/2001/XInclude",
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

/* --- what is kept as it was written --------------------------------------------- */

static struct slice
tag_text(struct level *l)
{
	return xmlin_raw(&l->x, xmlin_tag(&l->x), xmlin_here(&l->x));
}

static void
keep_extra(struct level *l, enum model_place place, uint32_t owner, struct slice name,
	   struct slice raw)
{
	if (model_add_extra(&l->st->user, place, owner, name.s, name.len, raw.s, raw.len,
			    l->st->fault) < 0)
		xmlin_stop(&l->x);
}

static void
keep_attributes(struct level *l, enum model_place place, uint32_t owner, enum word known,
		enum word known_too)
{
	struct slice tag = tag_text(l), name, all;
	size_t at = 0;

	while (!l->x.stopped && xmlin_next_raw(tag, &at, &name, &all))
		if (!slice_is(name, "xmlns") && !slice_is(name, words[known]) &&
		    !slice_is(name, words[known_too]))
			keep_extra(l, place, owner, name, all);
}

static void
skip_kept(struct level *l, enum model_place place, uint32_t owner, const xmlChar *name,
	  const xmlChar *uri)
{
	l->skip_depth = l->x.depth;
	if (!l->st->have_user || owner == MODEL_NONE)
		return;
	l->raw_place = place;
	l->raw_owner = owner;
	l->raw_at = xmlin_tag(&l->x);
	if (uri && uri != l->word[W_PIE] && uri != l->word[W_DRAFT])
		snprintf(l->raw_name, sizeof l->raw_name, "%s (%s)", (const char *)name,
			 (const char *)uri);
	else
		snprintf(l->raw_name, sizeof l->raw_name, "%s", (const char *)name);
	if (l->user_at == XMLIN_NOTHING)
		xmlin_keep(&l->x, l->raw_at);
}

static void
end_kept(struct level *l)
{
	struct slice raw = xmlin_raw(&l->x, l->raw_at, xmlin_here(&l->x));

	if (raw.len)
		keep_extra(l, l->raw_place, l->raw_owner,
			   (struct slice){l->raw_name, strlen(l->raw_name)}, raw);
	l->raw_at = XMLIN_NOTHING;
	xmlin_keep(&l->x, l->user_at);
}

/* --- users and their rosters ------------------------------------------------------ */

static void
begin_host(struct level *l, int n, const xmlChar **attributes)
{
	struct slice jid = xmlin_attribute(l->word[W_JID], n, attributes);
	struct buf *host = &l->st->host;

	if (jid.len == 0 || jid.len > 500 || memchr(jid.s, '@', jid.len)) {
		xmlin_refuse(&l->x, "a host without jid, or with one that is none");
		return;
	}
	buf_clear(host);
	buf_add(host, jid.s, jid.len);
	buf_add(host, "", 1);
}

static void
begin_user(struct level *l, int n, int n_own, const xmlChar **attributes)
{
	struct slice name = xmlin_attribute(l->word[W_NAME], n, attributes);
	struct state *st = l->st;
	struct buf *address = &st->scratch;

	buf_clear(address);
	jid_to_local(address, name.s, name.len);
	buf_puts(address, "@");
	buf_add(address, st->host.p, st->host.len ? st->host.len - 1 : 0);
	if (address->failed || st->host.failed) {
		fault_memory(st->fault);
		xmlin_stop(&l->x);
		return;
	}
	if (name.len == 0 || !text_is_address(address->p, address->len) ||
	    address->len + 4 > TEXT_ADDRESS_MAX) {
		st->stats->nameless_users++;
		l->skip_depth = l->x.depth;
		return;
	}
	st->have_user = true;
	st->n_numbers = 1;
	l->user_depth = l->x.depth;
	if (st->reader->native) {
		l->user_at = xmlin_tag(&l->x);
		xmlin_keep(&l->x, l->user_at);
	}
	if (model_begin(&st->user, address->p, address->len, st->fault) < 0)
		xmlin_stop(&l->x);
	st->user.family = FAMILY_XMPP;
	if (n_own > 1)
		keep_attributes(l, PLACE_USER, 0, W_NAME, W_NAME);
}

static void
begin_item(struct level *l, int n, int n_own, const xmlChar **attributes)
{
	struct slice jid = xmlin_attribute(l->word[W_JID], n, attributes);
	struct slice name = xmlin_attribute(l->word[W_NAME], n, attributes);
	struct slice sub = xmlin_attribute(l->word[W_SUBSCRIPTION], n, attributes);
	struct slice ask = xmlin_attribute(l->word[W_ASK], n, attributes);
	struct state *st = l->st;
	struct model_user *u = &st->user;
	uint32_t buddy;

	if (jid.len == 0) {
		xmlin_refuse(&l->x, "an item without jid");
		return;
	}
	buf_clear(&st->scratch);
	jid_to_address(&st->scratch, jid.s, jid.len);
	buddy = model_add_text(u, st->scratch.p, st->scratch.failed ? 0 : st->scratch.len);
	if (model_add_contact(u, buddy, model_add_text(u, name.s, name.len),
			      model_add_text(u, "", 0), st->fault) < 0) {
		xmlin_stop(&l->x);
		return;
	}
	st->in_item = true;
	buf_clear(&st->groups);
	if (u->last_contact == MODEL_NONE)
		return;
	u->contacts[u->last_contact].unwatched =
		!slice_is(sub, "both") && !slice_is(sub, "to") && !slice_is(ask, "subscribe");
	if (n_own > 1)
		keep_attributes(l, PLACE_CONTACT, u->last_contact, W_JID, W_NAME);
}

/* The number of the group of that name; "~" has the first, as in Lync. */
static const char *
group_number(struct level *l, const char *name)
{
	struct model_user *u = &l->st->user;
	uint32_t number_at;
	char number[16];

	for (uint32_t i = 0; i < u->n_groups; i++)
		if (!strcmp(model_text(u, u->groups[i].name), name))
			return model_text(u, u->groups[i].number);
	snprintf(number, sizeof number, "%u",
		 strcmp(name, MODEL_OTHER) ? ++l->st->n_numbers : 1u);
	number_at = model_add_text(u, number, strlen(number));
	l->st->stats->groups++;
	if (model_add_group(u, number_at, model_add_text(u, name, strlen(name)),
			    model_add_text(u, "", 0), l->st->fault) < 0) {
		xmlin_stop(&l->x);
		return "";
	}
	return model_text(u, number_at);
}

static void
end_group(struct level *l)
{
	struct state *st = l->st;
	const char *number;

	buf_add(&st->group, "", 1);
	if (st->group.failed || st->group.len == 1 || st->user.last_contact == MODEL_NONE)
		return;
	number = group_number(l, st->group.p);
	buf_puts(&st->groups, st->groups.len ? " " : "");
	buf_puts(&st->groups, number);
}

static void
end_item(struct level *l)
{
	struct state *st = l->st;
	struct model_user *u = &st->user;
	uint32_t groups = MODEL_NONE;

	st->in_item = false;
	if (!st->groups.failed)
		groups = model_add_text(u, st->groups.len ? st->groups.p : "", st->groups.len);
	if (groups == MODEL_NONE) {
		fault_set(st->fault, RESITE_ERR_REFUSED, "user '%s' has too many groups",
			  model_text(u, u->name));
		xmlin_stop(&l->x);
	} else if (u->last_contact != MODEL_NONE) {
		u->contacts[u->last_contact].groups = groups;
	}
}

/* A document of this user alone. */
static void
make_native(struct level *l)
{
	struct slice own = xmlin_raw(&l->x, l->user_at, xmlin_here(&l->x));
	struct buf *b = &l->st->native;

	buf_clear(b);
	buf_puts(b, "<server-data xmlns=\"" XEP0227_NAMESPACE "\"");
	for (size_t at = 0; at < l->st->prefixes.len;
	     at += strlen(l->st->prefixes.p + at) + 1) {
		buf_puts(b, " ");
		buf_puts(b, l->st->prefixes.p + at);
	}
	buf_puts(b, "><host jid=\"");
	text_escape(b, l->st->host.p);
	buf_puts(b, "\">");
	buf_add(b, own.s, own.len);
	buf_puts(b, "</host></server-data>");
	l->st->user.native = b->p;
	l->st->user.native_len = b->len;
	l->user_at = XMLIN_NOTHING;
	xmlin_keep(&l->x, XMLIN_NOTHING);
}

static void
finish_user(struct level *l)
{
	struct state *st = l->st;
	struct model_user *u = &st->user;

	st->have_user = false;
	l->user_depth = 0;
	st->stats->users++;
	st->stats->users_without_contacts += u->n_contacts == 0;
	st->stats->contacts += u->n_contacts;
	st->stats->self_contacts += u->self_contacts;
	st->stats->duplicates += u->duplicates;
	if (l->user_at != XMLIN_NOTHING)
		make_native(l);
	if (st->native.failed || st->prefixes.failed || st->group.failed || st->groups.failed)
		fault_memory(st->fault);
	else if (prefixes_put(&st->prefixes, u, st->fault) == RESITE_OK && model_finish(u, st->fault) == RESITE_OK &&
		 st->reader->user(st->reader->arg, u, st->fault) == RESITE_OK)
		return;
	xmlin_stop(&l->x);
}

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
		begin_host(l, n, attributes);
		if (n_own > n)
			prefixes_add(&l->st->prefixes, tag_text(l));
		return P_HOST;
	}
	if (in == P_HOST && name == l->word[W_USER]) {
		begin_user(l, n, n_own, attributes);
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
			keep_attributes(l, PLACE_CONTACTS, 0, W_QUERY, W_QUERY);
		return P_ROSTER;
	}
	if (in == P_ROSTER && roster && name == l->word[W_ITEM]) {
		begin_item(l, n, n_own, attributes);
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
		skip_kept(l, PLACE_SECTION, 0, name, uri);
	} else if (in == P_ROSTER) {
		skip_kept(l, PLACE_IN_CONTACTS, 0, name, uri);
	} else if (in == P_ITEM) {
		skip_kept(l, PLACE_IN_CONTACT, l->st->user.last_contact, name, uri);
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
	prefixes_add(&l->st->prefixes, tag_text(l));
	if (name == l->word[W_HOST])
		begin_host(l, n, attributes);
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
			end_kept(l);
		return;
	}
	if (l->stack[at] == P_GROUP)
		end_group(l);
	else if (l->stack[at] == P_ITEM)
		end_item(l);
	else if (l->st->have_user && l->x.depth == l->user_depth)
		finish_user(l);
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
		l->word[i] = xmlin_word(&l->x, words[i]);
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
