/* Simulation: random graphs, faults, words and crashes under virtual time.
 *
 *	sim [--runs N] [--seed S] [--steps MAX] [--jobs N] [--case DIR] [--table]
 *
 * Run k is the case of seed S + k, the same on every machine.  After each event the whole
 * state is compared with the rules (rules.h), at each commit with the fold of the journal.
 * A failure is made smaller and printed as a golden case, and written into DIR; with
 * --runs 1 and --case the case is written whether it fails or not.
 * Exit status: 0 all rules kept, 1 one was broken, 2 usage. */
#include "core/base/base.h"
#include "tests/sim/arena.h"
#include "tests/sim/shrink.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* valgrind is some forty times slower, and looks for other things. */
#define RUNS_IN_CHECK 60000
#define RUNS_UNDER_VALGRIND 1000
#define JOBS_MAX 64

struct options {
	uint64_t runs, seed;
	uint32_t steps, jobs;
	const char *case_dir; /* or NULL */
	bool table;
};

/* What one process has to say at its end. */
struct tally {
	uint64_t cover[COVERS];
	uint64_t failed; /* 1: a rule was broken */
};

static void
report(struct sim *s, struct sim_case *c, uint64_t seed, uint64_t nth, const struct options *o)
{
	uint32_t steps = c->n_steps;
	uint64_t tries;

	printf("FAIL seed %" PRIu64 " (run %" PRIu64 "): %s%s%s\n", seed, nth, s->broken,
	       *s->detail ? ": " : "", s->detail);
	sim_release(s);
	tries = shrink(s, c);
	printf("%" PRIu32 " steps became %d, with %d acts, in %" PRIu64 " tries:\n", steps,
	       c->n_steps, c->n_acts, tries);
	print_case(s, c);
	if (o->case_dir && write_case(s, c, o->case_dir) < 0)
		printf("%s: %s\n", o->case_dir, strerror(errno));
	fflush(stdout);
}

/* Each jobs-th seed from first on. */
static void
simulate(struct sim *s, const struct options *o, uint64_t first, struct tally *tally)
{
	static struct sim_case c;

	for (uint64_t k = first; k < o->runs && !tally->failed; k += o->jobs) {
		case_draw(&c, o->seed + k, o->steps);
		arena_on();
		tally->failed = !sim_play(s, &c, tally->cover, NULL);
		if (!tally->failed && !arena_had_room())
			sim_release(s);
		arena_off();
		if (tally->failed)
			report(s, &c, o->seed + k, k + 1, o);
	}
	if (o->runs == 1 && o->case_dir && !tally->failed && write_case(s, &c, o->case_dir) < 0)
		printf("%s: %s\n", o->case_dir, strerror(errno));
}

static int
child(struct sim *s, const struct options *o, uint64_t first, int fd)
{
	struct tally tally = {0};

	simulate(s, o, first, &tally);
	return write(fd, &tally, sizeof(tally)) == sizeof(tally) ? 0 : 1;
}

/* A process for each job; what they count is added up. */
static bool
simulate_in_processes(struct sim *s, const struct options *o, struct tally *sum)
{
	int pipe_fd[2];
	bool ok = pipe(pipe_fd) == 0;

	fflush(stdout);
	for (uint64_t i = 0; ok && i < o->jobs; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(child(s, o, i, pipe_fd[1]));
		ok = pid > 0;
	}
	close(pipe_fd[1]);
	for (struct tally t; ok && read(pipe_fd[0], &t, sizeof(t)) == sizeof(t);) {
		for (size_t i = 0; i < COVERS; i++)
			sum->cover[i] += t.cover[i];
		sum->failed += t.failed;
	}
	for (int status; wait(&status) > 0;)
		ok = ok && WIFEXITED(status) && !WEXITSTATUS(status);
	return ok;
}

static void
print_table(const uint64_t *cover)
{
	for (size_t i = 0; i < COVERS; i++)
		printf("%14" PRIu64 "  %s\n", cover[i], cover_text((enum cover)i));
}

/* Of this process and its children: other work on the machine does not count. */
static double
cpu_seconds(void)
{
	static const int who[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
	double seconds = 0;

	for (size_t i = 0; i < COUNT_OF(who); i++) {
		struct rusage u;

		getrusage(who[i], &u);
		seconds += (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
			   (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
	}
	return seconds;
}

static int
simulate_all(const struct options *o)
{
	struct sim *s = calloc(1, sizeof(*s));
	struct tally tally = {0};
	double seconds, start = cpu_seconds();
	bool ok = s != NULL;

	if (ok && o->jobs > 1)
		ok = simulate_in_processes(s, o, &tally);
	else if (ok)
		simulate(s, o, 0, &tally);
	free(s);
	seconds = cpu_seconds() - start;
	if (o->table)
		print_table(tally.cover);
	printf("simulated runs: %" PRIu64 " from seed %" PRIu64 ", %.1f steps and %.1f events each, "
	       "%.1f s of CPU, %.0f runs/s on one core\n", tally.cover[COVER_RUNS], o->seed,
	       (double)tally.cover[COVER_STEPS] / (double)tally.cover[COVER_RUNS],
	       (double)tally.cover[COVER_EVENTS] / (double)tally.cover[COVER_RUNS], seconds,
	       (double)tally.cover[COVER_RUNS] / seconds);
	return ok && !tally.failed ? 0 : 1;
}

static bool
read_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{"runs", required_argument, NULL, 'r'},  {"seed", required_argument, NULL, 's'},
		{"steps", required_argument, NULL, 'n'}, {"jobs", required_argument, NULL, 'j'},
		{"case", required_argument, NULL, 'c'},  {"table", no_argument, NULL, 't'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "r:s:n:j:c:t", known, NULL)) != -1) {
		uint64_t n = optarg ? strtoull(optarg, NULL, 10) : 0;

		switch (c) {
		case 'r': o->runs = n; break;
		case 's': o->seed = n; break;
		case 'n': o->steps = n < CASE_STEPS ? (uint32_t)n : CASE_STEPS; break;
		case 'j': o->jobs = n < JOBS_MAX ? (uint32_t)n : JOBS_MAX; break;
		case 'c': o->case_dir = optarg; break;
		case 't': o->table = true; break;
		default: return false;
		}
	}
	return optind == argc && o->runs && o->steps && o->jobs;
}

int
main(int argc, char **argv)
{
	struct options o = {.seed = 1, .steps = 22, .jobs = 1,
			    .runs = getenv("RESITE_UNDER_VALGRIND") ? RUNS_UNDER_VALGRIND :
								      RUNS_IN_CHECK};

	if (!read_options(argc, argv, &o)) {
		fprintf(stderr, "usage: sim [--runs N] [--seed S] [--steps MAX] [--jobs N] "
			"[--case DIR] [--table]\n");
		return 2;
	}
	arena_init();
	return simulate_all(&o);
}
