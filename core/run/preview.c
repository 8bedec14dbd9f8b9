#include "core/base/base.h"
#include "core/engine/decide.h"
#include "core/run/clean.h"
#include "core/run/plugins.h"
#include "core/run/preview.h"
#include "core/run/secret_answer.h"
#include "core/run/undo_source.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct previewing {
	uv_loop_t loop;
	uv_idle_t feed;            /* starts probes from inside the loop */
	uv_signal_t on_int;
	struct loaded *l;
	const struct settings *settings;
	struct plugins *plugins;
	struct preview *out;
	struct probing **probing;  /* by step; NULL: none open */
	struct redact secrets;
	size_t max_changes;
	uint32_t next, open;       /* the next step to look at; probes under way */
};

/* One probe under way. */
struct probing {
	struct previewing *p;
	struct attempt *attempt;
	struct undo_cursor cursor; /* a revert: which records it has been given */
	json_t *touched;           /* a failback: names of the objects looked at; or NULL */
	bool since;                /* a failback: it now looks for what was created since */
	uint32_t step;
};

/* What an attempt is made of; since: the step in its own direction, whatever it reverts. */
static struct step_source
source_of(const struct loaded *l, uint32_t step, bool since)
{
	return since ? (struct step_source){l->graph, NULL, step, GRAPH_NO_STEP}
		     : undo_source_of(l, step);
}

static struct preview_step *
result_of(struct probing *b)
{
	return &b->p->out->step[b->step];
}

static void
fail(struct previewing *p, uint32_t step, const char *text)
{
	struct preview_step *r = &p->out->step[step];

	r->kind = PREVIEW_FAILED;
	free(r->text);
	r->text = clean_text(&p->secrets, text);
	p->out->failed++;
}

/* --- what the probe says ------------------------------------------------- */

static void
on_state(struct probing *b, const json_t *msg)
{
	struct finding found = {.told = json_bool_or(msg, "told", false),
				.changes = (uint64_t)json_int_or(msg, "changes", 0),
				.total = (uint64_t)json_int_or(msg, "total", 0)};
	struct preview_step *r = result_of(b);
	char why[ERROR_MAX];

	if (b->since)
		return;
	r->kind = found.told ? PREVIEW_TOLD : PREVIEW_UNTOLD;
	if (found.told) {
		r->now = strdup(json_str_or(msg, "now", ""));
		r->fingerprint = strdup(json_str_or(msg, "fingerprint", ""));
		r->changes = found.changes;
		r->total = found.total;
		b->p->out->changes += r->changes;
	}
	if (!decide_expected(&b->p->l->graph->steps[b->step], &found, why)) {
		r->refused = strdup(why);
		b->p->out->refused++;
	}
}

static void
on_change(struct probing *b, const json_t *msg)
{
	static const char *const keys[] = {"object", "was", "will_be"};
	struct preview_step *r = result_of(b);
	json_t *change, **list = b->since ? &r->created : &r->change;

	if (b->since && json_object_get(b->touched, json_str_or(msg, "object", "")))
		return;
	if (b->since) {
		r->n_created++;
		b->p->out->created++;
	}
	if (json_array_size(*list) >= b->p->max_changes)
		return;
	if (!*list)
		*list = json_array();
	change = json_object();
	for (size_t i = 0; change && i < COUNT_OF(keys); i++)
		json_object_set(change, keys[i], json_object_get(msg, keys[i]));
	json_array_append_new(*list, change);
}

static void
on_loss(struct probing *b, const json_t *msg)
{
	struct preview_step *r = result_of(b);

	if (b->since)
		return;
	if (!r->losses)
		r->losses = json_array();
	json_array_append(r->losses, json_object_get(msg, "text"));
}

/* A look at an undo record's object found it like this. */
static void
take_item(struct probing *b, const json_t *item)
{
	struct preview_step *r = result_of(b);
	bool conflict = strcmp(json_str_or(item, "result", ""), "put_back") != 0;

	if (b->touched)
		json_object_set_new_nocheck(b->touched, json_str_or(item, "object", ""), json_true());
	if (conflict) {
		if (!r->conflicts)
			r->conflicts = json_array();
		json_array_append(r->conflicts, (json_t *)(uintptr_t)item);
		b->p->out->conflicts++;
		return;
	}
	r->changes++;
	b->p->out->changes++;
	if (json_array_size(r->change) >= b->p->max_changes)
		return;
	if (!r->change)
		r->change = json_array();
	json_array_append_new(r->change, json_pack("{s:O, s:O, s:O}", "object",
						   json_object_get(item, "object"), "was",
						   json_object_get(item, "now"), "will_be",
						   json_object_get(item, "was")));
}

