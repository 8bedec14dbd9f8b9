/* journal.h -- one run's events, numbered, timed and chained.
 *
 * An event is one JSON object.  The journal adds to what the caller made:
 *	seq   its number, from 1
 *	time  wall time, RFC 3339, UTC, milliseconds
 *	prev  SHA-256 (FIPS 180-4, hex) of the whole text of the event before,
 *	      64 zeros for the first
 * so that any change of a stored event breaks the chain after it.
 *
 * journal_add collects; nothing is durable until journal_flush says so: the
 * events of one turn of the loop cost one commit together.
 */
#ifndef CORE_STORE_JOURNAL_H
#define CORE_STORE_JOURNAL_H

#include "core/base/json.h"
#include "core/base/redact.h"
#include "core/store/store.h"

#define JOURNAL_HASH_MAX 65

struct journal;

/* A journal that will append to run after event last_seq, whose text had the
 * hash last_hash (NULL for a new run).  store and secrets are borrowed;
 * secrets (may be NULL) are taken out of every event.  NULL without memory. */
struct journal *journal_new(struct store *store, const char *run, int64_t last_seq,
			    const char *last_hash, const struct redact *secrets);
void journal_free(struct journal *journal);

/* Adds seq, time_ms and prev to event and queues its text.  The reference to
 * event stays the caller's; its members are read now.  E_NOMEM. */
int journal_add(struct journal *journal, int64_t time_ms, const json_t *event,
		struct error *err);

/* The same, with one member more, whose value is given as JSON text of len bytes. */
int journal_add_text(struct journal *journal, int64_t time_ms, const json_t *event,
		     const char *key, const char *value, size_t len, struct error *err);

/* Makes all queued events durable, in one commit.  On failure they stay
 * queued, and the caller must act on none of them.  Codes as store_append. */
int journal_flush(struct journal *journal, struct error *err);

/* Events queued and not yet durable. */
size_t journal_pending(const struct journal *journal);
int64_t journal_last_seq(const struct journal *journal);

/* Called for each event in order; event is borrowed. */
typedef int journal_event_fn(void *ctx, int64_t seq, const json_t *event, struct error *err);

#define JOURNAL_KIND_MAX 48

/* Where the part of a journal that can be trusted ends. */
struct journal_end {
	int64_t last_seq;                  /* of the last good event */
	char last_hash[JOURNAL_HASH_MAX];  /* of its text */
	int64_t bad_seq;                   /* of the first bad event; 0: there is none */
	char bad_kind[JOURNAL_KIND_MAX];   /* what it says that it is; "" when that cannot be read */
	char bad_why[ERROR_MAX];           /* what is wrong with it */
};

struct journal_read {
	const char *without;  /* this member of large events is not parsed: fn sees null in its
			       * place.  Its bytes are under the hash.  NULL: everything is. */
	journal_event_fn *fn;
	void *ctx;
};

/* Reads a run and checks the chain as it goes: fn is given an event only when the one
 * after it holds its hash (the last one has none after it).  E_CORRUPT: err names the
 * first bad event, and fn has seen all before it.  E_CORRUPT from fn means that the event
 * which it was given is bad.  ret_end (may be NULL) is written in every case. */
int journal_read(struct store *store, const char *run, const struct journal_read *how,
		 struct journal_end *ret_end, struct error *err);

/* One event of a run, by itself: its chain is not checked.  A new reference; NULL when it
 * cannot be read. */
json_t *journal_event(struct store *store, const char *run, int64_t seq);

/* The hex SHA-256 of len bytes. */
void journal_hash(const char *text, size_t len, char ret_hex[JOURNAL_HASH_MAX]);

#endif
