#include "plugins/contacts/users.h"

#include "plugins/contacts/text.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool
grow(struct users *u)
{
	size_t cap = u->cap ? u->cap * 2 : 256;
	char **list;

	if (u->n < u->cap)
		return true;
	list = realloc(u->list, cap * sizeof *list);
	if (!list)
		return false;
	u->list = list;
	u->cap = cap;
	return true;
}

int
users_add(struct users *u, const char *address, size_t len, struct fault *f)
{
	const char *scheme = len >= 4 && !strncasecmp(address, "sip:", 4) ? "" : "sip:";
	char *copy;

	/* 4: the longest address that a set can hold is counted with its scheme. */
	if (!text_is_address(address, len) || len + 4 > TEXT_ADDRESS_MAX)
		return fault_set(f, RESITE_ERR_INVALID,
				 "'%.*s' is no address: sip:user@host or user@host",
				 len > 200 ? 200 : (int)len, address);
	if (!grow(u) || asprintf(&copy, "%s%.*s", scheme, (int)len, address) < 0)
		return fault_memory(f);
	u->list[u->n++] = copy;
	return RESITE_OK;
}

static int
add_lines(struct users *u, FILE *in, const char *path, struct fault *f)
{
	char *line = NULL;
	size_t cap = 0, number = 0;
	ssize_t n;
	int rc = RESITE_OK;

	while (rc == RESITE_OK && (n = getline(&line, &cap, in)) >= 0) {
		number++;
		while (n > 0 && strchr(" \t\r\n", line[n - 1]))
			n--;
		if (n == 0 || line[0] == '#')
			continue;
		rc = users_add(u, line, (size_t)n, f);
		if (rc < 0)
			fault_prefix(f, "%s:%zu", path, number);
	}
	if (rc == RESITE_OK && ferror(in))
		rc = fault_set(f, RESITE_ERR_REFUSED, "%s: %s", path, strerror(errno));
	free(line);
	return rc;
}

int
users_add_file(struct users *u, const char *path, struct fault *f)
{
	FILE *in = fopen(path, "re");
	int rc;

	if (!in)
		return fault_set(f, RESITE_ERR_REFUSED, "%s: %s", path, strerror(errno));
	rc = add_lines(u, in, path, f);
	fclose(in);
	return rc;
}

static int
by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
users_sort(struct users *u)
{
	size_t kept = 0;

	if (u->n)
		qsort(u->list, u->n, sizeof *u->list, by_bytes);
	for (size_t i = 0; i < u->n; i++) {
		if (kept && !strcmp(u->list[kept - 1], u->list[i]))
			free(u->list[i]);
		else
			u->list[kept++] = u->list[i];
	}
	u->n = kept;
}

void
users_lower(struct users *u)
{
	for (size_t i = 0; i < u->n; i++)
		for (char *p = u->list[i]; *p; p++)
			if (*p >= 'A' && *p <= 'Z')
				*p = (char)(*p + 'a' - 'A');
}

bool
users_find(const struct users *u, const char *address, size_t *ret_at)
{
	char *key = (char *)(uintptr_t)address;
	char **found = u->n ? bsearch(&key, u->list, u->n, sizeof *u->list, by_bytes) : NULL;

	if (found)
		*ret_at = (size_t)(found - u->list);
	return found != NULL;
}

bool
users_have(const struct users *u, const char *address)
{
	size_t at;

	return users_find(u, address, &at);
}

static int
add_report_line(struct users *u, const char *line, const char *path, unsigned number,
		struct fault *f)
{
	json_error_t why;
	json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &why);
	const char *address = json_string_value(json_object_get(object, "address"));
	int rc = RESITE_OK;

	if (!json_is_object(object))
		rc = fault_set(f, RESITE_ERR_REFUSED,
			       "%s:%u: no report of ldap-homing has such a line", path, number);
	else if (address && *address)
		rc = users_add(u, address, strlen(address), f);
	json_decref(object);
	return rc;
}

int
users_add_report(struct users *u, const char *path, struct fault *f)
{
	FILE *in = fopen(path, "re");
	unsigned number = 0;
	size_t cap = 0;
	char *line = NULL;
	int rc = RESITE_OK;

	if (!in)
		return fault_set(f, RESITE_ERR_REFUSED, "%s: %s", path, strerror(errno));
	while (rc == RESITE_OK && getline(&line, &cap, in) >= 0)
		rc = add_report_line(u, line, path, ++number, f);
	if (rc == RESITE_OK && ferror(in))
		rc = fault_set(f, RESITE_ERR_REFUSED, "%s: it cannot be read to its end", path);
	free(line);
	fclose(in);
	return rc;
}

void
users_release(struct users *u)
{
	for (size_t i = 0; i < u->n; i++)
		free(u->list[i]);
	free(u->list);
	*u = (struct users){0};
}
