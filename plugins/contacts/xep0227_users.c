/* Users of an XMPP export and their rosters, into the model. */
#include "plugins/contacts/xep0227_level.h"

#include "plugins/contacts/jid.h"
#include "plugins/contacts/prefixes.h"
#include "plugins/contacts/text.h"

#include <stdio.h>
#include <string.h>

const char *const xep0227_words[N_WORDS] = {
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

/* --- what is kept as it was written --------------------------------------------- */

struct slice
xep0227_tag(struct level *l)
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

void
xep0227_keep_attributes(struct level *l, enum model_place place, uint32_t owner, enum word known,
		enum word known_too)
{
	struct slice tag = xep0227_tag(l), name, all;
	size_t at = 0;

	while (!l->x.stopped && xmlin_next_raw(tag, &at, &name, &all))
		if (!slice_is(name, "xmlns") && !slice_is(name, xep0227_words[known]) &&
		    !slice_is(name, xep0227_words[known_too]))
			keep_extra(l, place, owner, name, all);
}

void
xep0227_skip_kept(struct level *l, enum model_place place, uint32_t owner, const xmlChar *name,
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

void
xep0227_end_kept(struct level *l)
{
	struct slice raw = xmlin_raw(&l->x, l->raw_at, xmlin_here(&l->x));

	if (raw.len)
		keep_extra(l, l->raw_place, l->raw_owner,
			   (struct slice){l->raw_name, strlen(l->raw_name)}, raw);
	l->raw_at = XMLIN_NOTHING;
	xmlin_keep(&l->x, l->user_at);
}

/* --- users and their rosters ------------------------------------------------------ */

void
xep0227_begin_host(struct level *l, int n, const xmlChar **attributes)
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

void
xep0227_begin_user(struct level *l, int n, int n_own, const xmlChar **attributes)
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
		xep0227_keep_attributes(l, PLACE_USER, 0, W_NAME, W_NAME);
}

void
xep0227_begin_item(struct level *l, int n, int n_own, const xmlChar **attributes)
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
		xep0227_keep_attributes(l, PLACE_CONTACT, u->last_contact, W_JID, W_NAME);
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

void
xep0227_end_group(struct level *l)
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

void
xep0227_end_item(struct level *l)
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

void
xep0227_end_user(struct level *l)
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
