#include "plugins/response-groups/decide.h"

#include <resite/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Failures of the same kind are gathered: the operator shall see all at once. */
struct gather {
	size_t n, len;
	char text[700];
};

static void
gather(struct gather *g, const char *label, const char *what, const char *other)
{
	g->n++;
	if (g->len + 1 >= sizeof g->text)
		return;
	g->len += (size_t)snprintf(g->text + g->len, sizeof g->text - g->len, "%s%s %s %s",
				   g->n > 1 ? "; " : "", label, what, other);
	if (g->len >= sizeof g->text) {
		g->len = sizeof g->text - 1;
		memcpy(g->text + sizeof g->text - 4, "...", 4);
	}
}

static int
add(struct rgs_changes *c, enum rgs_what what, const struct rgs_row *was,
    const struct rgs_row *row, const char *owner, struct rgs_error *e)
{
	struct rgs_change *grown = realloc(c->list, (c->n + 1) * sizeof *grown);

	if (!grown)
		return rgs_fail(e, RESITE_ERR_TRANSIENT, "out of memory");
	c->list = grown;
	c->list[c->n++] = (struct rgs_change){what, was, row, owner};
	return RESITE_OK;
}

static const char *
owner_of(const struct rgs_row *row, const struct rgs_rules *rules)
{
	return rules->owner ? rules->owner : row->owner;
}

/* --- who is in the way ---------------------------------------------------------------- */

/* What the target would refuse: a name, or an address, that is taken by another object.
 * Compared as the server's people read them: without case. */
static void
check_taken(const struct rgs_row *row, const struct rgs_rows *target, const struct rgs_rows *set,
	    struct gather *g)
{
	char label[RGS_LABEL_MAX], other[RGS_LABEL_MAX];

	if (!rgs_tables[row->table].unique_name)
		return;
	rgs_label(row, label);
	for (size_t i = 0; i < target->n; i++) {
		const struct rgs_row *t = &target->list[i];
		bool name = t->table == row->table && !strcasecmp(t->name, row->name);
		bool address = row->address && t->address && !strcasecmp(t->address, row->address);

		/* One that the set has too is judged by its new name. */
		if (!(name || address) || (t->table == row->table && !strcmp(t->id, row->id)) ||
		    rgs_rows_find(set, t->table, t->id))
			continue;
		rgs_label(t, other);
		gather(g, label, name ? "has the name of" : "has the address of", other);
	}
}

static void
check_owner(const struct rgs_row *row, const struct rgs_row *t, const struct rgs_rules *rules,
	    struct gather *g)
{
	char label[RGS_LABEL_MAX];

	if (rules->owner || !strcmp(t->owner, row->owner))
		return;
	rgs_label(row, label);
	gather(g, label, "is there already, but belongs to", t->owner);
}

static int
refuse(const struct gather *taken, const struct gather *owned, struct rgs_error *e)
{
	if (taken->n)
		return rgs_fail(e, RESITE_ERR_REFUSED,
				"%zu objects cannot come, since names and addresses must differ: %s: "
				"rename them at one of the sites", taken->n, taken->text);
	if (owned->n)
		return rgs_fail(e, RESITE_ERR_REFUSED,
				"%zu objects have another owner at the target: %s; overwrite_owner = "
				"true replaces them", owned->n, owned->text);
	return RESITE_OK;
}

/* --- import ----------------------------------------------------------------------------- */

static int
decide_setting(const struct rgs_row *row, const struct rgs_row *t, const struct rgs_rules *rules,
	       struct rgs_changes *c, struct rgs_error *e)
{
	if (t && !strcmp(t->body, row->body))
		return RESITE_OK;
	if (rules->replace_settings)
		/* Settings are the server's: they keep its name. */
		return add(c, t ? RGS_UPDATE : RGS_INSERT, t, row, t ? t->owner : owner_of(row, rules),
			   e);
	if (c->settings_kept++ == 0)
		snprintf(c->setting, sizeof c->setting, "%.90s", row->name);
	return RESITE_OK;
}