static void
on_reverted(struct probing *b, const json_t *msg)
{
	const json_t *items = json_object_get(msg, "items"), *item;
	size_t i;

	result_of(b)->already += (uint64_t)json_int_or(msg, "already", 0);
	json_array_foreach(items, i, item)
		take_item(b, item);
}

static void
on_pull(struct probing *b, const json_t *msg)
{
	uint32_t records = undo_source_of(b->p->l, b->step).records;
	int64_t id = json_int_or(msg, "id", 0);
	struct error err = {E_INVALID, "this puts nothing back"};
	struct strbuf batch = STRBUF_INIT;

	if (records != GRAPH_NO_STEP &&
	    undo_cursor_next(b->p->l->source, records, &b->cursor, &batch, &err) == 0)
		attempt_records(b->attempt, id, batch.buf, batch.len);
	else
		attempt_no_records(b->attempt, id, RESITE_ERR_REFUSED, err.text);
	strbuf_release(&batch);
}

static void
on_secret(struct probing *b, const json_t *msg)
{
	struct step_source from = source_of(b->p->l, b->step, b->since);

	/* Without it the probe fails, and says so. */
	secret_answer(b->attempt, msg, from.graph, &from.graph->steps[from.step], &b->p->secrets,
		      NULL);
}

static void
on_message(void *ctx, const json_t *msg, const char *line, size_t len)
{
	static const struct {
		const char *kind;
		void (*handle)(struct probing *, const json_t *);
	} handlers[] = {
		{"change", on_change}, {"state", on_state}, {"loss", on_loss}, {"secret", on_secret},
		{"reverted", on_reverted}, {"pull", on_pull},
	};
	struct probing *b = ctx;
	json_t *clean = clean_message(&b->p->secrets, msg, line, len);
	const char *kind = json_str_or(clean, "kind", "");

	for (size_t i = 0; i < COUNT_OF(handlers); i++)
		if (!strcmp(handlers[i].kind, kind))
			handlers[i].handle(b, clean);
	json_decref(clean);
}

/* A probe has nothing to undo; were there records, nothing would be done with them. */
static void
on_undo(void *ctx, const struct undo_line *undo)
{
	(void)ctx;
	(void)undo;
}

static void
on_log(void *ctx, const char *line)
{
	(void)ctx;
	(void)line;
}

static void on_feed(uv_idle_t *idle);
static int start(struct previewing *p, struct probing *b, struct error *err);

/* Whether a step that only changes the world comes before i and is of i's plugin: what i's
 * probe asks for may be what that one makes. */
static const struct step *
maker_before(const struct graph *g, uint32_t i)
{
	const struct step *s = &g->steps[i];

	for (uint32_t k = 0; k < s->n_after; k++) {
		const struct step *before = &g->steps[s->after[k]];

		if (before->plugin == s->plugin && before->action->has & SCHEMA_HAS_APPLY &&
		    before->modes & MODE_BIT(g->mode))
			return before;
	}
	return NULL;
}

static void
judge_failure(struct probing *b, const char *text)
{
	struct preview_step *r = result_of(b);
	const struct step *before = maker_before(b->p->l->graph, b->step);

	if (b->since) {
		r->since_why = clean_text(&b->p->secrets, text);
		return;
	}
	if (!before || b->p->l->graph->steps[b->step].records) {
		fail(b->p, b->step, text);
		return;
	}
	r->kind = PREVIEW_LATER;
	r->later = before->name;
	free(r->text);
	r->text = clean_text(&b->p->secrets, text);
}

/* A failback whose look is done looks for what its origin has not touched. */
static bool
wants_since(struct probing *b)
{
	const struct graph *g = b->p->l->graph;
	const struct step *s = &g->steps[b->step];

	return g->way == WAY_FAILBACK && s->records && !b->since && !s->deferred &&
	       s->action->has & SCHEMA_HAS_PROBE && result_of(b)->kind == PREVIEW_REVERT;
}

