#include "config.h"

#include "plugins/edge-nexthop/shown.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
shown_release(struct shown *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].uri);
	free(s->v);
	*s = (struct shown){0};
}

static struct shown_hop *
add(struct shown *s, long set, const char *uri)
{
	struct shown_hop *grown = realloc(s->v, (s->n + 1) * sizeof(*grown));
	char *copy = strdup(uri);

	if (grown)
		s->v = grown;
	if (!grown || !copy) {
		free(copy);
		return NULL;
	}
	grown[s->n] = (struct shown_hop){.set = set, .uri = copy};
	return &grown[s->n++];
}

/* Kamailio's letters: A, T, I or D; then P when it is pinged, else X. */
static void
read_flags(struct shown_hop *hop, const char *flags)
{
	hop->disabled = *flags == 'D';
	hop->dead = *flags == 'I';
}

static bool
kamailio_dest(const json_t *dest, long set, struct shown *ret)
{
	const char *uri = json_string_value(json_object_get(dest, "URI"));
	const char *flags = json_string_value(json_object_get(dest, "FLAGS"));
	struct shown_hop *hop = uri && flags ? add(ret, set, uri) : NULL;

	if (!hop)
		return false;
	read_flags(hop, flags);
	hop->priority = (long)json_integer_value(json_object_get(dest, "PRIORITY"));
	return true;
}

bool
shown_kamailio(const json_t *result, struct shown *ret)
{
	const json_t *records = json_object_get(result, "RECORDS"), *record, *target;
	size_t i, k;

	*ret = (struct shown){0};
	if (!json_is_array(records))
		return false;
	json_array_foreach(records, i, record) {
		const json_t *set = json_object_get(record, "SET");
		const json_t *id = json_object_get(set, "ID"), *targets = json_object_get(set, "TARGETS");

		if (!json_is_integer(id) || !json_is_array(targets))
			goto bad;
		json_array_foreach(targets, k, target)
			if (!kamailio_dest(json_object_get(target, "DEST"),
					   (long)json_integer_value(id), ret))
				goto bad;
	}
	return true;
bad:
	shown_release(ret);
	return false;
}

static bool
opensips_set(const json_t *set, struct shown *ret)
{
	const json_t *id = json_object_get(set, "id"), *dests = json_object_get(set, "Destinations");
	const json_t *dest;
	size_t i;

	if (!json_is_integer(id) || !json_is_array(dests))
		return false;
	json_array_foreach(dests, i, dest) {
		const char *uri = json_string_value(json_object_get(dest, "URI"));
		const char *state = json_string_value(json_object_get(dest, "state"));
		struct shown_hop *hop = uri && state
					? add(ret, (long)json_integer_value(id), uri) : NULL;

		if (!hop)
			return false;
		hop->disabled = !strcmp(state, "Inactive");
		hop->dead = !strcmp(state, "Probing");
	}
	return true;
}

bool
shown_opensips(const json_t *result, struct shown *ret)
{
	const json_t *partitions = json_object_get(result, "PARTITIONS"), *partition, *set;
	size_t i, k;

	*ret = (struct shown){0};
	if (!json_is_array(partitions))
		return false;
	json_array_foreach(partitions, i, partition) {
		const json_t *name = json_object_get(partition, "name");

		/* The table of the file is the default partition's. */
		if (name && strcmp(json_string_value(name) ? json_string_value(name) : "", "default"))
			continue;
		json_array_foreach(json_object_get(partition, "SETS"), k, set) {
			if (opensips_set(set, ret))
				continue;
			shown_release(ret);
			return false;
		}
	}
	return true;
}

/* "KEY: value" of an indented line. */
static const char *
value_of(const char *line, size_t len, const char *key, char *buf, size_t cap)
{
	size_t skip = strspn(line, " \t"), n = strlen(key);

	if (skip + n + 2 > len || strncmp(line + skip, key, n) || strncmp(line + skip + n, ": ", 2))
		return NULL;
	snprintf(buf, cap, "%.*s", (int)(len - skip - n - 2), line + skip + n + 2);
	return buf;
}

bool
shown_kamcmd(const char *text, struct shown *ret)
{
	struct shown_hop *hop = NULL;
	char buf[1100];
	long set = -1, sets = -1;

	*ret = (struct shown){0};
	for (const char *p = text; *p;) {
		size_t len = strcspn(p, "\n");

		if (value_of(p, len, "NRSETS", buf, sizeof(buf)))
			sets = atol(buf);
		else if (value_of(p, len, "ID", buf, sizeof(buf)))
			set = atol(buf);
		else if (value_of(p, len, "URI", buf, sizeof(buf)) && !(hop = add(ret, set, buf)))
			break;
		else if (hop && value_of(p, len, "FLAGS", buf, sizeof(buf)))
			read_flags(hop, buf);
		else if (hop && value_of(p, len, "PRIORITY", buf, sizeof(buf)))
			hop->priority = atol(buf);
		p += len + (p[len] == '\n');
	}
	if (sets >= 0 && (ret->n == 0 || set >= 0))
		return true;
	shown_release(ret);
	return false;
}

/* --- against the file ------------------------------------------------------------------ */

static bool
same_hop(const struct shown_hop *hop, const struct list_line *line, const struct list_dialect *d)
{
	return hop->set == line->set && !strcmp(hop->uri, line->uri) &&
	       hop->disabled == line->disabled &&
	       (!d->shows_priority || hop->priority == line->priority);
}

/* Each of the file's once, in any order: a proxy sorts them by priority. */
static bool
matches(const struct shown *s, const struct list *l, long set, const char **ret_missing,
	bool taken[])
{
	for (size_t i = 0; i < l->n; i++) {
		size_t k;

		if (!l->lines[i].is_hop || l->lines[i].set != set)
			continue;
		for (k = 0; k < s->n; k++)
			if (!taken[k] && same_hop(&s->v[k], &l->lines[i], l->dialect))
				break;
		*ret_missing = l->lines[i].uri;
		if (k == s->n)
			return false;
		taken[k] = true;
	}
	*ret_missing = NULL;
	for (size_t k = 0; k < s->n; k++)
		if (s->v[k].set == set && !taken[k])
			return false;
	return true;
}

bool
shown_same(const struct shown *s, const struct list *l, long set, char err[SHOWN_ERR])
{
	bool *taken = calloc(s->n + 1, sizeof(*taken)), same;
	const char *missing = NULL;
	char has[200];

	snprintf(err, SHOWN_ERR, "out of memory");
	if (!taken)
		return false;
	same = matches(s, l, set, &missing, taken);
	free(taken);
	if (same)
		return true;
	shown_text(s, set, has, sizeof(has));
	if (missing)
		snprintf(err, SHOWN_ERR, "it has in set %ld %s; the file's %.120s is not among them as it "
			 "is there", set, has, missing);
	else
		snprintf(err, SHOWN_ERR, "it has in set %ld %s, more than the file", set, has);
	return false;
}

void
shown_text(const struct shown *s, long set, char *buf, size_t cap)
{
	size_t n = 0;

	snprintf(buf, cap, "none");
	for (size_t i = 0; i < s->n && n < cap; i++)
		if (s->v[i].set == set)
			n += (size_t)snprintf(buf + n, cap - n, "%s%s%s", n ? ", " : "", s->v[i].uri,
					      s->v[i].disabled ? " (disabled)"
					      : s->v[i].dead   ? " (does not answer)" : "");
}
