#include "plugins/contacts/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define N_BUCKETS (sizeof((struct model_user *)0)->buckets / sizeof(uint32_t))

static int
too_much(const struct model_user *u, struct fault *f)
{
	if (u->text.failed)
		return fault_memory(f);
	return fault_set(f, RESITE_ERR_REFUSED,
			 "user '%s' has more than %u groups, %u contacts or %u MiB of text",
			 model_text(u, u->name), MODEL_MAX_GROUPS, MODEL_MAX_CONTACTS,
			 MODEL_MAX_TEXT >> 20);
}

int
model_begin(struct model_user *u, const char *name, size_t len, struct fault *f)
{
	buf_clear(&u->text);
	u->n_groups = u->n_contacts = u->n_members = u->n_extras = 0;
	u->family = FAMILY_NONE;
	u->last_contact = MODEL_NONE;
	u->native = NULL;
	u->native_len = 0;
	u->self_contacts = u->duplicates = 0;
	memset(u->buckets, 0xff, sizeof u->buckets);
	while (len > 4 && !strncasecmp(name, "sip:", 4)) {
		name += 4;
		len -= 4;
	}
	u->name = model_add_text(u, name, len);
	return u->name == MODEL_NONE ? fault_memory(f) : RESITE_OK;
}

uint32_t
model_add_text(struct model_user *u, const char *s, size_t len)
{
	uint32_t at = (uint32_t)u->text.len;
	char *to;

	if (len >= MODEL_MAX_TEXT - u->text.len || !(to = buf_room(&u->text, len + 1)))
		return MODEL_NONE;
	memcpy(to, s, len);
	to[len] = '\0';
	u->text.len += len + 1;
	return at;
}

/* The items with room for one more, or NULL: then they are as before. */
static void *
grow(void *items, uint32_t *cap, uint32_t n, size_t size, uint32_t max)
{
	uint32_t want = *cap ? *cap * 2 : 64;
	void *grown;

	if (n >= max)
		return NULL;
	if (n < *cap)
		return items;
	grown = realloc(items, want * size);
	if (grown)
		*cap = want;
	return grown;
}

int
model_add_group(struct model_user *u, uint32_t number, uint32_t name, uint32_t external,
		struct fault *f)
{
	struct model_group *groups = grow(u->groups, &u->cap_groups, u->n_groups,
					  sizeof *groups, MODEL_MAX_GROUPS);

	if (number == MODEL_NONE || name == MODEL_NONE || external == MODEL_NONE || !groups)
		return too_much(u, f);
	u->groups = groups;
	u->groups[u->n_groups++] = (struct model_group){
		.number = number,
		.name = name,
		.external = external,
		.first = MODEL_NONE,
		.last = MODEL_NONE,
	};
	return RESITE_OK;
}

/* --- contacts ---------------------------------------------------------------- */

static uint32_t
bucket_of(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s; s++) {
		uint8_t c = (uint8_t)*s;

		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		h = (h ^ c) * 16777619u;
	}
	return h % N_BUCKETS;
}

static struct model_contact *
find_contact(const struct model_user *u, uint32_t bucket, const char *buddy)
{
	for (uint32_t i = u->buckets[bucket]; i != MODEL_NONE; i = u->contacts[i].same_hash)
		if (!strcasecmp(model_bare(model_text(u, u->contacts[i].buddy)), buddy))
			return &u->contacts[i];
	return NULL;
}

/* The same buddy a second time: she is in the groups of both. */
static int
merge(struct model_user *u, struct model_contact *c, uint32_t name, uint32_t groups,
      struct fault *f)
{
	size_t a = strlen(model_text(u, c->groups)), b = strlen(model_text(u, groups));
	uint32_t at = (uint32_t)u->text.len;
	char *to;

	u->duplicates++;
	if (a + b + 2 >= MODEL_MAX_TEXT - u->text.len || !(to = buf_room(&u->text, a + b + 2)))
		return too_much(u, f);
	memcpy(to, model_text(u, c->groups), a);
	to[a] = ' ';
	memcpy(to + a + 1, model_text(u, groups), b + 1);
	u->text.len += a + b + 2;
	c->groups = at;
	if (!*model_text(u, c->name))
		c->name = name;
	return RESITE_OK;
}

const char *
model_bare(const char *buddy)
{
	while (!strncasecmp(buddy, "sip:", 4))
		buddy += 4;
	return buddy;
}

int
model_add_contact(struct model_user *u, uint32_t buddy, uint32_t name, uint32_t groups,
		  struct fault *f)
{
	struct model_contact *same, *contacts;
	const char *bare;
	uint32_t bucket;

	u->last_contact = MODEL_NONE;
	if (buddy == MODEL_NONE || name == MODEL_NONE || groups == MODEL_NONE)
		return too_much(u, f);
	bare = model_bare(model_text(u, buddy));
	if (!strcasecmp(bare, model_text(u, u->name))) {
		u->self_contacts++;
		return RESITE_OK;
	}
	bucket = bucket_of(bare);
	same = find_contact(u, bucket, bare);
	if (same)
		return merge(u, same, name, groups, f);
	contacts = grow(u->contacts, &u->cap_contacts, u->n_contacts, sizeof *contacts,
			MODEL_MAX_CONTACTS);
	if (!contacts)
		return too_much(u, f);
	u->contacts = contacts;
	u->contacts[u->n_contacts] = (struct model_contact){
		.buddy = buddy,
		.name = name,
		.groups = groups,
		.same_hash = u->buckets[bucket],
	};
	u->last_contact = u->buckets[bucket] = u->n_contacts++;
	return RESITE_OK;
}

