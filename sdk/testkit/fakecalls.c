#define _GNU_SOURCE
#include "fake.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>

/* --- what the plugin says ------------------------------------------------ */

static void
add_line(char **text, const char *line)
{
	char *joined;

	if (asprintf(&joined, "%s%s\n", *text ? *text : "", line) < 0)
		fake_die("out of memory");
	free(*text);
	*text = joined;
}

static int
host_mode(struct resite_op *op)
{
	return op->mode;
}

static void
host_log(struct resite_op *op, int level, const char *msg)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};

	add_line(&op->logs, msg);
	if (op->trace)
		fprintf(op->trace, "%s: %s\n", names[level & 3], msg);
}

static void
host_fail(struct resite_op *op, const char *param, int64_t retry_after_ms, const char *msg)
{
	(void)retry_after_ms;
	fake_replace(&op->failure, msg);
	fake_replace(&op->failure_param, param);
	if (op->trace)
		fprintf(op->trace, "fail: %s%s%s\n", param ? param : "", param ? ": " : "", msg);
}

static int
host_change(struct resite_op *op, const char *object, const char *was, const char *will_be)
{
	op->changes = fake_must(realloc(op->changes, (op->n_changes + 1) * sizeof(*op->changes)));
	op->changes[op->n_changes++] =
		(struct fakehost_change){fake_copy(object), fake_copy(was), fake_copy(will_be)};
	return RESITE_OK;
}

static int
host_state(struct resite_op *op, const char *now, const char *fingerprint, uint64_t changes,
	   uint64_t total)
{
	free(op->state.now);
	free(op->state.fingerprint);
	op->state = (struct fakehost_state){true, fake_copy(now), fake_copy(fingerprint), changes, total};
	return RESITE_OK;
}

static int
host_loss(struct resite_op *op, const char *sentence)
{
	add_line(&op->losses, sentence);
	return RESITE_OK;
}

static struct resite_kv *
copy_kv(const struct resite_kv *kv, uint32_t n)
{
	struct resite_kv *kept = fake_must(calloc(n ? n : 1, sizeof(*kept)));

	for (uint32_t i = 0; i < n; i++)
		kept[i] = (struct resite_kv){fake_copy(kv[i].key), fake_copy(kv[i].value)};
	return kept;
}

void
fake_free_kv(struct resite_kv *kv, uint32_t n)
{
	for (uint32_t i = 0; kv && i < n; i++) {
		free((void *)(uintptr_t)kv[i].key);
		free((void *)(uintptr_t)kv[i].value);
	}
	free(kv);
}

static bool
undo_fails(struct resite_op *op)
{
	return op->fail_undo && --op->fail_undo == 0;
}

static int
host_undo_add(struct resite_op *op, uint32_t version, const char *by_hand,
	      const struct resite_kv *kv, uint32_t n)
{
	if (undo_fails(op))
		return RESITE_ERR_REFUSED;
	op->undos = fake_must(realloc(op->undos, (op->n_undos + 1) * sizeof(*op->undos)));
	op->undos[op->n_undos++] =
		(struct fakehost_undo){version, n, fake_copy(by_hand), copy_kv(kv, n), false};
	return RESITE_OK;
}

static int
host_sync(struct resite_op *op)
{
	if (undo_fails(op))
		return RESITE_ERR_REFUSED;
	for (size_t i = op->n_undos; i > 0 && !op->undos[i - 1].durable; i--)
		op->undos[i - 1].durable = true;
	if (op->on_sync)
		op->on_sync(op->on_sync_arg);
	return RESITE_OK;
}

static int
host_undo_put(struct resite_op *op, uint32_t version, const char *by_hand,
	      const struct resite_kv *kv, uint32_t n)
{
	int rc = host_undo_add(op, version, by_hand, kv, n);

	return rc < 0 ? rc : host_sync(op);
}

/* What is handed out dies with the next call, as the plugin was told. */
static int
host_undo_next(struct resite_op *op, uint32_t *version, const struct resite_kv **kv, uint32_t *n)
{
	const struct fakehost_undo *u;

	if (!op->way)
		fake_die("undo_next belongs to revert");
	fake_free_kv(op->handed, op->n_handed);
	op->handed = NULL;
	if (op->pulled == op->n_undos)
		return 0;
	u = &op->undos[op->n_undos - ++op->pulled];
	op->handed = copy_kv(u->kv, u->n);
	*version = u->version;
	*n = op->n_handed = u->n;
	*kv = op->handed;
	return 1;
}

static int
host_revert_way(struct resite_op *op)
{
	return op->way;
}

static int
host_checkpoint(struct resite_op *op, const char *name, const char *data)
{
	fake_replace(&op->checkpoint, name);
	fake_replace(&op->checkpoint_data, data ? data : "");
	return RESITE_OK;
}

static const char *
host_last_checkpoint(struct resite_op *op, const char **data)
{
	if (data)
		*data = op->checkpoint_data;
	return op->checkpoint;
}

void
fake_set_pair(struct pair **list, size_t *n, const char *key, const char *value)
{
	for (size_t i = 0; i < *n; i++)
		if (!strcmp((*list)[i].key, key)) {
			fake_replace(&(*list)[i].value, value);
			return;
		}
	*list = fake_must(realloc(*list, (*n + 1) * sizeof(**list)));
	(*list)[(*n)++] = (struct pair){fake_copy(key), fake_copy(value)};
}

