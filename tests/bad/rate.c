/* rate.c -- attempts per second through one nursery, without scheduler and journal.
 *
 *	rate WORKER PLUGIN.so ACTION ATTEMPTS IN-FLIGHT [PARAMS-JSON]
 */
#include "core/base/base.h"
#include "core/base/strbuf.h"
#include "core/worker/nursery.h"

#include <resite/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct rate {
	struct nursery *nursery;
	struct strbuf line;
	unsigned started, ended, wanted, unclean;
	int64_t kid_cpu_us, maxrss_kb;
};

static void start_one(struct rate *r);

static void
on_lost(void *ctx, const char *text)
{
	(void)ctx;
	fprintf(stderr, "lost: %s\n", text);
	exit(1);
}

static void
on_message(void *ctx, const json_t *msg, const char *line, size_t len)
{
	(void)ctx;
	(void)msg;
	(void)line;
	(void)len;
}

static void
on_ended(void *ctx, const struct attempt_end *end)
{
	struct rate *r = ctx;

	r->ended++;
	r->kid_cpu_us += end->cpu_us;
	if (end->maxrss_kb > r->maxrss_kb)
		r->maxrss_kb = end->maxrss_kb;
	if ((end->outcome != ATTEMPT_CLEAN || end->rc != 0) && r->unclean++ == 0)
		fprintf(stderr, "first failure: %s %s\n", end->why, end->text);
	if (r->started < r->wanted)
		start_one(r);
	else if (r->ended == r->wanted)
		nursery_stop(r->nursery);
}

static void
start_one(struct rate *r)
{
	static const struct attempt_events events = {.message = on_message, .ended = on_ended};
	struct attempt *a;
	struct error err = {0};

	r->started++;
	if (attempt_start(r->nursery, r->line.buf, r->line.len, NULL, 60000, &events, r, &a, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
}

static double
cpu(int who)
{
	struct rusage ru;

	getrusage(who, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

int
main(int argc, char **argv)
{
	static const struct nursery_events events = {.lost = on_lost};
	struct nursery_config config = {.lock_fd = -1};
	struct attempt_spec spec = {.run = "rate", .step = "step", .attempt = 1,
				    .mode = RESITE_DISASTER, .timeout_ms = 60000,
				    .phases = PHASES_STEP};
	struct rate r = {0};
	struct error err = {0};
	uv_loop_t loop;
	uint64_t start;
	double s;

	if (argc < 6)
		return 2;
	config.worker_path = argv[1];
	config.plugin_path = argv[2];
	spec.action = argv[3];
	spec.params = argc > 6 ? json_loads(argv[6], 0, NULL) : NULL;
	r.wanted = (unsigned)atoi(argv[4]);
	strbuf_init(&r.line);
	protocol_write_attempt(&r.line, &spec);
	uv_loop_init(&loop);
	r.nursery = nursery_start(&loop, &config, &events, &r, &err);
	if (!r.nursery) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	start = uv_hrtime();
	for (int i = 0; i < atoi(argv[5]); i++)
		start_one(&r);
	uv_run(&loop, UV_RUN_DEFAULT);
	s = (double)(uv_hrtime() - start) / 1e9;
	printf("%s %s: %.0f/s; CPU per attempt: parent %.0f us, child %.0f us, nursery and all %.0f us; "
	       "child %" PRId64 " KiB; %u unclean\n", argv[2], argv[3], r.wanted / s,
	       cpu(RUSAGE_SELF) * 1e6 / r.wanted, (double)r.kid_cpu_us / r.wanted,
	       cpu(RUSAGE_CHILDREN) * 1e6 / r.wanted, r.maxrss_kb, r.unclean);
	return r.unclean != 0;
}
