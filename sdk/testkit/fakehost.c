#define _GNU_SOURCE
#include "fakehost.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

struct value {
	const struct resite_param *param;
	char *text;
	int64_t number;
};

struct pair {
	char *key, *value;
};

/* The opaque call handle of plugin.h is, here, the whole fake host. */
struct resite_op {
	const struct resite_action *action;
	struct value *values;
	size_t n_values;
	struct pair *secrets, *outputs;
	size_t n_secrets, n_outputs;
	int mode, cancel_fd;
	int64_t deadline_ms, cancel_after_ms, end_ms;
	unsigned fail_undo;
	void (*on_sync)(void *);
	void *on_sync_arg;
	uint64_t at_progress;            /* 0: no hook is set */
	void (*progress_hook)(void *);   /* NULL: cancel */
	void *progress_arg;
	FILE *trace;

	char *failure, *failure_param, *checkpoint, *checkpoint_data;
	struct fakehost_state state;
	struct fakehost_change *changes;
	size_t n_changes;
	struct fakehost_undo *undos;
	size_t n_undos;
	char *losses, *logs;
	uint64_t done, total;
};

struct fakehost {
	struct resite_op op;
};

__attribute__((format(printf, 1, 2))) static void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("fakehost: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	abort();
}

static void *
must(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

static char *
copy(const char *s)
{
	return s ? must(strdup(s)) : NULL;
}

static void
replace(char **slot, const char *s)
{
	free(*slot);
	*slot = copy(s);
}

static void
add_line(char **text, const char *line)
{
	char *joined;

	if (asprintf(&joined, "%s%s\n", *text ? *text : "", line) < 0)
		die("out of memory");
	free(*text);
	*text = joined;
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- parameters ---------------------------------------------------------- */

static const struct resite_param *
find_param(const struct resite_action *action, const char *name)
{
	for (const struct resite_param *p = action->params; p && p->name; p++)
		if (!strcmp(p->name, name))
			return p;
	die("action %s has no parameter '%s'", action->name, name);
	return NULL;
}

static int64_t
parse_unit(const struct resite_param *p, const char *text, const char *const *units,
	   const int64_t *factors)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || end == text)
		die("%s: '%s' is no number", p->name, text);
	for (size_t i = 0; units[i]; i++)
		if (!strcmp(end, units[i]))
			return n * factors[i];
	die("%s: '%s' has no known unit", p->name, text);
	return 0;
}

static int64_t
parse_number(const struct resite_param *p, const char *text)
{
	switch (p->type) {
	case RESITE_T_BOOL:
		return !strcmp(text, "true");
	case RESITE_T_INT:
		return parse_unit(p, text, (const char *const[]){"", NULL}, (const int64_t[]){1});
	case RESITE_T_DURATION:
		return parse_unit(p, text, (const char *const[]){"ms", "s", "m", "h", "d", NULL},
				  (const int64_t[]){1, 1000, 60000, 3600000, 86400000});
	case RESITE_T_SIZE:
		return parse_unit(p, text, (const char *const[]){"", "K", "M", "G", NULL},
				  (const int64_t[]){1, 1 << 10, 1 << 20, 1 << 30});
	}
	return 0;
}

static void
add_value(struct resite_op *op, const struct resite_param *p, const char *text)
{
	op->values = must(realloc(op->values, (op->n_values + 1) * sizeof(*op->values)));
	op->values[op->n_values++] = (struct value){p, copy(text), parse_number(p, text)};
}

static const struct value *
nth_value(struct resite_op *op, const char *name, uint32_t index)
{
	const struct resite_param *p = find_param(op->action, name);

	for (size_t i = 0; i < op->n_values; i++)
		if (op->values[i].param == p && index-- == 0)
			return &op->values[i];
	return NULL;
}

static uint32_t
host_param_count(struct resite_op *op, const char *name)
{
	uint32_t n = 0;

	while (nth_value(op, name, n))
		n++;
	return n;
}

static const char *
host_param_str(struct resite_op *op, const char *name, uint32_t index)
{
	const struct value *v = nth_value(op, name, index);

	return v ? v->text : NULL;
}

