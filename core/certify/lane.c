#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/certify/cut.h"
#include "core/certify/files.h"
#include "core/certify/lane.h"
#include "core/certify/launch.h"
#include "core/certify/witness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* More than any case needs: one launch for each fault, each failed step and each approval. */
#define LAUNCHES_MAX 10

struct lane {
	const struct lane_setup *setup;
	const struct fault_case *what;         /* NULL: nothing goes wrong */
	struct lane_result *result;
	struct launch_setup launch;
	struct fault_page *page;
	struct settings looking;               /* at a copy of the journal */
	struct witness witness[LAUNCHES_MAX];  /* one for each launch */
	struct journal_end safe;               /* up to where the journal is durable */
	char *run;                             /* its newest run; owned */
	bool paused;                           /* the last launch wants a person */
	bool done;                             /* its journal says that the run is over */
};

/* --- the plan ------------------------------------------------------------ */

static const char plan_text[] =
	"format = 1; name = \"certify\";\n"
	"sites: { a: { value = \"old\"; }; b: { value = \"new\"; }; };\n"
	"vars: { world = \"%s/world\"; broken = \"%s\"; };\n"
	"runbooks: { move: { steps = (\n"
	"  { name = \"look\"; does = \"certify.look\";\n"
	"    with = { world = \"${var.world}\"; name = \"look\"; }; },\n"
	"  { name = \"put\"; does = \"certify.put\"; after = [\"look\"]; expect = { max = 6; };\n"
	"    retry = { attempts = 4; backoff = \"10ms\"; };\n"
	"    with = { world = \"${var.world}\"; name = \"put\"; objects = 6; batch = 2;\n"
	"             value = \"${to.value}\"; broken = \"${var.broken}\"; }; },\n"
	"  { name = \"carry\"; does = \"certify.carry\"; after = [\"look\"];\n"
	"    retry = { attempts = 4; backoff = \"10ms\"; };\n"
	"    with = { world = \"${var.world}\"; name = \"carry\"; objects = 4;\n"
	"             value = \"${from.value}\"; broken = \"${var.broken}\"; }; },\n"
	"  { name = \"mark\"; does = \"certify.mark\"; after = [\"put\"];\n"
	"    retry = { attempts = 1; };\n"
	"    with = { world = \"${var.world}\"; name = \"mark\"; }; },\n"
	"  { name = \"both\"; does = \"core.none\"; after = [\"mark\", \"carry\"]; },\n"
	"  { name = \"sure\"; does = \"core.approve\"; after = [\"both\"];\n"
	"    with = { question = \"Go on?\"; }; },\n"
	"  { name = \"use\"; does = \"certify.put\"; after = [\"sure\"];\n"
	"    retry = { attempts = 4; backoff = \"10ms\"; };\n"
	"    with = { world = \"${var.world}\"; name = \"use\"; objects = 2;\n"
	"             value = \"${step.carry.digest}\"; broken = \"${var.broken}\"; }; } ); }; };\n";

/* plan_text with the case's folder in it. */
static int
write_plan(const struct lane *l, struct error *err)
{
	const char *broken = l->setup->broken ? l->setup->broken : "";
	const char *values[] = {l->result->dir, broken}, *at = plan_text, *mark;
	struct strbuf text = STRBUF_INIT;
	int rc;

	for (size_t i = 0; (mark = strstr(at, "%s")) != NULL; i++, at = mark + 2) {
		strbuf_add(&text, at, (size_t)(mark - at));
		strbuf_addstr(&text, values[i]);
	}
	strbuf_addstr(&text, at);
	rc = file_replace(l->launch.plan, 0644, &text, err);
	strbuf_release(&text);
	return rc;
}

/* --- what goes wrong ----------------------------------------------------- */

static const struct point *
point_of(const struct lane *l, uint32_t launch)
{
	for (uint32_t i = 0; l->what && i < l->what->n; i++)
		if (l->what->point[i].launch == launch)
			return &l->what->point[i];
	return NULL;
}

static void
arm(struct lane *l, uint32_t launch)
{
	const struct point *p = point_of(l, launch);

	l->page->act = p ? p->act : FAULT_NONE;
	l->page->place = p ? p->place : 0;
	l->page->at = p ? p->at : 0;
	l->page->fired = l->page->cut = 0;
	for (int i = 0; i < N_FAULT_PLACES; i++)
		l->page->count[i] = 0;
}

