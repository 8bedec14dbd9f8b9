/* noop.c -- the slimmest plugin there is, for tests and benchmarks.  With NOOP_FAT it
 * is linked to the libraries that a real one has, and named fatnoop. */
#define _GNU_SOURCE
#include <resite/easy.h>
#include <resite/plugin.h>

#include <time.h>

#ifdef NOOP_FAT
#include <curl/curl.h>
#include <ldap.h>
#include <libxml/parser.h>
#define NOOP_NAME "fatnoop"
/* Never called; it keeps the libraries linked. */
int noop_keep(void);
int
noop_keep(void)
{
	LDAP *ld = NULL;

	xmlInitParser();
	return curl_global_init(0) + ldap_initialize(&ld, "ldap:///");
}
#else
#define NOOP_NAME "noop"
#endif

static int
ok(struct resite_op *op, const struct resite_host *host)
{
	(void)op;
	(void)host;
	return RESITE_OK;
}

static int
nap(struct resite_op *op, const struct resite_host *host)
{
	int rc = host->wait(op, -1, 0, host->param_i64(op, "time", 0));

	if (rc == RESITE_PENDING)
		return RESITE_OK;
	return resite_fail(op, host, rc, NULL, "woken up");
}

/* Tells when it ran, by the clock that all processes share: bench/run's latency. */
static int
stamp(struct resite_op *op, const struct resite_host *host)
{
	static const char *const names[] = {"began", "ended"};
	struct timespec ts;
	char text[32];
	int rc = RESITE_OK;

	for (int i = 0; i < 2 && rc == RESITE_OK; i++) {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		snprintf(text, sizeof(text), "%lld", ts.tv_sec * 1000000000LL + ts.tv_nsec);
		rc = host->output(op, names[i], text);
	}
	return rc;
}

static int
state_todo(struct resite_op *op, const struct resite_host *host)
{
	/* One change, until the file named by the parameter would exist: without one,
	 * the second look is told by the checkpoint of nobody: always converged. */
	host->change(op, "thing", "old", "new");
	return host->state(op, "old", "f1", 1, 1);
}

static int
state_done(struct resite_op *op, const struct resite_host *host)
{
	return host->state(op, "new", "f2", 0, 1);
}

/* A process lives for one attempt: what apply did is seen by the probe after it. */
static int (*probe_now)(struct resite_op *, const struct resite_host *) = state_todo;

static int
probed_probe(struct resite_op *op, const struct resite_host *host)
{
	return probe_now(op, host);
}

static int
probed_apply(struct resite_op *op, const struct resite_host *host)
{
	const struct resite_kv kv[] = {{"was.thing", "old"}, {"set.thing", "new"}};
	int rc = host->undo_put(op, 1, "set thing to old", kv, 2);

	probe_now = state_done;
	return rc;
}

/* The world of this plugin is its records: what was set is there, unless the record says
 * what somebody else has made of it. */
static int
revert_thing(struct resite_op *op, const struct resite_host *host, uint32_t version,
	     const struct resite_kv *kv, uint32_t n)
{
	const char *was = resite_kv_get(kv, n, "was.thing"), *now = resite_kv_get(kv, n, "now");
	const char *set = resite_kv_get(kv, n, "set.thing");
	int result = RESITE_REVERTED_PUT_BACK;

	if (version != 1 || !was || !set)
		return resite_fail(op, host, RESITE_ERR_INVALID, NULL, "a record of version %u",
				   (unsigned)version);
	now = now ? now : set;
	if (!strcmp(now, was))
		result = RESITE_REVERTED_ALREADY;
	else if (strcmp(now, set) != 0 && host->revert_way(op) != RESITE_FORCE)
		result = RESITE_REVERTED_CONFLICT;
	return host->reverted(op, "thing", result, was, set, now);
}

static int
probed_revert(struct resite_op *op, const struct resite_host *host)
{
	return resite_revert_each(op, host, revert_thing);
}

static const struct resite_param nap_params[] = {
	{.name = "time", .summary = "how long to sleep", .type = RESITE_T_DURATION,
	 .flags = RESITE_PARAM_REQUIRED},
	{0},
};

static const char *const stamp_outputs[] = {"began", "ended", NULL};

static const struct resite_action actions[] = {
	{.name = "noop", .summary = "does nothing", .default_timeout_ms = 60000, .apply = ok},
	{.name = "nap", .summary = "sleeps", .default_timeout_ms = 60000, .params = nap_params,
	 .apply = nap},
	{.name = "stamp", .summary = "tells when it ran", .default_timeout_ms = 60000,
	 .outputs = stamp_outputs, .apply = stamp},
	{.name = "probed", .summary = "changes one imagined thing", .flags = RESITE_ACT_REVERSIBLE,
	 .default_timeout_ms = 60000, .check = ok, .probe = probed_probe, .apply = probed_apply,
	 .verify = ok, .revert = probed_revert},
	{.name = "probed-done", .summary = "has nothing to change", .default_timeout_ms = 60000,
	 .probe = state_done, .apply = probed_apply, .verify = ok},
	{.name = "look", .summary = "verifies nothing", .flags = RESITE_ACT_READONLY,
	 .default_timeout_ms = 60000, .verify = ok},
};

RESITE_PLUGIN(.name = NOOP_NAME, .version = "1", .summary = "does nothing, for tests",
	      .actions = actions, .n_actions = sizeof(actions) / sizeof(actions[0]))
