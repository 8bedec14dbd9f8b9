/* One user's contact list: groups and the contacts in them.
 *
 * Filled by a reader, user by user; the memory is kept from one user to the next, so
 * that reading a file of any size needs the memory of its largest user.
 */
#ifndef CONTACTS_MODEL_H
#define CONTACTS_MODEL_H

#include "plugins/contacts/buf.h"
#include "plugins/contacts/fault.h"

#include <stdint.h>

/* Far above what Lync allows (1,000 contacts, 64 groups); they bound the memory. */
#define MODEL_MAX_GROUPS 1000
#define MODEL_MAX_CONTACTS 10000
#define MODEL_MAX_MEMBERS 50000
#define MODEL_MAX_EXTRAS 50000
#define MODEL_MAX_TEXT (4u << 20)

#define MODEL_NONE UINT32_MAX
/* The group of those who are in no group; each client shows its own words for it. */
#define MODEL_OTHER "~"

/* Whose element a user was read from: what only that family of formats knows can be written back
 * in it, and in no other. */
enum family { FAMILY_NONE, FAMILY_LYNC, FAMILY_XMPP, FAMILY_LISTS };

/* A text is its offset in user->text; model_text gives the string. */
struct model_group {
	uint32_t number;   /* text: its key within the user */
	uint32_t name;     /* text */
	uint32_t external; /* text: the definition of a distribution group, or "" */
	uint32_t first;    /* of its members, or MODEL_NONE */
	uint32_t last;
};

struct model_contact {
	uint32_t buddy;     /* text: the address, mostly without "sip:" */
	uint32_t name;      /* text */
	uint32_t groups;    /* text: numbers of groups with spaces between */
	uint32_t same_hash; /* next contact in its bucket */
	bool unwatched;     /* the user does not subscribe to her presence */
};

enum model_place {
	PLACE_USER,        /* attribute of the user's element; owner 0 */
	PLACE_GROUPS,      /* attribute of the element that holds the groups */
	PLACE_CONTACTS,    /* likewise, the contacts; XEP-0227: of the roster */
	PLACE_GROUP,       /* attribute of group owner */
	PLACE_CONTACT,     /* attribute of contact owner */
	PLACE_IN_GROUPS,   /* element among the groups */
	PLACE_IN_CONTACTS, /* element among the contacts */
	PLACE_IN_GROUP,    /* elements inside group owner */
	PLACE_IN_CONTACT,  /* elements inside contact owner */
	PLACE_SECTION,     /* element of the user */
};

/* What no other format has a word for, as it was written (in UTF-8). */
struct model_extra {
	enum model_place place;
	uint32_t owner; /* index of the group or contact */
	uint32_t name;  /* text: of the element or attribute */
	uint32_t raw;   /* text: <element>...</element>, or name="value"; "": known by name alone */
};

struct model_member {
	uint32_t contact; /* index; members are in the order of contacts */
	uint32_t group;   /* index */
	uint32_t next;    /* member of the same group, or MODEL_NONE */
};

struct model_user {
	uint32_t name; /* text: alice@contoso.com, without "sip:" */
	enum family family;
	struct buf text;
	struct model_group *groups;
	struct model_contact *contacts;
	struct model_member *members;
	struct model_extra *extras;
	uint32_t n_groups, n_contacts, n_members, n_extras;
	uint32_t cap_groups, cap_contacts, cap_members, cap_extras;
	uint32_t buckets[256]; /* contacts by lower-case buddy */
	uint32_t self_contacts; /* left out: a user is not her own contact */
	uint32_t duplicates;    /* left out: the same buddy again */
	uint32_t last_contact;  /* what the last model_add_contact made, or MODEL_NONE: left out */
	/* The user as a file of her own, in the format that she was read from; NULL: not asked
	 * for.  Belongs to the reader, and is gone with the call that hands the user out. */
	const char *native;
	size_t native_len;
};

static inline const char *
model_text(const struct model_user *u, uint32_t offset)
{
	return u->text.p + offset;
}

/* Begins the next user. */
int model_begin(struct model_user *u, const char *name, size_t len, struct fault *f);
/* Adds a text of len bytes; MODEL_NONE when there is no room. */
uint32_t model_add_text(struct model_user *u, const char *s, size_t len);
/* The texts were added with model_add_text; MODEL_NONE as one of them is a failure. */
int model_add_group(struct model_user *u, uint32_t number, uint32_t name, uint32_t external,
		    struct fault *f);
/* A buddy that is there already gets the further groups, and the name if she had none; buddies
 * compare without case, and with or without "sip:". */
int model_add_contact(struct model_user *u, uint32_t buddy, uint32_t name, uint32_t groups,
		      struct fault *f);
/* name and raw are copied. */
int model_add_extra(struct model_user *u, enum model_place place, uint32_t owner,
		    const char *name, size_t name_len, const char *raw, size_t raw_len,
		    struct fault *f);
/* The index of the group of that number, or MODEL_NONE. */
uint32_t model_find_group(const struct model_user *u, const char *number, size_t len);
/* An address without "sip:". */
const char *model_bare(const char *buddy);
/* All is added: puts the contacts into their groups.  A contact in no group goes to "~" (made
 * when there is none), one in a group that does not exist to the first group. */
int model_finish(struct model_user *u, struct fault *f);
void model_release(struct model_user *u);

#endif