static int
decide_row(const struct rgs_row *row, const struct rgs_row *t, const struct rgs_rules *rules,
	   struct rgs_changes *c, struct rgs_error *e)
{
	const char *owner = owner_of(row, rules);

	if (row->table == RGS_SETTINGS)
		return decide_setting(row, t, rules, c, e);
	if (t && !strcmp(t->body, row->body) && !strcmp(t->owner, owner))
		return RESITE_OK;
	if (row->formal) {
		c->groups++;
		c->agents += row->agents;
	}
	return add(c, t ? RGS_UPDATE : RGS_INSERT, t, row, owner, e);
}

static bool
is_owner_of(const struct rgs_rows *set, const char *owner)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->list[i].table != RGS_SETTINGS && !strcmp(set->list[i].owner, owner))
			return true;
	return false;
}

/* Rows that the target alone has: deletions last, in the order that references allow. */
static int
decide_missing(const struct rgs_rows *set, const struct rgs_rows *target,
	       const struct rgs_rules *rules, struct rgs_changes *c, struct rgs_error *e)
{
	for (size_t i = target->n; i-- > 0;) {
		const struct rgs_row *t = &target->list[i];

		if (t->table == RGS_SETTINGS || rgs_rows_find(set, t->table, t->id) ||
		    !is_owner_of(set, t->owner))
			continue;
		if (rules->delete_missing) {
			if (add(c, RGS_DELETE, t, NULL, NULL, e) < 0)
				return e->rc;
		} else if (c->stay++ == 0) {
			rgs_label(t, c->stays);
		}
	}
	return RESITE_OK;
}

int
rgs_decide_import(const struct rgs_rows *set, struct rgs_rows *target,
		  const struct rgs_rules *rules, struct rgs_changes *ret, struct rgs_error *e)
{
	struct gather taken = {0}, owned = {0};

	*ret = (struct rgs_changes){.total = set->n};
	for (size_t i = 0; i < set->n; i++) {
		const struct rgs_row *row = &set->list[i];
		const struct rgs_row *t = rgs_rows_find(target, row->table, row->id);

		check_taken(row, target, set, &taken);
		if (t && row->table != RGS_SETTINGS)
			check_owner(row, t, rules, &owned);
		if (decide_row(row, t, rules, ret, e) < 0)
			return e->rc;
	}
	if (refuse(&taken, &owned, e) < 0)
		return e->rc;
	return decide_missing(set, target, rules, ret, e);
}

/* --- clean-up --------------------------------------------------------------------------- */

int
rgs_decide_clean(const struct rgs_rows *standby, const struct rgs_rows *keeper,
		 const char *owner, struct rgs_changes *ret, struct rgs_error *e)
{
	struct gather lacking = {0};
	char label[RGS_LABEL_MAX];

	*ret = (struct rgs_changes){0};
	for (size_t i = standby->n; i-- > 0;) {
		const struct rgs_row *row = &standby->list[i], *kept;

		if (row->table == RGS_SETTINGS || strcmp(row->owner, owner))
			continue;
		ret->total++;
		kept = rgs_rows_find(keeper, row->table, row->id);
		if (!kept || strcmp(kept->body, row->body)) {
			rgs_label(row, label);
			gather(&lacking, label, kept ? "differs" : "is not", "there");
		}
		if (add(ret, RGS_DELETE, row, NULL, NULL, e) < 0)
			return e->rc;
	}
	if (lacking.n)
		return rgs_fail(e, RESITE_ERR_REFUSED,
				"%zu objects would be lost, since the other site does not have them as "
				"they are here: %s: export here and import there first", lacking.n,
				lacking.text);
	return RESITE_OK;
}

void
rgs_changes_release(struct rgs_changes *c)
{
	free(c->list);
	*c = (struct rgs_changes){0};
}
