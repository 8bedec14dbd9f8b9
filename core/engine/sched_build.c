/* Building a scheduler: all of its memory, the dependents, the longest paths. */
#include "core/base/base.h"
#include "core/engine/sched_parts.h"

#include <stdlib.h>

static void *
take(struct sched *s, size_t n, size_t size)
{
	s->bytes += n * size;
	return calloc(n ? n : 1, size);
}

static bool
allocate(struct sched *s, const struct sched_config *c)
{
	size_t n_edges = 0, n_limits = 0;

	for (uint32_t i = 0; i < c->n_steps; i++) {
		n_edges += c->steps[i].n_after;
		n_limits += c->steps[i].n_limits;
	}
	s->node = take(s, c->n_steps + 1, sizeof(*s->node));
	s->out = take(s, n_edges, sizeof(*s->out));
	s->limit_of = take(s, n_limits, sizeof(*s->limit_of));
	s->path_ms = take(s, c->n_steps, sizeof(*s->path_ms));
	s->wake_key = take(s, c->n_steps, sizeof(*s->wake_key));
	s->limit = take(s, c->n_limits, sizeof(*s->limit));
	s->ready = (struct heap){take(s, c->n_steps, sizeof(uint32_t)), 0, s->path_ms};
	s->prompt = (struct heap){take(s, c->n_steps, sizeof(uint32_t)), 0, s->path_ms};
	s->sleeping = (struct heap){take(s, c->n_steps, sizeof(uint32_t)), 0, s->wake_key};
	return s->node && s->out && s->limit_of && s->path_ms && s->wake_key && s->limit &&
	       s->ready.item && s->prompt.item && s->sleeping.item;
}

static void
copy_steps(struct sched *s, const struct sched_config *c)
{
	uint32_t limits = 0;

	for (uint32_t i = 0; i < c->n_steps; i++) {
		const struct sched_step *from = &c->steps[i];
		struct node *n = &s->node[i];

		n->blockers = from->n_after;
		n->max_attempts = from->attempts ? from->attempts : 1;
		n->needs = from->needs ? from->needs : 1;
		n->flags = (uint8_t)from->flags;
		n->policy = (uint8_t)from->policy;
		n->waits_for = NO_LIMIT;
		n->backoff_ms = from->backoff_ms;
		n->max_backoff_ms = from->max_backoff_ms;
		n->timeout_ms = from->timeout_ms;
		n->first_limit = limits;
		for (uint32_t k = 0; k < from->n_limits; k++)
			s->limit_of[limits++] = (uint16_t)from->limits[k];
	}
	s->node[c->n_steps].first_limit = limits;
}

/* Turns "after" lists into dependents: count, sum up, fill. */
static void
link_dependents(struct sched *s, const struct sched_config *c)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < c->n_steps; i++)
		for (uint32_t k = 0; k < c->steps[i].n_after; k++)
			s->node[c->steps[i].after[k]].first_out++;
	for (uint32_t i = 0; i <= c->n_steps; i++) {
		uint32_t n = s->node[i].first_out;

		s->node[i].first_out = sum;
		sum += n;
	}
	for (uint32_t i = c->n_steps; i-- > 0;)
		for (uint32_t k = 0; k < c->steps[i].n_after; k++)
			s->out[s->node[c->steps[i].after[k]].first_out++] = i;
	/* Filling moved each start to its end, which is the next one's start. */
	for (uint32_t i = c->n_steps; i > 0; i--)
		s->node[i].first_out = s->node[i - 1].first_out;
	s->node[0].first_out = 0;
}

/* Topological order by counting; false when a cycle keeps some step out. */
static bool
topological(const struct sched *s, uint32_t *order)
{
	uint32_t done = 0, len = 0;
	uint32_t *left = calloc(s->n_steps ? s->n_steps : 1, sizeof(*left));

	if (!left)
		return false;
	for (uint32_t i = 0; i < s->n_steps; i++) {
		left[i] = s->node[i].blockers;
		if (!left[i])
			order[len++] = i;
	}
	for (; done < len; done++)
		for (uint32_t e = s->node[order[done]].first_out;
		     e < s->node[order[done] + 1].first_out; e++)
			if (--left[s->out[e]] == 0)
				order[len++] = s->out[e];
	free(left);
	return len == s->n_steps;
}

static bool
find_paths(struct sched *s, const struct sched_config *c)
{
	uint32_t *order = calloc(s->n_steps ? s->n_steps : 1, sizeof(*order));
	bool ok = order && topological(s, order);

	for (uint32_t k = s->n_steps; ok && k-- > 0;) {
		uint32_t i = order[k];
		int64_t longest = 0;

		for (uint32_t e = s->node[i].first_out; e < s->node[i + 1].first_out; e++)
			if (s->path_ms[s->out[e]] > longest)
				longest = s->path_ms[s->out[e]];
		s->path_ms[i] = longest + (c->steps[i].weight_ms > 0 ? c->steps[i].weight_ms : 1);
	}
	free(order);
	return ok;
}

/* Each limit's waiting list has room for the steps that name it. */
static bool
make_limits(struct sched *s, const struct sched_config *c)
{
	uint32_t *named = calloc(c->n_limits ? c->n_limits : 1, sizeof(*named));
	bool ok = named != NULL;

	s->n_limits = c->n_limits;
	for (uint32_t k = 0; ok && k < s->node[s->n_steps].first_limit; k++)
		named[s->limit_of[k]]++;
	for (uint16_t i = 0; ok && i < c->n_limits; i++) {
		s->limit[i].max = c->limits[i];
		s->limit[i].waiting.key = s->path_ms;
		s->limit[i].waiting.item = take(s, named[i], sizeof(uint32_t));
		ok = s->limit[i].waiting.item != NULL;
	}
	free(named);
	return ok;
}

struct sched *
sched_new(const struct sched_config *config)
{
	struct sched *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->bytes = sizeof(*s);
	s->n_steps = config->n_steps;
	s->jobs = config->jobs ? config->jobs : 1;
	s->deadline_ms = config->deadline_ms;
	if (!allocate(s, config))
		goto fail;
	copy_steps(s, config);
	link_dependents(s, config);
	if (!find_paths(s, config) || !make_limits(s, config))
		goto fail;
	s->count[STEP_WAITING] = s->n_steps;
	for (uint32_t i = 0; i < s->n_steps; i++)
		if (!s->node[i].blockers)
			sched__make_ready(s, i);
	return s;
fail:
	sched_free(s);
	return NULL;
}

void
sched_free(struct sched *s)
{
	if (!s)
		return;
	for (uint16_t i = 0; i < s->n_limits; i++)
		free(s->limit[i].waiting.item);
	free(s->node);
	free(s->out);
	free(s->limit_of);
	free(s->path_ms);
	free(s->wake_key);
	free(s->limit);
	free(s->ready.item);
	free(s->prompt.item);
	free(s->sleeping.item);
	free(s);
}