static void
forget(struct probing *b)
{
	b->p->probing[b->step] = NULL;
	b->p->open--;
	uv_idle_start(&b->p->feed, on_feed);
	undo_cursor_release(&b->cursor);
	json_decref(b->touched);
	free(b);
}

static void
on_ended(void *ctx, const struct attempt_end *end)
{
	struct probing *b = ctx;
	struct error err = {0};

	if (end->outcome != ATTEMPT_CLEAN || end->rc != RESITE_OK)
		judge_failure(b, end->outcome == ATTEMPT_CLEAN ? end->text : end->why);
	if (wants_since(b)) {
		b->since = true;
		if (start(b->p, b, &err) == 0)
			return;
		judge_failure(b, err.text);
	}
	forget(b);
}

static const struct attempt_events attempt_events = {
	.message = on_message, .undo = on_undo, .log = on_log, .ended = on_ended};

/* --- starting ------------------------------------------------------------ */

static int
write_spec(const struct probing *b, struct strbuf *line, struct error *err)
{
	const struct loaded *l = b->p->l;
	const struct step *step = &l->graph->steps[b->step];
	struct step_source from = source_of(l, b->step, b->since);
	struct strbuf text = STRBUF_INIT;
	json_t *params = NULL;
	int rc = graph_step_params(from.graph, from.step, run_state_output,
				   (struct run_state *)(uintptr_t)from.state, &text, err);

	if (rc == 0)
		params = json_parse(text.buf, text.len, err);
	strbuf_release(&text);
	if (!params)
		return rc < 0 ? rc : E_INVALID;
	protocol_write_attempt(line, &(struct attempt_spec){
		.run = "preview",
		.step = step->name,
		.action = step->action->name,
		.attempt = 1,
		.mode = l->graph->mode,
		.timeout_ms = step->timeout_ms,
		.params = params,
		.phases = PHASES_PREVIEW,
		.revert = from.records == GRAPH_NO_STEP ? 0 : RESITE_LOOK,
		.n_records = step->records,
	});
	json_decref(params);
	return line->failed ? error_set(err, E_NOMEM, "out of memory") : 0;
}

static int
start(struct previewing *p, struct probing *b, struct error *err)
{
	const struct step *step = &p->l->graph->steps[b->step];
	struct strbuf line = STRBUF_INIT;
	struct nursery *nursery;
	int rc = write_spec(b, &line, err);

	if (rc == 0)
		rc = plugins_nursery(p->plugins, step->plugin, &nursery, err);
	if (rc == 0)
		rc = attempt_start(nursery, line.buf, line.len, NULL, step->timeout_ms, &attempt_events, b,
				   &b->attempt, err);
	strbuf_release(&line);
	return rc;
}

static int
open_probing(struct previewing *p, uint32_t i, struct error *err)
{
	const struct graph *g = p->l->graph;
	struct probing *b = calloc(1, sizeof(*b));
	int rc;

	if (!b)
		return error_set(err, E_NOMEM, "out of memory");
	*b = (struct probing){.p = p, .step = i};
	if (g->way == WAY_FAILBACK && g->steps[i].records)
		b->touched = json_object();
	rc = start(p, b, err);
	if (rc < 0) {
		json_decref(b->touched);
		free(b);
		return rc;
	}
	p->probing[i] = b;
	p->open++;
	return 0;
}

/* What can be said of a step without running it; FAILED stands for "must be run". */
static enum preview_kind
kind_of(const struct graph *g, const struct step *step)
{
	if (step->pass_why)
		return PREVIEW_PASSED;
	if (step->records)
		return PREVIEW_REVERT;
	if (!(step->modes & MODE_BIT(g->mode)))
		return PREVIEW_PASSED;
	if (step->builtin)
		return !strcmp(step->action->name, "approve") ? PREVIEW_PERSON : PREVIEW_JOIN;
	if (g->mode == RESITE_REHEARSAL && step->rehearse == REHEARSE_SKIP)
		return PREVIEW_JOIN;
	if (step->deferred)
		return PREVIEW_LATER;
	if (step->action->has & SCHEMA_HAS_PROBE)
		return PREVIEW_FAILED;
	return step->action->has & SCHEMA_HAS_APPLY ? PREVIEW_NO_PROBE : PREVIEW_READS;
}

