#include "lab/gen/people.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Names that have broken importers: not ASCII, with an apostrophe, two words. */
static const char *const given_names[] = {
	"Anna", "Jörg", "Zoë", "Łukasz", "Siân", "José", "Мария", "Ivan",
	"Bjørn", "Chloé", "Øystein", "Ayşe", "明", "Noor", "Ruairí", "Jean-Luc",
};
static const char *const family_names[] = {
	"Müller", "O'Brien", "Žižka", "García López", "van der Berg", "Smith",
	"Иванова", "Đorđević", "Nuñez", "Åkesson", "王", "Jones", "Öztürk",
	"Fitzgerald-Smythe", "D'Angelo", "Kowalczyk", "Schröder",
};
/* Display names of partners: everything that XML must escape. */
static const char *const companies[] = {
	"Smith & Söhne", "\"Bau\" GmbH", "R&D <Nord>", "Café 'Zur Post'",
	"A & B \"C\"", "株式会社テスト", "Fabrikam", "1 < 2 & 3 > 2",
};
static const char *const partner_domains[] = {
	"fabrikam.example", "tailspin.example", "wingtip.example",
};
static const char *const group_names[] = {
	"Équipe Ventes", "R&D \"Kernel\"", "Team", "Österreich & Süd", "顧客",
	"Проект Заря", "Family <private>", "12", "1", "Friends' List",
};

/* splitmix64: small, and the same everywhere. */
static uint64_t
draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static unsigned
below(uint64_t *state, unsigned limit)
{
	return (unsigned)(draw(state) % limit);
}

static uint64_t
stream(const struct crowd *crowd, unsigned n, uint64_t purpose)
{
	uint64_t state = crowd->seed * 0x2545f4914f6cdd1du + n * 4u + purpose;

	draw(&state);
	return state;
}

void
person_at(const struct crowd *crowd, unsigned n, struct person *ret_person)
{
	uint64_t state = stream(crowd, n, 0);

	snprintf(ret_person->id, sizeof(ret_person->id), "u%05u", n);
	snprintf(ret_person->given, sizeof(ret_person->given), "%s",
		 given_names[below(&state, COUNT(given_names))]);
	snprintf(ret_person->family, sizeof(ret_person->family), "%s",
		 family_names[below(&state, COUNT(family_names))]);
	snprintf(ret_person->name, sizeof(ret_person->name), "%s %s", ret_person->given,
		 ret_person->family);
}

static void
partner(uint64_t *state, struct contact *c)
{
	snprintf(c->address, sizeof(c->address), "partner%u@%s", below(state, 100000),
		 partner_domains[below(state, COUNT(partner_domains))]);
	snprintf(c->name, sizeof(c->name), "%s", companies[below(state, COUNT(companies))]);
}

static void
colleague(const struct crowd *crowd, uint64_t *state, struct contact *c)
{
	struct person p;

	person_at(crowd, 1 + below(state, crowd->users), &p);
	snprintf(c->address, sizeof(c->address), "%s@%s", p.id, crowd->domain);
	/* One in eight was added without a name. */
	if (below(state, 8) == 0)
		c->name[0] = '\0';
	else
		memcpy(c->name, p.name, sizeof(c->name));
}

static bool
known(const struct contact_list *list, const char *address)
{
	for (unsigned i = 0; i < list->n_contacts; i++)
		if (strcmp(list->contacts[i].address, address) == 0)
			return true;
	return false;
}

static void
name_groups(uint64_t *state, struct contact_list *list)
{
	unsigned first = below(state, COUNT(group_names));

	list->n_groups = 1 + below(state, GROUPS_MAX);
	list->groups[0] = "~";
	for (unsigned g = 1; g < list->n_groups; g++)
		list->groups[g] = group_names[(first + g) % COUNT(group_names)];
}

void
contacts_of(const struct crowd *crowd, unsigned n, struct contact_list *ret_list)
{
	uint64_t state = stream(crowd, n, 1);
	unsigned wanted = 20 + below(&state, CONTACTS_MAX - 20 + 1);
	struct person self;
	char address[ADDRESS_SIZE];

	person_at(crowd, n, &self);
	snprintf(address, sizeof(address), "%s@%s", self.id, crowd->domain);
	name_groups(&state, ret_list);
	ret_list->n_contacts = 0;
	for (unsigned i = 0; i < wanted; i++) {
		struct contact *c = &ret_list->contacts[ret_list->n_contacts];

		if (below(&state, 10) == 0)
			partner(&state, c);
		else
			colleague(crowd, &state, c);
		c->groups = 1u << below(&state, ret_list->n_groups);
		if (below(&state, 10) == 0)
			c->groups |= 1u << below(&state, ret_list->n_groups);
		/* With few users the same one is drawn again: the list is shorter. */
		if (strcmp(c->address, address) != 0 && !known(ret_list, c->address))
			ret_list->n_contacts++;
	}
}
