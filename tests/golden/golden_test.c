/* Golden cases of the scheduler and of the fold: tests/golden/sched/NAME/.
 *
 *	why       one sentence: what the case protects
 *	plan      a plan; its plugin is `t` (fake.h), its runbook `move`
 *	case      optional lines KEY VALUE: from, to, mode, jobs, only (a workload),
 *	          weight STEP MS, put-back STEP RECORDS (then it is a failback),
 *	          diverged leave, previewed STEP FINGERPRINT CHANGES TOTAL; of an undo:
 *	          records STEP N (which its run has written), pass STEP WHY
 *	events    lines TIME WORD [STEP] [KEY=VALUE …]; text= takes the rest of the line.
 *	          Words of a worker: ok transient conflict refused invalid bug cancelled
 *	          unknown [retry_after= text=]; probed [told=no changes= total= now= fingerprint=],
 *	          undo [records=], checkpoint [name= data=], output [name= value=],
 *	          reverted [put_back= already= conflicts=].
 *	          Words of a person: approve retry skip by-hand [actor=], pause, stop
 *	          [now=1], continue.
 *	          lost: the orchestrator is killed, a new one resumes; cut: killed before its
 *	          last commit, so what it had queued is gone; resume: after it had ended; time: only time goes on; raw JSON: an event as it stands.
 * and what must come out of it:
 *	schedule  each decision and refusal, with its virtual time; and what a step gets
 *	          whose parameters wait for outputs of others
 *	journal   the events
 *	summary   what became of the run and of each step
 *
 * golden_test [NAME…]; GOLDEN_UPDATE=1 writes what comes out now. */
#include "core/base/base.h"
#include "core/engine/failback.h"
#include "core/engine/undo.h"
#include "core/plan/mode.h"
#include "core/plan/plan.h"
#include "tests/golden/fake.h"
#include "tests/golden/vrun.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES (1 << 20)
#define ONLY_MAX 8

struct golden {
	const char *dir, *name;    /* tests/golden/sched, and the case's folder in it */
	struct strbuf text[3];     /* of case, events and why: words point into it */
	const char *from, *to, *only[ONLY_MAX];
	size_t n_only;
	int mode;
	uint32_t jobs;
	json_t *previewed;         /* of run.started; or NULL */
	json_t *put_back;          /* of failback_decide; NULL: it is no failback */
	bool agreed;               /* --diverged leave */
	char *weights;             /* lines of the case file that give weights */
	char *undo;                /* likewise: what an undo does with each step; or NULL */
	struct graph *graph;
	int64_t *weight_ms;
	char **refusal;            /* of each step: why its open attempt was told to stop */
	struct vrun run;
	struct strbuf schedule, journal, summary;
	bool failed;
};

/* --- reading ------------------------------------------------------------- */

static void
fail(struct golden *g, const char *what, const char *why)
{
	printf("FAIL %s: %s: %s\n", g->name, what, why);
	g->failed = true;
}

static void
path_of(const struct golden *g, const char *file, char path[4096])
{
	snprintf(path, 4096, "%s/%s/%s", g->dir, g->name, file);
}

static bool
read_text(struct golden *g, const char *file, bool must, struct strbuf *ret)
{
	struct error err = {0};
	char path[4096];

	path_of(g, file, path);
	if (strbuf_read_file(ret, path, FILE_MAX_BYTES, &err) == 0)
		return true;
	if (must)
		fail(g, file, err.text);
	return false;
}

/* The next line that says something; NULL after the last.  Cuts the text. */
static char *
next_line(char **text)
{
	char *line;

	while ((line = strsep(text, "\n")))
		if (*line && *line != '#')
			return line;
	return NULL;
}