int
model_add_extra(struct model_user *u, enum model_place place, uint32_t owner, const char *name,
		size_t name_len, const char *raw, size_t raw_len, struct fault *f)
{
	struct model_extra *extras = grow(u->extras, &u->cap_extras, u->n_extras, sizeof *extras,
					  MODEL_MAX_EXTRAS);
	uint32_t name_at = model_add_text(u, name, name_len);
	uint32_t raw_at = model_add_text(u, raw, raw_len);

	if (extras)
		u->extras = extras;
	if (!extras || name_at == MODEL_NONE || raw_at == MODEL_NONE)
		return too_much(u, f);
	u->extras[u->n_extras++] = (struct model_extra){place, owner, name_at, raw_at};
	return RESITE_OK;
}

/* --- groups of contacts ------------------------------------------------------ */

uint32_t
model_find_group(const struct model_user *u, const char *number, size_t len)
{
	for (uint32_t i = 0; i < u->n_groups; i++) {
		const char *have = model_text(u, u->groups[i].number);

		if (!strncmp(have, number, len) && !have[len])
			return i;
	}
	return MODEL_NONE;
}

/* The number that "~" has everywhere, if it is free. */
static uint32_t
free_number(struct model_user *u)
{
	char number[16];
	unsigned n = 1;

	do
		snprintf(number, sizeof number, "%u", n++);
	while (model_find_group(u, number, strlen(number)) != MODEL_NONE);
	return model_add_text(u, number, strlen(number));
}

static struct model_group *
other_group(struct model_user *u, struct fault *f)
{
	for (uint32_t i = 0; i < u->n_groups; i++)
		if (!strcmp(model_text(u, u->groups[i].name), MODEL_OTHER))
			return &u->groups[i];
	if (model_add_group(u, free_number(u), model_add_text(u, MODEL_OTHER, 1),
			    model_add_text(u, "", 0), f) < 0)
		return NULL;
	return &u->groups[u->n_groups - 1];
}

static int
join(struct model_user *u, struct model_group *g, uint32_t contact, struct fault *f)
{
	struct model_member *members;

	/* Contacts join in order, so the same one twice in a group is the last one. */
	if (g->last != MODEL_NONE && u->members[g->last].contact == contact)
		return RESITE_OK;
	members = grow(u->members, &u->cap_members, u->n_members, sizeof *members,
		       MODEL_MAX_MEMBERS);
	if (!members)
		return too_much(u, f);
	u->members = members;
	u->members[u->n_members] = (struct model_member){
		.contact = contact,
		.group = (uint32_t)(g - u->groups),
		.next = MODEL_NONE,
	};
	if (g->last == MODEL_NONE)
		g->first = u->n_members;
	else
		u->members[g->last].next = u->n_members;
	g->last = u->n_members++;
	return RESITE_OK;
}

/* The group that a contact's token means; len 0: none was given. */
static struct model_group *
group_for(struct model_user *u, const char *token, size_t len, struct fault *f)
{
	uint32_t g = len ? model_find_group(u, token, len) : MODEL_NONE;

	if (g == MODEL_NONE && len && u->n_groups)
		g = 0;
	return g != MODEL_NONE ? &u->groups[g] : other_group(u, f);
}

static int
place(struct model_user *u, uint32_t contact, struct fault *f)
{
	size_t at = u->contacts[contact].groups; /* no pointer: texts may be added */
	bool first = true;

	for (;; first = false) {
		const char *token = model_text(u, at) + strspn(model_text(u, at), " \t\r\n");
		size_t len = strcspn(token, " \t\r\n");
		struct model_group *g;

		if (!len && !first)
			return RESITE_OK;
		at = (size_t)(token - u->text.p) + len;
		g = group_for(u, token, len, f);
		if (!g || join(u, g, contact, f) < 0)
			return f->rc;
	}
}

/* Now that members are known: a number that no token could mean, or that an earlier group has, gets
 * another, so that what is written means the same. */
static int
renumber(struct model_user *u, struct fault *f)
{
	for (uint32_t i = 0; i < u->n_groups; i++) {
		const char *number = model_text(u, u->groups[i].number);
		size_t len = strlen(number);

		if (len && !number[strcspn(number, " \t\r\n")] &&
		    model_find_group(u, number, len) == i)
			continue;
		u->groups[i].number = free_number(u);
		if (u->groups[i].number == MODEL_NONE) {
			u->groups[i].number = u->name;
			return too_much(u, f);
		}
	}
	return RESITE_OK;
}

int
model_finish(struct model_user *u, struct fault *f)
{
	for (uint32_t i = 0; i < u->n_contacts; i++)
		if (place(u, i, f) < 0)
			return f->rc;
	return renumber(u, f);
}

void
model_release(struct model_user *u)
{
	buf_release(&u->text);
	free(u->groups);
	free(u->contacts);
	free(u->members);
	free(u->extras);
	u->extras = NULL;
	u->groups = NULL;
	u->contacts = NULL;
	u->members = NULL;
}
