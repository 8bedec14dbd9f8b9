/* What probe leaves to apply within one attempt: the list of those who are to go, so that a
 * large directory is not asked for everybody twice.
 *
 * It is used only while it is young and the task is the same.  It proves nothing: each change
 * is a compare-and-swap, and after it the directory is asked who is still there. */
#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/homing.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define YOUNG_MS 30000

struct memory {
	struct lh_list lists[HOMING_TASKS_MAX];
	struct lh_digest key;
	int64_t at_ms;
};

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Of everything that the list depends on. */
static struct lh_digest
key_of(const struct homing *h)
{
	struct lh_digest key = {.count = 0};

	lh_digest_add(&key, h->k.target.url, strlen(h->k.target.url));
	for (int i = 0; i < h->n; i++) {
		const struct lh_task *t = &h->tasks[i];
		char *filter = lh_filter_equal(t->attribute, t->from, NULL);

		lh_digest_add(&key, t->base, strlen(t->base));
		lh_digest_add(&key, t->to, strlen(t->to));
		if (filter)
			lh_digest_add(&key, filter, strlen(filter));
		free(filter);
	}
	return key;
}

bool
homing_may_remember(const struct homing *h)
{
	for (int i = 0; i < h->n; i++)
		if (h->tasks[i].filter || h->tasks[i].exclude || h->tasks[i].listed ||
		    h->tasks[i].left_out || h->tasks[i].mid_move != LH_MID_MOVE_MOVE)
			return false;
	return h->k.host->memory != NULL && !h->report_path;
}

static void
forget(struct memory *m, int n)
{
	for (int i = 0; m && i < n; i++)
		lh_list_release(&m->lists[i]);
	free(m);
}

void
homing_remember(struct homing *h, struct lh_list lists[HOMING_TASKS_MAX])
{
	void **slot = h->k.host->memory(h->k.op);
	struct memory *m = calloc(1, sizeof(*m));

	forget(*slot, h->n);
	*slot = m;
	if (!m)
		return;
	*m = (struct memory){.key = key_of(h), .at_ms = now_ms()};
	for (int i = 0; i < h->n; i++) {
		m->lists[i] = lists[i];
		lists[i] = (struct lh_list){.task = lists[i].task};
	}
}

bool
homing_recall(struct homing *h, struct lh_list ret[HOMING_TASKS_MAX])
{
	void **slot = homing_may_remember(h) ? h->k.host->memory(h->k.op) : NULL;
	struct memory *m = slot ? *slot : NULL;
	struct lh_digest key = key_of(h);
	bool use = m && now_ms() - m->at_ms < YOUNG_MS && !memcmp(&m->key, &key, sizeof(key));

	for (int i = 0; use && i < h->n; i++) {
		ret[i] = m->lists[i];
		m->lists[i] = (struct lh_list){.n = 0};
	}
	if (m) {
		forget(m, h->n);
		*slot = NULL;
	}
	return use;
}