static int64_t
host_param_i64(struct resite_op *op, const char *name, uint32_t index)
{
	const struct value *v = nth_value(op, name, index);

	return v ? v->number : 0;
}

static int
host_mode(struct resite_op *op)
{
	return op->mode;
}

/* Adds defaults, and insists on what is required, as the core does. */
static void
complete_params(struct resite_op *op)
{
	for (const struct resite_param *p = op->action->params; p && p->name; p++) {
		if (host_param_count(op, p->name))
			continue;
		if (p->def)
			add_value(op, p, p->def);
		else if (p->flags & RESITE_PARAM_REQUIRED)
			die("required parameter '%s' is missing", p->name);
	}
}

/* --- what the plugin says ------------------------------------------------ */

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
	replace(&op->failure, msg);
	replace(&op->failure_param, param);
	if (op->trace)
		fprintf(op->trace, "fail: %s%s%s\n", param ? param : "", param ? ": " : "", msg);
}

static int
host_change(struct resite_op *op, const char *object, const char *was, const char *will_be)
{
	op->changes = must(realloc(op->changes, (op->n_changes + 1) * sizeof(*op->changes)));
	op->changes[op->n_changes++] =
		(struct fakehost_change){copy(object), copy(was), copy(will_be)};
	return RESITE_OK;
}

static int
host_state(struct resite_op *op, const char *now, const char *fingerprint, uint64_t changes,
	   uint64_t total)
{
	free(op->state.now);
	free(op->state.fingerprint);
	op->state = (struct fakehost_state){true, copy(now), copy(fingerprint), changes, total};
	return RESITE_OK;
}

static int
host_loss(struct resite_op *op, const char *sentence)
{
	add_line(&op->losses, sentence);
	return RESITE_OK;
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
	struct fakehost_undo u = {version, n, copy(by_hand), NULL, false};
	struct resite_kv *kept = must(calloc(n ? n : 1, sizeof(*kept)));

	if (undo_fails(op)) {
		free(u.by_hand);
		free(kept);
		return RESITE_ERR_REFUSED;
	}
	for (uint32_t i = 0; i < n; i++)
		kept[i] = (struct resite_kv){copy(kv[i].key), copy(kv[i].value)};
	u.kv = kept;
	op->undos = must(realloc(op->undos, (op->n_undos + 1) * sizeof(*op->undos)));
	op->undos[op->n_undos++] = u;
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

static int
host_origin_next(struct resite_op *op, uint32_t *version, const struct resite_kv **kv,
		 uint32_t *n)
{
	(void)op;
	(void)version;
	(void)kv;
	*n = 0;
	return 0;
}

static int
host_checkpoint(struct resite_op *op, const char *name, const char *data)
{
	replace(&op->checkpoint, name);
	replace(&op->checkpoint_data, data ? data : "");
	return RESITE_OK;
}

static const char *
host_last_checkpoint(struct resite_op *op, const char **data)
{
	if (data)
		*data = op->checkpoint_data;
	return op->checkpoint;
}

static void
set_pair(struct pair **list, size_t *n, const char *key, const char *value)
{
	for (size_t i = 0; i < *n; i++)
		if (!strcmp((*list)[i].key, key)) {
			replace(&(*list)[i].value, value);
			return;
		}
	*list = must(realloc(*list, (*n + 1) * sizeof(**list)));
	(*list)[(*n)++] = (struct pair){copy(key), copy(value)};
}

static const char *
get_pair(const struct pair *list, size_t n, const char *key)
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
		die("output '%s' is not declared by action %s", name, op->action->name);
	set_pair(&op->outputs, &op->n_outputs, name, value);
	return RESITE_OK;
}

/* Turns the timer that is the cancel_fd readable ms from now. */
static void
cancel_in(struct resite_op *op, int64_t ms)
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
		cancel_in(op, 0);
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
	int64_t left = op->end_ms - now_ms();

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
	const char *value = get_pair(op->secrets, op->n_secrets, ref);
	size_t len = value ? strlen(value) : 0;

	if (!value)
		return RESITE_ERR_INVALID;
	memcpy(buf, value, len < cap ? len : cap);
	return (int)len;
}

