/* From a worker's hello to a schema: everything in it comes from outside. */
#include "core/base/base.h"
#include "core/base/json.h"
#include "core/plan/arena.h"
#include "core/plan/schema.h"
#include "core/plan/value.h"

#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {
	[RESITE_T_STRING] = "string", [RESITE_T_BOOL] = "bool", [RESITE_T_INT] = "int",
	[RESITE_T_DURATION] = "duration", [RESITE_T_ENUM] = "enum", [RESITE_T_DOMAIN] = "domain",
	[RESITE_T_ENDPOINT] = "endpoint", [RESITE_T_URL] = "url", [RESITE_T_PATH] = "path",
	[RESITE_T_SIZE] = "size", [RESITE_T_SECRET] = "secret",
};

struct word {
	const char *name;
	uint32_t bit;
};

static const struct word action_flags[] = {
	{"readonly", RESITE_ACT_READONLY}, {"reversible", RESITE_ACT_REVERSIBLE},
	{"carries", RESITE_ACT_CARRIES}, {"notify", RESITE_ACT_NOTIFY}, {NULL, 0}};
static const struct word functions[] = {
	{"check", SCHEMA_HAS_CHECK}, {"probe", SCHEMA_HAS_PROBE}, {"apply", SCHEMA_HAS_APPLY},
	{"verify", SCHEMA_HAS_VERIFY}, {"revert", SCHEMA_HAS_REVERT}, {NULL, 0}};

const char *
schema_type_name(int32_t type)
{
	return type > 0 && (size_t)type < COUNT_OF(type_names) ? type_names[type] : "?";
}

const struct schema_action *
schema_action(const struct schema_plugin *plugin, const char *name)
{
	for (size_t i = 0; i < plugin->n_actions; i++)
		if (!strcmp(plugin->actions[i].name, name))
			return &plugin->actions[i];
	return NULL;
}

const struct schema_param *
schema_param(const struct schema_action *action, const char *name)
{
	for (size_t i = 0; i < action->n_params; i++)
		if (!strcmp(action->params[i].name, name))
			return &action->params[i];
	return NULL;
}

bool
schema_has_output(const struct schema_action *action, const char *name)
{
	for (size_t i = 0; i < action->n_outputs; i++)
		if (!strcmp(action->outputs[i], name))
			return true;
	return false;
}

struct loading {
	struct arena *own;
	struct error *err;
	bool nomem;
};

static const char *
keep(struct loading *l, const char *s)
{
	char *copy = s ? arena_strdup(l->own, s) : NULL;

	l->nomem |= s && !copy;
	return copy;
}

static void *
keep_array(struct loading *l, size_t n, size_t size)
{
	void *array = n ? arena_array(l->own, n, size) : NULL;

	l->nomem |= n && !array;
	return array;
}

/* [a-z][a-z0-9_]*; dash: also '-', in the names of plugins and actions. */
static bool
is_schema_name(const char *s, bool dash)
{
	size_t i = 0;

	while ((s[i] >= 'a' && s[i] <= 'z') ||
	       (i && ((s[i] >= '0' && s[i] <= '9') || s[i] == '_' || (dash && s[i] == '-'))))
		i++;
	return i && !s[i] && i <= 64;
}

static int
load_name(struct loading *l, const json_t *obj, bool dash, const char *what, const char **ret)
{
	const char *name = json_str_or(obj, "name", "");

	if (!is_schema_name(name, dash))
		return error_set(l->err, E_INVALID, "a bad %s name \"%.80s\"", what, name);
	*ret = keep(l, name);
	return 0;
}

