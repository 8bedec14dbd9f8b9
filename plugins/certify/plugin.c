/* certify -- the world of `resite certify`: a folder instead of servers.
 *
 * Everything that happens to the world is a line at the end of WORLD/log:
 *	effect GENERATION PID STEP OBJECT VALUE   the object has this value from here on
 *	probe  GENERATION PID STEP - -            the attempt has looked
 *	undo   GENERATION PID STEP OBJECT -       resite has said: its undo record is durable
 *	point  GENERATION PID STEP N -            resite has said: checkpoint N is durable
 *	given  GENERATION PID STEP N -            apply began with this last checkpoint
 * One write adds one line whole, as a server does something whole or not at all.  The
 * generation is which resite it was, counted by the certificate.
 *
 * broken: for the certificate's own test, a plugin that does what it must not.
 */
#define _GNU_SOURCE
#include <resite/easy.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define ARGS struct resite_op *op, const struct resite_host *host
#define OBJECTS_MAX 64
#define WORD_MAX 64
#define SOME_WORD "%63s"

struct world {
	struct resite_op *op;
	const struct resite_host *host;
	int fd;                             /* of the log, at its end */
	const char *step, *value, *broken;
	int64_t objects;                    /* "1" to "objects" */
	int64_t done;                       /* how many of them have the value */
	char now[OBJECTS_MAX + 1][WORD_MAX]; /* their values; empty: none yet */
};

/* --- the log ------------------------------------------------------------- */

static int
note(struct world *w, const char *what, const char *object, const char *value)
{
	const char *generation = getenv("RESITE_CERTIFY_GENERATION");
	char line[512];
	int n = snprintf(line, sizeof(line), "%s %s %ld %s %s %s\n", what,
			 generation ? generation : "0", (long)getpid(), w->step, object, value);

	if (n < 0 || (size_t)n >= sizeof(line))
		return resite_fail(w->op, w->host, RESITE_ERR_INVALID, "value", "it is too long");
	if (write(w->fd, line, (size_t)n) != n)
		return resite_fail(w->op, w->host, RESITE_ERR_TRANSIENT, NULL, "the world: %s",
				   strerror(errno));
	return RESITE_OK;
}

static int
note_number(struct world *w, const char *what, int64_t n)
{
	char number[24];

	snprintf(number, sizeof(number), "%lld", (long long)n);
	return note(w, what, number, "-");
}

static void
take_line(struct world *w, const char *line)
{
	char what[WORD_MAX], step[WORD_MAX], value[WORD_MAX];
	long object;

	if (sscanf(line, SOME_WORD " %*s %*s " SOME_WORD " %ld " SOME_WORD, what, step, &object,
		   value) != 4)
		return;
	if (!strcmp(what, "effect") && !strcmp(step, w->step) && object >= 1 &&
	    object <= OBJECTS_MAX)
		memcpy(w->now[object], value, sizeof(value));
}

static int
look(struct world *w)
{
	char path[64], line[512];
	FILE *log;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", w->fd);
	log = fopen(path, "re");
	if (!log)
		return resite_fail(w->op, w->host, RESITE_ERR_TRANSIENT, "world", "the world: %s",
				   strerror(errno));
	while (fgets(line, sizeof(line), log))
		take_line(w, line);
	fclose(log);
	w->done = 0;
	for (int64_t i = 1; i <= w->objects; i++)
		w->done += !strcmp(w->now[i], w->value);
	return RESITE_OK;
}

/* Opens the world that the parameters name and looks at it. */
static int
enter(struct world *w, struct resite_op *op, const struct resite_host *host)
{
	const char *dir = host->param_str(op, "world", 0);
	char path[4096];

	memset(w, 0, sizeof(*w));
	w->op = op;
	w->host = host;
	w->step = host->param_str(op, "name", 0);
	w->value = resite_str_or(op, host, "value", "done");
	w->broken = resite_str_or(op, host, "broken", "");
	w->objects = resite_i64_or(op, host, "objects", 1);
	if ((size_t)snprintf(path, sizeof(path), "%s/log", dir) >= sizeof(path))
		return resite_fail(op, host, RESITE_ERR_INVALID, "world", "the path is too long");
	w->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (w->fd < 0)
		return resite_fail(op, host, RESITE_ERR_TRANSIENT, "world", "%s: %s", path,
				   strerror(errno));
	return look(w);
}

/* An attempt's process ends soon after, but calls this many times before. */
static int
leave(struct world *w, int rc)
{
	if (w->fd >= 0)
		close(w->fd);
	return rc;
}

static int
effect(struct world *w, int64_t object)
{
	char number[24];

	snprintf(number, sizeof(number), "%lld", (long long)object);
	return note(w, "effect", number, w->value);
}

