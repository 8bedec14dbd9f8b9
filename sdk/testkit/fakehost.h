/* fakehost.h -- a host in one process, for unit tests of plugins.
 *
 *	struct fakehost *fh = fakehost_new(action);
 *	fakehost_param(fh, "server", "127.0.0.1:389");   (as written in a plan)
 *	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_PROBE), RESITE_OK);
 *	ck_assert_int_eq(fakehost_state(fh)->changes, 3);
 *	fakehost_free(fh);
 *
 * Values go through the same conversion as in the core (durations to ms, sizes
 * to bytes); a parameter that is not in the schema, or a required one that is
 * missing, aborts the test with a message.  Nothing is durable: undo records,
 * checkpoints and outputs are kept in memory for the test to read.
 */
#ifndef RESITE_TESTKIT_FAKEHOST_H
#define RESITE_TESTKIT_FAKEHOST_H

#include <resite/plugin.h>

#include <stdbool.h>
#include <stdio.h>

enum fakehost_phase {
	FAKEHOST_CHECK,
	FAKEHOST_PROBE,
	FAKEHOST_APPLY,
	FAKEHOST_VERIFY,
};

struct fakehost_change {
	char *object, *was, *will_be;
};

struct fakehost_undo {
	uint32_t version, n;
	char *by_hand;
	struct resite_kv *kv;
	bool durable; /* put, or followed by a sync */
};

/* What revert said of one record; result: enum resite_reverted. */
struct fakehost_reverted {
	char *object, *was, *set, *now; /* "" for NULL */
	int result;
};

struct fakehost_state {
	bool told; /* host->state was called */
	char *now, *fingerprint;
	uint64_t changes, total;
};

struct fakehost;

/* The plugin's action of that name; none: ends the test. */
const struct resite_action *fakehost_action(const struct resite_plugin *plugin, const char *name);

/* action: from the plugin's table; borrowed for the life of the host. */
struct fakehost *fakehost_new(const struct resite_action *action);
void fakehost_free(struct fakehost *fh);

/* Adds one value of a parameter, text as in a plan; repeat it for a list. */
void fakehost_param(struct fakehost *fh, const char *name, const char *text);
/* Forgets all values of a parameter. */
void fakehost_param_clear(struct fakehost *fh, const char *name);
/* The value that host->secret(ref) gives; a RESITE_T_SECRET parameter's text
 * is its ref. */
void fakehost_secret(struct fakehost *fh, const char *ref, const char *value);
void fakehost_mode(struct fakehost *fh, enum resite_mode mode);
/* Time left from now; default one minute. */
void fakehost_deadline(struct fakehost *fh, int64_t ms);
/* Cancels ms after the next call begins; < 0: never. */
void fakehost_cancel_after(struct fakehost *fh, int64_t ms);
/* Calls hook once, when the plugin first reports at least done of its progress, however
 * fast the machine is; hook NULL: cancels then.  done 0: never. */
void fakehost_at_progress(struct fakehost *fh, uint64_t done, void (*hook)(void *), void *arg);
/* Makes the nth next undo_put, undo_add or sync fail, as a full journal would; 0: none. */
void fakehost_fail_undo(struct fakehost *fh, unsigned nth);
/* Calls hook before each sync (and undo_put) returns: the place to look at the
 * world and see that nothing was changed yet. */
void fakehost_on_sync(struct fakehost *fh, void (*hook)(void *), void *arg);
/* Prints logs and failures to the stream as they come; NULL: silent. */
void fakehost_trace(struct fakehost *fh, FILE *to);

/* The attempt's slot (host->memory).  All calls on one fakehost are one attempt, until
 * fakehost_new_attempt gives the plugin an empty slot; fakehost_revert is an attempt of its
 * own.  What was in the slot belongs to the plugin and stays reachable, so that no leak
 * checker counts it; a test that knows what it is frees it and sets the slot to NULL. */
void **fakehost_memory(struct fakehost *fh);
void fakehost_new_attempt(struct fakehost *fh);

/* Runs one function of the action (RESITE_OK when it has none).  Clears what the
 * last call left, except undo records, outputs and the checkpoint. */
int fakehost_call(struct fakehost *fh, enum fakehost_phase phase);
/* Reverts all undo records, newest first.  A revert that returns RESITE_OK without having
 * told of each record ends the test. */
int fakehost_revert(struct fakehost *fh, enum resite_revert_way way);

/* What the last call left.  All belongs to fh. */
const char *fakehost_failure(const struct fakehost *fh);       /* "" when none */
const char *fakehost_failure_param(const struct fakehost *fh); /* may be NULL */
const struct fakehost_state *fakehost_state(const struct fakehost *fh);
const struct fakehost_change *fakehost_changes(const struct fakehost *fh, size_t *ret_n);
const struct fakehost_undo *fakehost_undos(const struct fakehost *fh, size_t *ret_n);
const struct fakehost_reverted *fakehost_reverteds(const struct fakehost *fh, size_t *ret_n);
/* How many of them ended so. */
size_t fakehost_reverted_count(const struct fakehost *fh, enum resite_reverted result);
const char *fakehost_losses(const struct fakehost *fh);        /* a line each */
const char *fakehost_logs(const struct fakehost *fh);          /* a line each */
const char *fakehost_output(const struct fakehost *fh, const char *name); /* or NULL */
const char *fakehost_checkpoint(const struct fakehost *fh, const char **ret_data); /* or NULL */
uint64_t fakehost_progress(const struct fakehost *fh, uint64_t *ret_total);

#endif
