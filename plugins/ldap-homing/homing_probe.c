/* What would be moved, and who would stay. */
#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/homing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct probe {
	struct homing *h;
	const struct lh_task *t;
	struct lh_digest digest;         /* of those who are to go */
	uint64_t already, there, moving, stayed[LH_STAYS_N];
	char first_moving[300];
	struct lh_list list; /* for the apply of the same attempt, if keep */
	bool keep;
	char *was; /* the home of the last one, as the directory spells it; NULL: none yet */
};

/* Nearly always all users spell their home alike: then it is compared as a DN once. */
static const char *
spelled(struct probe *p, const struct lh_entry *entry)
{
	const struct berval *v = entry->values[LH_HOME];

	if (p->was && v && v->bv_val && v->bv_len == strlen(p->was) &&
	    !memcmp(v->bv_val, p->was, v->bv_len))
		return p->was;
	free(p->was);
	p->was = lh_entry_home(entry, LH_HOME, p->t->from);
	return p->was ? p->was : p->t->from;
}

static int
probe_one(void *arg, const struct lh_entry *entry, struct lh_error *e)
{
	struct probe *p = arg;
	struct call *k = &p->h->k;
	enum lh_stay why = lh_chosen(p->t, entry);
	const struct berval *moving = entry->values[LH_MOVING];
	int rc;

	if (moving && moving->bv_val && (why == LH_GOES || why == LH_STAYS_MID_MOVE)) {
		p->moving++;
		lh_names_add(p->first_moving, sizeof(p->first_moving), entry->dn.bv_val);
	}
	if (why != LH_GOES) {
		p->stayed[why]++;
		return 0;
	}
	lh_digest_add(&p->digest, entry->dn.bv_val, entry->dn.bv_len);
	if (p->keep && lh_list_add(&p->list, entry, e))
		return e->rc;
	rc = k->host->change(k->op, entry->dn.bv_val, spelled(p, entry), p->t->to);
	return rc < 0 ? lh_error_set(e, rc, "the host would not take a change") : 0;
}

static int
probe_kept(void *arg, const struct lh_entry *entry, enum lh_stay why, struct lh_error *e)
{
	struct probe *p = arg;

	(void)entry;
	(void)e;
	p->stayed[why]++;
	return 0;
}

/* How many are on `to`.  When nobody is left on `from` and verify has counted them since
 * the last apply, its count stands: the directory is not asked for everybody twice. */
static int
count_there(struct probe *p, struct lh_conn *c, struct lh_error *e)
{
	bool all = !p->t->filter && !p->t->exclude && !p->t->listed && !p->t->left_out;

	if (p->h->n == 1 && p->digest.count == 0 && !p->t->listed &&
	    call_last_number(&p->h->k, CHECKPOINT_VERIFIED, &p->already))
		return 0;
	if (lh_count_on(c, p->t, p->t->to, &p->already, e))
		return e->rc;
	p->there = p->already;
	return p->t->capacity && !all ? lh_count_all_on(c, p->t, p->t->to, &p->there, e) : 0;
}

static int
probe_task(struct probe *p, struct lh_conn *c, struct lh_error *e)
{
	if (lh_people_kept(c, p->t, probe_kept, p, e) ||
	    lh_people_on(c, p->t, p->t->from, false, probe_one, p, e) || count_there(p, c, e))
		return e->rc;
	if (p->moving && p->t->mid_move == LH_MID_MOVE_REFUSE)
		return lh_mid_move_refused(p->t, p->moving, p->first_moving, e);
	return lh_capacity_suffices(p->t, p->there, p->digest.count, e);
}

static void
tell_moving(struct probe *p)
{
	struct call *k = &p->h->k;
	char line[700];

	if (!p->moving)
		return;
	snprintf(line, sizeof(line), "%" PRIu64 " %s are in the middle of another move (%s is set), %s: %s",
		 p->moving, p->t->noun, p->t->moving_attribute,
		 p->t->mid_move == LH_MID_MOVE_LEAVE ? "and stay where they are" :
						       "which this one overrides",
		 p->first_moving);
	k->host->loss(k->op, line);
}

static void
tell_state(struct homing *h, struct probe probes[HOMING_TASKS_MAX])
{
	uint64_t left = 0, already = 0;
	char now[900] = "", fingerprint[HOMING_TASKS_MAX * LH_DIGEST_HEX] = "";

	for (int i = 0; i < h->n; i++) {
		const struct probe *p = &probes[i];
		char *seed = lh_filter_equal(p->t->attribute, p->t->from, p->t->to);
		char hex[LH_DIGEST_HEX], stayed[300];
		size_t used = strlen(now);

		lh_digest_hex(&p->digest, seed ? seed : p->t->from, hex);
		free(seed);
		homing_say_stayed(p->stayed, stayed, sizeof(stayed));
		snprintf(now + used, sizeof(now) - used,
			 "%s%" PRIu64 " %s to move from \"%.100s\"%s, %" PRIu64 " on \"%.100s\"%s",
			 used ? "; " : "", p->digest.count, p->t->noun, p->t->from, stayed, p->already,
			 p->t->to,
			 h->n == 1 && p->digest.count + p->already == 0 && !*stayed ?
				 ": nobody on either; are base and attribute right?" : "");
		strcat(fingerprint, hex);
		left += p->digest.count;
		already += p->already;
	}
	h->k.host->state(h->k.op, now, fingerprint, left, left + already);
}

int
homing_probe_all(struct homing *h, struct lh_conn *c, struct lh_error *e)
{
	struct probe probes[HOMING_TASKS_MAX] = {{.h = h}};
	struct lh_list lists[HOMING_TASKS_MAX] = {{.n = 0}};
	int rc = homing_find_target(h, c, e);

	for (int i = 0; i < h->n && !rc; i++) {
		probes[i].h = h;
		probes[i].t = probes[i].list.task = &h->tasks[i];
		probes[i].keep = homing_may_remember(h);
		rc = probe_task(&probes[i], c, e);
	}
	if (!rc)
		tell_state(h, probes);
	for (int i = 0; i < h->n; i++) {
		if (!rc)
			tell_moving(&probes[i]);
		free(probes[i].was);
		lists[i] = probes[i].list;
	}
	if (!rc && probes[0].keep)
		homing_remember(h, lists);
	for (int i = 0; i < h->n; i++)
		lh_list_release(&lists[i]);
	if (rc)
		return rc;
	homing_warn_of_strangers(h, h->tasks[0].listed, "users_file");
	homing_warn_of_strangers(h, h->tasks[0].left_out, "exclude_file");
	return 0;
}
