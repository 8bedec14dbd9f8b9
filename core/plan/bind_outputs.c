/* References from a step to outputs of others. */
#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/vec.h"
#include "core/plan/bind.h"

#include <stdlib.h>
#include <string.h>

static void
unknown_output(struct binder *b, const config_setting_t *at, const struct schema_action *action,
	       const char *step, const char *output)
{
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;

	suggest_init(&suggest, output);
	for (size_t i = 0; i < action->n_outputs; i++)
		suggest_offer(&suggest, action->outputs[i]);
	reader_error(&b->r, at, "step '%s' has no output '%s'%s", step, output,
		     suggest_text(&suggest, text));
}

static void
unknown_source(struct binder *b, const struct output_use *use)
{
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;

	suggest_init(&suggest, use->step);
	bind_offer_steps(b, use->locals->call, &suggest);
	reader_error(&b->r, use->at, "there is no step '%s'%s", use->step,
		     suggest_text(&suggest, text));
}

/* Is there a step that has this output for whoever asks? */
static bool
is_source(struct binder *b, const struct output_use *use, uint32_t unit)
{
	const struct unit *u = &b->unit[unit];
	const struct written *w = bind_written(b, unit);

	if (!b->keep[unit]) {
		reader_error(&b->r, use->at, "step '%s', whose output is used here, is left out in "
			     "mode %s", use->step, mode_name(b->req->mode));
		return false;
	}
	if (!bind_goes_with(b, b->current, unit)) {
		reader_error(&b->r, use->at, "step '%s', whose output is used here, is not done in "
			     "every mode in which this step is", use->step);
		return false;
	}
	if (w->step->is_call) {
		reader_error(&b->r, use->at, "step '%s' does a runbook, which has no outputs of its "
			     "own: write ${step.%s/STEP.%s}", use->step, use->step, use->output);
		return false;
	}
	if (w->action && !schema_has_output(w->action, use->output)) {
		unknown_output(b, use->at, w->action, use->step, use->output);
		return false;
	}
	if (u->is_join && !use->alone) {
		reader_error(&b->r, use->at, "step '%s' has the output for each of its items: inside "
			     "a text write ${step.%s[ITEM].%s}", use->step, use->step, use->output);
		return false;
	}
	return true;
}

static void
add_output_ref(struct binder *b, uint32_t target, const config_setting_t *at)
{
	if (vec_reserve(&b->refs, b->n_refs + 1, &b->refs_cap) < 0)
		b->nomem = true;
	else
		b->refs[b->n_refs++] =
			(struct output_ref){b->current, target, reader_place(&b->r, at)};
}

bool
bind_use_output(void *ctx, const struct output_use *use, struct subst_result *res)
{
	struct binder *b = ctx;
	uint32_t i = bind_find(b, use->locals->call, use->step);

	if (i == UNIT_NONE) {
		unknown_source(b, use);
		return false;
	}
	if (!is_source(b, use, i))
		return false;
	add_output_ref(b, i, use->at);
	if (b->unit[i].is_join) {
		res->each = true;
		res->each_of = i;
		strbuf_addstr(&res->text, use->output);
	} else {
		strbuf_addf(&res->text, "${step.%s.%s}", b->unit[i].name, use->output);
	}
	return true;
}

/* In topological order only what is between the two need be walked. */
void
bind_check_refs(struct binder *b)
{
	size_t n = b->n_units + 1;
	uint32_t *rank = calloc(n, sizeof(*rank)), *mark = calloc(n, sizeof(*mark)),
		 *stack = calloc(n, sizeof(*stack));

	b->nomem |= !rank || !mark || !stack;
	for (uint32_t i = 0; !b->nomem && i + 1 < n; i++)
		rank[b->topo[i]] = i;
	for (size_t i = 0; !b->nomem && i < b->n_refs; i++) {
		const struct output_ref *ref = &b->refs[i];
		const char *target = b->unit[ref->target].name;

		if (b->unit[ref->target].passed) {
			bind_scope(b, ref->step);
			reader_error_at(&b->r, ref->at, "step '%s', whose output is used here, is "
					"passed over: its 'if' is false", target);
		}

		if (order_reaches(&b->after, rank, ref->step, ref->target, mark, (uint32_t)i + 1,
				  stack))
			continue;
		bind_scope(b, ref->step);
		reader_error_at(&b->r, ref->at, "it uses an output of step '%s' and is not after it: "
				"write after = [\"%s\"]", target, target);
	}
	free(rank);
	free(mark);
	free(stack);
}
