#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/engine/failback.h"
#include "core/engine/rehearsal.h"
#include "core/engine/undo.h"
#include "core/run/durations.h"
#include "core/run/load.h"
#include "core/run/signed.h"
#include "core/run/undo_source.h"

#include <stdlib.h>
#include <string.h>

static int
open_schemas(struct loaded *l, const struct settings *settings, struct error *err)
{
	plan_text_init(&l->text);
	l->registry = registry_new(settings->worker_path,
				   (const char *const *)settings->plugin_dirs);
	l->schemas = l->registry ? schemas_new(l->registry) : NULL;
	return l->schemas ? 0 : error_set(err, E_NOMEM, "out of memory");
}

/* Names the sites that were not named. */
static void
default_sites(const struct plan *plan, struct bind_request *req)
{
	for (size_t i = 0; i < plan->n_sites; i++) {
		const char *name = plan->sites[i].name;

		if (!req->from && (!req->to || strcmp(name, req->to)))
			req->from = name;
		else if (!req->to && strcmp(name, req->from))
			req->to = name;
	}
}

/* The text in l becomes the graph in l. */
static int
bind_text(struct loaded *l, const struct bind_request *req, struct diags *d, struct error *err)
{
	struct schema_source source = schemas_source(l->schemas);
	struct bind_request full = *req;
	struct plan *plan = NULL;
	int rc = plan_load(&l->text, d, &plan);

	if (rc == 0) {
		default_sites(plan, &full);
		rc = graph_bind(plan, &full, &source, d, &l->graph);
	}
	plan_free(plan);
	if (rc == E_INVALID)
		error_set(err, rc, "the plan is not valid");
	else if (rc < 0)
		error_set(err, rc, "the plan: %s", error_name(rc));
	return rc;
}

int
load_plan(struct loaded *l, const struct settings *settings, const char *path,
	  const struct bind_request *req, struct diags *d, struct error *err)
{
	int rc = open_schemas(l, settings, err);

	if (rc < 0)
		return rc;
	rc = plan_read(path, &l->text, d);
	if (rc < 0)
		return error_set(err, rc, "%s cannot be used", path);
	rc = bind_text(l, req, d, err);
	if (rc == 0)
		signers_check(l->graph, d);
	return rc == 0 && d->errors ? error_set(err, E_INVALID, "the plan is not valid") : rc;
}

/* --- all directions ------------------------------------------------------ */

static int
check_one(struct loaded *l, const struct plan *plan, struct bind_request req, struct diags *d)
{
	struct schema_source source = schemas_source(l->schemas);
	struct graph *graph = NULL;
	int rc;

	default_sites(plan, &req);
	rc = graph_bind(plan, &req, &source, d, &graph);
	if (rc == 0)
		signers_check(graph, d);
	graph_free(graph);
	return rc == E_NOMEM ? rc : 0;
}

/* A runbook whose steps all leave a mode out is not meant for it. */
static bool
is_for_mode(const struct plan *plan, const char *runbook, int mode)
{
	const struct plan_runbook *r = plan_runbook(plan, runbook);
	bool any = false;

	for (size_t i = 0; r && i < r->n_steps; i++)
		any |= (r->steps[i].modes & MODE_BIT(mode)) != 0;
	return any || !r || !r->n_steps;
}

/* Does checking it in mode `other` tell all that it would tell in mode?  In disaster the same
 * steps are looked at as in planned, and the lost site besides; a rehearsal has something of
 * its own to tell only of steps that it carries out. */
static bool
is_told_in(const struct plan_runbook *r, int mode, int other)
{
	for (size_t i = 0; i < r->n_steps; i++) {
		const struct plan_step *s = &r->steps[i];

		if (s->is_call || (mode == RESITE_REHEARSAL && s->rehearse == REHEARSE_RUN) ||
		    !(s->modes & MODE_BIT(mode)) != !(s->modes & MODE_BIT(other)))
			return false;
	}
	return true;
}