const char *
fake_get_pair(const struct pair *list, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i].key, key))
			return list[i].value;
	return NULL;
}

static int
host_output(struct resite_op *op, const char *name, const char *value)
{
	const char *const *o = op->action->outputs;

	while (o && *o && strcmp(*o, name))
		o++;
	if (!o || !*o)
		fake_die("output '%s' is not declared by action %s", name, op->action->name);
	fake_set_pair(&op->outputs, &op->n_outputs, name, value);
	return RESITE_OK;
}

/* Turns the timer that is the cancel_fd readable ms from now. */
void
fake_cancel_in(struct resite_op *op, int64_t ms)
{
	struct itimerspec at = {0};

	at.it_value.tv_sec = ms / 1000;
	at.it_value.tv_nsec = ms % 1000 * 1000000 + (ms ? 0 : 1);
	timerfd_settime(op->cancel_fd, 0, &at, NULL);
}

static void
reached_progress(struct resite_op *op)
{
	op->at_progress = 0;
	if (op->progress_hook)
		op->progress_hook(op->progress_arg);
	else
		fake_cancel_in(op, 0);
}

static void
host_progress(struct resite_op *op, uint64_t done, uint64_t total, const char *what)
{
	op->done = done;
	op->total = total;
	if (op->at_progress && done >= op->at_progress)
		reached_progress(op);
	if (op->trace)
		fprintf(op->trace, "progress: %" PRIu64 "/%" PRIu64 " %s\n", done, total,
			what ? what : "");
}

static int
host_reverted(struct resite_op *op, const char *object, int result, const char *was,
	      const char *set, const char *now)
{
	static const char *const names[] = {"?", "put back", "already", "conflict", "gone", "refused"};

	if (!op->way || result < RESITE_REVERTED_PUT_BACK || result > RESITE_REVERTED_REFUSED)
		fake_die("reverted with result %d in way %d", result, op->way);
	op->reverteds = fake_must(realloc(op->reverteds, (op->n_reverteds + 1) *
						       sizeof(*op->reverteds)));
	op->reverteds[op->n_reverteds++] = (struct fakehost_reverted){
		fake_copy(object), fake_copy(was ? was : ""), fake_copy(set ? set : ""),
		fake_copy(now ? now : ""), result};
	if (op->trace)
		fprintf(op->trace, "%s: %s\n", names[result], object);
	host_progress(op, op->n_reverteds, op->n_undos, "records");
	return RESITE_OK;
}

/* --- time and cancelling ------------------------------------------------- */

static bool
cancelled(struct resite_op *op)
{
	struct pollfd p = {.fd = op->cancel_fd, .events = POLLIN};

	return poll(&p, 1, 0) > 0;
}

static int64_t
host_time_left_ms(struct resite_op *op)
{
	int64_t left = op->end_ms - fake_now_ms();

	return left < 0 || cancelled(op) ? 0 : left;
}

static int
host_cancel_fd(struct resite_op *op)
{
	return op->cancel_fd;
}

static int
host_wait(struct resite_op *op, int fd, short events, int64_t ms)
{
	struct pollfd p[2] = {{.fd = op->cancel_fd, .events = POLLIN},
			      {.fd = fd, .events = events}};
	int64_t left = host_time_left_ms(op);
	int n;

	if (left == 0)
		return RESITE_ERR_CANCELLED;
	n = poll(p, fd >= 0 ? 2 : 1, (int)(ms >= 0 && ms < left ? ms : left));
	if (n < 0 && errno != EINTR)
		return RESITE_ERR_BUG;
	if (p[0].revents || host_time_left_ms(op) == 0)
		return RESITE_ERR_CANCELLED;
	return fd >= 0 && n > 0 && p[1].revents ? RESITE_OK : RESITE_PENDING;
}

static int
host_secret(struct resite_op *op, const char *ref, void *buf, size_t cap)
{
	const char *value = fake_get_pair(op->secrets, op->n_secrets, ref);
	size_t len = value ? strlen(value) : 0;

	if (!value)
		return RESITE_ERR_INVALID;
	memcpy(buf, value, len < cap ? len : cap);
	return (int)len;
}

static void **
host_memory(struct resite_op *op)
{
	return &op->memory;
}

static const void *
host_extension(struct resite_op *op, const char *id)
{
	(void)op;
	(void)id;
	return NULL;
}

const struct resite_host fake_host = {
	.struct_size = sizeof(struct resite_host),
	.abi_minor = RESITE_ABI_MINOR,
	.log = host_log,
	.fail = host_fail,
	.param_count = fake_param_count,
	.param_str = fake_param_str,
	.param_i64 = fake_param_i64,
	.mode = host_mode,
	.change = host_change,
	.state = host_state,
	.loss = host_loss,
	.undo_put = host_undo_put,
	.undo_add = host_undo_add,
	.sync = host_sync,
	.undo_next = host_undo_next,
	.revert_way = host_revert_way,
	.reverted = host_reverted,
	.checkpoint = host_checkpoint,
	.last_checkpoint = host_last_checkpoint,
	.output = host_output,
	.progress = host_progress,
	.time_left_ms = host_time_left_ms,
	.cancel_fd = host_cancel_fd,
	.wait = host_wait,
	.secret = host_secret,
	.extension = host_extension,
	.memory = host_memory,
};
