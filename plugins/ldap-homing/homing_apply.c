/* Moving, telling who did not move, and looking whether it is so. */
#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/homing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- apply ------------------------------------------------------------------- */

struct journal { /* of one task */
	struct homing *h;
	const struct lh_task *t;
};

static int
journal_add(void *arg, const char *dn, const char *was)
{
	struct journal *j = arg;

	return call_undo_add(&j->h->k, dn, j->t->attribute, was, j->t->to);
}

static int
journal_sync(void *arg)
{
	struct journal *j = arg;

	return j->h->k.host->sync(j->h->k.op);
}

static void
journal_progress(void *arg, uint64_t done, uint64_t total)
{
	struct journal *j = arg;

	j->h->k.host->progress(j->h->k.op, done, total, j->t->noun);
}

static void
journal_stays(void *arg, const char *dn, const char *address, enum lh_stay why, const char *detail)
{
	struct journal *j = arg;

	lh_report_add(&j->h->report, dn, address, why, detail);
}

static void
add_tally(struct lh_tally *sum, const struct lh_tally *one)
{
	sum->already += one->already;
	sum->moved += one->moved;
	sum->conflicts += one->conflicts;
	sum->refused += one->refused;
	sum->unknown += one->unknown;
	sum->transactions += one->transactions;
	sum->rolled_back += one->rolled_back;
	for (int i = 0; i < LH_STAYS_N; i++)
		sum->stayed[i] += one->stayed[i];
}

static void
tell_stayed(struct homing *h, const struct lh_tally *t)
{
	uint64_t all = t->conflicts + t->refused;
	char stayed[300];

	for (int i = 0; i < LH_STAYS_N; i++)
		all += t->stayed[i];
	homing_say_stayed(t->stayed, stayed, sizeof(stayed));
	call_output_number(&h->k, "stayed", all);
	call_output_number(&h->k, "excluded",
			   t->stayed[LH_STAYS_EXCLUDED] + t->stayed[LH_STAYS_FILTERED]);
	call_output_number(&h->k, "unlisted", t->stayed[LH_STAYS_UNLISTED]);
	call_output_number(&h->k, "mid_move", t->stayed[LH_STAYS_MID_MOVE]);
	if (all)
		resite_log(h->k.op, h->k.host, RESITE_LOG_INFO,
			   "%" PRIu64 " moved, %" PRIu64 " refused by the server, %" PRIu64
			   " changed by somebody else%s%s%s",
			   t->moved, t->refused, t->conflicts, stayed,
			   h->report.path ? "; all of them are in " : "",
			   h->report.path ? h->report.path : "");
}

static void
tell_tally(struct homing *h, const struct lh_tally *t)
{
	struct call *k = &h->k;
	uint64_t total = t->already + t->moved;

	call_output_number(k, "moved", t->moved);
	call_output_number(k, "already", t->already);
	call_output_number(k, "total", total);
	call_output_number(k, "conflicts", t->conflicts);
	call_output_number(k, "refused", t->refused);
	call_output_number(k, "transactions", t->transactions);
	call_keep_number(k, CHECKPOINT_MOVED, total);
	if (h->n == 1)
		tell_stayed(h, t);
	if (t->rolled_back)
		resite_log(k->op, k->host, RESITE_LOG_WARN,
			   "%" PRIu64 " transactions were rolled back and their %s moved one by one",
			   t->rolled_back, h->tasks[0].noun);
	if (t->unknown)
		resite_log(k->op, k->host, RESITE_LOG_WARN,
			   "the fate of %" PRIu64 " %s is unknown: their change was sent and not "
			   "answered; a probe tells", t->unknown, h->tasks[0].noun);
}

static void
report_strangers(struct homing *h, const struct lh_addresses *a, const char *param)
{
	for (size_t i = 0; a && i < a->n_slots; i++)
		if (a->slots[i].text && !a->slots[i].met)
			lh_report_add(&h->report, NULL, a->slots[i].text, LH_STAYS_NOT_FOUND, param);
	homing_warn_of_strangers(h, a, param);
}

/* What stops one kind of object because of some of them does not stop the next kind. */
static bool
is_partial(int rc)
{
	return rc == RESITE_ERR_REFUSED || rc == RESITE_ERR_CONFLICT;
}

int
homing_apply_all(struct homing *h, struct lh_conn *c, struct lh_error *e)
{
	struct lh_tally sum = {.moved = 0};
	struct lh_error first = {.rc = 0}, late = {.rc = 0};
	struct lh_list known[HOMING_TASKS_MAX] = {{.n = 0}};
	bool knows;

	if (lh_report_open(&h->report, h->report_path, e) || homing_find_target(h, c, e))
		return e->rc;
	knows = homing_recall(h, known);
	for (int i = 0; i < h->n && (!first.rc || is_partial(first.rc)); i++) {
		struct journal arg = {h, &h->tasks[i]};
		const struct lh_journal j = {&arg, journal_add, journal_sync, journal_progress,
					     journal_stays};
		struct lh_tally one;

		if (lh_move(c, &h->tasks[i], knows ? &known[i] : NULL, &j, &one, e) && !first.rc)
			first = *e;
		add_tally(&sum, &one);
	}
	for (int i = 0; i < h->n; i++)
		lh_list_release(&known[i]);
	report_strangers(h, h->tasks[0].listed, "users_file");
	report_strangers(h, h->tasks[0].left_out, "exclude_file");
	tell_tally(h, &sum);
	if (lh_report_close(&h->report, &late) && !first.rc)
		first = late;
	*e = first;
	return first.rc;
}

/* --- verify ------------------------------------------------------------------ */

static int
judge(struct homing *h, uint64_t left, uint64_t there, struct lh_error *e)
{
	struct call *k = &h->k;
	bool replica = strcmp(k->verify_url, k->target.url) != 0;
	uint64_t expected = 0; /* when it was not this step's apply that moved them */
	char line[400];

	call_last_number(k, CHECKPOINT_MOVED, &expected);
	if (left == 0 && there >= expected)
		return 0;
	snprintf(line, sizeof(line),
		 "%s: %" PRIu64 " %s are on from, %" PRIu64 " on to, where apply left %" PRIu64,
		 k->verify_url, left, h->n == 1 ? h->tasks[0].noun : "objects", there, expected);
	if (replica) { /* it may lag */
		k->host->fail(k->op, NULL, 2000, line);
		return e->rc = RESITE_PENDING;
	}
	if (left == 0) { /* the server acknowledged each: somebody changed or removed them since */
		k->host->log(k->op, RESITE_LOG_WARN, line);
		return 0;
	}
	return lh_error_set(e, RESITE_ERR_CONFLICT, "%s", line);
}

int
homing_verify_all(struct homing *h, struct lh_conn *c, struct lh_error *e)
{
	uint64_t left = 0, there = 0;

	for (int i = 0; i < h->n; i++) {
		const struct lh_task *t = &h->tasks[i];
		uint64_t on_from, on_to;

		if (lh_count_on(c, t, t->from, &on_from, e) || lh_count_on(c, t, t->to, &on_to, e))
			return e->rc;
		left += on_from;
		there += on_to;
	}
	if (judge(h, left, there, e))
		return e->rc;
	call_keep_number(&h->k, CHECKPOINT_VERIFIED, there);
	return 0;
}
