/* A step's `with` against its action's schema, to typed JSON. */
#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/vec.h"
#include "core/plan/bind.h"
#include "core/plan/value.h"

#include <stdlib.h>
#include <string.h>

struct param_writing {
	struct binder *b;
	const struct plan_step *step;
	const struct schema_param *param;
	unsigned written; /* values of this parameter */
	bool deferred, repeated;
	bool in_list_value; /* inside a value that is a list: no further list */
};

static bool write_item(struct param_writing *w, const config_setting_t *at);

static void
separate(struct param_writing *w)
{
	if (w->written++)
		strbuf_addch(&w->b->json, ',');
}

/* The value stands; type, range and the lost site are left to check. */
static bool
write_text(struct param_writing *w, const config_setting_t *at, const char *text)
{
	struct step guard = {.tolerates_loss = w->step->tolerates_loss};
	struct error err = {0};

	separate(w);
	if (value_to_json(w->param, text, w->b->plan->text->dir, &w->b->json, &err) == 0 &&
	    graph_check_lost(w->b->g, &guard, w->param, text, &err) == 0)
		return true;
	reader_error(&w->b->r, at, "parameter '%s': %s", w->param->name, err.text);
	return false;
}

static bool
write_template(struct param_writing *w, const config_setting_t *at, const char *text)
{
	if (w->param->type == RESITE_T_SECRET) {
		reader_error(&w->b->r, at, "parameter '%s' is a secret: an output is none",
			     w->param->name);
		return false;
	}
	separate(w);
	strbuf_addstr(&w->b->json, "{\"template\":");
	json_write_string(&w->b->json, text);
	strbuf_addch(&w->b->json, '}');
	w->deferred = true;
	return true;
}

static bool
write_list(struct param_writing *w, const config_setting_t *at, const config_setting_t *list)
{
	bool ok = true;

	if (!w->repeated) {
		reader_error(&w->b->r, at, "parameter '%s' takes one value, not a list",
			     w->param->name);
		return false;
	}
	for (unsigned i = 0, n = setting_count(list); i < n; i++)
		ok &= write_item(w, setting_item(list, i));
	return ok;
}

static bool
write_template_of(struct param_writing *w, const config_setting_t *at, const char *step,
		  const char *output)
{
	struct strbuf text = STRBUF_INIT;
	bool ok;

	strbuf_addf(&text, "${step.%s.%s}", step, output);
	ok = !text.failed && write_template(w, at, text.buf);
	w->b->nomem |= text.failed;
	strbuf_release(&text);
	return ok;
}

/* The output of every item of a step, as so many values. */
static bool
write_each(struct param_writing *w, const config_setting_t *at, uint32_t join,
	   const char *output)
{
	const struct unit *u = &w->b->unit[join];
	bool ok = true;

	if (!w->repeated) {
		reader_error(&w->b->r, at, "parameter '%s' takes one value, and step '%s' has one "
			     "for each of its %" PRIu32 " items: write "
			     "${step.%s[ITEM].%s}", w->param->name, u->name, u->members, u->name,
			     output);
		return false;
	}
	for (uint32_t i = 1; ok && i <= u->members; i++)
		ok = write_template_of(w, at, w->b->unit[join + i].name, output);
	return ok;
}

/* A list that a reference stands for.  Its items may refer to values, but not to
 * lists again: that could go on for ever. */
static bool
write_list_value(struct param_writing *w, const config_setting_t *at,
		 const struct subst_result *res)
{
	const struct locals *here = w->b->subst.locals;
	bool ok;

	if (w->in_list_value) {
		reader_error(&w->b->r, at, "parameter '%s': a list has a list in it",
			     w->param->name);
		return false;
	}
	w->in_list_value = true;
	w->b->subst.locals = res->list_locals;
	ok = write_list(w, at, res->list);
	w->b->subst.locals = here;
	w->in_list_value = false;
	return ok;
}

static bool
write_secret(struct param_writing *w, const config_setting_t *at, const char *secret)
{
	if (w->param->type != RESITE_T_SECRET) {
		reader_error(&w->b->r, at, "parameter '%s' is no secret: ${secret.%s} would be in "
			     "the journal and on the screen", w->param->name, secret);
		return false;
	}
	separate(w);
	json_write_string(&w->b->json, secret);
	bind_secret_use(w->b, secret, at);
	return true;
}

static bool
write_expanded(struct param_writing *w, const config_setting_t *at, struct subst_result *res)
{
	if (res->list)
		return write_list_value(w, at, res);
	if (res->each)
		return write_each(w, at, res->each_of, res->text.buf);
	if (res->secret)
		return write_secret(w, at, res->secret);
	if (res->deferred)
		return write_template(w, at, res->text.buf);
	if (w->param->type == RESITE_T_SECRET) {
		reader_error(&w->b->r, at, "parameter '%s' is a secret: declare it in 'secrets' "
			     "and write \"${secret.NAME}\"; a plan never holds the value itself",
			     w->param->name);
		return false;
	}
	return write_text(w, at, res->text.buf);
}