static void
disarm(struct lane *l, uint32_t launch)
{
	if (l->page->full)
		finding_add(&l->result->findings, "the record of unsynced writes is not whole: "
			    "nothing can be said");
	if (l->what && launch == l->what->point[0].launch)
		l->result->reached = l->page->fired;
	for (int i = 0; launch <= CASE_LAUNCHES && i < N_FAULT_PLACES; i++)
		l->result->counts.at[launch - 1][i] = l->page->count[i];
	l->page->act = FAULT_NONE;
}

static int
cut_power(struct lane *l, uint32_t launch, struct error *err)
{
	const struct point *p = point_of(l, launch);

	launch_kill_all();
	l->page->cut = 0;
	return cut_apply(l->page, p && p->act == FAULT_POWER_SOME, l->setup->seed + launch, err);
}

/* --- one launch ---------------------------------------------------------- */

static int
look_at_journal(struct lane *l, bool was_cut, struct error *err)
{
	struct lane_result *r = l->result;
	struct witness *v = &l->witness[r->launches - 1];
	struct journal_end end;
	struct strbuf state = STRBUF_INIT, copy = STRBUF_INIT, printed = STRBUF_INIT;
	int rc;

	strbuf_addf(&state, "%s/disk/state", r->dir);
	strbuf_addf(&copy, "%s/look.%" PRIu32, r->dir, r->launches);
	strbuf_addf(&printed, "%s/out.%" PRIu32, r->dir, r->launches);
	v->generation = r->launches;
	free(l->looking.state_dir);
	l->looking.state_dir = strdup(copy.buf);
	rc = l->looking.state_dir ? files_copy_dir(state.buf, copy.buf, err) :
				    error_set(err, E_NOMEM, "out of memory");
	if (rc == 0)
		rc = witness_take(v, &l->looking, &l->safe, &end, &r->findings, err);
	if (rc == 0 && v->any)
		rc = witness_check_printed(v, printed.buf, &l->safe, &r->findings, err);
	if (rc == 0 && was_cut)
		l->safe = end; /* all that is left is on the disk */
	strbuf_release(&state);
	strbuf_release(&copy);
	strbuf_release(&printed);
	return rc;
}

static void
judge_end(struct lane *l, const struct launch_end *end)
{
	struct findings *f = &l->result->findings;
	uint32_t launch = l->result->launches;

	if (end->hung)
		finding_add(f, "launch %" PRIu32 " did not end", launch);
	else if (!point_of(l, launch) && !end->signal && end->status != EXIT_STATUS_DONE &&
		 end->status != EXIT_STATUS_PAUSED)
		finding_add(f, "launch %" PRIu32 " ended with %d, though nothing went wrong in it",
			    launch, end->status);
	else if (!point_of(l, launch) && end->signal)
		finding_add(f, "launch %" PRIu32 " was killed by signal %d, and not by us", launch,
			    end->signal);
	l->paused = !end->hung && !end->signal && end->status == EXIT_STATUS_PAUSED;
	l->done = l->witness[launch - 1].ended;
}

static int
launch(struct lane *l, struct error *err)
{
	uint32_t n = ++l->result->launches;
	bool any = n > 1 && l->witness[n - 2].any;
	struct launch_end end;
	bool was_cut;
	int rc;

	arm(l, n);
	rc = launch_orchestrator(&l->launch, any, n, &end, err);
	disarm(l, n);
	was_cut = l->page->cut;
	if (rc == 0 && was_cut)
		rc = cut_power(l, n, err);
	if (rc == 0 && end.hung)
		launch_kill_all();
	if (rc == 0)
		rc = look_at_journal(l, was_cut, err);
	if (rc == 0)
		judge_end(l, &end);
	return rc;
}

/* Says what an operator would say. */
static int
speak(struct lane *l, struct error *err)
{
	char *run = NULL;
	json_t *word = NULL;
	struct strbuf log = STRBUF_INIT;
	struct world now = {0};
	int rc;

	strbuf_addf(&log, "%s/world/log", l->result->dir);
	rc = world_read(&now, log.buf, err);
	if (rc == 0)
		rc = witness_next_word(&l->looking, &now, &run, &word, err);
	if (rc == 0 && word)
		rc = launch_word(&l->launch, json_str_or(word, "kind", ""), run,
				 json_str_or(word, "step", ""), l->result->launches, err);
	if (rc == E_REFUSED) {
		finding_add(&l->result->findings, "%.180s", err->text);
		rc = 0;
	}
	json_decref(word);
	free(run);
	world_release(&now);
	strbuf_release(&log);
	return rc;
}

