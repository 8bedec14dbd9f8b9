/* store.h -- where journals live: an append-only log for each run, with
 * optimistic concurrency, and nothing more.
 *
 * A run's events are numbered from 1 without gaps.  An append names the number
 * that the writer believes is next; if another writer has used it, nothing is
 * written and the answer is E_FENCED: the second writer stops.  Bodies are
 * opaque text here (core/store/journal.h gives them their meaning).
 *
 * A store is used from one thread.  Implementations fill struct store_ops; a
 * replicated store implements the same three calls.
 */
#ifndef CORE_STORE_STORE_H
#define CORE_STORE_STORE_H

#include "core/base/base.h"
#include "core/base/error.h"

struct store;

struct store_body {
	const char *text; /* the event; borrowed for the call */
	size_t len;       /* bytes, no NUL counted */
};

/* Called for each event in order; a negative return ends the read with it. */
typedef int store_event_fn(void *ctx, int64_t seq, const char *text, size_t len);
/* Called for each run, oldest first; last_seq is the number of its events. */
typedef int store_run_fn(void *ctx, const char *run, int64_t last_seq);

struct store_ops {
	int (*append)(struct store *, const char *run, int64_t expected_seq,
		      const struct store_body *bodies, size_t n, struct error *);
	int (*read)(struct store *, const char *run, int64_t from_seq, store_event_fn *,
		    void *ctx, struct error *);
	int (*list)(struct store *, store_run_fn *, void *ctx, struct error *);
	void (*close)(struct store *);
};

/* First member of every implementation. */
struct store {
	const struct store_ops *ops; /* never NULL */
};

/* Makes n events durable, all or none; the first gets number expected_seq.
 * When it returns 0 they survive a power cut.  E_FENCED: that number is taken
 * (or lies past the end); E_FULL: no space; E_IO.  On failure nothing of the
 * call is stored. */
int store_append(struct store *store, const char *run, int64_t expected_seq,
		 const struct store_body *bodies, size_t n, struct error *err);

/* Calls fn for each event of run with number >= from_seq.  E_NOTFOUND when
 * there is no such run. */
int store_read(struct store *store, const char *run, int64_t from_seq, store_event_fn *fn,
	       void *ctx, struct error *err);

int store_list(struct store *store, store_run_fn *fn, void *ctx, struct error *err);

/* Frees the store; NULL is allowed. */
void store_close(struct store *store);

/* Opens the SQLite store DIR/journal.db; the folder is made (mode 0700) when
 * create is true, else a missing one is E_NOTFOUND. */
int store_open_sqlite(const char *dir, bool create, struct store **ret, struct error *err);

#endif
