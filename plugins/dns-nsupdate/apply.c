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
/* Undo records that are made durable at once: a flush of the journal costs as much as some
 * hundred of them, and the server is not to wait for the first. */
#define RECORD_FIRST 200
#define RECORD_MORE 1000
#define CONFLICTS_NAMED 5
#define UNDO_VERSION 1

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
	struct update_zone zone;
	const struct change *changes;
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

static void
quote(FILE *f, const char *text)
{
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", f);
		else
			fputc(*text, f);
}

/* " 'prereq yxrrset NAME TYPE DATA'" for each record; ttl < 0: without one. */
static void
by_hand_records(FILE *f, const char *verb, const struct rrset *s, const char *owner, int64_t ttl)
{
	for (size_t i = 0; i < s->n; i++) {
		char *data = rrset_data(s, i);

		fprintf(f, " '%s ", verb);
		quote(f, owner);
		if (ttl >= 0)
			fprintf(f, " %lld", (long long)ttl);
		fprintf(f, " %s ", rrset_type_text(s->type));
		quote(f, data ? data : "?");
		fputc('\'', f);
		free(data);
	}
}

char *
by_hand_text(const struct step *s, const struct change *c)
{
	char *text = NULL, *owner = rrset_owner(c->was);
	const char *type = rrset_type_text(c->was->type);
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f || !owner) {
		free(owner);
		if (f)
			fclose(f);
		free(text);
		return NULL;
	}
	fprintf(f, "printf '%%s\\n' 'server %s %s' 'zone %s'", s->server.host, s->server.port,
		s->zone_text);
	by_hand_records(f, "prereq yxrrset", c->will, owner, -1);
	fprintf(f, " 'update delete %s %s'", owner, type);
	by_hand_records(f, "update add", c->was, owner, c->was->ttl);
	fprintf(f, " send | nsupdate%s", s->has_key ? " -k KEYFILE" : "");
	free(owner);
	return fclose(f) == 0 ? text : (free(text), NULL);
}

