#include "plugins/contacts/losses.h"

#include "plugins/contacts/xep0227.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
note(struct losses *l, const char *name, bool section)
{
	struct loss *at = l->of;

	while (at < l->of + l->n &&
	       (at->section != section || strncmp(at->name, name, sizeof at->name - 1)))
		at++;
	if (at == l->of + LOSSES_MAX) {
		l->others++;
		return;
	}
	if (at == l->of + l->n) {
		snprintf(at->name, sizeof at->name, "%s", name);
		at->section = section;
		l->n++;
	}
	at->users += at->last != l->users;
	at->last = l->users;
}

/* Names of what is kept, and where it says something that the model has, too. */
static void
note_extras(struct losses *l, const struct model_user *u)
{
	for (uint32_t i = 0; i < u->n_extras; i++) {
		const char *name = model_text(u, u->extras[i].name);

		if (!strncmp(name, "xmlns", 5) ||
		    (u->family == FAMILY_XMPP && (!strcmp(name, "subscription") ||
						  !strcmp(name, "version"))))
			continue;
		note(l, name, true);
	}
}

static void
note_groups(struct losses *l, const struct model_user *u, const struct format *to)
{
	for (uint32_t i = 0; i < u->n_groups; i++) {
		const struct model_group *g = &u->groups[i];
		const char *name = model_text(u, g->name);

		if (to->no_definitions && *model_text(u, g->external))
			note(l, "distribution groups, whose members come from the directory", false);
		else if (to->no_empty_groups && g->first == MODEL_NONE && strcmp(name, MODEL_OTHER))
			note(l, "groups without contacts", false);
		else if (to->no_empty_groups && !*name)
			note(l, "groups without a name", false);
	}
}

static void
note_contacts(struct losses *l, const struct model_user *u, const struct format *to)
{
	for (uint32_t i = 0; i < u->n_contacts; i++) {
		if (to->no_watching && u->contacts[i].unwatched)
			note(l, "contacts whose presence they do not watch", false);
		if (to->no_phones && !xep0227_has_jid(model_text(u, u->contacts[i].buddy)))
			note(l, "contacts who have no address of XMPP, such as tel: numbers", false);
	}
	for (uint32_t m = 0; to->no_other && m + 1 < u->n_members; m++)
		if (u->members[m].contact == u->members[m + 1].contact &&
		    (!strcmp(model_text(u, u->groups[u->members[m].group].name), MODEL_OTHER) ||
		     !strcmp(model_text(u, u->groups[u->members[m + 1].group].name), MODEL_OTHER)))
			note(l, "contacts both in Other Contacts and in a group", false);
}

void
losses_note(struct losses *l, const struct model_user *u, const struct format *to)
{
	l->users++;
	if (u->family != to->family)
		note_extras(l, u);
	/* A document that goes out as it came in loses nothing. */
	if (to->family == FAMILY_LISTS && u->family == FAMILY_LISTS)
		return;
	note_groups(l, u, to);
	note_contacts(l, u, to);
}

static int
by_users(const void *a, const void *b)
{
	const struct loss *x = a, *y = b;

	return (x->users < y->users) - (x->users > y->users);
}

void
losses_tell(struct losses *l, const struct format *to, void (*say)(void *arg, const char *sentence),
	    void *arg)
{
	char text[400];

	qsort(l->of, l->n, sizeof *l->of, by_users);
	for (size_t i = 0; i < l->n; i++) {
		const char *users = l->of[i].users == 1 ? "user has" : "users have";

		if (l->of[i].section)
			snprintf(text, sizeof text,
				 "%" PRIu64 " %s sections `%s` that %s has no place for",
				 l->of[i].users, users, l->of[i].name, to->name);
		else
			snprintf(text, sizeof text, "%" PRIu64 " %s %s: %s has no place for that",
				 l->of[i].users, users, l->of[i].name, to->name);
		say(arg, text);
	}
	if (l->others == 0)
		return;
	snprintf(text, sizeof text, "more than %d kinds of sections have no place in %s", LOSSES_MAX,
		 to->name);
	say(arg, text);
}
