#include "core/base/base.h"
#include "core/base/json.h"
#include "core/plan/arena.h"
#include "core/plan/bind.h"
#include "core/plan/graph.h"
#include "core/plan/lost.h"
#include "core/plan/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
graph_free(struct graph *g)
{
	if (g)
		arena_free(g->own); /* g itself is in it */
}

uint32_t
graph_find_step(const struct graph *g, const char *name)
{
	for (uint32_t i = 0; i < g->n_steps; i++)
		if (!strcmp(g->steps[i].name, name))
			return i;
	return GRAPH_NO_STEP;
}

uint32_t *
graph_hide_parts(const struct graph *g, bool all)
{
	uint32_t *in = calloc(g->n_steps ? g->n_steps : 1, sizeof(*in));

	for (uint32_t i = 0; in && i < g->n_steps; i++)
		in[i] = GRAPH_NO_STEP;
	for (uint32_t i = 0; in && !all && i < g->n_steps; i++) {
		uint32_t members = g->steps[i].members;

		if (members <= GRAPH_LONG_JOIN || in[i] != GRAPH_NO_STEP)
			continue;
		for (uint32_t k = 1; k <= members; k++)
			in[i + k] = i;
	}
	return in;
}

int
graph_check_lost(const struct graph *g, const struct step *step, const struct schema_param *param,
		 const char *text, struct error *err)
{
	char host[DNS_NAME_MAX + 2], why[DNS_NAME_MAX + 300];

	if (!g->lost || step->tolerates_loss ||
	    (param->type != RESITE_T_ENDPOINT && param->type != RESITE_T_URL))
		return 0;
	value_host(param->type, text, host);
	if (!lost_site_has(g->lost, host, why, sizeof(why)))
		return 0;
	return error_set(err, E_INVALID, "must not depend on the site assumed lost: %s (if the step "
			 "can do without it, write tolerates_loss = true)", why);
}

/* The step of that name, looked for where it nearly always is first. */
static uint32_t
find_source(const struct graph *g, const struct step *step, const char *name)
{
	for (uint32_t i = 0; i < step->n_after; i++)
		if (!strcmp(g->steps[step->after[i]].name, name))
			return step->after[i];
	return graph_find_step(g, name);
}

struct asking {
	const struct graph *g;
	const struct step *step;
	graph_output_fn *output;
	void *ctx;
};

static const char *
ask_output(void *ctx, const struct cond *c)
{
	const struct asking *a = ctx;
	uint32_t i = find_source(a->g, a->step, c->step);

	return i == GRAPH_NO_STEP ? NULL : a->output(a->ctx, i, c->text);
}

int
graph_step_ifs(const struct graph *g, uint32_t step, graph_output_fn *output, void *ctx,
	       char why[ERROR_MAX], struct error *err)
{
	struct asking a = {g, &g->steps[step], output, ctx};
	struct strbuf text = STRBUF_INIT;
	int rc = 1;

	for (uint32_t i = 0; g->way != WAY_UNDO && !a.step->records && rc == 1 && i < a.step->n_ifs; i++) {
		const struct step_if *one = &a.step->ifs[i];
		enum cond_result is = cond_eval(one->cond, ask_output, &a, err);

		if (is == COND_TRUE)
			continue;
		rc = is == COND_FALSE ? 0 : E_INVALID;
		strbuf_addstr(&text, one->why);
		cond_tell(one->cond, ask_output, &a, &text);
		if (rc == 0)
			snprintf(why, ERROR_MAX, "%s", text.failed ? one->why : text.buf);
	}
	strbuf_release(&text);
	return rc;
}

struct filling {
	const struct graph *g;
	const struct step *step;
	const struct schema_param *param;
	graph_output_fn *output;
	void *ctx;
	struct error *err;
};

