/* Putting one RRset back as an undo record says, if it still holds what we wrote. */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>
#include <string.h>

#define UNDO_VERSION 1

static const char *
value_of(const struct resite_kv *kv, uint32_t n, const char *key)
{
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(kv[i].key, key))
			return kv[i].value;
	return "";
}

/* Rebuilds an RRset from its lines of data; with none it has owner and type only. */
static bool
rebuild(struct rrset_list *list, const struct step *s, const char *name, const char *type,
	const char *ttl, const char *data, struct rrset_error *err)
{
	char *line = NULL;
	bool ok = true;

	while (ok && *data) {
		size_t len = strcspn(data, "\n");

		ok = asprintf(&line, "%s %s IN %s %.*s", name, ttl, type, (int)len, data) >= 0;
		if (!ok)
			break;
		ok = rrset_add_text(list, line, s->zone, 0, err);
		free(line);
		data += len + (data[len] ? 1 : 0);
	}
	return ok && rrset_list_join(list, err) && list->n < 2;
}

/* An RRset of the same owner and type with no data. */
static struct rrset
absent(const struct rrset *like)
{
	return (struct rrset){.owner = like->owner, .owner_len = like->owner_len,
			      .type = like->type};
}

/* The prerequisite failed: fine when it is back already, else somebody else's now. */
static int
explain(struct step *s, const struct rrset *set, const struct rrset *was)
{
	struct rrset now = absent(set), *v = &now;
	char *name, *set_text, *was_text, *now_text;
	int rc = read_rrsets(s, &s->server, s->transport, &v, 1, NULL);

	if (rc != RESITE_OK)
		return step_net_fail(s, rc, "cannot look what the record is now");
	name = rrset_name(set);
	set_text = rrset_text(set);
	was_text = rrset_text(was);
	now_text = rrset_text(&now);
	if (!rrset_same_data(&now, was))
		rc = resite_fail(s->op, s->host, RESITE_ERR_CONFLICT, NULL,
				 "%s was %s, was set to %s by this step, and is now %s: somebody else "
				 "changed it, it is left alone", name ? name : "?",
				 was_text ? was_text : "?", set_text ? set_text : "?",
				 now_text ? now_text : "?");
	free(name);
	free(set_text);
	free(was_text);
	free(now_text);
	rrset_clear(&now);
	return rc;
}

static int
put_back(struct step *s, const struct rrset *set, const struct rrset *was)
{
	const struct change c = {.was = set, .will = was};
	int rc;

	switch (send_one(s, &c, &rc)) {
	case UPDATE_DONE:
		return RESITE_OK;
	case UPDATE_PREREQUISITE:
		return explain(s, set, was);
	case UPDATE_FAILED:
		break;
	}
	return rc;
}

static int
revert_record(struct step *s, const struct resite_kv *kv, uint32_t n)
{
	const char *name = value_of(kv, n, "name"), *type = value_of(kv, n, "type");
	struct rrset_list set = {0}, was = {0};
	struct rrset_error err = {"it has no data"};
	struct rrset none;
	int rc;

	if (!rebuild(&set, s, name, type, value_of(kv, n, "set.ttl"), value_of(kv, n, "set.data"),
		     &err) ||
	    !rebuild(&was, s, name, type, value_of(kv, n, "was.ttl"), value_of(kv, n, "was.data"),
		     &err) ||
	    set.n != 1) {
		rc = resite_fail(s->op, s->host, RESITE_ERR_BUG, NULL,
				 "the undo record of %s %s cannot be read: %s", name, type, err.text);
	} else {
		none = absent(&set.v[0]);
		rc = put_back(s, &set.v[0], was.n ? &was.v[0] : &none);
	}
	rrset_list_release(&set);
	rrset_list_release(&was);
	return rc;
}

int
set_revert(struct resite_op *op, const struct resite_host *host, uint32_t version,
	   const struct resite_kv *kv, uint32_t n)
{
	struct step s;
	int rc = step_init(&s, op, host);

	if (rc == RESITE_OK && version != UNDO_VERSION)
		rc = resite_fail(op, host, RESITE_ERR_BUG, NULL,
				 "an undo record of version %u, this plugin knows version %d",
				 version, UNDO_VERSION);
	if (rc == RESITE_OK)
		rc = step_load_key(&s);
	if (rc == RESITE_OK)
		rc = revert_record(&s, kv, n);
	step_release(&s);
	return rc;
}