/* One runbook in each mode that has something to tell, the others' first. */
static int
check_modes(struct loaded *l, const struct plan *plan, struct bind_request one, struct diags *d)
{
	static const int modes[] = {RESITE_DISASTER, RESITE_PLANNED, RESITE_REHEARSAL};
	const struct plan_runbook *r = plan_runbook(plan, one.runbook);
	int rc = 0;

	for (size_t i = 0; i < COUNT_OF(modes) && rc == 0; i++) {
		bool told = false;

		for (size_t k = 0; r && k < i; k++)
			told |= is_told_in(r, modes[i], modes[k]);
		one.mode = modes[i];
		if (!told && is_for_mode(plan, one.runbook, one.mode))
			rc = check_one(l, plan, one, d);
	}
	return rc;
}

/* One runbook in the mode that is asked for, or in each, and back. */
static int
check_runbook(struct loaded *l, const struct plan *plan, const struct bind_request *req,
	      struct diags *d)
{
	struct bind_request back = *req;
	int rc;

	if (req->mode)
		return check_one(l, plan, back, d);
	rc = check_modes(l, plan, *req, d);
	if (rc < 0 || req->from || req->to || plan->n_sites < 2 ||
	    !is_for_mode(plan, req->runbook, RESITE_PLANNED))
		return rc;
	back.mode = RESITE_PLANNED;
	back.from = plan->sites[1].name;
	back.to = plan->sites[0].name;
	return check_one(l, plan, back, d);
}

static int
check_all(struct loaded *l, const struct bind_request *req, struct diags *d)
{
	struct bind_request one = *req;
	struct plan *plan = NULL;
	int rc = plan_load(&l->text, d, &plan);

	if (rc == 0 && req->runbook)
		rc = check_runbook(l, plan, req, d);
	for (size_t i = 0; rc == 0 && !req->runbook && i < plan->n_runbooks; i++) {
		one.runbook = plan->runbooks[i].name;
		/* One that only a step can do is checked where that is done. */
		rc = plan_has_args(&plan->runbooks[i]) ? 0 : check_runbook(l, plan, &one, d);
	}
	plan_free(plan);
	return rc;
}

int
check_plan(const struct settings *settings, const char *path, const struct bind_request *req,
	   struct diags *d, struct error *err)
{
	struct loaded l = LOADED_INIT;
	int rc = open_schemas(&l, settings, err);

	if (rc == 0)
		rc = plan_read(path, &l.text, d);
	if (rc == 0)
		rc = check_all(&l, req, d);
	loaded_release(&l);
	return rc == E_NOMEM ? error_set(err, rc, "out of memory") : 0;
}

/* --- from a journal ------------------------------------------------------ */

struct loading {
	struct loaded *l;
	bool with_secrets;
	journal_event_fn *watch; /* or NULL */
	void *ctx;
};

/* The names in a JSON array, as bind_request wants them; *ret is to be freed. */
static int
read_only(const json_t *array, const char ***ret, size_t *ret_n)
{
	size_t n = json_array_size(array);
	const char **only = calloc(n ? n : 1, sizeof(*only));

	if (!only)
		return E_NOMEM;
	for (size_t i = 0; i < n; i++) {
		only[i] = json_string_value(json_array_get(array, i));
		if (!only[i])
			only[i] = "";
	}
	*ret = only;
	*ret_n = n;
	return 0;
}

/* An undo's parameters are those of the run that it undoes. */
static const char *
run_id_of(const json_t *first, const char *run)
{
	bool undo = way_parse(json_str_or(first, "way", NULL)) == WAY_UNDO;

	return undo ? json_str_or(first, "origin", run) : run;
}

static int
bind_first(struct loading *ld, const json_t *first, struct error *err)
{
	struct diags d = DIAGS_INIT;
	const char **only = NULL;
	struct bind_request req = {
		.runbook = json_str_or(first, "runbook", ""),
		.from = json_str_or(first, "from", ""),
		.to = json_str_or(first, "to", ""),
		.mode = mode_parse(json_str_or(first, "mode", "")),
		.run_id = run_id_of(first, ld->l->run),
		.may_switch = true,
		.skip_secrets = !ld->with_secrets,
	};
	int rc = read_only(json_object_get(first, "only"), &only, &req.n_only);

	if (rc < 0)
		return error_set(err, rc, "out of memory");
	req.only = req.n_only ? only : NULL;
	rc = bind_text(ld->l, &req, &d, err);
	if (rc == E_INVALID && d.len)
		error_set(err, rc, "the plan of run %s: %s:%u: %s", ld->l->run, d.item[0].file,
			  d.item[0].line, d.item[0].text);
	free(only);
	diags_release(&d);
	return rc;
}

