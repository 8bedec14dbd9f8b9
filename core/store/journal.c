#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/vec.h"
#include "core/store/journal.h"

#include <nettle/base16.h>
#include <nettle/sha2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char no_hash[] = "0000000000000000000000000000000000000000000000000000000000000000";

struct journal {
	struct store *store;              /* borrowed */
	const struct redact *secrets;     /* borrowed, may be NULL */
	char *run;                        /* owned */
	int64_t last_seq;                 /* of the last event queued */
	char last_hash[JOURNAL_HASH_MAX]; /* of the last event queued */
	struct strbuf queued;             /* the texts, one after the other */
	size_t *ends;                     /* where each text in queued ends */
	size_t n, ends_cap;               /* texts queued */
	struct store_body *bodies;        /* scratch for the flush */
	size_t bodies_cap;
};

void
journal_hash(const char *text, size_t len, char ret_hex[JOURNAL_HASH_MAX])
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, len, (const uint8_t *)text);
	sha256_digest(&ctx, sizeof(digest), digest);
	base16_encode_update(ret_hex, sizeof(digest), digest);
	ret_hex[JOURNAL_HASH_MAX - 1] = '\0';
}

struct journal *
journal_new(struct store *store, const char *run, int64_t last_seq, const char *last_hash,
	    const struct redact *secrets)
{
	struct journal *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->run = strdup(run);
	if (!j->run) {
		free(j);
		return NULL;
	}
	j->store = store;
	j->secrets = secrets;
	j->last_seq = last_seq;
	memcpy(j->last_hash, last_hash ? last_hash : no_hash, JOURNAL_HASH_MAX);
	strbuf_init(&j->queued);
	return j;
}

void
journal_free(struct journal *j)
{
	if (!j)
		return;
	strbuf_release(&j->queued);
	free(j->ends);
	free(j->bodies);
	free(j->run);
	free(j);
}

struct member {
	const char *key, *value; /* value: JSON text */
	size_t len;              /* of value */
};

/* {"seq":…,"time":…, the event's own members …, more,"prev":…}; more may be NULL. */
static void
write_event(struct strbuf *text, const struct journal *j, int64_t time_ms, const json_t *event,
	    const struct member *more)
{
	char when[CLOCK_TEXT_MAX];

	strbuf_addf(text, "{\"seq\":%" PRId64 ",\"time\":\"%s\",", j->last_seq + 1,
		    clock_format_utc(time_ms, when));
	/* The object's text without its own opening brace. */
	size_t brace = text->len;
	json_write(text, event);
	if (!text->failed) {
		memmove(text->buf + brace, text->buf + brace + 1, text->len - brace);
		text->len--;
		text->buf[--text->len] = '\0';
	}
	if (more) {
		strbuf_addf(text, ",\"%s\":", more->key);
		strbuf_add(text, more->value, more->len);
	}
	strbuf_addf(text, ",\"prev\":\"%s\"}", j->last_hash);
}

static int
add(struct journal *j, int64_t time_ms, const json_t *event, const struct member *more,
    struct error *err)
{
	struct strbuf text = STRBUF_INIT;
	int rc = 0;

	assert(json_object_size(event) > 0);
	write_event(&text, j, time_ms, event, more);
	if (!text.failed && j->secrets)
		redact_text(j->secrets, &text);
	if (text.failed || vec_reserve(&j->ends, j->n + 1, &j->ends_cap) < 0 ||
	    strbuf_grow(&j->queued, text.len) < 0) {
		rc = error_set(err, E_NOMEM, "journal: out of memory");
	} else {
		strbuf_add(&j->queued, text.buf, text.len);
		j->ends[j->n++] = j->queued.len;
		journal_hash(text.buf, text.len, j->last_hash);
		j->last_seq++;
	}
	strbuf_release(&text);
	return rc;
}

int
journal_add(struct journal *j, int64_t time_ms, const json_t *event, struct error *err)
{
	return add(j, time_ms, event, NULL, err);
}

int
journal_add_text(struct journal *j, int64_t time_ms, const json_t *event, const char *key,
		 const char *value, size_t len, struct error *err)
{
	return add(j, time_ms, event, &(struct member){key, value, len}, err);
}

