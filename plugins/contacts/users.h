/* A sorted list of users' addresses: XCAP cannot list them, so the plan says who they are. */
#ifndef CONTACTS_USERS_H
#define CONTACTS_USERS_H

#include "plugins/contacts/fault.h"

#include <stdbool.h>
#include <stddef.h>

struct users {
	char **list; /* sip:alice@contoso.com, in the order of their bytes, each once */
	size_t n;
	size_t cap;
};

/* Adds one address; "sip:" is put before one that has no scheme. */
int users_add(struct users *u, const char *address, size_t len, struct fault *f);
/* Adds each line of a file; empty lines and those that begin with '#' are skipped. */
int users_add_file(struct users *u, const char *path, struct fault *f);
/* Sorts, and drops what is there twice; call it after the last add. */
void users_sort(struct users *u);
/* To ASCII lower case; before users_sort. */
void users_lower(struct users *u);
bool users_have(const struct users *u, const char *address);
/* The same, and where. */
bool users_find(const struct users *u, const char *address, size_t *ret_at);
/* Adds who is named in a report of ldap-homing: a JSON object a line, with an "address" or without. */
int users_add_report(struct users *u, const char *path, struct fault *f);
void users_release(struct users *u);

#endif
