/* The items of a for_each. */
#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/vec.h"
#include "core/plan/bind.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ITEM_NAME_MAX 64 /* a longer item is known by its number */

struct collecting {
	struct binder *b;
	struct subst subst;
	const config_setting_t *at; /* of for_each itself */
	struct strmap seen;         /* text -> index */
	struct items items;
	size_t cap;
};

/* May a step's name have it in brackets?  What a shell or a reader takes apart may
 * not. */
static bool
is_name_like(const char *item)
{
	size_t len = strlen(item);

	for (const char *p = item; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("-_.:@+", *p))
			return false;
	return len && len <= ITEM_NAME_MAX;
}

static bool
add_item(struct collecting *c, const config_setting_t *at, const char *text)
{
	struct binder *b = c->b;
	uint32_t twin = strmap_get(&c->seen, text);
	char *copy;

	if (twin != STRMAP_NONE) {
		reader_error(&b->r, at, "'for_each': item %" PRIu32 " is the same as item %" PRIu32
			     ": '%.100s'", c->items.n + 1, twin + 1, text);
		return false;
	}
	copy = arena_strdup(b->own, text);
	if (!copy || vec_reserve(&c->items.text, (size_t)c->items.n + 1, &c->cap) < 0 ||
	    strmap_put(&c->seen, copy, c->items.n) < 0) {
		b->nomem = true;
		return false;
	}
	c->items.by_number |= !is_name_like(copy);
	c->items.text[c->items.n++] = copy;
	return true;
}

static bool collect(struct collecting *c, const config_setting_t *list,
		    const struct locals *locals, bool nested);

/* Plain text; a list only where one may be. */
static bool
add_expanded(struct collecting *c, const config_setting_t *at, const struct subst_result *res,
	     bool nested)
{
	const struct reader *r = &c->b->r;

	if (res->list && !nested)
		return collect(c, res->list, res->list_locals, true);
	if (res->list)
		reader_error(r, at, "'for_each': a list has a list in it");
	else if (res->secret)
		reader_error(r, at, "'for_each': an item is no secret: it would be in the journal "
			     "and on the screen");
	else
		return add_item(c, at, res->text.buf ? res->text.buf : "");
	return false;
}

static bool
collect(struct collecting *c, const config_setting_t *list, const struct locals *locals,
	bool nested)
{
	const struct locals *here = c->subst.locals;
	bool ok = true;

	c->subst.locals = locals;
	for (unsigned i = 0, n = setting_count(list); i < n && !c->b->nomem; i++) {
		const config_setting_t *at = setting_item(list, i);
		struct subst_result res = SUBST_RESULT_INIT;

		ok &= subst_scalar(&c->subst, &c->b->r, at, &res) &&
		      add_expanded(c, at, &res, nested);
		c->b->nomem |= res.text.failed;
		subst_result_release(&res);
	}
	c->subst.locals = here;
	return ok;
}

bool
bind_items(struct binder *b, const struct call *call, const struct plan_step *step,
	   struct items *ret)
{
	struct collecting c = {.b = b, .subst = b->subst, .at = step->for_each};
	bool ok;

	c.subst.step_ref = NULL; /* nothing has run yet */
	ok = collect(&c, step->for_each, &call->locals, false);
	if (ok && !c.items.n)
		reader_warn_at(&b->r, reader_place(&b->r, step->for_each),
			       "'for_each' has no items: the step is passed over");
	strmap_release(&c.seen);
	*ret = c.items;
	return ok && !b->nomem;
}
