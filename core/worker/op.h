/* op.h -- one attempt as the worker process holds it: the plugin's opaque handle.
 *
 * wire.c moves lines over fd 3, host.c is the table of host functions (revert.c has those
 * of a revert), child.c is the order of the plugin's functions.
 */
#ifndef CORE_WORKER_OP_H
#define CORE_WORKER_OP_H

#include "core/base/base.h"
#include "core/base/json.h"
#include "core/base/strbuf.h"
#include "core/worker/protocol.h"

#include <resite/plugin.h>

#include <pthread.h>
#include <stdatomic.h>

/* Texts from the plugin are cut to these, so that no line can be too long. */
enum {
	OP_TEXT_MAX = 16 * 1024,   /* one text for people */
	OP_VALUE_MAX = 256 * 1024, /* a record, checkpoint or output: refused, not cut */
};

struct resite_op {
	struct resite_action action; /* a copy; strings are the plugin's */
	json_t *spec;                /* the first message; owned */
	const json_t *params;        /* in spec; NULL when there are none */
	int mode;                    /* enum resite_mode */
	enum phase phase;            /* what is being called */
	bool hold;                   /* after probe the core decides: a run, no preview */
	int64_t deadline_ms;         /* on the monotonic clock */

	/* Incoming; under in_lock. */
	pthread_mutex_t in_lock;
	struct lines in;
	int64_t want_id;       /* the answer that somebody waits for; 0: none */
	json_t *answer;        /* it; owned by who waits */
	bool go, stop;         /* those messages have come */
	atomic_bool cancelled; /* cancel, or the parent is gone */
	atomic_bool gone;      /* the parent is gone: nothing can be made durable */
	atomic_llong looked_ms; /* when time_left last looked for a cancel */
	int cancel_fd;         /* epoll of fd 3 and cancel_event_fd; -1: not asked for yet */
	int cancel_event_fd;   /* readable for ever once cancelled */

	/* Outgoing; under out_lock. */
	pthread_mutex_t out_lock;
	struct strbuf out;   /* whole lines that are not sent yet */
	struct strbuf undo;  /* undo records that are not in a line yet */
	unsigned n_undo;     /* how many */
	uint64_t n_logs, log_bytes; /* spent of the budget for log lines */
	uint64_t n_dropped;         /* log lines that were over it */
	int64_t last_id;

	/* progress is sent at most ten times a second. */
	struct {
		bool due; /* the last one was held back */
		int64_t sent_ms;
		uint64_t done, total;
		char what[256];
	} progress;

	/* What the current call has said. */
	struct {
		char *text, *param;  /* host->fail; owned */
		char host_text[512]; /* why a host function failed: used when text is NULL */
		int64_t retry_after_ms;
		bool told; /* host->state was called */
		struct strbuf now, fingerprint;
		uint64_t changes, total;
	} said;
	void *memory;             /* the plugin's slot, for the attempt; never read or freed here */
	char *pending;            /* what verify said when it was not content yet; or NULL */

	/* revert: the records that are pulled, and what became of them. */
	struct {
		int way;                /* enum resite_revert_way; 0: this is no revert */
		json_t *batch;          /* the answer that is being handed out; owned */
		size_t next;            /* in batch */
		bool all;               /* there are no others after batch */
		struct resite_kv *kv;   /* of the record handed out last; owned */
		uint64_t put_back, already; /* not yet in a line */
		struct strbuf items;    /* likewise: objects, without the brackets */
		unsigned n_items;
		uint64_t pulled, done;  /* records handed out; reported */
		uint64_t total;         /* how many there are, for progress */
		uint64_t left;          /* objects that were told of as left alone */
		bool judging;           /* the look after it: nothing is told to the parent */
		bool again;             /* the next pull begins anew */
		uint64_t ours, others;  /* judging: not put back; left alone */
		char first[256];        /* of ours */
	} revert;
};

/* --- wire.c --- */

/* Appends one line: out_lock is held between begin and end.  end with flush sends
 * everything that is buffered. */
struct strbuf *op_line_begin(struct resite_op *op, const char *kind);
void op_line_end(struct resite_op *op, bool flush);
/* Only the second half of op_line_end: lines were completed by hand. */
void op_unlock(struct resite_op *op, bool flush);
/* Appends ,"key":"text" to a line, at most max bytes of text. */
void op_put_text(struct strbuf *sb, const char *key, const char *text, size_t max);
/* Appends ,"key":value.  Without printf: its code and tables are four page faults in
 * a process that lives for 200 us. */
void op_put_int(struct strbuf *sb, const char *key, int64_t value);

/* Sends everything buffered, undo records too; false when the parent is gone. */
bool op_flush(struct resite_op *op);
/* Puts the waiting undo records into a line; out_lock is held. */
void op_close_undo(struct resite_op *op);

/* Takes what has come on fd 3; waits for at least one read when block. */
void op_read(struct resite_op *op, bool block);
/* Sends the buffered lines and waits for the answer to id; NULL: the parent is gone.
 * New reference. */
json_t *op_ask(struct resite_op *op, int64_t id);
/* Waits for go or stop after a held probe; true: go. */
bool op_wait_go(struct resite_op *op);

/* A descriptor that turns readable once cancelled; < 0: none left. */
int op_cancel_fd(struct resite_op *op);
int64_t op_time_left(struct resite_op *op);

/* --- host.c --- */

extern const struct resite_host op_host;

/* Why a host function failed, for a plugin that only hands the code on. */
void op_explain(struct resite_op *op, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Says how many log lines were dropped, if any. */
void op_log_dropped(struct resite_op *op);
/* host->wait. */
int op_wait(struct resite_op *op, int fd, short events, int64_t ms);
void op_progress(struct resite_op *op, uint64_t done, uint64_t total, const char *what);
/* Sends the progress that the rate limit held back. */
void op_progress_flush(struct resite_op *op);
/* Forgets what the last call has said. */
void op_forget(struct resite_op *op);

/* --- revert.c: host->undo_next, revert_way and reverted. --- */

/* Puts the waiting reports into a line; out_lock is held. */
void op_close_reverted(struct resite_op *op);
int op_undo_next(struct resite_op *op, uint32_t *version, const struct resite_kv **kv,
		 uint32_t *n);
int op_revert_way(struct resite_op *op);
/* The records come once more, from the newest on, to be looked at only. */
void op_revert_again(struct resite_op *op);
int op_reverted(struct resite_op *op, const char *object, int result, const char *was,
		const char *set, const char *now);
/* Says that the orchestrator is gone. */
int op_gone(struct resite_op *op);

#endif
