/* verify.h -- how far a run's journal can be trusted.  Reads only; repairs nothing. */
#ifndef CORE_RUN_VERIFY_H
#define CORE_RUN_VERIFY_H

#include "core/run/load.h"

/* A head: the number and the hash of a journal's last event, written down elsewhere when
 * it was the last.  A journal whose end was cut off, or that was written anew as a whole,
 * has a chain without a flaw; only a head that was kept shows it. */
struct verify_head {
	int64_t seq;                 /* 0: not known, only the hash is */
	char hash[JOURNAL_HASH_MAX];
};

#define VERIFY_HEAD_MAX (JOURNAL_HASH_MAX + 24)

enum verify_kept {
	KEPT_NOT_ASKED,
	KEPT_FOUND,   /* all up to the head is what it was when the head was kept */
	KEPT_CUT,     /* the journal ends before it: events are missing at its end */
	KEPT_OTHER,   /* no such event: the journal is another one */
};

struct verified {
	struct loaded l;        /* the good part: l.state, l.end with the first bad event */
	int64_t n_after;        /* events from the first bad one on that could be read */
	bool *named_after;      /* by step of l.graph: one of those names it; or NULL */
	struct verify_head kept;
	enum verify_kept found;
};

/* "SEQ:HASH" or "HASH".  E_INVALID. */
int verify_head_parse(const char *text, struct verify_head *ret, struct error *err);
/* "SEQ:HASH" of where the good part ends. */
void verify_head_write(const struct journal_end *end, char buf[VERIFY_HEAD_MAX]);

/* Reads run from its first event to its last; kept may be NULL.  0 also when the journal
 * is damaged: *ret says how.  ret is to be released in every case.  E_NOTFOUND, E_IO. */
int verify_run(const struct settings *settings, struct store *store, const char *run,
	       const struct verify_head *kept, struct verified *ret, struct error *err);
void verified_release(struct verified *v);

/* Nothing is wrong, and the head that was kept is in it. */
bool verified_whole(const struct verified *v);

/* Whether no event after the good part can have changed the step's state. */
bool verified_certain(const struct verified *v, uint32_t step);

#endif
