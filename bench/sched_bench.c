/* sched_bench: the scheduler alone, with workers that take no time.
 *
 *	sched_bench STEPS [JOBS]
 *
 * A layered graph with three random dependencies for each step.  A transition is a start
 * or an end.  Prints one JSON object: how fast, and how much memory for each step, by the
 * scheduler's own count and by what the process grew.
 */
#include "core/base/base.h"
#include "core/engine/sched.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LAYERS 20
#define DRAWS 3

struct bench {
	uint32_t n, jobs;
	struct sched_step *steps;
	uint32_t *after;   /* DRAWS for each step */
	uint32_t *open;    /* a ring of running steps */
	uint64_t starts, ends;
};

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Resident bytes of this process. */
static size_t
resident(void)
{
	unsigned long size = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%lu %lu", &size, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * 4096;
}

static uint64_t
draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static bool
make_steps(struct bench *b)
{
	uint32_t width = b->n / LAYERS ? b->n / LAYERS : 1;
	uint64_t random = 88172645463325252;

	b->steps = calloc(b->n, sizeof(*b->steps));
	b->after = calloc(b->n, DRAWS * sizeof(*b->after));
	b->open = calloc(b->jobs, sizeof(*b->open));
	if (!b->steps || !b->after || !b->open)
		return false;
	for (uint32_t s = 0; s < b->n; s++) {
		struct sched_step *step = &b->steps[s];

		*step = (struct sched_step){.attempts = 1, .timeout_ms = 60000, .weight_ms = 1000,
					    .flags = SCHED_CAN_PROBE};
		if (s < width)
			continue;
		step->after = b->after + (size_t)s * DRAWS;
		for (; step->n_after < DRAWS; step->n_after++)
			b->after[(size_t)s * DRAWS + step->n_after] =
				(s / width - 1) * width + (uint32_t)(draw(&random) % width);
	}
	return true;
}

/* Runs it all: the oldest open attempt ends first. */
static void
run(struct bench *b, struct sched *sched)
{
	struct sched_command c;
	uint64_t now_ms = 0;

	do {
		while (sched_next(sched, &c))
			b->open[b->starts++ % b->jobs] = c.step;
		if (b->ends < b->starts) {
			sched_ended(sched, b->open[b->ends++ % b->jobs], OUTCOME_OK, 0,
				    (int64_t)++now_ms);
			sched_time(sched, (int64_t)now_ms);
		}
	} while (b->ends < b->starts || sched_phase(sched) == RUN_ACTIVE);
}

int
main(int argc, char **argv)
{
	struct bench b = {.n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0,
			  .jobs = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 32};
	struct sched_config config = {.n_steps = b.n, .jobs = b.jobs};
	size_t before, grown, counted;
	struct sched *sched;
	double t0, t1, t2;

	if (!b.n || !b.jobs || argc > 3) {
		fprintf(stderr, "usage: sched_bench STEPS [JOBS]\n");
		return 2;
	}
	if (!make_steps(&b))
		return 1;
	config.steps = b.steps;
	before = resident();
	t0 = seconds();
	sched = sched_new(&config);
	t1 = seconds();
	if (!sched)
		return 1;
	run(&b, sched);
	t2 = seconds();
	grown = resident() - before;
	counted = sched_bytes(sched);
	if (b.ends != b.n || sched_phase(sched) != RUN_DONE) {
		fprintf(stderr, "sched_bench: %" PRIu64 " of %" PRIu32 " steps ended\n", b.ends, b.n);
		return 1;
	}
	printf("{\"steps\": %" PRIu32 ", \"build_s\": %.4f, \"run_s\": %.4f, \"transitions_per_s\": %.0f, "
	       "\"bytes_per_step\": %.0f, \"resident_per_step\": %.0f}\n", b.n, t1 - t0, t2 - t1,
	       (double)(b.starts + b.ends) / (t2 - t1), (double)counted / b.n, (double)grown / b.n);
	sched_free(sched);
	free(b.steps);
	free(b.after);
	free(b.open);
	return 0;
}
