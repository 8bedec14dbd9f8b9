#include "plugins/contacts/lync.h"

#include "plugins/contacts/prefixes.h"
#include "plugins/contacts/text.h"
#include "plugins/contacts/xmlin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum word {
	W_RESOURCES, W_RESOURCE, W_GROUPS, W_GROUP, W_CONTACTS, W_CONTACT,
	W_SET, W_ITEM, W_DATA,
	W_USER, W_NUMBER, W_DISPLAY, W_EXTERNAL, W_BUDDY, W_MEMBER_OF, W_SUBSCRIBE, W_NAME,
	W_NAMESPACE,
	N_WORDS
};

static const char *const words[N_WORDS] = {
	[W_RESOURCES] = "HomedResources",
	[W_RESOURCE] = "HomedResource",
	[W_GROUPS] = "ContactGroups",
	[W_GROUP] = "ContactGroup",
	[W_CONTACTS] = "Contacts",
	[W_CONTACT] = "Contact",
	[W_SET] = "DocItemSet",
	[W_ITEM] = "DocItem",
	[W_DATA] = "Data",
	[W_USER] = "UserAtHost",
	[W_NUMBER] = "Number",
	[W_DISPLAY] = "DisplayName",
	[W_EXTERNAL] = "ExternalUri",
	[W_BUDDY] = "Buddy",
	[W_MEMBER_OF] = "Groups",
	[W_SUBSCRIBE] = "SubscribePresence",
	[W_NAME] = "Name",
	[W_NAMESPACE] = LYNC_NAMESPACE,
};

enum place { P_TOP, P_RESOURCES, P_SET, P_ITEM, P_DATA, P_RESOURCE, P_GROUPS, P_CONTACTS, P_LEAF };

/* How a file's outermost elements go around a user's. */
#define USER_TAIL "</HomedResources>"
#define ITEM_TAIL "</DocItemSet>"

struct state {
	struct xmlin x;
	const struct reader *reader;
	struct read_stats *stats;
	struct fault *fault;
	const xmlChar *word[N_WORDS];
	enum place stack[8];     /* where the open elements are */
	int skip_depth;          /* depth of the element whose inside is skipped, or 0 */
	int user_depth;          /* of the element that is a user: HomedResource or DocItem */
	bool sniffing;
	bool items;              /* DocItemSet: any namespace, users are named by their items */
	bool have_user;          /* a user is being filled */
	bool had_resource;       /* and her HomedResource was seen */
	enum names names;
	uint64_t user_at;        /* where her element begins */
	uint64_t raw_at;         /* of what is skipped; XMLIN_NOTHING: it is not kept */
	enum model_place raw_place;
	uint32_t raw_owner;
	const xmlChar *raw_name;
	struct buf scratch;      /* a decoded name */
	struct buf head;         /* the root's tag */
	struct buf prefixes;       /* and the prefixes that it defines */
	struct buf native;
	struct model_user user;
};

/* --- names ------------------------------------------------------------------- */

/* "Team" is base64 too, so a name that decodes proves nothing, but: "~" is the one group
 * that each user has, "fg==" is its base64; and what does not decode is plain. */
static enum names
proof(struct state *st, struct slice v)
{
	size_t len;
	char *out;

	if (v.len == 0)
		return NAMES_UNKNOWN;
	if (slice_is(v, "fg=="))
		return NAMES_BASE64;
	buf_clear(&st->scratch);
	out = buf_room(&st->scratch, v.len);
	return out && !text_from_base64(v.s, v.len, out, &len) ? NAMES_PLAIN : NAMES_UNKNOWN;
}

static void
sniff(struct state *st, struct slice v)
{
	st->names = proof(st, v);
	if (st->names != NAMES_UNKNOWN)
		xmlin_stop(&st->x);
}