/* --- a case -------------------------------------------------------------- */

static void
judge(struct lane *l, int64_t wait_ms)
{
	struct lane_result *r = l->result;
	const struct world *wanted = l->setup->wanted ? l->setup->wanted : &r->world;

	if (!l->done)
		finding_add(&r->findings, "the run was not done after %" PRIu32 " launches",
			    r->launches);
	if (!launch_all_gone(wait_ms))
		finding_add(&r->findings, "a process was left %" PRId64 " ms after the end", wait_ms);
	for (uint32_t i = 0; i < r->launches; i++)
		world_check_witness(&r->world, &l->witness[i], &r->findings);
	world_check_end(&r->world, wanted, &r->findings);
}

static int
go(struct lane *l, struct error *err)
{
	struct lane_result *r = l->result;
	struct strbuf log = STRBUF_INIT;
	int rc = 0;

	while (rc == 0 && !l->done && r->launches < LAUNCHES_MAX && !r->findings.n) {
		rc = launch(l, err);
		/* The journal has grown by the word when it is looked at next. */
		if (rc == 0 && l->paused)
			rc = speak(l, err);
	}
	strbuf_addf(&log, "%s/world/log", r->dir);
	if (rc == 0)
		rc = world_read(&r->world, log.buf, err);
	if (rc == 0)
		judge(l, 10000);
	strbuf_release(&log);
	return rc;
}

/* DIR/disk is what a power cut can hurt; DIR/world is far away. */
static int
make_dirs(const char *dir, struct error *err)
{
	static const char *const below[] = {"", "/disk", "/world"};
	struct strbuf path = STRBUF_INIT;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < COUNT_OF(below); i++) {
		strbuf_reset(&path);
		strbuf_addf(&path, "%s%s", dir, below[i]);
		if (mkdir(path.buf, 0700) < 0)
			rc = error_errno(err, errno, "cannot make %s", path.buf);
	}
	strbuf_release(&path);
	return rc;
}

static int
prepare(struct lane *l, struct error *err)
{
	struct lane_result *r = l->result;
	char *dir;
	int rc = asprintf(&dir, "%s/case-XXXXXX", l->setup->base);

	if (rc < 0)
		return error_set(err, E_NOMEM, "out of memory");
	rc = 0;
	if (!mkdtemp(dir) || rmdir(dir) < 0)
		rc = error_errno(err, errno, "cannot make a folder in %s", l->setup->base);
	else if ((size_t)snprintf(r->dir, sizeof(r->dir), "%s", dir) >= sizeof(r->dir))
		rc = error_set(err, E_INVALID, "the path of the folder is too long");
	else
		rc = make_dirs(r->dir, err);
	free(dir);
	if (rc == 0)
		rc = launch_setup_init(&l->launch, l->setup, r->dir, &l->page, err);
	if (rc == 0) {
		snprintf(l->page->root, sizeof(l->page->root), "%s/disk", r->dir);
		l->page->lying_sync = l->setup->broken && !strcmp(l->setup->broken, "sync");
		rc = write_plan(l, err);
	}
	return rc;
}

static void
release(struct lane *l)
{
	launch_setup_release(&l->launch);
	for (size_t i = 0; i < COUNT_OF(l->witness); i++)
		witness_release(&l->witness[i]);
	free(l->looking.state_dir);
	free(l->run);
}

int
lane_init(struct error *err)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return error_errno(err, errno, "cannot watch over processes that are left");
	return 0;
}

int
lane_carry_out(const struct lane_setup *setup, const struct fault_case *c,
	       struct lane_result *ret, struct error *err)
{
	struct lane l = {.setup = setup, .what = c, .result = ret, .looking = *setup->settings};
	int64_t start_ms = clock_mono_ms();
	int rc;

	l.looking.state_dir = NULL;
	*ret = (struct lane_result){0};
	rc = prepare(&l, err);
	if (rc == 0)
		rc = go(&l, err);
	if (rc < 0)
		launch_kill_all();
	ret->ms = clock_mono_ms() - start_ms;
	release(&l);
	if (rc == 0 && !ret->findings.n)
		rc = files_remove(ret->dir, err);
	return rc;
}