/* A list of strings, absent or null for none. */
static int
load_strings(struct loading *l, const json_t *obj, const char *key, const char *const **ret,
	     size_t *ret_n)
{
	const json_t *list = json_object_get(obj, key);
	size_t n = json_array_size(list);
	const char **strings;

	if (list && !json_is_array(list) && !json_is_null(list))
		return error_set(l->err, E_INVALID, "'%s' is no list", key);
	strings = keep_array(l, n, sizeof(*strings));
	for (size_t i = 0; i < n && !l->nomem; i++) {
		const char *s = json_string_value(json_array_get(list, i));

		if (!s)
			return error_set(l->err, E_INVALID, "'%s' has more than strings", key);
		strings[i] = keep(l, s);
	}
	*ret = strings;
	*ret_n = n;
	return 0;
}

static int
load_bits(struct loading *l, const json_t *obj, const char *key, const struct word *words,
	  uint32_t *ret)
{
	const json_t *list = json_object_get(obj, key), *one;
	size_t i;

	*ret = 0;
	json_array_foreach(list, i, one) {
		const char *s = json_string_value(one);
		const struct word *w = words;

		while (w->name && (!s || strcmp(w->name, s)))
			w++;
		if (!w->name)
			return error_set(l->err, E_INVALID, "unknown word \"%.80s\" in '%s'",
					 s ? s : "?", key);
		*ret |= w->bit;
	}
	return 0;
}

static int
load_type(struct loading *l, const json_t *obj, int32_t *ret)
{
	const char *name = json_str_or(obj, "type", "");

	for (size_t i = 1; i < COUNT_OF(type_names); i++)
		if (!strcmp(type_names[i], name)) {
			*ret = (int32_t)i;
			return 0;
		}
	return error_set(l->err, E_INVALID, "unknown type \"%.80s\"", name);
}

/* What a plan could not write must not stand in a schema either. */
static int
check_param(struct loading *l, const struct schema_param *p)
{
	struct strbuf json = STRBUF_INIT;
	int rc = 0;

	if (p->min > p->max)
		return error_set(l->err, E_INVALID, "min is larger than max");
	if (p->type == RESITE_T_ENUM && !p->n_choices)
		return error_set(l->err, E_INVALID, "an enum without choices");
	if (p->def && p->type == RESITE_T_SECRET)
		return error_set(l->err, E_INVALID, "a secret has no default");
	if (p->def)
		rc = value_to_json(p, p->def, "/", &json, l->err);
	if (rc < 0)
		error_prefix(l->err, "its default");
	strbuf_release(&json);
	return rc;
}

static int
load_param(struct loading *l, const json_t *obj, struct schema_param *p)
{
	int rc = load_name(l, obj, false, "parameter", &p->name);

	if (rc == 0)
		rc = load_type(l, obj, &p->type);
	if (rc == 0)
		rc = load_strings(l, obj, "choices", &p->choices, &p->n_choices);
	if (rc < 0)
		return rc;
	p->summary = keep(l, json_str_or(obj, "summary", ""));
	p->def = keep(l, json_str_or(obj, "default", NULL));
	p->min = json_int_or(obj, "min", 0);
	p->max = json_int_or(obj, "max", 0);
	p->flags = (json_bool_or(obj, "required", false) ? RESITE_PARAM_REQUIRED : 0u) |
		   (json_bool_or(obj, "repeated", false) ? RESITE_PARAM_REPEATED : 0u);
	return l->nomem ? E_NOMEM : check_param(l, p);
}

static int
load_params(struct loading *l, const json_t *obj, struct schema_action *a)
{
	const json_t *list = json_object_get(obj, "params"), *one;
	struct schema_param *params = keep_array(l, json_array_size(list), sizeof(*params));
	size_t i;
	int rc;

	if (l->nomem)
		return E_NOMEM;
	a->params = params;
	json_array_foreach(list, i, one) {
		rc = load_param(l, one, &params[i]);
		if (rc < 0) {
			error_prefix(l->err, "parameter %zu (%.64s)", i + 1,
				     json_str_or(one, "name", "no name"));
			return rc;
		}
		if (schema_param(a, params[i].name))
			return error_set(l->err, E_INVALID, "parameter %s is there twice",
					 params[i].name);
		a->n_params = i + 1;
	}
	return 0;
}