/* Adds a text that is base64 in files of that kind. */
static uint32_t
add_name(struct state *st, struct slice v)
{
	size_t len;
	char *out;

	if (st->names != NAMES_BASE64 || v.len == 0)
		return model_add_text(&st->user, v.s, v.len);
	buf_clear(&st->scratch);
	out = buf_room(&st->scratch, v.len);
	if (!out)
		return MODEL_NONE;
	if (text_from_base64(v.s, v.len, out, &len))
		return model_add_text(&st->user, out, len);
	st->stats->odd_names++;
	return model_add_text(&st->user, v.s, v.len);
}

/* --- what is kept as it was written --------------------------------------------- */

static void
keep_extra(struct state *st, enum model_place place, uint32_t owner, struct slice name,
	   struct slice raw)
{
	if (model_add_extra(&st->user, place, owner, name.s, name.len, raw.s, raw.len,
			    st->fault) < 0)
		xmlin_stop(&st->x);
}

/* Keeps the attributes of this tag that are not among the words from first to last. */
static void
keep_attributes(struct state *st, enum model_place place, uint32_t owner, const enum word *known,
		size_t n_known)
{
	struct slice tag = xmlin_raw(&st->x, xmlin_tag(&st->x), xmlin_here(&st->x)), name, all;
	size_t at = 0;

	while (!st->x.stopped && xmlin_next_raw(tag, &at, &name, &all)) {
		bool ours = slice_is(name, "xmlns");

		for (size_t i = 0; !ours && i < n_known; i++)
			ours = slice_is(name, words[known[i]]);
		if (!ours)
			keep_extra(st, place, owner, name, all);
	}
}

/* What this element holds is not looked into; it is kept when it belongs to a user. */
static void
skip_kept(struct state *st, enum model_place place, uint32_t owner, const xmlChar *name)
{
	st->skip_depth = st->x.depth;
	if (st->sniffing || !st->have_user)
		return;
	st->raw_place = place;
	st->raw_owner = owner;
	st->raw_name = name;
	st->raw_at = xmlin_tag(&st->x);
	if (st->user_at == XMLIN_NOTHING)
		xmlin_keep(&st->x, st->raw_at);
}

static void
end_kept(struct state *st, uint64_t to)
{
	struct slice raw = xmlin_raw(&st->x, st->raw_at, to);

	if (raw.len)
		keep_extra(st, st->raw_place, st->raw_owner,
			   (struct slice){(const char *)st->raw_name,
					  strlen((const char *)st->raw_name)}, raw);
	st->raw_at = XMLIN_NOTHING;
	xmlin_keep(&st->x, st->user_at);
}

/* --- elements ---------------------------------------------------------------- */

static void
begin_user(struct state *st, struct slice name)
{
	if (st->sniffing)
		return;
	/* 4: room for "sip:". */
	if (!text_is_address(name.s, name.len) || name.len + 4 > TEXT_ADDRESS_MAX) {
		st->stats->nameless_users++;
		st->skip_depth = st->x.depth;
		return;
	}
	st->have_user = true;
	st->had_resource = !st->items;
	st->user_depth = st->x.depth;
	if (st->reader->native) {
		st->user_at = xmlin_tag(&st->x);
		xmlin_keep(&st->x, st->user_at);
	}
	if (model_begin(&st->user, name.s, name.len, st->fault) < 0)
		xmlin_stop(&st->x);
	st->user.family = FAMILY_LYNC;
}

static void
begin_item(struct state *st, int n, const xmlChar **attributes)
{
	struct slice name = xmlin_attribute(st->word[W_NAME], n, attributes);
	size_t skip = strlen(LYNC_ITEM);

	if (name.len > skip && !strncasecmp(name.s, LYNC_ITEM, skip)) {
		begin_user(st, (struct slice){name.s + skip, name.len - skip});
		return;
	}
	st->stats->not_users += !st->sniffing;
	st->skip_depth = st->x.depth;
}

/* HomedResource inside of an item. */
static void
begin_resource(struct state *st, int n_own)
{
	static const enum word known[] = {W_USER};

	if (st->sniffing || !st->have_user)
		return;
	if (n_own > 0)
		keep_attributes(st, PLACE_USER, 0, known, 1);
	st->had_resource = true;
}

