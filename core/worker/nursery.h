/* nursery.h -- the parent's side: one process per plugin, one per attempt.
 *
 *	n = nursery_start(loop, &config, &nursery_events, ctx, &err);
 *	attempt_start(n, line, len, tag, timeout_ms, &attempt_events, ctx, &a, &err);
 *	  … message() … log() … ended(), after which the attempt is gone
 *	nursery_stop(n);
 *
 * All callbacks come from the loop, never from inside a call to this header
 * (except ended() from nursery_stop).  A callback may call everything here.
 * What a plugin does wrong fails its attempt and nothing else.
 */
#ifndef CORE_WORKER_NURSERY_H
#define CORE_WORKER_NURSERY_H

#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/worker/protocol.h"
#include "core/worker/undo_line.h"

#include <uv.h>

struct nursery;
struct attempt;

struct nursery_config {
	const char *worker_path;     /* the program resite-worker */
	const char *plugin_path;     /* …/NAME.so */
	int lock_fd;                 /* the run's locked descriptor, inherited by all; -1: none */
	const char *const *drop_env; /* names of variables not to pass on (secrets), ends
				      * with NULL; or NULL */
	int64_t hello_timeout_ms;    /* 0: 10 s */
	int64_t cancel_grace_ms;     /* from the cancel message to SIGTERM; 0: 5 s */
	int64_t term_grace_ms;       /* from SIGTERM to SIGKILL; 0: 2 s */
};

struct nursery_events {
	/* The plugin's description arrived; hello is valid during the call. */
	void (*hello)(void *ctx, const json_t *hello);
	/* The nursery is gone, or its plugin was refused: text says why, for people.
	 * All its attempts have ended; only nursery_stop is allowed now. */
	void (*lost)(void *ctx, const char *text);
	/* A line that the nursery itself wrote (a library being loaded); may be NULL. */
	void (*log)(void *ctx, const char *line);
};

/* Starts the process; attempts may be started at once.  Copies config's strings.
 * NULL with E_IO or E_NOMEM. */
struct nursery *nursery_start(uv_loop_t *loop, const struct nursery_config *config,
			      const struct nursery_events *events, void *ctx,
			      struct error *err);

/* Ends the process and all its attempts (each gets ended() with ATTEMPT_LOST before
 * this returns).  Without attempts it is immediate; with attempts it waits until the
 * nursery has ended them (TERM, grace, KILL: at most 5 s).  The memory is freed by
 * the loop: let it run once more. */
void nursery_stop(struct nursery *n);

/* Attempts that have not ended. */
unsigned nursery_open(const struct nursery *n);

enum attempt_outcome {
	ATTEMPT_CLEAN,       /* a result, then exit status 0: the only one that can be believed */
	ATTEMPT_NOT_STARTED, /* the nursery could not fork: nothing has run */
	ATTEMPT_EXIT,        /* ended without a result, or with a status other than 0 */
	ATTEMPT_SIGNAL,      /* killed by a signal that nobody here sent */
	ATTEMPT_TIMEOUT,     /* over its time and had to be killed */
	ATTEMPT_CANCELLED,   /* cancelled and had to be killed */
	ATTEMPT_PROTOCOL,    /* broke the protocol, then killed */
	ATTEMPT_LOST,        /* the nursery went away */
};

/* Everything but CLEAN and NOT_STARTED means: unknown, probe first. */
struct attempt_end {
	enum attempt_outcome outcome;
	enum phase phase;       /* of the result; without one, the last that began */
	bool has_result;        /* the members up to text are what the attempt said */
	int rc;                 /* enum resite_rc */
	int64_t retry_after_ms; /* 0: not said */
	const char *param;      /* the parameter at fault, or NULL */
	const char *text;       /* the attempt's words, or "" */
	int status, signal;     /* how the process ended; 0 when it did not end so */
	int64_t maxrss_kb, cpu_us;
	uint64_t dropped;       /* log lines that were too many */
	const char *why;        /* for people, any outcome but CLEAN: "killed by signal 11
				 * (Segmentation fault) in apply"; else "" */
};

struct attempt_events {
	/* One checked message (see protocol_check_attempt), in order; line is its text
	 * without newline.  `result` is not passed on: it is in attempt_end. */
	void (*message)(void *ctx, const json_t *msg, const char *line, size_t len);
	/* Undo records, oldest first: their checked JSON text, valid during the call.  They
	 * are not passed to message(). */
	void (*undo)(void *ctx, const struct undo_line *undo);
	/* One line of the attempt's stdout or stderr: any bytes but NUL, LF; may be cut. */
	void (*log)(void *ctx, const char *line);
	/* The last callback; end is valid during the call, the attempt is gone after it. */
	void (*ended)(void *ctx, const struct attempt_end *end);
};

/* Starts an attempt with the line of protocol_write_attempt (copied).  timeout_ms
 * from now: then it is cancelled and killed.  tag (tag_write; copied): what it has started
 * is found by it and killed before ended() is called, unless it ended by itself; NULL: only
 * what stays in its process group is.  *ret_attempt is valid until ended().
 * E_IO (no descriptors left), E_NOMEM, E_NOTFOUND (the nursery is lost). */
int attempt_start(struct nursery *n, const char *line, size_t len, const char *tag,
		  int64_t timeout_ms, const struct attempt_events *events, void *ctx,
		  struct attempt **ret_attempt, struct error *err);

/* Messages to the attempt.  They never fail: an attempt that cannot take one is
 * about to end, and ended() will say so. */
void attempt_go(struct attempt *a);
void attempt_stop(struct attempt *a);
void attempt_done(struct attempt *a, int64_t id, int rc, const char *text); /* text may be NULL */
/* value is wiped from every buffer here after it was sent; NULL with rc < 0. */
void attempt_secret(struct attempt *a, int64_t id, int rc, const void *value, size_t len);
/* records: the text of a JSON array of len bytes, "[]" after the last; rc < 0: text says why
 * there are none. */
void attempt_records(struct attempt *a, int64_t id, const char *records, size_t len);
void attempt_no_records(struct attempt *a, int64_t id, int rc, const char *text);

/* Asks the attempt to stop, with a reason for its log; kills it when it does not.
 * A second call does nothing. */
void attempt_cancel(struct attempt *a, const char *why);

/* Sends a signal to the attempt and what is in its process group, as a rehearsal does that
 * kills and delays workers on purpose. */
void attempt_signal(struct attempt *a, int sig);

#endif