/* "STEP.OUTPUT" of len bytes: the output's value. */
static int
fill_ref(struct filling *f, const char *ref, size_t len, struct strbuf *out)
{
	char *copy = strndup(ref, len), *dot = copy ? strrchr(copy, '.') : NULL;
	const char *value = NULL;
	uint32_t i;
	int rc = 0;

	if (!copy)
		return error_set(f->err, E_NOMEM, "out of memory");
	if (!dot) {
		rc = error_set(f->err, E_CORRUPT, "parameter '%s': a bad template",
			       f->param->name);
	} else {
		*dot = '\0';
		i = find_source(f->g, f->step, copy);
		value = i == GRAPH_NO_STEP ? NULL : f->output(f->ctx, i, dot + 1);
		if (value)
			strbuf_addstr(out, value);
		else
			rc = error_set(f->err, E_INVALID, "parameter '%s' needs the output '%s' of "
				       "step '%s', which has not given it", f->param->name,
				       dot + 1, copy);
	}
	free(copy);
	return rc;
}

/* Templates hold only ${step.NAME.OUTPUT} and $$. */
static int
fill_template(struct filling *f, const char *text, struct strbuf *out)
{
	static const char open[] = "${step.";
	int rc = 0;

	while (rc == 0 && *text) {
		size_t plain = strcspn(text, "$");
		const char *close;

		strbuf_add(out, text, plain);
		text += plain;
		if (!*text)
			break;
		close = strncmp(text, open, sizeof(open) - 1) ? NULL : strchr(text, '}');
		if (close) {
			text += sizeof(open) - 1;
			rc = fill_ref(f, text, (size_t)(close - text), out);
			text = close + 1;
		} else {
			strbuf_addch(out, '$');
			text += text[1] == '$' ? 2 : 1;
		}
	}
	return rc;
}

static int
fill_value(struct filling *f, const json_t *value, struct strbuf *out)
{
	const char *template = json_str_or(value, "template", NULL);
	struct strbuf text = STRBUF_INIT;
	int rc;

	if (!template) {
		json_write(out, value);
		return 0;
	}
	rc = fill_template(f, template, &text);
	if (rc == 0 && text.failed)
		rc = error_set(f->err, E_NOMEM, "out of memory");
	if (rc == 0) {
		rc = value_to_json(f->param, text.buf, f->g->dir, out, f->err);
		if (rc == 0)
			rc = graph_check_lost(f->g, f->step, f->param, text.buf, f->err);
		if (rc < 0)
			error_prefix(f->err, "parameter '%s', filled with an output",
				     f->param->name);
	}
	strbuf_release(&text);
	return rc;
}

static int
fill_param(struct filling *f, const json_t *value, struct strbuf *out)
{
	const json_t *one;
	size_t i;
	int rc = 0;

	if (!json_is_array(value))
		return fill_value(f, value, out);
	strbuf_addch(out, '[');
	json_array_foreach(value, i, one) {
		if (i)
			strbuf_addch(out, ',');
		rc = fill_value(f, one, out);
		if (rc < 0)
			return rc;
	}
	strbuf_addch(out, ']');
	return 0;
}

static int
fill_params(struct filling *f, json_t *params, struct strbuf *out)
{
	const char *name, *comma = "";
	json_t *value;

	strbuf_addch(out, '{');
	json_object_foreach(params, name, value) {
		int rc;

		f->param = schema_param(f->step->action, name);
		if (!f->param)
			return error_set(f->err, E_CORRUPT, "an unknown parameter '%s'", name);
		strbuf_addf(out, "%s\"%s\":", comma, name);
		comma = ",";
		rc = fill_param(f, value, out);
		if (rc < 0)
			return rc;
	}
	strbuf_addch(out, '}');
	return 0;
}

int
graph_step_params(const struct graph *g, uint32_t step, graph_output_fn *output, void *ctx,
		  struct strbuf *out, struct error *err)
{
	struct filling f = {.g = g, .step = &g->steps[step], .output = output, .ctx = ctx,
			    .err = err};
	size_t len = out->len;
	json_t *params;
	int rc = 0;

	if (!f.step->deferred) {
		strbuf_addstr(out, f.step->params);
	} else {
		params = json_parse(f.step->params, strlen(f.step->params), err);
		rc = params ? fill_params(&f, params, out) : E_NOMEM;
		json_decref(params);
	}
	if (rc == 0 && out->failed)
		rc = error_set(err, E_NOMEM, "out of memory");
	if (rc < 0 && out->cap) {
		out->len = len;
		out->buf[len] = '\0';
	}
	return rc;
}