static void
add_group(struct state *st, int n, int n_own, const xmlChar **attributes)
{
	static const enum word known[] = {W_NUMBER, W_DISPLAY, W_EXTERNAL};
	struct slice number = xmlin_attribute(st->word[W_NUMBER], n, attributes);
	struct slice name = xmlin_attribute(st->word[W_DISPLAY], n, attributes);
	struct slice external = xmlin_attribute(st->word[W_EXTERNAL], n, attributes);
	uint32_t number_at;

	if (st->sniffing) {
		sniff(st, name);
		return;
	}
	st->stats->groups++;
	st->stats->distribution_groups += external.len > 0;
	number_at = model_add_text(&st->user, number.s, number.len);
	if (model_add_group(&st->user, number_at, add_name(st, name), add_name(st, external),
			    st->fault) < 0)
		xmlin_stop(&st->x);
	else if (n_own > 3)
		keep_attributes(st, PLACE_GROUP, st->user.n_groups - 1, known, 3);
}

static void
add_contact(struct state *st, int n, int n_own, const xmlChar **attributes)
{
	static const enum word known[] = {W_BUDDY, W_SUBSCRIBE, W_MEMBER_OF, W_DISPLAY};
	struct slice buddy = xmlin_attribute(st->word[W_BUDDY], n, attributes);
	struct slice groups = xmlin_attribute(st->word[W_MEMBER_OF], n, attributes);
	struct slice name = xmlin_attribute(st->word[W_DISPLAY], n, attributes);
	struct slice watch = xmlin_attribute(st->word[W_SUBSCRIBE], n, attributes);
	uint32_t buddy_at, groups_at;

	if (st->sniffing) {
		sniff(st, name);
		return;
	}
	if (buddy.len == 0) {
		xmlin_refuse(&st->x, "a Contact without Buddy");
		return;
	}
	buddy_at = model_add_text(&st->user, buddy.s, buddy.len);
	groups_at = model_add_text(&st->user, groups.s, groups.len);
	if (model_add_contact(&st->user, buddy_at, add_name(st, name), groups_at,
			      st->fault) < 0) {
		xmlin_stop(&st->x);
		return;
	}
	if (st->user.last_contact == MODEL_NONE)
		return;
	st->user.contacts[st->user.last_contact].unwatched = slice_is(watch, "0") ||
							     slice_is(watch, "false");
	if (n_own > 3)
		keep_attributes(st, PLACE_CONTACT, st->user.last_contact, known, 4);
}

/* An element that is none of ours. */
static enum place
skip(struct state *st, enum place in, const xmlChar *name)
{
	if (in == P_RESOURCE && !st->sniffing)
		st->stats->other_sections++;
	if (in == P_RESOURCE || in == P_GROUPS || in == P_CONTACTS)
		skip_kept(st, in == P_GROUPS ? PLACE_IN_GROUPS
			      : in == P_CONTACTS ? PLACE_IN_CONTACTS : PLACE_SECTION, 0, name);
	st->skip_depth = st->x.depth;
	return P_LEAF;
}

static enum place
container(struct state *st, enum model_place place, enum place is, int n_own)
{
	if (n_own > 0 && st->have_user && !st->sniffing)
		keep_attributes(st, place, 0, NULL, 0);
	return is;
}

static enum place
enter(struct state *st, enum place in, const xmlChar *name, int n, int n_own,
      const xmlChar **attributes)
{
	if (in == P_RESOURCES && name == st->word[W_RESOURCE]) {
		begin_user(st, xmlin_attribute(st->word[W_USER], n, attributes));
		if (st->have_user && n_own > 1)
			begin_resource(st, n_own);
		return P_RESOURCE;
	}
	if (in == P_SET && name == st->word[W_ITEM]) {
		begin_item(st, n, attributes);
		return P_ITEM;
	}
	if (in == P_ITEM && name == st->word[W_DATA])
		return P_DATA;
	if (in == P_DATA && name == st->word[W_RESOURCE]) {
		begin_resource(st, n_own);
		return P_RESOURCE;
	}
	if (in == P_RESOURCE && name == st->word[W_GROUPS])
		return container(st, PLACE_GROUPS, P_GROUPS, n_own);
	if (in == P_RESOURCE && name == st->word[W_CONTACTS])
		return container(st, PLACE_CONTACTS, P_CONTACTS, n_own);
	if (in == P_GROUPS && name == st->word[W_GROUP])
		add_group(st, n, n_own, attributes);
	else if (in == P_CONTACTS && name == st->word[W_CONTACT])
		add_contact(st, n, n_own, attributes);
	else
		return skip(st, in, name);
	return P_LEAF;
}