/* STEP FINGERPRINT CHANGES TOTAL */
static void
read_previewed(struct golden *g, char *line)
{
	const char *step = strsep(&line, " "), *fingerprint = strsep(&line, " ");
	const char *changes = strsep(&line, " ");

	if (!line) {
		fail(g, "case: previewed", step);
		return;
	}
	if (!g->previewed)
		g->previewed = json_pack("{s:s, s:{}}", "made", "then", "steps");
	json_object_set_new(json_object_get(g->previewed, "steps"), step,
			    json_pack("{s:s, s:s, s:i, s:i}", "now", "as it was", "fingerprint",
				      fingerprint, "changes", atoi(changes), "total", atoi(line)));
}

/* STEP RECORDS */
static void
read_put_back(struct golden *g, char *line)
{
	const char *step = strsep(&line, " ");

	if (!g->put_back)
		g->put_back = json_array();
	json_array_append_new(g->put_back, json_pack("{s:s, s:i}", "step", step, "records",
						     line ? atoi(line) : 0));
}

static void
read_key(struct golden *g, char *line)
{
	const char *key = strsep(&line, " ");

	if (!line)
		fail(g, "case: no value", key);
	else if (!strcmp(key, "from"))
		g->from = line;
	else if (!strcmp(key, "to"))
		g->to = line;
	else if (!strcmp(key, "mode"))
		g->mode = mode_parse(line);
	else if (!strcmp(key, "jobs"))
		g->jobs = (uint32_t)atoi(line);
	else if (!strcmp(key, "previewed"))
		read_previewed(g, line);
	else if (!strcmp(key, "put-back"))
		read_put_back(g, line);
	else if (!strcmp(key, "diverged"))
		g->agreed = !strcmp(line, "leave");
	else if (!strcmp(key, "only") && g->n_only < ONLY_MAX)
		g->only[g->n_only++] = line;
	else
		fail(g, "case: unknown key", key);
}

/* Weights need the graph, so they are read a second time. */
static void
read_case(struct golden *g)
{
	char *rest = g->text[0].buf, *line;
	struct strbuf weights = STRBUF_INIT, undo = STRBUF_INIT;

	while ((line = next_line(&rest)))
		if (!strncmp(line, "weight ", 7))
			strbuf_addf(&weights, "%s\n", line + 7);
		else if (!strncmp(line, "records ", 8) || !strncmp(line, "pass ", 5))
			strbuf_addf(&undo, "%s\n", line);
		else
			read_key(g, line);
	g->weights = strbuf_detach(&weights);
	g->undo = undo.len ? strbuf_detach(&undo) : NULL;
}

static void
read_weights(struct golden *g)
{
	char *rest = g->weights, *line;

	g->weight_ms = calloc(g->graph->n_steps + 1, sizeof(*g->weight_ms));
	for (uint32_t i = 0; i < g->graph->n_steps; i++)
		g->weight_ms[i] = 1;
	while (rest && (line = next_line(&rest))) {
		uint32_t step = graph_find_step(g->graph, strsep(&line, " "));

		if (step == GRAPH_NO_STEP || !line)
			fail(g, "case", "weight of an unknown step");
		else
			g->weight_ms[step] = atoll(line);
	}
}

/* "records STEP N" or "pass STEP WHY", in any order. */
static void
read_undo_line(struct golden *g, json_t *decided, char *line)
{
	const char *key = strsep(&line, " "), *name = strsep(&line, " ");
	uint32_t step = name ? graph_find_step(g->graph, name) : GRAPH_NO_STEP;

	if (step == GRAPH_NO_STEP || !line)
		fail(g, "case", "an undo of an unknown step");
	else
		json_object_set_new(json_array_get(decided, step), *key == 'r' ? "records" : "why",
				    *key == 'r' ? json_integer(atoll(line)) : json_string(line));
}

/* The graph of a run becomes that of its undo. */
static void
bind_undo(struct golden *g)
{
	char *rest = g->undo, *line;
	json_t *decided = json_array();
	struct error err = {0};

	for (uint32_t i = 0; i < g->graph->n_steps; i++)
		json_array_append_new(decided, json_pack("{s:s}", "step", g->graph->steps[i].name));
	while ((line = next_line(&rest)))
		read_undo_line(g, decided, line);
	if (undo_bind(g->graph, decided, &err) < 0)
		fail(g, "undo", err.text);
	json_decref(decided);
}

