/* One nursery process as its parent sees it.
 *
 * All its descriptors are in one epoll set, and libuv polls that set: an attempt then
 * costs two epoll_ctl calls (close removes them), and no handle that must be
 * closed asynchronously.  One timer serves all attempts.
 */
#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/vec.h"
#include "core/worker/parent.h"
#include "core/worker/tag.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	HELLO_TIMEOUT_MS = 10 * 1000,
	CANCEL_GRACE_MS = 5 * 1000,
	TERM_GRACE_MS = 2 * 1000,
	STOP_WAIT_MS = 5 * 1000,
	EVENTS_MAX = 128,
	SLOT_BITS = 16,
	TAG_BITS = 2,
};

/* --- small parts ------------------------------------------------------------------- */

int
nursery_watch(struct nursery *n, int op, int fd, uint32_t events, int64_t id, enum watch what)
{
	struct epoll_event ev = {.events = events,
				 .data.u64 = (uint64_t)id << TAG_BITS | (uint64_t)what};

	return epoll_ctl(n->ep_fd, op, fd, &ev);
}

static struct attempt *
find_attempt(struct nursery *n, int64_t id)
{
	size_t slot = (size_t)(id & ((1 << SLOT_BITS) - 1));
	struct attempt *a = slot < n->slots.len ? n->slots.item[slot] : NULL;

	return a && a->id == id ? a : NULL;
}

static void
free_dead(struct nursery *n)
{
	struct attempt *a;

	while ((a = n->dead)) {
		n->dead = a->next_dead;
		attempt_free(a);
	}
}

void
nursery_bury(struct nursery *n, struct attempt *a)
{
	uint32_t slot = (uint32_t)(a->id & ((1 << SLOT_BITS) - 1));

	n->slots.item[slot] = NULL;
	n->free_slots.item[n->free_slots.len++] = slot; /* room was made with the slot */
	for (size_t i = 0; a->child_sock_fd >= 0 && i < n->queued.len; i++)
		if (n->queued.item[i] == a)
			n->queued.item[i] = n->queued.item[--n->queued.len];
	a->next_dead = n->dead;
	n->dead = a;
	n->n_open--;
}

unsigned
nursery_open(const struct nursery *n)
{
	return n->n_open;
}

/* --- out --------------------------------------------------------------------------- */

static void
on_idle(uv_idle_t *handle)
{
	struct nursery *n = handle->data;

	uv_idle_stop(handle);
	nursery_flush(n);
	free_dead(n);
}

void
nursery_signal(struct nursery *n, int64_t id, int sig)
{
	strbuf_addf(&n->out, "{\"kind\":\"signal\",\"id\":%" PRId64 ",\"signal\":%d}\n", id, sig);
	uv_idle_start(&n->idle, on_idle);
}

/* --- time -------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *handle);

void
nursery_due(struct nursery *n, int64_t due_ms)
{
	int64_t now = clock_mono_ms();

	if (n->stopped || due_ms >= n->timer_due_ms)
		return;
	n->timer_due_ms = due_ms;
	uv_update_time(n->loop);
	uv_timer_start(&n->timer, on_timer, due_ms > now ? (uint64_t)(due_ms - now) : 0, 0);
}

/* --- in ---------------------------------------------------------------------------- */

static void tell_lost(struct nursery *n);

static bool
is_tag_of_ours(void *ctx, const char *tag)
{
	const struct nursery *n = ctx;

	for (size_t i = 0; i < n->slots.len; i++) {
		const struct attempt *a = n->slots.item[i];

		/* One that ended by itself may have left a service. */
		if (a && a->tag && !(a->exited && a->end.has_result && !a->end.signal &&
				     !a->end.status) && !strcmp(a->tag, tag))
			return true;
	}
	return false;
}

/* The nursery is dead, and nobody is left to whom its orphans would have come. */
static void
end_orphans(struct nursery *n)
{
	if (n->n_open > 0)
		tag_kill(0, is_tag_of_ours, n, ORPHANS_WAIT_MS);
}

