#include "core/base/base.h"
#include "core/base/json.h"
#include "core/run/durations.h"
#include "core/store/journal.h"

#include <stdlib.h>
#include <string.h>

enum {
	MEDIAN_OF = 5,      /* the last durations of a step */
	RUNS_READ_MAX = 20, /* so many of the newest runs are looked at */
};

/* --- what this run took ---------------------------------------------------- */

static bool
is_rehearsal(const struct graph *g)
{
	return g->mode == RESITE_REHEARSAL;
}

json_t *
durations_event(const struct run_state *state)
{
	const struct graph *g = state->graph;
	json_t *event, *ms = json_object();

	for (uint32_t i = 0; ms && i < g->n_steps; i++)
		if (state->facts[i].took_ms > 0)
			json_object_set_new_nocheck(ms, g->steps[i].name,
						    json_integer(state->facts[i].took_ms));
	event = json_object_size(ms) ? event_new("run.took", NULL) : NULL;
	if (event) {
		json_object_set_new(event, "plan", json_string(g->plan));
		json_object_set_new(event, "runbook", json_string(g->runbook));
		json_object_set_new(event, "from", json_string(g->from));
		json_object_set_new(event, "to", json_string(g->to));
		json_object_set_new(event, "way", json_string(way_name(g->way)));
		json_object_set_new(event, "rehearsal", json_boolean(is_rehearsal(g)));
		json_object_set(event, "ms", ms);
	}
	json_decref(ms);
	return event;
}

/* --- what others took ------------------------------------------------------ */

struct sample {
	int64_t ms[MEDIAN_OF];
	uint8_t n;
};

/* The newest runs, a ring: the one before next is the newest. */
struct newest {
	struct {
		char *name;
		int64_t last_seq;
	} run[RUNS_READ_MAX];
	size_t next;
};

static int
note_run(void *ctx, const char *run, int64_t last_seq)
{
	struct newest *newest = ctx;
	size_t at = newest->next++ % RUNS_READ_MAX;

	free(newest->run[at].name);
	newest->run[at].name = strdup(run);
	newest->run[at].last_seq = last_seq;
	return newest->run[at].name ? 0 : E_NOMEM;
}

static bool
is_like(const json_t *took, const struct graph *g)
{
	return !strcmp(json_str_or(took, "kind", ""), "run.took") &&
	       !strcmp(json_str_or(took, "plan", ""), g->plan) &&
	       !strcmp(json_str_or(took, "runbook", ""), g->runbook) &&
	       !strcmp(json_str_or(took, "from", ""), g->from) &&
	       !strcmp(json_str_or(took, "to", ""), g->to) &&
	       !strcmp(json_str_or(took, "way", ""), way_name(g->way)) &&
	       json_bool_or(took, "rehearsal", false) == is_rehearsal(g);
}

static void
add_run(struct sample *samples, const struct graph *g, const json_t *took)
{
	const json_t *all = json_object_get(took, "ms");

	for (uint32_t i = 0; i < g->n_steps; i++) {
		int64_t ms = json_int_or(all, g->steps[i].name, 0);

		if (ms > 0 && samples[i].n < MEDIAN_OF)
			samples[i].ms[samples[i].n++] = ms;
	}
}

static void
read_samples(struct store *store, const struct newest *newest, const struct graph *g,
	     struct sample *samples)
{
	size_t n = newest->next < RUNS_READ_MAX ? newest->next : RUNS_READ_MAX;

	for (size_t k = 1, used = 0; k <= n && used < MEDIAN_OF; k++) {
		size_t at = (newest->next - k) % RUNS_READ_MAX;
		json_t *took = NULL;

		if (newest->run[at].last_seq > 1)
			took = journal_event(store, newest->run[at].name,
					     newest->run[at].last_seq - 1);
		if (is_like(took, g)) {
			add_run(samples, g, took);
			used++;
		}
		json_decref(took);
	}
}

static int
by_length(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t
expected(struct sample *s, const struct step *step)
{
	if (!s->n)
		return step->takes_ms > 0 ? step->takes_ms : 1;
	qsort(s->ms, s->n, sizeof(*s->ms), by_length);
	return s->ms[s->n / 2];
}

static bool
all_alike(const int64_t *ms, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		if (ms[i] != ms[0])
			return false;
	return true;
}

int
durations_expected(struct store *store, const struct graph *graph, int64_t **ret, struct error *err)
{
	uint32_t n = graph->n_steps;
	struct sample *samples = calloc(n ? n : 1, sizeof(*samples));
	int64_t *ms = calloc(n ? n : 1, sizeof(*ms));
	struct newest newest = {.next = 0};
	int rc = samples && ms ? store_list(store, note_run, &newest, err) : E_NOMEM;

	if (rc == E_NOMEM)
		error_set(err, rc, "out of memory");
	if (rc == 0)
		read_samples(store, &newest, graph, samples);
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		ms[i] = expected(&samples[i], &graph->steps[i]);
	for (size_t i = 0; i < RUNS_READ_MAX; i++)
		free(newest.run[i].name);
	free(samples);
	if (rc < 0 || all_alike(ms, n)) {
		free(ms);
		ms = NULL;
	}
	if (rc == 0)
		*ret = ms;
	return rc;
}

/* --- in the journal -------------------------------------------------------- */

json_t *
durations_to_json(const int64_t *ms, uint32_t n)
{
	json_t *array = json_array();

	for (uint32_t i = 0; array && i < n; i++)
		json_array_append_new(array, json_integer(ms[i]));
	return array;
}

int
durations_from_json(const json_t *json, uint32_t n, int64_t **ret, struct error *err)
{
	int64_t *ms;

	if (!json) {
		*ret = NULL;
		return 0;
	}
	if (json_array_size(json) != n)
		return error_set(err, E_CORRUPT, "has the expected durations of %zu steps, but there "
				 "are %" PRIu32, json_array_size(json), n);
	ms = calloc(n ? n : 1, sizeof(*ms));
	if (!ms)
		return error_set(err, E_NOMEM, "out of memory");
	for (uint32_t i = 0; i < n; i++)
		ms[i] = json_integer_value(json_array_get(json, i));
	*ret = ms;
	return 0;
}