static void
bind(struct golden *g)
{
	struct plan_text text;
	struct plan *plan = NULL;
	struct diags d = DIAGS_INIT;
	struct strbuf said = STRBUF_INIT;
	char path[4096];

	plan_text_init(&text);
	path_of(g, "plan", path);
	if (plan_read(path, &text, &d) == 0 && plan_load(&text, &d, &plan) == 0)
		graph_bind(plan, &(struct bind_request){.runbook = "move", .from = g->from,
							.to = g->to, .mode = g->mode,
							.only = g->n_only ? g->only : NULL,
							.n_only = g->n_only,
							.may_switch = true},
			   &fake_source, &d, &g->graph);
	if (!g->graph) {
		diags_print(&d, &said);
		fail(g, "plan", said.buf);
	}
	if (g->graph && g->put_back)
		failback_bind(g->graph, g->put_back, g->agreed);
	if (g->graph && g->undo)
		bind_undo(g);
	strbuf_release(&said);
	plan_free(plan);
	plan_text_release(&text);
	diags_release(&d);
}

/* --- words --------------------------------------------------------------- */

/* One line of `events`, in pieces. */
struct word {
	const char *word, *step; /* step: "" when there is none */
	char *args;              /* the rest, or NULL */
};

/* Puts the arguments KEY=VALUE into event; numbers stay numbers, but for the value of an
 * output, which is a text. */
static void
put_args(struct golden *g, char *args, json_t *event)
{
	while (args && *args) {
		bool text = !strncmp(args, "text=", 5), number;
		char *value = text ? args : strsep(&args, " "), *end;
		const char *key = strsep(&value, "=");
		long long n;

		if (text)
			args = NULL;
		if (!value) {
			fail(g, "events: no value", key);
			return;
		}
		if (!strcmp(key, "retry_after"))
			key = "retry_after_ms";
		n = strtoll(value, &end, 10);
		number = *value && !*end && strcmp(key, "value");
		json_object_set_new(event, key, number ? json_integer(n) : json_string(value));
	}
}

static json_t *
attempt_event(struct golden *g, const char *kind, const char *step)
{
	uint32_t i = graph_find_step(g->graph, step);
	json_t *event = event_new(kind, step);

	json_object_set_new(event, "attempt", json_integer(i == GRAPH_NO_STEP ? 0 :
					    sched_attempts(g->run.state->sched, i)));
	return event;
}

static void
refused(struct golden *g, const char *what, const struct error *err)
{
	strbuf_addf(&g->schedule, "%" PRId64 " %s: %s\n", g->run.now_ms - VRUN_EPOCH_MS, what,
		    err->text);
}

static void
send(struct golden *g, json_t *event)
{
	struct error err = {0};

	if (!vrun_event(&g->run, event, &err))
		refused(g, "misfit", &err);
}

/* As core/run decides the outcome: who was told to stop and did so is refused. */
static void
say_ended(struct golden *g, const struct word *w)
{
	json_t *event = attempt_event(g, "attempt.ended", w->step);
	uint32_t i = graph_find_step(g->graph, w->step);
	const char *outcome = w->word;

	put_args(g, w->args, event);
	if (i != GRAPH_NO_STEP && g->refusal[i]) {
		if (!strcmp(outcome, "ok"))
			outcome = "refused";
		json_object_set_new(event, "text", json_string(g->refusal[i]));
		free(g->refusal[i]);
		g->refusal[i] = NULL;
	}
	json_object_set_new(event, "outcome", json_string(outcome));
	send(g, event);
}