/* The control socket is at its end, or what it says makes no sense. */
static void
lose(struct nursery *n, const char *why)
{
	char status[256];

	if (n->lost)
		return;
	n->lost = true;
	close(n->ctl_fd);
	n->ctl_fd = -1;
	/* With a reason of our own it may still live, else it is ending by itself. */
	worker_reap(n->pid, why || n->why[0] ? 0 : 1000, status, sizeof(status));
	n->pid = 0;
	end_orphans(n);
	if (why)
		snprintf(n->why, sizeof(n->why), "%s", why);
	else if (!n->why[0])
		snprintf(n->why, sizeof(n->why), "%s: %s",
			 n->hello ? "the plugin's process ended" : "crashed while loading", status);
	for (size_t i = 0; i < n->slots.len; i++)
		if (n->slots.item[i])
			attempt_on_lost(n->slots.item[i]);
	tell_lost(n);
}

void
nursery_hung(struct nursery *n)
{
	lose(n, "hung: an attempt was to be killed, and it never said that it had ended");
}

static void
tell_lost(struct nursery *n)
{
	if (!n->lost || n->lost_told || n->n_open > 0 || n->stopped)
		return;
	n->lost_told = true;
	if (n->events.lost)
		n->events.lost(n->ctx, n->why);
}

static void
on_hello(struct nursery *n, const json_t *msg)
{
	int64_t version = json_int_or(msg, "protocol", 0);
	char why[256];

	if (version != PROTOCOL_VERSION) {
		snprintf(why, sizeof(why), "%s speaks protocol %" PRId64 ", this resite %d: "
			 "install both from one version", n->config.worker_path, version,
			 PROTOCOL_VERSION);
		lose(n, why);
		return;
	}
	n->hello = true;
	n->hello_due_ms = INT64_MAX;
	if (n->events.hello)
		n->events.hello(n->ctx, msg);
}

static int
on_ctl_line(void *ctx, char *line, size_t len)
{
	struct nursery *n = ctx;
	struct error err = {0};
	json_t *msg = json_parse(line, len, &err);
	const char *kind = json_str_or(msg, "kind", "");
	struct attempt *a;

	if (!msg || protocol_check_nursery(msg, &err) < 0) {
		char why[ERROR_MAX + 64];

		snprintf(why, sizeof(why), "the plugin's process broke the protocol: %.400s",
			 err.text);
		lose(n, why);
	} else if (!strcmp(kind, "hello")) {
		on_hello(n, msg);
	} else if (!strcmp(kind, "refused")) {
		snprintf(n->why, sizeof(n->why), "%s", json_str_or(msg, "text", ""));
	} else if ((a = find_attempt(n, json_int_or(msg, "id", 0)))) {
		attempt_on_exited(a, msg);
	}
	json_decref(msg);
	return n->lost || n->stopped;
}

