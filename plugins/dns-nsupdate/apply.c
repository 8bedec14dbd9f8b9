/* Sending the changes: many in a message, several messages in flight, and when somebody
 * has changed one RRset in between, that one alone is left out and reported. */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The server carries out the updates of a zone one after the other; while some wait there,
 * the next are recorded, built and signed. */
#define UPDATE_WINDOW 4
#define UPDATE_WINDOW_ALL 16 /* over all zones, which it carries out side by side */
/* Undo records that are made durable at once: a flush of the journal costs as much as some
 * hundred of them, and the server is not to wait for the first. */
#define RECORD_FIRST 200
#define RECORD_MOST 1000
#define CONFLICTS_NAMED 5

/* Changes that go in one message. */
struct batch {
	struct batch *next; /* in the list of those to be sent again */
	struct tsig_mac mac;
	size_t n;
	size_t items[]; /* indices in apply.changes, ascending */
};

struct apply {
	struct step *s;
	const struct settle *settle; /* a revert; NULL: an apply */
	const struct change *changes;
	size_t window;
	size_t n, next;  /* next: the first that is in no batch yet */
	size_t recorded; /* the undo records of so many changes are durable */
	size_t done;
	struct batch *again;
	struct dns_pipe pipe;
	uint8_t *wire;
	size_t max_bytes, max_names;
	size_t conflicts;
	char named[900]; /* the first few conflicts */
};

/* --- undo records ------------------------------------------------------------- */

/* The undo records of changes [0, upto) are durable before the message with them leaves. */
static int
record_changes(struct apply *a, size_t upto)
{
	size_t more = a->recorded ? 2 * a->recorded : RECORD_FIRST;
	size_t to = a->recorded + (more < RECORD_MOST ? more : RECORD_MOST);
	int rc = RESITE_OK;

	if (upto <= a->recorded)
		return rc;
	to = to < upto ? upto : to > a->n ? a->n : to;
	for (size_t i = a->recorded; i < to && rc >= 0; i++)
		rc = record_undo(a->s, &a->changes[i]);
	if (rc >= 0)
		rc = a->s->host->sync(a->s->op);
	if (rc >= 0)
		a->recorded = to;
	if (rc < 0 && rc != RESITE_ERR_CANCELLED)
		return resite_fail(a->s->op, a->s->host, rc, NULL,
				   "the undo records cannot be written, so nothing more was changed "
				   "(%zu of %zu RRsets are set)", a->done, a->n);
	return rc;
}

/* --- batches ------------------------------------------------------------------- */

static struct batch *
batch_new(const size_t *items, size_t n)
{
	struct batch *b = malloc(sizeof(*b) + n * sizeof(*items));

	if (!b)
		return NULL;
	*b = (struct batch){.n = n};
	if (items)
		memcpy(b->items, items, n * sizeof(*items));
	return b;
}

/* Puts a part of a batch in the list of those to be sent again. */
static int
batch_again(struct apply *a, const size_t *items, size_t n)
{
	struct batch *b = n ? batch_new(items, n) : NULL;

	if (n && !b)
		return step_no_memory(a->s);
	if (b) {
		b->next = a->again;
		a->again = b;
	}
	return RESITE_OK;
}

/* How many of the changes that come next go in one message: all of one zone, and those that
 * must not be parted together. */
static size_t
fit(const struct apply *a)
{
	const struct change *c = &a->changes[a->next];
	size_t n = 0, left = a->n - a->next, bytes, whole = 0;
	struct update_zone zone;

	if (!left)
		return 0;
	zone = zone_for_update(c->zone);
	bytes = update_base_bytes(&zone) + TSIG_RR_MAX;
	while (n < left && c[n].zone == c->zone) {
		bytes += update_change_bytes(&zone, &c[n]);
		if (bytes > a->max_bytes || (n >= a->max_names && !c[n].beside))
			break;
		n++;
		if (n == left || !c[n].beside || !change_same_owner(&c[n - 1], &c[n]))
			whole = n;
	}
	return whole;
}

