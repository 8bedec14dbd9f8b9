#include "core/base/base.h"
#include "core/engine/rehearsal.h"
#include "core/view/preview_drift.h"
#include "core/view/residue.h"

#include <string.h>

/* Of one step; the event must stay readable whatever was left. */
#define OBJECTS_KEPT 1000

static const json_t *
step_in(const json_t *preview, const char *name)
{
	const json_t *steps = json_object_get(preview, "steps"), *one;
	size_t i;

	json_array_foreach (steps, i, one)
		if (!strcmp(json_str_or(one, "name", ""), name))
			return one;
	return NULL;
}

static bool
has_told(const json_t *step)
{
	return !strcmp(json_str_or(step, "kind", ""), "probed");
}

static json_t *
cut_objects(json_t *left)
{
	json_t *step;
	size_t i;

	json_array_foreach (left, i, step) {
		json_t *objects = json_object_get(step, "objects");
		size_t n = json_array_size(objects);

		if (n <= OBJECTS_KEPT)
			continue;
		json_object_set_new(step, "more", json_integer((json_int_t)(n - OBJECTS_KEPT)));
		while (json_array_size(objects) > OBJECTS_KEPT)
			json_array_remove(objects, json_array_size(objects) - 1);
	}
	return left;
}

/* Steps that have run and that no probe can see. */
static void
add_unseen(const struct run_state *state, const json_t *before, bool undone, json_t *left,
	   json_t *unseen)
{
	for (uint32_t i = 0; i < state->graph->n_steps; i++) {
		const char *name = state->graph->steps[i].name;

		if (!rehearsal_has_run(state, i) || has_told(step_in(before, name)))
			continue;
		if (undone && state->facts[i].undo_records)
			json_array_append_new(unseen, json_pack("{s:s, s:s}", "step", name, "why",
				"its own undo has put it back; no probe can tell whether all is as before"));
		else
			json_array_append_new(left, json_pack("{s:s, s:s}", "step", name, "why",
				"it ran, it wrote nothing that an undo could put back, and no probe can "
				"tell what it has left: look for yourself"));
	}
}

static size_t
count_told(const json_t *before)
{
	const json_t *step;
	size_t i, n = 0;

	json_array_foreach (json_object_get(before, "steps"), i, step)
		n += has_told(step);
	return n;
}

json_t *
residue_of(const struct run_state *state, const json_t *before, const json_t *after,
	   const char *undo, const char *outcome)
{
	bool undone = !undo || !strcmp(outcome, "done");
	json_t *left = preview_drift(before, after), *unseen = json_array(), *summary;
	size_t as_before = count_told(before) - json_array_size(left);

	add_unseen(state, before, undone, left, unseen);
	if (undone && !json_array_size(left))
		summary = json_sprintf("zero residue: %zu steps as before", as_before);
	else
		summary = json_sprintf("RESIDUE: %zu steps are not as before, %zu are%s",
				       json_array_size(left), as_before,
				       undone ? "" : "; the undo left something alone");
	return json_pack("{s:o, s:I, s:o, s:o, s:s*, s:s*}", "summary", summary, "as_before",
			 (json_int_t)as_before, "left", cut_objects(left), "unseen", unseen, "undo",
			 undo, "undo_outcome", undo ? outcome : NULL);
}

bool
residue_any(const json_t *residue)
{
	return json_array_size(json_object_get(residue, "left")) ||
	       strcmp(json_str_or(residue, "undo_outcome", "done"), "done");
}

void
residue_write(struct strbuf *out, const json_t *residue, size_t max)
{
	const json_t *left = json_object_get(residue, "left"), *step;
	const char *undo = json_str_or(residue, "undo", NULL);
	json_t *moved = json_array();
	size_t i;

	strbuf_addf(out, "%s\n", json_str_or(residue, "summary", "?"));
	json_array_foreach (left, i, step) {
		if (json_object_get(step, "why"))
			strbuf_addf(out, "  %-20s LEFT: %s\n", json_str_or(step, "step", "?"),
				    json_str_or(step, "why", ""));
		else
			json_array_append(moved, (json_t *)(uintptr_t)step);
	}
	if (json_array_size(moved))
		preview_drift_write(out, moved, max);
	json_decref(moved);
	json_array_foreach (json_object_get(residue, "unseen"), i, step)
		strbuf_addf(out, "  %-20s unseen: %s\n", json_str_or(step, "step", "?"),
			    json_str_or(step, "why", ""));
	if (undo && residue_any(residue))
		strbuf_addf(out, "what the undo has done with it: resite status %s\n", undo);
}