/* What the run does with the graph. */
static int
bind_way(struct loaded *l, const json_t *first, struct error *err)
{
	const char *way = json_str_or(first, "way", way_name(WAY_RUN));

	switch (way_parse(way)) {
	case WAY_RUN:
		rehearsal_bind(l->graph, json_object_get(first, "rehearsal"));
		return 0;
	case WAY_UNDO:
		return undo_bind(l->graph, json_object_get(first, "undo"), err);
	case WAY_FAILBACK:
		failback_bind(l->graph, json_object_get(first, "failback"),
			      !strcmp(json_str_or(first, "diverged", ""), "leave"));
		return 0;
	default:
		return error_set(err, E_CORRUPT, "is of a run with the way '%s', which is not known "
				 "here", way);
	}
}

static int
start_fold(struct loading *ld, const json_t *first, struct error *err)
{
	struct loaded *l = ld->l;
	struct run_config config = {.jobs = (uint32_t)json_int_or(first, "jobs", 1)};
	int64_t *expected_ms = NULL;
	int rc;

	if (strcmp(json_str_or(first, "kind", ""), "run.started"))
		return error_set(err, E_CORRUPT, "is no run.started, with which a run begins");
	if (json_int_or(first, "format", 0) > JOURNAL_FORMAT)
		return error_set(err, E_CORRUPT, "was written by a newer resite (journal format %"
				 PRId64 ", this one knows %d): use that one",
				 json_int_or(first, "format", 0), JOURNAL_FORMAT);
	rc = plan_text_from_json(json_object_get(first, "text"), &l->text, err);
	if (rc == 0)
		rc = schemas_add_json(l->schemas, json_object_get(first, "plugins"), err);
	if (rc == 0)
		rc = bind_first(ld, first, err);
	if (rc == 0)
		rc = bind_way(l, first, err);
	if (rc < 0)
		return rc;
	rc = durations_from_json(json_object_get(first, "expected_ms"), l->graph->n_steps,
				 &expected_ms, err);
	if (rc < 0)
		return rc;
	l->first = json_incref((json_t *)(uintptr_t)first);
	config.weight_ms = expected_ms;
	l->state = run_state_new(l->graph, &config);
	free(expected_ms);
	return l->state ? 0 : error_set(err, E_NOMEM, "out of memory");
}

static int
fold_event(void *ctx, int64_t seq, const json_t *event, struct error *err)
{
	struct loading *ld = ctx;
	int64_t time_ms = clock_parse_utc(json_str_or(event, "time", ""));
	int rc = seq == 1 ? start_fold(ld, event, err) : 0;

	if (rc == 0)
		rc = run_state_apply(ld->l->state, event, time_ms, err);
	return rc < 0 || !ld->watch ? rc : ld->watch(ld->ctx, seq, event, err);
}

static int
read_run(struct loaded *l, const struct settings *settings, struct store *store, const char *run,
	 struct loading *ld, const char *without, struct error *err)
{
	struct journal_read how = {.without = without, .fn = fold_event, .ctx = ld};
	int rc = open_schemas(l, settings, err);

	if (rc < 0)
		return rc;
	l->run = strdup(run);
	if (!l->run)
		return error_set(err, E_NOMEM, "out of memory");
	rc = journal_read(store, run, &how, &l->end, err);
	if (rc == 0 && !l->state)
		rc = error_set(err, E_CORRUPT, "run %s has no events", run);
	return rc;
}

static int
read_good_run(struct loading *ld, const struct settings *settings, struct store *store,
	      const char *run, struct error *err)
{
	struct error why = {0};
	/* The fold counts undo records and does not look into them. */
	int rc = read_run(ld->l, settings, store, run, ld, "records", &why);

	/* What is not as it was written is never mended here, and nobody acts on it. */
	if (rc == E_CORRUPT)
		return error_set(err, rc, "%s; what can still be trusted: resite verify %s",
				 why.text, run);
	return rc < 0 ? error_set(err, rc, "%s", why.text) : 0;
}

