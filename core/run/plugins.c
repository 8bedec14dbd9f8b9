#include "core/base/base.h"
#include "core/base/vec.h"
#include "core/run/plugins.h"

#include <stdlib.h>
#include <string.h>

struct slot {
	struct plugins *plugins;
	const char *name;        /* the graph's */
	struct nursery *nursery; /* NULL: not started */
	bool lost;               /* to be stopped before it is started again */
};

struct plugins {
	uv_loop_t *loop;
	struct registry *registry;
	const struct graph *graph;
	const char **drop_env;   /* variables that hold secrets; ends with NULL */
	int lock_fd;
	plugins_log_fn *log;
	void *ctx;
	struct slot **slot;      /* by pointer: a nursery holds it */
	size_t len, cap;
};

static const char **
secret_variables(const struct graph *g)
{
	const char **names = calloc(g->n_secrets + 1, sizeof(*names));
	size_t n = 0;

	for (uint32_t i = 0; names && i < g->n_secrets; i++)
		if (g->secrets[i].env)
			names[n++] = g->secrets[i].env;
	return names;
}

struct plugins *
plugins_new(uv_loop_t *loop, struct registry *registry, const struct graph *graph, int lock_fd,
	    plugins_log_fn *log, void *ctx)
{
	struct plugins *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct plugins){.loop = loop, .registry = registry, .graph = graph,
			      .lock_fd = lock_fd, .log = log, .ctx = ctx};
	p->drop_env = secret_variables(graph);
	if (!p->drop_env) {
		free(p);
		return NULL;
	}
	return p;
}

static void
on_hello(void *ctx, const json_t *hello)
{
	(void)ctx;
	(void)hello;
}

static void
on_lost(void *ctx, const char *text)
{
	struct slot *s = ctx;

	s->lost = true;
	s->plugins->log(s->plugins->ctx, s->name, text);
}

static void
on_log(void *ctx, const char *line)
{
	struct slot *s = ctx;

	s->plugins->log(s->plugins->ctx, s->name, line);
}

static const struct nursery_events events = {on_hello, on_lost, on_log};

static int
find_slot(struct plugins *p, const char *name, struct slot **ret)
{
	struct slot *s;

	for (size_t i = 0; i < p->len; i++)
		if (!strcmp(p->slot[i]->name, name)) {
			*ret = p->slot[i];
			return 0;
		}
	s = calloc(1, sizeof(*s));
	if (!s || vec_reserve(&p->slot, p->len + 1, &p->cap) < 0) {
		free(s);
		return E_NOMEM;
	}
	*s = (struct slot){.plugins = p, .name = name};
	p->slot[p->len++] = *ret = s;
	return 0;
}

static int
start(struct slot *s, struct error *err)
{
	struct plugins *p = s->plugins;
	struct nursery_config config = {
		.worker_path = registry_worker_path(p->registry),
		.lock_fd = p->lock_fd,
		.drop_env = p->drop_env,
	};
	int rc = registry_find(p->registry, s->name, &config.plugin_path, err);

	if (rc < 0)
		return rc;
	s->lost = false;
	s->nursery = nursery_start(p->loop, &config, &events, s, err);
	return s->nursery ? 0 : E_IO;
}

int
plugins_nursery(struct plugins *p, const char *name, struct nursery **ret, struct error *err)
{
	struct slot *s;
	int rc = find_slot(p, name, &s);

	if (rc < 0)
		return error_set(err, rc, "out of memory");
	if (s->nursery && s->lost) {
		nursery_stop(s->nursery);
		s->nursery = NULL;
	}
	if (!s->nursery)
		rc = start(s, err);
	if (rc == 0)
		*ret = s->nursery;
	return rc;
}

void
plugins_warm_up(struct plugins *p)
{
	const char *last = NULL;
	struct nursery *n;

	for (uint32_t i = 0; i < p->graph->n_steps; i++) {
		const struct step *step = &p->graph->steps[i];

		if (!step->builtin && step->plugin != last)
			plugins_nursery(p, step->plugin, &n, NULL);
		last = step->plugin;
	}
}

void
plugins_free(struct plugins *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->len; i++) {
		if (p->slot[i]->nursery)
			nursery_stop(p->slot[i]->nursery);
		free(p->slot[i]);
	}
	free(p->slot);
	free(p->drop_env);
	free(p);
}