static void
on_ctl(struct nursery *n, uint32_t events)
{
	ssize_t r;

	if (n->lost)
		return;
	if (events & EPOLLOUT)
		nursery_flush(n);
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	r = recv(n->ctl_fd, n->buf, READ_BYTES, MSG_DONTWAIT);
	if (r < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (r <= 0)
		lose(n, NULL);
	else if (lines_feed(&n->in, n->buf, (size_t)r, on_ctl_line, n) < 0)
		lose(n, "the plugin's process sent a line that is too long");
}

static void
on_nursery_line(void *ctx, const char *line)
{
	struct nursery *n = ctx;

	if (n->events.log && !n->stopped)
		n->events.log(n->ctx, line);
}

static void
on_nursery_log(struct nursery *n)
{
	ssize_t r = n->log_fd < 0 ? -1 : read(n->log_fd, n->buf, READ_BYTES);

	if (r > 0) {
		log_lines_feed(&n->log, n->buf, (size_t)r, on_nursery_line, n);
	} else if (r == 0) {
		log_lines_end(&n->log, on_nursery_line, n);
		close(n->log_fd);
		n->log_fd = -1;
	}
}

/* --- the loop's turns ---------------------------------------------------------------- */

static void
dispatch(struct nursery *n, const struct epoll_event *ev)
{
	enum watch what = (enum watch)(ev->data.u64 & ((1 << TAG_BITS) - 1));
	struct attempt *a;

	if (what == WATCH_CTL) {
		on_ctl(n, ev->events);
	} else if (what == WATCH_NURSERY_LOG) {
		on_nursery_log(n);
	} else if ((a = find_attempt(n, (int64_t)(ev->data.u64 >> TAG_BITS)))) {
		if (what == WATCH_SOCK)
			attempt_on_sock(a, ev->events);
		else
			attempt_on_log(a);
	}
}

static void
on_poll(uv_poll_t *handle, int status, int events)
{
	struct nursery *n = handle->data;
	struct epoll_event ev[EVENTS_MAX];
	int count = epoll_wait(n->ep_fd, ev, EVENTS_MAX, 0);

	(void)status;
	(void)events;
	for (int i = 0; i < count && !n->stopped; i++)
		dispatch(n, &ev[i]);
	if (!n->stopped)
		tell_lost(n);
	if (!n->stopped)
		free_dead(n);
}

static void
on_timer(uv_timer_t *handle)
{
	struct nursery *n = handle->data;
	int64_t now = clock_mono_ms(), next = INT64_MAX, due;

	n->timer_due_ms = INT64_MAX;
	if (!n->hello && !n->lost && now >= n->hello_due_ms)
		lose(n, "hung while loading: it did not describe itself in time");
	for (size_t i = 0; i < n->slots.len && !n->stopped; i++) {
		if (!n->slots.item[i])
			continue;
		due = attempt_on_due(n->slots.item[i], now);
		next = due < next ? due : next;
	}
	if (n->stopped)
		return;
	if (!n->hello && !n->lost && n->hello_due_ms < next)
		next = n->hello_due_ms;
	if (next < INT64_MAX)
		nursery_due(n, next);
	tell_lost(n);
	if (!n->stopped)
		free_dead(n);
}

/* --- life ------------------------------------------------------------------------------ */

static void
free_nursery(struct nursery *n)
{
	free_dead(n);
	lines_release(&n->in);
	strbuf_release(&n->log.held);
	strbuf_release(&n->out);
	free((char *)(uintptr_t)n->config.worker_path);
	free((char *)(uintptr_t)n->config.plugin_path);
	free(n->slots.item);
	free(n->free_slots.item);
	free(n->queued.item);
	free(n->buf);
	free(n);
}

static void
on_closed(uv_handle_t *handle)
{
	struct nursery *n = handle->data;

	if (--n->n_handles == 0)
		free_nursery(n);
}

static struct nursery *
new_nursery(uv_loop_t *loop, const struct nursery_config *config,
	    const struct nursery_events *events, void *ctx)
{
	struct nursery *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->loop = loop;
	n->config = *config;
	n->config.drop_env = NULL;
	n->config.worker_path = strdup(config->worker_path);
	n->config.plugin_path = strdup(config->plugin_path);
	if (config->hello_timeout_ms <= 0)
		n->config.hello_timeout_ms = HELLO_TIMEOUT_MS;
	if (config->cancel_grace_ms <= 0)
		n->config.cancel_grace_ms = CANCEL_GRACE_MS;
	if (config->term_grace_ms <= 0)
		n->config.term_grace_ms = TERM_GRACE_MS;
	n->events = *events;
	n->ctx = ctx;
	n->ctl_fd = n->log_fd = n->ep_fd = -1;
	n->in.max = PROTOCOL_LINE_MAX;
	strbuf_init(&n->log.held);
	strbuf_init(&n->out);
	n->buf = malloc(READ_BYTES + 1);
	n->timer_due_ms = INT64_MAX;
	n->hello_due_ms = clock_mono_ms() + n->config.hello_timeout_ms;
	if (n->buf && n->config.worker_path && n->config.plugin_path)
		return n;
	free_nursery(n);
	return NULL;
}

static int
open_epoll(struct nursery *n, struct error *err)
{
	n->ep_fd = epoll_create1(EPOLL_CLOEXEC);
	if (n->ep_fd < 0 ||
	    nursery_watch(n, EPOLL_CTL_ADD, n->ctl_fd, EPOLLIN, 0, WATCH_CTL) < 0 ||
	    nursery_watch(n, EPOLL_CTL_ADD, n->log_fd, EPOLLIN, 0, WATCH_NURSERY_LOG) < 0)
		return error_errno(err, errno, "no epoll set for a worker");
	return 0;
}

static int
open_handles(struct nursery *n, struct error *err)
{
	int r = uv_poll_init(n->loop, &n->poll, n->ep_fd);

	if (r < 0)
		return error_set(err, E_IO, "uv_poll_init: %s", uv_strerror(r));
	uv_timer_init(n->loop, &n->timer);
	uv_idle_init(n->loop, &n->idle);
	n->n_handles = 3;
	n->poll.data = n->timer.data = n->idle.data = n;
	uv_poll_start(&n->poll, UV_READABLE, on_poll);
	nursery_due(n, n->hello_due_ms);
	return 0;
}

static void
close_fds(struct nursery *n)
{
	if (n->ctl_fd >= 0)
		close(n->ctl_fd);
	if (n->log_fd >= 0)
		close(n->log_fd);
	n->ctl_fd = n->log_fd = -1;
}

struct nursery *
nursery_start(uv_loop_t *loop, const struct nursery_config *config,
	      const struct nursery_events *events, void *ctx, struct error *err)
{
	struct nursery *n = new_nursery(loop, config, events, ctx);
	struct worker_process w;

	if (!n) {
		error_set(err, E_NOMEM, "out of memory");
		return NULL;
	}
	if (worker_spawn(config, &w, err) < 0) {
		free_nursery(n);
		return NULL;
	}
	n->pid = w.pid;
	n->ctl_fd = w.ctl_fd;
	n->log_fd = w.log_fd;
	if (open_epoll(n, err) == 0 && open_handles(n, err) == 0)
		return n;
	close_fds(n);
	if (n->ep_fd >= 0)
		close(n->ep_fd);
	worker_reap(n->pid, 0, NULL, 0);
	free_nursery(n);
	return NULL;
}

void
nursery_stop(struct nursery *n)
{
	if (n->stopped)
		return;
	n->stopped = true;
	close_fds(n);
	if (n->pid > 0)
		worker_reap(n->pid, STOP_WAIT_MS, NULL, 0);
	n->pid = 0;
	end_orphans(n);
	if (!n->why[0])
		snprintf(n->why, sizeof(n->why), "the run is ending");
	for (size_t i = 0; i < n->slots.len; i++) {
		if (!n->slots.item[i])
			continue;
		n->slots.item[i]->lost = true;
		attempt_end_now(n->slots.item[i]);
	}
	uv_close((uv_handle_t *)&n->poll, on_closed);
	uv_close((uv_handle_t *)&n->timer, on_closed);
	uv_close((uv_handle_t *)&n->idle, on_closed);
	close(n->ep_fd);
}

/* --- a new attempt ----------------------------------------------------------------------- */

/* A free slot; everything that ending the attempt needs is reserved with it. */
static int
take_slot(struct nursery *n, uint32_t *ret_slot)
{
	if (n->free_slots.len > 0) {
		*ret_slot = n->free_slots.item[--n->free_slots.len];
		return 0;
	}
	if (n->slots.len == 1 << SLOT_BITS)
		return E_BUSY;
	if (vec_reserve(&n->slots.item, n->slots.len + 1, &n->slots.cap) < 0 ||
	    vec_reserve(&n->free_slots.item, n->slots.cap, &n->free_slots.cap) < 0)
		return E_NOMEM;
	n->slots.item[n->slots.len] = NULL;
	*ret_slot = (uint32_t)n->slots.len++;
	return 0;
}

int
nursery_adopt(struct nursery *n, struct attempt *a)
{
	uint32_t slot;
	int r;

	if (vec_reserve(&n->queued.item, n->queued.len + 1, &n->queued.cap) < 0)
		return E_NOMEM;
	if ((r = take_slot(n, &slot)) < 0)
		return r;
	a->id = ++n->generation << SLOT_BITS | slot;
	n->slots.item[slot] = a;
	n->queued.item[n->queued.len++] = a;
	n->n_open++;
	uv_idle_start(&n->idle, on_idle);
	nursery_due(n, a->due_ms);
	return 0;
}
