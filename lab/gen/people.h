/* The people of the lab: who there is and whom each one has as contacts. All
 * is computed from (seed, number), nothing is stored. */
#ifndef LAB_GEN_PEOPLE_H
#define LAB_GEN_PEOPLE_H

#include <stdint.h>

enum { GROUPS_MAX = 4, CONTACTS_MAX = 40, NAME_SIZE = 96, ADDRESS_SIZE = 96 };

struct crowd {
	uint64_t seed;
	unsigned users;     /* numbered from 1 */
	const char *domain; /* of their SIP addresses */
};

struct person {
	char id[16];     /* u00001 */
	char given[32];
	char family[48];
	char name[NAME_SIZE]; /* as shown, UTF-8 */
};

struct contact {
	char address[ADDRESS_SIZE]; /* user@host, without "sip:" */
	char name[NAME_SIZE];       /* as shown, may be empty */
	unsigned groups;            /* bit g: in group g of the list */
};

struct contact_list {
	unsigned n_groups;
	const char *groups[GROUPS_MAX]; /* names; the first is always "~" */
	unsigned n_contacts;
	struct contact contacts[CONTACTS_MAX];
};

/* Fills in person number n. */
void person_at(const struct crowd *crowd, unsigned n, struct person *ret_person);

/* Fills in the contact list of person number n: no duplicates, never herself. */
void contacts_of(const struct crowd *crowd, unsigned n, struct contact_list *ret_list);

#endif