/* Inside of a contact or a group: nothing known has anything there. */
static void
enter_leaf(struct state *st, const xmlChar *name)
{
	bool group = st->stack[st->x.depth - 3] == P_GROUPS;
	uint32_t owner = group ? st->user.n_groups - 1 : st->user.last_contact;

	if (st->sniffing || !st->have_user || owner == MODEL_NONE) {
		st->skip_depth = st->x.depth;
		return;
	}
	skip_kept(st, group ? PLACE_IN_GROUP : PLACE_IN_CONTACT, owner, name);
}

/* --- the root ------------------------------------------------------------------- */

static enum place
enter_root(struct state *st, const xmlChar *name, const xmlChar *uri)
{
	struct slice tag;

	st->items = name == st->word[W_SET];
	if (!st->items && (name != st->word[W_RESOURCES] || uri != st->word[W_NAMESPACE])) {
		xmlin_refuse(&st->x, "this is no dbimpexp export of Lync 2010: its root is "
			     "'%.100s' in namespace '%.200s', not HomedResources in " LYNC_NAMESPACE,
			     (const char *)name, uri ? (const char *)uri : "");
		return P_TOP;
	}
	tag = xmlin_raw(&st->x, xmlin_tag(&st->x), xmlin_here(&st->x));
	buf_add(&st->head, tag.s, tag.len);
	buf_puts(&st->head, ">");
	prefixes_add(&st->prefixes, tag);
	return st->items ? P_SET : P_RESOURCES;
}

static void
on_start(void *arg, const xmlChar *name, const xmlChar *uri, int n, int n_own,
	 const xmlChar **attributes)
{
	struct state *st = arg;
	int depth = st->x.depth;
	enum place in = depth > 1 && depth < 9 ? st->stack[depth - 2] : P_TOP, is;

	if (st->skip_depth)
		return;
	if (depth == 1)
		is = enter_root(st, name, uri);
	else if (in == P_LEAF) {
		enter_leaf(st, name);
		return;
	} else if (st->items || uri == st->word[W_NAMESPACE])
		is = enter(st, in, name, n, n_own, attributes);
	else
		is = skip(st, in, name);
	st->stack[depth - 1] = is;
}

/* --- the end of a user ------------------------------------------------------------ */

static void
make_native(struct state *st)
{
	struct slice own = xmlin_raw(&st->x, st->user_at, xmlin_here(&st->x));

	buf_clear(&st->native);
	buf_add(&st->native, st->head.p, st->head.len);
	buf_add(&st->native, own.s, own.len);
	buf_puts(&st->native, st->items ? ITEM_TAIL : USER_TAIL);
	st->user.native = st->native.p;
	st->user.native_len = st->native.len;
	st->user_at = XMLIN_NOTHING;
	xmlin_keep(&st->x, XMLIN_NOTHING);
}

static void
finish_user(struct state *st)
{
	struct model_user *u = &st->user;

	st->have_user = false;
	if (!st->had_resource) {
		st->stats->not_users++;
		st->user_at = XMLIN_NOTHING;
		xmlin_keep(&st->x, XMLIN_NOTHING);
		return;
	}
	st->stats->users++;
	st->stats->users_without_contacts += u->n_contacts == 0;
	st->stats->contacts += u->n_contacts;
	st->stats->self_contacts += u->self_contacts;
	st->stats->duplicates += u->duplicates;
	if (st->user_at != XMLIN_NOTHING)
		make_native(st);
	if (st->native.failed || st->prefixes.failed)
		fault_memory(st->fault);
	else if (prefixes_put(&st->prefixes, u, st->fault) == RESITE_OK && model_finish(u, st->fault) == RESITE_OK &&
		 st->reader->user(st->reader->arg, u, st->fault) == RESITE_OK)
		return;
	xmlin_stop(&st->x);
}

