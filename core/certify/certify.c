#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/certify/certify.h"
#include "core/certify/facts.h"
#include "core/certify/files.h"
#include "core/certify/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LANES_MAX 16
#define UNDISTURBED 3 /* how many runs say how many calls there are */

/* What the lanes share. */
struct board {
	_Atomic size_t next;     /* case */
	_Atomic bool stop;
};

struct tally {
	size_t cases, passed, failed, unreached;
};

struct certifying {
	const struct certify_options *options;
	certify_progress_fn *progress;
	void *ctx;
	struct lane_setup setup;
	struct settings settings;      /* with our plugin's folder alone */
	char *plugin_dirs[2];
	char *base, *resite, *shim;    /* owned */
	struct world wanted;
	struct case_counts counts;
	struct case_list list;
	struct board *board;           /* shared memory */
	struct tally kind[N_FAULT_PLACES][N_FAULT_ACTS], all;
	json_t *failures;
	int64_t start_ms;
};

/* Ctrl-C ends the lanes' work after the cases under way. */
static volatile sig_atomic_t *
interrupted(void)
{
	static volatile sig_atomic_t flag;

	return &flag;
}

static void
on_interrupt(int signum)
{
	(void)signum;
	*interrupted() = 1;
}

/* --- where things are ---------------------------------------------------- */

/* The program, and certify/ beside it (a build tree) or where it is installed. */
static int
find_parts(struct certifying *c, const struct settings *settings, struct error *err)
{
	char program[PATH_MAX], *slash;
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	struct strbuf dir = STRBUF_INIT, shim = STRBUF_INIT;

	if (n < 0)
		return error_errno(err, errno, "cannot find the program's own path");
	program[n] = '\0';
	c->resite = strdup(program);
	slash = strrchr(program, '/');
	strbuf_addf(&dir, "%.*s/certify", (int)(slash - program), program);
	if (access(dir.buf, X_OK) < 0) {
		strbuf_reset(&dir);
		strbuf_addstr(&dir, RESITE_LIBEXECDIR "/certify");
	}
	strbuf_addf(&shim, "%s/fault.so", dir.buf);
	c->settings = *settings;
	c->plugin_dirs[0] = strbuf_detach(&dir);
	c->settings.plugin_dirs = c->plugin_dirs;
	c->shim = strbuf_detach(&shim);
	if (!c->resite || !c->plugin_dirs[0] || !c->shim)
		return error_set(err, E_NOMEM, "out of memory");
	if (access(c->shim, R_OK) < 0)
		return error_errno(err, errno, "the certificate's own library %s", c->shim);
	return 0;
}

static int
make_base(struct certifying *c, struct error *err)
{
	const char *dir = c->options->dir;
	char real[PATH_MAX];

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_errno(err, errno, "cannot make %s", dir);
	if (!realpath(dir, real))
		return error_errno(err, errno, "%s", dir);
	if (asprintf(&c->base, "%s/resite-certify-XXXXXX", real) < 0) {
		c->base = NULL;
		return error_set(err, E_NOMEM, "out of memory");
	}
	if (!mkdtemp(c->base)) {
		error_errno(err, errno, "cannot make a folder in %s", real);
		free(c->base);
		c->base = NULL;
		return E_IO;
	}
	return 0;
}

/* --- an undisturbed run -------------------------------------------------- */

static void
at_most(struct case_counts *counts, const struct case_counts *other)
{
	for (int i = 0; i < CASE_LAUNCHES; i++)
		for (int p = 0; p < N_FAULT_PLACES; p++)
			if (other->at[i][p] < counts->at[i][p])
				counts->at[i][p] = other->at[i][p];
}

/* Says what the world looks like in the end, and how many calls there are at least. */
static int
run_undisturbed(struct certifying *c, struct error *err)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < UNDISTURBED && !*interrupted(); i++) {
		struct lane_result r;

		rc = lane_carry_out(&c->setup, NULL, &r, err);
		if (rc == 0 && r.findings.n && !c->options->broken)
			rc = error_set(err, E_IO, "an undisturbed run does not work here: %s (%s)",
				       r.findings.text[0], r.dir);
		if (rc == 0 && i == 0) {
			c->counts = r.counts;
			c->wanted = r.world;
			c->setup.wanted = &c->wanted;
			continue;
		}
		if (rc == 0)
			at_most(&c->counts, &r.counts);
		world_release(&r.world);
	}
	return rc;
}

/* --- lanes --------------------------------------------------------------- */