static int
load_action(struct loading *l, const json_t *obj, struct schema_action *a)
{
	uint32_t bits = 0;
	int rc = load_name(l, obj, true, "action", &a->name);

	if (rc == 0)
		rc = load_bits(l, obj, "flags", action_flags, &bits);
	a->flags = bits;
	if (rc == 0)
		rc = load_bits(l, obj, "has", functions, &a->has);
	if (rc == 0)
		rc = load_strings(l, obj, "outputs", &a->outputs, &a->n_outputs);
	if (rc == 0)
		rc = load_params(l, obj, a);
	if (rc < 0)
		return rc;
	a->summary = keep(l, json_str_or(obj, "summary", ""));
	a->timeout_ms = json_int_or(obj, "timeout_ms", 0);
	if (a->timeout_ms < 0)
		return error_set(l->err, E_INVALID, "a negative timeout");
	/* A look alone is an action, too: contacts.diff. */
	if (!(a->has & (SCHEMA_HAS_APPLY | SCHEMA_HAS_VERIFY)) &&
	    !(a->has & SCHEMA_HAS_PROBE && a->flags & RESITE_ACT_READONLY))
		return error_set(l->err, E_INVALID, "it has neither apply nor verify, and is not readonly");
	return l->nomem ? E_NOMEM : 0;
}

static int
load_actions(struct loading *l, const json_t *obj, struct schema_plugin *p)
{
	const json_t *list = json_object_get(obj, "actions"), *one;
	struct schema_action *actions = keep_array(l, json_array_size(list), sizeof(*actions));
	size_t i;
	int rc;

	if (l->nomem)
		return E_NOMEM;
	if (!actions)
		return error_set(l->err, E_INVALID, "it has no actions");
	p->actions = actions;
	json_array_foreach(list, i, one) {
		rc = load_action(l, one, &actions[i]);
		if (rc < 0) {
			error_prefix(l->err, "action %zu (%.64s)", i + 1,
				     json_str_or(one, "name", "no name"));
			return rc;
		}
		if (schema_action(p, actions[i].name))
			return error_set(l->err, E_INVALID, "action %s is there twice",
					 actions[i].name);
		p->n_actions = i + 1;
	}
	return 0;
}

static int
load_plugin(struct loading *l, const json_t *hello, struct schema_plugin **ret)
{
	const json_t *obj = json_object_get(hello, "plugin"), *abi = json_object_get(hello, "abi");
	struct schema_plugin *p = keep_array(l, 1, sizeof(*p));
	int rc;

	if (!p)
		return E_NOMEM;
	if (!json_is_object(obj) || strcmp(json_str_or(hello, "kind", ""), "hello"))
		return error_set(l->err, E_INVALID, "no description of a plugin");
	rc = load_name(l, obj, true, "plugin", &p->name);
	if (rc < 0)
		return rc;
	p->version = keep(l, json_str_or(obj, "version", ""));
	p->summary = keep(l, json_str_or(obj, "summary", ""));
	p->abi_major = (int)json_integer_value(json_array_get(abi, 0));
	p->abi_minor = (int)json_integer_value(json_array_get(abi, 1));
	p->own = l->own;
	rc = load_actions(l, obj, p);
	if (rc < 0)
		error_prefix(l->err, "plugin %s", p->name);
	else
		*ret = p;
	return rc;
}

int
schema_from_json(const json_t *hello, struct schema_plugin **ret, struct error *err)
{
	struct loading l = {.own = arena_new(), .err = err};
	int rc = l.own ? load_plugin(&l, hello, ret) : E_NOMEM;

	if (rc == 0 && l.nomem)
		rc = E_NOMEM;
	if (rc == E_NOMEM)
		error_set(err, rc, "out of memory");
	if (rc < 0)
		arena_free(l.own);
	return rc;
}

void
schema_free(struct schema_plugin *plugin)
{
	if (plugin && plugin->own)
		arena_free(plugin->own);
}