static void
say_probed(struct golden *g, const struct word *w)
{
	json_t *event = attempt_event(g, "attempt.probed", w->step);
	uint32_t i = graph_find_step(g->graph, w->step);
	struct finding found;
	const char *decision;
	char why[ERROR_MAX] = "";

	put_args(g, w->args, event);
	found.told = !json_object_get(event, "told");
	json_object_set_new(event, "told", json_boolean(found.told));
	found.changes = (uint64_t)json_int_or(event, "changes", 0);
	found.total = (uint64_t)json_int_or(event, "total", 0);
	found.now = json_str_or(event, "now", "");
	found.fingerprint = json_str_or(event, "fingerprint", "");
	if (i != GRAPH_NO_STEP) {
		decision = decide_after_probe(g->run.state, i, &found, why);
		json_object_set_new(event, "decision", json_string(decision));
		strbuf_addf(&g->schedule, "%" PRId64 " %s: %s%s%s\n",
			    g->run.now_ms - VRUN_EPOCH_MS, w->step, decision, *why ? ": " : "",
			    why);
		if (*why)
			g->refusal[i] = strdup(why);
	}
	send(g, event);
}

static void
say_undo(struct golden *g, const struct word *w)
{
	json_t *event = attempt_event(g, "attempt.undo", w->step), *list = json_array();
	int64_t n;

	put_args(g, w->args, event);
	n = json_int_or(event, "records", 1);
	for (int64_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:i}", "version", 1));
	json_object_set_new(event, "n", json_integer(n));
	json_object_set_new(event, "records", list);
	send(g, event);
}

static void
say_reverted(struct golden *g, const struct word *w)
{
	json_t *event = attempt_event(g, "attempt.reverted", w->step), *list = json_array();
	int64_t n;

	put_args(g, w->args, event);
	n = json_int_or(event, "conflicts", 0);
	for (int64_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "result", "conflict", "object",
						      "somebody"));
	json_object_set_new(event, "conflicts", list);
	send(g, event);
}

static void
say_note(struct golden *g, const struct word *w)
{
	char kind[64];
	json_t *event;

	snprintf(kind, sizeof(kind), "attempt.%s", w->word);
	event = attempt_event(g, kind, w->step);
	put_args(g, w->args, event);
	send(g, event);
}

static void
say_person(struct golden *g, const struct word *w)
{
	struct error err = {0};
	char kind[64];
	json_t *event;

	snprintf(kind, sizeof(kind), "operator.%s", w->word);
	event = json_pack("{s:s, s:s, s:s*, s:s}", "kind", kind, "actor", "ann", "step",
			  *w->step ? w->step : NULL, "reason", "test");
	put_args(g, w->args, event);
	if (json_object_get(event, "now"))
		json_object_set_new(event, "now", json_true());
	if (!vrun_word(&g->run, event, &err))
		refused(g, err.code ? "refused" : "said", &err);
}

/* The journal's end is all that is left of the attempts' refusals, too. */
static void
say_resume(struct golden *g, const struct word *w)
{
	struct error err = {0};

	for (uint32_t i = 0; i < g->graph->n_steps; i++) {
		free(g->refusal[i]);
		g->refusal[i] = NULL;
	}
	strbuf_addf(&g->schedule, "%" PRId64 " %s\n", g->run.now_ms - VRUN_EPOCH_MS, w->word);
	if (!strcmp(w->word, "cut") ? !vrun_cut(&g->run, &err) : !vrun_resume(&g->run, &err))
		refused(g, "refused", &err);
}

static void
say_time(struct golden *g, const struct word *w)
{
	(void)g;
	(void)w;
}

