/* Runbooks that steps do: what is handed down to them, and whether it fits. */
#include "core/base/base.h"
#include "core/plan/bind.h"

#include <string.h>

static const char open[] = "${arg.";

struct looking {
	void *ctx;
	bool (*each)(void *ctx, const config_setting_t *at, const char *name, size_t len);
};

/* false: enough. */
static bool
look_in(const struct looking *l, const config_setting_t *at)
{
	const char *text = setting_string(at), *close;
	unsigned n = at && !text && config_setting_is_aggregate(at) ?
		     (unsigned)config_setting_length(at) : 0;

	while (text && (text = strstr(text, open))) {
		text += sizeof(open) - 1;
		close = strchr(text, '}');
		if (close && !l->each(l->ctx, at, text, (size_t)(close - text)))
			return false;
	}
	for (unsigned i = 0; i < n; i++)
		if (!look_in(l, config_setting_get_elem(at, i)))
			return false;
	return true;
}

void
plan_each_arg(const struct plan_runbook *runbook, void *ctx,
	      bool (*each)(void *ctx, const config_setting_t *at, const char *name, size_t len))
{
	struct looking l = {ctx, each};

	for (size_t i = 0; i < runbook->n_steps; i++) {
		const struct plan_step *s = &runbook->steps[i];

		if ((s->with && !look_in(&l, s->with)) ||
		    (s->for_each && !look_in(&l, s->for_each)) ||
		    (s->cond && !look_in(&l, s->cond)))
			return;
	}
}

static bool
note_one(void *ctx, const config_setting_t *at, const char *name, size_t len)
{
	(void)at, (void)name, (void)len;
	*(bool *)ctx = true;
	return false;
}

bool
plan_has_args(const struct plan_runbook *runbook)
{
	bool any = false;

	plan_each_arg(runbook, &any, note_one);
	return any;
}

static bool
is_done_by_any(const struct plan *plan, const char *runbook)
{
	for (size_t i = 0; i < plan->n_runbooks; i++)
		for (size_t k = 0; k < plan->runbooks[i].n_steps; k++) {
			const struct plan_step *s = &plan->runbooks[i].steps[k];

			if (s->is_call && !strcmp(s->action, runbook))
				return true;
		}
	return false;
}

void
plan_check_calls(const struct plan *plan, const struct reader *r)
{
	for (size_t i = 0; i < plan->n_runbooks; i++) {
		const struct plan_runbook *runbook = &plan->runbooks[i];
		struct reader inner = *r;

		inner.outer = (struct scope){"runbook", runbook->name};
		if (plan_has_args(runbook) && !is_done_by_any(plan, runbook->name))
			reader_warn_at(&inner, runbook->at, "it uses ${arg...}, so only a step can "
				       "do it, and none does: it is not checked");
	}
}

/* --- one call ---------------------------------------------------------------- */

struct fitting { /* what is handed down, against what is used */
	struct binder *b;
	const struct plan_step *by;
	const struct plan_runbook *runbook;
	const char *want;        /* is this one used? */
	bool found;
	struct suggest *suggest;
};

/* An argument that is used must be handed down. */
static bool
is_handed_down(void *ctx, const config_setting_t *at, const char *name, size_t len)
{
	struct fitting *f = ctx;
	unsigned n = f->by->with ? (unsigned)config_setting_length(f->by->with) : 0;
	struct place use = reader_place(&f->b->r, at);

	for (unsigned i = 0; i < n; i++) {
		const char *key = config_setting_name(config_setting_get_elem(f->by->with, i));

		if (!strncmp(key, name, len) && !key[len])
			return true;
	}
	reader_error_at(&f->b->r, f->by->at, "runbook '%s' uses ${arg.%.*s} (%s:%u): write with = "
			"{ %.*s = ...; }", f->runbook->name, (int)len, name, use.file, use.line,
			(int)len, name);
	return true;
}

static bool
is_used(void *ctx, const config_setting_t *at, const char *name, size_t len)
{
	struct fitting *f = ctx;
	char copy[SUGGEST_WORD_MAX];

	(void)at;
	f->found = !strncmp(f->want, name, len) && !f->want[len];
	if (len < sizeof(copy)) {
		memcpy(copy, name, len);
		copy[len] = '\0';
		suggest_offer(f->suggest, copy);
	}
	return !f->found;
}

void
bind_check_args(struct binder *b, const struct plan_step *by, const struct plan_runbook *runbook)
{
	unsigned n = by->with ? (unsigned)config_setting_length(by->with) : 0;
	char text[SUGGEST_TEXT_MAX];
	struct suggest suggest;
	struct fitting f = {.b = b, .by = by, .runbook = runbook, .suggest = &suggest};

	plan_each_arg(runbook, &f, is_handed_down);
	for (unsigned i = 0; i < n; i++) {
		const config_setting_t *at = config_setting_get_elem(by->with, i);

		f.want = config_setting_name(at);
		f.found = false;
		suggest_init(&suggest, f.want);
		plan_each_arg(runbook, &f, is_used);
		if (!f.found)
			reader_error(&b->r, at, "runbook '%s' uses no ${arg.%s}%s", runbook->name,
				     f.want, suggest_text(&suggest, text));
	}
}