static int
record_undo(struct apply *a, const struct change *c)
{
	struct step *s = a->s;
	char was_ttl[16], set_ttl[16];
	char *name = rrset_owner(c->was), *was = rrset_lines(c->was), *set = rrset_lines(c->will);
	char *by_hand = by_hand_text(s, c);
	const struct resite_kv kv[] = {
		{"name", name},       {"type", rrset_type_text(c->was->type)},
		{"was.ttl", was_ttl}, {"was.data", was},
		{"set.ttl", set_ttl}, {"set.data", set},
	};
	int rc;

	snprintf(was_ttl, sizeof(was_ttl), "%lu", (unsigned long)(c->was->n ? c->was->ttl : 0));
	snprintf(set_ttl, sizeof(set_ttl), "%lu", (unsigned long)c->will->ttl);
	if (name && was && set && by_hand)
		rc = s->host->undo_add(s->op, UNDO_VERSION, by_hand, kv,
				       sizeof(kv) / sizeof(kv[0]));
	else
		rc = resite_fail(s->op, s->host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	free(name);
	free(was);
	free(set);
	free(by_hand);
	return rc;
}

/* The undo records of changes [0, upto) are durable before the message with them leaves. */
static int
record_changes(struct apply *a, size_t upto)
{
	size_t more = a->recorded + (a->recorded ? RECORD_MORE : RECORD_FIRST);
	size_t to = more < a->n ? more : a->n;
	int rc = RESITE_OK;

	if (upto <= a->recorded)
		return rc;
	to = to < upto ? upto : to;
	for (size_t i = a->recorded; i < to && rc >= 0; i++)
		rc = record_undo(a, &a->changes[i]);
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
		return resite_fail(a->s->op, a->s->host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	if (b) {
		b->next = a->again;
		a->again = b;
	}
	return RESITE_OK;
}

/* The next batch to send, or NULL when there is none. */
static struct batch *
batch_next(struct apply *a, int *ret_rc)
{
	size_t bytes = update_base_bytes(&a->zone) + TSIG_RR_MAX, n = 0;
	struct batch *b = a->again;

	*ret_rc = RESITE_OK;
	if (b) {
		a->again = b->next;
		return b;
	}
	while (a->next + n < a->n && n < a->max_names) {
		bytes += update_change_bytes(&a->zone, &a->changes[a->next + n]);
		if (bytes > a->max_bytes)
			break;
		n++;
	}
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
	size_t len;
	int rc;

	if (!c) {
		free(b);
		return resite_fail(a->s->op, a->s->host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	}
	for (size_t i = 0; i < b->n; i++)
		c[i] = &a->changes[b->items[i]];
	len = update_build(&a->zone, dns_pipe_new_id(&a->pipe), c, b->n, a->wire);
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
	for (size_t i = 0; i < b->n && rc == RESITE_OK; i++)
		rc = settled(a, &a->changes[b->items[i]], RESITE_REVERTED_PUT_BACK,
			     a->changes[b->items[i]].was);
	return rc;
}

/* A TTL that somebody has changed is no reason to touch data that is back already. */
static bool
is_set(const struct apply *a, const struct change *c, const struct rrset *now)
{
	return a->settle ? rrset_same_data(now, c->will) : rrset_same(now, c->will);
}

static int
on_conflict(struct apply *a, const struct change *c, const struct rrset *now)
{
	if (!a->settle)
		note_conflict(a, c, now);
	return settled(a, c, now->n ? RESITE_REVERTED_CONFLICT : RESITE_REVERTED_GONE, now);
}

/* A message of n was refused for its prerequisites.  The RRsets that are not as they were
 * are taken out; the rest goes again, in halves when none could be singled out. */
static int
sort_out(struct apply *a, const struct batch *b, const struct rrset *now)
{
	size_t *rest = malloc(b->n * sizeof(*rest)), n = 0;
	int rc = RESITE_OK;

	if (!rest)
		return resite_fail(a->s->op, a->s->host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	for (size_t i = 0; i < b->n && rc == RESITE_OK; i++) {
		const struct change *c = &a->changes[b->items[i]];

		if (is_set(a, c, &now[i])) {
			a->done++;
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
		rc = batch_again(a, rest, n / 2);
		if (rc == RESITE_OK)
			rc = batch_again(a, rest + n / 2, n - n / 2);
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
		rc = read_rrsets(a->s, &a->s->server, a->s->transport, v, b->n, NULL);
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

static int
update_fail(struct apply *a, const struct batch *b, const struct update_failure *f)
{
	char *name = rrset_name(a->changes[b->items[0]].will);

	resite_fail(a->s->op, a->s->host, f->rc,
		    strstr(f->text, "key '") ? "key" : NULL,
		    "%s answers the update of %s%s in %s with %s (%zu of %zu RRsets are set)",
		    a->s->server.text, name ? name : "?", b->n > 1 ? " and others" : "",
		    a->s->zone_text, f->text, a->done, a->n);
	free(name);
	return f->rc;
}

static int
take_answer(struct apply *a)
{
	const uint8_t *wire;
	size_t len, tag;
	struct update_failure f;
	struct batch *b;
	int rc = dns_pipe_get(&a->pipe, &tag, &wire, &len);

	if (rc == RESITE_ERR_CANCELLED)
		return rc;
	if (rc != RESITE_OK)
		return resite_fail(a->s->op, a->s->host, rc, NULL,
				   "no answer to an update of %s, so whether it was done is unknown: %s",
				   a->s->zone_text, a->s->net.err);
	b = (struct batch *)(uintptr_t)tag;
	switch (update_judge(wire, len, a->s->has_key ? &a->s->key : NULL, &b->mac,
			     (int64_t)time(NULL), &f)) {
	case UPDATE_DONE:
		rc = batch_done(a, b);
		break;
	case UPDATE_PREREQUISITE:
		rc = batch_refused(a, b);
		break;
	case UPDATE_FAILED:
		rc = update_fail(a, b, &f);
		break;
	}
	free(b);
	if (!a->settle)
		a->s->host->progress(a->s->op, a->done, a->n, "RRsets set");
	return rc;
}

static int
record_and_send(struct apply *a, struct batch *b)
{
	int rc = record_changes(a, b->items[b->n - 1] + 1);

	if (rc >= 0)
		return batch_send(a, b);
	free(b);
	return rc;
}

static int
run(struct apply *a)
{
	int rc = RESITE_OK;

	while (rc == RESITE_OK) {
		struct batch *b = a->pipe.busy < UPDATE_WINDOW ? batch_next(a, &rc) : NULL;

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
			   "%zu of %zu RRsets were changed by somebody else, the others are set: %s%s",
			   a->conflicts, a->n, a->named, a->conflicts > CONFLICTS_NAMED ? "; …" : "");
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
	dns_pipe_close(&a->pipe);
	free(a->wire);
}

int
send_changes(struct step *s, const struct change *changes, size_t n, const struct settle *settle)
{
	struct apply a = {.s = s, .zone = step_zone(s), .changes = changes, .n = n,
			  .settle = settle, .recorded = settle ? n : 0, /* a revert is not undone */
			  .max_names = (size_t)s->host->param_i64(s->op, "batch", 0)};
	int rc = dns_pipe_open(&a.pipe, &s->net, &s->server, s->transport);

	if (rc != RESITE_OK)
		return step_net_fail(s, rc, "cannot reach the primary");
	a.max_bytes = a.pipe.tcp ? DNS_TCP_MAX : DNS_UDP_MAX;
	a.wire = malloc(a.max_bytes);
	rc = a.wire ? run(&a)
		    : resite_fail(s->op, s->host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	apply_release(&a);
	return rc;
}

int
apply_changes(struct step *s)
{
	struct change *changes = calloc(s->set.n + 1, sizeof(*changes));
	size_t n = 0;
	int rc = RESITE_OK;

	if (!changes)
		return resite_fail(s->op, s->host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	for (size_t i = 0; i < s->set.n; i++)
		if (!rrset_same(&s->now[i], &s->set.v[i]))
			changes[n++] = (struct change){&s->now[i], &s->set.v[i]};
	if (n)
		rc = send_changes(s, changes, n, NULL);
	free(changes);
	return rc;
}
