#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/vec.h"
#include "core/store/journal.h"

#include <nettle/base16.h>
#include <nettle/sha2.h>
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

struct reading {
	const char *run;
	journal_event_fn *fn;
	void *ctx;
	struct journal_end end;
	struct error *err;
};

static int
check_link(struct reading *r, int64_t seq, const json_t *event)
{
	const char *prev = json_str_or(event, "prev", "");

	if (seq != r->end.last_seq + 1)
		return error_set(r->err, E_CORRUPT, "run %s: event %" PRId64 " is missing",
				 r->run, r->end.last_seq + 1);
	if (json_int_or(event, "seq", 0) != seq)
		return error_set(r->err, E_CORRUPT, "run %s: event %" PRId64 " says that it is "
				 "number %" PRId64, r->run, seq, json_int_or(event, "seq", 0));
	if (strcmp(prev, r->end.last_hash))
		return error_set(r->err, E_CORRUPT, "run %s: the chain is broken between events %"
				 PRId64 " and %" PRId64 ": one of them was changed", r->run,
				 seq - 1, seq);
	return 0;
}

static int
read_event(void *ctx, int64_t seq, const char *text, size_t len)
{
	struct reading *r = ctx;
	struct error why = {0};
	json_t *event = json_parse(text, len, &why);
	int rc;

	if (!event)
		return error_set(r->err, E_CORRUPT, "run %s: event %" PRId64 " is no JSON: %s",
				 r->run, seq, why.text);
	rc = check_link(r, seq, event);
	if (rc == 0)
		rc = r->fn(r->ctx, seq, event, r->err);
	json_decref(event);
	if (rc < 0)
		return rc;
	r->end.last_seq = seq;
	journal_hash(text, len, r->end.last_hash);
	return 0;
}

int
journal_read(struct store *store, const char *run, journal_event_fn *fn, void *ctx,
	     struct journal_end *ret_end, struct error *err)
{
	struct reading r = {.run = run, .fn = fn, .ctx = ctx, .err = err};
	int rc;

	memcpy(r.end.last_hash, no_hash, sizeof(no_hash));
	rc = store_read(store, run, 1, read_event, &r, err);
	if (rc == 0 && ret_end)
		*ret_end = r.end;
	return rc;
}