int
journal_flush(struct journal *j, struct error *err)
{
	size_t start = 0;
	int rc;

	if (!j->n)
		return 0;
	if (vec_reserve(&j->bodies, j->n, &j->bodies_cap) < 0)
		return error_set(err, E_NOMEM, "journal: out of memory");
	for (size_t i = 0; i < j->n; i++) {
		j->bodies[i] = (struct store_body){j->queued.buf + start, j->ends[i] - start};
		start = j->ends[i];
	}
	rc = store_append(j->store, j->run, j->last_seq - (int64_t)j->n + 1, j->bodies, j->n, err);
	if (rc < 0)
		return rc;
	j->n = 0;
	strbuf_reset(&j->queued);
	return 0;
}

size_t
journal_pending(const struct journal *j)
{
	return j->n;
}

int64_t
journal_last_seq(const struct journal *j)
{
	return j->last_seq;
}

/* --- reading ------------------------------------------------------------- */

/* An event read, and not yet given to anybody: the next one must vouch for it. */
struct pending {
	int64_t seq;                  /* 0: none */
	json_t *event;                /* owned */
	char hash[JOURNAL_HASH_MAX];  /* of its text */
	char kind[JOURNAL_KIND_MAX];
};

struct reading {
	const char *run;
	const struct journal_read *how;
	struct pending last;
	struct pending stranger;      /* its prev is not the hash of last: one of them was changed */
	struct journal_end end;       /* up to the last event given */
	struct error *err;
};

static void
drop(struct pending *p)
{
	json_decref(p->event);
	*p = (struct pending){0};
}

/* The first bad event is found: nothing after it is read. */
static int PRINTF_LIKE(4, 5)
bad(struct reading *r, int64_t seq, const char *kind, const char *fmt, ...)
{
	va_list ap;

	r->end.bad_seq = seq;
	snprintf(r->end.bad_kind, sizeof(r->end.bad_kind), "%s", kind);
	va_start(ap, fmt);
	vsnprintf(r->end.bad_why, sizeof(r->end.bad_why), fmt, ap);
	va_end(ap);
	return error_set(r->err, E_CORRUPT, "run %s: event %" PRId64 "%s%s%s: %s", r->run, seq,
			 *kind ? " (" : "", kind, *kind ? ")" : "", r->end.bad_why);
}

static int
give(struct reading *r, struct pending *p)
{
	struct error why = {0};
	int rc = r->how->fn(r->how->ctx, p->seq, p->event, &why);

	if (rc == E_CORRUPT)
		return bad(r, p->seq, p->kind, "%s", why.text);
	if (rc < 0)
		return error_set(r->err, rc, "%s", why.text);
	r->end.last_seq = p->seq;
	memcpy(r->end.last_hash, p->hash, sizeof(p->hash));
	drop(p);
	return 0;
}

static int
give_last(struct reading *r)
{
	return r->last.seq ? give(r, &r->last) : 0;
}

static const char *
last_hash(const struct reading *r)
{
	return r->last.seq ? r->last.hash : no_hash;
}

/* The chain is broken between last and stranger.  Who is vouched for by what comes after
 * is as it was written; so it was the other one that was changed.  next: NULL at the end. */
static int
blame(struct reading *r, const struct pending *next)
{
	bool vouched = next && !strcmp(json_str_or(next->event, "prev", ""), r->stranger.hash);
	int rc;

	if (!r->last.seq)
		return bad(r, r->stranger.seq, r->stranger.kind, "is not the beginning of a journal");
	if (vouched)
		return bad(r, r->last.seq, r->last.kind, "was changed after it was written: event "
			   "%" PRId64 " has another hash of it", r->stranger.seq);
	if (!next)
		return bad(r, r->last.seq, r->last.kind, "this or event %" PRId64 " was changed "
			   "after it was written: the second does not have the hash of the first",
			   r->stranger.seq);
	rc = give_last(r);
	return rc < 0 ? rc : bad(r, r->stranger.seq, r->stranger.kind, "was changed after it was "
				 "written: it fits neither the event before nor the one after it");
}

