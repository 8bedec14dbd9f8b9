#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/strbuf.h"
#include "core/base/vec.h"
#include "core/run/lock.h"
#include "core/run/plan_lock.h"
#include "core/store/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define SAYS_MAX 1024

/* --- who runs it now ------------------------------------------------------- */

static int
say_who(int fd, const char *run, int64_t started_ms, struct error *err)
{
	char host[256] = "", when[CLOCK_TEXT_MAX];
	struct strbuf text = STRBUF_INIT;
	json_t *who;
	int rc = 0;

	gethostname(host, sizeof(host) - 1);
	who = json_pack("{s:s, s:i, s:o, s:s}", "run", run, "pid", (int)getpid(), "host",
			json_string_lossy(host), "started", clock_format_utc(started_ms, when));
	json_write(&text, who);
	strbuf_addch(&text, '\n');
	if (!who || text.failed)
		rc = error_set(err, E_NOMEM, "out of memory");
	else if (ftruncate(fd, 0) < 0 || pwrite(fd, text.buf, text.len, 0) != (ssize_t)text.len)
		rc = error_errno(err, errno, "cannot write the plan's lock file");
	json_decref(who);
	strbuf_release(&text);
	return rc;
}

static int
is_busy(int fd, const char *plan, struct error *err)
{
	char says[SAYS_MAX] = "", age[CLOCK_TEXT_MAX] = "?";
	ssize_t n = pread(fd, says, sizeof(says) - 1, 0);
	json_t *who = n > 0 ? json_parse(says, (size_t)n, NULL) : NULL;
	int64_t started_ms = clock_parse_utc(json_str_or(who, "started", ""));
	const char *run = json_str_or(who, "run", "?");
	int64_t ms = clock_wall_ms() - started_ms;

	if (started_ms >= 0)
		clock_format_duration(ms > 0 ? ms : 0, age);
	error_set(err, E_BUSY, "plan %s is under way: run %s, process %" PRId64 " on %s, started %s "
		  "ago; look at it: resite status %s; end it: resite stop %s --reason '...', then "
		  "go on with resite resume %s", plan, run, json_int_or(who, "pid", 0),
		  json_str_or(who, "host", "?"), age, run, run, run);
	json_decref(who);
	return E_BUSY;
}

