/* Undo records: what they hold, and the line that a person could follow instead. */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>
#include <string.h>

/* A text that grows.  Not a stream: ten thousand of them cost as much as all else. */
struct text {
	char *p;
	size_t len, cap;
	bool failed;
};

static void
put_bytes(struct text *t, const char *from, size_t n)
{
	if (t->len + n + 1 > t->cap && !t->failed) {
		size_t cap = (t->len + n + 1) * 2;
		char *grown = realloc(t->p, cap);

		t->failed = !grown;
		t->p = grown ? grown : t->p;
		t->cap = grown ? cap : t->cap;
	}
	if (t->failed)
		return;
	memcpy(t->p + t->len, from, n);
	t->p[t->len += n] = '\0';
}

static void
put(struct text *t, const char *from)
{
	put_bytes(t, from, strlen(from));
}

/* Within single quotes of a shell. */
static void
put_quoted(struct text *t, const char *from)
{
	for (const char *quote; (quote = strchr(from, '\'')); from = quote + 1) {
		put_bytes(t, from, (size_t)(quote - from));
		put(t, "'\\''");
	}
	put(t, from);
}

/* " 'prereq yxrrset NAME TYPE DATA'" for each record. */
static void
put_records(struct text *t, const char *verb, const struct rrset *s, const char *owner, bool with_ttl)
{
	for (size_t i = 0; i < s->n; i++) {
		char *data = rrset_data(s, i), ttl[RRSET_TTL_TEXT];

		put(t, " '");
		put(t, verb);
		put(t, " ");
		put_quoted(t, owner);
		if (with_ttl) {
			rrset_ttl_text(s, ttl);
			put(t, " ");
			put(t, ttl);
		}
		put(t, " ");
		put(t, rrset_type_text(s->type));
		put(t, " ");
		put_quoted(t, data ? data : "?");
		put(t, "'");
		free(data);
	}
}

/* " 'WORDS NAME TYPE'" */
static void
put_rrset(struct text *t, const char *words, const char *owner, const char *type)
{
	put(t, " '");
	put(t, words);
	put(t, " ");
	put_quoted(t, owner);
	put(t, " ");
	put(t, type);
	put(t, "'");
}

char *
by_hand_text(const struct step *s, const struct change *c)
{
	char *owner = rrset_owner(c->was);
	const char *type = rrset_type_text(c->was->type);
	struct text t = {.failed = !owner};

	put(&t, "printf '%s\\n' 'server ");
	put(&t, s->server.host);
	put(&t, " ");
	put(&t, s->server.port);
	put(&t, "' 'zone ");
	put(&t, c->zone->text);
	put(&t, "'");
	if (owner) {
		put_records(&t, "prereq yxrrset", c->will, owner, false);
		if (!c->will->n)
			put_rrset(&t, "prereq nxrrset", owner, type);
		put_rrset(&t, "update delete", owner, type);
		put_records(&t, "update add", c->was, owner, true);
	}
	put(&t, " send | nsupdate");
	put(&t, s->send == SEND_GSS ? " -g" : s->has_key ? " -k KEYFILE" : "");
	free(owner);
	if (!t.failed)
		return t.p;
	free(t.p);
	return NULL;
}

int
record_undo(struct step *s, const struct change *c)
{
	char was_ttl[RRSET_TTL_TEXT], set_ttl[RRSET_TTL_TEXT];
	char *name = rrset_owner(c->was), *was = rrset_lines(c->was), *set = rrset_lines(c->will);
	char *by_hand = by_hand_text(s, c);
	const struct resite_kv kv[] = {
		{"name", name},       {"type", rrset_type_text(c->was->type)},
		{"zone", c->zone->text},
		{"was.ttl", was_ttl}, {"was.data", was},
		{"set.ttl", set_ttl}, {"set.data", set},
		{"what", "ttl"},
	};
	const uint32_t n = sizeof(kv) / sizeof(kv[0]) - !s->ttl_alone;
	int rc;

	rrset_ttl_text(c->was, was_ttl);
	rrset_ttl_text(c->will, set_ttl);
	if (name && was && set && by_hand)
		rc = s->host->undo_add(s->op, UNDO_VERSION, by_hand, kv, n);
	else
		rc = step_no_memory(s);
	free(name);
	free(was);
	free(set);
	free(by_hand);
	return rc;
}