static const void *
host_extension(struct resite_op *op, const char *id)
{
	(void)op;
	(void)id;
	return NULL;
}

static const struct resite_host host = {
	.struct_size = sizeof(struct resite_host),
	.abi_minor = RESITE_ABI_MINOR,
	.log = host_log,
	.fail = host_fail,
	.param_count = host_param_count,
	.param_str = host_param_str,
	.param_i64 = host_param_i64,
	.mode = host_mode,
	.change = host_change,
	.state = host_state,
	.loss = host_loss,
	.undo_put = host_undo_put,
	.undo_add = host_undo_add,
	.sync = host_sync,
	.origin_next = host_origin_next,
	.checkpoint = host_checkpoint,
	.last_checkpoint = host_last_checkpoint,
	.output = host_output,
	.progress = host_progress,
	.time_left_ms = host_time_left_ms,
	.cancel_fd = host_cancel_fd,
	.wait = host_wait,
	.secret = host_secret,
	.extension = host_extension,
};

/* --- the test's side ----------------------------------------------------- */

struct fakehost *
fakehost_new(const struct resite_action *action)
{
	struct fakehost *fh = must(calloc(1, sizeof(*fh)));

	fh->op.action = action;
	fh->op.mode = RESITE_PLANNED;
	fh->op.deadline_ms = 60000;
	fh->op.cancel_after_ms = -1;
	fh->op.cancel_fd = -1;
	return fh;
}

static void
clear_call(struct resite_op *op)
{
	for (size_t i = 0; i < op->n_changes; i++) {
		free(op->changes[i].object);
		free(op->changes[i].was);
		free(op->changes[i].will_be);
	}
	free(op->changes);
	op->changes = NULL;
	op->n_changes = 0;
	free(op->state.now);
	free(op->state.fingerprint);
	op->state = (struct fakehost_state){0};
	replace(&op->failure, NULL);
	replace(&op->failure_param, NULL);
	replace(&op->losses, NULL);
	replace(&op->logs, NULL);
}

static void
free_undos(struct resite_op *op)
{
	for (size_t i = 0; i < op->n_undos; i++) {
		for (uint32_t k = 0; k < op->undos[i].n; k++) {
			free((void *)(uintptr_t)op->undos[i].kv[k].key);
			free((void *)(uintptr_t)op->undos[i].kv[k].value);
		}
		free(op->undos[i].kv);
		free(op->undos[i].by_hand);
	}
	free(op->undos);
}

static void
free_pairs(struct pair *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(list[i].key);
		free(list[i].value);
	}
	free(list);
}

void
fakehost_free(struct fakehost *fh)
{
	struct resite_op *op = &fh->op;

	clear_call(op);
	free_undos(op);
	for (size_t i = 0; i < op->n_values; i++)
		free(op->values[i].text);
	free(op->values);
	free_pairs(op->secrets, op->n_secrets);
	free_pairs(op->outputs, op->n_outputs);
	free(op->checkpoint);
	free(op->checkpoint_data);
	free(fh);
}

void
fakehost_param(struct fakehost *fh, const char *name, const char *text)
{
	const struct resite_param *p = find_param(fh->op.action, name);

	if (host_param_count(&fh->op, name) && !(p->flags & RESITE_PARAM_REPEATED))
		die("parameter '%s' takes one value", name);
	add_value(&fh->op, p, text);
}

void
fakehost_param_clear(struct fakehost *fh, const char *name)
{
	const struct resite_param *p = find_param(fh->op.action, name);
	size_t kept = 0;

	for (size_t i = 0; i < fh->op.n_values; i++) {
		if (fh->op.values[i].param == p)
			free(fh->op.values[i].text);
		else
			fh->op.values[kept++] = fh->op.values[i];
	}
	fh->op.n_values = kept;
}

void
fakehost_secret(struct fakehost *fh, const char *ref, const char *value)
{
	set_pair(&fh->op.secrets, &fh->op.n_secrets, ref, value);
}

void
fakehost_mode(struct fakehost *fh, enum resite_mode mode)
{
	fh->op.mode = (int)mode;
}

void
fakehost_deadline(struct fakehost *fh, int64_t ms)
{
	fh->op.deadline_ms = ms;
}