/* {"case": number, …} on one line, short enough that lines of two lanes do not mix. */
static void
tell(int fd, size_t number, const struct lane_result *r, const struct error *err)
{
	struct strbuf line = STRBUF_INIT;
	json_t *texts = json_array(), *o;
	size_t n = r->findings.n < WORLD_FINDINGS_MAX ? r->findings.n : WORLD_FINDINGS_MAX;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(texts, json_string_lossy(r->findings.text[i]));
	if (err)
		json_array_append_new(texts, json_string_lossy(err->text));
	o = json_pack("{s:I, s:b, s:i, s:I, s:o}", "case", (json_int_t)number, "reached", r->reached,
		      "launches", (int)r->launches, "ms", (json_int_t)r->ms, "findings", texts);
	if (o && json_array_size(texts))
		json_object_set_new(o, "dir", json_string_lossy(r->dir));
	json_write(&line, o);
	strbuf_addch(&line, '\n');
	/* A parent that is gone wants nothing more. */
	if (line.failed || write(fd, line.buf, line.len) != (ssize_t)line.len)
		_exit(1);
	json_decref(o);
	strbuf_release(&line);
}

static _Noreturn void
be_lane(struct certifying *c, int fd)
{
	struct error err = {0};
	size_t number;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	if (lane_init(&err) < 0)
		_exit(1);
	while (!c->board->stop && !*interrupted() && (number = c->board->next++) < c->list.len) {
		struct lane_result r;
		int rc = lane_carry_out(&c->setup, &c->list.item[number], &r, &err);

		tell(fd, number, &r, rc < 0 ? &err : NULL);
		world_release(&r.world);
	}
	_exit(0);
}

static void
count(struct tally *t, bool failed, bool reached)
{
	t->cases++;
	t->failed += failed;
	t->unreached += !failed && !reached;
	t->passed += !failed && reached;
}

static void
on_told(struct certifying *c, const json_t *told)
{
	size_t number = (size_t)json_int_or(told, "case", 0);
	const struct fault_case *fc = &c->list.item[number < c->list.len ? number : 0];
	bool failed = json_array_size(json_object_get(told, "findings")) > 0;
	bool reached = json_bool_or(told, "reached", false);
	char text[CASE_TEXT_MAX];

	count(&c->kind[fc->point[0].place][fc->point[0].act], failed, reached);
	count(&c->all, failed, reached);
	if (failed) {
		json_t *o = json_deep_copy(told);

		case_format(fc, text);
		json_object_set_new(o, "case", json_string(text));
		json_array_append_new(c->failures, o);
	}
	if (c->progress)
		c->progress(c->ctx, c->all.cases, c->list.len, c->all.failed);
}

static void
listen_to_lanes(struct certifying *c, FILE *in)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	for (;;) {
		json_t *told;

		errno = 0;
		n = getline(&line, &cap, in);
		if (*interrupted())
			c->board->stop = true;
		if (n < 0 && errno == EINTR) {
			clearerr(in);
			continue;
		}
		if (n < 0)
			break;
		told = json_parse(line, (size_t)n, NULL);
		if (told)
			on_told(c, told);
		json_decref(told);
	}
	free(line);
}

static int
start_lanes(struct certifying *c, uint32_t n, pid_t pid[LANES_MAX], int *ret_fd, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, errno, "no pipe");
	for (uint32_t i = 0; i < n; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			close(ends[0]);
			be_lane(c, ends[1]);
		}
		if (pid[i] < 0) {
			c->board->stop = true;
			error_errno(err, errno, "no process for a lane");
		}
	}
	close(ends[1]);
	*ret_fd = ends[0];
	return 0;
}

static uint32_t
lanes(const struct certifying *c)
{
	long n = c->options->jobs ? (long)c->options->jobs : sysconf(_SC_NPROCESSORS_ONLN);

	if (n < 1)
		n = 1;
	return n > LANES_MAX ? LANES_MAX : (uint32_t)n;
}

static int
run_cases(struct certifying *c, struct error *err)
{
	uint32_t n = lanes(c);
	pid_t pid[LANES_MAX];
	int fd = -1, rc, status;
	FILE *in;

	c->board = mmap(NULL, sizeof(*c->board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (c->board == MAP_FAILED)
		return error_errno(err, errno, "no memory to share");
	fflush(stdout); /* or each lane would print it again */
	rc = start_lanes(c, n, pid, &fd, err);
	in = rc == 0 ? fdopen(fd, "r") : NULL;
	if (in) {
		listen_to_lanes(c, in);
		fclose(in);
	}
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		while (pid[i] > 0 && waitpid(pid[i], &status, 0) < 0 && errno == EINTR)
			;
	munmap(c->board, sizeof(*c->board));
	return rc;
}

/* --- the certificate ----------------------------------------------------- */

static json_t *
tally_json(const struct tally *t)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "cases", (json_int_t)t->cases, "passed",
			 (json_int_t)t->passed, "failed", (json_int_t)t->failed, "not_reached",
			 (json_int_t)t->unreached);
}