static void
begin(struct previewing *p, uint32_t i)
{
	const struct step *step = &p->l->graph->steps[i];
	struct preview_step *r = &p->out->step[i];
	struct error err = {0};

	r->kind = kind_of(p->l->graph, step);
	r->total = step->records;
	r->reverts = step->records > 0;
	if (r->kind == PREVIEW_PASSED)
		r->text = strdup(step->pass_why ? step->pass_why : "mode");
	if ((r->kind == PREVIEW_FAILED || r->kind == PREVIEW_REVERT) && open_probing(p, i, &err) < 0)
		fail(p, i, err.text);
}

static void
on_feed(uv_idle_t *idle)
{
	struct previewing *p = idle->data;
	const struct graph *g = p->l->graph;

	while (p->next < g->n_steps && p->open < p->settings->jobs) {
		uint32_t i = p->next++;

		begin(p, i);
	}
	uv_idle_stop(idle);
	if (p->next == g->n_steps && !p->open)
		uv_stop(&p->loop);
}

static void
on_signal(uv_signal_t *handle, int signum)
{
	struct previewing *p = handle->data;

	(void)signum;
	p->next = p->l->graph->n_steps;
	for (uint32_t i = 0; i < p->l->graph->n_steps; i++)
		if (p->probing[i])
			attempt_cancel(p->probing[i]->attempt, "interrupted");
	uv_idle_start(&p->feed, on_feed);
}

static void
on_plugin_log(void *ctx, const char *plugin, const char *text)
{
	(void)ctx;
	(void)plugin;
	(void)text;
}

static void
close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static int
probe_all(struct previewing *p, struct error *err)
{
	uint32_t n = p->l->graph->n_steps;

	p->out->step = calloc(n ? n : 1, sizeof(*p->out->step));
	p->probing = calloc(n ? n : 1, sizeof(struct probing *));
	p->plugins = plugins_new(&p->loop, p->l->registry, p->l->graph, -1, on_plugin_log, p);
	if (!p->out->step || !p->probing || !p->plugins)
		return error_set(err, E_NOMEM, "out of memory");
	p->out->n_steps = n;
	signal(SIGPIPE, SIG_IGN);
	uv_idle_init(&p->loop, &p->feed);
	uv_signal_init(&p->loop, &p->on_int);
	p->feed.data = p->on_int.data = p;
	uv_signal_start(&p->on_int, on_signal, SIGINT);
	uv_idle_start(&p->feed, on_feed);
	uv_run(&p->loop, UV_RUN_DEFAULT);
	return 0;
}

int
preview_run(struct loaded *l, const struct settings *settings, size_t max_changes,
	    struct preview **ret, struct error *err)
{
	struct previewing p = {.l = l, .settings = settings, .max_changes = max_changes};
	int rc = uv_loop_init(&p.loop);

	if (rc < 0)
		return error_set(err, E_IO, "the event loop: %s", uv_strerror(rc));
	p.out = calloc(1, sizeof(*p.out));
	rc = p.out ? probe_all(&p, err) : error_set(err, E_NOMEM, "out of memory");
	plugins_free(p.plugins);
	uv_run(&p.loop, UV_RUN_NOWAIT);
	uv_walk(&p.loop, close_handle, NULL);
	while (uv_run(&p.loop, UV_RUN_DEFAULT))
		;
	uv_loop_close(&p.loop);
	free(p.probing);
	redact_release(&p.secrets);
	if (rc < 0)
		preview_free(p.out);
	else
		*ret = p.out;
	return rc;
}

void
preview_free(struct preview *preview)
{
	if (!preview)
		return;
	for (uint32_t i = 0; i < preview->n_steps; i++) {
		struct preview_step *r = &preview->step[i];

		free(r->now);
		free(r->fingerprint);
		free(r->text);
		free(r->refused);
		json_decref(r->change);
		json_decref(r->losses);
		json_decref(r->conflicts);
		json_decref(r->created);
		free(r->since_why);
	}
	free(preview->step);
	free(preview);
}