static const struct {
	const char *word;
	void (*say)(struct golden *, const struct word *);
} words[] = {
	{"ok", say_ended},         {"transient", say_ended}, {"conflict", say_ended},
	{"refused", say_ended},    {"invalid", say_ended},   {"bug", say_ended},
	{"cancelled", say_ended},  {"unknown", say_ended},   {"probed", say_probed},
	{"reverted", say_reverted},
	{"undo", say_undo},        {"checkpoint", say_note}, {"output", say_note},
	{"approve", say_person},   {"retry", say_person},    {"skip", say_person},
	{"by-hand", say_person},   {"stop", say_person},     {"continue", say_person},
	{"pause", say_person},     {"mode", say_person},     {"cut", say_resume},
	{"lost", say_resume},      {"resume", say_resume},   {"time", say_time},
};

static void
say_raw(struct golden *g, const char *text)
{
	struct error err = {0};
	json_t *event = json_parse(text, strlen(text), &err);

	if (event)
		send(g, event);
	else
		fail(g, "events: raw", err.text);
}

/* TIME WORD [STEP] [ARGS] */
static void
say(struct golden *g, char *line)
{
	const char *time = strsep(&line, " ");
	struct word w = {.word = strsep(&line, " "), .step = ""};

	vrun_until(&g->run, VRUN_EPOCH_MS + atoll(time));
	if (!w.word) {
		fail(g, "events: no word at", time);
		return;
	}
	if (!strcmp(w.word, "raw")) {
		say_raw(g, line ? line : "");
		return;
	}
	if (line && strcspn(line, "=") >= strcspn(line, " "))
		w.step = strsep(&line, " ");
	w.args = line;
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (!strcmp(words[i].word, w.word)) {
			words[i].say(g, &w);
			return;
		}
	fail(g, "events: unknown word", w.word);
}

/* --- what came out ------------------------------------------------------- */

static void
write_journal(struct golden *g)
{
	for (size_t i = 0; i < g->run.n_journal; i++) {
		json_write(&g->journal, g->run.journal[i].event);
		strbuf_addch(&g->journal, '\n');
	}
}

static void
write_step(const struct run_state *st, uint32_t i, struct strbuf *out)
{
	const struct step_facts *f = &st->facts[i];

	strbuf_addf(out, "%s: %s", st->graph->steps[i].name,
		    step_state_name(sched_state(st->sched, i)));
	if (f->started_ms)
		strbuf_addf(out, ", from %" PRId64, f->started_ms - VRUN_EPOCH_MS);
	if (f->ended_ms)
		strbuf_addf(out, ", to %" PRId64, f->ended_ms - VRUN_EPOCH_MS);
	if (sched_attempts(st->sched, i))
		strbuf_addf(out, ", attempts %" PRIu32, sched_attempts(st->sched, i));
	if (sched_approvals(st->sched, i))
		strbuf_addf(out, ", wants %" PRIu32 " approvals", sched_approvals(st->sched, i));
	if (f->probed)
		strbuf_addf(out, ", %" PRIu64 " of %" PRIu64 " to change", f->changes, f->total);
	if (f->undo_records)
		strbuf_addf(out, ", %" PRIu64 " undo records", f->undo_records);
	if (st->graph->steps[i].records)
		strbuf_addf(out, ", %" PRIu64 " of %" PRIu64 " put back, %" PRIu64 " already, %" PRIu64
			    " conflicts", f->put_back, st->graph->steps[i].records, f->already,
			    f->n_conflicts);
	if (st->graph->way == WAY_UNDO && f->passed)
		strbuf_addf(out, ", passed: %s", f->passed);
	if (f->checkpoint)
		strbuf_addf(out, ", checkpoint %s", f->checkpoint);
	if (f->in_doubt)
		strbuf_addstr(out, ", in doubt");
	if (f->outputs) {
		strbuf_addstr(out, ", outputs ");
		json_write(out, f->outputs);
	}
	strbuf_addf(out, "%s%s\n", f->text ? "; " : "", f->text ? f->text : "");
}

