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
#define MODEL_MAX_TEXT (4u << 20)

#define MODEL_NONE UINT32_MAX
/* The group of those who are in no group; each client shows its own words for it. */
#define MODEL_OTHER "~"

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
};

struct model_member {
	uint32_t contact; /* index */
	uint32_t next;    /* member of the same group, or MODEL_NONE */
};

struct model_user {
	uint32_t name; /* text: alice@contoso.com, without "sip:" */
	struct buf text;
	struct model_group *groups;
	struct model_contact *contacts;
	struct model_member *members;
	uint32_t n_groups, n_contacts, n_members;
	uint32_t cap_groups, cap_contacts, cap_members;
	uint32_t buckets[256]; /* contacts by lower-case buddy */
	uint32_t self_contacts; /* left out: a user is not her own contact */
	uint32_t duplicates;    /* left out: the same buddy again */
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
/* A buddy that is there already gets the further groups; buddies compare without case. */
int model_add_contact(struct model_user *u, uint32_t buddy, uint32_t name, uint32_t groups,
		      struct fault *f);
/* All is added: puts the contacts into their groups.  A contact in no group goes to "~" (made
 * when there is none), one in a group that does not exist to the first group. */
int model_finish(struct model_user *u, struct fault *f);
void model_release(struct model_user *u);

#endif