/* Is the setting of a kind that this type of parameter is written as? */
static bool
is_kind_right(const struct param_writing *w, const config_setting_t *at)
{
	int kind = config_setting_type(at), type = w->param->type;
	bool number = kind == CONFIG_TYPE_INT || kind == CONFIG_TYPE_INT64;
	const char *text = setting_string(at), *name = w->param->name;
	const struct reader *r = &w->b->r;

	if (text ? type != RESITE_T_INT && type != RESITE_T_BOOL : false)
		return true;
	if (text && strstr(text, "${"))
		return true;
	if ((type == RESITE_T_INT && number) || (type == RESITE_T_BOOL && kind == CONFIG_TYPE_BOOL))
		return true;
	if (type == RESITE_T_INT)
		reader_error(r, at, "parameter '%s' must be a whole number, without quotes", name);
	else if (type == RESITE_T_BOOL)
		reader_error(r, at, "parameter '%s' must be true or false, without quotes", name);
	else if (type == RESITE_T_DURATION && number)
		reader_error(r, at, "parameter '%s' is a number without a unit: write \"%llds\" "
			     "for seconds (units: ms s m h d)", name,
			     config_setting_get_int64(at));
	else if (type == RESITE_T_SIZE && number)
		reader_error(r, at, "parameter '%s' is a number without a unit: write \"%lldB\" "
			     "for bytes (units: B K M G T)", name, config_setting_get_int64(at));
	else
		reader_error(r, at, "parameter '%s' must be a string: \"...\" (type %s)", name,
			     schema_type_name(type));
	return false;
}

/* One value as written, or one that a list value has in it. */
static bool
write_item(struct param_writing *w, const config_setting_t *at)
{
	struct subst_result res = SUBST_RESULT_INIT;
	bool ok;

	bind_scope_item(w->b, setting_string(at));
	if (!is_kind_right(w, at))
		return false;
	ok = subst_scalar(&w->b->subst, &w->b->r, at, &res) && write_expanded(w, at, &res);
	w->b->nomem |= res.text.failed;
	subst_result_release(&res);
	return ok;
}

static bool
write_setting(struct param_writing *w, const config_setting_t *s)
{
	return setting_is_list(s) ? write_list(w, s, s) : write_item(w, s);
}

static void
write_param(struct param_writing *w, const config_setting_t *with, bool *first)
{
	const config_setting_t *s = with ? config_setting_get_member(with, w->param->name) : NULL;
	struct strbuf *json = &w->b->json;
	bool ok = true;

	if (!s && !w->param->def) {
		if (w->param->flags & RESITE_PARAM_REQUIRED)
			reader_error_at(&w->b->r, with ? reader_place(&w->b->r, with) : w->step->at,
					"parameter '%s' is missing (%s)", w->param->name,
					w->param->summary);
		return;
	}
	strbuf_addstr(json, *first ? "\"" : ",\"");
	strbuf_addstr(json, w->param->name);
	strbuf_addstr(json, w->repeated ? "\":[" : "\":");
	*first = false;
	if (s)
		ok = write_setting(w, s);
	else
		ok = value_to_json(w->param, w->param->def, w->b->plan->text->dir, json, NULL) == 0;
	if (w->repeated)
		strbuf_addch(json, ']');
	if (ok && s && !w->written && (w->param->flags & RESITE_PARAM_REQUIRED))
		reader_error(&w->b->r, s, "parameter '%s' needs at least one value",
			     w->param->name);
}

static void
check_unknown(struct binder *b, const struct written *w)
{
	const config_setting_t *with = w->step->with;
	const struct schema_action *action = w->action;
	unsigned n = with ? (unsigned)config_setting_length(with) : 0;

	for (unsigned i = 0; i < n; i++) {
		const config_setting_t *s = config_setting_get_elem(with, i);
		char text[SUGGEST_TEXT_MAX];
		struct suggest suggest;

		if (schema_param(action, config_setting_name(s)))
			continue;
		suggest_init(&suggest, config_setting_name(s));
		for (size_t k = 0; k < action->n_params; k++)
			suggest_offer(&suggest, action->params[k].name);
		reader_error(&b->r, s, "%s.%s has no parameter '%s'%s",
			     w->step->plugin, action->name,
			     config_setting_name(s), suggest_text(&suggest, text));
	}
}

void
bind_params_unused(struct binder *b, const struct written *w)
{
	check_unknown(b, w);
	strbuf_reset(&b->json);
	strbuf_addstr(&b->json, "{}");
	b->nomem |= b->json.failed;
}

void
bind_params(struct binder *b, const struct written *written, bool *ret_deferred)
{
	const struct schema_action *action = written->action;
	bool first = true;

	strbuf_reset(&b->json);
	strbuf_addch(&b->json, '{');
	check_unknown(b, written);
	*ret_deferred = false;
	for (size_t i = 0; i < action->n_params; i++) {
		struct param_writing w = {.b = b, .step = written->step, .param = &action->params[i]};

		w.repeated = w.param->flags & RESITE_PARAM_REPEATED;
		write_param(&w, written->step->with, &first);
		*ret_deferred |= w.deferred;
	}
	strbuf_addch(&b->json, '}');
	b->nomem |= b->json.failed;
}
