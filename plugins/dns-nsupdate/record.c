/* Undo records: what they hold, and the line that a person could follow instead. */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>

static void
quote(FILE *f, const char *text)
{
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", f);
		else
			fputc(*text, f);
}

/* " 'prereq yxrrset NAME TYPE DATA'" for each record; ttl < 0: without one. */
static void
by_hand_records(FILE *f, const char *verb, const struct rrset *s, const char *owner, int64_t ttl)
{
	for (size_t i = 0; i < s->n; i++) {
		char *data = rrset_data(s, i);

		fprintf(f, " '%s ", verb);
		quote(f, owner);
		if (ttl >= 0)
			fprintf(f, " %lld", (long long)ttl);
		fprintf(f, " %s ", rrset_type_text(s->type));
		quote(f, data ? data : "?");
		fputc('\'', f);
		free(data);
	}
}

char *
by_hand_text(const struct step *s, const struct change *c)
{
	char *text = NULL, *owner = rrset_owner(c->was);
	const char *type = rrset_type_text(c->was->type);
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f || !owner) {
		free(owner);
		if (f)
			fclose(f);
		free(text);
		return NULL;
	}
	fprintf(f, "printf '%%s\\n' 'server %s %s' 'zone %s'", s->server.host, s->server.port,
		c->zone->text);
	by_hand_records(f, "prereq yxrrset", c->will, owner, -1);
	if (!c->will->n)
		fprintf(f, " 'prereq nxrrset %s %s'", owner, type);
	fprintf(f, " 'update delete %s %s'", owner, type);
	by_hand_records(f, "update add", c->was, owner, c->was->ttl);
	fprintf(f, " send | nsupdate%s", s->send == SEND_GSS ? " -g" : s->has_key ? " -k KEYFILE" : "");
	free(owner);
	return fclose(f) == 0 ? text : (free(text), NULL);
}

int
record_undo(struct step *s, const struct change *c)
{
	char was_ttl[16], set_ttl[16];
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

	snprintf(was_ttl, sizeof(was_ttl), "%lu", (unsigned long)(c->was->n ? c->was->ttl : 0));
	snprintf(set_ttl, sizeof(set_ttl), "%lu", (unsigned long)(c->will->n ? c->will->ttl : 0));
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