void
fakehost_cancel_after(struct fakehost *fh, int64_t ms)
{
	fh->op.cancel_after_ms = ms;
}

void
fakehost_at_progress(struct fakehost *fh, uint64_t done, void (*hook)(void *), void *arg)
{
	fh->op.at_progress = done;
	fh->op.progress_hook = hook;
	fh->op.progress_arg = arg;
}

void
fakehost_fail_undo(struct fakehost *fh, unsigned nth)
{
	fh->op.fail_undo = nth;
}

void
fakehost_on_sync(struct fakehost *fh, void (*hook)(void *), void *arg)
{
	fh->op.on_sync = hook;
	fh->op.on_sync_arg = arg;
}

void
fakehost_trace(struct fakehost *fh, FILE *to)
{
	fh->op.trace = to;
}

/* A timerfd is the cancel_fd: it turns readable by itself at the right time. */
static void
begin_call(struct resite_op *op)
{
	clear_call(op);
	op->end_ms = now_ms() + op->deadline_ms;
	op->cancel_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (op->cancel_fd < 0)
		die("timerfd: %s", strerror(errno));
	if (op->cancel_after_ms >= 0)
		cancel_in(op, op->cancel_after_ms);
}

static int
end_call(struct resite_op *op, int rc)
{
	close(op->cancel_fd);
	op->cancel_fd = -1;
	if (rc < 0 && rc != RESITE_ERR_CANCELLED && !op->failure)
		die("%s returned %d without calling host->fail", op->action->name, rc);
	return rc;
}

int
fakehost_call(struct fakehost *fh, enum fakehost_phase phase)
{
	const struct resite_action *a = fh->op.action;
	int (*const calls[])(struct resite_op *, const struct resite_host *) = {
		[FAKEHOST_CHECK] = a->check,
		[FAKEHOST_PROBE] = a->probe,
		[FAKEHOST_APPLY] = a->apply,
		[FAKEHOST_VERIFY] = a->verify,
	};

	complete_params(&fh->op);
	if (!calls[phase])
		return RESITE_OK;
	begin_call(&fh->op);
	return end_call(&fh->op, calls[phase](&fh->op, &host));
}

int
fakehost_revert_all(struct fakehost *fh)
{
	int rc = RESITE_OK;

	complete_params(&fh->op);
	for (size_t i = fh->op.n_undos; i > 0 && rc == RESITE_OK; i--) {
		const struct fakehost_undo *u = &fh->op.undos[i - 1];

		begin_call(&fh->op);
		rc = end_call(&fh->op,
			      fh->op.action->revert(&fh->op, &host, u->version, u->kv, u->n));
	}
	return rc;
}

const char *
fakehost_failure(const struct fakehost *fh)
{
	return fh->op.failure ? fh->op.failure : "";
}

const char *
fakehost_failure_param(const struct fakehost *fh)
{
	return fh->op.failure_param;
}

const struct fakehost_state *
fakehost_state(const struct fakehost *fh)
{
	return &fh->op.state;
}

const struct fakehost_change *
fakehost_changes(const struct fakehost *fh, size_t *ret_n)
{
	*ret_n = fh->op.n_changes;
	return fh->op.changes;
}

const struct fakehost_undo *
fakehost_undos(const struct fakehost *fh, size_t *ret_n)
{
	*ret_n = fh->op.n_undos;
	return fh->op.undos;
}

const char *
fakehost_losses(const struct fakehost *fh)
{
	return fh->op.losses ? fh->op.losses : "";
}

const char *
fakehost_logs(const struct fakehost *fh)
{
	return fh->op.logs ? fh->op.logs : "";
}

const char *
fakehost_output(const struct fakehost *fh, const char *name)
{
	return get_pair(fh->op.outputs, fh->op.n_outputs, name);
}

const char *
fakehost_checkpoint(const struct fakehost *fh, const char **ret_data)
{
	if (ret_data)
		*ret_data = fh->op.checkpoint_data;
	return fh->op.checkpoint;
}

uint64_t
fakehost_progress(const struct fakehost *fh, uint64_t *ret_total)
{
	if (ret_total)
		*ret_total = fh->op.total;
	return fh->op.done;
}