static void
write_summary(const struct run_state *st, struct strbuf *out)
{
	static const char *const phases[] = {
		[RUN_ACTIVE] = "active", [RUN_PAUSED] = "paused",
		[RUN_STOPPED] = "stopped", [RUN_DONE] = "done",
	};

	strbuf_addf(out, "%s", phases[sched_phase(st->sched)]);
	if (st->outcome)
		strbuf_addf(out, " (%s)", st->outcome);
	for (int k = STEP_WAITING; k <= STEP_FAILED; k++)
		if (sched_count(st->sched, (enum step_state)k))
			strbuf_addf(out, ", %" PRIu32 " %s",
				    sched_count(st->sched, (enum step_state)k),
				    step_state_name((enum step_state)k));
	strbuf_addch(out, '\n');
	for (uint32_t i = 0; i < st->graph->n_steps; i++)
		write_step(st, i, out);
}

/* The lines between the common beginning and the common end. */
static void
print_lines(char mark, const char *text, size_t from, size_t to)
{
	while (from < to) {
		size_t len = strcspn(text + from, "\n");

		printf("  %c %.*s\n", mark, (int)len, text + from);
		from += len + 1;
	}
}

static void
print_difference(const struct strbuf *want, const struct strbuf *got)
{
	size_t same = 0, start = 0, end = 0;

	for (; same < want->len && same < got->len && want->buf[same] == got->buf[same]; same++)
		if (want->buf[same] == '\n')
			start = same + 1;
	for (size_t k = 1; k <= want->len - start && k <= got->len - start &&
			   want->buf[want->len - k] == got->buf[got->len - k]; k++)
		if (k < want->len - start && want->buf[want->len - k - 1] == '\n')
			end = k;
	print_lines('-', want->buf, start, want->len - end);
	print_lines('+', got->buf, start, got->len - end);
}

static void
write_file(struct golden *g, const char *file, const struct strbuf *text)
{
	char path[4096];
	FILE *f;

	path_of(g, file, path);
	f = fopen(path, "w");
	if (!f || fwrite(text->buf, 1, text->len, f) != text->len || fclose(f) != 0)
		fail(g, path, strerror(errno));
}

static void
compare(struct golden *g, const char *file, const struct strbuf *got)
{
	struct strbuf want = STRBUF_INIT;

	if (getenv("GOLDEN_UPDATE")) {
		write_file(g, file, got);
	} else if (read_text(g, file, true, &want) &&
		   (want.len != got->len || memcmp(want.buf, got->buf, got->len))) {
		fail(g, file, "is not as it was (- before, + now)");
		print_difference(&want, got);
	}
	strbuf_release(&want);
}

/* --- the resume guarantee ------------------------------------------------ */

/* Folds every prefix from scratch, lets a resume follow at that very point, and ends
 * with the whole: its summary is the live one's. */
static void
check_prefixes(struct golden *g)
{
	struct error err = {0};
	json_t *resumed = event_new("run.resumed", NULL);

	for (size_t n = 0; n <= g->run.n_journal && !g->run.broken.code; n++) {
		struct run_state *fold = vrun_fold(&g->run, n);
		struct strbuf summary = STRBUF_INIT;

		if (!fold)
			break;
		if (n == g->run.n_journal) {
			write_summary(fold, &summary);
			if (strcmp(summary.buf, g->summary.buf))
				fail(g, "summary of the fold", summary.buf);
		} else if (n > 0 && (run_state_apply(fold, resumed, g->run.now_ms, &err) < 0 ||
				     sched_count(fold->sched, STEP_RUNNING))) {
			fail(g, "a resume after a prefix", err.text);
		}
		strbuf_release(&summary);
		run_state_free(fold);
	}
	json_decref(resumed);
}

/* --- one case ------------------------------------------------------------ */

