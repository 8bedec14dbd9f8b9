/* Who may approve is known before a run, and enough of them are there. */
#include "core/base/base.h"
#include "core/base/json.h"
#include "core/plan/bind.h"

#include <string.h>

static bool
waits_for_output(const json_t *value)
{
	size_t i;
	const json_t *one;

	json_array_foreach(value, i, one)
		if (json_is_object(one))
			return true;
	return json_is_object(value);
}

static size_t
different(const json_t *names)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		bool first = true;

		for (size_t k = 0; k < i; k++)
			first &= strcmp(name, json_string_value(json_array_get(names, k))) != 0;
		n += first;
	}
	return n;
}

void
bind_approve(struct binder *b, const struct plan_step *step)
{
	static const char *const fixed[] = {"needs", "approvers", "allowed_signers", "expires"};
	json_t *params = json_parse(b->json.buf, b->json.len, NULL);
	struct place at = step->with ? reader_place(&b->r, step->with) : step->at;
	const json_t *names = json_object_get(params, "approvers");
	int64_t needs = json_int_or(params, "needs", 1);

	for (size_t i = 0; i < COUNT_OF(fixed); i++) {
		if (!waits_for_output(json_object_get(params, fixed[i])))
			continue;
		reader_error_at(&b->r, at, "parameter '%s' cannot be an output of a step: who may "
				"approve must be known before the run", fixed[i]);
		names = NULL;
	}
	if (json_array_size(names) && (int64_t)different(names) < needs)
		reader_error_at(&b->r, at, "it needs %" PRId64 " people and names %zu approvers: it "
				"would wait for ever", needs, different(names));
	json_decref(params);
}