static void
on_end(void *arg)
{
	struct state *st = arg;

	if (st->skip_depth == st->x.depth) {
		st->skip_depth = 0;
		if (st->raw_at != XMLIN_NOTHING)
			end_kept(st, xmlin_here(&st->x));
	}
	if (!st->x.stopped && st->have_user && st->x.depth == st->user_depth)
		finish_user(st);
}

/* --- the input ---------------------------------------------------------------- */

/* Between the input and the parser: counts and hands on what is read. */
struct counted {
	const struct input *in;
	struct state *st;
};

static int
read_counted(void *arg, void *buf, size_t cap, size_t *ret_len, struct fault *f)
{
	struct counted *c = arg;
	const struct reader *r = c->st->reader;
	int rc = c->in->bytes.read(c->in->bytes.arg, buf, cap, ret_len, f);

	if (rc < 0 || c->st->sniffing)
		return rc;
	c->st->stats->bytes += *ret_len;
	return r->piece && *ret_len ? r->piece(r->arg, buf, *ret_len, f) : RESITE_OK;
}

static int
pass(struct state *st, const struct input *in)
{
	static const struct xmlin_calls calls = {.start = on_start, .end = on_end};
	struct counted counted = {in, st};
	const struct bytes bytes = {read_counted, &counted};
	int rc;

	st->x = (struct xmlin){.calls = &calls, .arg = st};
	st->skip_depth = 0;
	st->have_user = false;
	st->user_at = st->raw_at = XMLIN_NOTHING;
	buf_clear(&st->head);
	buf_clear(&st->prefixes);
	if (in->rewind(in->bytes.arg, st->fault) < 0)
		return st->fault->rc;
	rc = xmlin_open(&st->x, st->fault);
	for (int i = 0; rc == RESITE_OK && i < N_WORDS; i++)
		st->word[i] = xmlin_word(&st->x, words[i]);
	if (rc == RESITE_OK)
		rc = xmlin_run(&st->x, &bytes);
	xmlin_close(&st->x);
	return rc;
}

/* First how names are written, mostly decided by the first user; then the users. */
static int
two_passes(struct state *st, const struct input *in)
{
	st->names = st->reader->names;
	st->sniffing = st->names == NAMES_UNKNOWN;
	if (st->sniffing && pass(st, in) < 0)
		return st->fault->rc;
	/* All names decode, and none is "fg==": then they are what the format says. */
	if (st->names == NAMES_UNKNOWN)
		st->names = NAMES_BASE64;
	st->stats->names = st->names;
	st->sniffing = false;
	return pass(st, in);
}

int
lync_read(const struct input *in, const struct reader *reader, struct read_stats *ret,
	  struct fault *f)
{
	struct state *st = calloc(1, sizeof *st);
	struct read_stats stats = {0};
	int rc;

	if (!st)
		return fault_memory(f);
	st->reader = reader;
	st->stats = &stats;
	st->fault = f;
	rc = two_passes(st, in);
	model_release(&st->user);
	buf_release(&st->scratch);
	buf_release(&st->head);
	buf_release(&st->prefixes);
	buf_release(&st->native);
	free(st);
	if (rc == RESITE_OK)
		*ret = stats;
	return rc;
}

int
dbimpexp_read(const char *path, const struct reader *reader, struct read_stats *ret,
	      struct fault *f)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
	const struct input in = input_of_fd(&fd);

	if (fd < 0)
		rc = fault_set(f, RESITE_ERR_REFUSED, "%s", strerror(errno));
	else
		rc = lync_read(&in, reader, ret, f);
	if (rc < 0)
		fault_prefix(f, "%s", path);
	if (fd >= 0)
		close(fd);
	return rc;
}