int
load_run(struct loaded *l, const struct settings *settings, struct store *store, const char *run,
	 bool with_secrets, struct error *err)
{
	struct loading ld = {.l = l, .with_secrets = with_secrets};

	return read_good_run(&ld, settings, store, run, err);
}

int
load_run_watched(struct loaded *l, const struct settings *settings, struct store *store,
		 const char *run, journal_event_fn *watch, void *ctx, struct error *err)
{
	struct loading ld = {.l = l, .watch = watch, .ctx = ctx};

	return read_good_run(&ld, settings, store, run, err);
}

int
load_first(struct loaded *l, const struct settings *settings, const json_t *first,
	   struct error *err)
{
	struct loading ld = {.l = l, .with_secrets = true};
	int rc = open_schemas(l, settings, err);

	return rc < 0 ? rc : start_fold(&ld, first, err);
}

int
load_good_part(struct loaded *l, const struct settings *settings, struct store *store,
	       const char *run, struct error *err)
{
	struct loading ld = {.l = l};

	return read_run(l, settings, store, run, &ld, NULL, err);
}

int
load_check_word(const struct loaded *l, const json_t *word, struct error *err)
{
	struct bind_request req = {
		.runbook = l->graph->runbook, .from = l->graph->from, .to = l->graph->to,
		.mode = mode_parse(json_str_or(word, "mode", NULL)), .skip_secrets = true,
	};
	struct schema_source source = schemas_source(l->schemas);
	struct diags d = DIAGS_INIT;
	struct graph *graph = NULL;
	struct plan *plan = NULL;
	int rc = 0;

	if (strcmp(json_str_or(word, "kind", ""), "operator.mode"))
		return 0;
	rc = plan_load(&l->text, &d, &plan);
	if (rc == 0)
		rc = graph_bind(plan, &req, &source, &d, &graph);
	if (rc == E_INVALID && d.len)
		rc = error_set(err, E_REFUSED, "the plan cannot go on in mode %s: %s:%u: %s",
			       mode_name(req.mode), d.item[0].file, d.item[0].line, d.item[0].text);
	else if (rc < 0)
		error_set(err, rc, "the plan: %s", error_name(rc));
	graph_free(graph);
	plan_free(plan);
	diags_release(&d);
	return rc;
}

void
loaded_release(struct loaded *l)
{
	undo_source_free(l->source);
	run_state_free(l->state);
	graph_free(l->graph);
	schemas_free(l->schemas);
	registry_free(l->registry);
	plan_text_release(&l->text);
	json_decref(l->first);
	free(l->run);
	*l = (struct loaded)LOADED_INIT;
}

/* --- which run ----------------------------------------------------------- */

struct finding {
	const char *said;      /* NULL: the newest */
	char *found;           /* owned */
	size_t hits;
	bool exact;
	struct strbuf names;   /* those that fit */
};

static int
look_at(void *ctx, const char *run, int64_t last_seq)
{
	struct finding *f = ctx;

	(void)last_seq;
	if (f->exact || (f->said && strncmp(run, f->said, strlen(f->said))))
		return 0;
	f->exact = f->said && !strcmp(run, f->said);
	f->hits = f->said && !f->exact ? f->hits + 1 : 1;
	strbuf_addf(&f->names, "%s%s", f->names.len ? ", " : "", run);
	free(f->found);
	f->found = strdup(run);
	return f->found ? 0 : E_NOMEM;
}

int
find_run(struct store *store, const char *said, char **ret, struct error *err)
{
	struct finding f = {.said = said && strcmp(said, "last") ? said : NULL,
			    .names = STRBUF_INIT};
	int rc = store_list(store, look_at, &f, err);

	if (rc == E_NOMEM)
		error_set(err, rc, "out of memory");
	else if (rc == 0 && !f.hits)
		rc = f.said ? error_set(err, E_NOTFOUND, "there is no run %s (resite history "
					"lists them)", f.said) :
			      error_set(err, E_NOTFOUND, "there is no run yet");
	else if (rc == 0 && f.hits > 1)
		rc = error_set(err, E_INVALID, "'%s' fits more than one run: %s", f.said,
			       f.names.buf);
	if (rc == 0)
		*ret = f.found;
	else
		free(f.found);
	strbuf_release(&f.names);
	return rc;
}