/* --- look: only reads ---------------------------------------------------- */

static int
look_verify(ARGS)
{
	struct world w;
	int rc = enter(&w, op, host);

	if (rc == RESITE_OK)
		rc = host->output(op, "seen", "world");
	return leave(&w, rc);
}

/* --- put, carry ---------------------------------------------------------- */

static int
give_digest(struct world *w)
{
	char digest[WORD_MAX];

	snprintf(digest, sizeof(digest), "%lld-%.32s", (long long)w->objects, w->value);
	return w->host->output(w->op, "digest", digest);
}

static int
probe(ARGS)
{
	struct world w;
	char now[64];
	int rc = enter(&w, op, host);

	if (rc == RESITE_OK)
		rc = note(&w, "probe", "-", "-");
	if (rc == RESITE_OK) {
		snprintf(now, sizeof(now), "%lld of %lld have it", (long long)w.done,
			 (long long)w.objects);
		rc = host->state(op, now, now, (uint64_t)(w.objects - w.done), (uint64_t)w.objects);
	}
	/* Apply will not be called for what is there already. */
	if (rc == RESITE_OK && w.done == w.objects)
		rc = give_digest(&w);
	return leave(&w, rc);
}

static int
record(struct world *w, int64_t object)
{
	char number[24], by_hand[96];
	const struct resite_kv kv[] = {{"object", number},
				       {"was.value", w->now[object]}, {"set.value", w->value}};

	snprintf(number, sizeof(number), "%lld", (long long)object);
	snprintf(by_hand, sizeof(by_hand), "object %s: back to '%.32s'", number, w->now[object]);
	return w->host->undo_add(w->op, 1, by_hand, kv, 3);
}

static bool
is_due(const struct world *w, int64_t object)
{
	return !strcmp(w->broken, "probe") || strcmp(w->now[object], w->value) != 0;
}

/* Objects first to last get their records, all durable before the first of them changes. */
static int
record_batch(struct world *w, int64_t first, int64_t last)
{
	char number[24];
	int rc = RESITE_OK;

	for (int64_t i = first; rc == RESITE_OK && i <= last; i++)
		rc = is_due(w, i) ? record(w, i) : RESITE_OK;
	if (rc == RESITE_OK)
		rc = w->host->sync(w->op);
	for (int64_t i = first; rc == RESITE_OK && i <= last; i++) {
		snprintf(number, sizeof(number), "%lld", (long long)i);
		rc = is_due(w, i) ? note(w, "undo", number, "-") : RESITE_OK;
	}
	return rc;
}

static int
change_batch(struct world *w, int64_t first, int64_t last)
{
	int rc = RESITE_OK;

	for (int64_t i = first; rc == RESITE_OK && i <= last; i++)
		rc = is_due(w, i) ? effect(w, i) : RESITE_OK;
	return rc;
}

static int
checkpoint(struct world *w, int64_t n)
{
	char name[24];
	int rc;

	snprintf(name, sizeof(name), "%lld", (long long)n);
	rc = w->host->checkpoint(w->op, name, w->value);
	return rc == RESITE_OK ? note(w, "point", name, "-") : rc;
}

/* Where apply begins: after the last checkpoint. */
static int
begin_apply(struct world *w, int64_t *ret_first)
{
	const char *data, *name = w->host->last_checkpoint(w->op, &data);

	*ret_first = (name ? atoll(name) : 0) + 1;
	return note_number(w, "given", *ret_first - 1);
}

static int
apply_in_batches(struct world *w, int64_t batch, bool with_undo)
{
	int64_t first;
	int rc = begin_apply(w, &first);

	for (int64_t i = first; rc == RESITE_OK && i <= w->objects; i += batch) {
		int64_t last = i + batch - 1 < w->objects ? i + batch - 1 : w->objects;
		bool too_late = with_undo && !strcmp(w->broken, "undo");

		if (too_late)
			rc = change_batch(w, i, last);
		if (rc == RESITE_OK && with_undo)
			rc = record_batch(w, i, last);
		if (rc == RESITE_OK && !too_late)
			rc = change_batch(w, i, last);
		if (rc == RESITE_OK)
			rc = checkpoint(w, last);
		w->host->progress(w->op, (uint64_t)last, (uint64_t)w->objects, "objects");
	}
	return rc == RESITE_OK ? give_digest(w) : rc;
}

static int
put_apply(ARGS)
{
	struct world w;
	int rc = enter(&w, op, host);

	if (rc == RESITE_OK)
		rc = apply_in_batches(&w, resite_i64_or(op, host, "batch", 1), true);
	return leave(&w, rc);
}

static int
carry_apply(ARGS)
{
	struct world w;
	int rc = enter(&w, op, host);

	if (rc == RESITE_OK)
		rc = apply_in_batches(&w, 1, false);
	return leave(&w, rc);
}

