#include "core/base/base.h"
#include "core/view/preview_drift.h"

#include <string.h>

/* --- comparing ------------------------------------------------------------ */

/* name (of key) -> member, of an array of objects; borrowed references would outlive
 * nothing here, but owned ones are simpler. */
static json_t *
index_by(const json_t *array, const char *key)
{
	json_t *index = json_object(), *item;
	size_t i;

	json_array_foreach (array, i, item)
		json_object_set(index, json_str_or(item, key, ""), item);
	return index;
}

/* "p1 -> p2", or NULL when there is no such change. */
static json_t *
change_text(const json_t *change)
{
	return change ? json_sprintf("%s -> %s", json_str_or(change, "was", ""),
				     json_str_or(change, "will_be", "")) :
			NULL;
}

static void
add_object(json_t *objects, const char *object, const char *what, const json_t *then,
	   const json_t *now)
{
	json_array_append_new(objects, json_pack("{s:s, s:s, s:o*, s:o*}", "object", object, "what",
						 what, "then", change_text(then), "now",
						 change_text(now)));
}

static json_t *
moved_objects(const json_t *then, const json_t *now)
{
	json_t *objects = json_array(), *was = index_by(json_object_get(then, "change"), "object"),
	       *is = index_by(json_object_get(now, "change"), "object"), *change;
	const char *object;

	json_object_foreach (is, object, change) {
		const json_t *before = json_object_get(was, object);

		if (!before)
			add_object(objects, object, "new", NULL, change);
		else if (!json_equal(before, change))
			add_object(objects, object, "other", before, change);
	}
	json_object_foreach (was, object, change)
		if (!json_object_get(is, object))
			add_object(objects, object, "gone", change, NULL);
	json_decref(was);
	json_decref(is);
	return objects;
}

/* The probe's line, or why there is none. */
static json_t *
found_text(const json_t *step)
{
	if (!strcmp(json_str_or(step, "kind", ""), "probed"))
		return json_sprintf("%" PRId64 " of %" PRId64 " would change; %s",
				    json_int_or(step, "changes", 0), json_int_or(step, "total", 0),
				    json_str_or(step, "now", ""));
	return json_sprintf("%s%s%s", json_str_or(step, "kind", "no such step"),
			    json_str_or(step, "error", NULL) ? ": " : "",
			    json_str_or(step, "error", ""));
}

static bool
has_moved(const json_t *then, const json_t *now)
{
	return !strcmp(json_str_or(then, "kind", ""), "probed") &&
	       (strcmp(json_str_or(now, "kind", ""), "probed") ||
		strcmp(json_str_or(then, "fingerprint", ""), json_str_or(now, "fingerprint", "")));
}

json_t *
preview_drift(const json_t *then, const json_t *now)
{
	json_t *drift = json_array(), *steps = index_by(json_object_get(now, "steps"), "name"), *step;
	size_t i;

	json_array_foreach (json_object_get(then, "steps"), i, step) {
		const char *name = json_str_or(step, "name", "");
		const json_t *found = json_object_get(steps, name);

		if (has_moved(step, found))
			json_array_append_new(drift, json_pack("{s:s, s:o, s:o, s:o}", "step", name,
							       "then", found_text(step), "now",
							       found_text(found), "objects",
							       moved_objects(step, found)));
	}
	json_decref(steps);
	return drift;
}

/* --- telling ---------------------------------------------------------------- */

static void
write_object(struct strbuf *out, const json_t *o)
{
	const char *what = json_str_or(o, "what", ""), *object = json_str_or(o, "object", "");

	if (!strcmp(what, "new"))
		strbuf_addf(out, "      + %s: %s\n", object, json_str_or(o, "now", ""));
	else if (!strcmp(what, "gone"))
		strbuf_addf(out, "      - %s: %s (no longer to be changed)\n", object,
			    json_str_or(o, "then", ""));
	else
		strbuf_addf(out, "      ~ %s: %s, then %s\n", object, json_str_or(o, "now", ""),
			    json_str_or(o, "then", ""));
}

void
preview_drift_write(struct strbuf *out, const json_t *drift, size_t max)
{
	json_t *step, *object;
	size_t i, k;

	if (!json_array_size(drift))
		strbuf_addstr(out, "every step is as previewed\n");
	json_array_foreach (drift, i, step) {
		const json_t *objects = json_object_get(step, "objects");
		size_t n = json_array_size(objects);

		strbuf_addf(out, "  %-20s MOVED\n      then: %s\n      now:  %s\n",
			    json_str_or(step, "step", ""), json_str_or(step, "then", ""),
			    json_str_or(step, "now", ""));
		json_array_foreach (objects, k, object)
			if (k < max)
				write_object(out, object);
		if (n > max)
			strbuf_addf(out, "      ... and %zu more (--all)\n", n - max);
		if (!n)
			strbuf_addstr(out, "      the objects to change are the same; something else "
					   "that the step depends on is not\n");
	}
}
