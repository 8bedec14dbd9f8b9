#define _GNU_SOURCE
#include "fake.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

__attribute__((format(printf, 1, 2))) void
fake_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("fakehost: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	abort();
}

void *
fake_must(void *p)
{
	if (!p)
		fake_die("out of memory");
	return p;
}

char *
fake_copy(const char *s)
{
	return s ? fake_must(strdup(s)) : NULL;
}

void
fake_replace(char **slot, const char *s)
{
	free(*slot);
	*slot = fake_copy(s);
}

int64_t
fake_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- the test's side ----------------------------------------------------- */

const struct resite_action *
fakehost_action(const struct resite_plugin *plugin, const char *name)
{
	for (uint64_t i = 0; i < plugin->n_actions; i++)
		if (!strcmp(plugin->actions[i].name, name))
			return &plugin->actions[i];
	fake_die("the plugin has no action '%s'", name);
}

struct fakehost *
fakehost_new(const struct resite_action *action)
{
	struct fakehost *fh = fake_must(calloc(1, sizeof(*fh)));

	fh->op.action = action;
	fh->op.mode = RESITE_PLANNED;
	fh->op.deadline_ms = 60000;
	fh->op.cancel_after_ms = -1;
	fh->op.cancel_fd = -1;
	return fh;
}

static void
clear_reverteds(struct resite_op *op)
{
	for (size_t i = 0; i < op->n_reverteds; i++) {
		free(op->reverteds[i].object);
		free(op->reverteds[i].was);
		free(op->reverteds[i].set);
		free(op->reverteds[i].now);
	}
	free(op->reverteds);
	op->reverteds = NULL;
	op->n_reverteds = 0;
}

static void
clear_call(struct resite_op *op)
{
	clear_reverteds(op);
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
	fake_replace(&op->failure, NULL);
	fake_replace(&op->failure_param, NULL);
	fake_replace(&op->losses, NULL);
	fake_replace(&op->logs, NULL);
}

static void
free_undos(struct resite_op *op)
{
	for (size_t i = 0; i < op->n_undos; i++) {
		fake_free_kv(op->undos[i].kv, op->undos[i].n);
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

/* In the host the process would end here, and with it what the slot points to. */
static void
keep_reachable(void *memory)
{
	struct ended {
		struct ended *next;
		void *memory;
	} *one;
	static struct ended *all;

	if (!memory)
		return;
	one = fake_must(calloc(1, sizeof(*one)));
	*one = (struct ended){all, memory};
	all = one;
}

void **
fakehost_memory(struct fakehost *fh)
{
	return &fh->op.memory;
}

void
fakehost_new_attempt(struct fakehost *fh)
{
	keep_reachable(fh->op.memory);
	fh->op.memory = NULL;
}

void
fakehost_free(struct fakehost *fh)
{
	struct resite_op *op = &fh->op;

	fakehost_new_attempt(fh);
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
	const struct resite_param *p = fake_find_param(fh->op.action, name);

	if (fake_param_count(&fh->op, name) && !(p->flags & RESITE_PARAM_REPEATED))
		fake_die("parameter '%s' takes one value", name);
	fake_add_value(&fh->op, p, text);
}

void
fakehost_param_clear(struct fakehost *fh, const char *name)
{
	const struct resite_param *p = fake_find_param(fh->op.action, name);
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
	fake_set_pair(&fh->op.secrets, &fh->op.n_secrets, ref, value);
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
	op->end_ms = fake_now_ms() + op->deadline_ms;
	op->cancel_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (op->cancel_fd < 0)
		fake_die("timerfd: %s", strerror(errno));
	if (op->cancel_after_ms >= 0)
		fake_cancel_in(op, op->cancel_after_ms);
}

static int
end_call(struct resite_op *op, int rc)
{
	close(op->cancel_fd);
	op->cancel_fd = -1;
	if (rc < 0 && rc != RESITE_ERR_CANCELLED && !op->failure)
		fake_die("%s returned %d without calling host->fail", op->action->name, rc);
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

	fake_complete_params(&fh->op);
	if (!calls[phase])
		return RESITE_OK;
	begin_call(&fh->op);
	return end_call(&fh->op, calls[phase](&fh->op, &fake_host));
}

int
fakehost_revert(struct fakehost *fh, enum resite_revert_way way)
{
	struct resite_op *op = &fh->op;
	int rc;

	fakehost_new_attempt(fh);
	fake_complete_params(op);
	begin_call(op);
	op->way = (int)way;
	op->pulled = 0;
	rc = end_call(op, op->action->revert(op, &fake_host));
	fakehost_new_attempt(fh);
	op->way = 0;
	fake_free_kv(op->handed, op->n_handed);
	op->handed = NULL;
	if (rc == RESITE_OK && op->n_reverteds != op->n_undos)
		fake_die("%s said OK, but told of %zu records of %zu what became of them",
			 op->action->name, op->n_reverteds, op->n_undos);
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

const struct fakehost_reverted *
fakehost_reverteds(const struct fakehost *fh, size_t *ret_n)
{
	*ret_n = fh->op.n_reverteds;
	return fh->op.reverteds;
}

size_t
fakehost_reverted_count(const struct fakehost *fh, enum resite_reverted result)
{
	size_t n = 0;

	for (size_t i = 0; i < fh->op.n_reverteds; i++)
		n += fh->op.reverteds[i].result == (int)result;
	return n;
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
	return fake_get_pair(fh->op.outputs, fh->op.n_outputs, name);
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