/* The next batch to send, or NULL when there is none. */
static struct batch *
batch_next(struct apply *a, int *ret_rc)
{
	struct batch *b = a->again;
	size_t n;

	*ret_rc = RESITE_OK;
	if (b) {
		a->again = b->next;
		return b;
	}
	n = fit(a);
	if (a->next == a->n)
		return NULL;
	if (n == 0) {
		char *name = rrset_name(a->changes[a->next].will);

		*ret_rc = resite_fail(a->s->op, a->s->host, RESITE_ERR_INVALID, "record",
				      "%s does not fit into one message of %zu bytes", name,
				      a->max_bytes);
		free(name);
		return NULL;
	}
	b = batch_new(NULL, n);
	if (!b) {
		*ret_rc = resite_fail(a->s->op, a->s->host, RESITE_ERR_TRANSIENT, NULL,
				      "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		b->items[i] = a->next++;
	return b;
}

/* In flight, a batch belongs to the slot whose tag it is. */
static int
batch_send(struct apply *a, struct batch *b)
{
	const struct change **c = malloc(b->n * sizeof(*c));
	struct update_zone zone = zone_for_update(a->changes[b->items[0]].zone);
	size_t len;
	int rc;

	if (!c) {
		free(b);
		return step_no_memory(a->s);
	}
	for (size_t i = 0; i < b->n; i++)
		c[i] = &a->changes[b->items[i]];
	len = update_build(&zone, dns_pipe_new_id(&a->pipe), c, b->n, a->wire);
	free((void *)c);
	if (a->s->has_key)
		len = tsig_sign(&a->s->key, a->wire, len, (int64_t)time(NULL), &b->mac);
	rc = dns_pipe_put(&a->pipe, a->wire, len, (size_t)(uintptr_t)b);
	if (rc == RESITE_OK)
		rc = dns_pipe_flush(&a->pipe);
	return rc == RESITE_OK ? rc : step_net_fail(a->s, rc, "cannot send the update");
}

/* --- conflicts -------------------------------------------------------------------- */

static void
note_conflict(struct apply *a, const struct change *c, const struct rrset *now)
{
	size_t used = strlen(a->named);
	char *name = rrset_name(c->was), *was = rrset_text(c->was), *is = rrset_text(now);
	char *will = rrset_text(c->will);
	bool same = rrset_same_data(c->was, now);

	if (a->conflicts++ < CONFLICTS_NAMED)
		snprintf(a->named + used, sizeof(a->named) - used,
			 same ? "%s%s is %s%s%s, yet the server says it is not (a wildcard?)"
			      : "%s%s was %s, is now %s, not set to %s",
			 used ? "; " : "", name ? name : "?", was ? was : "?", same ? "" : is ? is : "?",
			 same ? "" : will ? will : "?");
	free(name);
	free(was);
	free(is);
	free(will);
}

/* Tells a revert what became of one change. */
static int
settled(struct apply *a, const struct change *c, int result, const struct rrset *now)
{
	return a->settle ? a->settle->told(a->settle->arg, c, result, now) : RESITE_OK;
}

static int
batch_done(struct apply *a, const struct batch *b)
{
	int rc = RESITE_OK;

	a->done += b->n;
	a->changes[b->items[0]].zone->n_done += b->n;
	for (size_t i = 0; i < b->n && rc == RESITE_OK; i++)
		rc = settled(a, &a->changes[b->items[i]], RESITE_REVERTED_PUT_BACK,
			     a->changes[b->items[i]].was);
	return rc;
}

/* A TTL that somebody has changed is no reason to touch data that is back already; where the
 * change is one of the TTL alone, it is. */
static bool
is_set(const struct apply *a, const struct change *c, const struct rrset *now)
{
	return a->settle && !rrset_same_data(c->was, c->will) ? rrset_same_data(now, c->will) : rrset_same(now, c->will);
}

static int
on_conflict(struct apply *a, const struct change *c, const struct rrset *now)
{
	if (!a->settle)
		note_conflict(a, c, now);
	return settled(a, c, now->n ? RESITE_REVERTED_CONFLICT : RESITE_REVERTED_GONE, now);
}

/* What cannot be parted is as it was, and refused all the same. */
static int
whole_conflict(struct apply *a, const struct batch *b, const struct rrset *now, size_t *rest)
{
	int rc = RESITE_OK;

	for (size_t i = 0; i < b->n && rc == RESITE_OK; i++)
		rc = on_conflict(a, &a->changes[b->items[i]], &now[i]);
	free(rest);
	return rc;
}

/* A message of n was refused for its prerequisites.  The RRsets that are not as they were
 * are taken out; the rest goes again, in halves when none could be singled out. */
static int
sort_out(struct apply *a, const struct batch *b, const struct rrset *now)
{
	size_t *rest = malloc(b->n * sizeof(*rest)), n = 0;
	int rc = RESITE_OK;

	if (!rest)
		return step_no_memory(a->s);
	for (size_t i = 0; i < b->n && rc == RESITE_OK; i++) {
		const struct change *c = &a->changes[b->items[i]];

		if (is_set(a, c, &now[i])) {
			a->done++;
			c->zone->n_done++;
			rc = settled(a, c, RESITE_REVERTED_ALREADY, &now[i]);
		} else if (!rrset_same_data(&now[i], c->was) || b->n == 1) {
			rc = on_conflict(a, c, &now[i]);
		} else {
			rest[n++] = b->items[i];
		}
	}
	if (rc == RESITE_OK && n < b->n) {
		rc = batch_again(a, rest, n);
	} else if (rc == RESITE_OK) {
		size_t half = n / 2;

		while (half > 0 && a->changes[rest[half]].beside &&
		       change_same_owner(&a->changes[rest[half - 1]], &a->changes[rest[half]]))
			half--;
		if (half == 0)
			return whole_conflict(a, b, now, rest);
		rc = batch_again(a, rest, half);
		if (rc == RESITE_OK)
			rc = batch_again(a, rest + half, n - half);
	}
	free(rest);
	return rc;
}

static int
batch_refused(struct apply *a, const struct batch *b)
{
	struct rrset *now = calloc(b->n, sizeof(*now)), **v = calloc(b->n, sizeof(*v));
	int rc = RESITE_ERR_TRANSIENT;

	for (size_t i = 0; now && v && i < b->n; i++) {
		now[i] = *a->changes[b->items[i]].will;
		now[i].rdata = NULL;
		now[i].n = 0;
		v[i] = &now[i];
	}
	if (!now || !v) {
		rc = resite_fail(a->s->op, a->s->host, rc, NULL, "out of memory");
	} else {
		rc = read_rrsets(a->changes[b->items[0]].zone, &a->s->server, a->s->transport, v, b->n, NULL);
		rc = rc == RESITE_OK ? sort_out(a, b, now)
				     : step_net_fail(a->s, rc, "cannot look who changed a record");
	}
	for (size_t i = 0; now && i < b->n; i++)
		rrset_clear(&now[i]);
	free(now);
	free(v);
	return rc;
}

/* --- the run ------------------------------------------------------------------------ */

/* "2 of 5 RRsets are set", and which zones are done. */
static const char *
how_far(const struct apply *a, char buf[400])
{
	size_t used = (size_t)snprintf(buf, 400, "%zu of %zu RRsets are set", a->done, a->n), zones = 0;

	for (size_t i = 0; i < a->s->n_zones; i++)
		zones += a->s->zones[i].n_changes > 0;
	for (size_t i = 0; zones > 1 && i < a->s->n_zones && used < 340; i++) {
		const struct zone *z = &a->s->zones[i];

		if (z->n_changes)
			used += (size_t)snprintf(buf + used, 400 - used, "%s %.60s %zu of %zu",
						 buf[used - 1] == 't' ? ":" : ",", z->text, z->n_done,
						 z->n_changes);
	}
	return buf;
}

static int
update_fail(struct apply *a, const struct batch *b, const struct update_failure *f)
{
	const struct change *first = &a->changes[b->items[0]];
	char *name = rrset_name(first->will), far[400];

	resite_fail(a->s->op, a->s->host, f->rc,
		    strstr(f->text, "key '") ? "key" : NULL,
		    "%s answers the update of %s%s in %s with %s (%s)", a->s->server.text,
		    name ? name : "?", b->n > 1 ? " and others" : "", first->zone->text, f->text,
		    how_far(a, far));
	free(name);
	return f->rc;
}

/* What became of a batch that was sent. */
static int
batch_judged(struct apply *a, const struct batch *b, enum update_verdict v,
	     const struct update_failure *f)
{
	int rc = v == UPDATE_DONE	    ? batch_done(a, b)
		 : v == UPDATE_PREREQUISITE ? batch_refused(a, b)
					    : update_fail(a, b, f);

	if (!a->settle)
		a->s->host->progress(a->s->op, a->done, a->n, "RRsets set");
	return rc;
}

static int
take_answer(struct apply *a)
{
	const uint8_t *wire;
	size_t len, tag;
	struct update_failure f;
	enum update_verdict v;
	struct batch *b;
	char far[400];
	int rc = dns_pipe_get(&a->pipe, &tag, &wire, &len);

	if (rc == RESITE_ERR_CANCELLED)
		return rc;
	if (rc != RESITE_OK)
		return resite_fail(a->s->op, a->s->host, rc, NULL,
				   "no answer to an update, so whether it was done is unknown: %s (%s)",
				   a->s->net.err, how_far(a, far));
	b = (struct batch *)(uintptr_t)tag;
	v = update_judge(wire, len, a->s->has_key ? &a->s->key : NULL, &b->mac, (int64_t)time(NULL),
			 &f);
	rc = batch_judged(a, b, v, &f);
	free(b);
	return rc;
}

/* By nsupdate: one message, and its end is waited for. */
static int
batch_hand_over(struct apply *a, struct batch *b)
{
	const struct change **c = malloc(b->n * sizeof(*c));
	struct update_failure f = {0};
	enum update_verdict v;
	int rc;

	if (!c) {
		free(b);
		return step_no_memory(a->s);
	}
	for (size_t i = 0; i < b->n; i++)
		c[i] = &a->changes[b->items[i]];
	v = nsupdate_send(a->s, c[0]->zone, c, b->n, &f);
	rc = v == UPDATE_FAILED && f.rc == RESITE_ERR_CANCELLED ? f.rc : batch_judged(a, b, v, &f);
	free((void *)c);
	free(b);
	return rc;
}

static int
record_and_send(struct apply *a, struct batch *b)
{
	int rc = record_changes(a, b->items[b->n - 1] + 1);

	if (rc >= 0)
		return a->s->send == SEND_DIRECT ? batch_send(a, b) : batch_hand_over(a, b);
	free(b);
	return rc;
}

static int
run(struct apply *a)
{
	char far[400];
	int rc = RESITE_OK;

	while (rc == RESITE_OK) {
		struct batch *b = a->pipe.busy < a->window ? batch_next(a, &rc) : NULL;

		if (rc == RESITE_OK && b)
			rc = record_and_send(a, b);
		else if (rc == RESITE_OK && a->pipe.busy)
			rc = take_answer(a);
		else
			break;
	}
	if (rc != RESITE_OK || !a->conflicts)
		return rc;
	return resite_fail(a->s->op, a->s->host, RESITE_ERR_CONFLICT, NULL,
			   "%zu of %zu RRsets were changed by somebody else, the others are set: %s%s"
			   " (%s)",
			   a->conflicts, a->n, a->named, a->conflicts > CONFLICTS_NAMED ? "; …" : "",
			   how_far(a, far));
}

/* Frees the batches that are still in flight or waiting after a failure. */
static void
apply_release(struct apply *a)
{
	struct batch *b;

	for (size_t i = 0; i < DNS_WINDOW; i++)
		if (a->pipe.slots[i].busy)
			free((struct batch *)(uintptr_t)a->pipe.slots[i].tag);
	while ((b = a->again)) {
		a->again = b->next;
		free(b);
	}
	if (a->s->send == SEND_DIRECT)
		dns_pipe_close(&a->pipe);
	free(a->wire);
}

/* --- all of it ------------------------------------------------------------------------ */

static size_t
window_of(const struct step *s)
{
	size_t n = UPDATE_WINDOW * s->n_zones;

	return n > UPDATE_WINDOW_ALL ? UPDATE_WINDOW_ALL : n;
}

int
send_changes(struct step *s, struct change *changes, size_t n, const struct settle *settle)
{
	struct apply a = {.s = s, .changes = changes, .n = n, .window = window_of(s),
			  .settle = settle, .recorded = settle ? n : 0, /* a revert is not undone */
			  .max_bytes = DNS_TCP_MAX,
			  .max_names = (size_t)s->host->param_i64(s->op, "batch", 0)};
	int rc = RESITE_OK;

	if (!order_changes(s, changes, n, a.max_names))
		return step_no_memory(s);
	if (s->send == SEND_DIRECT)
		rc = dns_pipe_open(&a.pipe, &s->net, &s->server, s->transport);
	if (rc != RESITE_OK)
		return step_net_fail(s, rc, "cannot reach the primary");
	if (s->send == SEND_DIRECT && !a.pipe.tcp)
		a.max_bytes = DNS_UDP_MAX;
	a.wire = malloc(a.max_bytes);
	rc = a.wire ? run(&a) : step_no_memory(s);
	apply_release(&a);
	return rc;
}

int
apply_changes(struct step *s)
{
	struct change *changes = calloc(step_total(s) + 1, sizeof(*changes));
	size_t n = 0;
	int rc = RESITE_OK;

	if (!changes)
		return step_no_memory(s);
	for (size_t i = 0; i < s->n_zones; i++) {
		struct zone *z = &s->zones[i];

		for (size_t j = 0; j < z->set.n; j++)
			if (!rrset_same(&z->now[j], &z->set.v[j]))
				changes[n++] = (struct change){&z->now[j], &z->set.v[j], .zone = z};
	}
	if (n)
		rc = send_changes(s, changes, n, NULL);
	free(changes);
	return rc;
}
