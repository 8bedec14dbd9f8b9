#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/view/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW_MS 100
#define BOTTOM_LINES 8
/* How far back the rate looks. */
#define RATE_WINDOW_MS 3000

/* What a step under way has said of its progress. */
struct going {
	uint32_t step;
	uint64_t done, total;
	uint64_t base_done;   /* done at base_ms: where the rate is measured from */
	int64_t base_ms, last_ms;
	char what[80];
	bool used;
};

struct progress {
	enum progress_style style;
	int level;
	struct going going[64];  /* more steps than that are shown by their count only */
	int64_t drawn_ms;        /* when the bottom was drawn last */
	int drawn_lines;
	struct strbuf out;       /* scratch */
};

struct progress *
progress_new(enum progress_style style, int level)
{
	struct progress *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->style = style;
	p->level = level;
	/* Who reads the events along the way gets each when it is durable. */
	if (style == PROGRESS_JSON)
		setvbuf(stdout, NULL, _IOLBF, 0);
	strbuf_init(&p->out);
	return p;
}

/* --- the lines at the bottom --------------------------------------------- */

static int
columns(void)
{
	struct winsize size = {0};

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

/* Goes up and wipes what was drawn. */
static void
erase(struct progress *p)
{
	if (p->drawn_lines)
		printf("\033[%dA\033[J", p->drawn_lines);
	p->drawn_lines = 0;
}

/* "  users  3,120/5,000  62 %  9840/s  0.2s left  what" */
static void
write_going(struct strbuf *out, const struct run_state *state, const struct going *g)
{
	int64_t ms = g->last_ms - g->base_ms;
	double rate = ms > 0 ? (double)(g->done - g->base_done) * 1000 / (double)ms : 0;
	char left[CLOCK_TEXT_MAX];

	strbuf_addf(out, "  > %-18s ", state->graph->steps[g->step].name);
	if (g->total)
		strbuf_addf(out, "%" PRIu64 "/%" PRIu64 " %3.0f%%", g->done, g->total,
			    100.0 * (double)g->done / (double)g->total);
	else if (g->done)
		strbuf_addf(out, "%" PRIu64, g->done);
	if (rate >= 1)
		strbuf_addf(out, "  %.0f/s", rate);
	if (rate >= 1 && g->total > g->done)
		strbuf_addf(out, "  %s left",
			    clock_format_duration(
				    (int64_t)((double)(g->total - g->done) * 1000 / rate), left));
	strbuf_addf(out, "  %s", g->what);
}

static void
draw_line(struct progress *p, const char *text)
{
	printf("%.*s\n", columns() - 1, text);
	p->drawn_lines++;
}

static void
draw(struct progress *p, const struct run_state *state)
{
	const struct sched *s = state->sched;
	char took[CLOCK_TEXT_MAX];

	erase(p);
	for (size_t i = 0; i < COUNT_OF(p->going) && p->drawn_lines < BOTTOM_LINES; i++) {
		if (!p->going[i].used)
			continue;
		strbuf_reset(&p->out);
		write_going(&p->out, state, &p->going[i]);
		draw_line(p, p->out.buf);
	}
	strbuf_reset(&p->out);
	strbuf_addf(&p->out, "  %s  %" PRIu32 " of %" PRIu32 " steps done, %" PRIu32 " running%s",
		    clock_format_duration(state->last_ms - state->started_ms, took),
		    sched_count(s, STEP_DONE), state->graph->n_steps, sched_count(s, STEP_RUNNING),
		    sched_count(s, STEP_ASK) ? ", some failed" : "");
	draw_line(p, p->out.buf);
	fflush(stdout);
	p->drawn_ms = clock_mono_ms();
}

static void
draw_sometimes(struct progress *p, const struct run_state *state)
{
	if (clock_mono_ms() - p->drawn_ms >= REDRAW_MS)
		draw(p, state);
}

static struct going *
find_going(struct progress *p, uint32_t step, bool make)
{
	struct going *free_one = NULL;

	for (size_t i = 0; i < COUNT_OF(p->going); i++) {
		if (p->going[i].used && p->going[i].step == step)
			return &p->going[i];
		if (!p->going[i].used && !free_one)
			free_one = &p->going[i];
	}
	if (!make || !free_one)
		return NULL;
	*free_one = (struct going){.step = step, .used = true, .base_ms = clock_mono_ms(),
				   .last_ms = clock_mono_ms()};
	return free_one;
}

/* --- events -------------------------------------------------------------- */

/* One line for the end of an attempt, or for what a person must know. */
static bool
describe(struct strbuf *out, const struct run_state *state, const json_t *event, int *ret_level)
{
	const char *kind = json_str_or(event, "kind", ""), *step = json_str_or(event, "step", "");
	const char *why = json_str_or(event, "why", ""), *text = json_str_or(event, "text", why);
	char took[CLOCK_TEXT_MAX];

	*ret_level = LOG_INFO;
	if (!strcmp(kind, "attempt.ended")) {
		const char *outcome = json_str_or(event, "outcome", "?");
		const json_t *number = json_object_get(run_state_index(state), step);
		const struct step_facts *f = &state->facts[json_integer_value(number)];

		*ret_level = strcmp(outcome, "ok") ? LOG_WARN : LOG_INFO;
		strbuf_addf(out, "%s: %s after %s", step, outcome,
			    clock_format_duration(f->ended_ms - f->started_ms, took));
		if (!strcmp(outcome, "ok") && (f->put_back || f->already || f->n_conflicts))
			strbuf_addf(out, ", %" PRIu64 " put back, %" PRIu64 " already as before, %"
				    PRIu64 " conflicts", f->put_back, f->already, f->n_conflicts);
		else if (!strcmp(outcome, "ok") && f->probed)
			strbuf_addf(out, ", %" PRIu64 " of %" PRIu64 " changed", f->changes, f->total);
		else if (*text)
			strbuf_addf(out, ": %s", text);
		return true;
	}
	if (!strcmp(kind, "attempt.started") || !strcmp(kind, "attempt.probed")) {
		*ret_level = LOG_DEBUG;
		strbuf_addf(out, "%s: %s %s", step, kind, json_str_or(event, "now", ""));
		return true;
	}
	if (!strcmp(kind, "step.passed") && *text)
		strbuf_addf(out, "%s: passed over: %s", step, text);
	else if (!strcmp(kind, "gate.opened"))
		strbuf_addf(out, "%s: waits for an approval: %s", step, text);
	else if (!strncmp(kind, "operator.", 9))
		strbuf_addf(out, "%s %s by %s: %s", kind + 9, step,
			    json_str_or(event, "actor", "?"), json_str_or(event, "reason", why));
	else if (!strncmp(kind, "run.", 4))
		strbuf_addf(out, "run %s %s", kind + 4, text);
	return out->len > 0;
}

static void
show_line(struct progress *p, const struct run_state *state, int level, const char *line)
{
	if (level < p->level)
		return;
	if (p->style == PROGRESS_LOG) {
		log_line(p->level, level, NULL, "%s", line);
		return;
	}
	erase(p);
	printf("%s %s\n", level >= LOG_WARN ? "!" : "+", line);
	draw(p, state);
}

static void
on_event(void *ctx, const struct run_state *state, const json_t *event)
{
	struct progress *p = ctx;
	struct strbuf line = STRBUF_INIT;
	int level;

	if (p->style == PROGRESS_QUIET)
		return;
	if (p->style == PROGRESS_JSON) {
		json_write(&line, event);
		puts(line.buf);
	} else if (describe(&line, state, event, &level)) {
		show_line(p, state, level, line.buf);
	}
	strbuf_release(&line);
	if (p->style == PROGRESS_TERMINAL && !strcmp(json_str_or(event, "kind", ""),
						     "attempt.ended")) {
		const json_t *n = json_object_get(run_state_index(state), json_str_or(event, "step", ""));
		struct going *g = find_going(p, (uint32_t)json_integer_value(n), false);

		if (g)
			g->used = false;
		draw_sometimes(p, state);
	}
}

static void
on_progress(void *ctx, const struct run_state *state, uint32_t step, uint64_t done,
	    uint64_t total, const char *what)
{
	struct progress *p = ctx;
	struct going *g = p->style == PROGRESS_TERMINAL ? find_going(p, step, true) : NULL;
	int64_t now_ms;

	if (!g)
		return;
	now_ms = clock_mono_ms();
	if (done < g->done || now_ms - g->base_ms > RATE_WINDOW_MS) {
		g->base_done = done < g->done ? 0 : g->done;
		g->base_ms = g->last_ms;
	}
	g->last_ms = now_ms;
	g->done = done;
	g->total = total;
	snprintf(g->what, sizeof(g->what), "%s", what);
	draw_sometimes(p, state);
}

static void
on_log(void *ctx, const struct run_state *state, uint32_t step, int level, const char *text)
{
	struct progress *p = ctx;
	const char *name = step == SCHED_NONE ? "run" : state->graph->steps[step].name;
	struct strbuf line = STRBUF_INIT;

	if (p->style == PROGRESS_JSON || p->style == PROGRESS_QUIET) {
		log_line(p->style == PROGRESS_QUIET ? LOG_WARN : p->level, level, name, "%s", text);
		return;
	}
	strbuf_addf(&line, "%s: %s", name, text);
	show_line(p, state, level, line.buf);
	strbuf_release(&line);
}

struct run_observer
progress_observer(struct progress *p)
{
	return (struct run_observer){.ctx = p, .event = on_event, .progress = on_progress,
				     .log = on_log};
}

void
progress_free(struct progress *p)
{
	if (!p)
		return;
	erase(p);
	fflush(stdout);
	strbuf_release(&p->out);
	free(p);
}
