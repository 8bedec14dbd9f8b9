/* A case as a golden case: files `why`, `plan`, `case`, `events` (tests/golden). */
#include "core/base/base.h"
#include "tests/sim/shrink.h"
#include "core/plan/mode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct text {
	struct strbuf why, plan, conf, events;
};

/* [ "a", "b" ] of the bits that are set. */
static void
add_names(struct strbuf *out, const char *key, uint32_t bits, const char *(*name)(uint32_t))
{
	const char *comma = "";

	if (!bits)
		return;
	strbuf_addf(out, " %s = [", key);
	for (; bits; bits &= bits - 1, comma = ", ")
		strbuf_addf(out, "%s\"%s\"", comma, name((uint32_t)__builtin_ctz(bits)));
	strbuf_addstr(out, "];");
}

static const char *
limit_name(uint32_t i)
{
	static const char *const names[CASE_LIMITS] = {"x", "y", "z"};

	return names[i];
}

static void
add_work(const struct case_step *s, struct strbuf *out)
{
	strbuf_addf(out, " timeout = \"%dms\"; retry = { attempts = %d; backoff = \"%dms\"; "
		    "max_backoff = \"%dms\"; };", s->timeout_ms, s->tries, s->backoff_ms,
		    s->max_backoff_ms ? s->max_backoff_ms : 60000);
	if (s->on_failure != ON_FAILURE_ASK)
		strbuf_addf(out, " on_failure = \"%s\";", on_failure_name(s->on_failure));
	if (s->expect_max >= 0 || s->expect_percent >= 0) {
		strbuf_addstr(out, " expect = {");
		if (s->expect_max >= 0)
			strbuf_addf(out, " max = %d;", s->expect_max);
		if (s->expect_percent >= 0)
			strbuf_addf(out, " percent = %d;", s->expect_percent);
		strbuf_addstr(out, " };");
	}
}

static void
add_step(const struct sim_case *c, uint32_t i, struct strbuf *out)
{
	static const char *const does[] = {"t.do", "t.blind", "t.look", "core.none",
					   "core.approve"};
	const struct case_step *s = &c->step[i];

	strbuf_addf(out, "      { name = \"%s\"; does = \"%s\";", case_step_name(i), does[s->kind]);
	if (s->kind == KIND_GATE)
		strbuf_addf(out, " with = { question = \"?\"; needs = %d; };", s->needs);
	add_names(out, "after", s->after, case_step_name);
	if (s->modes == MODE_BIT(RESITE_PLANNED) || s->modes == MODE_BIT(RESITE_DISASTER))
		strbuf_addf(out, " modes = [\"%s\"];", s->modes == MODE_BIT(RESITE_PLANNED) ?
			    mode_name(RESITE_PLANNED) : mode_name(RESITE_DISASTER));
	if (s->kind <= KIND_LOOK)
		add_names(out, "limits", s->limits, limit_name);
	if (s->kind <= KIND_LOOK)
		add_work(s, out);
	if (c->mode == RESITE_REHEARSAL && s->rehearse != REHEARSE_PROBE)
		strbuf_addf(out, " rehearse = \"%s\";", rehearse_name(s->rehearse));
	strbuf_addf(out, " }%s\n", i + 1 < c->n_steps ? "," : "");
}

static void
add_plan(const struct sim_case *c, struct strbuf *out)
{
	strbuf_addstr(out, "format = 1;\nname = \"golden\";\nsites: { a: { networks = "
		      "[\"10.1.0.0/16\"]; }; b: { networks = [\"10.2.0.0/16\"]; }; };\n");
	if (c->n_limits) {
		strbuf_addstr(out, "limits: {");
		for (uint32_t k = 0; k < c->n_limits; k++)
			strbuf_addf(out, " %s = %d;", limit_name(k), c->limit[k]);
		strbuf_addstr(out, " };\n");
	}
	strbuf_addstr(out, "runbooks: {\n  move: {\n    steps = (\n");
	for (uint32_t i = 0; i < c->n_steps; i++)
		add_step(c, i, out);
	strbuf_addstr(out, "    );\n  };\n};\n");
}

static void
add_conf(const struct sim *s, const struct sim_case *c, struct strbuf *out)
{
	strbuf_addf(out, "mode %s\njobs %d\n", mode_name(c->mode), c->jobs);
	for (uint32_t i = 0; i < c->n_steps; i++)
		strbuf_addf(out, "weight %s %d\n", case_step_name(i), c->step[i].weight_ms);
	for (uint32_t i = 0; i < c->n_steps; i++)
		if (s->of.may_apply & s->of.probes & c->bound & 1u << i)
			strbuf_addf(out, "previewed %s as-it-was 1 8\n", case_step_name(i));
	if (s->only_here || c->deadline_ms || !c->waits)
		strbuf_addstr(out, "# Not all of this can be said in a golden case:\n");
	if (s->only_here)
		strbuf_addstr(out, "# several ends in one turn, outputs, or a word to a run that "
			      "is not under way\n");
	if (c->deadline_ms)
		strbuf_addf(out, "# the run has a deadline of %d ms\n", c->deadline_ms);
	if (!c->waits)
		strbuf_addstr(out, "# a paused orchestrator ends\n");
}

static void
make_text(struct sim *s, const struct sim_case *c, struct text *ret)
{
	uint64_t cover[COVERS] = {0};

	*ret = (struct text){STRBUF_INIT, STRBUF_INIT, STRBUF_INIT, STRBUF_INIT};
	sim_play(s, c, cover, &ret->events);
	if (s->broken)
		strbuf_addf(&ret->why, "At %" PRId64 " ms, step %s: %s%s%s.\n",
			    s->now_ms - SIM_EPOCH_MS, case_step_name(s->broken_step), s->broken,
			    *s->detail ? ": " : "", s->detail);
	else
		strbuf_addstr(&ret->why, "A simulated run that keeps every rule.\n");
	add_plan(c, &ret->plan);
	add_conf(s, c, &ret->conf);
	sim_release(s);
}

static void
release(struct text *t)
{
	strbuf_release(&t->why);
	strbuf_release(&t->plan);
	strbuf_release(&t->conf);
	strbuf_release(&t->events);
}

void
print_case(struct sim *s, const struct sim_case *c)
{
	struct text t;

	make_text(s, c, &t);
	printf("--- why\n%s--- plan\n%s--- case\n%s--- events\n%s", t.why.buf, t.plan.buf,
	       t.conf.buf, t.events.len ? t.events.buf : "");
	release(&t);
}

static int
write_file(const char *dir, const char *name, const struct strbuf *text)
{
	char path[4096];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (!f)
		return -1;
	ok = fwrite(text->buf, 1, text->len, f) == text->len;
	return fclose(f) == 0 && ok ? 0 : -1;
}

int
write_case(struct sim *s, const struct sim_case *c, const char *dir)
{
	struct text t;
	int rc = mkdir(dir, 0777) < 0 && errno != EEXIST ? -1 : 0;

	make_text(s, c, &t);
	if (rc == 0)
		rc = write_file(dir, "why", &t.why);
	if (rc == 0)
		rc = write_file(dir, "plan", &t.plan);
	if (rc == 0)
		rc = write_file(dir, "case", &t.conf);
	if (rc == 0)
		rc = write_file(dir, "events", &t.events);
	release(&t);
	return rc;
}