/* What is wrong with an event by itself; NULL: nothing. */
static const char *
misplaced(const struct pending *p, char why[ERROR_MAX])
{
	int64_t said = json_int_or(p->event, "seq", 0);

	if (!p->event)
		return why; /* parse_event has written it */
	if (said != p->seq)
		snprintf(why, ERROR_MAX, "is not in its place: it says that it is number %" PRId64,
			 said);
	else if (clock_parse_utc(json_str_or(p->event, "time", "")) < 0)
		snprintf(why, ERROR_MAX, "has no time");
	else
		return NULL;
	return why;
}

static int
parse_event(struct reading *r, int64_t seq, const char *text, size_t len, struct pending *ret,
	    char why[ERROR_MAX])
{
	struct error err = {0};

	*ret = (struct pending){.seq = seq};
	journal_hash(text, len, ret->hash);
	ret->event = r->how->without ? json_parse_without(text, len, r->how->without, &err) :
				       json_parse(text, len, &err);
	if (!ret->event && err.code == E_NOMEM)
		return error_set(r->err, E_NOMEM, "out of memory");
	if (!ret->event)
		snprintf(why, ERROR_MAX, "is no JSON: %.900s", err.text);
	snprintf(ret->kind, sizeof(ret->kind), "%s", json_str_or(ret->event, "kind", ""));
	return 0;
}

/* Takes the reference in p where it keeps it. */
static int
take_event(struct reading *r, struct pending *p, char why[ERROR_MAX])
{
	int64_t wanted = r->last.seq + 1;
	int rc = 0;

	if (r->stranger.seq)
		return blame(r, p->event && p->seq == wanted + 1 ? p : NULL);
	/* What is wrong with this one is told when all before it is known to be good. */
	if (p->seq != wanted || misplaced(p, why)) {
		rc = give_last(r);
		return rc < 0 ? rc : p->seq != wanted ? bad(r, wanted, "", "is missing") :
			bad(r, p->seq, p->kind, "%s", why);
	}
	if (strcmp(json_str_or(p->event, "prev", ""), last_hash(r))) {
		r->stranger = *p;
		p->event = NULL;
		return 0;
	}
	rc = give_last(r);
	if (rc == 0) {
		r->last = *p;
		p->event = NULL;
	}
	return rc;
}

static int
read_event(void *ctx, int64_t seq, const char *text, size_t len)
{
	struct reading *r = ctx;
	char why[ERROR_MAX];
	struct pending p;
	int rc = parse_event(r, seq, text, len, &p, why);

	if (rc == 0)
		rc = take_event(r, &p, why);
	json_decref(p.event);
	return rc;
}

/* The store has read so far and no further. */
static int
unreadable(struct reading *r)
{
	char why[ERROR_MAX];
	int rc;

	if (r->stranger.seq)
		return blame(r, NULL);
	snprintf(why, sizeof(why), "%s", r->err->text);
	rc = give_last(r);
	return rc < 0 ? rc : bad(r, r->end.last_seq + 1, "", "cannot be read: %s", why);
}

int
journal_read(struct store *store, const char *run, const struct journal_read *how,
	     struct journal_end *ret_end, struct error *err)
{
	struct error own;
	struct reading r = {.run = run, .how = how, .err = err ? err : &own};
	int rc;

	memcpy(r.end.last_hash, no_hash, sizeof(no_hash));
	rc = store_read(store, run, 1, read_event, &r, r.err);
	if (rc == 0)
		rc = r.stranger.seq ? blame(&r, NULL) : give_last(&r);
	else if (rc == E_CORRUPT && !r.end.bad_seq)
		rc = unreadable(&r);
	drop(&r.last);
	drop(&r.stranger);
	if (ret_end)
		*ret_end = r.end;
	return rc;
}

/* --- one event ----------------------------------------------------------- */

static int
take_one(void *ctx, int64_t seq, const char *text, size_t len)
{
	json_t **event = ctx;

	(void)seq;
	*event = json_parse(text, len, NULL);
	return E_REFUSED; /* one is enough */
}

json_t *
journal_event(struct store *store, const char *run, int64_t seq)
{
	json_t *event = NULL;

	store_read(store, run, seq, take_one, &event, NULL);
	return event;
}