/* As core/run fills in what earlier steps have put out. */
static void
show_params(void *ctx, const struct sched_command *c)
{
	struct golden *g = ctx;
	const struct step *s = &g->graph->steps[c->step];
	struct strbuf params = STRBUF_INIT;
	struct error err = {0};

	if (c->kind != COMMAND_START || !s->deferred)
		return;
	strbuf_addf(&g->schedule, "%" PRId64 " %s gets ", g->run.now_ms - VRUN_EPOCH_MS, s->name);
	if (graph_step_params(g->graph, c->step, run_state_output, g->run.state, &params, &err) < 0)
		strbuf_addf(&g->schedule, "nothing: %s\n", err.text);
	else
		strbuf_addf(&g->schedule, "%s\n", params.buf);
	strbuf_release(&params);
}

static void
play(struct golden *g)
{
	struct run_config config = {.jobs = g->jobs, .weight_ms = g->weight_ms};
	char *rest = g->text[1].buf, *line;

	if (vrun_init(&g->run, g->graph, &config) < 0) {
		fail(g, "run", "out of memory, or a cycle");
		return;
	}
	g->run.deep = true;
	g->run.schedule = &g->schedule;
	g->run.previewed = g->previewed;
	g->run.on_command = show_params;
	g->run.ctx = g;
	vrun_start(&g->run, g->only, g->n_only);
	while (!g->failed && (line = next_line(&rest)))
		say(g, line);
	write_journal(g);
	write_summary(g->run.state, &g->summary);
	check_prefixes(g);
	if (g->run.broken.code)
		fail(g, "resume", g->run.broken.text);
	compare(g, "schedule", &g->schedule);
	compare(g, "journal", &g->journal);
	compare(g, "summary", &g->summary);
}

static void
release(struct golden *g)
{
	for (uint32_t i = 0; g->refusal && i < g->graph->n_steps; i++)
		free(g->refusal[i]);
	free(g->refusal);
	free(g->weight_ms);
	free(g->weights);
	free(g->undo);
	json_decref(g->previewed);
	json_decref(g->put_back);
	vrun_release(&g->run);
	graph_free(g->graph);
	for (size_t i = 0; i < COUNT_OF(g->text); i++)
		strbuf_release(&g->text[i]);
	strbuf_release(&g->schedule);
	strbuf_release(&g->journal);
	strbuf_release(&g->summary);
}

static bool
run_case(const char *dir, const char *name)
{
	struct golden g = {.dir = dir, .name = name, .from = "a", .to = "b",
			   .mode = RESITE_PLANNED, .jobs = 8, .schedule = STRBUF_INIT,
			   .journal = STRBUF_INIT, .summary = STRBUF_INIT,
			   .text = {STRBUF_INIT, STRBUF_INIT, STRBUF_INIT}};

	if (read_text(&g, "case", false, &g.text[0]))
		read_case(&g);
	if (read_text(&g, "why", true, &g.text[2]) && g.text[2].len < 20)
		fail(&g, "why", "must say what the case protects");
	if (read_text(&g, "events", true, &g.text[1]) && !g.failed)
		bind(&g);
	if (g.graph) {
		g.refusal = calloc(g.graph->n_steps + 1, sizeof(*g.refusal));
		read_weights(&g);
		play(&g);
	}
	release(&g);
	return !g.failed;
}

static int
is_case(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

int
main(int argc, char **argv)
{
	const char *srcdir = getenv("srcdir");
	struct dirent **list;
	char dir[2048];
	int n, cases = 0, failed = 0;

	snprintf(dir, sizeof(dir), "%s/tests/golden/sched", srcdir ? srcdir : ".");
	n = scandir(dir, &list, is_case, alphasort);
	if (n < 0) {
		printf("%s: %s\n", dir, strerror(errno));
		return 1;
	}
	for (int i = 0; i < n; i++) {
		bool wanted = argc == 1;

		for (int k = 1; k < argc; k++)
			wanted |= !strcmp(argv[k], list[i]->d_name);
		if (wanted) {
			cases++;
			failed += !run_case(dir, list[i]->d_name);
		}
		free(list[i]);
	}
	free(list);
	printf("golden cases: %d, failed: %d\n", cases, failed);
	return failed || !cases;
}