static int
verify(ARGS)
{
	struct world w;
	int rc = enter(&w, op, host);

	if (rc == RESITE_OK && w.done < w.objects)
		rc = resite_fail(op, host, RESITE_ERR_CONFLICT, NULL, "%lld of %lld have it",
				 (long long)w.done, (long long)w.objects);
	return leave(&w, rc);
}

/* What is done with a record: only what still holds the value that was written is put back. */
static int
put_back(struct world *w, const char *object, const char *was, const char *set)
{
	const char *now = w->now[atoi(object) % (OBJECTS_MAX + 1)];
	int way = w->host->revert_way(w->op), rc = RESITE_OK;
	int result = !strcmp(now, was) ? RESITE_REVERTED_ALREADY :
		     !strcmp(now, set) || way == RESITE_FORCE ? RESITE_REVERTED_PUT_BACK :
								 RESITE_REVERTED_CONFLICT;

	if (result == RESITE_REVERTED_PUT_BACK && way != RESITE_LOOK)
		rc = note(w, "effect", object, *was ? was : "-");
	return rc == RESITE_OK ? w->host->reverted(w->op, object, result, was, set, now) : rc;
}

static int
put_revert_one(ARGS, uint32_t version, const struct resite_kv *kv, uint32_t n)
{
	const char *object = resite_kv_get(kv, n, "object"), *set = resite_kv_get(kv, n, "set.value");
	const char *was = resite_kv_get(kv, n, "was.value");
	struct world w;
	int rc = enter(&w, op, host);

	(void)version;
	if (rc == RESITE_OK)
		rc = put_back(&w, object ? object : "0", was ? was : "", set ? set : "");
	return leave(&w, rc);
}

static int
put_revert(ARGS)
{
	return resite_revert_each(op, host, put_revert_one);
}

/* --- mark: it can only be done, not looked for ---------------------------- */

static int
mark_apply(ARGS)
{
	struct world w;
	int rc = enter(&w, op, host);

	if (rc == RESITE_OK)
		rc = effect(&w, 1);
	return leave(&w, rc);
}

/* --- description --------------------------------------------------------- */

#define P_WORLD {.name = "world", .summary = "folder that is the world", \
		 .type = RESITE_T_PATH, .flags = RESITE_PARAM_REQUIRED}
#define P_NAME {.name = "name", .summary = "the step's name, for the log", \
		.type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED}
#define P_VALUE {.name = "value", .summary = "value that each object gets", \
		 .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED}
#define P_OBJECTS {.name = "objects", .summary = "how many objects there are", \
		   .type = RESITE_T_INT, .def = "1", .min = 1, .max = OBJECTS_MAX}
#define P_BATCH {.name = "batch", .summary = "objects between two syncs", \
		 .type = RESITE_T_INT, .def = "1", .min = 1, .max = OBJECTS_MAX}
#define P_BROKEN {.name = "broken", .summary = "what to do wrong: undo, probe", \
		  .type = RESITE_T_STRING, .def = ""}

static const struct resite_param look_params[] = {P_WORLD, P_NAME, {.name = NULL}};
static const struct resite_param put_params[] = {P_WORLD, P_NAME, P_VALUE, P_OBJECTS, P_BATCH,
						 P_BROKEN, {.name = NULL}};
static const struct resite_param carry_params[] = {P_WORLD, P_NAME, P_VALUE, P_OBJECTS,
						   P_BROKEN, {.name = NULL}};
static const char *const look_outputs[] = {"seen", NULL};
static const char *const put_outputs[] = {"digest", NULL};

static const struct resite_action actions[] = {
	{.name = "look", .summary = "looks at the world", .flags = RESITE_ACT_READONLY,
	 .default_timeout_ms = 30000, .params = look_params, .outputs = look_outputs,
	 .verify = look_verify},
	{.name = "put", .summary = "gives objects a value, with undo records",
	 .flags = RESITE_ACT_REVERSIBLE, .default_timeout_ms = 30000, .params = put_params,
	 .outputs = put_outputs, .probe = probe, .apply = put_apply, .verify = verify,
	 .revert = put_revert},
	{.name = "carry", .summary = "carries objects over", .flags = RESITE_ACT_CARRIES,
	 .default_timeout_ms = 30000, .params = carry_params, .outputs = put_outputs,
	 .probe = probe, .apply = carry_apply, .verify = verify},
	{.name = "mark", .summary = "does something that cannot be looked for",
	 .default_timeout_ms = 30000, .params = look_params, .apply = mark_apply},
};

RESITE_PLUGIN(.name = "certify", .version = "1", .summary = "the world of resite certify",
	      .actions = actions, .n_actions = sizeof(actions) / sizeof(actions[0]))
