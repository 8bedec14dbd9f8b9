#include "core/base/log.h"
#include "core/engine/decide.h"
#include "core/run/faults.h"
#include "core/run/orchestra.h"

#include <signal.h>
#include <stdlib.h>

/* --- the choice ---------------------------------------------------------- */

enum {
	KILLS_MAX = 2,       /* of one step */
	MESSAGES_MAX = 8,    /* the last message that a fault may follow */
	HOLD_MIN_MS = 100,
	HOLD_MAX_MS = 1500,
};

static uint64_t
mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t
hash_name(const char *name)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3u;
	return h;
}

struct fault
fault_choose(uint64_t seed, const char *step, uint32_t attempt, uint32_t tries,
	     int64_t timeout_ms)
{
	uint64_t x = mix(mix(seed ^ hash_name(step)) + attempt);
	uint32_t kills = tries - 1 < KILLS_MAX ? tries - 1 : KILLS_MAX;
	struct fault f = {.at = 1 + (uint32_t)(x >> 8) % MESSAGES_MAX};

	if (attempt > KILLS_MAX + 1)
		return f;
	if ((x & 3) < 2 && attempt <= kills)
		f.kind = FAULT_KILL;
	else if ((x & 3) == 2)
		f.kind = FAULT_HOLD;
	f.hold_ms = HOLD_MIN_MS + (int64_t)(x >> 40) % (HOLD_MAX_MS - HOLD_MIN_MS);
	if (timeout_ms && f.hold_ms > timeout_ms / 4)
		f.hold_ms = timeout_ms / 4;
	return f;
}

/* --- the deed ------------------------------------------------------------ */

struct held {
	uv_timer_t timer;
	struct live *live;
};

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void
on_held(uv_timer_t *timer)
{
	struct held *h = timer->data;

	attempt_signal(h->live->attempt, SIGCONT);
	faults_forget(h->live);
}

static void
hold_attempt(struct live *a, int64_t ms)
{
	struct held *h = calloc(1, sizeof(*h));

	if (!h)
		return; /* one fault less */
	h->live = a;
	h->timer.data = h;
	uv_timer_init(&a->run->loop, &h->timer);
	uv_timer_start(&h->timer, on_held, (uint64_t)ms, 0);
	a->held = h;
	attempt_signal(a->attempt, SIGSTOP);
}

/* Whether another attempt finds out by itself what this one has done. */
static bool
may_kill(const struct live *a)
{
	const struct graph *g = a->run->l->graph;
	const struct step_facts *f = &a->run->l->state->facts[a->step];
	const struct step *s = &g->steps[a->step];

	if (g->way == WAY_UNDO || s->readonly)
		return true;
	return s->action->has & SCHEMA_HAS_PROBE && (!f->intent || f->probed);
}

void
faults_on_message(struct live *a)
{
	const struct step *s = &a->run->l->graph->steps[a->step];
	uint64_t seed = a->run->options->faults;
	struct fault f;

	if (!seed || !a->attempt || a->cancelled)
		return;
	f = fault_choose(seed, s->name, a->n, (uint32_t)s->retry.attempts, s->timeout_ms);
	if (++a->messages != f.at || f.kind == FAULT_NONE)
		return;
	if (f.kind == FAULT_HOLD) {
		run_log(a->run, a->step, LOG_WARN, "fault: attempt %" PRIu32 " is stopped for %" PRId64
			" ms after its message %" PRIu32, a->n, f.hold_ms, f.at);
		hold_attempt(a, f.hold_ms);
	} else if (may_kill(a)) {
		run_log(a->run, a->step, LOG_WARN, "fault: attempt %" PRIu32 " is killed after its "
			"message %" PRIu32, a->n, f.at);
		attempt_signal(a->attempt, SIGKILL);
	}
}

void
faults_forget(struct live *a)
{
	/* Here and not when its time comes: the loop may have ended by then. */
	if (a->held)
		uv_close((uv_handle_t *)&a->held->timer, on_closed);
	a->held = NULL;
}