int
plan_lock_take(const char *state_dir, const char *plan, const char *run, int64_t started_ms,
	       int *ret_fd, struct error *err)
{
	struct strbuf path = STRBUF_INIT;
	int fd, rc = 0;

	strbuf_addf(&path, "%s/%s.plan", state_dir, plan);
	fd = path.failed ? -1 : open(path.buf, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		rc = path.failed ? error_set(err, E_NOMEM, "out of memory") :
				   error_errno(err, errno, "cannot open %s", path.buf);
	else if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		rc = is_busy(fd, plan, err);
	else
		rc = say_who(fd, run, started_ms, err);
	strbuf_release(&path);
	if (rc == 0)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return rc;
}

void
plan_lock_release(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* --- who has begun, and not ended ------------------------------------------ */

struct known_run {
	char *name;
	int64_t last_seq;
	json_t *first; /* its first event, when it is an unfinished run of the plan */
};

struct known_runs {
	struct known_run *item;
	size_t n, cap;
};

static int
collect(void *ctx, const char *run, int64_t last_seq)
{
	struct known_runs *all = ctx;

	if (vec_reserve(&all->item, all->n + 1, &all->cap) < 0)
		return E_NOMEM;
	all->item[all->n] = (struct known_run){.name = strdup(run), .last_seq = last_seq};
	return all->item[all->n++].name ? 0 : E_NOMEM;
}

static void
release(struct known_runs *all)
{
	for (size_t i = 0; i < all->n; i++) {
		free(all->item[i].name);
		json_decref(all->item[i].first);
	}
	free(all->item);
}

/* The first event of a run of this plan that has not ended; else NULL.  A run whose
 * journal cannot be read holds nobody up: who resumes it is told. */
static json_t *
first_of_unfinished(struct store *store, const struct known_run *run, const struct graph *g)
{
	json_t *last = journal_event(store, run->name, run->last_seq), *first;
	bool ended = !last || !strcmp(json_str_or(last, "kind", ""), "run.ended");

	json_decref(last);
	first = ended ? NULL : journal_event(store, run->name, 1);
	if (first && strcmp(json_str_or(first, "plan", ""), g->plan)) {
		json_decref(first);
		first = NULL;
	}
	return first;
}

static bool
holds_up(const json_t *first, const struct graph *g)
{
	bool rehearsal = !strcmp(json_str_or(first, "mode", ""), mode_name(RESITE_REHEARSAL));

	return !strcmp(json_str_or(first, "runbook", ""), g->runbook) &&
	       (!rehearsal || g->mode == RESITE_REHEARSAL);
}

static bool
is_named(const struct run_options *options, const char *run)
{
	for (size_t i = 0; i < options->n_beside; i++)
		if (!strcmp(options->beside[i], run))
			return true;
	return false;
}

static int
refuse(const json_t *first, const char *run, struct error *err)
{
	int64_t ms = clock_wall_ms() - clock_parse_utc(json_str_or(first, "time", ""));
	const char *go_on = json_object_get(first, "rehearsal") ? "rehearse --finish" : "resume";
	char age[CLOCK_TEXT_MAX];

	return error_set(err, E_REFUSED, "run %s of runbook %s has not ended (%s -> %s, mode %s, started "
			 "%s ago on %s by %s, nobody works on it now); go on with it: resite %s "
			 "%s; or give it up: resite abandon %s --reason '...'; or start now and leave "
			 "it as it is: add --beside-unfinished %s --reason '...'", run,
			 json_str_or(first, "runbook", "?"), json_str_or(first, "from", "?"),
			 json_str_or(first, "to", "?"), json_str_or(first, "mode", "?"),
			 clock_format_duration(ms > 0 ? ms : 0, age), json_str_or(first, "host", "?"),
			 json_str_or(first, "actor", "?"), go_on, run, run, run);
}

/* Every name is that of an unfinished run: a slip of the pen is told, not believed. */
static int
check_names(const struct known_runs *all, const struct run_options *options, struct error *err)
{
	for (size_t k = 0; k < options->n_beside; k++) {
		bool found = false;

		for (size_t i = 0; i < all->n; i++)
			found |= all->item[i].first && !strcmp(all->item[i].name, options->beside[k]);
		if (!found)
			return error_set(err, E_INVALID, "--beside-unfinished %s: there is no unfinished "
					 "run of that name of this plan (resite history)",
					 options->beside[k]);
	}
	return 0;
}

static int
check_run(const char *state_dir, const struct known_run *run, const struct graph *graph,
	  const struct run_options *options, struct error *err)
{
	int rc = run_lock_workers_gone(state_dir, run->name, err);

	if (rc == 0 && holds_up(run->first, graph) && !is_named(options, run->name))
		rc = refuse(run->first, run->name, err);
	return rc;
}

int
plan_lock_unfinished(const char *state_dir, struct store *store, const struct graph *graph,
		     const struct run_options *options, struct error *err)
{
	struct known_runs all = {0};
	int rc = store_list(store, collect, &all, err);

	if (rc == E_NOMEM)
		error_set(err, rc, "out of memory");
	for (size_t i = 0; rc == 0 && i < all.n; i++)
		all.item[i].first = first_of_unfinished(store, &all.item[i], graph);
	if (rc == 0)
		rc = check_names(&all, options, err);
	/* The newest first: it is the one that a person thinks of. */
	for (size_t i = all.n; rc == 0 && i-- > 0;)
		if (all.item[i].first)
			rc = check_run(state_dir, &all.item[i], graph, options, err);
	release(&all);
	return rc;
}