static json_t *
kinds_json(const struct certifying *c)
{
	json_t *kinds = json_array();

	for (int p = 0; p < N_FAULT_PLACES; p++)
		for (int a = 1; a < N_FAULT_ACTS; a++) {
			json_t *o;

			if (!c->kind[p][a].cases)
				continue;
			o = tally_json(&c->kind[p][a]);
			json_object_set_new(o, "place",
					    json_string(fault_place_name((enum fault_place)p)));
			json_object_set_new(o, "fault", json_string(fault_act_name((enum fault_act)a)));
			json_object_set_new(o, "meaning",
					    json_string(fault_act_meaning((enum fault_act)a)));
			json_array_append_new(kinds, o);
		}
	return kinds;
}

static json_t *
counts_json(const struct certifying *c)
{
	json_t *all = json_object();

	for (int p = 0; p < N_FAULT_PLACES; p++)
		json_object_set_new(all, fault_place_name((enum fault_place)p),
				    json_integer(c->counts.at[0][p] + c->counts.at[1][p]));
	return all;
}

static void
add_results(const struct certifying *c, json_t *certificate)
{
	json_t *all = tally_json(&c->all);
	char seed[24];

	json_object_update(certificate, all);
	json_decref(all);
	snprintf(seed, sizeof(seed), "%" PRIu64, c->options->seed);
	json_object_set_new(certificate, "seed", json_string(seed));
	json_object_set_new(certificate, "planned", json_integer((json_int_t)c->list.len));
	json_object_set_new(certificate, "broken",
			    c->options->broken ? json_string(c->options->broken) : json_null());
	json_object_set_new(certificate, "calls", counts_json(c));
	json_object_set_new(certificate, "kinds", kinds_json(c));
	json_object_set(certificate, "failures", c->failures);
	json_object_set_new(certificate, "took_ms", json_integer(clock_mono_ms() - c->start_ms));
}

static int
choose_cases(struct certifying *c, struct error *err)
{
	if (!c->options->only)
		return cases_make(&c->counts, c->options->cases, c->options->seed, &c->list, err);
	c->list.item = calloc(1, sizeof(*c->list.item));
	if (!c->list.item)
		return error_set(err, E_NOMEM, "out of memory");
	c->list.len = 1;
	return case_parse(c->options->only, c->list.item, err);
}

static int
check_options(const struct certify_options *o, struct error *err)
{
	static const char *const known[] = {"sync", "undo", "probe"};
	struct fault_case one;

	for (size_t i = 0; o->broken && i < COUNT_OF(known); i++)
		if (!strcmp(o->broken, known[i]))
			return 0;
	if (o->broken)
		return error_set(err, E_INVALID, "--broken: '%s' is none of sync, undo, probe",
				 o->broken);
	return o->only ? case_parse(o->only, &one, err) : 0;
}

static void
release(struct certifying *c)
{
	struct error err = {0};

	/* Cases that failed keep their folders, and so this one. */
	if (c->base && (!c->failures || !json_array_size(c->failures)))
		files_remove(c->base, &err);
	world_release(&c->wanted);
	free(c->list.item);
	free(c->base);
	free(c->resite);
	free(c->shim);
	free(c->plugin_dirs[0]);
	json_decref(c->failures);
}

int
certify_run(const struct settings *settings, const struct certify_options *options,
	    certify_progress_fn *progress, void *ctx, json_t **ret, struct error *err)
{
	struct certifying c = {.options = options, .progress = progress, .ctx = ctx,
			       .failures = json_array(), .start_ms = clock_mono_ms()};
	struct sigaction act = {.sa_handler = on_interrupt}, was_int, was_term;
	json_t *certificate = NULL;
	int rc = check_options(options, err);

	sigaction(SIGINT, &act, &was_int);
	sigaction(SIGTERM, &act, &was_term);
	if (rc == 0)
		rc = find_parts(&c, settings, err);
	if (rc == 0)
		rc = make_base(&c, err);
	if (rc == 0) {
		c.setup = (struct lane_setup){.settings = &c.settings, .base = c.base,
					      .resite = c.resite, .shim = c.shim,
					      .broken = options->broken, .seed = options->seed};
		certificate = facts_collect(options->dir, err);
		rc = certificate ? lane_init(err) : err->code;
	}
	if (rc == 0)
		rc = run_undisturbed(&c, err);
	if (rc == 0)
		rc = choose_cases(&c, err);
	if (rc == 0)
		rc = run_cases(&c, err);
	if (rc == 0) {
		add_results(&c, certificate);
		*ret = json_incref(certificate);
	}
	json_decref(certificate);
	release(&c);
	sigaction(SIGINT, &was_int, NULL);
	sigaction(SIGTERM, &was_term, NULL);
	return rc;
}
