#include "core/base/base.h"
#include "core/base/vec.h"
#include "core/run/schemas.h"

#include <stdlib.h>
#include <string.h>

struct schemas {
	struct registry *registry;      /* borrowed; may be NULL */
	struct schema_plugin **plugin;  /* owned */
	size_t len, cap;
	json_t *hellos;                 /* name -> hello, of the same plugins */
};

struct schemas *
schemas_new(struct registry *registry)
{
	struct schemas *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->registry = registry;
	s->hellos = json_object();
	if (!s->hellos) {
		free(s);
		return NULL;
	}
	return s;
}

void
schemas_free(struct schemas *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->len; i++)
		schema_free(s->plugin[i]);
	free(s->plugin);
	json_decref(s->hellos);
	free(s);
}

static int
add(struct schemas *s, const char *name, const json_t *hello,
    const struct schema_plugin **ret, struct error *err)
{
	struct schema_plugin *p;
	int rc = schema_from_json(hello, &p, err);

	if (rc < 0)
		return rc;
	if (vec_reserve(&s->plugin, s->len + 1, &s->cap) < 0 ||
	    json_object_set(s->hellos, name, (json_t *)(uintptr_t)hello) < 0) {
		schema_free(p);
		return error_set(err, E_NOMEM, "out of memory");
	}
	s->plugin[s->len++] = p;
	if (ret)
		*ret = p;
	return 0;
}

int
schemas_add_json(struct schemas *s, const json_t *hellos, struct error *err)
{
	void *it = json_object_iter((json_t *)(uintptr_t)hellos);
	int rc = 0;

	for (; it && rc == 0; it = json_object_iter_next((json_t *)(uintptr_t)hellos, it))
		rc = add(s, json_object_iter_key(it), json_object_iter_value(it), NULL, err);
	return rc;
}

json_t *
schemas_to_json(const struct schemas *s)
{
	return json_incref(s->hellos);
}

static int
find(void *ctx, const char *name, const struct schema_plugin **ret, struct error *err)
{
	struct schemas *s = ctx;
	const json_t *hello;
	int rc;

	for (size_t i = 0; i < s->len; i++)
		if (!strcmp(s->plugin[i]->name, name)) {
			*ret = s->plugin[i];
			return 0;
		}
	if (!s->registry)
		return error_set(err, E_NOTFOUND, "the journal has no plugin %s", name);
	rc = registry_describe(s->registry, name, &hello, err);
	return rc < 0 ? rc : add(s, name, hello, ret, err);
}

static void
list(void *ctx, void (*each)(void *arg, const char *name), void *arg)
{
	struct schemas *s = ctx;
	char **names = s->registry ? registry_names(s->registry) : NULL;

	for (char **n = names; n && *n; n++)
		each(arg, *n);
	registry_free_names(names);
}

struct schema_source
schemas_source(struct schemas *s)
{
	return (struct schema_source){.ctx = s, .find = find, .list = list};
}
